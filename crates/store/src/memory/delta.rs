//! What has changed in a mailbox of the model.

use graph::{FolderId, Item, Kind, WellKnown};

use super::mailbox::{Gone, Mailbox, Tombstone};
use crate::{Delta, DeltaEntry, DeltaError, DeltaPlace, DeltaQuery, READ_BYTES_MAX, Revision, bytes_of};

impl Mailbox {
    pub fn delta(&self, query: &DeltaQuery) -> Result<Delta, DeltaError> {
        let removals_since = query.since.max(query.removals_since);
        let first = query.since == Revision(0);
        if !first && removals_since < self.floor {
            return Err(DeltaError::TooOld);
        }
        let removals = self.tombstones.iter().filter(|tombstone| !first && tombstone.revision > removals_since);
        let mut entries: Vec<_> = removals
            .filter_map(|tombstone| {
                let entry = entry_of(tombstone, query)?;
                Some((tombstone.revision, 0, tombstone.gone.key(), entry))
            })
            .collect();
        match query.place {
            DeltaPlace::Items(kind, folder) => {
                let here = |item: &Item| item.id.kind == kind && in_place(query, item.folder, folder);
                let new = self.items.values().filter(|item| item.revision > query.since && here(&item.value));
                entries.extend(new.map(|item| {
                    let id = item.value.id;
                    let arrived = self.arrivals.get(&id).copied().unwrap_or_default();
                    let entry = DeltaEntry::Item { item: Box::new(item.value.clone()), arrived };
                    (item.revision, 1, (id.kind, id.uuid), entry)
                }));
            }
            DeltaPlace::Folders(kind) => {
                let new = self.folders.values().filter(|folder| folder.revision > query.since);
                entries.extend(new.filter(|folder| folder.value.id.kind == kind).map(|folder| {
                    let id = folder.value.id;
                    let counts = Box::new(self.counts(&folder.value));
                    (folder.revision, 1, (id.kind, id.uuid), DeltaEntry::Folder(counts))
                }));
            }
        }
        entries.sort_by_key(|(revision, order, key, _)| (*revision, *order, *key));
        Ok(self.cut(query, entries.into_iter().map(|(revision, _, _, entry)| (revision, entry)).collect()))
    }

    /// The first entries that are enough, without parting those of one revision.
    fn cut(&self, query: &DeltaQuery, mut entries: Vec<(Revision, DeltaEntry)>) -> Delta {
        let (mut taken, mut bytes) = (0, 0);
        let mut last = None;
        for (revision, entry) in &entries {
            if (taken as u64 >= query.limit || bytes > READ_BYTES_MAX) && last != Some(*revision) {
                break;
            }
            if let DeltaEntry::Item { item, .. } = entry {
                bytes += bytes_of(&item.properties);
            }
            (taken, last) = (taken + 1, Some(*revision));
        }
        let more = taken < entries.len();
        entries.truncate(taken);
        let now = self.last_revision();
        let last = entries.last().map_or(query.since, |(revision, _)| *revision);
        Delta { until: if more { last } else { now }, now, entries, bytes, more }
    }

    fn last_revision(&self) -> Revision {
        let items = self.items.values().map(|item| item.revision);
        let folders = self.folders.values().map(|folder| folder.revision);
        let tombstones = self.tombstones.iter().map(|tombstone| tombstone.revision);
        items.chain(folders).chain(tombstones).max().unwrap_or_default().max(self.floor)
    }
}

/// Whether a folder is in the place; Recoverable Items only by its name.
fn in_place(query: &DeltaQuery, folder: FolderId, asked: Option<FolderId>) -> bool {
    match asked {
        Some(asked) => folder == asked,
        None => folder != WellKnown::RecoverableItemsDeletions.id_in(query.mailbox),
    }
}

fn entry_of(tombstone: &Tombstone, query: &DeltaQuery) -> Option<DeltaEntry> {
    let of = |kind: Kind, asked: Kind| kind == asked;
    match (tombstone.gone, query.place) {
        (Gone::Item { folder, id, immutable }, DeltaPlace::Items(kind, asked)) => {
            let here = of(id.kind, kind) && in_place(query, folder, asked);
            here.then_some(DeltaEntry::ItemGone { id, immutable })
        }
        (Gone::Folder(id), DeltaPlace::Folders(kind)) => of(id.kind, kind).then_some(DeltaEntry::FolderGone(id)),
        _ => None,
    }
}
