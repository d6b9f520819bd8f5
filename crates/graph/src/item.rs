//! Items and the folders that hold them, as the store keeps them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::occurrence::{Series, time_of};
use crate::{ChangeId, FolderId, ImmutableId, ItemId, Kind, PropertyBag, Timestamp, UserId};

/// A property bag in Graph's JSON form, by Graph's property names.
///
/// It never holds what [`Item`] keeps in typed fields: `id`, `changeKey`, `parentFolderId`,
/// `createdDateTime`, `lastModifiedDateTime`.
pub type Properties = Map<String, Value>;

/// Properties too large or too secret for a change record: a subscription can neither filter by them nor,
/// where its notifications have content, select them.
pub const NOT_IN_CHANGES: [&str; 6] =
    ["body", "uniqueBody", "attachments", "extensions", "internetMessageHeaders", "exceptionOccurrences"];

/// One message, event or contact: the typed key fields and the property bag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    pub id: ItemId,
    /// The UUID that the item was made with. A move gives it another [`Item::id`], never another of this.
    pub immutable: Uuid,
    pub mailbox: UserId,
    /// The folder, calendar or contact folder that holds it.
    pub folder: FolderId,
    /// Shown and filtered by in whole seconds; what is finer is the order of what was made in one second.
    pub created: Timestamp,
    pub modified: Timestamp,
    /// The change that made this version; `changeKey` and etag come from it.
    pub version: ChangeId,
    pub properties: PropertyBag,
}

impl Item {
    /// The id that stays when the item moves.
    pub fn immutable_id(&self) -> ImmutableId {
        ImmutableId::new(self.id.kind, self.immutable)
    }

    /// What lists sort by, newest first: `receivedDateTime` of messages, `start` of events, the
    /// time of creation of contacts. A message that was received in the second in which it was made has
    /// the time of its creation, so that of several the last is the newest.
    pub fn sort_key(&self) -> Timestamp {
        let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let found = match self.id.kind {
            Kind::Message => {
                let received = self.properties.get("receivedDateTime").and_then(time);
                received.filter(|received| *received != self.created.whole_seconds())
            }
            Kind::Event => time_of(&self.properties, "start"),
            Kind::Contact => None,
        };
        found.unwrap_or(self.created)
    }

    /// When the last occurrence of an event ends; far in the future if it never does. Of other kinds, the
    /// time of the sort key.
    pub fn last_end(&self) -> Timestamp {
        if self.id.kind != Kind::Event {
            return self.sort_key();
        }
        match Series::of(self) {
            Some(series) => series.last_end().unwrap_or(Timestamp::from_micros(i64::MAX)),
            None => time_of(&self.properties, "end").unwrap_or_else(|| self.sort_key()),
        }
    }

    /// Whether the item counts into its folder's `unreadItemCount`.
    pub fn is_unread(&self) -> bool {
        self.id.kind == Kind::Message && self.properties.get("isRead") == Some(&Value::Bool(false))
    }
}

/// A mail folder, calendar or contact folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Folder {
    pub id: FolderId,
    pub mailbox: UserId,
    /// `None` for the roots of mail and search folders, for calendars and for the contact folder at the top.
    pub parent: Option<FolderId>,
    pub display_name: String,
    pub well_known: Option<WellKnown>,
    /// What else it has, in Graph's JSON form: `isHidden`, a search folder's `filterQuery`, a
    /// calendar's `color`, extended properties.
    #[serde(default)]
    pub properties: Properties,
}

