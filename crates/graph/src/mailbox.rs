//! The rules of a mailbox: what each operation writes, and what it refuses.
//!
//! Every operation is a function of the present state, the request and [`Fresh`]; it answers with the
//! [`Mutation`] to commit. Bodies are read by [`crate::schema`]; what is absent gets Outlook's defaults.

mod answer;
pub mod attachment;
mod calendar;
pub mod calendar_group;
mod contact;
mod conversation;
mod create;
mod create_folder;
mod delete;
mod delete_folder;
mod event;
pub mod extension;
mod folder_name;
mod mailbox_settings;
pub mod meeting;
mod message;
mod mime;
mod move_folder;
mod occurrence;
mod patch;
mod photo;
mod preview;
mod quote;
mod receive;
mod relocate;
mod remind;
mod rename_folder;
pub mod schedule;
mod search_folder;
mod send;
mod series;
mod settings;
mod undeliverable;
mod when;

use serde_json::Value;
use serde_json::map::Entry;
use uuid::Uuid;

use crate::{Change, ChangeId, Folder, FolderId, Item, ItemId, Kind, Mutation, Properties, PropertyBag, Refusal};
use crate::{TenantId, Timestamp, UserId, WellKnown};
pub use answer::{Answering, answer_draft, send_answer};
pub use calendar::{create_calendar, patch_calendar};
pub use conversation::{began_at, conversation_id, conversation_index, named_at};
pub use create::{create, transaction_uuid, write_again};
pub use create_folder::create_folder;
pub use delete::{delete, remove};
pub use delete_folder::{Doomed, FolderDeletion, delete_folder, doomed, remove_folders};
pub use folder_name::are_namesakes;
pub use mailbox_settings::{MAILBOX_SETTINGS, mailbox_settings, patch_mailbox_settings};
pub use mime::{create_mime, send_mime};
pub use move_folder::{FOLDERS_COPIED_MAX, FolderCopy, copy_folder, copy_items, move_folder};
pub use occurrence::{CANCELLED_MAX, EXCEPTIONS_MAX, OccurrenceWritten, patch_occurrence};
pub use patch::patch;
pub use photo::{PHOTO_BYTES_MAX, photo_id, remove_photo, set_photo};
pub use preview::{PREVIEW_CHARS_MAX, plain_text, preview};
pub use receive::receive;
pub use relocate::{copy_item, move_item};
pub use remind::{Remind, new_reminder_time, remind, remind_of_occurrence};
pub use rename_folder::rename_folder;
pub(crate) use search_folder::show as show_search;
pub use search_folder::{SEARCH_FOLDER_TYPE, SearchFolder};
pub use send::{RECIPIENTS_MAX, Sent, send_draft, send_mail};
pub use settings::{CATEGORY_NAME_CHARS_MAX, SETTINGS_MAX, Settings};
pub use undeliverable::report_undeliverable;

/// Whose mailbox it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub tenant: TenantId,
    pub id: UserId,
    /// The mail address; also the UPN.
    pub address: String,
    pub name: String,
}

/// What an operation takes from outside to make new things: the time, and ids used nowhere before.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    pub now: Timestamp,
    /// For a new item or folder.
    pub uuid: Uuid,
    /// For the version that the operation writes.
    pub change: ChangeId,
    /// For the removal of the old item, where an operation replaces one by another; for the version of the
    /// second item, where it writes two.
    pub removal: ChangeId,
}

/// An item as an operation left it, and what to commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub item: Item,
    pub mutation: Mutation,
}

/// A folder as an operation left it, and what to commit.
#[derive(Clone, Debug, PartialEq)]
pub struct FolderWritten {
    pub folder: Folder,
    pub mutation: Mutation,
}

/// A new item in a folder, with the attachments that its properties bring.
fn put_new(owner: &Owner, fresh: &Fresh, folder: FolderId, properties: impl Into<PropertyBag>) -> Written {
    let mut properties = properties.into();
    let attachments = attachment::take(fresh, folder.kind, &mut properties);
    let item = Item {
        id: ItemId::new(folder.kind, fresh.uuid),
        immutable: fresh.uuid,
        mailbox: owner.id,
        folder,
        created: fresh.now,
        modified: fresh.now.whole_seconds(),
        version: fresh.change,
        properties,
    };
    let mut written = put(owner, fresh, item);
    written.mutation.attachment_puts = attachments;
    written
}

