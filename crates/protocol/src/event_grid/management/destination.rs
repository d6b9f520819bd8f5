//! `destination`: where events go. What a body asks for and what is answered have one form, in which secrets are absent
//! from answers.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InvalidBody, TopicPath, shown};

/// A destination in a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "endpointType", content = "properties")]
pub enum Destination {
    /// The topic itself, whose events are pulled.
    NamespaceTopic(NamespaceTopic),
    WebHook(Box<WebHook>),
    /// Ours: a stream of NATS JetStream.
    NatsJetStream(NatsJetStream),
}

impl Destination {
    pub(super) fn of_itself(topic: String) -> Self {
        Self::NamespaceTopic(NamespaceTopic { resource_id: Some(topic) })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceTopic {
    pub resource_id: Option<String>,
}

/// An URL that events are posted to. What was not given, and what is not shown, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebHook {
    /// With its query, which may be secret: only asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// Without its query: only answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_base_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_events_per_batch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_batch_size_in_kilobytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_active_directory_tenant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_active_directory_application_id_or_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_tls_version_allowed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_attribute_mappings: Option<Vec<DeliveryAttributeMapping>>,
    /// Ours: `Structured` or `Binary`, in the words of CloudEvents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_mode: Option<String>,
}

/// A header of each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttributeMapping {
    pub name: String,
    #[serde(flatten)]
    pub value: MappedValue,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "properties")]
pub enum MappedValue {
    Static(StaticValue),
    Dynamic(DynamicValue),
}

/// A value that is the same for all events. In an answer a secret one is `null`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StaticValue {
    pub value: Option<String>,
    #[serde(default)]
    pub is_secret: bool,
}

impl fmt::Debug for StaticValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticValue(…)")
    }
}

/// A value that each event has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DynamicValue {
    pub source_field: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NatsJetStream {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// How long an event is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryPolicy {
    pub max_delivery_attempts: Option<u32>,
    pub event_time_to_live_in_minutes: Option<u32>,
}

/// Where events are kept that are given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "endpointType", content = "properties")]
pub enum DeadLetterDestination {
    StorageBlob(StorageBlob),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StorageBlob {
    pub resource_id: Option<String>,
    pub blob_container_name: Option<String>,
}

/// A destination of any kind, as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Written {
    endpoint_type: String,
    properties: Option<Value>,
}

impl Written {
    pub(super) fn destination(self, topic: &TopicPath) -> Result<Destination, InvalidBody> {
        match self.endpoint_type.as_str() {
            "NamespaceTopic" => {
                let (own, named) = (topic.to_string(), self.properties::<NamespaceTopic>()?.resource_id);
                let is_own = named.as_ref().is_some_and(|named| named.eq_ignore_ascii_case(&own));
                let of_itself = || Destination::NamespaceTopic(NamespaceTopic { resource_id: named });
                is_own.then(of_itself).ok_or(InvalidBody::OtherTopic(own))
            }
            "WebHook" => Ok(Destination::WebHook(Box::new(self.properties()?))),
            "NatsJetStream" => Ok(Destination::NatsJetStream(self.properties()?)),
            other => Err(InvalidBody::Destination(shown(other))),
        }
    }

    pub(super) fn dead_letters(self) -> Result<StorageBlob, InvalidBody> {
        match self.endpoint_type.as_str() {
            "StorageBlob" => self.properties(),
            other => Err(InvalidBody::DeadLetters(shown(other))),
        }
    }

    fn properties<T: DeserializeOwned + Default>(self) -> Result<T, InvalidBody> {
        let Some(properties) = self.properties.filter(|properties| !properties.is_null()) else {
            return Ok(T::default());
        };
        let what = "the properties of a destination";
        serde_json::from_value(properties).map_err(|error| InvalidBody::Json { what, error: error.to_string() })
    }
}
