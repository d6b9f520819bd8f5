//! What holds of the folders of a mailbox whatever is written: they are trees, and have no namesakes.

use std::collections::{BTreeMap, BTreeSet};

use graph::mailbox::are_namesakes;
use graph::{Folder, FolderId};

use crate::CommitError;

/// What a commit asks of the folders of its mailbox.
pub(crate) struct FolderWrites<'a> {
    pub expect: &'a [Folder],
    pub puts: &'a [Folder],
    pub removes: &'a [FolderId],
}

impl FolderWrites<'_> {
    pub fn is_empty(&self) -> bool {
        self.expect.is_empty() && self.puts.is_empty() && self.removes.is_empty()
    }

    /// Checks them on all folders of the mailbox. What a folder was already, it may stay.
    pub fn check(&self, before: &BTreeMap<FolderId, &Folder>) -> Result<(), CommitError> {
        for expected in self.expect {
            match before.get(&expected.id) {
                None => return Err(CommitError::FolderGone(expected.id)),
                Some(found) if *found != expected => return Err(CommitError::FolderChanged(expected.id)),
                Some(_) => {}
            }
        }
        let removed: BTreeSet<FolderId> = self.removes.iter().copied().collect();
        let mut after = before.clone();
        after.extend(self.puts.iter().map(|put| (put.id, put)));
        after.retain(|id, _| !removed.contains(id));
        if let Some(left) = after.values().find(|folder| folder.parent.is_some_and(|parent| removed.contains(&parent)))
        {
            return Err(CommitError::FolderChanged(left.id));
        }
        let puts: BTreeSet<FolderId> = self.puts.iter().map(|put| put.id).collect();
        for folder in puts.iter().filter_map(|put| after.get(put)) {
            let old = before.get(&folder.id);
            if old.is_none_or(|old| old.parent != folder.parent) {
                check_place(folder, &after)?;
            }
            let new_namesake =
                |other: &&&Folder| are_namesakes(folder, other) && old.is_none_or(|old| !are_namesakes(old, other));
            if let Some(other) = after.values().find(new_namesake) {
                return Err(CommitError::FolderChanged(other.id));
            }
        }
        Ok(())
    }
}

/// A folder lies in one of its kind, and not below itself.
fn check_place(folder: &Folder, all: &BTreeMap<FolderId, &Folder>) -> Result<(), CommitError> {
    let Some(parent) = folder.parent else { return Ok(()) };
    if parent.kind != folder.id.kind || !all.contains_key(&parent) {
        return Err(CommitError::FolderGone(parent));
    }
    let above = std::iter::successors(Some(parent), |id| all.get(id)?.parent);
    match above.take(all.len()).any(|id| id == folder.id) {
        true => Err(CommitError::FolderChanged(folder.id)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use graph::{Kind, Properties, UserId};
    use uuid::Uuid;

    use super::*;

    fn folder(number: u128, parent: Option<u128>, name: &str) -> Folder {
        let id = |number| FolderId::new(Kind::Message, Uuid::from_u128(number));
        Folder {
            id: id(number),
            mailbox: UserId(Uuid::nil()),
            parent: parent.map(id),
            display_name: name.to_owned(),
            well_known: None,
            properties: Properties::new(),
        }
    }

    fn check(stored: &[Folder], put: Folder) -> Result<(), CommitError> {
        let writes = FolderWrites { expect: &[], puts: &[put], removes: &[] };
        writes.check(&stored.iter().map(|folder| (folder.id, folder)).collect())
    }

    #[test]
    fn what_an_older_store_holds_can_be_put_right() {
        let ring = [folder(1, Some(2), "a"), folder(2, Some(1), "b"), folder(3, None, "c"), folder(4, None, "c")];
        assert_eq!(check(&ring, folder(1, Some(2), "new")), Ok(()), "it stays where it is");
        assert_eq!(check(&ring, folder(1, None, "a")), Ok(()), "it leaves the ring");
        assert_eq!(check(&ring, folder(3, Some(1), "c")), Ok(()), "the ring is above it");
        assert_eq!(check(&ring, folder(2, Some(2), "b")), Err(CommitError::FolderChanged(ring[1].id)));
        assert_eq!(check(&ring, folder(3, None, "C")), Ok(()), "its namesake was there");
        assert_eq!(check(&ring, folder(1, None, "c")), Err(CommitError::FolderChanged(ring[2].id)));
    }
}
