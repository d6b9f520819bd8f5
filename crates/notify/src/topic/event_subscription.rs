//! An event subscription of a topic: which events, and to where.

use std::fmt;
use std::hash::{Hash, Hasher};

use graph::{AppId, SubscriptionId, Timestamp, TopicId, UserId};
use protocol::event_grid::EventSubscriptionFilter;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CloudEvent, Destination, Endpoint, Push, Queue, Topic};
use crate::Subscription;
use crate::event_filter::{EventFilter, EventView, InvalidFilter};
use crate::subscription::{ChangeTypes, Target, TlsVersion};

/// Almost the end of the year 9999: beyond it, times have no text.
const NEVER: Timestamp = Timestamp::from_seconds(253_402_207_200);

/// Who hears of a topic's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSubscription {
    /// What it is to the node while events are pushed. `None`: it was made before any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SubscriptionId>,
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

    /// Its successor under the same name: locks that are held stay valid, and what is pushed is pushed by the same one.
    pub fn in_place_of(&self, before: &EventSubscription) -> EventSubscription {
        let (id, lock_key) = (before.id.or(self.id), before.lock_key.clone());
        EventSubscription { id, created: before.created, lock_key, ..self.clone() }
    }

    pub fn wants(&self, event: &CloudEvent) -> bool {
        self.filter.checked().lets_in(&EventView::new(event))
    }

    /// If events are pulled.
    pub fn queue(&self) -> Option<&Queue> {
        match &self.destination {
            Destination::Queue(queue) => Some(queue),
            Destination::Push(_) => None,
        }
    }

    /// If events are pushed.
    pub fn push(&self) -> Option<&Push> {
        match &self.destination {
            Destination::Queue(_) => None,
            Destination::Push(push) => Some(push),
        }
    }
}

impl Topic {
    /// An event subscription of this topic as the subscription that the node delivers to; `None`: its events are pulled, or
    /// their endpoint has not consented.
    pub fn pushed(&self, event_subscription: &EventSubscription) -> Option<Subscription> {
        let url = match &event_subscription.push()?.to {
            Endpoint::Webhook(webhook) if webhook.awaits.is_some() => return None,
            Endpoint::Webhook(webhook) => webhook.url.clone(),
            Endpoint::NatsJetStream(bridge) => format!("nats:{}", bridge.stream),
        };
        Some(Subscription {
            id: event_subscription.id?,
            tenant: self.tenant,
            app: self.apps.first().copied().unwrap_or(AppId(Uuid::nil())),
            creator: UserId(Uuid::nil()),
            resource: event_subscription.name.clone(),
            target: Target::Topic(Box::new(event_subscription.clone())),
            change_types: ChangeTypes::default(),
            change_type: String::new(),
            notification_url: url,
            lifecycle_url: None,
            client_state: None,
            // The latest that is spoken.
            tls_version: TlsVersion::V1_3,
            extras: None,
            immutable_ids: false,
            authorized: event_subscription.created,
            expires: event_subscription.expires.unwrap_or(NEVER),
            expires_tenths: 0,
            created: event_subscription.created,
        })
    }
}

/// By what it is named.
impl Hash for EventSubscription {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.topic, self.name.to_ascii_lowercase()).hash(state);
    }
}

/// Letters, digits and hyphens, 3 to 64 of them, as the management API has it.
pub fn is_event_subscription_name(name: &str) -> bool {
    (3..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A filter as it was written, with what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
