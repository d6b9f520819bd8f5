//! Partner topics: who may make one and use it again, what an event is in its log, and the event subscriptions by which
//! events are pulled from it. Where topics and events lie is the store's business; what they look like on the wire is
//! `protocol`'s.
//!
//! A topic is a scope, so its events are records of one partition's log, in one order. An event subscription has a
//! *cursor*, up to which it has considered the topic's events; what of them it has received and not settled is *pending*.
//! Publishing costs the same however many event subscriptions there are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use graph::{AppId, Partition, TenantId, Timestamp, TopicId};
pub use protocol::cloud_event::CloudEvent;
pub use protocol::event_grid::management::Tags;
pub use protocol::event_grid::{EventSubscriptionFilter, Profile};
use serde::{Deserialize, Serialize};

use crate::Record;
use crate::event_grid_url::EventGridUrl;

mod answered;
mod destination;
mod event_subscription;
mod pull;
mod request;
mod subject;
mod telling;
#[cfg(test)]
mod tests;
mod wanted;

pub use destination::{
    AttributeValue, Audience, Awaited, Batching, ContentMode, DELIVERY_ATTRIBUTES_MAX, DeadLetterDestination,
    DeliveryAttribute, Destination, Endpoint, InvalidQueue, NatsJetStream, Push, Queue, TIME_TO_LIVE_SECONDS_MAX,
    Webhook,
};
pub use event_subscription::{EventSubscription, Filter, LockKey, is_event_subscription_name};
pub use pull::{DeadLetterReason, EventCounts, Hold, Lost, Next, Pending, Settled, Settlement};
pub use subject::{InvalidBridge, SubjectTemplate, check_bridge};
pub use telling::event_of;
pub use wanted::{BATCHED_EVENTS_MAX, BATCHED_KIB_MAX, InvalidDestination, Wanted};

/// The most topics of one app in its tenant, as documented.
pub const TOPICS_OF_APP_MAX: u64 = 10;
/// The most event subscriptions of a topic, as documented.
pub const EVENT_SUBSCRIPTIONS_MAX: u64 = 500;
/// So long after the last subscription into it has run out, a topic takes a new one, as documented.
pub const REUSE_DAYS: i64 = 30;
/// So long a topic keeps events; the longest that Event Grid's namespaces keep them.
pub const RETENTION_DAYS: i64 = 7;
/// A topic that was not activated by then counts as expired; the default of Azure's partner configurations.
pub const ACTIVATION_DAYS: i64 = 7;

const DAY_MICROS: i64 = 24 * 3_600_000_000;

/// A partner topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    pub id: TopicId,
    pub tenant: TenantId,
    /// Its names. No two topics have one name in one region, nor one path in the management API.
    pub place: EventGridUrl,
    /// Whose it is: the app that asked for it first; none as long as only an operator has.
    pub apps: BTreeSet<AppId>,
    pub profile: Profile,
    pub activation: Activation,
    pub created: Timestamp,
    /// Empty: none.
    pub description: String,
    /// What its owner notes of it.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Whoever has one of them may publish and pull. Two, so that one can be replaced while the other is used.
    pub keys: [TopicKey; 2],
    /// The latest expiry of a subscription that ever led into it.
    pub subscribed_until: Option<Timestamp>,
}

/// A secret that apps present, or sign with: so it must be known in clear.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicKey(pub String);

impl fmt::Debug for TopicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TopicKey(…)")
    }
}

/// Whether events are let into a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Activation {
    /// What is published is dropped, and counted.
    #[default]
    NeverActivated,
    Activated,
    /// As before the activation.
    Deactivated,
}

impl Activation {
    /// Its name in the management API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverActivated => "NeverActivated",
            Self::Activated => "Activated",
            Self::Deactivated => "Deactivated",
        }
    }

    pub fn activate(self) -> Self {
        Self::Activated
    }

    /// What was never activated stays so.
    pub fn deactivate(self) -> Self {
        match self {
            Self::NeverActivated => Self::NeverActivated,
            Self::Activated | Self::Deactivated => Self::Deactivated,
        }
    }
}

