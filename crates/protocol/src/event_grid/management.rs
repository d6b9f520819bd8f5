//! Partner topics and their event subscriptions as Azure's Resource Manager has them (api-version 2025-02-15): the bodies
//! that `azure-mgmt-eventgrid` writes and reads.
//!
//! Events are pushed as Azure pushes them. And while Azure pulls from the topics of its namespaces alone, here every
//! partner topic is pulled from if an event subscription says so, in one of two forms: `deliveryConfiguration` with the mode `Queue`, as namespaces have it, or for clients that
//! know partner topics only a destination of type `NamespaceTopic` that names the partner topic itself.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod destination;
mod duration;
mod event_subscription;
mod partner;
mod path;
mod queue;
#[cfg(test)]
mod tests;
mod topic;

pub use destination::{
    DeadLetterDestination, DeliveryAttributeMapping, Destination, DynamicValue, MappedValue, NamespaceTopic,
    NatsJetStream, RetryPolicy, StaticValue, StorageBlob, WebHook,
};
pub use event_subscription::{
    Delivery, EventSubscription, EventSubscriptionProperties, ProvisioningState, WantedDestination,
    WantedEventSubscription,
};
pub use partner::{check_partner, check_partner_configuration, partner_configuration};
pub use path::{Group, Resource, TopicPath, resource};
pub use queue::Queue;
pub use topic::{EventTypes, Tags, TopicProperties, TopicUpdate, WantedTopic, topic};

/// The one partner there is, with the id that Microsoft Graph has as a partner everywhere.
pub const PARTNER_NAME: &str = "MicrosoftGraphAPI";
pub const PARTNER_REGISTRATION: &str = "c02e0126-707c-436d-b6a1-175d2748fb58";
/// The most labels of an event subscription, and the most characters of one; ours.
pub const LABELS_MAX: usize = 32;
pub const LABEL_CHARS_MAX: usize = 128;
/// The most characters of a topic's description, as Azure's schema has it.
pub const DESCRIPTION_CHARS_MAX: usize = 512;
/// The most tags of a topic, and the most characters of a tag's name and of its value, as Azure's Resource Manager has them.
pub const TAGS_MAX: usize = 50;
pub const TAG_NAME_CHARS_MAX: usize = 512;
pub const TAG_VALUE_CHARS_MAX: usize = 256;

const CLOUD_EVENTS: &str = "CloudEventSchemaV1_0";

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    #[error("this is not the JSON of {what}: {error}")]
    Json { what: &'static str, error: String },
    #[error("'{0}' is not served by Tidings; leave it out")]
    NotServed(&'static str),
    #[error("'{name}' needs an identity that Azure manages, and there is none; use '{instead}'")]
    Identity { name: &'static str, instead: &'static str },
    #[error("deliveryMode Push is of namespaces; push with {PUSH}")]
    NamespacePush,
    #[error("destinations of type '{0}' are not served; push with {PUSH}, or pull the events, with {PULL}")]
    Destination(String),
    #[error("dead letters of type '{0}' are not served; write StorageBlob, whose container is one of this server's")]
    DeadLetters(String),
    #[error(
        "a destination of type NamespaceTopic must name the partner topic itself, {0}, whose events are then pulled"
    )]
    OtherTopic(String),
    #[error("say how events are delivered: push with {PUSH}, or pull them, with {PULL}")]
    NoDelivery,
    #[error("deliveryConfiguration says that events are pulled, and destination that they are pushed; leave one out")]
    TwoDeliveries,
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
    #[error(
        "give {TAGS_MAX} tags at most, with names of 1 to {TAG_NAME_CHARS_MAX} characters, of which none is one of \
         <>%&\\?/, that differ in more than case, and values of {TAG_VALUE_CHARS_MAX} characters at most"
    )]
    Tags,
    #[error("activationState is '{0}'; write NeverActivated, Activated or Deactivated")]
    ActivationState(String),
    #[error("the one partner is {PARTNER_NAME}, whose registration is {PARTNER_REGISTRATION}; it is always authorized")]
    OtherPartner,
}

impl InvalidBody {
    /// A name that is none, with those that there are where it stands.
    pub fn unknown(&self) -> Option<(&str, Vec<&str>)> {
        match self {
            // As serde_json writes it: the name, then those that it expected.
            Self::Json { error, .. } if error.starts_with("unknown ") => {
                let mut names = error.split('`').skip(1).step_by(2);
                Some((names.next()?, names.collect()))
            }
            Self::Destination(name) => Some((name, vec!["WebHook", "NamespaceTopic", "NatsJetStream"])),
            Self::DeadLetters(name) => Some((name, vec!["StorageBlob"])),
            Self::DeliveryMode(name) => Some((name, vec!["Queue"])),
            Self::Schema(name) => Some((name, vec![CLOUD_EVENTS])),
            Self::ActivationState(name) => Some((name, vec!["NeverActivated", "Activated", "Deactivated"])),
            _ => None,
        }
    }
}

/// How to ask for push and for pull delivery.
const PUSH: &str = "\"destination\":{\"endpointType\":\"WebHook\",\"properties\":{\"endpointUrl\":\"https://…\"}}";
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<&'a Tags>,
    pub properties: Properties,
}

#[derive(Deserialize)]
struct Enveloped<Properties> {
    properties: Option<Properties>,
}

fn read<'a, T: Deserialize<'a>>(what: &'static str, body: &'a [u8]) -> Result<T, InvalidBody> {
    // An array would be taken for the members in their order.
    if !is_object(body) {
        return Err(InvalidBody::Json { what, error: "it is no object".to_owned() });
    }
    serde_json::from_slice(body).map_err(|error| InvalidBody::Json { what, error: error.to_string() })
}

/// Whether JSON, if it is some, is an object.
pub(super) fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{")
}

/// `null`, and an empty object as clients write what they were not told, are the same as nothing.
fn is_given(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty()))
}

/// A value as a refusal repeats it: short, and fit for a line.
fn shown(value: &str) -> String {
    value.chars().filter(|letter| !letter.is_control()).take(64).collect()
}
