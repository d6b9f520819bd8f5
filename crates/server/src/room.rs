//! Whether the logs have room for what somebody outside wants to write. Whoever looks after the logs says which are full
//! ([`notify::retention::full`]); every way in asks here before it writes. What the node does goes on: it is what makes
//! room, and mail that was taken is delivered.

use std::sync::{PoisonError, RwLock};

use graph::{Partition, Scope};
use notify::retention::Full;
use store::StoreError;

/// Which logs are full, as of the last look.
#[derive(Debug, Default)]
pub struct Room(RwLock<Full>);

impl Room {
    /// Whether changes, mail or what comes from other systems may be written there.
    pub fn for_writes(&self, scope: impl Into<Scope>) -> Result<(), StoreError> {
        self.ask(|full| full.takes_writes(Partition::of(scope)))
    }

    /// Whether events may be published into the topic.
    pub fn for_events(&self, topic: impl Into<Scope>) -> Result<(), StoreError> {
        self.ask(|full| full.takes_events(Partition::of(topic)))
    }

    pub fn now(&self) -> Full {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these are full and no others. Returns which were.
    pub fn set(&self, full: Full) -> Full {
        std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), full)
    }

    fn ask(&self, takes: impl FnOnce(&Full) -> bool) -> Result<(), StoreError> {
        match takes(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            true => Ok(()),
            false => Err(StoreError::LogTooLong),
        }
    }
}
