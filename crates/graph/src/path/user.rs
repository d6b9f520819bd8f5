//! What lies below a user.

use super::segments::{Name, Segments};
use super::{FolderKey, PathError, Resource, UserKey, UserPart, folder, item, key_of, unknown};
use crate::{Kind, WellKnown};

pub(super) fn in_mailbox(segments: &mut Segments, user: UserKey) -> Result<Resource, PathError> {
    let Some(name) = segments.name()? else {
        return Ok(Resource::User(user));
    };
    let calendar = FolderKey::WellKnown(WellKnown::Calendar);
    match (name.text.as_str(), name.key.is_some()) {
        ("messages", _) => item::items(name, segments, item::Place { user, kind: Kind::Message, folder: None }),
        ("events", _) => item::items(name, segments, item::Place { user, kind: Kind::Event, folder: None }),
        ("contacts", _) => item::items(name, segments, item::Place { user, kind: Kind::Contact, folder: None }),
        ("mailfolders", _) => folder::folders(name, segments, user, Kind::Message),
        ("calendars", _) => folder::folders(name, segments, user, Kind::Event),
        ("contactfolders", _) => folder::folders(name, segments, user, Kind::Contact),
        ("calendargroups", _) => folder::calendar_groups(name, segments, user),
        ("calendar", false) => folder::in_folder(segments, user, Kind::Event, calendar),
        ("calendarview", false) => folder::calendar_view(segments, user, calendar),
        _ => Ok(Resource::OfUser { part: part(name, segments)?, user }),
    }
}

fn part(name: Name, segments: &mut Segments) -> Result<UserPart, PathError> {
    match (name.text.as_str(), &name.key) {
        ("sendmail", None) => Ok(UserPart::SendMail),
        ("translateexchangeids", None) => Ok(UserPart::TranslateExchangeIds),
        ("mailboxsettings", None) => Ok(segments.key().map_or(UserPart::MailboxSettings, UserPart::MailboxSetting)),
        ("reminderview", Some(parameters)) => reminder_view(parameters).ok_or_else(|| unknown(&name.text)),
        ("outlook", None) => {
            let categories = segments.name()?.filter(|name| name.text == "mastercategories");
            let categories = categories.ok_or_else(|| unknown(&name.text))?;
            Ok(key_of(categories, segments).map_or(UserPart::MasterCategories, UserPart::MasterCategory))
        }
        ("inferenceclassification", None) => {
            let overrides = segments.name()?.filter(|name| name.text == "overrides");
            let overrides = overrides.ok_or_else(|| unknown(&name.text))?;
            Ok(key_of(overrides, segments).map_or(UserPart::FocusedOverrides, UserPart::FocusedOverride))
        }
        _ => Err(unknown(&name.text)),
    }
}

/// Reads `startDateTime='…',endDateTime='…'`, in any order and case.
fn reminder_view(parameters: &str) -> Option<UserPart> {
    let (mut start, mut end) = (None, None);
    for parameter in parameters.split(',') {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('\'').to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "startdatetime" => start = Some(value),
            "enddatetime" => end = Some(value),
            _ => return None,
        }
    }
    Some(UserPart::ReminderView { start: start?, end: end? })
}
