//! What a server tells, typed: that something changed, or that a subscription needs you.

use std::fmt;
use std::marker::PhantomData;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use protocol::envelope::EncryptedContent;
use protocol::notification::ReceivedNotification;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::validation_token::TOKENS_MAX;

/// The longest body that is read unless you say otherwise, in bytes. Tidings puts one MiB into a body, or one notification
/// with data that may be a little longer.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most notifications that one body may hold.
pub const NOTIFICATIONS_MAX: usize = 10_000;

/// One thing that a server tells. A body holds many, of either kind and of many subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly all are changes, and a box is in the way of a match")]
pub enum Notification {
    /// Something that a subscription watches has changed.
    Change(Change),
    /// A subscription needs attention. It says nothing of any item.
    Lifecycle(Lifecycle),
}

/// Something that a subscription watches has changed.
///
/// Unless the subscription asked for the data, this names the item and no more: read it, with
/// `GET {server}/v1.0/{resource}` and your app's own token, to see how it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// What happened to it.
    pub change_type: ChangeType,
    /// The item's path, relative to `{server}/v1.0/`: `Users/…/Messages/…`, and `Users('…')/messages('…')` of a
    /// subscription with data. It comes from outside: put it behind your server's
    /// address, never call it as a URL of its own.
    pub resource: String,
    /// The item's id, where there is an item.
    pub item_id: Option<String>,
    /// Its type, such as `#Microsoft.Graph.Message`, `#microsoft.graph.message` with data. Compare it without regard to
    /// case.
    pub odata_type: Option<String>,
    /// Its version after the change.
    pub etag: Option<String>,
    /// Of which of your subscriptions.
    pub subscription_id: String,
    /// When that ends, as the server writes times: renew it before.
    pub subscription_expires: String,
    /// The tenant that the item lies in.
    pub tenant_id: Option<String>,
    /// The notification's own id, the same each time it is sent. Tidings always has one, Graph not always.
    pub id: Option<String>,
    /// What the item held, sealed, if the subscription includes data: [`Receiver::open`](crate::Receiver::open) opens
    /// it. Not there for an item that is gone, or that holds too much.
    pub encrypted_content: Option<EncryptedContent>,
}

/// What happened to an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeType {
    /// It is new in what the subscription watches.
    Created,
    /// It is another than before.
    Updated,
    /// It is gone from what the subscription watches. It may still exist elsewhere, in the folder of deleted
    /// items say.
    Deleted,
    /// A word that this crate does not know.
    Other(String),
}

/// A step in the life of a subscription. They come to the subscription's `lifecycleNotificationUrl`, if it was
/// made with one; that may be the same URL as for changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifecycle {
    /// What is to be done.
    pub event: LifecycleEvent,
    /// For which of your subscriptions.
    pub subscription_id: String,
    /// When that ends, as the server writes times.
    pub subscription_expires: String,
    /// The tenant of what it watches.
    pub tenant_id: Option<String>,
    /// The notification's own id, if it has one.
    pub id: Option<String>,
}

/// What a subscription needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// Show that your app still has access, or the subscription is paused, and what changes meanwhile is never
    /// told. **Do:** with a fresh access token, `POST {server}/v1.0/subscriptions/{id}/reauthorize`, or renew the subscription
    /// with a `PATCH` of `expirationDateTime`, which says the same. Not both.
    ReauthorizationRequired,
    /// The subscription is gone; nothing comes any more. **Do:** let the user sign in again if need be, create a new
    /// subscription, and look for what changed since the last notification, with a delta query say.
    SubscriptionRemoved,
    /// Some notifications could not be delivered and will not come; the subscription lives on. **Do:** look for what
    /// changed since the last notification, with a delta query say.
    Missed,
    /// A word that this crate does not know. **Do:** pass over it, and look for a newer version.
    Other(String),
}

