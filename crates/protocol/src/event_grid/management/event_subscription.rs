//! Event subscriptions as they are asked for and answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::destination::{Destination, NamespaceTopic};
use super::queue::{DeliveryBody, DeliveryConfiguration};
use super::{
    Answered, CLOUD_EVENTS, Enveloped, InvalidBody, LABEL_CHARS_MAX, LABELS_MAX, Queue, TopicPath, is_given, read,
    shown,
};
use crate::cloud_event::is_date_time;
use crate::event_grid::EventSubscriptionFilter;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSubscriptionProperties<'a> {
    pub topic: String,
    pub provisioning_state: &'static str,
    pub destination: NamespaceTopic,
    pub delivery_configuration: DeliveryConfiguration,
    pub filter: &'a EventSubscriptionFilter,
    pub labels: &'a [String],
    pub expiration_time_utc: Option<String>,
    pub event_delivery_schema: &'static str,
}

/// An event subscription as it is answered.
#[derive(Clone, Copy, Debug)]
pub struct EventSubscription<'a> {
    pub topic: &'a TopicPath,
    pub name: &'a str,
    pub filter: &'a EventSubscriptionFilter,
    pub queue: Queue,
    pub labels: &'a [String],
    /// RFC 3339 in `Z`.
    pub expiration: Option<&'a str>,
}

impl<'a> EventSubscription<'a> {
    pub fn body(&self) -> Answered<'a, EventSubscriptionProperties<'a>> {
        let topic = self.topic.to_string();
        Answered {
            id: format!("{topic}/eventSubscriptions/{}", self.name),
            name: self.name.into(),
            resource_type: "Microsoft.EventGrid/partnerTopics/eventSubscriptions",
            location: None,
            properties: EventSubscriptionProperties {
                topic: topic.clone(),
                provisioning_state: "Succeeded",
                destination: NamespaceTopic::named(topic),
                delivery_configuration: DeliveryConfiguration::of(&self.queue),
                filter: self.filter,
                labels: self.labels,
                expiration_time_utc: self.expiration.map(str::to_owned),
                event_delivery_schema: CLOUD_EVENTS,
            },
        }
    }
}

/// What somebody wants an event subscription to be; `None`: as it is, or as it is by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedEventSubscription {
    pub filter: Option<EventSubscriptionFilter>,
    pub queue: Option<Queue>,
    pub labels: Option<Vec<String>>,
    /// RFC 3339.
    pub expiration: Option<String>,
}

/// What may stand in a body of an event subscription, read-only members included.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventSubscriptionBody {
    #[serde(rename = "topic")]
    _topic: Option<Value>,
    #[serde(rename = "provisioningState")]
    _provisioning_state: Option<Value>,
    destination: Option<Destination>,
    delivery_configuration: Option<DeliveryBody>,
    delivery_with_resource_identity: Option<Value>,
    filter: Option<EventSubscriptionFilter>,
    labels: Option<Vec<String>>,
    expiration_time_utc: Option<String>,
    event_delivery_schema: Option<String>,
    retry_policy: Option<Value>,
    dead_letter_destination: Option<Value>,
    dead_letter_with_resource_identity: Option<Value>,
}

impl WantedEventSubscription {
    /// The body of a PUT, in which there must be a delivery.
    pub fn parse_put(body: &[u8], topic: &TopicPath) -> Result<Self, InvalidBody> {
        let Enveloped { properties } = read("an event subscription", body)?;
        let wanted = Self::read(properties.unwrap_or_default(), topic)?;
        if wanted.queue.is_some() { Ok(wanted) } else { Err(InvalidBody::NoDelivery) }
    }

    /// The body of a PATCH: the members that change, without `properties` around them.
    pub fn parse_patch(body: &[u8], topic: &TopicPath) -> Result<Self, InvalidBody> {
        Self::read(read("an update of an event subscription", body)?, topic)
    }

    fn read(body: EventSubscriptionBody, topic: &TopicPath) -> Result<Self, InvalidBody> {
        let unserved = [
            ("deliveryWithResourceIdentity", &body.delivery_with_resource_identity),
            ("retryPolicy", &body.retry_policy),
            ("deadLetterDestination", &body.dead_letter_destination),
            ("deadLetterWithResourceIdentity", &body.dead_letter_with_resource_identity),
        ];
        if let Some(destination) = &body.destination {
            destination.check(topic)?;
        }
        if let Some((name, _)) = unserved.into_iter().find(|(_, value)| is_given(value.as_ref())) {
            return Err(InvalidBody::NotServed(name));
        }
        if let Some(schema) = body.event_delivery_schema.filter(|schema| schema != CLOUD_EVENTS) {
            return Err(InvalidBody::Schema(shown(&schema)));
        }
        if body.expiration_time_utc.as_deref().is_some_and(|time| !is_date_time(time)) {
            return Err(InvalidBody::Expiration);
        }
        let is_label = |label: &String| label.chars().count() <= LABEL_CHARS_MAX;
        if body.labels.as_ref().is_some_and(|labels| labels.len() > LABELS_MAX || !labels.iter().all(is_label)) {
            return Err(InvalidBody::Labels);
        }
        let queue = match (body.delivery_configuration, &body.destination) {
            (Some(delivery), _) => Some(delivery.read()?),
            (None, Some(_)) => Some(Queue::default()),
            (None, None) => None,
        };
        Ok(Self { filter: body.filter, queue, labels: body.labels, expiration: body.expiration_time_utc })
    }
}
