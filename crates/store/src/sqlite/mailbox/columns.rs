//! What is kept of an item beside its property bag, to find it by.

use graph::query::{Cell, Column, cell};
use graph::{ChangeId, FolderId, Item, ItemId, Kind, Properties, Timestamp, UserId};
use uuid::Uuid;

/// The columns that only some kinds of items fill.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sqlite) struct Columns {
    pub from: Option<String>,
    pub subject: Option<String>,
    pub internet_message_id: Option<String>,
    pub conversation_id: Option<String>,
    /// Of events: [`Item::last_end`].
    pub last_end: Option<i64>,
}

impl Columns {
    pub fn of(item: &Item) -> Self {
        let text = |column| match cell(item, column) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        };
        Self {
            from: text(Column::From),
            subject: text(Column::Subject),
            internet_message_id: text(Column::InternetMessageId),
            conversation_id: text(Column::ConversationId),
            last_end: (item.id.kind == Kind::Event).then(|| item.last_end().as_micros()),
        }
    }

    /// Of a row, by what the columns follow from.
    pub fn of_row(id: ItemId, sort_key: i64, properties: Properties) -> Self {
        Self::of(&Item {
            id,
            immutable: id.uuid,
            mailbox: UserId(Uuid::nil()),
            folder: FolderId::new(id.kind, Uuid::nil()),
            created: Timestamp::from_micros(sort_key),
            modified: Timestamp::from_micros(sort_key),
            version: ChangeId(Uuid::nil()),
            properties,
        })
    }
}
