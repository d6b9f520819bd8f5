//! `move` and `copy`.

use super::{Fresh, Owner, Written, is_buried, put, put_new, take_away};
use crate::{Change, FolderId, Item, ItemId, Kind, PropertyBag, Refusal};

/// Moves an item to a folder of its kind. It gets a new id and keeps its immutable one: subscribers hear
/// that the old item was deleted and a new one created, as two halves of one move.
pub fn move_item(owner: &Owner, fresh: &Fresh, item: &Item, destination: FolderId) -> Result<Written, Refusal> {
    check_destination(item, destination)?;
    Ok(refile(owner, fresh, item, destination, item.properties.clone()))
}

/// The item in another folder, perhaps with other properties: the write of a move.
pub(super) fn refile(
    owner: &Owner,
    fresh: &Fresh,
    item: &Item,
    destination: FolderId,
    properties: impl Into<PropertyBag>,
) -> Written {
    let moved = Item {
        id: ItemId::new(item.id.kind, fresh.uuid),
        folder: destination,
        modified: fresh.now.whole_seconds(),
        version: fresh.change,
        properties: properties.into(),
        ..item.clone()
    };
    let mut written = put(owner, fresh, moved);
    take_away(owner, fresh, item, &mut written.mutation);
    // Of what is buried or comes back from there, whoever watches sees one half only.
    if !is_buried(owner, item.folder) && !is_buried(owner, destination) {
        let halves = Change::moved(owner.tenant, item, &written.item, fresh.removal, fresh.now);
        written.mutation.changes = halves.into();
    }
    written
}

/// Copies an item, with its attachments, to a folder of its kind.
pub fn copy_item(owner: &Owner, fresh: &Fresh, item: &Item, destination: FolderId) -> Result<Written, Refusal> {
    check_destination(item, destination)?;
    let mut written = put_new(owner, fresh, destination, item.properties.clone());
    written.mutation.expect.push((item.id, Some(item.version)));
    written.mutation.attachment_copies.push((item.immutable, written.item.immutable));
    Ok(written)
}

fn check_destination(item: &Item, destination: FolderId) -> Result<(), Refusal> {
    if item.id.kind == Kind::Event {
        return Err(Refusal::NotMovable);
    }
    if destination.kind != item.id.kind {
        return Err(Refusal::FolderNotFound);
    }
    Ok(())
}
