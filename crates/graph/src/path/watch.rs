//! A subscription's `resource`: a collection of items in one mailbox, with query options.

use percent_encoding::percent_decode_str;

use super::{FolderKey, PathError, Resource, UserKey, parse};
use crate::Kind;

/// What a `resource` asks to watch. Without a folder: all items of the kind in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub user: UserKey,
    pub kind: Kind,
    /// Never [`FolderKey::Unknown`].
    pub folder: Option<FolderKey>,
    pub options: Vec<QueryOption>,
}

/// One `name=value` after the `?`, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryOption {
    /// As sent, but decoded: `$filter`, perhaps in another case.
    pub name: String,
    pub value: String,
}

/// Why a `resource` cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// It lies outside messages, events and contacts.
    #[error(
        "resource must lead to messages, events or contacts, such as me/messages, or to what docs/resources.md names, such \
         as users, without the server's URL"
    )]
    UnsupportedWorkload,
    /// It is addressed well, but raises no notifications: a single item, or folders.
    #[error("resource must name a collection of messages, events or contacts, neither a single item nor folders")]
    NotSupported,
    /// It is malformed, or names a folder that cannot be.
    #[error("resource is malformed, or names a folder or calendar that does not exist")]
    Invalid,
}

impl WatchError {
    /// The sentence in which Graph says it.
    pub fn graph_text(&self) -> &'static str {
        match self {
            WatchError::UnsupportedWorkload => "Unsupported workload.",
            WatchError::NotSupported => "The value of parameter 'Resource' is not supported.",
            WatchError::Invalid => "The value of parameter 'Resource' is invalid.",
        }
    }
}

/// Reads a subscription's `resource`.
pub fn watch(resource: &str) -> Result<Watch, WatchError> {
    let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
    let parsed = parse(path.trim()).map_err(|error| match error {
        PathError::UnknownSegment(_) => WatchError::UnsupportedWorkload,
        _ => WatchError::Invalid,
    })?;
    let options = options(query, super::PATH_BYTES_MAX)?;
    match parsed {
        Resource::Items { folder: Some(FolderKey::Unknown(_)), .. } => Err(WatchError::Invalid),
        Resource::Items { user, kind, folder } => Ok(Watch { user, kind, folder, options }),
        Resource::Users | Resource::User(_) | Resource::Subscriptions | Resource::Subscription(_) => {
            Err(WatchError::UnsupportedWorkload)
        }
        _ => Err(WatchError::NotSupported),
    }
}

/// The `name=value`s behind the `?` of a `resource`.
pub(crate) fn options(query: &str, bytes_max: usize) -> Result<Vec<QueryOption>, WatchError> {
    if query.len() > bytes_max {
        return Err(WatchError::Invalid);
    }
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(|text| text.trim().to_owned()).map_err(|_| WatchError::Invalid)
    };
    query
        .split('&')
        .filter(|option| !option.is_empty())
        .map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            Ok(QueryOption { name: decoded(name)?, value: decoded(value)? })
        })
        .collect()
}
