//! Lists of items.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Bound;

use graph::query::{Column, Scan};
use graph::{FolderId, Item, ItemId, Kind, Partition, UserId, WellKnown};
use rusqlite::{Connection, params};

use super::attachment::attachments;
use super::rank::{FirstOf, Ranked};
use super::walk::Walk;
use super::{folder, item};
use crate::sqlite::row::{Key, folder_id, folder_key, item_key, kind_byte, place_key, signed};
use crate::{ItemQuery, Items, READ_BYTES_MAX, StoreError, Window};

/// How many items of an order that no index has are held at once; what is further down is found by going
/// over the items again.
const RANKED_MAX: usize = 4_096;

/// A page of a list. In an order that an index has it costs what it skips and shows, however large the
/// mailbox is: a list over several folders merges theirs.
pub(in crate::sqlite) fn items(connection: &Connection, query: &ItemQuery) -> Result<Items, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let scan = usable(query.query.scan());
    let list = List { connection, query, scan: &scan };
    if scan.in_order { list.page() } else { list.ranked_page() }
}

/// A scan by what there is an index for: some texts are only found as a whole.
fn usable(scan: Scan) -> Scan {
    let is_whole = matches!((&scan.low, &scan.high), (Bound::Included(low), Bound::Included(high)) if low == high);
    match scan.column {
        Column::InternetMessageId | Column::ConversationId if !is_whole => {
            Scan { column: Column::SortKey, low: Bound::Unbounded, high: Bound::Unbounded, in_order: false, ..scan }
        }
        _ => scan,
    }
}

/// How many items a query finds.
pub(in crate::sqlite) fn count_items(connection: &Connection, query: &ItemQuery) -> Result<u64, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let scan = usable(query.query.scan());
    let list = List { connection, query, scan: &scan };
    let mut count = 0;
    for folder in list.folders()? {
        if query.query.is_unfiltered() {
            count += folder::total(connection, query.mailbox, folder)?;
            continue;
        }
        let mut walk = Walk::new(connection, &scan, query.mailbox, folder);
        while let Some((_, number)) = walk.next()? {
            count += u64::from(list.finds(&list.read(number)?.0)?);
        }
    }
    Ok(count)
}

/// A page that is being read.
struct Page {
    items: Vec<Item>,
    most: u64,
    bytes: usize,
}

impl Page {
    fn new(most: u64) -> Self {
        Self { items: Vec::new(), most, bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.items.len() as u64 >= self.most || self.bytes > READ_BYTES_MAX
    }

    fn add(&mut self, (item, bytes): (Item, usize)) {
        self.bytes += bytes;
        self.items.push(item);
    }

    fn done(self, more: bool) -> Items {
        Items { items: self.items, more }
    }
}

/// A list that is being read.
struct List<'a> {
    connection: &'a Connection,
    query: &'a ItemQuery,
    scan: &'a Scan,
}

impl<'a> List<'a> {
    /// The folders that the list is made of, each once.
    fn folders(&self) -> Result<Vec<FolderId>, StoreError> {
        let kind = self.query.query.kind();
        match &self.query.folders {
            Some(folders) => {
                let folders: BTreeSet<FolderId> = folders.iter().filter(|id| id.kind == kind).copied().collect();
                Ok(folders.into_iter().collect())
            }
            None => filled_folders(self.connection, self.query.mailbox, kind),
        }
    }

    /// An item, and how long its properties are.
    fn read(&self, number: i64) -> Result<(Item, usize), StoreError> {
        item::at(self.connection, self.query.mailbox, number)
    }

    fn finds(&self, item: &Item) -> Result<bool, StoreError> {
        let query = &self.query.query;
        let attachments = match query.seeks_attachments() {
            true => attachments(self.connection, self.query.mailbox, item.immutable)?,
            false => Vec::new(),
        };
        Ok(query.finds(item, &attachments))
    }

    /// The page, where the walk goes in the order of the list.
    fn page(&self) -> Result<Items, StoreError> {
        let walk = |folder| Walk::new(self.connection, self.scan, self.query.mailbox, folder);
        let mut walks: Vec<Walk<'_>> = self.folders()?.into_iter().map(walk).collect();
        let mut heads = BinaryHeap::with_capacity(walks.len());
        let (mut page, mut skip) = (Page::new(self.query.top), self.query.skip);
        let finds_all = self.query.query.is_unfiltered();
        for (index, walk) in walks.iter_mut().enumerate() {
            heads.extend(walk.next()?.map(|(place, number)| Reverse((place, index, number))));
        }
        while let Some(Reverse((_, index, number))) = heads.pop() {
            let is_shown = skip == 0 && !page.is_full();
            let read = if is_shown || !finds_all { Some(self.read(number)?) } else { None };
            let is_found = match &read {
                Some((item, _)) => finds_all || self.finds(item)?,
                None => true,
            };
            if is_found {
                match read {
                    Some(read) if is_shown => page.add(read),
                    _ if skip > 0 => skip -= 1,
                    _ => return Ok(page.done(true)),
                }
            }
            heads.extend(walks[index].next()?.map(|(place, number)| Reverse((place, index, number))));
        }
        Ok(page.done(false))
    }

