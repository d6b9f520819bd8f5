//! Which column finds what a query asks for, and in which range.
//!
//! An equality of a selective column goes first, then a beginning of a text, then whether an item is
//! unread, then a range of the sort key, then the column that the order asks for.

use std::ops::Bound;

use odata::Filter;
use odata::check::{Relation, Term};
use odata::tree::Comparison;

use super::{Cell, Column, Key, Scan, beginning, column};
use crate::Kind;

/// The columns whose equality finds few items, the best first.
const SELECTIVE: [Column; 4] = [Column::InternetMessageId, Column::ConversationId, Column::From, Column::Subject];

pub(super) fn best(kind: Kind, filter: Option<&Filter>, order: &[Key]) -> Scan {
    let terms: Vec<(Column, Relation<'_>)> = filter
        .into_iter()
        .flat_map(Filter::terms)
        .filter_map(|Term { path, relation }| Some((column(kind, path)?, relation)))
        .collect();
    let sort_keys = sort_keys(kind, &terms);
    let (column, low, high) = equality(&terms)
        .or_else(|| start(&terms))
        .or_else(|| unread(&terms))
        .or_else(|| is_bounded(&sort_keys).then(|| integers(Column::SortKey, sort_keys)))
        .or_else(|| ordered(order).map(|column| (column, Bound::Unbounded, Bound::Unbounded)))
        .unwrap_or((Column::SortKey, Bound::Unbounded, Bound::Unbounded));
    // What is equal in all that is found orders nothing.
    let is_equal = matches!((&low, &high), (Bound::Included(low), Bound::Included(high)) if low == high);
    let mut keys = order.iter().filter(|key| !(is_equal && key.column == Some(column)));
    let (descending, mut in_order) = match keys.clone().next() {
        Some(key) if !is_equal && key.column == Some(column) => {
            keys.next();
            // `isRead` is the opposite of being unread.
            (key.descending != (column == Column::Unread), true)
        }
        _ => (column == Column::SortKey, is_equal || column == Column::SortKey),
    };
    // The rest of the order must be that of ties; after the sort key itself only ids are left.
    in_order &= match (keys.next(), keys.next()) {
        (None, _) => true,
        (Some(key), None) => key.column == Some(Column::SortKey) && key.descending && column != Column::SortKey,
        (Some(_), Some(_)) => false,
    };
    Scan { column, low, high, descending, in_order, sort_keys }
}

type Range = (Column, Bound<Cell>, Bound<Cell>);

fn equality(terms: &[(Column, Relation<'_>)]) -> Option<Range> {
    SELECTIVE.into_iter().find_map(|column| {
        terms.iter().find_map(|(of, relation)| match relation {
            Relation::Text(Comparison::Eq, text) if *of == column => {
                let cell = Cell::Text(if column == Column::Subject { beginning(text) } else { (*text).to_owned() });
                Some((column, Bound::Included(cell.clone()), Bound::Included(cell)))
            }
            _ => None,
        })
    })
}

fn start(terms: &[(Column, Relation<'_>)]) -> Option<Range> {
    terms.iter().find_map(|(column, relation)| match (column, relation) {
        (Column::From | Column::Subject, Relation::StartsWith(text)) if !text.is_empty() => {
            let text = if *column == Column::Subject { beginning(text) } else { (*text).to_owned() };
            let high = after(&text).map_or(Bound::Unbounded, |text| Bound::Excluded(Cell::Text(text)));
            Some((*column, Bound::Included(Cell::Text(text)), high))
        }
        _ => None,
    })
}

/// The first text after all that begin with this one; `None` if there is none.
fn after(text: &str) -> Option<String> {
    let mut characters: Vec<char> = text.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

fn unread(terms: &[(Column, Relation<'_>)]) -> Option<Range> {
    let found = terms.contains(&(Column::Unread, Relation::Boolean(false)));
    let one = Bound::Included(Cell::Integer(1));
    found.then(|| (Column::Unread, one.clone(), one))
}

/// The range of sort keys that all terms allow. What is compared is what is shown: of messages and contacts
/// the whole second in which the sort key lies.
fn sort_keys(kind: Kind, terms: &[(Column, Relation<'_>)]) -> (Bound<i64>, Bound<i64>) {
    let finer = if kind == Kind::Event { 0 } else { 999_999 };
    let (mut low, mut high) = (Bound::Unbounded, Bound::Unbounded);
    for (column, relation) in terms {
        let (Column::SortKey, Relation::Instant(operator, at)) = (column, relation) else { continue };
        let bounds = match operator {
            Comparison::Eq => (Bound::Included(*at), Bound::Included(at.saturating_add(finer))),
            Comparison::Gt => (Bound::Excluded(*at), Bound::Unbounded),
            Comparison::Ge => (Bound::Included(*at), Bound::Unbounded),
            Comparison::Lt => (Bound::Unbounded, Bound::Excluded(at.saturating_add(finer))),
            Comparison::Le => (Bound::Unbounded, Bound::Included(at.saturating_add(finer))),
            Comparison::Ne => continue,
        };
        if bounds.0 != Bound::Unbounded && place(low, i64::MIN) <= place(bounds.0, i64::MIN) {
            low = bounds.0;
        }
        if bounds.1 != Bound::Unbounded && place(bounds.1, i64::MAX) <= place(high, i64::MAX) {
            high = bounds.1;
        }
    }
    // An empty range is written so that no kind of index takes offence.
    match (low, high) {
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) if from > to => {
            (Bound::Included(to), Bound::Excluded(to))
        }
        (Bound::Excluded(from), Bound::Excluded(to)) if from == to => (Bound::Included(to), Bound::Excluded(to)),
        bounds => bounds,
    }
}

fn place(bound: Bound<i64>, unbounded: i64) -> i64 {
    match bound {
        Bound::Included(at) | Bound::Excluded(at) => at,
        Bound::Unbounded => unbounded,
    }
}

fn is_bounded(range: &(Bound<i64>, Bound<i64>)) -> bool {
    *range != (Bound::Unbounded, Bound::Unbounded)
}

fn integers(column: Column, (low, high): (Bound<i64>, Bound<i64>)) -> Range {
    (column, low.map(Cell::Integer), high.map(Cell::Integer))
}

/// The column that holds the first key of an order, for every item.
fn ordered(order: &[Key]) -> Option<Column> {
    let first = order.first()?.column?;
    [Column::SortKey, Column::Unread, Column::From, Column::Subject].contains(&first).then_some(first)
}
