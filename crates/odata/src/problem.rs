//! What is wrong with a text: where, what, and how to write it instead.

use std::fmt;

use crate::tree::{Comparison, Function, Span};
use crate::{DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX};

/// All that is wrong with one text, in its order; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub span: Span,
    pub kind: ProblemKind,
}

/// Texts of the caller in it are cut to a bounded length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    #[error("the text is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    #[error("parentheses are nested more than {DEPTH_MAX} levels deep")]
    TooDeep,
    #[error("there are more than {NODES_MAX} terms")]
    TooMany,
    #[error("syntax error: unexpected character '{0}'")]
    Character(char),
    #[error("syntax error: the string is not terminated")]
    OpenText,
    #[error("syntax error: '{0}' is no literal")]
    Literal(String),
    #[error("syntax error: {wanted} expected, {found} found")]
    Expected { wanted: &'static str, found: String },
    #[error("syntax error: '{0}' is not an operator")]
    Operator(String),
    #[error("an unknown function with name '{0}' was found")]
    Function(String),
    #[error("the function '{name}' takes {takes}, not {given}")]
    Arity { name: &'static str, takes: &'static str, given: usize },
    #[error("the option '{0}' is not known here")]
    Option(String),
    #[error("the option '{0}' is given twice")]
    Twice(String),
    #[error("could not find a property named '{name}' on type '{type_name}'")]
    Property { name: String, type_name: String },
    #[error("the property '{0}' cannot be used here")]
    Closed(String),
    #[error(
        "a binary operator with incompatible types was detected; found operand types '{left}' and '{right}' for \
         operator '{operator}'"
    )]
    Operands { left: String, right: String, operator: &'static str },
    #[error("the operand of '{operator}' has type '{found}', not '{wanted}'")]
    Operand { operator: &'static str, found: String, wanted: &'static str },
    #[error("'{member}' is not a member of the enumeration '{type_name}'")]
    Member { member: String, type_name: String, members: String },
    #[error("'{0}' is no date-time")]
    DateTime(String),
    #[error("'{0}' is a single value, not a collection")]
    NotACollection(String),
    #[error("'{0}' is a collection")]
    Collection(String),
    #[error("the collection of a nested lambda must belong to the variable of the one around it")]
    Lambda,
    #[error("the name '{0}' is in use for a variable")]
    Variable(String),
}

impl Problem {
    /// How to write it instead, if there is advice to give.
    pub fn help(&self) -> Option<String> {
        let help = match &self.kind {
            ProblemKind::OpenText => "close it with '; a quote inside a string is written twice: ''".to_owned(),
            ProblemKind::Literal(text) if text.contains(['T', 't']) && text.contains(':') => {
                "a date-time is written 2026-01-31T10:00:00Z, with Z or an offset".to_owned()
            }
            ProblemKind::Literal(_) => "strings stand in quotes: 'text'".to_owned(),
            ProblemKind::Operator(text) => operator_help(text),
            ProblemKind::Function(name) if name.eq_ignore_ascii_case("substringof") => {
                "write contains(property,'text')".to_owned()
            }
            ProblemKind::Function(_) => format!("the functions are {}", words(Function::ALL, |known| known.word())),
            ProblemKind::Operands { left, right, .. } if is_quoted_time(left, right) => {
                "a date-time stands without quotes: 2026-01-31T10:00:00Z".to_owned()
            }
            ProblemKind::Operands { left, right, .. } if left == "Edm.String" || right == "Edm.String" => {
                "only a string is compared with a quoted text, and a string only with one".to_owned()
            }
            ProblemKind::Member { members, .. } => format!("its members are {members}"),
            ProblemKind::DateTime(_) => {
                "write '2026-01-31T10:00:00', or 2026-01-31T10:00:00Z without quotes".to_owned()
            }
            ProblemKind::Collection(name) => format!("ask for its members: {name}/any(x:x eq …)"),
            ProblemKind::NotACollection(_) => "any and all stand behind a collection".to_owned(),
            _ => return None,
        };
        Some(help)
    }
}

fn is_quoted_time(left: &str, right: &str) -> bool {
    let is_time = |name: &str| name == "Edm.DateTimeOffset" || name == "Edm.Date";
    (is_time(left) && right == "Edm.String") || (is_time(right) && left == "Edm.String")
}

fn operator_help(text: &str) -> String {
    let better = match text {
        "=" | "==" => "eq",
        "!=" | "<>" => "ne",
        ">" => "gt",
        ">=" => "ge",
        "<" => "lt",
        "<=" => "le",
        "&&" | "&" => "and",
        "||" | "|" => "or",
        "!" => "not",
        _ => return format!("the operators are {}, in, and, or, not", words(Comparison::ALL, |known| known.word())),
    };
    format!("write {better}")
}

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> String {
    all.iter().map(|known| word(*known)).collect::<Vec<_>>().join(", ")
}

/// The first of them, with its position.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first() {
            Some(problem) => write!(f, "{} at position {}", problem.kind, problem.span.start),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problems {}

/// A text of the caller as an error repeats it.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