/// Why a body holds no notifications that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is longer than allowed.
    #[error("the body is longer than {bytes_max} bytes")]
    TooLong {
        /// What is allowed.
        bytes_max: usize,
    },
    /// It is something else. The body itself is not repeated: it may hold secrets.
    #[error("the body is no collection of notifications: see line {line}, column {column}")]
    NotACollection {
        /// Where it went wrong, from 1.
        line: usize,
        /// Likewise, in bytes.
        column: usize,
    },
    /// It holds more than [`NOTIFICATIONS_MAX`].
    #[error("the body holds more than {NOTIFICATIONS_MAX} notifications")]
    TooMany,
}

/// A body as it is on the wire. Nothing of it is proved yet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Collection {
    pub(crate) value: AtMost<NOTIFICATIONS_MAX, ReceivedNotification>,
    /// `None` where no item has data.
    #[serde(default)]
    pub(crate) validation_tokens: Option<AtMost<TOKENS_MAX, String>>,
}

/// The first `MAX` of a list, so that nobody makes us keep more before we know who he is.
#[derive(Debug)]
pub(crate) struct AtMost<const MAX: usize, T> {
    pub(crate) kept: Vec<T>,
    /// Whether there were more.
    pub(crate) is_more: bool,
}

impl<'de, const MAX: usize, T: Deserialize<'de>> Deserialize<'de> for AtMost<MAX, T> {
    fn deserialize<D: Deserializer<'de>>(list: D) -> Result<Self, D::Error> {
        struct List<const MAX: usize, T>(PhantomData<T>);

        impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for List<MAX, T> {
            type Value = AtMost<MAX, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < MAX {
                    match list.next_element()? {
                        Some(element) => kept.push(element),
                        None => return Ok(AtMost { kept, is_more: false }),
                    }
                }
                let mut is_more = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    is_more = true;
                }
                Ok(AtMost { kept, is_more })
            }
        }
        list.deserialize_seq(List(PhantomData))
    }
}

pub(crate) fn read(body: &[u8], bytes_max: usize) -> Result<Collection, ReadError> {
    if body.len() > bytes_max {
        return Err(ReadError::TooLong { bytes_max });
    }
    let collection: Collection = serde_json::from_slice(body)
        .map_err(|error| ReadError::NotACollection { line: error.line(), column: error.column() })?;
    if collection.value.is_more {
        return Err(ReadError::TooMany);
    }
    Ok(collection)
}

impl Notification {
    /// What a notification on the wire tells. `None`: it is of neither kind, or of both.
    pub(crate) fn of(item: ReceivedNotification) -> Option<Self> {
        let (subscription_id, subscription_expires) = (item.subscription_id, item.subscription_expiration_date_time);
        let (tenant_id, id) = (item.tenant_id, item.id);
        match (item.change_type, item.lifecycle_event, item.resource) {
            (None, Some(event), _) => {
                let event = LifecycleEvent::from(event);
                Some(Self::Lifecycle(Lifecycle { event, subscription_id, subscription_expires, tenant_id, id }))
            }
            (Some(change_type), None, Some(resource)) => {
                let data = item.resource_data.unwrap_or_default();
                Some(Self::Change(Change {
                    change_type: ChangeType::from(change_type),
                    resource,
                    item_id: data.id,
                    odata_type: data.odata_type,
                    etag: data.odata_etag,
                    subscription_id,
                    subscription_expires,
                    tenant_id,
                    id,
                    encrypted_content: item.encrypted_content,
                }))
            }
            _ => None,
        }
    }

    /// The change, if data came with it.
    pub(crate) fn with_data(&self) -> Option<&Change> {
        match self {
            Self::Change(change) if change.encrypted_content.is_some() => Some(change),
            _ => None,
        }
    }

    /// Of which of your subscriptions.
    pub fn subscription_id(&self) -> &str {
        match self {
            Self::Change(change) => &change.subscription_id,
            Self::Lifecycle(lifecycle) => &lifecycle.subscription_id,
        }
    }

