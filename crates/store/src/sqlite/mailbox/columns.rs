//! What is kept of an item beside its property bag, to find it by. Each index costs every commit a page, so
//! their keys are short.

use graph::mailbox::{began_at, named_at};
use graph::query::{Cell, Column, cell};
use graph::{FolderId, Item, Kind, UserId};

use crate::sqlite::row::{led_by, place_key};

/// The columns that lists are made of.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sqlite) struct Columns {
    pub place: i64,
    pub from: Option<String>,
    pub subject: Option<String>,
    /// Keys of texts that are only ever asked for as a whole.
    pub message_id: Option<i64>,
    pub conversation: Option<i64>,
    /// Of events: [`Item::last_end`].
    pub last_end: Option<i64>,
}

impl Columns {
    pub fn of(item: &Item) -> Self {
        let text = |column| match cell(item, column) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        };
        let key = |column| text(column).map(|text| text_key(item.mailbox, item.folder, column, &text));
        Self {
            place: place_key(item.mailbox, item.folder, &[]),
            from: text(Column::From),
            subject: text(Column::Subject),
            message_id: key(Column::InternetMessageId),
            conversation: key(Column::ConversationId),
            last_end: (item.id.kind == Kind::Event).then(|| item.last_end().as_micros()),
        }
    }
}

/// The key of a text in a column of a folder's items.
pub(super) fn text_key(mailbox: UserId, folder: FolderId, column: Column, text: &str) -> i64 {
    let (tag, made): (&[u8], _) = match column {
        Column::ConversationId => (b"conversation ", began_at(text)),
        _ => (b"message ", named_at(text)),
    };
    let key = place_key(mailbox, folder, &[tag, text.as_bytes()].concat());
    made.map_or(key, |millis| led_by(millis, key))
}
