//! The grammar of the table's paths: which row a text leads to, and with which keys. A thing's row and keys are
//! what is kept of it; the text of a place, with its keys filled in, is what is looked up.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use super::{Entry, PlaceRow, QUERY_BYTES_MAX, ResourceKind, ThingRow};
use crate::UserId;
use crate::path::{QueryOption, Segments, UserKey, WatchError, options, shown, user_key};

/// What a subscription's `resource` names, and says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub kind: ResourceKind,
    pub row: &'static PlaceRow,
    /// The user in the path: whose it is, or who it is.
    pub user: Option<UserKey>,
    /// What stands behind the `?`.
    pub options: Vec<QueryOption>,
    /// The other keys.
    keys: Vec<String>,
}

/// One thing of a tenant: where it lies.
#[derive(Clone, Debug)]
pub struct Thing {
    pub kind: ResourceKind,
    pub row: &'static ThingRow,
    /// The user in the path.
    pub user: Option<UserId>,
    keys: Vec<String>,
}

/// Why a text names no thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThingError {
    #[error("'{0}' is no resource whose changes are told; see the table of resources")]
    Unknown(String),
    #[error("'{0}' is malformed")]
    Malformed(String),
    #[error("'me' names nobody here; write users/{{id}}")]
    Me,
}

/// Reads a subscription's `resource`.
pub fn place(resource: &str) -> Result<Place, WatchError> {
    let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
    let segments = Segments::cut(path.trim()).map_err(|_| WatchError::Invalid)?;
    let rows = Entry::all().iter().flat_map(|entry| entry.places.iter().map(|row| (entry.kind, row)));
    let mut found = rows.filter_map(|(kind, row)| Some((kind, row, fit(row.pattern, &segments)?)));
    let (kind, row, fitted) = found.next().ok_or(WatchError::UnsupportedWorkload)?;
    let Fitted { user, keys } = fitted.map_err(|Malformed| WatchError::Invalid)?;
    Ok(Place { kind, row, user, options: options(query, QUERY_BYTES_MAX)?, keys })
}

/// Reads the path of a thing. The user in it may be named by UPN: `user_of` says who that is, or why it is nobody.
pub fn thing<E: From<ThingError>>(path: &str, user_of: impl FnOnce(&str) -> Result<UserId, E>) -> Result<Thing, E> {
    let malformed = || ThingError::Malformed(shown(path));
    let segments = Segments::cut(path.trim()).map_err(|_| malformed())?;
    let rows = Entry::all().iter().flat_map(|entry| entry.things.iter().map(|row| (entry.kind, row)));
    let mut found = rows.filter_map(|(kind, row)| Some((kind, row, fit(row.pattern, &segments)?)));
    let (kind, row, fitted) = found.next().ok_or_else(|| ThingError::Unknown(shown(path)))?;
    let Fitted { user, keys } = fitted.map_err(|Malformed| malformed())?;
    let user = match user {
        None => None,
        Some(UserKey::Id(id)) => Some(id),
        Some(UserKey::Upn(upn)) => Some(user_of(&upn)?),
        Some(UserKey::Me) => return Err(ThingError::Me.into()),
    };
    Ok(Thing { kind, row, user, keys })
}

impl Place {
    /// Whether it is a user's, so that it is not for everybody who may watch such places. Users themselves are the
    /// directory's.
    pub fn is_of_user(&self) -> bool {
        self.user.is_some() && self.kind != ResourceKind::User
    }

    /// The place's text, which things there are looked up by. `user` is who [`Place::user`] is.
    pub fn text(&self, user: Option<UserId>) -> String {
        filled(self.row.pattern, user, &self.keys, keep)
    }
}

impl Thing {
    /// The texts of the places where it is heard of.
    pub fn heard_at(&self) -> impl Iterator<Item = String> {
        self.row.heard_at.iter().map(|pattern| self.written(pattern, keep))
    }

    /// The thing's own path: the same for the same thing.
    pub fn text(&self) -> String {
        self.written(self.row.pattern, keep)
    }

