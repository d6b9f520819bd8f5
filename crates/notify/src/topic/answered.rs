//! An event subscription as it is answered: without what is secret in it.

use graph::Timestamp;
use protocol::event_grid::management::{
    self, Delivery, DeliveryAttributeMapping, DynamicValue, MappedValue, ProvisioningState, RetryPolicy, StaticValue,
    StorageBlob, TopicPath, WebHook,
};

use super::{AttributeValue, ContentMode, Destination, Endpoint, EventSubscription, Push, Webhook};

impl EventSubscription {
    pub fn answered<'a>(&'a self, topic: &'a TopicPath, now: Timestamp) -> management::EventSubscription<'a> {
        management::EventSubscription {
            topic,
            name: &self.name,
            state: self.state(now),
            filter: self.filter.written(),
            delivery: self.destination.answered(),
            labels: &self.labels,
            expiration: self.expires.map(|time| time.to_string()),
        }
    }

    /// How far it has come: nothing is pushed to an endpoint that has not consented.
    pub fn state(&self, now: Timestamp) -> ProvisioningState {
        match self.push().and_then(Push::webhook).and_then(|webhook| webhook.awaits.as_ref()) {
            None => ProvisioningState::Succeeded,
            Some(awaited) if now < awaited.until => ProvisioningState::AwaitingManualAction,
            Some(_) => ProvisioningState::Failed,
        }
    }
}

impl Destination {
    fn answered(&self) -> Delivery {
        let push = match self {
            Self::Queue(queue) => {
                return Delivery::Queue(management::Queue {
                    receive_lock_seconds: Some(queue.receive_lock_seconds),
                    delivery_count_max: Some(queue.delivery_count_max),
                    time_to_live_seconds: Some(queue.time_to_live_seconds),
                });
            }
            Self::Push(push) => push,
        };
        let to = match &push.to {
            Endpoint::Webhook(webhook) => management::Destination::WebHook(Box::new(webhook.answered())),
            Endpoint::NatsJetStream(bridge) => management::Destination::NatsJetStream(management::NatsJetStream {
                stream: Some(bridge.stream.clone()),
                subject: Some(bridge.subject.clone()),
            }),
        };
        let retry = RetryPolicy {
            max_delivery_attempts: Some(push.policy.attempts_max()),
            event_time_to_live_in_minutes: Some(push.policy.time_to_live_minutes()),
        };
        let dead_letters = push.dead_letters.as_ref().map(|kept| StorageBlob {
            resource_id: Some(kept.resource_id.clone()),
            blob_container_name: Some(kept.container.clone()),
        });
        Delivery::Push { to, retry, dead_letters }
    }
}

impl Push {
    /// If events are posted to an URL.
    pub fn webhook(&self) -> Option<&Webhook> {
        match &self.to {
            Endpoint::Webhook(webhook) => Some(webhook),
            Endpoint::NatsJetStream(_) => None,
        }
    }
}

impl Webhook {
    /// The URL without its query, which may be secret.
    pub fn base_url(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }

    /// The headers that it adds. One that is secret has no value.
    pub fn mappings(&self) -> Vec<DeliveryAttributeMapping> {
        let mapping = |attribute: &super::DeliveryAttribute| DeliveryAttributeMapping {
            name: attribute.name.clone(),
            value: match &attribute.value {
                AttributeValue::Static { value, is_secret } => {
                    let value = Some(value.clone()).filter(|_| !is_secret);
                    MappedValue::Static(StaticValue { value, is_secret: *is_secret })
                }
                AttributeValue::Dynamic { source_field } => {
                    MappedValue::Dynamic(DynamicValue { source_field: Some(source_field.clone()) })
                }
            },
        };
        self.attributes.iter().map(mapping).collect()
    }

    fn answered(&self) -> WebHook {
        let mode = match self.mode {
            ContentMode::Structured => "Structured",
            ContentMode::Binary => "Binary",
        };
        let audience = self.audience.as_ref();
        WebHook {
            endpoint_url: None,
            endpoint_base_url: Some(self.base_url().to_owned()),
            max_events_per_batch: Some(self.batch.map_or(1, |batch| batch.events_max.into())),
            preferred_batch_size_in_kilobytes: Some(self.batch.map_or(64, |batch| batch.preferred_kib.into())),
            azure_active_directory_tenant_id: audience.map(|audience| audience.tenant.clone()),
            azure_active_directory_application_id_or_uri: audience.map(|audience| audience.application.clone()),
            minimum_tls_version_allowed: Some("1.2".to_owned()),
            delivery_attribute_mappings: Some(self.mappings()).filter(|mappings| !mappings.is_empty()),
            content_mode: Some(mode.to_owned()),
        }
    }
}
