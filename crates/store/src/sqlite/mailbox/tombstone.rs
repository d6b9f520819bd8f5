//! What is remembered of items and folders that are gone.

use graph::{FolderId, Partition, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, params};

use super::item::Left;
use crate::sqlite::row::{folder_key, item_key, signed};
use crate::{FORGOTTEN_AT_ONCE, Revision, StoreError};

/// Stands for the folder of a folder.
pub(super) const NO_FOLDER: &[u8] = &[];

/// Writes the tombstones of one commit, and then forgets old ones.
pub(super) struct Tombstones<'a> {
    pub connection: &'a Connection,
    pub partition: Partition,
    pub mailbox: UserId,
    pub revision: Revision,
    pub at: Timestamp,
    pub written: u64,
}

impl Tombstones<'_> {
    pub fn item(&mut self, left: &Left) -> Result<(), StoreError> {
        self.write(&left.folder, &item_key(left.id), left.immutable.as_ref().map(|key| key.as_slice()))
    }

    pub fn folder(&mut self, id: FolderId) -> Result<(), StoreError> {
        self.write(NO_FOLDER, &folder_key(id), None)
    }

    fn write(&mut self, folder: &[u8], id: &[u8], immutable: Option<&[u8]>) -> Result<(), StoreError> {
        let sql = "INSERT INTO tombstone (partition, mailbox, folder, revision, id, immutable, at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (partition, mailbox) = (self.partition.0, self.mailbox.0.as_bytes());
        let row = params![partition, mailbox, folder, self.revision.0, id, immutable, self.at.as_micros()];
        self.connection.prepare_cached(sql)?.execute(row)?;
        self.written += 1;
        Ok(())
    }

    /// Forgets the oldest of those from before a time, and raises the mailbox's floor over them.
    pub fn forget(&self, before: Timestamp) -> Result<(), StoreError> {
        if self.written == 0 {
            return Ok(());
        }
        let (partition, mailbox) = (self.partition.0, self.mailbox.0.as_bytes());
        let limit = signed(self.written.saturating_mul(FORGOTTEN_AT_ONCE));
        let sql = "SELECT folder, revision, id FROM tombstone WHERE partition = ?1 AND mailbox = ?2 AND at < ?3
            ORDER BY at, revision, id LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let old = statement.query_map(params![partition, mailbox, before.as_micros(), limit], |row| row.try_into())?;
        let old: Vec<(Vec<u8>, u64, Vec<u8>)> = old.collect::<rusqlite::Result<_>>()?;
        let Some(floor) = old.iter().map(|(_, revision, _)| *revision).max() else { return Ok(()) };
        let sql = "DELETE FROM tombstone
            WHERE partition = ?1 AND mailbox = ?2 AND folder = ?3 AND revision = ?4 AND id = ?5";
        for (folder, revision, id) in &old {
            self.connection.prepare_cached(sql)?.execute(params![partition, mailbox, folder, revision, id])?;
        }
        let sql = "INSERT INTO delta_floor (partition, mailbox, revision) VALUES (?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET revision = MAX(revision, excluded.revision)";
        self.connection.prepare_cached(sql)?.execute(params![partition, mailbox, floor])?;
        Ok(())
    }
}

/// The last revision of which a tombstone has been forgotten.
pub(super) fn floor(connection: &Connection, mailbox: UserId) -> Result<Revision, StoreError> {
    let sql = "SELECT revision FROM delta_floor WHERE partition = ?1 AND mailbox = ?2";
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes()];
    let floor: Option<u64> = connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
    Ok(Revision(floor.unwrap_or_default()))
}
