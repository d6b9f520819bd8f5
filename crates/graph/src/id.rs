//! Identifiers. Directory ids are UUIDs; items and folders have Outlook's opaque, case-sensitive,
//! URL-safe text form on the wire (`AAMk…=`) and are small copyable values inside.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

uuid_id! {
    /// An organisation: the `tid` of its tokens.
    TenantId,
    /// A directory user; also the address of that user's mailbox.
    UserId,
    /// An application (client) id.
    AppId,
    /// A subscription.
    SubscriptionId,
    /// One committed mutation of one item: 128 random bits.
    ChangeId,
    /// One act of sending a message.
    SubmissionId,
    /// A partner topic.
    TopicId,
}

impl TenantId {
    /// The tenant of all personal accounts, under the id that it has everywhere.
    pub const CONSUMERS: TenantId = TenantId(Uuid::from_u128(0x9188040d_6c67_4c5b_b112_36a304b66dad));
}

/// The resource kinds that raise change notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Message,
    Event,
    Contact,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Message, Kind::Event, Kind::Contact];

    /// The entity type's name as in Graph's metadata: `message`.
    pub fn type_name(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Event => "event",
            Kind::Contact => "contact",
        }
    }

    /// The collection's name in request paths: `messages`.
    pub fn collection(self) -> &'static str {
        match self {
            Kind::Message => "messages",
            Kind::Event => "events",
            Kind::Contact => "contacts",
        }
    }

    fn tag(self) -> u8 {
        match self {
            Kind::Message => 0x46,
            Kind::Event => 0x0d,
            Kind::Contact => 0x0e,
        }
    }

    fn from_tag(tag: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// The text is not an id that this server made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an item or folder id")]
pub struct InvalidId;

const ITEM_PREFIX: [u8; 3] = [0x00, 0x03, 0x24];
const FOLDER_PREFIX: [u8; 3] = [0x01, 0x03, 0x24];
const IMMUTABLE_PREFIX: [u8; 3] = [0x00, 0x09, 0x00];
const ATTACHMENT_PREFIX: [u8; 3] = [0x00, 0x03, 0x25];

/// The text of an id. Each notification has several: it needs no memory of its own.
#[derive(Clone, Copy)]
pub struct IdText([u8; 32]);

impl Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        // Base64 is ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn encode(prefix: [u8; 3], kind: Kind, uuid: Uuid) -> IdText {
    let mut bytes = [0u8; 23];
    bytes[..3].copy_from_slice(&prefix);
    bytes[3] = kind.tag();
    bytes[4..20].copy_from_slice(uuid.as_bytes());
    let mut text = [0; 32];
    // 23 bytes are 32 characters with their padding.
    let _ = URL_SAFE.encode_slice(bytes, &mut text);
    IdText(text)
}

fn decode(prefix: [u8; 3], text: &str) -> Result<(Kind, Uuid), InvalidId> {
    let bytes: [u8; 23] = URL_SAFE.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidId)?;
    if bytes[..3] != prefix || bytes[20..] != [0; 3] {
        return Err(InvalidId);
    }
    let kind = Kind::from_tag(bytes[3]).ok_or(InvalidId)?;
    let uuid = Uuid::from_slice(&bytes[4..20]).map_err(|_| InvalidId)?;
    Ok((kind, uuid))
}

/// Reads an id from its text where that lies.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err = InvalidId>> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of an item or folder")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! outlook_id {
    ($(#[$doc:meta])* $name:ident, $prefix:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            pub kind: Kind,
            pub uuid: Uuid,
        }

        impl $name {
            pub fn new(kind: Kind, uuid: Uuid) -> Self {
                Self { kind, uuid }
            }

            /// As it is on the wire.
            pub fn text(self) -> IdText {
                encode($prefix, self.kind, self.uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} {})", stringify!($name), self.kind.type_name(), self.uuid)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                decode($prefix, text).map(|(kind, uuid)| Self { kind, uuid })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    };
}

outlook_id! {
    /// An item of a mailbox. A move to another folder gives the item a new id.
    ItemId, ITEM_PREFIX
}

outlook_id! {
    /// A mail folder, calendar or contact folder, by the kind it holds. It never changes.
    FolderId, FOLDER_PREFIX
}

outlook_id! {
    /// An item of a mailbox by the id that stays when it moves.
    ImmutableId, IMMUTABLE_PREFIX
}

outlook_id! {
    /// An attachment of an item, by the item's kind. It stays when the item moves.
    AttachmentId, ATTACHMENT_PREFIX
}

/// An item as a caller names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKey {
    Id(ItemId),
    Immutable(ImmutableId),
}

impl ItemKey {
    pub fn kind(self) -> Kind {
        match self {
            ItemKey::Id(id) => id.kind,
            ItemKey::Immutable(id) => id.kind,
        }
    }

    /// As it is on the wire.
    pub fn text(self) -> IdText {
        match self {
            ItemKey::Id(id) => id.text(),
            ItemKey::Immutable(id) => id.text(),
        }
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for ItemKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse().map(ItemKey::Id).or_else(|_| text.parse().map(ItemKey::Immutable))
    }
}

impl ChangeId {
    /// The `changeKey` of the item version that this change made; the etag is `W/"{changeKey}"`.
    pub fn change_key(self) -> String {
        let mut key = String::with_capacity(40);
        self.push_change_key(&mut key);
        key
    }

    /// `W/"{changeKey}"`.
    pub fn etag(self) -> String {
        let mut etag = String::with_capacity(44);
        etag.push_str("W/\"");
        self.push_change_key(&mut etag);
        etag.push('"');
        etag
    }

    fn push_change_key(self, text: &mut String) {
        let mut bytes = [0u8; 30];
        bytes[..8].copy_from_slice(&[0x09, 0, 0, 0, 0x16, 0, 0, 0]);
        bytes[8..24].copy_from_slice(self.0.as_bytes());
        URL_SAFE.encode_string(bytes, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_id_looks_like_outlooks_and_parses_back() {
        let id = ItemId::new(Kind::Message, Uuid::from_u128(0x0123_4567_89ab_cdef));
        let text = id.to_string();
        assert!(text.starts_with("AAMk") && text.ends_with('='), "{text}");
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn folder_id_is_not_an_item_id() {
        let folder = FolderId::new(Kind::Message, Uuid::from_u128(7)).to_string();
        assert!(folder.starts_with("AQMk"), "{folder}");
        assert_eq!(folder.parse::<ItemId>(), Err(InvalidId));
    }

    #[test]
    fn text_with_another_tail_is_refused() {
        for text in ["", "AAMk", "AAMkRg", "inbox", "AAMkRgAAAAAAAAAAAAAAAAAAAAAAAAE="] {
            assert_eq!(text.parse::<ItemId>(), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn change_key_has_the_length_of_outlooks() {
        let key = ChangeId(Uuid::from_u128(1)).change_key();
        assert_eq!(key.len(), 40);
        assert!(key.starts_with("CQAAABYAAAA"), "{key}");
    }
}
