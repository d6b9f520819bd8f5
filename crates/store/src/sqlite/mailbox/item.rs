//! Items.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use graph::{ChangeId, FolderId, Item, ItemId, Partition, Timestamp, UserId, WellKnown};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Rows, params};
use uuid::Uuid;

use super::folder::FolderTally;
use crate::sqlite::error::{cell, corrupt};
use crate::sqlite::row::{Key, folder_id, folder_key, item_id, item_key, kind_byte, signed};
use crate::{ItemQuery, StoreError};

/// An item in its stored form.
pub(super) struct EncodedItem {
    pub id: ItemId,
    pub folder: FolderId,
    sort_key: i64,
    unread: bool,
    version: [u8; 16],
    created: i64,
    modified: i64,
    properties: Vec<u8>,
}

impl EncodedItem {
    pub fn new(item: &Item) -> Result<Self, StoreError> {
        let json = serde_json::to_vec(&item.properties);
        Ok(Self {
            id: item.id,
            folder: item.folder,
            sort_key: item.sort_key().as_micros(),
            unread: item.is_unread(),
            version: *item.version.0.as_bytes(),
            created: item.created.as_micros(),
            modified: item.modified.as_micros(),
            properties: json.map_err(|error| corrupt(("item", "properties"), item.id, error))?,
        })
    }
}

/// What a transaction must know of an item's row before it writes it.
#[derive(Clone, Copy)]
pub(super) struct Before {
    number: i64,
    pub version: [u8; 16],
    folder: Key,
    sort_key: i64,
    unread: bool,
}

/// The rows that one commit looks at or writes, each read once.
pub(super) struct Touched<'a> {
    connection: &'a Connection,
    partition: u16,
    mailbox: [u8; 16],
    rows: Vec<(ItemId, Option<Before>)>,
}

impl<'a> Touched<'a> {
    pub fn new(connection: &'a Connection, partition: Partition, mailbox: UserId) -> Self {
        Self { connection, partition: partition.0, mailbox: *mailbox.0.as_bytes(), rows: Vec::new() }
    }

    /// The row as the transaction has it now.
    pub fn before(&mut self, id: ItemId) -> Result<Option<Before>, StoreError> {
        if let Some((_, row)) = self.rows.iter().find(|(known, _)| *known == id) {
            return Ok(*row);
        }
        let sql = "SELECT number, version, folder, sort_key, unread FROM item
            WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let key = params![self.partition, self.mailbox, item_key(id)];
        let row = statement.query_row(key, |row| Ok(read_before(row, id))).optional()?.transpose()?;
        self.rows.push((id, row));
        Ok(row)
    }

    fn set(&mut self, id: ItemId, row: Option<Before>) {
        if let Some((_, known)) = self.rows.iter_mut().find(|(known, _)| *known == id) {
            *known = row;
        }
    }

    pub fn put(&mut self, item: &EncodedItem, tally: &mut FolderTally) -> Result<(), StoreError> {
        let folder = folder_key(item.folder);
        let (version, sort_key, unread) = (item.version, item.sort_key, item.unread);
        let number = match self.before(item.id)? {
            None => self.insert(item, folder)?,
            Some(before) => {
                tally.add(before.folder, -1, -i64::from(before.unread));
                if (before.folder, before.sort_key) == (folder, sort_key) {
                    self.update(before.number, item)?;
                } else {
                    self.refile(before.number, item, folder)?;
                }
                before.number
            }
        };
        tally.add(folder, 1, i64::from(unread));
        self.set(item.id, Some(Before { number, version, folder, sort_key, unread }));
        Ok(())
    }

    pub fn remove(&mut self, id: ItemId, tally: &mut FolderTally) -> Result<(), StoreError> {
        let Some(before) = self.before(id)? else { return Ok(()) };
        self.connection.prepare_cached("DELETE FROM item WHERE number = ?1")?.execute([before.number])?;
        tally.add(before.folder, -1, -i64::from(before.unread));
        self.set(id, None);
        Ok(())
    }

    fn insert(&self, item: &EncodedItem, folder: Key) -> Result<i64, StoreError> {
        let sql = "INSERT INTO item
            (partition, mailbox, id, folder, sort_key, unread, version, created, modified, properties)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        Ok(self.connection.prepare_cached(sql)?.insert(params![
            self.partition,
            self.mailbox,
            item_key(item.id),
            folder,
            item.sort_key,
            item.unread,
            item.version,
            item.created,
            item.modified,
            item.properties,
        ])?)
    }

    /// Writes a row whose place in the lists stays; no index is touched.
    fn update(&self, number: i64, item: &EncodedItem) -> Result<(), StoreError> {
        let sql = "UPDATE item SET unread = ?2, version = ?3, created = ?4, modified = ?5, properties = ?6
            WHERE number = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let (created, modified) = (item.created, item.modified);
        statement.execute(params![number, item.unread, item.version, created, modified, item.properties])?;
        Ok(())
    }

    fn refile(&self, number: i64, item: &EncodedItem, folder: Key) -> Result<(), StoreError> {
        let sql = "UPDATE item SET folder = ?2, sort_key = ?3 WHERE number = ?1";
        self.connection.prepare_cached(sql)?.execute(params![number, folder, item.sort_key])?;
        self.update(number, item)
    }
}