    /// What is the same whenever this is sent, and different for anything else: made of the notification's id, or,
    /// where a change has none, of subscription, resource, change type and version. `None`: nothing tells it from others,
    /// such as a deletion without an id.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match self {
            Self::Change(Change { id: Some(id), subscription_id, .. })
            | Self::Lifecycle(Lifecycle { id: Some(id), subscription_id, .. }) => {
                Some(Fingerprint::of(&["id", subscription_id, id]))
            }
            Self::Change(change) => {
                let etag = change.etag.as_deref()?;
                let parts = ["version", &change.subscription_id, change.change_type.as_str(), &change.resource, etag];
                Some(Fingerprint::of(&parts))
            }
            Self::Lifecycle(_) => None,
        }
    }
}

/// What tells one notification from all others: a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; SHA256_OUTPUT_LEN]);

impl Fingerprint {
    fn of(parts: &[&str]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            // With its length, so that no two lists of parts read the same.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

impl ChangeType {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Other(word) => word,
        }
    }
}

impl LifecycleEvent {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::ReauthorizationRequired => "reauthorizationRequired",
            Self::SubscriptionRemoved => "subscriptionRemoved",
            Self::Missed => "missed",
            Self::Other(word) => word,
        }
    }
}

impl fmt::Display for ChangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for LifecycleEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<String> for ChangeType {
    fn from(word: String) -> Self {
        match word.as_str() {
            "created" => Self::Created,
            "updated" => Self::Updated,
            "deleted" => Self::Deleted,
            _ => Self::Other(word),
        }
    }
}

