//! The photo of a contact. It lies among the attachments, which a contact has no others of.

use serde_json::json;

use super::{Fresh, Owner, Written};
use crate::{Attachment, AttachmentId, Change, Item, Mutation, NewAttachment, Properties, Refusal, photo};

/// The largest photo.
pub const PHOTO_BYTES_MAX: usize = 4 << 20;

/// Under which id a contact's photo is kept.
pub fn photo_id(item: &Item) -> AttachmentId {
    AttachmentId::new(item.id.kind, item.immutable)
}

/// Gives a contact a photo in place of the one that it may have. Subscribers hear of an update.
pub fn set_photo(owner: &Owner, fresh: &Fresh, item: &Item, content: Vec<u8>) -> Result<Written, Refusal> {
    if content.len() > PHOTO_BYTES_MAX {
        let property = "the photo".to_owned();
        return Err(Refusal::TooLong { property, length_max: PHOTO_BYTES_MAX, unit: "bytes" });
    }
    let Some(photo) = photo::read(&content) else {
        return Err(Refusal::invalid("the photo", "a JPEG or PNG file"));
    };
    let shown = json!({
        "@odata.type": "#microsoft.graph.profilePhoto",
        "contentType": photo.content_type,
        "height": photo.height,
        "size": content.len(),
        "width": photo.width,
    });
    let properties: Properties = shown.as_object().cloned().unwrap_or_default();
    let attachment = Attachment { id: photo_id(item), properties };
    let mut written = touched(owner, fresh, item);
    written.mutation.attachment_puts.push(NewAttachment { item: item.immutable, attachment, content });
    Ok(written)
}

/// Takes the photo away that a contact has.
pub fn remove_photo(owner: &Owner, fresh: &Fresh, item: &Item) -> Written {
    let mut written = touched(owner, fresh, item);
    written.mutation.attachment_removes.push((item.immutable, photo_id(item)));
    written
}

/// The contact in a new version, with the properties that it had.
fn touched(owner: &Owner, fresh: &Fresh, item: &Item) -> Written {
    let after = Item { modified: fresh.now.whole_seconds(), version: fresh.change, ..item.clone() };
    let mutation = Mutation {
        expect: vec![(item.id, Some(item.version))],
        puts: vec![after.clone()],
        changes: vec![Change::updated(owner.tenant, item, &after, fresh.now)],
        ..Mutation::default()
    };
    Written { item: after, mutation }
}
