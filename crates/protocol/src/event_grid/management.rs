//! Partner topics and their event subscriptions as Azure's Resource Manager has them (api-version 2025-02-15): the bodies
//! that `azure-mgmt-eventgrid` writes and reads.
//!
//! Azure pulls from the topics of its namespaces alone. Here every partner topic is pulled from, and an event subscription
//! says so in one of two forms: `deliveryConfiguration` with the mode `Queue`, as namespaces have it, or for clients that
//! know partner topics only a destination of type `NamespaceTopic` that names the partner topic itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EventSubscriptionFilter, ItemChange, ItemKind, LifecycleKind, item_event_type};
use crate::cloud_event::is_date_time;

mod duration;
mod path;
#[cfg(test)]
mod tests;

pub use path::{Group, Resource, TopicPath, resource};

/// The one partner there is, with the id that Microsoft Graph has as a partner everywhere.
pub const PARTNER_NAME: &str = "MicrosoftGraphAPI";
pub const PARTNER_REGISTRATION: &str = "c02e0126-707c-436d-b6a1-175d2748fb58";
/// The most labels of an event subscription, and the most characters of one; ours.
pub const LABELS_MAX: usize = 32;
pub const LABEL_CHARS_MAX: usize = 128;
/// The most characters of a topic's description, as Azure's schema has it.
pub const DESCRIPTION_CHARS_MAX: usize = 512;

const CLOUD_EVENTS: &str = "CloudEventSchemaV1_0";

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    #[error("this is not the JSON of {what}: {error}")]
    Json { what: &'static str, error: String },
    #[error("'{0}' is not served by Tidings; leave it out")]
    NotServed(&'static str),
    #[error("push is not built yet: pull the events, with {PULL}")]
    WebHook,
    #[error("destinations of type '{0}' are not served; pull the events, with {PULL}")]
    Destination(String),
    #[error(
        "a destination of type NamespaceTopic must name the partner topic itself, {0}, whose events are then pulled"
    )]
    OtherTopic(String),
    #[error("say how events are delivered: pull them, with {PULL}")]
    NoDelivery,
    #[error("deliveryMode is '{0}'; only Queue is served")]
    DeliveryMode(String),
    #[error("eventDeliverySchema is '{0}'; only {CLOUD_EVENTS} is served")]
    Schema(String),
    #[error("eventTimeToLive is no duration; write it as P1D or PT1H30M")]
    TimeToLive,
    #[error("expirationTimeUtc is no date-time; write it as 2026-11-24T10:00:00Z")]
    Expiration,
    #[error("give {LABELS_MAX} labels of {LABEL_CHARS_MAX} characters at most")]
    Labels,
    #[error("location is missing; name a region, as westeurope")]
    NoLocation,
    #[error("partnerTopicFriendlyDescription has more than {DESCRIPTION_CHARS_MAX} characters")]
    Description,
    #[error("activationState is '{0}'; write NeverActivated, Activated or Deactivated")]
    ActivationState(String),
    #[error("the one partner is {PARTNER_NAME}, whose registration is {PARTNER_REGISTRATION}; it is always authorized")]
    OtherPartner,
}

/// How to ask for pull delivery.
const PULL: &str = "\"deliveryConfiguration\":{\"deliveryMode\":\"Queue\"}";

/// What a list answers. All is on one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    pub value: Vec<T>,
}

/// A resource as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answered<'a, Properties> {
    pub id: String,
    pub name: Cow<'a, str>,
    #[serde(rename = "type")]
    pub resource_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Cow<'a, str>>,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicProperties<'a> {
    /// `/tenants/{tenant}/applications/{app}`; none if no app has subscribed into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub partner_registration_immutable_id: &'static str,
    pub event_type_info: EventTypes,
    pub provisioning_state: &'static str,
    pub activation_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_time_if_not_activated_utc: Option<String>,
    pub partner_topic_friendly_description: &'a str,
}

/// `eventTypeInfo`: what a topic of Outlook's carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTypes;

