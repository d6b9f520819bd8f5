//! `DELETE` of an item.

use super::relocate::refile;
use super::{Fresh, Owner, is_buried, take_away};
use crate::{Item, Kind, Mutation, WellKnown};

/// Deletes an item. A message goes to Deleted Items under a new id, from there to Recoverable Items; from
/// there, and any event or contact, it goes for good.
pub fn delete(owner: &Owner, fresh: &Fresh, item: &Item) -> Mutation {
    if item.id.kind != Kind::Message || is_buried(owner, item.folder) {
        return remove(owner, fresh, item);
    }
    let bin = WellKnown::DeletedItems.id_in(owner.id);
    let next = if item.folder == bin { WellKnown::RecoverableItemsDeletions.id_in(owner.id) } else { bin };
    refile(owner, fresh, item, next, item.properties.clone()).mutation
}

/// Deletes an item for good, wherever it lies.
pub fn remove(owner: &Owner, fresh: &Fresh, item: &Item) -> Mutation {
    let mut mutation = Mutation::default();
    take_away(owner, fresh, item, &mut mutation);
    mutation
}
