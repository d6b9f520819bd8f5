//! Items, and what lies below one.

use super::segments::{Name, Segments};
use super::{FolderKey, Function, ItemAction, ItemPart, ItemPath, PathError, Resource, UserKey};
use super::{function, key_of, unknown};
use crate::{Kind, WellKnown};

/// Where a collection of items lies.
pub(super) struct Place {
    pub user: UserKey,
    pub kind: Kind,
    pub folder: Option<FolderKey>,
}

pub(super) fn items(name: Name, segments: &mut Segments, place: Place) -> Result<Resource, PathError> {
    let Place { user, kind, folder } = place;
    let default = || (kind == Kind::Event).then_some(FolderKey::WellKnown(WellKnown::Calendar));
    let Some(id) = key_of(name, segments) else {
        return Ok(Resource::Items { user, kind, folder: folder.or_else(default) });
    };
    match function(&id) {
        Some(Function::Delta) => return Ok(Resource::ItemsDelta { user, kind, folder: folder.or_else(default) }),
        Some(Function::Count) => return Ok(Resource::ItemsCount { user, kind, folder: folder.or_else(default) }),
        None if id.starts_with('$') => return Err(unknown(&id)),
        None => {}
    }
    let item = ItemPath { user, kind, folder, id };
    let Some(mut name) = segments.name()? else {
        return Ok(Resource::Item(item));
    };
    if is_cast(kind, &name) {
        let Some(next) = segments.name()? else { return Ok(Resource::Item(item)) };
        name = next;
    }
    match action(kind, &name) {
        Some(action) => Ok(Resource::ItemAction { item, action }),
        None => Ok(Resource::OfItem { part: part(kind, name, segments)?, item }),
    }
}

/// A segment that says of which derived type the item is, as SDKs write it; the item says so itself.
fn is_cast(kind: Kind, name: &Name) -> bool {
    kind == Kind::Message
        && name.key.is_none()
        && ["eventmessage", "eventmessagerequest", "eventmessageresponse"].contains(&name.text.as_str())
}

fn action(kind: Kind, name: &Name) -> Option<ItemAction> {
    if name.key.is_some() {
        return None;
    }
    match (kind, name.text.as_str()) {
        (Kind::Message, "send") => Some(ItemAction::Send),
        (Kind::Message | Kind::Contact, "move") => Some(ItemAction::Move),
        (Kind::Message, "copy") => Some(ItemAction::Copy),
        (_, "permanentdelete") => Some(ItemAction::PermanentDelete),
        (Kind::Message, "reply") => Some(ItemAction::Reply),
        (Kind::Message, "replyall") => Some(ItemAction::ReplyAll),
        (Kind::Message | Kind::Event, "forward") => Some(ItemAction::Forward),
        (Kind::Message, "createreply") => Some(ItemAction::CreateReply),
        (Kind::Message, "createreplyall") => Some(ItemAction::CreateReplyAll),
        (Kind::Message, "createforward") => Some(ItemAction::CreateForward),
        (Kind::Event, "accept") => Some(ItemAction::Accept),
        (Kind::Event, "decline") => Some(ItemAction::Decline),
        (Kind::Event, "tentativelyaccept") => Some(ItemAction::TentativelyAccept),
        (Kind::Event, "cancel") => Some(ItemAction::Cancel),
        (Kind::Event, "snoozereminder") => Some(ItemAction::SnoozeReminder),
        (Kind::Event, "dismissreminder") => Some(ItemAction::DismissReminder),
        _ => None,
    }
}

fn part(kind: Kind, name: Name, segments: &mut Segments) -> Result<ItemPart, PathError> {
    match (kind, name.text.as_str(), name.key.is_some()) {
        (Kind::Message, "$value", false) => Ok(ItemPart::Value),
        (Kind::Message | Kind::Event, "attachments", _) => attachments(name, segments),
        (_, "extensions", _) => Ok(key_of(name, segments).map_or(ItemPart::Extensions, ItemPart::Extension)),
        (Kind::Event, "instances", _) => match key_of(name, segments) {
            None => Ok(ItemPart::Instances),
            Some(key) if function(&key) == Some(Function::Delta) => Ok(ItemPart::InstancesDelta),
            Some(key) => Err(unknown(&key)),
        },
        (Kind::Event, "exceptionoccurrences", false) => Ok(ItemPart::ExceptionOccurrences),
        (Kind::Event, "calendar", false) => Ok(ItemPart::Calendar),
        (Kind::Message, "event", false) => Ok(ItemPart::Event),
        (Kind::Contact, "photo", false) => match segments.key() {
            None => Ok(ItemPart::Photo),
            Some(value) if value.eq_ignore_ascii_case("$value") => Ok(ItemPart::PhotoValue),
            Some(other) => Err(unknown(&other)),
        },
        _ => Err(unknown(&name.text)),
    }
}

fn attachments(name: Name, segments: &mut Segments) -> Result<ItemPart, PathError> {
    let Some(id) = key_of(name, segments) else {
        return Ok(ItemPart::Attachments);
    };
    let action = id.to_ascii_lowercase();
    match action.strip_prefix("microsoft.graph.").unwrap_or(&action) {
        "createuploadsession" => return Ok(ItemPart::CreateUploadSession),
        "$count" => return Ok(ItemPart::AttachmentsCount),
        _ => {}
    }
    match segments.key() {
        None => Ok(ItemPart::Attachment(id)),
        Some(value) if value.eq_ignore_ascii_case("$value") => Ok(ItemPart::AttachmentValue(id)),
        Some(other) => Err(unknown(&other)),
    }
}
