//! `DELETE` and `permanentDelete` of a folder.

use std::collections::BTreeSet;

use super::Owner;
use super::folder_name::refuse_namesake;
use super::search_folder::SearchFolder;
use crate::{Change, ChangeId, Folder, FolderId, Item, Kind, Mutation, Refusal, Timestamp, WellKnown};

/// What the deletion of a folder comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum FolderDeletion {
    /// It moves below Deleted Items with everything in it; its items keep their ids.
    ToDeletedItems(Box<Mutation>),
    /// It lay below Deleted Items, or is of a sort that does not go there: it goes for good.
    ForGood(Doomed),
}

/// Folders that go for good, with their items. See [`remove_folders`].
#[derive(Clone, Debug, PartialEq)]
pub struct Doomed {
    pub folders: Vec<FolderId>,
    /// Because these are as they are, and no longer than that.
    because: Vec<Folder>,
}

/// Deletes a folder. `folders` are all of the mailbox. Calendars, contact folders and search folders, which
/// Deleted Items does not take, go for good.
pub fn delete_folder(folder: &Folder, folders: &[Folder]) -> Result<FolderDeletion, Refusal> {
    let mut doomed = doomed(folder, folders)?;
    let bin = WellKnown::DeletedItems.id_in(folder.mailbox);
    let is_mail = folder.id.kind == Kind::Message && SearchFolder::of(folder).is_none();
    if !is_mail {
        return Ok(FolderDeletion::ForGood(doomed));
    }
    let binned = below(bin, folders);
    if binned.contains(&folder.id) {
        let leads_there = |other: &&Folder| binned.contains(&other.id) && below(other.id, folders).contains(&folder.id);
        doomed.because.extend(folders.iter().filter(leads_there).cloned());
        return Ok(FolderDeletion::ForGood(doomed));
    }
    let mut moved = Folder { parent: Some(bin), ..folder.clone() };
    let mut count = 1;
    while refuse_namesake(&moved, folders).is_err() {
        count += 1;
        moved.display_name = format!("{} ({count})", folder.display_name);
    }
    let mutation = Mutation { expect_folders: vec![folder.clone()], folder_puts: vec![moved], ..Mutation::default() };
    Ok(FolderDeletion::ToDeletedItems(Box::new(mutation)))
}

/// A folder and all below it, of which none is one that every mailbox has.
pub fn doomed(folder: &Folder, folders: &[Folder]) -> Result<Doomed, Refusal> {
    if folder.well_known.is_some() {
        return Err(Refusal::FolderProtected);
    }
    let inner = below(folder.id, folders);
    let because = folders.iter().filter(|other| inner.contains(&other.id)).chain([folder]).cloned().collect();
    Ok(Doomed { folders: inner.into_iter().chain([folder.id]).collect(), because })
}

/// Removes some items of doomed folders, each with the id of its deletion; with the `last` of them the
/// folders themselves.
pub fn remove_folders(
    owner: &Owner,
    now: Timestamp,
    doomed: &Doomed,
    items: &[(Item, ChangeId)],
    last: bool,
) -> Mutation {
    let mut mutation = Mutation { expect_folders: doomed.because.clone(), ..Mutation::default() };
    if last {
        mutation.folder_removes.clone_from(&doomed.folders);
    }
    for (item, id) in items {
        mutation.expect.push((item.id, Some(item.version)));
        mutation.removes.push(item.id);
        mutation.changes.push(Change::deleted(owner.tenant, item, *id, now));
    }
    mutation
}

/// All folders below `root`, at any depth.
pub(super) fn below(root: FolderId, folders: &[Folder]) -> BTreeSet<FolderId> {
    let mut found = BTreeSet::new();
    let mut frontier = vec![root];
    while let Some(parent) = frontier.pop() {
        for folder in folders.iter().filter(|folder| folder.parent == Some(parent)) {
            if found.insert(folder.id) {
                frontier.push(folder.id);
            }
        }
    }
    found
}
