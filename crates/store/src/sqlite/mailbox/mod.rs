//! Mailboxes: the write of a mutation, and the reads of items and folders.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{Folder, FolderId, ItemId, Partition, UserId};
use notify::Record;
use rusqlite::{Connection, params};

use self::folder::FolderTally;
use self::item::{EncodedItem, Touched};
use super::directory;
use super::error::corrupt;
use super::row::{folder_key, item_id};
use super::writer::{Encoded, Tx};
use crate::{Commit, CommitError, Committed, Once, StoreError};

pub(super) mod folder;
pub(super) mod item;

/// Each key that is remembered takes so many old ones away, so that they shrink faster than they grow.
const FORGOTTEN_AT_ONCE: u32 = 4;

/// A commit in its stored form, made on the caller's thread: the writer only writes.
pub(super) struct EncodedCommit {
    partition: Partition,
    mailbox: UserId,
    expect: Vec<(ItemId, Option<graph::ChangeId>)>,
    expect_folders: Vec<FolderId>,
    puts: Vec<EncodedItem>,
    removes: Vec<ItemId>,
    folder_puts: Vec<Folder>,
    folder_removes: Vec<FolderId>,
    records: Vec<Encoded>,
    once: Option<Once>,
}

impl EncodedCommit {
    pub fn new(commit: Commit) -> Result<Self, StoreError> {
        let Commit { mailbox, mutation, submit, once, quiet, tenant: _, forget_before: _ } = commit;
        let changes = mutation.changes.into_iter().map(Record::Change);
        let records: Vec<Record> = if quiet { Vec::new() } else { changes.chain(submit.map(Record::Submit)).collect() };
        Ok(Self {
            partition: Partition::of(mailbox),
            mailbox,
            expect: mutation.expect,
            expect_folders: mutation.expect_folders,
            puts: mutation.puts.iter().map(EncodedItem::new).collect::<Result<_, _>>()?,
            removes: mutation.removes,
            folder_puts: mutation.folder_puts,
            folder_removes: mutation.folder_removes,
            records: records.into_iter().map(encode).collect::<Result<_, _>>()?,
            once,
        })
    }
}

/// A record with its stored form.
pub(super) fn encode(record: Record) -> Result<Encoded, StoreError> {
    let json = serde_json::to_vec(&record).map_err(|error| corrupt(("log", "record"), "new", error))?;
    Ok((Arc::new(record), json))
}

/// Checks everything, then writes.
pub(super) fn commit(tx: &mut Tx<'_>, commit: &EncodedCommit) -> Result<Committed, CommitError> {
    let mut touched = Touched::new(tx.connection, commit.partition, commit.mailbox);
    check(tx.connection, commit, &mut touched)?;
    for folder in &commit.folder_puts {
        folder::put_folder(tx.connection, commit.partition, folder)?;
    }
    let mut tally = FolderTally::default();
    for put in &commit.puts {
        touched.put(put, &mut tally)?;
    }
    for id in &commit.removes {
        touched.remove(*id, &mut tally)?;
    }
    tally.write(tx.connection, commit.partition, commit.mailbox)?;
    for id in &commit.folder_removes {
        folder::remove(tx.connection, commit.partition, commit.mailbox, *id)?;
    }
    if let Some(once) = &commit.once {
        remember(tx.connection, commit, once)?;
    }
    tx.tally.item_rows += commit.puts.len() as u64;
    Ok(tx.append(commit.partition, &commit.records)?)
}

/// Remembers a once-key, and forgets some whose time is over.
fn remember(connection: &Connection, commit: &EncodedCommit, once: &Once) -> Result<(), StoreError> {
    let sql = "DELETE FROM once WHERE (partition, mailbox, key) IN (SELECT partition, mailbox, key FROM once
        WHERE partition = ?1 AND until <= ?2 ORDER BY until LIMIT ?3)";
    let (partition, now) = (commit.partition.0, once.now.as_micros());
    connection.prepare_cached(sql)?.execute(params![partition, now, FORGOTTEN_AT_ONCE])?;
    let sql = "INSERT OR REPLACE INTO once (partition, mailbox, key, until) VALUES (?1, ?2, ?3, ?4)";
    let row = params![partition, commit.mailbox.0.as_bytes(), once.key, once.until.as_micros()];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn check(connection: &Connection, commit: &EncodedCommit, touched: &mut Touched<'_>) -> Result<(), CommitError> {
    let (partition, mailbox) = (commit.partition, commit.mailbox);
    if !directory::exists(connection, mailbox)? {
        return Err(CommitError::NoMailbox(mailbox));
    }
    if let Some(once) = &commit.once {
        let sql = "SELECT 1 FROM once WHERE partition = ?1 AND mailbox = ?2 AND key = ?3 AND until > ?4";
        let key = params![partition.0, mailbox.0.as_bytes(), once.key, once.now.as_micros()];
        if connection.prepare_cached(sql)?.exists(key)? {
            return Err(CommitError::AlreadyDone);
        }
    }
    for (id, version) in &commit.expect {
        if touched.before(*id)?.map(|before| before.version) != version.map(|version| *version.0.as_bytes()) {
            return Err(CommitError::ItemChanged(*id));
        }
    }
    let mut known: Vec<FolderId> = Vec::new();
    for id in &commit.expect_folders {
        if !known.contains(id) && !folder::exists(connection, partition, mailbox, *id)? {
            return Err(CommitError::FolderGone(*id));
        }
        known.push(*id);
    }
    known.extend(commit.folder_puts.iter().map(|folder| folder.id));
    for put in &commit.puts {
        let found = known.contains(&put.folder) || folder::exists(connection, partition, mailbox, put.folder)?;
        if !found || put.folder.kind != put.id.kind {
            return Err(CommitError::FolderGone(put.folder));
        }
        known.push(put.folder);
    }
    for id in &commit.folder_removes {
        if let Some(item) = left_in(connection, commit, *id)? {
            return Err(CommitError::ItemChanged(item));
        }
    }
    Ok(())
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
