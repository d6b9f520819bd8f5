//! The grammar of paths: what a request below `/v1.0` addresses, and what a subscription's `resource`
//! watches. It reads text only; whether a user, folder or item exists is for others to say.

mod folder;
mod item;
mod owner;
mod segments;
mod user;
mod watch;

use crate::{FolderId, Kind, UserId, WellKnown};
use segments::Name;
pub use segments::{PATH_BYTES_MAX, SEGMENTS_MAX};
pub(crate) use segments::{Segments, shown};
pub(crate) use watch::options;
pub use watch::{QueryOption, Watch, WatchError, watch};

/// What a path addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `$metadata`
    Metadata,
    /// `$batch`
    Batch,
    Users,
    User(UserKey),
    /// Something of a user that is neither an item nor a folder.
    OfUser {
        user: UserKey,
        part: UserPart,
    },
    /// A collection of items. `/events` is the default calendar's; without a folder it is all items
    /// of the kind in the mailbox.
    Items {
        user: UserKey,
        kind: Kind,
        folder: Option<FolderKey>,
    },
    /// The changes of a collection of items since a token.
    ItemsDelta {
        user: UserKey,
        kind: Kind,
        folder: Option<FolderKey>,
    },
    /// How many items a collection holds, as plain text.
    ItemsCount {
        user: UserKey,
        kind: Kind,
        folder: Option<FolderKey>,
    },
    Item(ItemPath),
    ItemAction {
        item: ItemPath,
        action: ItemAction,
    },
    /// Something that belongs to one item.
    OfItem {
        item: ItemPath,
        part: ItemPart,
    },
    /// The occurrences of a calendar in a time window.
    CalendarView {
        user: UserKey,
        calendar: FolderKey,
    },
    CalendarViewDelta {
        user: UserKey,
        calendar: FolderKey,
    },
    /// Mail folders, calendars or contact folders, by the kind they hold: at the top, or below `parent`.
    Folders {
        user: UserKey,
        kind: Kind,
        parent: Option<FolderKey>,
    },
    FoldersDelta {
        user: UserKey,
        kind: Kind,
    },
    FoldersCount {
        user: UserKey,
        kind: Kind,
        parent: Option<FolderKey>,
    },
    Folder {
        user: UserKey,
        kind: Kind,
        folder: FolderKey,
    },
    FolderAction {
        user: UserKey,
        kind: Kind,
        folder: FolderKey,
        action: FolderAction,
    },
    CalendarGroups(UserKey),
    CalendarGroup {
        user: UserKey,
        group: FolderKey,
    },
    /// The calendars of a group.
    CalendarsOfGroup {
        user: UserKey,
        group: FolderKey,
    },
    Subscriptions,
    Subscription(String),
    Reauthorize(String),
}

/// Where one item is. With a folder, it is there only while that folder holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemPath {
    pub user: UserKey,
    pub kind: Kind,
    pub folder: Option<FolderKey>,
    /// As the path has it: an id, an immutable id, or an occurrence's.
    pub id: String,
}

/// An action on one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemAction {
    Send,
    Move,
    Copy,
    PermanentDelete,
    Reply,
    ReplyAll,
    Forward,
    CreateReply,
    CreateReplyAll,
    CreateForward,
    Accept,
    Decline,
    TentativelyAccept,
    Cancel,
    SnoozeReminder,
    DismissReminder,
}

/// What belongs to one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemPart {
    /// `$value`: the message as MIME.
    Value,
    Attachments,
    AttachmentsCount,
    Attachment(String),
    /// `attachments/{id}/$value`
    AttachmentValue(String),
    /// `attachments/createUploadSession`
    CreateUploadSession,
    Extensions,
    Extension(String),
    /// The occurrences of a series in a time window.
    Instances,
    InstancesDelta,
    /// The occurrences of a series that differ from it.
    ExceptionOccurrences,
    /// The calendar that holds an event.
    Calendar,
    /// The event that a meeting message is about.
    Event,
    Photo,
    /// `photo/$value`
    PhotoValue,
}

/// An action on one folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderAction {
    Move,
    Copy,
    PermanentDelete,
    GetSchedule,
}

/// What a user has besides items and folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserPart {
    SendMail,
    TranslateExchangeIds,
    MasterCategories,
    MasterCategory(String),
    /// Reminders in a time window, by the function's parameters as they stand in the path.
    ReminderView {
        start: String,
        end: String,
    },
    FocusedOverrides,
    FocusedOverride(String),
    MailboxSettings,
    /// One of them, as the path names it.
    MailboxSetting(String),
}

/// A user as a path names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserKey {
    /// The signed-in user.
    Me,
    Id(UserId),
    Upn(String),
}

