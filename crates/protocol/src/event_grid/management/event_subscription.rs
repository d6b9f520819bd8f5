//! Event subscriptions as they are asked for and answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::destination::Written;
use super::queue::{DeliveryBody, DeliveryConfiguration};
use super::{
    Answered, CLOUD_EVENTS, DeadLetterDestination, Destination, Enveloped, InvalidBody, LABEL_CHARS_MAX, LABELS_MAX,
    Queue, RetryPolicy, StorageBlob, TopicPath, is_given, read, shown,
};
use crate::cloud_event::is_date_time;
use crate::event_grid::EventSubscriptionFilter;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSubscriptionProperties<'a> {
    pub topic: String,
    pub provisioning_state: ProvisioningState,
    pub destination: Destination,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_configuration: Option<DeliveryConfiguration>,
    pub filter: &'a EventSubscriptionFilter,
    pub labels: &'a [String],
    pub expiration_time_utc: Option<String>,
    pub event_delivery_schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_destination: Option<DeadLetterDestination>,
}

/// How far an event subscription has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ProvisioningState {
    #[default]
    Succeeded,
    /// Its endpoint has neither consented nor refused.
    AwaitingManualAction,
    /// It did not consent in time.
    Failed,
}

/// An event subscription as it is answered.
#[derive(Clone, Debug)]
pub struct EventSubscription<'a> {
    pub topic: &'a TopicPath,
    pub name: &'a str,
    pub state: ProvisioningState,
    pub filter: &'a EventSubscriptionFilter,
    pub delivery: Delivery,
    pub labels: &'a [String],
    /// RFC 3339 in `Z`.
    pub expiration: Option<String>,
}

/// How events come to who wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Queue(Queue),
    Push { to: Destination, retry: RetryPolicy, dead_letters: Option<StorageBlob> },
}

impl<'a> EventSubscription<'a> {
    pub fn body(self) -> Answered<'a, EventSubscriptionProperties<'a>> {
        let topic = self.topic.to_string();
        let (destination, queue, retry_policy, dead_letters) = match self.delivery {
            Delivery::Queue(queue) => (Destination::of_itself(topic.clone()), Some(queue), None, None),
            Delivery::Push { to, retry, dead_letters } => (to, None, Some(retry), dead_letters),
        };
        Answered {
            id: format!("{topic}/eventSubscriptions/{}", self.name),
            name: self.name.into(),
            resource_type: "Microsoft.EventGrid/partnerTopics/eventSubscriptions",
            location: None,
            tags: None,
            properties: EventSubscriptionProperties {
                topic,
                provisioning_state: self.state,
                destination,
                delivery_configuration: queue.as_ref().map(DeliveryConfiguration::of),
                filter: self.filter,
                labels: self.labels,
                expiration_time_utc: self.expiration,
                event_delivery_schema: CLOUD_EVENTS,
                retry_policy,
                dead_letter_destination: dead_letters.map(DeadLetterDestination::StorageBlob),
            },
        }
    }
}

/// What somebody wants an event subscription to be; `None`: as it is, or as it is by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedEventSubscription {
    pub filter: Option<EventSubscriptionFilter>,
    pub to: Option<WantedDestination>,
    pub retry: Option<RetryPolicy>,
    pub dead_letters: Option<StorageBlob>,
    pub labels: Option<Vec<String>>,
    /// RFC 3339.
    pub expiration: Option<String>,
}

/// Where events are to go. What was not given of it is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedDestination {
    Queue(Queue),
    WebHook(Box<super::WebHook>),
    NatsJetStream(super::NatsJetStream),
}

/// What may stand in a body of an event subscription, read-only members included.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventSubscriptionBody {
    #[serde(rename = "topic")]
    _topic: Option<Value>,
    #[serde(rename = "provisioningState")]
    _provisioning_state: Option<Value>,
    destination: Option<Written>,
    delivery_configuration: Option<DeliveryBody>,
    delivery_with_resource_identity: Option<Value>,
    filter: Option<EventSubscriptionFilter>,
    labels: Option<Vec<String>>,
    expiration_time_utc: Option<String>,
    event_delivery_schema: Option<String>,
    retry_policy: Option<RetryPolicy>,
    dead_letter_destination: Option<Written>,
    dead_letter_with_resource_identity: Option<Value>,
}

impl WantedEventSubscription {
    /// The body of a PUT, in which there must be a delivery.
    pub fn parse_put(body: &[u8], topic: &TopicPath) -> Result<Self, InvalidBody> {
        let Enveloped { properties } = read("an event subscription", body)?;
        let wanted = Self::read(properties.unwrap_or_default(), topic)?;
        if wanted.to.is_some() { Ok(wanted) } else { Err(InvalidBody::NoDelivery) }
    }

    /// The body of a PATCH: the members that change, without `properties` around them.
    pub fn parse_patch(body: &[u8], topic: &TopicPath) -> Result<Self, InvalidBody> {
        Self::read(read("an update of an event subscription", body)?, topic)
    }

    fn read(body: EventSubscriptionBody, topic: &TopicPath) -> Result<Self, InvalidBody> {
        body.check()?;
        let destination = body.destination.map(|written| written.destination(topic)).transpose()?;
        let queue = body.delivery_configuration.map(DeliveryBody::read).transpose()?;
        let to = match (destination, queue) {
            (Some(Destination::WebHook(_) | Destination::NatsJetStream(_)), Some(_)) => {
                return Err(InvalidBody::TwoDeliveries);
            }
            (Some(Destination::WebHook(webhook)), None) => Some(WantedDestination::WebHook(webhook)),
            (Some(Destination::NatsJetStream(bridge)), None) => Some(WantedDestination::NatsJetStream(bridge)),
            (Some(Destination::NamespaceTopic(_)), queue) => Some(WantedDestination::Queue(queue.unwrap_or_default())),
            (None, queue) => queue.map(WantedDestination::Queue),
        };
        Ok(Self {
            filter: body.filter,
            to,
            retry: body.retry_policy,
            dead_letters: body.dead_letter_destination.map(Written::dead_letters).transpose()?,
            labels: body.labels,
            expiration: body.expiration_time_utc,
        })
    }
}

impl EventSubscriptionBody {
    /// What can be said of a member without the others.
    fn check(&self) -> Result<(), InvalidBody> {
        let identities = [
            ("deliveryWithResourceIdentity", "destination", &self.delivery_with_resource_identity),
            ("deadLetterWithResourceIdentity", "deadLetterDestination", &self.dead_letter_with_resource_identity),
        ];
        if let Some((name, instead, _)) = identities.into_iter().find(|(_, _, value)| is_given(value.as_ref())) {
            return Err(InvalidBody::Identity { name, instead });
        }
        if let Some(schema) = self.event_delivery_schema.as_deref().filter(|schema| *schema != CLOUD_EVENTS) {
            return Err(InvalidBody::Schema(shown(schema)));
        }
        if self.expiration_time_utc.as_deref().is_some_and(|time| !is_date_time(time)) {
            return Err(InvalidBody::Expiration);
        }
        let is_label = |label: &String| label.chars().count() <= LABEL_CHARS_MAX;
        if self.labels.as_ref().is_some_and(|labels| labels.len() > LABELS_MAX || !labels.iter().all(is_label)) {
            return Err(InvalidBody::Labels);
        }
        Ok(())
    }
}
