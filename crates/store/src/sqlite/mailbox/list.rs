//! Lists of items.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use graph::{FolderId, Item, ItemId, Kind, Partition, UserId, WellKnown};
use rusqlite::{CachedStatement, Connection, Rows, params};

use super::item::{COLUMNS, read};
use crate::sqlite::row::{Key, folder_key, item_key, kind_byte, signed};
use crate::{ItemQuery, StoreError, Window};

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
        None => filled_folders(connection, query.mailbox, query.query.kind())?,
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
    let sql = format!("SELECT {COLUMNS} FROM item WHERE number = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    numbers.into_iter().map(|number| statement.query_row([number], |row| Ok(read(row, query.mailbox)))?).collect()
}

/// The folders that a list over the mailbox is made of.
pub(super) fn filled_folders(connection: &Connection, mailbox: UserId, kind: Kind) -> Result<Vec<Key>, StoreError> {
    let sql = "SELECT id FROM folder
        WHERE partition = ?1 AND mailbox = ?2 AND id >= ?3 AND id < ?4 AND total > 0 AND id <> ?5";
    let mut statement = connection.prepare_cached(sql)?;
    let (low, high) = ([kind_byte(kind)], [kind_byte(kind) + 1]);
    let hidden = folder_key(WellKnown::RecoverableItemsDeletions.id_in(mailbox));
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), low, high, hidden];
    let folders = statement.query_map(key, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(folders)
}

/// Events of a calendar in a window, by id.
pub(in crate::sqlite) fn events_between(
    connection: &Connection,
    (mailbox, calendar): (UserId, FolderId),
    window: Window,
    after: Option<ItemId>,
    limit: u64,
) -> Result<Vec<Item>, StoreError> {
    if calendar.kind != Kind::Event {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM item WHERE number IN (
            SELECT number FROM item INDEXED BY item_by_end WHERE partition = ?1 AND mailbox = ?2 AND folder = ?3
                AND last_end > ?4 AND sort_key < ?5 AND id > ?6 ORDER BY id LIMIT ?7)
        ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let (from, until) = (window.from.as_micros(), window.until.as_micros());
    let after = after.map(|id| item_key(id).to_vec()).unwrap_or_default();
    let (partition, folder) = (Partition::of(mailbox).0, folder_key(calendar));
    let key = params![partition, mailbox.0.as_bytes(), folder, from, until, after, signed(limit)];
    let mut rows = statement.query(key)?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(read(row, mailbox)?);
    }
    Ok(events)
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
