//! `move` and `copy` of a mail folder, with everything below it.

use uuid::Uuid;

use super::delete_folder::below;
use super::folder_name::refuse_namesake;
use super::search_folder::SearchFolder;
use super::{FolderWritten, Fresh, Owner, Written, is_buried, put_new};
use crate::{ChangeId, Folder, FolderId, Item, Mutation, Refusal, Timestamp};

/// How many folders one copy may make.
pub const FOLDERS_COPIED_MAX: usize = 200;

/// Moves a folder below another one. What lies in it keeps its ids: subscribers hear nothing.
pub fn move_folder(
    owner: &Owner,
    folder: &Folder,
    destination: FolderId,
    folders: &[Folder],
) -> Result<FolderWritten, Refusal> {
    if folder.well_known.is_some() {
        return Err(Refusal::FolderFixed);
    }
    check_destination(owner, folder, destination, folders)?;
    let moved = Folder { parent: Some(destination), ..folder.clone() };
    refuse_namesake(&moved, folders)?;
    let mutation =
        Mutation { expect_folders: vec![folder.clone()], folder_puts: vec![moved.clone()], ..Mutation::default() };
    Ok(FolderWritten { folder: moved, mutation })
}

/// A copy of a folder tree: the mutation that makes its folders, and which folder becomes which. The
/// first pair is the folder itself. Items are copied by [`copy_items`].
#[derive(Clone, Debug, PartialEq)]
pub struct FolderCopy {
    pub mutation: Mutation,
    pub folders: Vec<(FolderId, Folder)>,
}

/// Copies a folder and those below it, without their items, below `destination`. `fresh_id` gives ids that
/// were used nowhere before.
pub fn copy_folder(
    owner: &Owner,
    folder: &Folder,
    destination: FolderId,
    folders: &[Folder],
    mut fresh_id: impl FnMut() -> Uuid,
) -> Result<FolderCopy, Refusal> {
    check_destination(owner, folder, destination, folders)?;
    let inner = below(folder.id, folders);
    if inner.len() >= FOLDERS_COPIED_MAX {
        let property = "childFolders".to_owned();
        return Err(Refusal::TooLong { property, length_max: FOLDERS_COPIED_MAX, unit: "folders" });
    }
    let mut fresh = |old: &Folder, parent| Folder {
        id: FolderId::new(old.id.kind, fresh_id()),
        parent: Some(parent),
        well_known: None,
        ..old.clone()
    };
    let mut copied = vec![(folder.id, fresh(folder, destination))];
    refuse_namesake(&copied[0].1, folders)?;
    let mut at = 0;
    while let Some((old, new)) = copied.get(at).map(|(old, new)| (*old, new.id)) {
        // A store that is older than the rule may have folders below each other: such a ring ends where it began.
        for child in folders.iter().filter(|child| child.parent == Some(old) && child.id != folder.id) {
            copied.push((child.id, fresh(child, new)));
        }
        at += 1;
    }
    let folder_puts = copied.iter().map(|(_, new)| new.clone()).collect();
    let mutation = Mutation { expect_folders: vec![folder.clone()], folder_puts, ..Mutation::default() };
    Ok(FolderCopy { mutation, folders: copied })
}

/// Copies items, with their attachments, into a folder: each with the ids of its copy and of the change.
pub fn copy_items(owner: &Owner, now: Timestamp, into: FolderId, items: &[(Item, Uuid, ChangeId)]) -> Mutation {
    let mut mutation = Mutation::default();
    for (item, uuid, change) in items {
        let fresh = Fresh { now, uuid: *uuid, change: *change, removal: *change };
        let Written { item: copy, mutation: one } = put_new(owner, &fresh, into, item.properties.clone());
        mutation.expect.extend(one.expect);
        mutation.expect.push((item.id, Some(item.version)));
        mutation.puts.extend(one.puts);
        mutation.changes.extend(one.changes);
        mutation.attachment_copies.push((item.immutable, copy.immutable));
    }
    mutation
}

fn check_destination(owner: &Owner, folder: &Folder, destination: FolderId, folders: &[Folder]) -> Result<(), Refusal> {
    let found = folders.iter().find(|other| other.id == destination && other.id.kind == folder.id.kind);
    let found = found.ok_or(Refusal::FolderNotFound)?;
    let within = folder.id == destination || below(folder.id, folders).contains(&destination);
    if within || is_buried(owner, destination) || SearchFolder::of(found).is_some() {
        return Err(Refusal::invalid("destinationId", "a folder that can hold it"));
    }
    Ok(())
}