    /// The page, where every item must be looked at.
    fn ranked_page(&self) -> Result<Items, StoreError> {
        let (mut page, mut skip) = (Page::new(self.query.top), self.query.skip);
        let mut after: Option<Ranked<'a>> = None;
        loop {
            // One more than the page, to know whether another follows.
            let left = (self.query.top - page.items.len() as u64).saturating_add(skip).saturating_add(1);
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(RANKED_MAX);
            let (found, has_more) = self.first_after(after.as_ref(), most)?;
            for ranked in &found {
                if skip > 0 {
                    skip -= 1;
                } else if page.is_full() {
                    return Ok(page.done(true));
                } else {
                    page.add(self.read(ranked.number)?);
                }
            }
            after = found.into_iter().next_back();
            if !has_more {
                return Ok(page.done(false));
            }
        }
    }

    /// The first items in order, after one of them, and whether there may be more.
    fn first_after(&self, after: Option<&Ranked<'a>>, most: usize) -> Result<(Vec<Ranked<'a>>, bool), StoreError> {
        let mut first = FirstOf::new(most);
        for folder in self.folders()? {
            let mut walk = Walk::new(self.connection, self.scan, self.query.mailbox, folder);
            while let Some((_, number)) = walk.next()? {
                let (item, _) = self.read(number)?;
                if self.finds(&item)? {
                    let ranked = Ranked::new(&self.query.query, item, number);
                    if after.is_none_or(|after| ranked > *after) {
                        first.add(ranked);
                    }
                }
            }
        }
        let has_more = first.is_full();
        Ok((first.into_sorted(), has_more))
    }
}

/// The folders that a list over the mailbox is made of.
pub(super) fn filled_folders(
    connection: &Connection,
    mailbox: UserId,
    kind: Kind,
) -> Result<Vec<FolderId>, StoreError> {
    let sql = "SELECT id FROM folder
        WHERE partition = ?1 AND mailbox = ?2 AND id >= ?3 AND id < ?4 AND total > 0 AND id <> ?5";
    let mut statement = connection.prepare_cached(sql)?;
    let (low, high) = ([kind_byte(kind)], [kind_byte(kind) + 1]);
    let hidden = folder_key(WellKnown::RecoverableItemsDeletions.id_in(mailbox));
    let key = params![Partition::of(mailbox).0, mailbox.0.as_bytes(), low, high, hidden];
    let folders = statement.query_map(key, |row| row.get(0))?.collect::<rusqlite::Result<Vec<Key>>>()?;
    Ok(folders.into_iter().filter_map(folder_id).collect())
}

/// Events of a calendar in a window, by id.
pub(in crate::sqlite) fn events_between(
    connection: &Connection,
    (mailbox, calendar): (UserId, FolderId),
    window: Window,
    after: Option<ItemId>,
    limit: u64,
) -> Result<Items, StoreError> {
    let mut page = Page::new(limit);
    if calendar.kind != Kind::Event {
        return Ok(page.done(false));
    }
    let _snapshot = connection.unchecked_transaction()?;
    let sql = "SELECT number FROM item INDEXED BY item_by_end WHERE place = ?8 AND last_end > ?4
        AND partition = ?1 AND mailbox = ?2 AND folder = ?3 AND sort_key < ?5 AND id > ?6 ORDER BY id LIMIT ?7";
    let mut statement = connection.prepare_cached(sql)?;
    let (from, until) = (window.from.as_micros(), window.until.as_micros());
    let after = after.map(|id| item_key(id).to_vec()).unwrap_or_default();
    let (partition, folder) = (Partition::of(mailbox).0, folder_key(calendar));
    let place = place_key(mailbox, calendar, &[]);
    let key =
        params![partition, mailbox.0.as_bytes(), folder, from, until, after, signed(limit.saturating_add(1)), place];
    // Sorted by their numbers alone: the properties of all would be held.
    let numbers = statement.query_map(key, |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for number in numbers {
        if page.is_full() {
            return Ok(page.done(true));
        }
        page.add(item::at(connection, mailbox, number)?);
    }
    Ok(page.done(false))
}
