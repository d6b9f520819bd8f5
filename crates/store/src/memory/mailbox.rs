//! One mailbox of the model: what it holds, and how that is read.

use std::collections::BTreeMap;

use graph::{
    Attachment, AttachmentId, Folder, FolderId, ImmutableId, Item, ItemId, Kind, Timestamp, UserId, WellKnown,
};
use uuid::Uuid;

use crate::{FolderCounts, ItemQuery, Items, Once, READ_BYTES_MAX, Revision, Window, bytes_of};

/// What a user's mailbox holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Mailbox {
    pub(super) items: BTreeMap<ItemId, Revised<Item>>,
    /// When each item came to the folder in which it lies.
    pub(super) arrivals: BTreeMap<ItemId, Revision>,
    pub(super) folders: BTreeMap<FolderId, Revised<Folder>>,
    /// By the immutable UUIDs of their items.
    pub(super) attachments: BTreeMap<Uuid, Vec<(Attachment, Vec<u8>)>>,
    pub(super) tombstones: Vec<Tombstone>,
    /// The last revision of which a tombstone has been forgotten.
    pub(super) floor: Revision,
    /// Keys of writes that happened, with the time until which they must be remembered.
    pub(super) once: BTreeMap<String, Timestamp>,
}

/// Something with the revision of its last write.
#[derive(Clone, Debug)]
pub(super) struct Revised<T> {
    pub revision: Revision,
    pub value: T,
}

/// An item left a folder, or a folder the mailbox.
#[derive(Clone, Debug)]
pub(super) struct Tombstone {
    pub revision: Revision,
    pub at: Timestamp,
    pub gone: Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    Item { folder: FolderId, id: ItemId, immutable: Uuid },
    Folder(FolderId),
}

impl Mailbox {
    /// A new mailbox: the well-known folders, and nothing in them.
    pub fn new(user: UserId, revision: Revision) -> Self {
        let folder = |known: &WellKnown| Revised { revision, value: known.folder_in(user) };
        let folders = WellKnown::ALL.iter().map(|known| (known.id_in(user), folder(known))).collect();
        Self { folders, ..Self::default() }
    }

    pub fn remember(&mut self, once: Once) {
        self.once.retain(|_, until| *until > once.now);
        self.once.insert(once.key, once.until);
    }

    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.get(&id).map(|item| &item.value)
    }

    pub fn all_items(&self) -> impl Iterator<Item = &Item> {
        self.items.values().map(|item| &item.value)
    }

    pub fn item_by_immutable(&self, id: ImmutableId) -> Option<&Item> {
        self.all_items().find(|item| item.immutable_id() == id)
    }

    pub fn items(&self, query: &ItemQuery) -> Items {
        let mut found: Vec<&Item> = self.matching(query).collect();
        found.sort_by(|a, b| query.query.compare(a, b));
        first(found.into_iter().skip(usize::try_from(query.skip).unwrap_or(usize::MAX)), query.top)
    }

    pub fn count(&self, query: &ItemQuery) -> u64 {
        self.matching(query).count() as u64
    }

    fn matching<'a>(&'a self, query: &'a ItemQuery) -> impl Iterator<Item = &'a Item> {
        let shown = |item: &Item| match &query.folders {
            Some(folders) => folders.contains(&item.folder),
            None => item.folder != WellKnown::RecoverableItemsDeletions.id_in(item.mailbox),
        };
        let attachments =
            |item: &Item| self.attachments(item.immutable).iter().map(|(attachment, _)| attachment.clone()).collect();
        self.all_items().filter(move |item| {
            let attachments: Vec<Attachment> =
                if query.query.seeks_attachments() { attachments(item) } else { Vec::new() };
            shown(item) && query.query.finds(item, &attachments)
        })
    }

    pub fn events_between(&self, calendar: FolderId, window: Window, after: Option<ItemId>, limit: u64) -> Items {
        let asked = |item: &&Item| {
            item.id.kind == Kind::Event
                && item.folder == calendar
                && item.sort_key() < window.until
                && item.last_end() > window.from
                && after.is_none_or(|after| item.id > after)
        };
        first(self.all_items().filter(asked), limit)
    }

    pub fn attachments(&self, item: Uuid) -> &[(Attachment, Vec<u8>)] {
        self.attachments.get(&item).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn attachment(&self, item: Uuid, id: AttachmentId) -> Option<&(Attachment, Vec<u8>)> {
        self.attachments(item).iter().find(|(attachment, _)| attachment.id == id)
    }

    pub fn folders(&self) -> Vec<FolderCounts> {
        self.folders.values().map(|folder| self.counts(&folder.value)).collect()
    }

    pub fn folder(&self, id: FolderId) -> Option<FolderCounts> {
        self.folders.get(&id).map(|folder| self.counts(&folder.value))
    }

    pub fn counts(&self, folder: &Folder) -> FolderCounts {
        let held = || self.all_items().filter(|item| item.folder == folder.id);
        FolderCounts {
            folder: folder.clone(),
            total: held().count() as u64,
            unread: held().filter(|item| item.is_unread()).count() as u64,
            children: self.children(folder.id).len() as u64,
        }
    }

    pub fn children(&self, id: FolderId) -> Vec<FolderId> {
        let folders = self.folders.values().map(|folder| &folder.value);
        folders.filter(|folder| folder.parent == Some(id)).map(|folder| folder.id).collect()
    }
}

/// The first of these, no more than `most`, and none after the one that makes them too long.
fn first<'a>(found: impl Iterator<Item = &'a Item>, most: u64) -> Items {
    let (mut first, mut bytes) = (Items::default(), 0);
    for item in found {
        if first.items.len() as u64 >= most || bytes > READ_BYTES_MAX {
            return Items { more: true, ..first };
        }
        bytes += bytes_of(&item.properties);
        first.items.push(item.clone());
    }
    first
}
