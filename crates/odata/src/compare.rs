//! Texts without regard to case, and cells with each other.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::evaluate::Cell;
use crate::instant;
use crate::tree::Comparison;

/// A text with every character in lower case: two texts are equal without regard to case if these are equal.
pub fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    // By character, because the lower case of a whole text depends on what stands around a letter.
    Cow::Owned(characters(text).collect())
}

fn characters(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

fn is_equal(a: &str, b: &str, exact: bool) -> bool {
    if exact {
        a == b
    } else if a.is_ascii() && b.is_ascii() {
        a.eq_ignore_ascii_case(b)
    } else {
        characters(a).eq(characters(b))
    }
}

/// Whether a comparison holds. A null equals null alone, and no order holds for it.
pub(crate) fn holds(operator: Comparison, exact: bool, left: &Cell<'_>, right: &Cell<'_>) -> bool {
    let is_null = (matches!(left, Cell::Null), matches!(right, Cell::Null));
    let equal = match (left, right) {
        (Cell::Text(left), Cell::Text(right)) => is_equal(left, right, exact),
        _ if is_null.0 || is_null.1 => is_null.0 && is_null.1,
        _ if matches!(operator, Comparison::Eq | Comparison::Ne) => order(left, right, exact) == Some(Ordering::Equal),
        _ => false,
    };
    match operator {
        Comparison::Eq => return equal,
        Comparison::Ne => return !equal,
        _ => {}
    }
    let order = if is_null.0 || is_null.1 { None } else { order(left, right, exact) };
    match operator {
        Comparison::Gt => order == Some(Ordering::Greater),
        Comparison::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::Lt => order == Some(Ordering::Less),
        _ => matches!(order, Some(Ordering::Less | Ordering::Equal)),
    }
}

/// The order of two cells of one type; null comes first. `None`: they have no order.
pub(crate) fn order(left: &Cell<'_>, right: &Cell<'_>, exact: bool) -> Option<Ordering> {
    Some(match (left, right) {
        (Cell::Null, Cell::Null) => Ordering::Equal,
        (Cell::Null, _) => Ordering::Less,
        (_, Cell::Null) => Ordering::Greater,
        (Cell::Boolean(left), Cell::Boolean(right)) => left.cmp(right),
        (Cell::Text(left), Cell::Text(right)) if exact => left.cmp(right),
        (Cell::Text(left), Cell::Text(right)) => characters(left).cmp(characters(right)),
        (Cell::Integer(left), Cell::Integer(right)) => left.cmp(right),
        (Cell::Integer(left), Cell::Double(right)) => (*left as f64).partial_cmp(right)?,
        (Cell::Double(left), Cell::Integer(right)) => left.partial_cmp(&(*right as f64))?,
        (Cell::Double(left), Cell::Double(right)) => left.partial_cmp(right)?,
        (Cell::Date(left), Cell::Date(right)) => left.cmp(right),
        (Cell::Time(left), Cell::Time(right)) => left.cmp(right),
        (Cell::Guid(left), Cell::Guid(right)) => left.cmp(right),
        (left, right) => micros(left)?.cmp(&micros(right)?),
    })
}

fn micros(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Instant(micros) => Some(*micros),
        Cell::Date(date) => Some(instant::midnight(*date)),
        _ => None,
    }
}
