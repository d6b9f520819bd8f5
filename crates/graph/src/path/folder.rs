//! Mail folders, calendars and contact folders, and what lies below one.

use super::segments::{Name, Segments};
use super::{FolderAction, FolderKey, Function, PathError, Resource, UserKey, function, item, key_of, unknown};
use crate::Kind;

pub(super) fn folders(name: Name, segments: &mut Segments, user: UserKey, kind: Kind) -> Result<Resource, PathError> {
    let Some(key) = key_of(name, segments) else {
        return Ok(Resource::Folders { user, kind, parent: None });
    };
    match function(&key) {
        Some(Function::Delta) if kind != Kind::Event => Ok(Resource::FoldersDelta { user, kind }),
        Some(Function::Count) => Ok(Resource::FoldersCount { user, kind, parent: None }),
        Some(_) => Err(unknown(&key)),
        None => in_folder(segments, user, kind, FolderKey::read(kind, &key)),
    }
}

pub(super) fn in_folder(
    segments: &mut Segments,
    user: UserKey,
    kind: Kind,
    mut folder: FolderKey,
) -> Result<Resource, PathError> {
    loop {
        let Some(name) = segments.name()? else {
            return Ok(Resource::Folder { user, kind, folder });
        };
        if name.text == kind.collection() {
            return item::items(name, segments, item::Place { user, kind, folder: Some(folder) });
        }
        if let Some(action) = action(kind, &name) {
            return Ok(Resource::FolderAction { user, kind, folder, action });
        }
        match (kind, name.text.as_str(), name.key.is_some()) {
            (Kind::Event, "calendarview", false) => return calendar_view(segments, user, folder),
            (Kind::Message | Kind::Contact, "childfolders", _) => {}
            _ => return Err(unknown(&name.text)),
        }
        match key_of(name, segments) {
            None => return Ok(Resource::Folders { user, kind, parent: Some(folder) }),
            Some(key) => match function(&key) {
                Some(Function::Count) => return Ok(Resource::FoldersCount { user, kind, parent: Some(folder) }),
                Some(Function::Delta) => return Err(unknown(&key)),
                None => folder = FolderKey::read(kind, &key),
            },
        }
    }
}

fn action(kind: Kind, name: &Name) -> Option<FolderAction> {
    match (kind, name.text.as_str(), name.key.is_some()) {
        (Kind::Message, "move", false) => Some(FolderAction::Move),
        (Kind::Message, "copy", false) => Some(FolderAction::Copy),
        (_, "permanentdelete", false) => Some(FolderAction::PermanentDelete),
        (Kind::Event, "getschedule", false) => Some(FolderAction::GetSchedule),
        _ => None,
    }
}

pub(super) fn calendar_view(
    segments: &mut Segments,
    user: UserKey,
    calendar: FolderKey,
) -> Result<Resource, PathError> {
    match segments.key() {
        None => Ok(Resource::CalendarView { user, calendar }),
        Some(key) if function(&key) == Some(Function::Delta) => Ok(Resource::CalendarViewDelta { user, calendar }),
        Some(key) => Err(unknown(&key)),
    }
}

pub(super) fn calendar_groups(name: Name, segments: &mut Segments, user: UserKey) -> Result<Resource, PathError> {
    let Some(key) = key_of(name, segments) else {
        return Ok(Resource::CalendarGroups(user));
    };
    let group = FolderKey::read(Kind::Event, &key);
    let Some(name) = segments.name()? else {
        return Ok(Resource::CalendarGroup { user, group });
    };
    if name.text != "calendars" {
        return Err(unknown(&name.text));
    }
    match key_of(name, segments) {
        None => Ok(Resource::CalendarsOfGroup { user, group }),
        Some(key) => in_folder(segments, user, Kind::Event, FolderKey::read(Kind::Event, &key)),
    }
}
