//! Which change of an item a subscription sees: what the change means for the set of items that it watches.
//!
//! A subscription watches those items of its mailbox, kind and folder that its filter lets in. An item that
//! comes into that set is `created`, one that leaves it is `deleted`, whatever was done to it; one that
//! changes inside is `updated`.

use graph::path::watch;
use graph::query::State;
use graph::refinement::{Condition, Refinement};
use graph::{Change, ChangeType, FolderId, Kind};

use crate::Subscription;
use crate::resource::ResourceInterest;
use crate::subscription::{ChangeTypes, Target};

/// What of a subscription decides which changes of its mailbox it hears.
#[derive(Clone, Debug)]
pub struct Interest {
    kind: Kind,
    folder: Option<FolderId>,
    change_types: ChangeTypes,
    immutable_ids: bool,
    pub(crate) sight: Sight,
}

/// Which of the items in its folder a subscription watches.
#[derive(Clone, Debug)]
pub(crate) enum Sight {
    All,
    Filtered(Condition),
    /// Its filter cannot be read any more.
    Nothing,
}

impl Sight {
    fn of(subscription: &Subscription, kind: Kind) -> Self {
        match refinement(subscription, kind) {
            None => Sight::Nothing,
            Some(Refinement { condition: None, .. }) => Sight::All,
            Some(Refinement { condition: Some(condition), .. }) => Sight::Filtered(condition),
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

impl Interest {
    /// `None`: it watches no items of a mailbox.
    pub fn of(subscription: &Subscription) -> Option<Self> {
        let Target::Items { kind, folder, .. } = subscription.target else { return None };
        let (change_types, immutable_ids) = (subscription.change_types, subscription.immutable_ids);
        Some(Self { kind, folder, change_types, immutable_ids, sight: Sight::of(subscription, kind) })
    }

    /// The change type that the subscription sees in a change of its mailbox, if it must hear of it.
    ///
    /// To one with immutable ids a move is one change of one item, told of by the half that created the item
    /// in its new place, or if it leaves what is watched, by the other half.
    pub fn sees(&self, change: &Change) -> Option<ChangeType> {
        let watches = |folder: FolderId| self.folder.is_none_or(|watched| watched == folder);
        if change.item.kind != self.kind || !watches(change.folder) {
            return None;
        }
        let other_end = change.moved.filter(|_| self.immutable_ids);
        let (was_there, is_there) = match change.change {
            ChangeType::Created => (other_end.is_some_and(watches), true),
            ChangeType::Updated => (true, true),
            ChangeType::Deleted if other_end.is_some_and(watches) => return None,
            ChangeType::Deleted => (true, false),
        };
        let key = change.key(self.immutable_ids);
        let is_in = |is_there, is_after| is_there && self.sight.lets_in(State { change, is_after, key });
        let seen = match (is_in(was_there, false), is_in(is_there, true)) {
            (false, false) => return None,
            (false, true) => ChangeType::Created,
            (true, true) => ChangeType::Updated,
            (true, false) => ChangeType::Deleted,
        };
        self.change_types.contains(seen).then_some(seen)
    }
}

/// What its `resource` says behind the path, to items of a kind; `None` if that cannot be read any more.
fn refinement(subscription: &Subscription, kind: Kind) -> Option<Refinement> {
    if !subscription.resource.contains('?') {
        return Some(Refinement::default());
    }
    let watched = watch(&subscription.resource).ok()?;
    Refinement::read(kind, &watched.options).ok()
}

impl Subscription {
    /// What it says of what it watches, the same in every spelling; empty for nothing.
    pub fn refined(&self) -> String {
        match &self.target {
            Target::Items { kind, .. } => refinement(self, *kind).unwrap_or_default().likeness,
            Target::Resource(watched) => ResourceInterest::of(self, watched).likeness(),
            Target::Topic(_) => String::new(),
        }
    }
}
