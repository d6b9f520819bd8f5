//! Items.

use std::collections::BTreeMap;

use graph::{ChangeId, FolderId, ImmutableId, Item, ItemId, Partition, PropertyBag, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use uuid::Uuid;

use super::columns::Columns;
use super::folder::FolderTally;
use crate::sqlite::error::{cell, corrupt};
use crate::sqlite::row::{Key, folder_id, folder_key, immutable_key, item_id, item_key};
use crate::sqlite::statements::Statements;
use crate::{Revision, StoreError};

/// An item in its stored form.
pub(super) struct EncodedItem {
    pub id: ItemId,
    pub immutable: Uuid,
    pub folder: FolderId,
    sort_key: i64,
    unread: bool,
    version: [u8; 16],
    created: i64,
    modified: i64,
    /// Written as JSON already.
    properties: PropertyBag,
    columns: Columns,
}

impl EncodedItem {
    pub fn new(item: &Item) -> Self {
        item.properties.json();
        Self {
            id: item.id,
            immutable: item.immutable,
            folder: item.folder,
            sort_key: item.sort_key().as_micros(),
            unread: item.is_unread(),
            version: *item.version.0.as_bytes(),
            created: item.created.as_micros(),
            modified: item.modified.as_micros(),
            properties: item.properties.clone(),
            columns: Columns::of(item),
        }
    }

    /// What stands in the column `immutable`.
    fn immutable_key(&self) -> Option<Key> {
        (self.immutable != self.id.uuid).then(|| item_key(ItemId::new(self.id.kind, self.immutable)))
    }
}

/// What a transaction must know of an item's row before it writes it.
#[derive(Clone, Copy)]
pub(super) struct Before {
    number: i64,
    pub version: [u8; 16],
    pub folder: Key,
    unread: bool,
    /// As the column has it: `None` where it is the same as the id.
    pub immutable: Option<Key>,
}

impl Before {
    pub fn immutable_of(&self, id: ItemId) -> Key {
        self.immutable.unwrap_or_else(|| item_key(id))
    }
}

/// A row before the transaction's first write, and as it is now.
#[derive(Clone, Copy)]
struct Seen {
    first: Option<Before>,
    now: Option<Before>,
}

/// An item that is no longer in a folder.
pub(super) struct Left {
    pub id: ItemId,
    pub folder: Key,
    pub immutable: Option<Key>,
}

/// The rows that one commit looks at or writes, each read once.
pub(super) struct Touched<'t, 'a> {
    pub statements: &'t mut Statements<'a>,
    partition: u16,
    mailbox: [u8; 16],
    rows: BTreeMap<ItemId, Seen>,
}

impl<'t, 'a> Touched<'t, 'a> {
    pub fn new(statements: &'t mut Statements<'a>, partition: Partition, mailbox: UserId) -> Self {
        Self { statements, partition: partition.0, mailbox: *mailbox.0.as_bytes(), rows: BTreeMap::new() }
    }

    pub fn connection(&self) -> &'a Connection {
        self.statements.connection()
    }

    /// The row as the transaction has it now.
    pub fn before(&mut self, id: ItemId) -> Result<Option<Before>, StoreError> {
        if let Some(seen) = self.rows.get(&id) {
            return Ok(seen.now);
        }
        let sql = "SELECT number, version, folder, unread, immutable FROM item
            WHERE partition = ?1 AND mailbox = ?2 AND id = ?3";
        let key = params![self.partition, self.mailbox, item_key(id)];
        let row = self.statements.get(sql)?.query_row(key, |row| Ok(read_before(row, id))).optional()?.transpose()?;
        self.rows.insert(id, Seen { first: row, now: row });
        Ok(row)
    }

    /// The item that has an immutable id.
    pub fn holder(&mut self, immutable: ImmutableId) -> Result<Option<ItemId>, StoreError> {
        let same = ItemId::new(immutable.kind, immutable.uuid);
        if self.before(same)?.is_some_and(|row| row.immutable.is_none()) {
            return Ok(Some(same));
        }
        let sql = "SELECT id FROM item WHERE partition = ?1 AND mailbox = ?2 AND immutable = ?3";
        let key = params![self.partition, self.mailbox, immutable_key(immutable)];
        let id: Option<Key> = self.statements.get(sql)?.query_row(key, |row| row.get(0)).optional()?;
        Ok(id.and_then(item_id))
    }

    fn set(&mut self, id: ItemId, row: Option<Before>) {
        if let Some(seen) = self.rows.get_mut(&id) {
            seen.now = row;
        }
    }

    pub fn put(&mut self, item: &EncodedItem, revision: Revision, tally: &mut FolderTally) -> Result<(), StoreError> {
        let folder = folder_key(item.folder);
        let (version, unread, immutable) = (item.version, item.unread, item.immutable_key());
        let number = match self.before(item.id)? {
            None => self.insert(item, folder, revision)?,
            Some(before) => {
                tally.add(before.folder, -1, -i64::from(before.unread));
                self.update(before.number, item, revision)?;
                self.refile(before, item, folder)?;
                if before.folder != folder {
                    let sql = "UPDATE item SET arrived = ?2 WHERE number = ?1";
                    self.connection().prepare_cached(sql)?.execute(params![before.number, revision.0])?;
                }
                before.number
            }
        };
        tally.add(folder, 1, i64::from(unread));
        self.set(item.id, Some(Before { number, version, folder, unread, immutable }));
        Ok(())
    }

    pub fn remove(&mut self, id: ItemId, tally: &mut FolderTally) -> Result<(), StoreError> {
        let Some(before) = self.before(id)? else { return Ok(()) };
        self.connection().prepare_cached("DELETE FROM item WHERE number = ?1")?.execute([before.number])?;
        tally.add(before.folder, -1, -i64::from(before.unread));
        self.set(id, None);
        Ok(())
    }

    /// The items that the transaction took out of a folder.
    pub fn left(&self) -> impl Iterator<Item = Left> {
        let gone = |first: &Before, now: Option<Before>| now.is_none_or(|now| now.folder != first.folder);
        self.rows.iter().filter_map(move |(id, seen)| {
            let first = seen.first.filter(|first| gone(first, seen.now))?;
            Some(Left { id: *id, folder: first.folder, immutable: first.immutable })
        })
    }

    fn insert(&mut self, item: &EncodedItem, folder: Key, revision: Revision) -> Result<i64, StoreError> {
        let sql = "INSERT INTO item
            (partition, mailbox, id, folder, sort_key, unread, version, created, modified, properties, immutable,
            revision, arrived, place, from_address, subject, message_id_key, conversation_key, last_end)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
        Ok(self.statements.get(sql)?.insert(params![
            self.partition,
            self.mailbox,
            item_key(item.id),
            folder,
            item.sort_key,
            item.unread,
            item.version,
            item.created,
            item.modified,
            item.properties.json().as_bytes(),
            item.immutable_key(),
            revision.0,
            item.columns.place,
            item.columns.from,
            item.columns.subject,
            item.columns.message_id,
            item.columns.conversation,
            item.columns.last_end,
        ])?)
    }

    /// Writes what no list but that of revisions is made of.
    fn update(&self, number: i64, item: &EncodedItem, revision: Revision) -> Result<(), StoreError> {
        let sql = "UPDATE item SET version = ?2, created = ?3, modified = ?4, properties = ?5, revision = ?6
            WHERE number = ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let (created, modified) = (item.created, item.modified);
        statement.execute(params![
            number,
            item.version,
            created,
            modified,
            item.properties.json().as_bytes(),
            revision.0
        ])?;
        Ok(())
    }

    /// Writes what lists are made of, where it is another: SQLite writes every index of a column that it is
    /// told to set.
    fn refile(&self, before: Before, item: &EncodedItem, folder: Key) -> Result<(), StoreError> {
        if before.unread != item.unread {
            let sql = "UPDATE item SET unread = ?2 WHERE number = ?1";
            self.connection().prepare_cached(sql)?.execute(params![before.number, item.unread])?;
        }
        let sql = "UPDATE item SET (folder, sort_key, place, from_address, subject, message_id_key, conversation_key,
            last_end) = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) WHERE number = ?1 AND (folder, sort_key, place, from_address,
            subject, message_id_key, conversation_key, last_end) IS NOT (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let Columns { place, from, subject, message_id, conversation, last_end } = &item.columns;
        self.connection().prepare_cached(sql)?.execute(params![
            before.number,
            folder,
            item.sort_key,
            place,
            from,
            subject,
            message_id,
            conversation,
            last_end,
        ])?;
        Ok(())
    }
}

