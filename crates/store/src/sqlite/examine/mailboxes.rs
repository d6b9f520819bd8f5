//! Mailboxes: folders form trees and count what lies in them, items can be read, attachments have their items.

use std::collections::{BTreeMap, BTreeSet};

use graph::{ImmutableId, Kind, Partition, UserId};
use rusqlite::params;
use uuid::Uuid;

use super::{Desk, RESTORE};
use crate::StoreError;
use crate::sqlite::mailbox::item;
use crate::sqlite::row::{Key, folder_id, immutable_key};

/// The folders of one mailbox: their parents, and how many items they say they hold.
type Folders = BTreeMap<Key, (Option<Key>, (i64, i64))>;

impl Desk<'_> {
    pub(super) fn folders(&mut self) -> Result<(), StoreError> {
        // One that is being taken away has lost some rows already.
        let sql = "SELECT partition, mailbox, id, parent, total, unread FROM folder
            WHERE mailbox NOT IN (SELECT mailbox FROM removed_mailbox) ORDER BY partition, mailbox";
        let mut read = self.connection.prepare(sql)?;
        let mut rows = read.query(())?;
        let (mut folders, mut of) = (Folders::new(), None);
        while let Some(row) = rows.next()? {
            let here: (u16, [u8; 16]) = (row.get(0)?, row.get(1)?);
            if of.is_some_and(|of| of != here) {
                self.mailbox(of, &std::mem::take(&mut folders))?;
            }
            of = Some(here);
            folders.insert(row.get(2)?, (row.get(3)?, (row.get(4)?, row.get(5)?)));
        }
        self.mailbox(of, &folders)
    }

    fn mailbox(&mut self, of: Option<(u16, [u8; 16])>, folders: &Folders) -> Result<(), StoreError> {
        let Some((partition, mailbox)) = of else { return Ok(()) };
        let owner = UserId(Uuid::from_bytes(mailbox));
        let place = format!("mailbox {owner}");
        if !self.has("SELECT 1 FROM user WHERE id = ?1", [mailbox])? {
            self.tell(&place, "there is no such user", RESTORE);
        }
        if Partition::of(owner).0 != partition {
            self.tell(&place, format!("it lies in partition {partition}, where nobody looks for it"), RESTORE);
        }
        for (id, (parent, _)) in folders {
            let place = format!("{place}, folder {}", shown(*id));
            match parent.filter(|parent| !folders.contains_key(parent)) {
                Some(parent) => self.tell(place, format!("it lies in {}, which is not there", shown(parent)), RESTORE),
                None if is_in_ring(*id, folders) => self.tell(place, "it lies below itself", RESTORE),
                None => {}
            }
        }
        self.counts((partition, mailbox), &place, folders)
    }

    fn counts(
        &mut self,
        (partition, mailbox): (u16, [u8; 16]),
        place: &str,
        folders: &Folders,
    ) -> Result<(), StoreError> {
        let sql = "SELECT folder, COUNT(*), SUM(unread) FROM item WHERE partition = ?1 AND mailbox = ?2
            GROUP BY folder";
        let mut read = self.connection.prepare_cached(sql)?;
        let mut rows = read.query(params![partition, mailbox])?;
        let mut held: BTreeMap<Key, (i64, i64)> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (folder, held_here) = (row.get(0)?, (row.get(1)?, row.get(2)?));
            if !folders.contains_key(&folder) {
                let what = format!("{} items lie in it, and it is not there", held_here.0);
                self.tell(format!("{place}, folder {}", shown(folder)), what, RESTORE);
            }
            held.insert(folder, held_here);
        }
        for (id, (_, said)) in folders {
            let held = held.get(id).copied().unwrap_or_default();
            if held != *said {
                let what = format!(
                    "it says that it holds {} items, {} of them unread, and holds {} and {}",
                    said.0, said.1, held.0, held.1
                );
                self.tell(format!("{place}, folder {}", shown(*id)), what, RESTORE);
            }
        }
        Ok(())
    }

    pub(super) fn items(&mut self) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {}, mailbox FROM item WHERE mailbox NOT IN (SELECT mailbox FROM removed_mailbox)",
            item::COLUMNS
        );
        let mut read = self.connection.prepare(&sql)?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let mailbox = UserId(Uuid::from_bytes(row.get(7)?));
            if let Err(error) = item::read(row, mailbox) {
                self.tell(format!("mailbox {mailbox}"), error, RESTORE);
            }
        }
        let sql = "SELECT DISTINCT mailbox FROM item WHERE mailbox NOT IN (SELECT mailbox FROM removed_mailbox)
            AND (partition, mailbox) NOT IN (SELECT partition, mailbox FROM folder)";
        let mut read = self.connection.prepare(sql)?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let mailbox = UserId(Uuid::from_bytes(row.get(0)?));
            self.tell(format!("mailbox {mailbox}"), "it holds items and no folders", RESTORE);
        }
        self.attachments()
    }

    fn attachments(&mut self) -> Result<(), StoreError> {
        // Without their content, which is in the last column.
        let sql = "SELECT partition, mailbox, item, COUNT(*) FROM attachment
            WHERE mailbox NOT IN (SELECT mailbox FROM removed_mailbox) GROUP BY partition, mailbox, item";
        let mut read = self.connection.prepare(sql)?;
        let mut rows = read.query(())?;
        let holder = "SELECT 1 FROM item WHERE partition = ?1 AND mailbox = ?2 AND id = ?3 AND immutable IS NULL
            UNION ALL SELECT 1 FROM item WHERE partition = ?1 AND mailbox = ?2 AND immutable = ?3";
        while let Some(row) = rows.next()? {
            let (partition, mailbox): (u16, [u8; 16]) = (row.get(0)?, row.get(1)?);
            let item = Uuid::from_bytes(row.get(2)?);
            let mut held = false;
            for kind in Kind::ALL {
                let key = immutable_key(ImmutableId::new(kind, item));
                held |= self.has(holder, params![partition, mailbox, key])?;
            }
            if !held {
                let (count, owner): (i64, _) = (row.get(3)?, UserId(Uuid::from_bytes(mailbox)));
                let what = format!("there is no such item, and {count} attachments of it");
                self.tell(format!("mailbox {owner}, item {item}"), what, RESTORE);
            }
        }
        Ok(())
    }
}

/// A folder's id as it is in links, or the bytes of one that is none.
fn shown(key: Key) -> String {
    folder_id(key).map_or_else(|| format!("{key:02x?}"), |id| id.to_string())
}

fn is_in_ring(folder: Key, folders: &Folders) -> bool {
    let parent = |of: Key| folders.get(&of).and_then(|(parent, _)| *parent);
    let mut seen = BTreeSet::new();
    let mut above = parent(folder);
    while let Some(next) = above.filter(|next| seen.insert(*next)) {
        if next == folder {
            return true;
        }
        above = parent(next);
    }
    false
}
