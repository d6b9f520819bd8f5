//! Folders and their counts, which the transaction that writes the items keeps.

use std::collections::BTreeMap;

use graph::{Folder, FolderId, Partition, Properties, UserId, WellKnown};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::sqlite::error::{cell, corrupt};
use crate::sqlite::row::{Key, folder_id, folder_key, place_key};
use crate::sqlite::statements::Statements;
use crate::{FolderCounts, Revision, StoreError};

/// Adds or replaces a folder; its counts stay. A parent that gets or loses it has changed too.
pub(in crate::sqlite) fn put_folder(
    connection: &Connection,
    partition: Partition,
    folder: &Folder,
    revision: Revision,
) -> Result<(), StoreError> {
    let parents = (parent_of(connection, partition, folder.mailbox, folder.id)?, folder.parent.map(folder_key));
    if parents.0 != parents.1 {
        for parent in [parents.0, parents.1].into_iter().flatten() {
            touch(connection, partition, folder.mailbox, parent, revision)?;
        }
    }
    let properties = (!folder.properties.is_empty()).then(|| serde_json::to_vec(&folder.properties)).transpose();
    let properties = properties.map_err(|error| corrupt(("folder", "properties"), folder.id, error))?;
    let sql = "INSERT INTO folder (partition, mailbox, id, parent, display_name, well_known, properties, revision,
            place)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT DO UPDATE SET parent = excluded.parent, display_name = excluded.display_name,
        well_known = excluded.well_known, properties = excluded.properties, revision = excluded.revision";
    connection.prepare_cached(sql)?.execute(params![
        partition.0,
        folder.mailbox.0.as_bytes(),
        folder_key(folder.id),
        folder.parent.map(folder_key),
        folder.display_name,
        folder.well_known.map(WellKnown::name),
        properties,
        revision.0,
        place_key(folder.mailbox, folder.id, &[]),
    ])?;
    Ok(())
}

/// The parent of a folder, if the folder is there and has one.
fn parent_of(
    connection: &Connection,
    partition: Partition,
    mailbox: UserId,
    id: FolderId,
) -> Result<Option<Key>, StoreError> {
    let sql = "SELECT parent FROM folder WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    let key = params![partition.0, mailbox.0.as_bytes(), folder_key(id)];
    Ok(connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?.flatten())
}

fn touch(
    connection: &Connection,
    partition: Partition,
    mailbox: UserId,
    folder: Key,
    revision: Revision,
) -> Result<(), StoreError> {
    let sql = "UPDATE folder SET revision = ?4 WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    connection.prepare_cached(sql)?.execute(params![partition.0, mailbox.0.as_bytes(), folder, revision.0])?;
    Ok(())
}

/// Removes a folder, if it is there.
pub(super) fn remove(
    connection: &Connection,
    partition: Partition,
    mailbox: UserId,
    id: FolderId,
    revision: Revision,
) -> Result<bool, StoreError> {
    if let Some(parent) = parent_of(connection, partition, mailbox, id)? {
        touch(connection, partition, mailbox, parent, revision)?;
    }
    let sql = "DELETE FROM folder WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    let removed =
        connection.prepare_cached(sql)?.execute(params![partition.0, mailbox.0.as_bytes(), folder_key(id)])?;
    Ok(removed > 0)
}

pub(super) fn exists(
    statements: &mut Statements<'_>,
    partition: Partition,
    mailbox: UserId,
    id: FolderId,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM folder WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    Ok(statements.get(sql)?.exists(params![partition.0, mailbox.0.as_bytes(), folder_key(id)])?)
}

/// What one commit adds to the counts of the folders that it touches.
#[derive(Default)]
pub(super) struct FolderTally(Vec<(Key, i64, i64)>);

impl FolderTally {
    pub fn add(&mut self, folder: Key, total: i64, unread: i64) {
        match self.0.iter_mut().find(|(known, ..)| *known == folder) {
            Some((_, sum, sum_unread)) => {
                *sum += total;
                *sum_unread += unread;
            }
            None => self.0.push((folder, total, unread)),
        }
    }
}

/// The sums of all commits that share a transaction: many go to one folder, whose row is written once, at the end.
#[derive(Default)]
pub(in crate::sqlite) struct FolderTallies(BTreeMap<(Partition, UserId, Key), FolderSum>);

#[derive(Default)]
struct FolderSum {
    total: i64,
    unread: i64,
    /// Of the last commit that altered a count.
    revision: u64,
}

