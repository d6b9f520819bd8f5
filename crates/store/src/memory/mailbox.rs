//! One mailbox of the model.

use std::collections::BTreeMap;

use graph::{Folder, FolderId, Item, ItemId, Mutation, Timestamp, UserId, WellKnown};

use crate::{CommitError, FolderCounts, ItemQuery, Once};

/// What a user's mailbox holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Mailbox {
    items: BTreeMap<ItemId, Item>,
    folders: BTreeMap<FolderId, Folder>,
    /// Keys of writes that happened, with the time until which they must be remembered.
    once: BTreeMap<String, Timestamp>,
}

impl Mailbox {
    /// A new mailbox: the well-known folders, and nothing in them.
    pub fn new(user: UserId) -> Self {
        let folders = WellKnown::ALL.iter().map(|known| (known.id_in(user), known.folder_in(user))).collect();
        Self { items: BTreeMap::new(), folders, once: BTreeMap::new() }
    }

    /// Checks everything before it writes anything.
    pub fn check(&self, mutation: &Mutation, once: Option<&Once>) -> Result<(), CommitError> {
        let known = |once: &Once| self.once.get(&once.key).is_some_and(|until| *until > once.now);
        if once.is_some_and(known) {
            return Err(CommitError::AlreadyDone);
        }
        for (id, version) in &mutation.expect {
            if self.items.get(id).map(|item| item.version) != *version {
                return Err(CommitError::ItemChanged(*id));
            }
        }
        if let Some(gone) = mutation.expect_folders.iter().find(|id| !self.folders.contains_key(id)) {
            return Err(CommitError::FolderGone(*gone));
        }
        let made = |id: FolderId| mutation.folder_puts.iter().any(|folder| folder.id == id);
        let fits = |item: &Item| {
            item.folder.kind == item.id.kind && (self.folders.contains_key(&item.folder) || made(item.folder))
        };
        let lost = mutation.puts.iter().find(|item| !fits(item));
        if let Some(item) = lost {
            return Err(CommitError::FolderGone(item.folder));
        }
        match mutation.folder_removes.iter().find_map(|folder| self.left_in(*folder, mutation)) {
            Some(item) => Err(CommitError::ItemChanged(item)),
            None => Ok(()),
        }
    }

    /// The first item that a folder would still hold after the mutation.
    fn left_in(&self, folder: FolderId, mutation: &Mutation) -> Option<ItemId> {
        let kept = self.items.values().filter(|item| mutation.puts.iter().all(|put| put.id != item.id));
        let left = kept.chain(&mutation.puts).filter(|item| item.folder == folder).map(|item| item.id);
        left.filter(|id| !mutation.removes.contains(id)).min()
    }

    /// Applies a mutation that [`Mailbox::check`] let pass.
    pub fn apply(&mut self, mutation: &Mutation) {
        for folder in &mutation.folder_puts {
            self.folders.insert(folder.id, folder.clone());
        }
        for item in &mutation.puts {
            self.items.insert(item.id, item.clone());
        }
        for id in &mutation.removes {
            self.items.remove(id);
        }
        for id in &mutation.folder_removes {
            self.folders.remove(id);
        }
    }

    pub fn remember(&mut self, once: Once) {
        self.once.retain(|_, until| *until > once.now);
        self.once.insert(once.key, once.until);
    }

    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.get(&id)
    }

    pub fn items(&self, query: &ItemQuery) -> Vec<Item> {
        let mut found: Vec<&Item> = self.matching(query).collect();
        found.sort_by(|a, b| query.query.compare(a, b));
        let skip = usize::try_from(query.skip).unwrap_or(usize::MAX);
        let top = usize::try_from(query.top).unwrap_or(usize::MAX);
        found.into_iter().skip(skip).take(top).cloned().collect()
    }

    pub fn count(&self, query: &ItemQuery) -> u64 {
        self.matching(query).count() as u64
    }

    pub fn folders(&self) -> Vec<FolderCounts> {
        self.folders.values().map(|folder| self.counts(folder)).collect()
    }

    pub fn folder(&self, id: FolderId) -> Option<FolderCounts> {
        self.folders.get(&id).map(|folder| self.counts(folder))
    }

    fn matching<'a>(&'a self, query: &'a ItemQuery) -> impl Iterator<Item = &'a Item> {
        let shown = |item: &Item| match &query.folders {
            Some(folders) => folders.contains(&item.folder),
            None => item.folder != WellKnown::RecoverableItemsDeletions.id_in(item.mailbox),
        };
        self.items.values().filter(move |item| shown(item) && query.query.matches(item))
    }

    fn counts(&self, folder: &Folder) -> FolderCounts {
        let held = || self.items.values().filter(|item| item.folder == folder.id);
        FolderCounts {
            folder: folder.clone(),
            total: held().count() as u64,
            unread: held().filter(|item| item.is_unread()).count() as u64,
            children: self.folders.values().filter(|child| child.parent == Some(folder.id)).count() as u64,
        }
    }
}
