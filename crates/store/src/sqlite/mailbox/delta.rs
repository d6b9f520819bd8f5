//! What has changed in a place of a mailbox, from the rows that carry revisions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use graph::{FolderId, Kind, Partition, UserId, WellKnown};
use rusqlite::{CachedStatement, Connection, Rows, params};
use uuid::Uuid;

use super::revision::last_revision_of;
use super::tombstone::{NO_FOLDER, floor};
use super::{folder, item, list};
use crate::sqlite::error::corrupt;
use crate::sqlite::row::{Key, folder_id, folder_key, item_id, kind_byte, place_key};
use crate::{Delta, DeltaEntry, DeltaError, DeltaPlace, DeltaQuery, READ_BYTES_MAX, Revision, StoreError};

/// What is to be read of one entry once it is known to be among the first.
enum Found {
    Gone { immutable: Option<Key> },
    Item { number: i64 },
    Folder,
}

/// Where an entry stands: a removal goes before what came of the same commit.
type Place = (u64, u8, Key);

pub(in crate::sqlite) fn delta(connection: &Connection, query: DeltaQuery) -> Result<Delta, DeltaError> {
    let _snapshot = connection.unchecked_transaction().map_err(StoreError::from)?;
    let removals_since = query.since.max(query.removals_since);
    let first = query.since == Revision(0);
    if !first && removals_since < floor(connection, query.mailbox)? {
        return Err(DeltaError::TooOld);
    }
    let reading = Reading { connection, query, removals_since: (!first).then_some(removals_since) };
    let First { entries, bytes, more } = match query.place {
        DeltaPlace::Items(kind, asked) => reading.items(kind, asked)?,
        DeltaPlace::Folders(kind) => reading.folders(kind)?,
    };
    let now = last_revision_of(connection, query.mailbox)?;
    let last = entries.last().map_or(query.since, |(revision, _)| *revision);
    Ok(Delta { entries, bytes, until: if more { last } else { now }, now, more })
}

struct Reading<'a> {
    connection: &'a Connection,
    query: DeltaQuery,
    /// `None`: removals are not asked for.
    removals_since: Option<Revision>,
}

/// The first entries.
#[derive(Default)]
struct First {
    entries: Vec<(Revision, DeltaEntry)>,
    bytes: usize,
    /// Whether there are others.
    more: bool,
}

/// What a list is of, its folder, the revision after which it begins, and how it is read.
type Listed<'a> = (List, Vec<u8>, Revision, CachedStatement<'a>);

