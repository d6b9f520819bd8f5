//! What a mutation needs, and what it does to a mailbox of the model.

use std::collections::{BTreeMap, BTreeSet};

use graph::{FolderId, ImmutableId, Item, ItemId, Kind, Mutation, NewAttachment, Timestamp};
use uuid::Uuid;

use super::mailbox::{Gone, Mailbox, Revised, Tombstone};
use crate::tree::FolderWrites;
use crate::{CommitError, FORGOTTEN_AT_ONCE, Once, Revision};

/// When a mutation is applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub revision: Revision,
    pub now: Timestamp,
    pub forget_before: Timestamp,
}

impl Mailbox {
    /// Checks everything before anything is written.
    pub fn check(&self, mutation: &Mutation, once: Option<&Once>) -> Result<(), CommitError> {
        let known = |once: &Once| self.once.get(&once.key).is_some_and(|until| *until > once.now);
        if once.is_some_and(known) {
            return Err(CommitError::AlreadyDone);
        }
        for (id, version) in &mutation.expect {
            if self.item(*id).map(|item| item.version) != *version {
                return Err(CommitError::ItemChanged(*id));
            }
        }
        self.check_folders(mutation)?;
        let made = |id: FolderId| mutation.folder_puts.iter().any(|folder| folder.id == id);
        let fits = |item: &Item| {
            item.folder.kind == item.id.kind && (self.folders.contains_key(&item.folder) || made(item.folder))
        };
        if let Some(lost) = mutation.puts.iter().find(|item| !fits(item)) {
            return Err(CommitError::FolderGone(lost.folder));
        }
        if let Some(left) = mutation.folder_removes.iter().find_map(|folder| self.left_in(*folder, mutation)) {
            return Err(CommitError::ItemChanged(left));
        }
        self.check_immutables(mutation)?;
        self.check_attachments(mutation)
    }

    fn check_folders(&self, mutation: &Mutation) -> Result<(), CommitError> {
        let Mutation { expect_folders: expect, folder_puts: puts, folder_removes: removes, .. } = mutation;
        let writes = FolderWrites { expect, puts, removes };
        if writes.is_empty() {
            return Ok(());
        }
        writes.check(&self.folders.iter().map(|(id, folder)| (*id, &folder.value)).collect())
    }

    /// The items that there are when the mutation is done, with those that are put twice there twice.
    fn outcome<'a>(&'a self, mutation: &'a Mutation) -> impl Iterator<Item = &'a Item> {
        let kept = self.all_items().filter(|item| mutation.puts.iter().all(|put| put.id != item.id));
        kept.chain(&mutation.puts).filter(|item| !mutation.removes.contains(&item.id))
    }

    /// The first item that a folder would still hold.
    fn left_in(&self, folder: FolderId, mutation: &Mutation) -> Option<ItemId> {
        self.outcome(mutation).filter(|item| item.folder == folder).map(|item| item.id).min()
    }

    /// An item keeps its immutable id, and no other item has it.
    fn check_immutables(&self, mutation: &Mutation) -> Result<(), CommitError> {
        let mut taken: BTreeMap<ImmutableId, ItemId> = BTreeMap::new();
        let mut given: BTreeMap<ItemId, ImmutableId> = BTreeMap::new();
        for put in mutation.puts.iter().filter(|put| !mutation.removes.contains(&put.id)) {
            let immutable = put.immutable_id();
            let holder = self.item_by_immutable(immutable).map(|item| item.id);
            let elsewhere = holder.is_some_and(|id| id != put.id && !mutation.removes.contains(&id));
            let before = self.item(put.id).map(Item::immutable_id);
            if elsewhere
                || before.is_some_and(|before| before != immutable)
                || *taken.entry(immutable).or_insert(put.id) != put.id
                || *given.entry(put.id).or_insert(immutable) != immutable
            {
                return Err(CommitError::ItemChanged(put.id));
            }
        }
        Ok(())
    }

    /// Who gets an attachment is there.
    fn check_attachments(&self, mutation: &Mutation) -> Result<(), CommitError> {
        let puts = mutation.attachment_puts.iter().map(|new| (new.attachment.id.kind, new.item));
        let copies = mutation.attachment_copies.iter().map(|(_, to)| (Kind::Message, *to));
        let missing = |(_, uuid): &(Kind, Uuid)| self.outcome(mutation).all(|item| item.immutable != *uuid);
        match puts.chain(copies).find(missing) {
            Some((kind, uuid)) => Err(CommitError::ItemChanged(ItemId::new(kind, uuid))),
            None => Ok(()),
        }
    }

