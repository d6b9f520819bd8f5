//! What a list of items asks for: which items, in which order, and by which index a store finds them.

use std::cmp::{Ordering, Reverse};
use std::ops::Bound;

use crate::{Item, Kind, Properties};

/// A filter and an order, of items of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    kind: Kind,
}

/// What a store keeps of each item, besides the property bag, to find it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// [`Item::sort_key`], in microseconds.
    SortKey,
    /// [`Item::is_unread`]: 1 or 0.
    Unread,
    /// The address in `from`, folded.
    From,
    /// The first characters of `subject`, folded.
    Subject,
    InternetMessageId,
    ConversationId,
}

/// A value in a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Integer(i64),
    Text(String),
}

/// A range of one column that holds every item that a query can find, and perhaps others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    pub column: Column,
    pub low: Bound<Cell>,
    pub high: Bound<Cell>,
    pub descending: bool,
    /// Whether the column's order, ties by newest sort key and then by id, is the order that is asked for.
    pub in_order: bool,
}

/// How many characters of a subject are in its column.
pub const SUBJECT_CHARS_MAX: usize = 128;

/// The value of an item in a column; `None` if it is in no list by that column.
pub fn cell(item: &Item, column: Column) -> Option<Cell> {
    let text = |name: &str| item.properties.get(name).and_then(|value| value.as_str());
    let message = |cell: Option<Cell>| cell.filter(|_| item.id.kind == Kind::Message);
    match column {
        Column::SortKey => Some(Cell::Integer(item.sort_key().as_micros())),
        Column::Unread => Some(Cell::Integer(item.is_unread().into())),
        Column::From => message(Some(Cell::Text(sender(&item.properties).to_lowercase()))),
        Column::Subject => message(Some(Cell::Text(
            text("subject").unwrap_or_default().to_lowercase().chars().take(SUBJECT_CHARS_MAX).collect(),
        ))),
        Column::InternetMessageId => message(text("internetMessageId").map(|id| Cell::Text(id.to_owned()))),
        Column::ConversationId => message(text("conversationId").map(|id| Cell::Text(id.to_owned()))),
    }
}

fn sender(properties: &Properties) -> &str {
    let address = properties.get("from").and_then(|from| from.pointer("/emailAddress/address"));
    address.and_then(|address| address.as_str()).unwrap_or_default()
}

impl Query {
    /// All items of a kind, newest first.
    pub fn all(kind: Kind) -> Self {
        Self { kind }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the query finds every item of its kind.
    pub fn is_unfiltered(&self) -> bool {
        true
    }

    /// Whether the query finds this item.
    pub fn matches(&self, item: &Item) -> bool {
        item.id.kind == self.kind
    }

    /// The order that is asked for; then newest sort key first, then by id: never equal for two items.
    pub fn compare(&self, a: &Item, b: &Item) -> Ordering {
        (Reverse(a.sort_key()), a.id).cmp(&(Reverse(b.sort_key()), b.id))
    }

    /// The best way to find what matches.
    pub fn scan(&self) -> Scan {
        Scan {
            column: Column::SortKey,
            low: Bound::Unbounded,
            high: Bound::Unbounded,
            descending: true,
            in_order: true,
        }
    }
}