impl Reading<'_> {
    fn key(&self) -> (u16, UserId) {
        (Partition::of(self.query.mailbox).0, self.query.mailbox)
    }

    fn items(&self, kind: Kind, asked: Option<FolderId>) -> Result<First, StoreError> {
        let (present, left) = match asked {
            Some(folder) => (vec![folder], vec![folder_key(folder)]),
            None => {
                let filled = list::filled_folders(self.connection, self.query.mailbox, kind)?;
                (filled, self.left_folders(kind)?)
            }
        };
        let sql = "SELECT revision, id, number FROM item INDEXED BY item_by_revision
            WHERE partition = ?1 AND mailbox = ?2 AND folder = ?3 AND revision > ?4 AND place = ?5
            ORDER BY revision, id";
        let mut lists = Vec::new();
        for folder in present {
            let items = List::Items { place: place_key(self.query.mailbox, folder, &[]) };
            lists.push((items, folder_key(folder).to_vec(), self.query.since, self.connection.prepare_cached(sql)?));
        }
        if let Some(since) = self.removals_since {
            for folder in left {
                lists.push((List::Gone, folder.to_vec(), since, self.connection.prepare_cached(GONE)?));
            }
        }
        self.merge(&mut lists, kind)
    }

    fn folders(&self, kind: Kind) -> Result<First, StoreError> {
        // A mailbox's folders are few, and their revisions in no index.
        let sql = "SELECT revision, id, 0 FROM folder
            WHERE partition = ?1 AND mailbox = ?2 AND ?3 = x'' AND revision > ?4 ORDER BY revision, id";
        let no_folder = || NO_FOLDER.to_vec();
        let mut lists = vec![(List::Folders, no_folder(), self.query.since, self.connection.prepare_cached(sql)?)];
        if let Some(since) = self.removals_since {
            lists.push((List::Gone, no_folder(), since, self.connection.prepare_cached(GONE)?));
        }
        self.merge(&mut lists, kind)
    }

    /// The folders that items of a kind have left, apart from Recoverable Items; they need not exist.
    fn left_folders(&self, kind: Kind) -> Result<Vec<Key>, StoreError> {
        let sql = "SELECT folder FROM tombstone WHERE partition = ?1 AND mailbox = ?2 AND folder >= ?3
            ORDER BY partition, mailbox, folder LIMIT 1";
        let (partition, mailbox) = self.key();
        let hidden = folder_key(WellKnown::RecoverableItemsDeletions.id_in(mailbox));
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut folders = Vec::new();
        let mut from = vec![kind_byte(kind)];
        loop {
            let mut rows = statement.query(params![partition, mailbox.0.as_bytes(), from])?;
            let found: Option<Vec<u8>> = rows.next()?.map(|row| row.get(0)).transpose()?;
            let Some(found) = found.filter(|folder| folder.first() == Some(&kind_byte(kind))) else { break };
            from.clone_from(&found);
            from.push(0);
            folders.extend(Key::try_from(found).ok().filter(|folder| *folder != hidden));
        }
        Ok(folders)
    }

    /// The first entries of several lists, as many as are enough, and no revision parted.
    fn merge(&self, lists: &mut [Listed<'_>], kind: Kind) -> Result<First, StoreError> {
        let (partition, mailbox) = self.key();
        let mut open: Vec<(List, Rows<'_>)> = Vec::with_capacity(lists.len());
        for (list, folder, since, statement) in lists {
            let mailbox = mailbox.0.as_bytes();
            let rows = match list {
                List::Items { place } => statement.query(params![partition, mailbox, &*folder, since.0, *place]),
                List::Folders | List::Gone => statement.query(params![partition, mailbox, &*folder, since.0]),
            };
            open.push((*list, rows?));
        }
        let mut heads = BinaryHeap::with_capacity(open.len());
        let mut waiting: Vec<Option<Found>> = Vec::with_capacity(open.len());
        for (index, (list, rows)) in open.iter_mut().enumerate() {
            let head = next(*list, rows, kind)?;
            heads.extend(head.as_ref().map(|(place, _)| Reverse((*place, index))));
            waiting.push(head.map(|(_, found)| found));
        }
        let mut first = First::default();
        while let Some(Reverse((place, index))) = heads.pop() {
            let last = first.entries.last().map(|(revision, _)| revision.0);
            let enough = first.entries.len() as u64 >= self.query.limit || first.bytes > READ_BYTES_MAX;
            if enough && last != Some(place.0) {
                return Ok(First { more: true, ..first });
            }
            if let Some(found) = waiting[index].take() {
                self.add(place, found, &mut first)?;
            }
            let (list, rows) = &mut open[index];
            let head = next(*list, rows, kind)?;
            heads.extend(head.as_ref().map(|(place, _)| Reverse((*place, index))));
            waiting[index] = head.map(|(_, found)| found);
        }
        Ok(first)
    }

    fn add(&self, (revision, _, key): Place, found: Found, to: &mut First) -> Result<(), StoreError> {
        let mailbox = self.query.mailbox;
        let unknown = |table| corrupt((table, "id"), mailbox, "it is of an unknown kind");
        let entry = match (found, self.query.place) {
            (Found::Item { number }, _) => {
                let (item, bytes) = item::at(self.connection, mailbox, number)?;
                to.bytes += bytes;
                let sql = "SELECT arrived FROM item WHERE number = ?1";
                let mut statement = self.connection.prepare_cached(sql)?;
                let arrived: Option<u64> = statement.query_row([number], |row| row.get(0))?;
                DeltaEntry::Item { item: Box::new(item), arrived: Revision(arrived.unwrap_or_default()) }
            }
            (Found::Gone { immutable }, DeltaPlace::Items(..)) => {
                let id = item_id(key).ok_or_else(|| unknown("tombstone"))?;
                let immutable = immutable.map_or(id.uuid, |key| Uuid::from_slice(&key[1..]).unwrap_or_default());
                DeltaEntry::ItemGone { id, immutable }
            }
            (Found::Gone { .. }, DeltaPlace::Folders(_)) => {
                DeltaEntry::FolderGone(folder_id(key).ok_or_else(|| unknown("tombstone"))?)
            }
            (Found::Folder, _) => {
                let id = folder_id(key).ok_or_else(|| unknown("folder"))?;
                let counts = folder::folder(self.connection, mailbox, id)?;
                DeltaEntry::Folder(Box::new(counts.ok_or_else(|| corrupt(("folder", "id"), id, "it is gone"))?))
            }
        };
        to.entries.push((Revision(revision), entry));
        Ok(())
    }
}

const GONE: &str = "SELECT revision, id, immutable FROM tombstone
    WHERE partition = ?1 AND mailbox = ?2 AND folder = ?3 AND revision > ?4 ORDER BY revision, id";

#[derive(Clone, Copy)]
enum List {
    Items { place: i64 },
    Folders,
    Gone,
}

/// The next row of a list that is of a kind.
fn next(list: List, rows: &mut Rows<'_>, kind: Kind) -> Result<Option<(Place, Found)>, StoreError> {
    while let Some(row) = rows.next()? {
        let (revision, key): (u64, Key) = (row.get(0)?, row.get(1)?);
        if key[0] != kind_byte(kind) {
            continue;
        }
        let (order, found) = match list {
            List::Gone => (0, Found::Gone { immutable: row.get(2)? }),
            List::Items { .. } => (1, Found::Item { number: row.get(2)? }),
            List::Folders => (1, Found::Folder),
        };
        return Ok(Some(((revision, order, key), found)));
    }
    Ok(None)
}
