//! Attachments, which lie beside their item, so that lists and changes carry none.

use serde::{Deserialize, Serialize};

use crate::{AttachmentId, Properties};

/// One attachment of an item, without its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    pub id: AttachmentId,
    /// In Graph's JSON form, `@odata.type` and `size` included; never `id` nor `contentBytes`. The
    /// `item` of an item attachment is among them.
    pub properties: Properties,
}

/// An attachment to write.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAttachment {
    /// [`crate::Item::immutable`] of the item that has it.
    pub item: uuid::Uuid,
    pub attachment: Attachment,
    /// The bytes of a file attachment. Of an item attachment, the message as MIME if it came so.
    pub content: Vec<u8>,
}
