//! The grammar of paths: what a request below `/v1.0` addresses, and what a subscription's `resource`
//! watches. It reads text only; whether a user, folder or item exists is for others to say.

mod segments;
mod watch;

use crate::{FolderId, Kind, UserId, WellKnown};
use segments::{Name, Segments, shown};
pub use segments::{PATH_BYTES_MAX, SEGMENTS_MAX};
pub use watch::{QueryOption, Watch, WatchError, watch};

/// What a path addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    Users,
    User(UserKey),
    /// A collection of items. `/events` is the default calendar's; without a folder it is all items
    /// of the kind in the mailbox.
    Items {
        user: UserKey,
        kind: Kind,
        folder: Option<FolderKey>,
    },
    /// One item. With a folder, it is there only while that folder holds it.
    Item {
        user: UserKey,
        kind: Kind,
        folder: Option<FolderKey>,
        id: String,
    },
    ItemAction {
        user: UserKey,
        kind: Kind,
        folder: Option<FolderKey>,
        id: String,
        action: ItemAction,
    },
    /// Mail folders, calendars or contact folders, by the kind they hold: at the top, or below `parent`.
    Folders {
        user: UserKey,
        kind: Kind,
        parent: Option<FolderKey>,
    },
    Folder {
        user: UserKey,
        kind: Kind,
        folder: FolderKey,
    },
    SendMail(UserKey),
    Subscriptions,
    Subscription(String),
    Reauthorize(String),
}

/// An action on one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemAction {
    Send,
    Move,
    Copy,
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
        "me" if first.key.is_none() => in_mailbox(&mut segments, UserKey::Me)?,
        "users" => match key_of(first, &mut segments) {
            None => Resource::Users,
            Some(key) => in_mailbox(&mut segments, user_key(&key)?)?,
        },
        "subscriptions" => subscriptions(first, &mut segments)?,
        _ => return Err(PathError::UnknownSegment(shown(&first.text))),
    };
    match segments.key() {
        None => Ok(resource),
        Some(rest) => Err(PathError::UnknownSegment(shown(&rest))),
    }
}

fn subscriptions(name: Name, segments: &mut Segments) -> Result<Resource, PathError> {
    let Some(id) = key_of(name, segments) else {
        return Ok(Resource::Subscriptions);
    };
    match segments.name()? {
        None => Ok(Resource::Subscription(id)),
        Some(name) if name.text == "reauthorize" && name.key.is_none() => Ok(Resource::Reauthorize(id)),
        Some(name) => Err(PathError::UnknownSegment(shown(&name.text))),
    }
}

fn in_mailbox(segments: &mut Segments, user: UserKey) -> Result<Resource, PathError> {
    let Some(name) = segments.name()? else {
        return Ok(Resource::User(user));
    };
    match (name.text.as_str(), name.key.is_some()) {
        ("messages", _) => items(name, segments, Place { user, kind: Kind::Message, folder: None }),
        ("events", _) => items(name, segments, Place { user, kind: Kind::Event, folder: None }),
        ("contacts", _) => items(name, segments, Place { user, kind: Kind::Contact, folder: None }),
        ("mailfolders", _) => folders(name, segments, user, Kind::Message),
        ("calendars", _) => folders(name, segments, user, Kind::Event),
        ("contactfolders", _) => folders(name, segments, user, Kind::Contact),
        ("calendar", false) => {
            let folder = FolderKey::WellKnown(WellKnown::Calendar);
            in_folder(segments, user, Kind::Event, folder)
        }
        ("sendmail", false) => Ok(Resource::SendMail(user)),
        _ => Err(PathError::UnknownSegment(shown(&name.text))),
    }
}

/// Where a collection of items lies.
struct Place {
    user: UserKey,
    kind: Kind,
    folder: Option<FolderKey>,
}

fn items(name: Name, segments: &mut Segments, place: Place) -> Result<Resource, PathError> {
    let Place { user, kind, folder } = place;
    let Some(id) = key_of(name, segments) else {
        let default = || (kind == Kind::Event).then_some(FolderKey::WellKnown(WellKnown::Calendar));
        return Ok(Resource::Items { user, kind, folder: folder.or_else(default) });
    };
    if is_function(&id) {
        return Err(PathError::UnknownSegment(shown(&id)));
    }
    let Some(name) = segments.name()? else {
        return Ok(Resource::Item { user, kind, folder, id });
    };
    let action = match (kind, name.text.as_str()) {
        _ if name.key.is_some() => None,
        (Kind::Message, "send") => Some(ItemAction::Send),
        (Kind::Message | Kind::Contact, "move") => Some(ItemAction::Move),
        (Kind::Message, "copy") => Some(ItemAction::Copy),
        _ => None,
    };
    let action = action.ok_or_else(|| PathError::UnknownSegment(shown(&name.text)))?;
    Ok(Resource::ItemAction { user, kind, folder, id, action })
}

/// Whether a segment in a key's place is a function of the collection (`delta`, `$count`).
fn is_function(key: &str) -> bool {
    let name = key.to_ascii_lowercase();
    let name = name.strip_prefix("microsoft.graph.").unwrap_or(&name);
    name.starts_with('$') || name == "delta" || name.starts_with("delta(")
}

fn folders(name: Name, segments: &mut Segments, user: UserKey, kind: Kind) -> Result<Resource, PathError> {
    match key_of(name, segments) {
        None => Ok(Resource::Folders { user, kind, parent: None }),
        Some(key) if is_function(&key) => Err(PathError::UnknownSegment(shown(&key))),
        Some(key) => in_folder(segments, user, kind, FolderKey::read(kind, &key)),
    }
}

fn in_folder(segments: &mut Segments, user: UserKey, kind: Kind, mut folder: FolderKey) -> Result<Resource, PathError> {
    loop {
        let Some(name) = segments.name()? else {
            return Ok(Resource::Folder { user, kind, folder });
        };
        if name.text == kind.collection() {
            return items(name, segments, Place { user, kind, folder: Some(folder) });
        }
        if name.text != "childfolders" || kind == Kind::Event {
            return Err(PathError::UnknownSegment(shown(&name.text)));
        }
        match key_of(name, segments) {
            None => return Ok(Resource::Folders { user, kind, parent: Some(folder) }),
            Some(key) => folder = FolderKey::read(kind, &key),
        }
    }
}

/// The key of a collection: in parentheses behind its name, or the next segment.
fn key_of(name: Name, segments: &mut Segments) -> Option<String> {
    name.key.or_else(|| segments.key())
}

/// Says outright that a UPN follows, which matters for one that begins with a GUID.
const UPN_PREFIX: &str = "AAD-UPN:";

fn user_key(key: &str) -> Result<UserKey, PathError> {
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
