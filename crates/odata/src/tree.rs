//! What a query option says, before names and types are looked at. `Display` prints a tree as text that
//! parses to the same tree.

use jiff::civil::{Date, Time};
use uuid::Uuid;

/// A range of bytes in the text that was parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub span: Span,
    pub node: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Literal(Literal),
    Path(Path),
    Not(Box<Expr>),
    /// Two or more.
    And(Vec<Expr>),
    /// Two or more.
    Or(Vec<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Call(Function, Vec<Expr>),
    Lambda(Box<Lambda>),
}

/// `of/any(variable:test)`
#[derive(Clone, Debug, PartialEq)]
pub struct Lambda {
    pub quantifier: Quantifier,
    pub of: Path,
    /// `None`: `any()`, whether there is a member at all.
    pub test: Option<(Name, Expr)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    Any,
    All,
}

/// Names with slashes between them; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub names: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub span: Span,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Finite.
    Double(f64),
    Text(String),
    /// Microseconds since 1970 in UTC.
    Instant(i64),
    Date(Date),
    Time(Time),
    Guid(Uuid),
    /// `microsoft.graph.importance'high'`
    Member {
        type_name: String,
        member: String,
    },
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($variant),* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),*];

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// Finds it by its word in any case.
            pub fn find(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.word().eq_ignore_ascii_case(word))
            }
        }
    };
}

words!(Comparison { Eq "eq", Ne "ne", Gt "gt", Ge "ge", Lt "lt", Le "le" });

words!(Function {
    StartsWith "startswith",
    EndsWith "endswith",
    Contains "contains",
    ToLower "tolower",
    ToUpper "toupper",
    Trim "trim",
    Length "length",
    IndexOf "indexof",
    Substring "substring",
    Concat "concat",
    Year "year",
    Month "month",
    Day "day",
    Hour "hour",
    Minute "minute",
    Second "second",
    Date "date",
    Time "time",
});

impl Function {
    /// How many arguments it takes, at least and at most.
    pub fn arity(self) -> (usize, usize) {
        match self {
            Function::StartsWith | Function::EndsWith | Function::Contains | Function::IndexOf | Function::Concat => {
                (2, 2)
            }
            Function::Substring => (2, 3),
            _ => (1, 1),
        }
    }
}

/// One key of `$orderby`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub path: Path,
    pub descending: bool,
}

/// One name of `$select`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// `*`
    All,
    Path(Path),
}

/// One relation of `$expand`, with the options in its parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    pub path: Path,
    pub options: Options,
}

/// Options of an expansion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub filter: Option<Expr>,
    pub select: Option<Vec<Selected>>,
    pub orderby: Option<Vec<Key>>,
    pub expand: Option<Vec<Expansion>>,
    pub top: Option<u64>,
    pub skip: Option<u64>,
    pub count: Option<bool>,
}

impl Options {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Path {
    /// From the first name to the last.
    pub fn span(&self) -> Span {
        let start = self.names.first().map_or(0, |name| name.span.start);
        Span { start, end: self.names.last().map_or(start, |name| name.span.end) }
    }
}
