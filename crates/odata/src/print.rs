//! Trees as text, with no more parentheses than are needed to parse to the same tree.

use std::fmt::{self, Display, Formatter, Write as _};

use crate::instant;
use crate::tree::{Comparison, Expansion, Expr, Key, Lambda, Literal, Node, Options, Path, Quantifier, Selected};

/// How tightly something binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Equality,
    Relation,
    Unary,
    Primary,
}

fn level(node: &Node) -> Level {
    match node {
        Node::Or(_) => Level::Or,
        Node::And(_) => Level::And,
        Node::Compare(Comparison::Eq | Comparison::Ne, ..) => Level::Equality,
        Node::Compare(..) | Node::In(..) => Level::Relation,
        Node::Not(_) => Level::Unary,
        Node::Literal(_) | Node::Path(_) | Node::Call(..) | Node::Lambda(_) => Level::Primary,
    }
}

/// Prints a term where only what binds as `least` or tighter can stand without parentheses.
fn term(f: &mut Formatter<'_>, expr: &Expr, least: Level) -> fmt::Result {
    if level(&expr.node) >= least { write!(f, "{expr}") } else { write!(f, "({expr})") }
}

fn joined<T>(
    f: &mut Formatter<'_>,
    list: &[T],
    between: &str,
    mut each: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (at, one) in list.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        each(f, one)?;
    }
    Ok(())
}

fn listed(f: &mut Formatter<'_>, list: &[Expr]) -> fmt::Result {
    f.write_str("(")?;
    joined(f, list, ",", |f, one| write!(f, "{one}"))?;
    f.write_str(")")
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Literal(literal) => write!(f, "{literal}"),
            Node::Path(path) => write!(f, "{path}"),
            Node::Not(inner) => {
                f.write_str("not ")?;
                term(f, inner, Level::Unary)
            }
            Node::And(terms) => joined(f, terms, " and ", |f, one| term(f, one, Level::Equality)),
            Node::Or(terms) => joined(f, terms, " or ", |f, one| term(f, one, Level::And)),
            Node::Compare(operator, left, right) => {
                let least = if level(&self.node) == Level::Equality { Level::Relation } else { Level::Unary };
                term(f, left, least)?;
                write!(f, " {} ", operator.word())?;
                term(f, right, least)
            }
            Node::In(left, members) => {
                // One comparison before it needs none.
                let is_compared = matches!(left.node, Node::Compare(..)) && level(&left.node) == Level::Relation;
                term(f, left, if is_compared { Level::Relation } else { Level::Unary })?;
                f.write_str(" in ")?;
                listed(f, members)
            }
            Node::Call(function, arguments) => {
                f.write_str(function.word())?;
                listed(f, arguments)
            }
            Node::Lambda(lambda) => write!(f, "{lambda}"),
        }
    }
}

impl Display for Lambda {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = match self.quantifier {
            Quantifier::Any => "any",
            Quantifier::All => "all",
        };
        match &self.test {
            None => write!(f, "{}/{word}()", self.of),
            Some((variable, test)) => write!(f, "{}/{word}({}:{test})", self.of, variable.text),
        }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(f, &self.names, "/", |f, name| f.write_str(&name.text))
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("null"),
            Literal::Boolean(value) => write!(f, "{value}"),
            Literal::Integer(value) => write!(f, "{value}"),
            // The exponent tells it from an integer.
            Literal::Double(value) => write!(f, "{value:e}"),
            Literal::Text(text) => quoted(f, text),
            Literal::Instant(micros) => match instant::date_time(*micros) {
                Some(at) => write!(f, "{at}Z"),
                None => f.write_str("null"),
            },
            Literal::Date(date) => write!(f, "{date}"),
            Literal::Time(time) => write!(f, "{time}"),
            Literal::Guid(guid) => write!(f, "{guid}"),
            Literal::Member { type_name, member } => {
                f.write_str(type_name)?;
                quoted(f, member)
            }
        }
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('\'')?;
    f.write_str(&text.replace('\'', "''"))?;
    f.write_char('\'')
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path, if self.descending { " desc" } else { "" })
    }
}

impl Display for Selected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Selected::All => f.write_str("*"),
            Selected::Path(path) => write!(f, "{path}"),
        }
    }
}

impl Display for Expansion {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if self.options.is_empty() { Ok(()) } else { write!(f, "({})", self.options) }
    }
}

impl Display for Options {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |parts: Vec<String>| parts.join(",");
        let parts = [
            self.filter.as_ref().map(|filter| format!("$filter={filter}")),
            self.select.as_ref().map(|names| format!("$select={}", list(strings(names)))),
            self.orderby.as_ref().map(|keys| format!("$orderby={}", list(strings(keys)))),
            self.expand.as_ref().map(|inner| format!("$expand={}", list(strings(inner)))),
            self.top.map(|top| format!("$top={top}")),
            self.skip.map(|skip| format!("$skip={skip}")),
            self.count.map(|count| format!("$count={count}")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(";"))
    }
}

fn strings<T: Display>(list: &[T]) -> Vec<String> {
    list.iter().map(T::to_string).collect()
}