/// An item as it is after a write that leaves it where it is.
fn rewrite(owner: &Owner, fresh: &Fresh, item: &Item, properties: impl Into<PropertyBag>) -> Written {
    let told = !is_buried(owner, item.folder);
    let properties = properties.into();
    let after = Item { modified: fresh.now.whole_seconds(), version: fresh.change, properties, ..item.clone() };
    let mutation = Mutation {
        expect: vec![(item.id, Some(item.version))],
        puts: vec![after.clone()],
        changes: told.then(|| Change::updated(owner.tenant, item, &after, fresh.now)).into_iter().collect(),
        ..Mutation::default()
    };
    Written { item: after, mutation }
}

/// Whether a folder is Recoverable Items, of whose contents nobody is told: what comes there is deleted.
fn is_buried(owner: &Owner, folder: FolderId) -> bool {
    folder.kind == Kind::Message && folder == WellKnown::RecoverableItemsDeletions.id_in(owner.id)
}

/// An item under an id that was not used before.
fn put(owner: &Owner, fresh: &Fresh, item: Item) -> Written {
    let told = !is_buried(owner, item.folder);
    let mutation = Mutation {
        expect: vec![(item.id, None)],
        puts: vec![item.clone()],
        changes: told.then(|| Change::created(owner.tenant, &item, fresh.now)).into_iter().collect(),
        ..Mutation::default()
    };
    Written { item, mutation }
}

/// Adds to `mutation` that `old` is taken away; subscribers hear of it first.
fn take_away(owner: &Owner, fresh: &Fresh, old: &Item, mutation: &mut Mutation) {
    mutation.expect.push((old.id, Some(old.version)));
    mutation.removes.push(old.id);
    if !is_buried(owner, old.folder) {
        mutation.changes.insert(0, Change::deleted(owner.tenant, old, fresh.removal, fresh.now));
    }
}

/// Gives an item of a kind what it must have, and brings what it has into the form that is stored.
fn complete(owner: &Owner, fresh: &Fresh, kind: Kind, properties: &mut Properties) -> Result<(), Refusal> {
    properties.retain(|_, value| !value.is_null());
    extension::complete(properties)?;
    match kind {
        Kind::Message => message::complete(owner, fresh, properties)?,
        Kind::Event => event::complete(owner, fresh, properties)?,
        Kind::Contact => {
            contact::complete(properties);
            return Ok(());
        }
    }
    attachment::complete(owner, fresh, properties)
}

/// Sets a property that is absent.
fn default(properties: &mut Properties, name: &str, value: impl FnOnce() -> Value) {
    if let Entry::Vacant(absent) = properties.entry(name) {
        absent.insert(value());
    }
}

fn text<'a>(properties: &'a Properties, name: &str) -> &'a str {
    properties.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(properties: &Properties, name: &str) -> bool {
    properties.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// The address in a recipient, an attendee or an organizer.
fn address_of(recipient: &Value) -> &str {
    recipient.pointer("/emailAddress/address").and_then(Value::as_str).unwrap_or_default()
}

/// Names a recipient by its address if it has no name.
fn name_recipient(recipient: &mut Value) {
    if let Some(email) = recipient.get_mut("emailAddress") {
        name_email_address(email);
    }
}

fn name_email_address(email: &mut Value) {
    let address = email.get("address").cloned().unwrap_or_default();
    if let Some(email) = email.as_object_mut()
        && email.get("name").is_none_or(Value::is_null)
        && !address.is_null()
    {
        email.insert("name".to_owned(), address);
    }
}

fn members_mut<'a>(properties: &'a mut Properties, name: &str) -> impl Iterator<Item = &'a mut Value> {
    properties.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Gives a body its type and content, and the item its preview.
fn complete_body(properties: &mut Properties) {
    default(properties, "body", || serde_json::json!({}));
    let mut shown = String::new();
    if let Some(body) = properties.get_mut("body").and_then(Value::as_object_mut) {
        body.retain(|_, value| !value.is_null());
        default(body, "contentType", || "text".into());
        default(body, "content", || "".into());
        shown = preview(text(body, "contentType"), text(body, "content"));
    }
    default(properties, "bodyPreview", || shown.into());
}

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
pub(crate) mod tests;