fn read_before(row: &Row<'_>, id: ItemId) -> Result<Before, StoreError> {
    Ok(Before {
        number: cell(row, 0, ("item", "number"), id)?,
        version: cell(row, 1, ("item", "version"), id)?,
        folder: cell(row, 2, ("item", "folder"), id)?,
        unread: cell(row, 3, ("item", "unread"), id)?,
        immutable: cell(row, 4, ("item", "immutable"), id)?,
    })
}

/// The columns that [`read`] reads.
pub(in crate::sqlite) const COLUMNS: &str = "id, folder, version, created, modified, properties, immutable";

pub(in crate::sqlite) fn item(
    connection: &Connection,
    mailbox: UserId,
    id: ItemId,
) -> Result<Option<Item>, StoreError> {
    let condition = "partition = ?1 AND mailbox = ?2 AND id = ?3";
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), item_key(id)];
    find(connection, condition, key, mailbox)
}

/// Looks where an item lies that has never moved, then where the others do.
pub(in crate::sqlite) fn item_by_immutable(
    connection: &Connection,
    mailbox: UserId,
    id: ImmutableId,
) -> Result<Option<Item>, StoreError> {
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), immutable_key(id)];
    let unmoved = "partition = ?1 AND mailbox = ?2 AND id = ?3 AND immutable IS NULL";
    match find(connection, unmoved, key, mailbox)? {
        Some(item) => Ok(Some(item)),
        None => find(connection, "partition = ?1 AND mailbox = ?2 AND immutable = ?3", key, mailbox),
    }
}