impl Serialize for EventTypes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Property {
            description: &'static str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Info {
            kind: &'static str,
            inline_event_types: BTreeMap<String, Property>,
        }
        let items =
            ItemKind::ALL.into_iter().flat_map(|kind| ItemChange::ALL.map(|change| item_event_type(kind, change)));
        let lives = LifecycleKind::ALL.into_iter().map(|kind| kind.event_type().to_owned());
        let described = |name, description| (name, Property { description });
        let inline_event_types = items
            .map(|name| described(name, "a change of an item in a mailbox"))
            .chain(lives.map(|name| described(name, "a step in the life of a subscription")))
            .collect();
        Info { kind: "Inline", inline_event_types }.serialize(serializer)
    }
}

/// A partner topic as its bodies have it.
pub fn topic<'a>(
    path: &TopicPath,
    location: &'a str,
    properties: TopicProperties<'a>,
) -> Answered<'a, TopicProperties<'a>> {
    Answered {
        id: path.to_string(),
        name: path.topic.clone().into(),
        resource_type: "Microsoft.EventGrid/partnerTopics",
        location: Some(location.into()),
        properties,
    }
}

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

/// A destination that is the topic itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceTopic {
    endpoint_type: &'static str,
    properties: NamespaceTopicProperties,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceTopicProperties {
    resource_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryConfiguration {
    delivery_mode: &'static str,
    queue: QueueBody,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueueBody {
    receive_lock_duration_in_seconds: Option<u32>,
    max_delivery_count: Option<u32>,
    event_time_to_live: Option<String>,
    #[serde(skip_serializing)]
    dead_letter_destination_with_resource_identity: Option<Value>,
}

/// How events are pulled. What was not given is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    pub receive_lock_seconds: Option<u32>,
    pub delivery_count_max: Option<u32>,
    pub time_to_live_seconds: Option<u32>,
}

impl QueueBody {
    fn read(self) -> Result<Queue, InvalidBody> {
        if is_given(self.dead_letter_destination_with_resource_identity.as_ref()) {
            return Err(InvalidBody::NotServed("deadLetterDestinationWithResourceIdentity"));
        }
        let time_to_live = self.event_time_to_live.as_deref().map(duration::seconds);
        let time_to_live_seconds = time_to_live.map(|seconds| seconds.ok_or(InvalidBody::TimeToLive)).transpose()?;
        let receive_lock_seconds = self.receive_lock_duration_in_seconds;
        Ok(Queue { receive_lock_seconds, delivery_count_max: self.max_delivery_count, time_to_live_seconds })
    }

    fn of(queue: &Queue) -> Self {
        Self {
            receive_lock_duration_in_seconds: queue.receive_lock_seconds,
            max_delivery_count: queue.delivery_count_max,
            event_time_to_live: queue.time_to_live_seconds.map(duration::text),
            dead_letter_destination_with_resource_identity: None,
        }
    }
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
                destination: NamespaceTopic {
                    endpoint_type: "NamespaceTopic",
                    properties: NamespaceTopicProperties { resource_id: topic },
                },
                delivery_configuration: DeliveryConfiguration {
                    delivery_mode: "Queue",
                    queue: QueueBody::of(&self.queue),
                },
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    endpoint_type: String,
    #[serde(default)]
    properties: Option<DestinationProperties>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DestinationProperties {
    resource_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeliveryBody {
    delivery_mode: String,
    queue: Option<QueueBody>,
    push: Option<Value>,
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

impl Destination {
    fn check(&self, topic: &TopicPath) -> Result<(), InvalidBody> {
        match self.endpoint_type.as_str() {
            "NamespaceTopic" => {
                let named = self.properties.as_ref().and_then(|properties| properties.resource_id.as_deref());
                let own = topic.to_string();
                if named.is_some_and(|named| named.eq_ignore_ascii_case(&own)) {
                    return Ok(());
                }
                Err(InvalidBody::OtherTopic(own))
            }
            "WebHook" => Err(InvalidBody::WebHook),
            other => Err(InvalidBody::Destination(shown(other))),
        }
    }
}

impl DeliveryBody {
    fn read(self) -> Result<Queue, InvalidBody> {
        match self.delivery_mode.as_str() {
            "Queue" if is_given(self.push.as_ref()) => Err(InvalidBody::NotServed("push")),
            "Queue" => self.queue.unwrap_or_default().read(),
            "Push" => Err(InvalidBody::WebHook),
            other => Err(InvalidBody::DeliveryMode(shown(other))),
        }
    }
}

/// What somebody wants a partner topic to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTopic {
    pub location: String,
    /// Empty: none.
    pub description: String,
    /// `None`: as it is, or never activated.
    pub is_activated: Option<bool>,
}

impl WantedTopic {
    pub fn parse(body: &[u8]) -> Result<Self, InvalidBody> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            location: Option<String>,
            tags: Option<BTreeMap<String, String>>,
            identity: Option<Value>,
            properties: Option<Properties>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Properties {
            activation_state: Option<String>,
            partner_topic_friendly_description: Option<String>,
        }
        let body: Body = read("a partner topic", body)?;
        if body.tags.is_some_and(|tags| !tags.is_empty()) {
            return Err(InvalidBody::NotServed("tags"));
        }
        if is_given(body.identity.as_ref()) {
            return Err(InvalidBody::NotServed("identity"));
        }
        let location = body.location.filter(|location| !location.is_empty()).ok_or(InvalidBody::NoLocation)?;
        let properties = body.properties.unwrap_or_default();
        let description = properties.partner_topic_friendly_description.unwrap_or_default();
        if description.chars().count() > DESCRIPTION_CHARS_MAX {
            return Err(InvalidBody::Description);
        }
        let is_activated = match properties.activation_state.as_deref() {
            None | Some("NeverActivated") => None,
            Some("Activated") => Some(true),
            Some("Deactivated") => Some(false),
            Some(other) => return Err(InvalidBody::ActivationState(shown(other))),
        };
        Ok(Self { location, description, is_activated })
    }
}

/// The partner configuration of a resource group. There is one partner, and it is always authorized.
pub fn partner_configuration(group: &Group) -> Answered<'static, Value> {
    let partner = serde_json::json!({
        "partnerName": PARTNER_NAME,
        "partnerRegistrationImmutableId": PARTNER_REGISTRATION,
    });
    Answered {
        id: format!("{group}/providers/Microsoft.EventGrid/partnerConfigurations/default"),
        name: "default".into(),
        resource_type: "Microsoft.EventGrid/partnerConfigurations",
        location: Some("global".into()),
        properties: serde_json::json!({
            "partnerAuthorization": { "authorizedPartnersList": [partner] },
            "provisioningState": "Succeeded",
        }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partner {
    partner_registration_immutable_id: Option<String>,
    partner_name: Option<String>,
}

impl Partner {
    fn check(&self) -> Result<(), InvalidBody> {
        let is =
            |given: &Option<String>, own: &str| given.as_deref().is_none_or(|given| given.eq_ignore_ascii_case(own));
        let (id, name) = (&self.partner_registration_immutable_id, &self.partner_name);
        let names_any = id.is_some() || name.is_some();
        let is_ours = names_any && is(id, PARTNER_REGISTRATION) && is(name, PARTNER_NAME);
        if is_ours { Ok(()) } else { Err(InvalidBody::OtherPartner) }
    }
}

/// The body of `authorizePartner` and `unauthorizePartner`: the one partner.
pub fn check_partner(body: &[u8]) -> Result<(), InvalidBody> {
    read::<Partner>("a partner", body)?.check()
}

/// The body of a PUT of a partner configuration: no other partner than the one is authorized by it.
pub fn check_partner_configuration(body: &[u8]) -> Result<(), InvalidBody> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Authorization {
        authorized_partners_list: Option<Vec<Partner>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Properties {
        partner_authorization: Option<Authorization>,
    }
    let Enveloped::<Properties> { properties } = read("a partner configuration", body)?;
    let authorization = properties.and_then(|properties| properties.partner_authorization).unwrap_or_default();
    authorization.authorized_partners_list.unwrap_or_default().iter().try_for_each(Partner::check)
}

#[derive(Deserialize)]
struct Enveloped<Properties> {
    properties: Option<Properties>,
}

fn read<'a, T: Deserialize<'a>>(what: &'static str, body: &'a [u8]) -> Result<T, InvalidBody> {
    serde_json::from_slice(body).map_err(|error| InvalidBody::Json { what, error: error.to_string() })
}

/// `null`, and an empty object as clients write what they were not told, are the same as nothing.
fn is_given(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty()))
}

/// A value as a refusal repeats it: short, and fit for a line.
fn shown(value: &str) -> String {
    value.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

impl fmt::Display for TopicPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/providers/Microsoft.EventGrid/partnerTopics/{}", self.group, self.topic)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/subscriptions/{}/resourceGroups/{}", self.subscription, self.name)
    }
}
