//! The life of one event in one queue, as a function of the time: received and locked, free again, settled, or over.
//!
//! A lock is named by the event and its delivery count, which grows with each receive; so an old lock never passes for a
//! later one. What a lock's token looks like is the store's business.

use graph::Timestamp;
use serde::{Deserialize, Serialize};

use super::Queue;

const SECOND_MICROS: i64 = 1_000_000;
/// A lock is renewed only so long after the event was first received, as documented.
const RENEWED_FOR_MICROS: i64 = 3_600 * SECOND_MICROS;

/// An event that was received and is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How often it was received.
    pub delivery_count: u32,
    pub first_received: Timestamp,
    pub hold: Hold,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Whoever received it last has it until then.
    Locked { until: Timestamp },
    /// It was released, to be received from then on.
    Released { from: Timestamp },
    /// Nobody receives it any more.
    DeadLettered { reason: DeadLetterReason, at: Timestamp },
}

impl Pending {
    /// From when on it is to be received again; `None`: never.
    pub fn due(&self) -> Option<Timestamp> {
        match self.hold {
            Hold::Locked { until } => Some(until),
            Hold::Released { from } => Some(from),
            Hold::DeadLettered { .. } => None,
        }
    }
}

/// Why nobody receives an event any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeadLetterReason {
    MaxDeliveryAttemptsExceeded,
    TimeToLiveExceeded,
    Rejected,
}

impl DeadLetterReason {
    pub const ALL: [Self; 3] = [Self::MaxDeliveryAttemptsExceeded, Self::TimeToLiveExceeded, Self::Rejected];

    /// The value of `deadletterreason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxDeliveryAttemptsExceeded => "MaxDeliveryAttemptsExceeded",
            Self::TimeToLiveExceeded => "TimeToLiveExceeded",
            Self::Rejected => "Rejected",
        }
    }
}

/// What whoever holds a lock does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    Acknowledge,
    /// It is to be received again when this has passed.
    Release {
        delay_seconds: u32,
    },
    Reject,
    RenewLock,
}

/// What comes of a receive of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is received, and stands so from now on.
    Received(Pending),
    /// It is not, but over.
    Over(DeadLetterReason),
}

/// What comes of a settlement of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Acknowledged,
    /// It stands so from now on.
    Pending(Pending),
    Over(DeadLetterReason),
}

/// The lock is not held any more, or may not be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl Queue {
    /// Receives an event that is due or was not received before (`None`).
    pub fn receive(&self, pending: Option<&Pending>, published: Timestamp, now: Timestamp) -> Next {
        let received = pending.map_or(0, |pending| pending.delivery_count);
        if now >= self.dies_at(published) {
            return Next::Over(DeadLetterReason::TimeToLiveExceeded);
        }
        if received >= self.delivery_count_max {
            return Next::Over(DeadLetterReason::MaxDeliveryAttemptsExceeded);
        }
        Next::Received(Pending {
            delivery_count: received + 1,
            first_received: pending.map_or(now, |pending| pending.first_received),
            hold: Hold::Locked { until: self.locked_until(now) },
        })
    }

    /// Settles an event by the lock of its receive number `delivery_count`.
    pub fn settle(
        &self,
        pending: &Pending,
        delivery_count: u32,
        how: Settlement,
        published: Timestamp,
        now: Timestamp,
    ) -> Result<Settled, Lost> {
        let holds = matches!(pending.hold, Hold::Locked { until } if now < until);
        if !holds || pending.delivery_count != delivery_count {
            return Err(Lost);
        }
        match how {
            Settlement::Acknowledge => Ok(Settled::Acknowledged),
            Settlement::Reject => Ok(Settled::Over(DeadLetterReason::Rejected)),
            Settlement::Release { .. } if pending.delivery_count >= self.delivery_count_max => {
                Ok(Settled::Over(DeadLetterReason::MaxDeliveryAttemptsExceeded))
            }
            Settlement::Release { delay_seconds } => {
                let from = now.plus_micros(i64::from(delay_seconds) * SECOND_MICROS).min(self.dies_at(published));
                Ok(Settled::Pending(Pending { hold: Hold::Released { from }, ..*pending }))
            }
            Settlement::RenewLock if now.since(pending.first_received) >= RENEWED_FOR_MICROS => Err(Lost),
            Settlement::RenewLock => {
                let until = self.locked_until(now);
                Ok(Settled::Pending(Pending { hold: Hold::Locked { until }, ..*pending }))
            }
        }
    }

    /// What is left of an event that is over; `None`: it is dropped.
    pub fn laid_aside(&self, pending: Option<&Pending>, reason: DeadLetterReason, now: Timestamp) -> Option<Pending> {
        self.keeps_dead_letters.then(|| Pending {
            delivery_count: pending.map_or(0, |pending| pending.delivery_count),
            first_received: pending.map_or(now, |pending| pending.first_received),
            hold: Hold::DeadLettered { reason, at: now },
        })
    }

    fn dies_at(&self, published: Timestamp) -> Timestamp {
        published.plus_micros(i64::from(self.time_to_live_seconds) * SECOND_MICROS)
    }

    fn locked_until(&self, now: Timestamp) -> Timestamp {
        now.plus_micros(i64::from(self.receive_lock_seconds) * SECOND_MICROS)
    }
}

/// What became of the events that an event subscription has considered. At every time
/// `matched` = `acknowledged` + `dead_lettered` + `dropped` + those that are pending and not dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Those that its filter let in.
    pub matched: u64,
    pub acknowledged: u64,
    pub dead_lettered: u64,
    /// Those that were over and not kept, those that their topic kept no longer, and those that were pending when events
    /// came to be pushed.
    pub dropped: u64,
    /// Not among the matched: those that their topic kept no longer before anybody asked whether they match, and those
    /// that nobody had asked for when events came to be pushed.
    pub unread: u64,
}

impl EventCounts {
    /// How many are received and not settled, or wait to be received again.
    pub fn pending(&self) -> u64 {
        self.matched.saturating_sub(self.acknowledged + self.dead_lettered + self.dropped)
    }
}