impl From<String> for LifecycleEvent {
    fn from(word: String) -> Self {
        match word.as_str() {
            "reauthorizationRequired" => Self::ReauthorizationRequired,
            "subscriptionRemoved" => Self::SubscriptionRemoved,
            "missed" => Self::Missed,
            _ => Self::Other(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn one(members: Value) -> Option<Notification> {
        let mut item = json!({"subscriptionId": "s", "subscriptionExpirationDateTime": "2026-11-24T10:00:00Z"});
        for (name, value) in members.as_object().unwrap() {
            item[name] = value.clone();
        }
        let body = json!({"value": [item]}).to_string();
        Notification::of(read(body.as_bytes(), BODY_BYTES_MAX).unwrap().value.kept.remove(0))
    }

    fn change(members: Value) -> Change {
        let mut all = json!({"changeType": "created", "resource": "Users/u/Messages/m"});
        for (name, value) in members.as_object().unwrap() {
            all[name] = value.clone();
        }
        match one(all) {
            Some(Notification::Change(change)) => change,
            other => panic!("no change: {other:?}"),
        }
    }

    #[test]
    fn a_change_says_what_happened_to_which_item() {
        let data = json!({"@odata.type": "#Microsoft.Graph.Message", "@odata.etag": "W/\"1\"", "id": "m"});
        let change = change(json!({"resourceData": data, "tenantId": "t", "id": "n"}));
        assert_eq!((change.change_type.as_str(), change.resource.as_str()), ("created", "Users/u/Messages/m"));
        let texts = [change.item_id, change.odata_type, change.etag, change.tenant_id, change.id];
        assert_eq!(texts.map(Option::unwrap), ["m", "#Microsoft.Graph.Message", "W/\"1\"", "t", "n"]);
    }

    #[test]
    fn words_that_are_not_known_yet_are_kept() {
        assert_eq!(change(json!({"changeType": "renamed"})).change_type, ChangeType::Other("renamed".into()));
        let Some(Notification::Lifecycle(lifecycle)) = one(json!({"lifecycleEvent": "tired"})) else { panic!() };
        assert_eq!(lifecycle.event, LifecycleEvent::Other("tired".into()));
    }

    #[test]
    fn a_step_in_a_life_is_told_from_a_change() {
        for (word, event) in [
            ("reauthorizationRequired", LifecycleEvent::ReauthorizationRequired),
            ("subscriptionRemoved", LifecycleEvent::SubscriptionRemoved),
            ("missed", LifecycleEvent::Missed),
        ] {
            let Some(Notification::Lifecycle(read)) = one(json!({"lifecycleEvent": word, "resource": "x"})) else {
                panic!("{word}")
            };
            assert_eq!(read.event, event);
        }
        assert_eq!(one(json!({})), None);
        assert_eq!(one(json!({"changeType": "created"})), None, "of nothing");
        assert_eq!(one(json!({"changeType": "created", "resource": "r", "lifecycleEvent": "missed"})), None);
    }

    #[test]
    fn a_body_that_is_no_collection_is_refused_without_being_repeated() {
        for body in ["", "[]", "{}", "null", "<html>", r#"{"value":{}}"#, r#"{"value":["s3cret"]}"#, r#"{"value":[]"#] {
            let error = read(body.as_bytes(), BODY_BYTES_MAX).unwrap_err();
            assert!(matches!(error, ReadError::NotACollection { .. }), "{body}");
            assert!(!error.to_string().contains("s3cret"));
        }
        assert_eq!(read(br#"{"value":[]}"#, 11).unwrap_err(), ReadError::TooLong { bytes_max: 11 });
        let item = r#"{"subscriptionId":"s","subscriptionExpirationDateTime":""}"#;
        let many = format!(r#"{{"value":[{}{item}]}}"#, format!("{item},").repeat(NOTIFICATIONS_MAX));
        assert_eq!(read(many.as_bytes(), BODY_BYTES_MAX).unwrap_err(), ReadError::TooMany);
        let twice = r#"{"value":[{"subscriptionId":"s","subscriptionId":"t","subscriptionExpirationDateTime":""}]}"#;
        assert!(read(twice.as_bytes(), BODY_BYTES_MAX).is_err(), "a member that stands twice says two things");
    }

    #[test]
    fn of_a_flood_of_tokens_or_notifications_no_more_than_allowed_is_kept() {
        let kept = |length: usize| {
            let list = format!("[{}0]", "0,".repeat(length - 1));
            let AtMost::<3, u8> { kept, is_more } = serde_json::from_str(&list).unwrap();
            (kept.len(), kept.capacity() <= 8, is_more)
        };
        assert_eq!(
            [2, 3, 4, 1_000_000].map(kept),
            [(2, true, false), (3, true, false), (3, true, true), (3, true, true)]
        );
        let tokens = format!(r#"{{"value":[],"validationTokens":[{}""]}}"#, r#""","#.repeat(1_000_000));
        let read = |body: &str| read(body.as_bytes(), BODY_BYTES_MAX).unwrap().validation_tokens;
        let tokens = read(&tokens).unwrap();
        assert!(tokens.kept.len() == TOKENS_MAX && tokens.is_more);
        for none in ["", r#","validationTokens":null"#] {
            assert!(read(&format!(r#"{{"value":[]{none}}}"#)).is_none());
        }
    }

    #[test]
    fn a_fingerprint_is_of_the_id_or_of_the_version() {
        let print = |members| Notification::Change(change(members)).fingerprint();
        let with_etag = |etag: &str| json!({"resourceData": {"@odata.etag": etag, "id": "m"}});
        assert_eq!(print(json!({"id": "n"})), print(json!({"id": "n", "changeType": "updated"})));
        assert_ne!(print(json!({"id": "n"})), print(json!({"id": "o"})));
        assert_eq!(print(with_etag("1")), print(with_etag("1")));
        assert_ne!(print(with_etag("1")), print(with_etag("2")));
        assert_eq!(print(json!({"changeType": "deleted"})), None);
        assert_eq!(one(json!({"lifecycleEvent": "missed"})).unwrap().fingerprint(), None);
        assert!(one(json!({"lifecycleEvent": "missed", "id": "n"})).unwrap().fingerprint().is_some());
    }
}