fn read_before(row: &Row<'_>, id: ItemId) -> Result<Before, StoreError> {
    Ok(Before {
        number: cell(row, 0, ("item", "number"), id)?,
        version: cell(row, 1, ("item", "version"), id)?,
        folder: cell(row, 2, ("item", "folder"), id)?,
        sort_key: cell(row, 3, ("item", "sort_key"), id)?,
        unread: cell(row, 4, ("item", "unread"), id)?,
    })
}

pub(in crate::sqlite) fn item(
    connection: &Connection,
    mailbox: UserId,
    id: ItemId,
) -> Result<Option<Item>, StoreError> {
    let sql = "SELECT id, folder, version, created, modified, properties FROM item
        WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), item_key(id)];
    statement.query_row(key, |row| Ok(read(row, mailbox))).optional()?.transpose()
}

fn read(row: &Row<'_>, mailbox: UserId) -> Result<Item, StoreError> {
    let unknown = |column: &'static str| corrupt(("item", column), mailbox, "it is of an unknown kind");
    let id = item_id(cell(row, 0, ("item", "id"), mailbox)?).ok_or_else(|| unknown("id"))?;
    let folder = folder_id(cell(row, 1, ("item", "folder"), id)?).ok_or_else(|| unknown("folder"))?;
    let json = row.get_ref(5)?.as_blob();
    let json = json.map_err(|error| corrupt(("item", "properties"), id, error))?;
    Ok(Item {
        id,
        immutable: id.uuid,
        mailbox,
        folder,
        created: Timestamp::from_micros(cell(row, 3, ("item", "created"), id)?),
        modified: Timestamp::from_micros(cell(row, 4, ("item", "modified"), id)?),
        version: ChangeId(Uuid::from_bytes(cell(row, 2, ("item", "version"), id)?)),
        properties: serde_json::from_slice(json).map_err(|error| corrupt(("item", "properties"), id, error))?,
    })
}

/// Where an item stands in a list: newest first, ties by id.
type Place = (Reverse<i64>, Key);

/// One folder's items in order, from its index alone.
const FOLDER_LIST: &str = "SELECT sort_key, id, number FROM item
    WHERE partition = ?1 AND mailbox = ?2 AND folder = ?3 ORDER BY sort_key DESC, id";

/// Reads one page of a list. A list over several folders merges theirs, so that a page costs what it
/// skips and shows, however large the mailbox is.
pub(in crate::sqlite) fn items(connection: &Connection, query: &ItemQuery) -> Result<Vec<Item>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let folders = match &query.folders {
        Some(folders) => folders.iter().filter(|id| id.kind == query.query.kind()).copied().map(folder_key).collect(),
        None => filled_folders(connection, query)?,
    };
    let partition = Partition::of(query.mailbox).0;
    let mut statements = Vec::with_capacity(folders.len());
    for _ in &folders {
        statements.push(connection.prepare_cached(FOLDER_LIST)?);
    }
    let mut lists = Vec::with_capacity(folders.len());
    for (statement, folder) in statements.iter_mut().zip(&folders) {
        let statement: &mut CachedStatement<'_> = statement;
        lists.push(statement.query(params![partition, query.mailbox.0.as_bytes(), folder])?);
    }
    let numbers = merge(&mut lists, query)?;
    let sql = "SELECT id, folder, version, created, modified, properties FROM item WHERE number = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    numbers.into_iter().map(|number| statement.query_row([number], |row| Ok(read(row, query.mailbox)))?).collect()
}

/// The folders that a list over the mailbox is made of.
fn filled_folders(connection: &Connection, query: &ItemQuery) -> Result<Vec<Key>, StoreError> {
    let sql = "SELECT id FROM folder
        WHERE partition = ?1 AND mailbox = ?2 AND id >= ?3 AND id < ?4 AND total > 0 AND id <> ?5";
    let mut statement = connection.prepare_cached(sql)?;
    let (low, high) = ([kind_byte(query.query.kind())], [kind_byte(query.query.kind()) + 1]);
    let hidden = folder_key(WellKnown::RecoverableItemsDeletions.id_in(query.mailbox));
    let key = params![Partition::of(query.mailbox).0, query.mailbox.0.as_bytes(), low, high, hidden];
    let folders = statement.query_map(key, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(folders)
}

/// The row numbers of the page that the query asks for.
fn merge(lists: &mut [Rows<'_>], query: &ItemQuery) -> Result<Vec<i64>, StoreError> {
    let mut heads = BinaryHeap::with_capacity(lists.len());
    for (list, rows) in lists.iter_mut().enumerate() {
        heads.extend(next(rows)?.map(|(place, number)| Reverse((place, list, number))));
    }
    let mut page = Vec::new();
    let mut skip = query.skip;
    while signed(query.top) > page.len() as i64 {
        let Some(Reverse((_, list, number))) = heads.pop() else { break };
        match skip {
            0 => page.push(number),
            _ => skip -= 1,
        }
        heads.extend(next(&mut lists[list])?.map(|(place, number)| Reverse((place, list, number))));
    }
    Ok(page)
}

fn next(rows: &mut Rows<'_>) -> Result<Option<(Place, i64)>, StoreError> {
    let row = rows.next()?;
    Ok(row.map(|row| Ok::<_, rusqlite::Error>(((Reverse(row.get(0)?), row.get(1)?), row.get(2)?))).transpose()?)
}
