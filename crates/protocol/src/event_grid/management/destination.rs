//! `destination`: where events go.

use serde::{Deserialize, Serialize};

use super::{InvalidBody, TopicPath, shown};

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

impl NamespaceTopic {
    pub(super) fn named(resource_id: String) -> Self {
        Self { endpoint_type: "NamespaceTopic", properties: NamespaceTopicProperties { resource_id } }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Destination {
    endpoint_type: String,
    #[serde(default)]
    properties: Option<DestinationProperties>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DestinationProperties {
    resource_id: Option<String>,
}

impl Destination {
    pub(super) fn check(&self, topic: &TopicPath) -> Result<(), InvalidBody> {
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