    /// A pattern with its keys filled in, as notifications show it: a quote in a quoted key stands twice.
    pub fn shown(&self, pattern: &str) -> String {
        self.written(pattern, |key| key.replace('\'', "''"))
    }

    /// The same for all that tells of one thing, whatever of it has changed; hardly ever for two.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.kind, self.user, &self.keys).hash(&mut hasher);
        hasher.finish()
    }

    /// Its last key: its `id`.
    pub fn id(&self) -> String {
        self.keys.last().cloned().or_else(|| Some(self.user?.to_string())).unwrap_or_default()
    }

    fn written(&self, pattern: &str, key: impl Fn(&str) -> String) -> String {
        filled(pattern, self.user, &self.keys, key)
    }
}

/// A key that keeps texts apart: what ends a segment is written as in a URL.
fn keep(key: &str) -> String {
    key.replace('%', "%25").replace('/', "%2F").replace('?', "%3F")
}

/// The pattern takes the keys in their order, as many as it has places for.
fn filled(pattern: &str, user: Option<UserId>, keys: &[String], write: impl Fn(&str) -> String) -> String {
    let mut text = String::with_capacity(pattern.len() + 36 * (1 + keys.len()));
    let mut keys = keys.iter();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        match (name, user) {
            ("user", Some(user)) => {
                let _ = write!(text, "{user}");
            }
            _ => text.extend(keys.next().map(|key| write(key))),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

struct Fitted {
    user: Option<UserKey>,
    keys: Vec<String>,
}

/// The path fits, but a key cannot be one.
struct Malformed;

/// Whether a path fits a pattern. Names are read in any case, keys stand in parentheses or as segments.
fn fit(pattern: &str, segments: &Segments) -> Option<Result<Fitted, Malformed>> {
    let mut rest = segments.clone();
    let mut fitted = Fitted { user: None, keys: Vec::new() };
    let mut parenthesis: Option<String> = None;
    let mut parts = pattern.split('/').peekable();
    let mut is_malformed = false;
    while let Some(part) = parts.next() {
        match part {
            "{user}" | "{id}" => {
                let key = parenthesis.take().or_else(|| rest.key())?;
                is_malformed |= key.is_empty() || key.starts_with('$') || key.chars().any(char::is_control);
                match part {
                    "{user}" => match user_key(&key) {
                        Ok(user) => fitted.user = Some(user),
                        Err(_) => is_malformed = true,
                    },
                    _ => fitted.keys.push(normal(key)),
                }
            }
            name => {
                let found = rest.name().ok()??;
                if parenthesis.is_some() {
                    return None;
                }
                if name == "users" && parts.peek() == Some(&"{user}") && found.text == "me" && found.key.is_none() {
                    fitted.user = Some(UserKey::Me);
                    parts.next();
                } else if found.text.eq_ignore_ascii_case(name) {
                    parenthesis = found.key;
                } else {
                    return None;
                }
            }
        }
    }
    if parenthesis.is_some() || rest.end().is_err() {
        return None;
    }
    Some(if is_malformed { Err(Malformed) } else { Ok(fitted) })
}

/// GUIDs are one in any case; other keys are to the letter.
fn normal(key: String) -> String {
    match (key.len(), Uuid::try_parse(&key)) {
        (36, Ok(guid)) => guid.to_string(),
        _ => key,
    }
}

/// The stored form: the row's pattern, which is its name, and the keys.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    kind: ResourceKind,
    pattern: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
}

impl Serialize for Thing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pattern = self.row.pattern.to_owned();
        Stored { kind: self.kind, pattern, user: self.user, keys: self.keys.clone() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Thing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored { kind, pattern, user, keys } = Stored::deserialize(deserializer)?;
        let row = kind.entry().things.iter().find(|row| row.pattern == pattern);
        let row = row.ok_or_else(|| de::Error::custom(format!("no {} lies at {pattern}", kind.entry().name)))?;
        Ok(Self { kind, row, user, keys })
    }
}

impl PartialEq for Thing {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.row.pattern, self.user, &self.keys) == (other.kind, other.row.pattern, other.user, &other.keys)
    }
}

impl Eq for Thing {}