/// Why a topic is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicRefusal {
    #[error("a partner topic of this name exists in this region, in another resource group or tenant")]
    Taken,
    #[error("a partner topic of this name exists in this resource group, in another region")]
    InAnotherRegion,
    #[error("a partner topic of this name is another app's; name another one")]
    OfAnotherApp,
    #[error(
        "the last subscription into this partner topic expired more than {REUSE_DAYS} days ago; delete the topic, or name another one"
    )]
    TooOld,
}

impl Topic {
    pub fn partition(&self) -> Partition {
        Partition::of(self.id)
    }

    /// What never changes of a topic.
    pub fn is_the_same_as(&self, other: &Topic) -> bool {
        (self.id, self.tenant, &self.place) == (other.id, other.tenant, &other.place)
    }

    pub fn takes_events(&self) -> bool {
        self.activation == Activation::Activated
    }

    /// When it expires if it is not activated by then.
    pub fn expires_if_not_activated(&self) -> Timestamp {
        self.created.plus_micros(ACTIVATION_DAYS * DAY_MICROS)
    }

    /// Whether a topic at this place would be taken for `self`: then [`Self::opened_as`] says what follows.
    pub fn meets(&self, place: &EventGridUrl) -> bool {
        self.place.names_the_topic_of(place) || self.place.has_the_path_of(place)
    }

    /// This topic after somebody asked for `wanted`, which meets it: the same, needed for longer. If an operator made it, it
    /// belongs to the app that asks first.
    pub fn opened_as(&self, wanted: &Topic, now: Timestamp) -> Result<Topic, TopicRefusal> {
        if self.tenant != wanted.tenant || !self.place.has_the_path_of(&wanted.place) {
            return Err(TopicRefusal::Taken);
        }
        if !self.place.names_the_topic_of(&wanted.place) {
            return Err(TopicRefusal::InAnotherRegion);
        }
        // Whose topic it is may read all of it.
        if !(self.apps.is_empty() || wanted.apps.is_subset(&self.apps)) {
            return Err(TopicRefusal::OfAnotherApp);
        }
        let too_old = |until: Timestamp| now.since(until) > REUSE_DAYS * DAY_MICROS;
        if wanted.subscribed_until.is_some() && self.subscribed_until.is_some_and(too_old) {
            return Err(TopicRefusal::TooOld);
        }
        let apps = self.apps.union(&wanted.apps).copied().collect();
        Ok(Topic { apps, subscribed_until: self.subscribed_until.max(wanted.subscribed_until), ..self.clone() })
    }

    /// What was published before this is kept no more.
    pub fn keeps_from(now: Timestamp) -> Timestamp {
        now.plus_micros(-RETENTION_DAYS * DAY_MICROS)
    }
}

/// An event in its topic's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicEvent {
    pub topic: TopicId,
    /// When it was published, or sent again; its time to live begins then.
    pub published: Timestamp,
    pub event: CloudEvent,
    /// If it was a dead letter that was sent again: what there was of it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
}

/// What there was of an event until it was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Earlier {
    /// When it was published at first.
    pub published: Timestamp,
    /// How often it had been tried, in all.
    pub attempts: u32,
}

impl TopicEvent {
    /// An event that is published for the first time.
    pub fn new(topic: TopicId, published: Timestamp, event: CloudEvent) -> Self {
        Self { topic, published, event, earlier: None }
    }

    /// About how much of a body it needs.
    pub(crate) fn estimated_bytes(&self) -> usize {
        self.event.to_json().len() + 1
    }

    /// What is left of it for those who only pass over it.
    fn without_data(&self) -> Self {
        let attributes = self.event.attributes().clone();
        let event = CloudEvent::new(attributes, None).expect("its attributes are valid, and without data as well");
        Self { event, ..*self }
    }
}

/// A record as the node keeps it. It remembers many records, and an event can have a MiB of data.
pub fn for_the_node(record: Arc<Record>) -> Arc<Record> {
    match &*record {
        Record::Event(event) if event.event.data().is_some() => Arc::new(Record::Event(Arc::new(event.without_data()))),
        Record::Replayed { subscription, change, record: told } if told.has_data() => {
            let (subscription, change, record) = (*subscription, *change, for_the_node(Arc::clone(told)));
            Arc::new(Record::Replayed { subscription, change, record })
        }
        _ => record,
    }
}
