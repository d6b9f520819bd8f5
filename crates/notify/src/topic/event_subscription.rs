//! An event subscription of a topic: which events, and to where.

use std::fmt;

use graph::{Timestamp, TopicId};
use protocol::event_grid::EventSubscriptionFilter;
use serde::{Deserialize, Serialize};

use super::CloudEvent;
use super::RETENTION_DAYS;
use crate::event_filter::{EventFilter, EventView, InvalidFilter};

const DAY_SECONDS: u32 = 24 * 3_600;
/// No event lives longer than its topic keeps it.
pub const TIME_TO_LIVE_SECONDS_MAX: u32 = RETENTION_DAYS as u32 * DAY_SECONDS;

/// Who hears of a topic's events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSubscription {
    pub topic: TopicId,
    /// As it was written; unique in its topic, in any case.
    pub name: String,
    pub filter: Filter,
    pub destination: Destination,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// From then on it is as if it were not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    pub created: Timestamp,
    pub lock_key: LockKey,
}

impl EventSubscription {
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Its successor under the same name: locks that are held stay valid.
    pub fn in_place_of(&self, before: &EventSubscription) -> EventSubscription {
        EventSubscription { created: before.created, lock_key: before.lock_key.clone(), ..self.clone() }
    }

    pub fn wants(&self, event: &CloudEvent) -> bool {
        self.filter.checked().lets_in(&EventView::new(event))
    }

    /// If events are pulled.
    pub fn queue(&self) -> Option<&Queue> {
        match &self.destination {
            Destination::Queue(queue) => Some(queue),
        }
    }
}

/// Letters, digits and hyphens, 3 to 64 of them, as the management API has it.
pub fn is_event_subscription_name(name: &str) -> bool {
    (3..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Destination {
    /// Nowhere: they are pulled.
    Queue(Queue),
}

/// How events are pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// So long nobody else receives an event that was received. 60 to 300.
    pub receive_lock_seconds: u32,
    /// An event is received so often at most. 1 to 10.
    pub delivery_count_max: u32,
    /// So long after it was published an event is received. A minute to [`TIME_TO_LIVE_SECONDS_MAX`].
    pub time_to_live_seconds: u32,
    /// Whether what is received no more is kept to be looked at; else it is dropped, and counted.
    pub keeps_dead_letters: bool,
}

/// Event Grid's defaults.
impl Default for Queue {
    fn default() -> Self {
        Self {
            receive_lock_seconds: 60,
            delivery_count_max: 10,
            time_to_live_seconds: TIME_TO_LIVE_SECONDS_MAX,
            keeps_dead_letters: false,
        }
    }
}

/// Which bound a queue does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQueue {
    #[error("receiveLockDurationInSeconds must be from 60 to 300")]
    ReceiveLock,
    #[error("maxDeliveryCount must be from 1 to 10")]
    DeliveryCount,
    #[error("eventTimeToLive must be from PT1M to P{RETENTION_DAYS}D")]
    TimeToLive,
}

impl Queue {
    pub fn check(self) -> Result<Self, InvalidQueue> {
        let judged = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
        judged((60..=300).contains(&self.receive_lock_seconds), InvalidQueue::ReceiveLock)?;
        judged((1..=10).contains(&self.delivery_count_max), InvalidQueue::DeliveryCount)?;
        judged((60..=TIME_TO_LIVE_SECONDS_MAX).contains(&self.time_to_live_seconds), InvalidQueue::TimeToLive)?;
        Ok(self)
    }
}

/// A filter as it was written, with what it means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EventSubscriptionFilter", into = "EventSubscriptionFilter")]
pub struct Filter {
    written: EventSubscriptionFilter,
    checked: EventFilter,
}

impl Filter {
    pub fn written(&self) -> &EventSubscriptionFilter {
        &self.written
    }

    pub fn checked(&self) -> &EventFilter {
        &self.checked
    }
}

impl TryFrom<EventSubscriptionFilter> for Filter {
    type Error = InvalidFilter;

    fn try_from(written: EventSubscriptionFilter) -> Result<Self, Self::Error> {
        let checked = EventFilter::check(&written)?;
        Ok(Self { written, checked })
    }
}

impl From<Filter> for EventSubscriptionFilter {
    fn from(filter: Filter) -> Self {
        filter.written
    }
}

/// What the lock tokens of an event subscription are made with, and nobody else's: 32 random bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockKey(pub [u8; 32]);

impl fmt::Debug for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockKey(…)")
    }
}
