//! Which change of an item a subscription sees: what the change means for the set of items that it watches.
//!
//! A subscription watches those items of its mailbox, kind and folder that its filter lets in. An item that
//! comes into that set is `created`, one that leaves it is `deleted`, whatever was done to it; one that
//! changes inside is `updated`.

use graph::path::watch;
use graph::query::State;
use graph::refinement::{Condition, Refinement};
use graph::{Change, ChangeType, FolderId};

use crate::Subscription;

/// What a subscription watches of its target.
#[derive(Clone, Debug, Default)]
pub enum Sight {
    #[default]
    All,
    Filtered(Condition),
    /// Its filter cannot be read any more.
    Nothing,
}

impl Sight {
    pub fn of(subscription: &Subscription) -> Self {
        if !subscription.resource.contains('?') {
            return Sight::All;
        }
        match subscription.refinement() {
            Some(Refinement { condition: None, .. }) => Sight::All,
            Some(Refinement { condition: Some(condition), .. }) => Sight::Filtered(condition),
            None => Sight::Nothing,
        }
    }

    fn lets_in(&self, state: State<'_>) -> bool {
        match self {
            Sight::All => true,
            Sight::Filtered(condition) => condition.holds(state),
            Sight::Nothing => false,
        }
    }
}

impl Subscription {
    /// What its `resource` says behind the path; `None` if that cannot be read any more.
    pub fn refinement(&self) -> Option<Refinement> {
        let watched = watch(&self.resource).ok()?;
        Refinement::read(self.target.kind, &watched.options).ok()
    }

    /// What its `resource` says behind the path, the same in every spelling; empty for nothing.
    pub fn refined(&self) -> String {
        self.refinement().unwrap_or_default().likeness
    }

    /// The change type that this subscription sees in `change`, if it must hear of it. `sight` is its own.
    ///
    /// To one with immutable ids a move is one change of one item, told of by the half that created the item
    /// in its new place, or if it leaves what is watched, by the other half.
    pub fn sees(&self, sight: &Sight, change: &Change) -> Option<ChangeType> {
        let target = &self.target;
        let watches = |folder: FolderId| target.folder.is_none_or(|watched| watched == folder);
        if change.mailbox != target.mailbox || change.item.kind != target.kind || !watches(change.folder) {
            return None;
        }
        let other_end = change.moved.filter(|_| self.immutable_ids);
        let (was_there, is_there) = match change.change {
            ChangeType::Created => (other_end.is_some_and(watches), true),
            ChangeType::Updated => (true, true),
            ChangeType::Deleted if other_end.is_some_and(watches) => return None,
            ChangeType::Deleted => (true, false),
        };
        let key = self.item_key(change);
        let is_in = |is_there, is_after| is_there && sight.lets_in(State { change, is_after, key });
        let seen = match (is_in(was_there, false), is_in(is_there, true)) {
            (false, false) => return None,
            (false, true) => ChangeType::Created,
            (true, true) => ChangeType::Updated,
            (true, false) => ChangeType::Deleted,
        };
        self.change_types.contains(seen).then_some(seen)
    }
}