/// A mail folder, calendar or contact folder as a path names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderKey {
    WellKnown(WellKnown),
    Id(FolderId),
    /// Text that can name no folder of this kind: there is no such folder.
    Unknown(String),
}

impl FolderKey {
    /// Reads a well-known name in any case or an id, of a folder that holds `kind`.
    pub fn read(kind: Kind, text: &str) -> Self {
        let well_known = text.parse::<WellKnown>().ok().filter(|folder| folder.kind() == kind);
        let id = || text.parse::<FolderId>().ok().filter(|id| id.kind == kind);
        match well_known {
            Some(folder) => FolderKey::WellKnown(folder),
            None => id().map_or_else(|| FolderKey::Unknown(shown(text)), FolderKey::Id),
        }
    }

    /// The folder's id in a mailbox; `None` if there can be no such folder.
    pub fn id_in(&self, mailbox: UserId) -> Option<FolderId> {
        match self {
            FolderKey::WellKnown(folder) => Some(folder.id_in(mailbox)),
            FolderKey::Id(id) => Some(*id),
            FolderKey::Unknown(_) => None,
        }
    }
}

/// Why a path addresses nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the path is empty")]
    Empty,
    #[error("the path is longer than {PATH_BYTES_MAX} bytes or {SEGMENTS_MAX} segments")]
    TooLong,
    #[error("the path is not UTF-8 after percent-decoding")]
    BadEncoding,
    #[error("the key is malformed: {0}")]
    BadKey(String),
    #[error("a key is missing after {0}")]
    MissingKey(String),
    #[error("no resource has the segment {0}")]
    UnknownSegment(String),
}

/// Reads a request path as it stands below `/v1.0` or `/beta`, still percent-encoded, without a query.
pub fn parse(path: &str) -> Result<Resource, PathError> {
    let mut segments = Segments::cut(path)?;
    let first = segments.name()?.ok_or(PathError::Empty)?;
    let resource = match first.text.as_str() {
        "me" if first.key.is_none() => user::in_mailbox(&mut segments, UserKey::Me)?,
        "users" => match key_of(first, &mut segments) {
            None => Resource::Users,
            Some(key) => user::in_mailbox(&mut segments, user_key(&key)?)?,
        },
        "subscriptions" => subscriptions(first, &mut segments)?,
        "$metadata" => Resource::Metadata,
        "$batch" => Resource::Batch,
        _ => return Err(unknown(&first.text)),
    };
    segments.end()?;
    Ok(resource)
}

fn subscriptions(name: Name, segments: &mut Segments) -> Result<Resource, PathError> {
    let Some(id) = key_of(name, segments) else {
        return Ok(Resource::Subscriptions);
    };
    match segments.name()? {
        None => Ok(Resource::Subscription(id)),
        Some(name) if name.text == "reauthorize" && name.key.is_none() => Ok(Resource::Reauthorize(id)),
        Some(name) => Err(unknown(&name.text)),
    }
}

fn unknown(segment: &str) -> PathError {
    PathError::UnknownSegment(shown(segment))
}

/// A function of a collection, in a key's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Delta,
    Count,
}

/// The function that a segment in a key's place names; ids never look like one.
fn function(key: &str) -> Option<Function> {
    let name = key.to_ascii_lowercase();
    match name.strip_prefix("microsoft.graph.").unwrap_or(&name) {
        "delta" | "delta()" => Some(Function::Delta),
        "$count" => Some(Function::Count),
        _ => None,
    }
}

/// The key of a collection: in parentheses behind its name, or the next segment.
fn key_of(name: Name, segments: &mut Segments) -> Option<String> {
    name.key.or_else(|| segments.key())
}

/// Says outright that a UPN follows, which matters for one that begins with a GUID.
const UPN_PREFIX: &str = "AAD-UPN:";

pub(crate) fn user_key(key: &str) -> Result<UserKey, PathError> {
    if let Some(prefix) = key.get(..UPN_PREFIX.len())
        && prefix.eq_ignore_ascii_case(UPN_PREFIX)
    {
        return upn(&key[UPN_PREFIX.len()..]);
    }
    let without_tenant = key.split_once('@').filter(|(_, tenant)| guid(tenant).is_some()).map_or(key, |(user, _)| user);
    match guid(without_tenant) {
        Some(id) => Ok(UserKey::Id(id)),
        None => upn(key),
    }
}

fn upn(text: &str) -> Result<UserKey, PathError> {
    let named = !text.is_empty() && !text.chars().any(char::is_control);
    if named { Ok(UserKey::Upn(text.to_owned())) } else { Err(PathError::BadKey(shown(text))) }
}

/// A GUID in the form with hyphens only; other spellings could be names.
fn guid(text: &str) -> Option<UserId> {
    if text.len() == 36 { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
