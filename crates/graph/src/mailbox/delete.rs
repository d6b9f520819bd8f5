//! `DELETE` of an item.

use super::{Fresh, Owner, move_item, take_away};
use crate::{Item, Kind, Mutation, WellKnown};

/// Deletes an item. A message goes to Deleted Items under a new id; from there, and any event or
/// contact, it goes for good.
pub fn delete(owner: &Owner, fresh: &Fresh, item: &Item) -> Mutation {
    let bin = WellKnown::DeletedItems.id_in(owner.id);
    let last = [bin, WellKnown::RecoverableItemsDeletions.id_in(owner.id)].contains(&item.folder);
    if item.id.kind == Kind::Message
        && !last
        && let Ok(moved) = move_item(owner, fresh, item, bin)
    {
        return moved.mutation;
    }
    remove(owner, fresh, item)
}

/// Deletes an item for good, wherever it lies.
pub fn remove(owner: &Owner, fresh: &Fresh, item: &Item) -> Mutation {
    let mut mutation = Mutation::default();
    take_away(owner, fresh, item, &mut mutation);
    mutation
}
