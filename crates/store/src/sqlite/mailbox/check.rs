//! What a commit must find before it writes.

use std::collections::{BTreeMap, BTreeSet};

use graph::{FolderId, ImmutableId, ItemId, Kind, UserId};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::item::{EncodedItem, Touched};
use super::{EncodedCommit, folder};
use crate::sqlite::error::corrupt;
use crate::sqlite::row::{folder_key, immutable_key, item_id};
use crate::sqlite::{once, user};
use crate::tree::FolderWrites;
use crate::{CommitError, StoreError};

/// What the commits that share a transaction have found to be there: many go to one folder. Whoever takes a user or a folder
/// away makes it forget.
#[derive(Default)]
pub(in crate::sqlite) struct Known {
    mailboxes: BTreeSet<UserId>,
    folders: BTreeSet<(UserId, FolderId)>,
}

impl Known {
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    fn mailbox(&mut self, connection: &Connection, mailbox: UserId) -> Result<bool, StoreError> {
        if self.mailboxes.contains(&mailbox) {
            return Ok(true);
        }
        let found = user::exists(connection, mailbox)?;
        if found {
            self.mailboxes.insert(mailbox);
        }
        Ok(found)
    }

    fn folder(
        &mut self,
        touched: &mut Touched<'_, '_>,
        commit: &EncodedCommit,
        id: FolderId,
    ) -> Result<bool, StoreError> {
        let place = (commit.mailbox, id);
        if self.folders.contains(&place) {
            return Ok(true);
        }
        let found = folder::exists(touched.statements, commit.partition, commit.mailbox, id)?;
        if found {
            self.folders.insert(place);
        }
        Ok(found)
    }
}

pub(super) fn check(
    known: &mut Known,
    commit: &EncodedCommit,
    touched: &mut Touched<'_, '_>,
) -> Result<(), CommitError> {
    let (connection, partition, mailbox) = (touched.connection(), commit.partition, commit.mailbox);
    if !known.mailbox(connection, mailbox)? {
        return Err(CommitError::NoMailbox(mailbox));
    }
    if let Some(once) = &commit.once
        && once::is_known(connection, partition, mailbox.into(), once)?
    {
        return Err(CommitError::AlreadyDone);
    }
    for (id, version) in &commit.expect {
        if touched.before(*id)?.map(|before| before.version) != version.map(|version| *version.0.as_bytes()) {
            return Err(CommitError::ItemChanged(*id));
        }
    }
    check_folders(connection, commit)?;
    for put in &commit.puts {
        let made = commit.folder_puts.iter().any(|folder| folder.id == put.folder);
        if put.folder.kind != put.id.kind || !(made || known.folder(touched, commit, put.folder)?) {
            return Err(CommitError::FolderGone(put.folder));
        }
    }
    for id in &commit.folder_removes {
        if let Some(item) = left_in(connection, commit, *id)? {
            return Err(CommitError::ItemChanged(item));
        }
    }
    check_immutables(commit, touched)?;
    check_attachments(commit, touched)
}

fn check_folders(connection: &Connection, commit: &EncodedCommit) -> Result<(), CommitError> {
    let EncodedCommit { expect_folders: expect, folder_puts: puts, folder_removes: removes, .. } = commit;
    let writes = FolderWrites { expect, puts, removes };
    if writes.is_empty() {
        return Ok(());
    }
    let folders = folder::uncounted(connection, commit.mailbox)?;
    writes.check(&folders.iter().map(|folder| (folder.id, folder)).collect())
}

/// The puts that stand: of what is removed too, nothing is written.
fn standing(commit: &EncodedCommit) -> impl Iterator<Item = &EncodedItem> {
    commit.puts.iter().filter(|put| !commit.removes.contains(&put.id))
}

/// An item keeps its immutable id, and no other item has it.
fn check_immutables(commit: &EncodedCommit, touched: &mut Touched<'_, '_>) -> Result<(), CommitError> {
    let mut taken: BTreeMap<ImmutableId, ItemId> = BTreeMap::new();
    let mut given: BTreeMap<ItemId, ImmutableId> = BTreeMap::new();
    for put in standing(commit) {
        let immutable = ImmutableId::new(put.id.kind, put.immutable);
        let before = touched.before(put.id)?;
        let same = before.is_none_or(|before| before.immutable_of(put.id) == immutable_key(immutable))
            && *taken.entry(immutable).or_insert(put.id) == put.id
            && *given.entry(put.id).or_insert(immutable) == immutable;
        let elsewhere = match before {
            Some(_) => None,
            None => touched.holder(immutable)?.filter(|id| !commit.removes.contains(id)),
        };
        if !same || elsewhere.is_some() {
            return Err(CommitError::ItemChanged(put.id));
        }
    }
    Ok(())
}

/// Who gets an attachment is there when the commit is done.
fn check_attachments(commit: &EncodedCommit, touched: &mut Touched<'_, '_>) -> Result<(), CommitError> {
    let puts = commit.attachment_puts.iter().map(|new| (new.id.kind, new.item));
    let copies = commit.attachment_copies.iter().map(|(_, to)| (Kind::Message, *to));
    for (kind, item) in puts.chain(copies) {
        if !held(commit, touched, item)? {
            return Err(CommitError::ItemChanged(ItemId::new(kind, item)));
        }
    }
    Ok(())
}

/// Whether an item of any kind has an immutable UUID when the commit is done.
fn held(commit: &EncodedCommit, touched: &mut Touched<'_, '_>, item: Uuid) -> Result<bool, StoreError> {
    if standing(commit).any(|put| put.immutable == item) {
        return Ok(true);
    }
    for kind in Kind::ALL {
        let holder = touched.holder(ImmutableId::new(kind, item))?;
        if holder.is_some_and(|id| !commit.removes.contains(&id)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The immutable UUIDs of the items that no item has when the commit is done. To be asked before it is.
pub(super) fn lost(commit: &EncodedCommit, touched: &mut Touched<'_, '_>) -> Result<Vec<Uuid>, StoreError> {
    let kept: BTreeSet<Uuid> = standing(commit).map(|put| put.immutable).collect();
    let mut lost = Vec::new();
    for id in &commit.removes {
        let immutable = touched.before(*id)?.and_then(|row| item_id(row.immutable_of(*id)));
        lost.extend(immutable.map(|id| id.uuid).filter(|uuid| !kept.contains(uuid)));
    }
    Ok(lost)
}

/// The first item that a folder would still hold after the mutation.
fn left_in(connection: &Connection, commit: &EncodedCommit, folder: FolderId) -> Result<Option<ItemId>, StoreError> {
    let removed: BTreeSet<ItemId> = commit.removes.iter().copied().collect();
    let put: BTreeSet<ItemId> = commit.puts.iter().map(|put| put.id).collect();
    let sql = "SELECT id FROM item WHERE partition = ?1 AND mailbox = ?2 AND folder = ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![commit.partition.0, commit.mailbox.0.as_bytes(), folder_key(folder)])?;
    let mut left: BTreeSet<ItemId> = commit.puts.iter().filter(|put| put.folder == folder).map(|put| put.id).collect();
    while let Some(row) = rows.next()? {
        let id = item_id(row.get(0)?).ok_or_else(|| corrupt(("item", "id"), commit.mailbox, "unknown kind"))?;
        if !put.contains(&id) {
            left.insert(id);
        }
    }
    Ok(left.into_iter().find(|id| !removed.contains(id)))
}
