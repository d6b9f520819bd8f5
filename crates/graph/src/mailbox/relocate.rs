//! `move` and `copy`.

use super::{Fresh, Owner, Written, put_new, take_away};
use crate::{FolderId, Item, Kind, Refusal};

/// Moves an item to a folder of its kind. It gets a new id: subscribers hear that the old item was
/// deleted and a new one created.
pub fn move_item(owner: &Owner, fresh: &Fresh, item: &Item, destination: FolderId) -> Result<Written, Refusal> {
    let mut written = put_again(owner, fresh, item, destination)?;
    for moved in written.mutation.puts.iter_mut().chain([&mut written.item]) {
        moved.created = item.created;
    }
    take_away(owner, fresh, item, &mut written.mutation);
    Ok(written)
}

/// Copies an item to a folder of its kind.
pub fn copy_item(owner: &Owner, fresh: &Fresh, item: &Item, destination: FolderId) -> Result<Written, Refusal> {
    let mut written = put_again(owner, fresh, item, destination)?;
    written.mutation.expect.push((item.id, Some(item.version)));
    Ok(written)
}

fn put_again(owner: &Owner, fresh: &Fresh, item: &Item, destination: FolderId) -> Result<Written, Refusal> {
    if item.id.kind == Kind::Event {
        return Err(Refusal::NotMovable);
    }
    if destination.kind != item.id.kind {
        return Err(Refusal::FolderNotFound);
    }
    Ok(put_new(owner, fresh, destination, item.properties.clone()))
}