impl FolderTallies {
    pub(super) fn add(&mut self, partition: Partition, mailbox: UserId, tally: &FolderTally, revision: Revision) {
        for (folder, total, unread) in tally.0.iter().filter(|(_, total, unread)| (*total, *unread) != (0, 0)) {
            let sum = self.0.entry((partition, mailbox, *folder)).or_default();
            *sum = FolderSum { total: sum.total + total, unread: sum.unread + unread, revision: revision.0 };
        }
    }

    /// The folder is gone; one that is made under its id later in the transaction has counts of its own.
    pub(super) fn forget(&mut self, partition: Partition, mailbox: UserId, folder: FolderId) {
        self.0.remove(&(partition, mailbox, folder_key(folder)));
    }

    pub fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "UPDATE folder SET total = total + ?4, unread = unread + ?5, revision = MAX(revision, ?6)
            WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
        for ((partition, mailbox, folder), FolderSum { total, unread, revision }) in &self.0 {
            let mut update = connection.prepare_cached(sql)?;
            update.execute(params![partition.0, mailbox.0.as_bytes(), folder, total, unread, revision])?;
        }
        Ok(())
    }
}

/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str =
    "id, parent, display_name, well_known, properties, total, unread, (SELECT COUNT(*) FROM folder AS child
    WHERE child.partition = folder.partition AND child.mailbox = folder.mailbox AND child.parent = folder.id)";

pub(in crate::sqlite) fn folders(connection: &Connection, mailbox: UserId) -> Result<Vec<FolderCounts>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM folder WHERE partition = ?1 AND mailbox = ?2 ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![Partition::of(mailbox).0, mailbox.0.as_bytes()])?;
    let mut folders = Vec::new();
    while let Some(row) = rows.next()? {
        folders.push(read(row, mailbox)?);
    }
    Ok(folders)
}

/// All folders of a mailbox, without their counts.
pub(super) fn uncounted(connection: &Connection, mailbox: UserId) -> Result<Vec<Folder>, StoreError> {
    let sql = "SELECT id, parent, display_name, well_known, properties FROM folder
        WHERE partition = ?1 AND mailbox = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![Partition::of(mailbox).0, mailbox.0.as_bytes()])?;
    let mut folders = Vec::new();
    while let Some(row) = rows.next()? {
        folders.push(read_folder(row, mailbox)?);
    }
    Ok(folders)
}

pub(in crate::sqlite) fn folder(
    connection: &Connection,
    mailbox: UserId,
    id: FolderId,
) -> Result<Option<FolderCounts>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM folder WHERE partition = ?1 AND mailbox = ?2 AND id = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), folder_key(id)];
    statement.query_row(key, |row| Ok(read(row, mailbox))).optional()?.transpose()
}

/// How many items a folder holds.
pub(super) fn total(connection: &Connection, mailbox: UserId, id: FolderId) -> Result<u64, StoreError> {
    let sql = "SELECT total FROM folder WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), folder_key(id)];
    let total = statement.query_row(key, |row| Ok(cell(row, 0, ("folder", "total"), id))).optional()?;
    total.unwrap_or(Ok(0))
}

pub(super) fn read(row: &Row<'_>, mailbox: UserId) -> Result<FolderCounts, StoreError> {
    let folder = read_folder(row, mailbox)?;
    let id = folder.id;
    Ok(FolderCounts {
        folder,
        total: cell(row, 5, ("folder", "total"), id)?,
        unread: cell(row, 6, ("folder", "unread"), id)?,
        children: cell(row, 7, ("folder", "parent"), id)?,
    })
}

fn read_folder(row: &Row<'_>, mailbox: UserId) -> Result<Folder, StoreError> {
    let known = |column: &'static str, key: Key| {
        folder_id(key).ok_or_else(|| corrupt(("folder", column), mailbox, "it is of an unknown kind"))
    };
    let id = known("id", cell(row, 0, ("folder", "id"), mailbox)?)?;
    let parent: Option<Key> = cell(row, 1, ("folder", "parent"), id)?;
    let well_known: Option<String> = cell(row, 3, ("folder", "well_known"), id)?;
    let well_known = well_known.map(|name| name.parse()).transpose();
    let json: Option<Vec<u8>> = cell(row, 4, ("folder", "properties"), id)?;
    let properties = json.map(|json| serde_json::from_slice::<Properties>(&json)).transpose();
    let properties = properties.map_err(|error| corrupt(("folder", "properties"), id, error))?;
    Ok(Folder {
        id,
        mailbox,
        parent: parent.map(|parent| known("parent", parent)).transpose()?,
        display_name: cell(row, 2, ("folder", "display_name"), id)?,
        well_known: well_known.map_err(|error| corrupt(("folder", "well_known"), id, error))?,
        properties: properties.unwrap_or_default(),
    })
}
