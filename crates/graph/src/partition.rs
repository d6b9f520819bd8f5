//! The unit of order and of ownership: a fixed hash bucket of scopes.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{TopicId, UserId};

/// How many partitions a store has. Fixed when the store is made.
pub const PARTITIONS: u16 = 256;

/// What a subscription and every change that it can see lie in: a mailbox, by its user's id, or the resources
/// of one kind in a tenant. Likewise a partner topic with its events, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(pub Uuid);

impl From<UserId> for Scope {
    fn from(mailbox: UserId) -> Self {
        Self(mailbox.0)
    }
}

impl From<TopicId> for Scope {
    fn from(topic: TopicId) -> Self {
        Self(topic.0)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One hash bucket of scopes; 0 to `PARTITIONS - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u16);

impl Partition {
    /// The partition of a scope. Part of the stored format: it must never change.
    pub fn of(scope: impl Into<Scope>) -> Self {
        let (high, low) = scope.into().0.as_u64_pair();
        let mut mixed = high ^ low.rotate_left(32);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Self((mixed % u64::from(PARTITIONS)) as u16)
    }

    pub fn all() -> impl Iterator<Item = Partition> {
        (0..PARTITIONS).map(Partition)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_mailbox_never_changes() {
        let partition = |text: &str| Partition::of(UserId(Uuid::parse_str(text).unwrap())).0;
        assert_eq!(partition("622eaaff-0683-4862-9de4-f2ec83c2bd98"), 255);
        assert_eq!(partition("00000000-0000-0000-0000-000000000001"), 63);
    }
}