    /// Applies a mutation that [`Mailbox::check`] let pass.
    pub fn apply(&mut self, mutation: &Mutation, moment: Moment) {
        let revision = moment.revision;
        let ids = mutation.puts.iter().map(|item| item.id).chain(mutation.removes.iter().copied());
        let before: BTreeMap<ItemId, Item> = ids.filter_map(|id| Some((id, self.item(id)?.clone()))).collect();
        let puts = mutation.folder_puts.iter().map(|folder| folder.id);
        let folders: BTreeSet<FolderId> = puts.chain(mutation.folder_removes.iter().copied()).collect();
        let parents: Vec<_> = folders.iter().map(|id| (*id, self.parent(*id))).collect();
        for folder in &mutation.folder_puts {
            self.folders.insert(folder.id, Revised { revision, value: folder.clone() });
        }
        for item in &mutation.puts {
            if self.item(item.id).is_none_or(|before| before.folder != item.folder) {
                self.arrivals.insert(item.id, revision);
            }
            self.items.insert(item.id, Revised { revision, value: item.clone() });
        }
        for id in &mutation.removes {
            self.items.remove(id);
            self.arrivals.remove(id);
        }
        let gone = mutation.folder_removes.iter().filter(|id| self.folders.remove(id).is_some()).copied().collect();
        self.apply_to_attachments(&before, mutation);
        self.revise_folders(&before, &parents, mutation, revision);
        self.bury(&before, gone, moment);
    }

    fn parent(&self, id: FolderId) -> Option<FolderId> {
        self.folders.get(&id).and_then(|folder| folder.value.parent)
    }

    fn apply_to_attachments(&mut self, before: &BTreeMap<ItemId, Item>, mutation: &Mutation) {
        for (item, id) in &mutation.attachment_removes {
            self.attachments.entry(*item).or_default().retain(|(attachment, _)| attachment.id != *id);
        }
        for NewAttachment { item, attachment, content } in &mutation.attachment_puts {
            let held = self.attachments.entry(*item).or_default();
            let new = (attachment.clone(), content.clone());
            match held.iter_mut().find(|(old, _)| old.id == attachment.id) {
                Some(old) => *old = new,
                None => held.push(new),
            }
        }
        for (from, to) in mutation.attachment_copies.iter().filter(|(from, to)| from != to) {
            let copied = self.attachments(*from).to_vec();
            let held = self.attachments.entry(*to).or_default();
            held.retain(|(old, _)| copied.iter().all(|(new, _)| new.id != old.id));
            held.extend(copied);
        }
        let kept =
            |immutable| mutation.puts.iter().any(|put| put.immutable == immutable && self.item(put.id).is_some());
        let removed = before.values().filter(|item| self.item(item.id).is_none());
        let lost: Vec<Uuid> = removed.map(|item| item.immutable).filter(|immutable| !kept(*immutable)).collect();
        self.attachments.retain(|item, _| !lost.contains(item));
    }

    /// A folder changes with its counts too: of items, and of folders in it.
    fn revise_folders(
        &mut self,
        before: &BTreeMap<ItemId, Item>,
        parents: &[(FolderId, Option<FolderId>)],
        mutation: &Mutation,
        revision: Revision,
    ) {
        let mut counts: BTreeMap<FolderId, (i64, i64)> = BTreeMap::new();
        let mut count = |item: &Item, by: i64| {
            let (total, unread) = counts.entry(item.folder).or_default();
            *total += by;
            *unread += by * i64::from(item.is_unread());
        };
        before.values().for_each(|item| count(item, -1));
        let put: BTreeSet<ItemId> = mutation.puts.iter().map(|item| item.id).collect();
        put.into_iter().filter_map(|id| self.item(id)).for_each(|item| count(item, 1));
        let counted = counts.into_iter().filter(|(_, sums)| *sums != (0, 0)).map(|(folder, _)| folder);
        let moved = parents.iter().map(|(id, old)| [*old, self.parent(*id)]).filter(|[old, new]| old != new);
        let changed: BTreeSet<FolderId> = moved.flatten().flatten().chain(counted).collect();
        for (_, folder) in self.folders.iter_mut().filter(|(id, _)| changed.contains(id)) {
            folder.revision = revision;
        }
    }

    /// Leaves tombstones of what is gone, and forgets old ones.
    fn bury(&mut self, before: &BTreeMap<ItemId, Item>, folders: Vec<FolderId>, moment: Moment) {
        let Moment { revision, now: at, forget_before } = moment;
        let stays = |item: &&Item| self.item(item.id).is_some_and(|now| now.folder == item.folder);
        let gone = |item: &Item| Gone::Item { folder: item.folder, id: item.id, immutable: item.immutable };
        let items = before.values().filter(|item| !stays(item)).map(gone);
        let gone = items.chain(folders.into_iter().map(Gone::Folder));
        let new: Vec<_> = gone.map(|gone| Tombstone { revision, at, gone }).collect();
        if new.is_empty() {
            return;
        }
        let forgotten = new.len().saturating_mul(FORGOTTEN_AT_ONCE as usize);
        self.tombstones.extend(new);
        self.tombstones.sort_by_key(|tombstone| (tombstone.at, tombstone.revision, tombstone.gone.key()));
        let old = self.tombstones.iter().take(forgotten).take_while(|tombstone| tombstone.at < forget_before).count();
        for tombstone in self.tombstones.drain(..old) {
            self.floor = self.floor.max(tombstone.revision);
        }
    }
}

impl Gone {
    /// The id of what is gone.
    pub fn key(self) -> (Kind, Uuid) {
        match self {
            Gone::Item { id, .. } => (id.kind, id.uuid),
            Gone::Folder(id) => (id.kind, id.uuid),
        }
    }
}