fn find(
    connection: &Connection,
    condition: &str,
    key: impl Params,
    mailbox: UserId,
) -> Result<Option<Item>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM item WHERE {condition}"))?;
    statement.query_row(key, |row| Ok(read(row, mailbox))).optional()?.transpose()
}

pub(in crate::sqlite) fn read(row: &Row<'_>, mailbox: UserId) -> Result<Item, StoreError> {
    read_sized(row, mailbox).map(|(item, _)| item)
}

/// The item of a row, and how long its properties are, in bytes.
pub(super) fn at(connection: &Connection, mailbox: UserId, number: i64) -> Result<(Item, usize), StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM item WHERE number = ?1"))?;
    statement.query_row([number], |row| Ok(read_sized(row, mailbox)))?
}

fn read_sized(row: &Row<'_>, mailbox: UserId) -> Result<(Item, usize), StoreError> {
    let unknown = |column: &'static str| corrupt(("item", column), mailbox, "it is of an unknown kind");
    let id = item_id(cell(row, 0, ("item", "id"), mailbox)?).ok_or_else(|| unknown("id"))?;
    let folder = folder_id(cell(row, 1, ("item", "folder"), id)?).ok_or_else(|| unknown("folder"))?;
    let json = row.get_ref(5)?.as_blob();
    let json = json.map_err(|error| corrupt(("item", "properties"), id, error))?;
    let immutable: Option<Key> = cell(row, 6, ("item", "immutable"), id)?;
    let immutable = immutable.map(|key| item_id(key).ok_or_else(|| unknown("immutable"))).transpose()?;
    let item = Item {
        id,
        immutable: immutable.unwrap_or(id).uuid,
        mailbox,
        folder,
        created: Timestamp::from_micros(cell(row, 3, ("item", "created"), id)?),
        modified: Timestamp::from_micros(cell(row, 4, ("item", "modified"), id)?),
        version: ChangeId(Uuid::from_bytes(cell(row, 2, ("item", "version"), id)?)),
        properties: serde_json::from_slice(json).map_err(|error| corrupt(("item", "properties"), id, error))?,
    };
    Ok((item, json.len()))
}
