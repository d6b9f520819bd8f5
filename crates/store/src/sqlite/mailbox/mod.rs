//! Mailboxes: the write of a mutation, and the reads of items and folders.

use std::collections::BTreeSet;

use graph::{AttachmentId, Folder, FolderId, ItemId, Partition, Timestamp, UserId};
use notify::Record;
use rusqlite::Connection;
use uuid::Uuid;

use self::attachment::{Attachments, EncodedAttachment};
use self::folder::FolderTally;
use self::item::{EncodedItem, Touched};
use self::tombstone::Tombstones;
use super::once;
use super::record::encode;
use super::writer::{Encoded, Tx};
use crate::seal::Keys;
use crate::{Commit, CommitError, Committed, Once, StoreError};

pub(super) mod attachment;
pub(super) mod check;
pub(super) mod columns;
pub(super) mod delta;
pub(super) mod folder;
pub(super) mod item;
pub(super) mod list;
mod rank;
pub(super) mod revision;
mod tombstone;
mod walk;

/// A commit in its stored form, made on the caller's thread: the writer only writes.
pub(super) struct EncodedCommit {
    partition: Partition,
    mailbox: UserId,
    expect: Vec<(ItemId, Option<graph::ChangeId>)>,
    expect_folders: Vec<Folder>,
    puts: Vec<EncodedItem>,
    removes: Vec<ItemId>,
    folder_puts: Vec<Folder>,
    folder_removes: Vec<FolderId>,
    attachment_puts: Vec<EncodedAttachment>,
    attachment_removes: Vec<(Uuid, AttachmentId)>,
    attachment_copies: Vec<(Uuid, Uuid)>,
    records: Vec<Encoded>,
    once: Option<Once>,
    now: Timestamp,
    forget_before: Timestamp,
}

impl EncodedCommit {
    pub fn new(commit: Commit, keys: &Keys) -> Result<Self, StoreError> {
        let Commit { mailbox, mutation, submit, once, quiet, now, forget_before, tenant: _ } = commit;
        let changes = mutation.changes.into_iter().map(Record::Change);
        let records: Vec<Record> = if quiet { Vec::new() } else { changes.chain(submit.map(Record::Submit)).collect() };
        let partition = Partition::of(mailbox);
        let attachment_puts = mutation.attachment_puts.into_iter().map(EncodedAttachment::new);
        Ok(Self {
            partition,
            mailbox,
            expect: mutation.expect,
            expect_folders: mutation.expect_folders,
            puts: mutation.puts.iter().map(EncodedItem::new).collect(),
            removes: mutation.removes,
            folder_puts: mutation.folder_puts,
            folder_removes: mutation.folder_removes,
            attachment_puts: attachment_puts.collect::<Result<_, _>>()?,
            attachment_removes: mutation.attachment_removes,
            attachment_copies: mutation.attachment_copies,
            records: records.into_iter().map(|record| encode(keys, partition, record)).collect::<Result<_, _>>()?,
            once,
            now,
            forget_before,
        })
    }
}

/// Checks everything, then writes.
pub(super) fn commit(tx: &mut Tx<'_>, commit: &EncodedCommit) -> Result<Committed, CommitError> {
    let (connection, partition, mailbox) = (tx.connection, commit.partition, commit.mailbox);
    let mut touched = Touched::new(&mut tx.statements, partition, mailbox);
    check::check(&mut tx.known, commit, &mut touched)?;
    let revision = tx.heads.next_revision(connection, partition)?;
    for folder in &commit.folder_puts {
        folder::put_folder(connection, partition, folder, revision)?;
    }
    let lost = check::lost(commit, &mut touched)?;
    let mut tally = FolderTally::default();
    // What goes makes room first: an item that replaces it may have its immutable id.
    let removes: BTreeSet<ItemId> = commit.removes.iter().copied().collect();
    for id in &removes {
        touched.remove(*id, &mut tally)?;
    }
    for put in commit.puts.iter().filter(|put| !removes.contains(&put.id)) {
        touched.put(put, revision, &mut tally)?;
    }
    tx.folders.add(partition, mailbox, &tally, revision);
    write_attachments(connection, commit, &lost)?;
    let mut tombstones = Tombstones { connection, partition, mailbox, revision, at: commit.now, written: 0 };
    for left in touched.left() {
        tombstones.item(&left)?;
    }
    for id in &commit.folder_removes {
        if folder::remove(connection, partition, mailbox, *id, revision)? {
            tx.folders.forget(partition, mailbox, *id);
            tx.known.forget();
            tombstones.folder(*id)?;
        }
    }
    tombstones.forget(commit.forget_before)?;
    if let Some(once) = &commit.once {
        once::remember(connection, partition, mailbox.into(), once)?;
    }
    tx.tally.item_rows += commit.puts.len() as u64;
    Ok(tx.append(partition, &commit.records)?)
}

/// Removes attachments, adds some, copies some, and removes those of the items that are `lost`.
fn write_attachments(connection: &Connection, commit: &EncodedCommit, lost: &[Uuid]) -> Result<(), StoreError> {
    let attachments = Attachments { connection, partition: commit.partition, mailbox: commit.mailbox };
    for (item, id) in &commit.attachment_removes {
        attachments.remove(*item, *id)?;
    }
    for new in &commit.attachment_puts {
        attachments.put(new)?;
    }
    for (from, to) in &commit.attachment_copies {
        attachments.copy(*from, *to)?;
    }
    for item in lost {
        attachments.remove_all(*item)?;
    }
    Ok(())
}