macro_rules! well_known {
    ($($variant:ident $name:literal $display:literal $kind:ident),* $(,)?) => {
        /// Folders that every mailbox has, by their locale-independent names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum WellKnown { $($variant),* }

        impl WellKnown {
            pub const ALL: &[WellKnown] = &[$(WellKnown::$variant),*];

            /// The name used in paths: `sentitems`.
            pub fn name(self) -> &'static str {
                match self { $(WellKnown::$variant => $name),* }
            }

            /// The English display name: `Sent Items`.
            pub fn display_name(self) -> &'static str {
                match self { $(WellKnown::$variant => $display),* }
            }

            /// The kind of item that the folder holds.
            pub fn kind(self) -> Kind {
                match self { $(WellKnown::$variant => Kind::$kind),* }
            }
        }
    };
}

well_known! {
    MsgFolderRoot "msgfolderroot" "Top of Information Store" Message,
    Inbox "inbox" "Inbox" Message,
    Drafts "drafts" "Drafts" Message,
    SentItems "sentitems" "Sent Items" Message,
    DeletedItems "deleteditems" "Deleted Items" Message,
    Archive "archive" "Archive" Message,
    JunkEmail "junkemail" "Junk Email" Message,
    Outbox "outbox" "Outbox" Message,
    ConversationHistory "conversationhistory" "Conversation History" Message,
    RecoverableItemsDeletions "recoverableitemsdeletions" "Deletions" Message,
    SearchFolders "searchfolders" "Finder" Message,
    Calendar "calendar" "Calendar" Event,
    Contacts "contacts" "Contacts" Contact,
}

/// Well-known names of folders that a mailbox gets only by what is not served here: Outlook's own
/// synchronisation, mail that is sent later, and Clutter, which is no longer made.
pub const ABSENT_FOLDERS: [&str; 6] =
    ["clutter", "conflicts", "localfailures", "scheduled", "serverfailures", "syncissues"];

/// The text names no folder that every mailbox has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-known folder name")]
pub struct NotWellKnown;

impl FromStr for WellKnown {
    type Err = NotWellKnown;

    /// Reads a well-known name in any case.
    fn from_str(text: &str) -> Result<Self, NotWellKnown> {
        Self::ALL.iter().copied().find(|folder| folder.name().eq_ignore_ascii_case(text)).ok_or(NotWellKnown)
    }
}

/// Namespace of the ids of well-known folders; random, fixed for ever.
const WELL_KNOWN_NAMESPACE: Uuid = Uuid::from_u128(0x5b0d_61c1_9a57_4d5c_8f1e_6a42_d3c9_7b10);

impl WellKnown {
    /// The folder's id in a mailbox: the same whenever it is asked for, without looking it up.
    pub fn id_in(self, mailbox: UserId) -> FolderId {
        let mut name = [0u8; 17];
        name[..16].copy_from_slice(mailbox.0.as_bytes());
        name[16] = self.stable_number();
        FolderId::new(self.kind(), Uuid::new_v5(&WELL_KNOWN_NAMESPACE, &name))
    }

    /// The folder as it is in a new mailbox.
    pub fn folder_in(self, mailbox: UserId) -> Folder {
        let is_root = matches!(self, WellKnown::MsgFolderRoot | WellKnown::SearchFolders);
        let below_root = self.kind() == Kind::Message && !is_root;
        Folder {
            id: self.id_in(mailbox),
            mailbox,
            parent: below_root.then(|| WellKnown::MsgFolderRoot.id_in(mailbox)),
            display_name: self.display_name().to_owned(),
            well_known: Some(self),
            properties: Properties::new(),
        }
    }

    fn stable_number(self) -> u8 {
        match self {
            WellKnown::MsgFolderRoot => 0,
            WellKnown::Inbox => 1,
            WellKnown::Drafts => 2,
            WellKnown::SentItems => 3,
            WellKnown::DeletedItems => 4,
            WellKnown::Archive => 5,
            WellKnown::JunkEmail => 6,
            WellKnown::Outbox => 7,
            WellKnown::ConversationHistory => 8,
            WellKnown::RecoverableItemsDeletions => 9,
            WellKnown::Calendar => 10,
            WellKnown::Contacts => 11,
            WellKnown::SearchFolders => 12,
        }
    }
}
