//! `deliveryConfiguration`: how events are pulled, as namespaces have it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InvalidBody, duration, is_given, shown};

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

impl DeliveryConfiguration {
    pub(super) fn of(queue: &Queue) -> Self {
        Self { delivery_mode: "Queue", queue: QueueBody::of(queue) }
    }
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeliveryBody {
    delivery_mode: String,
    queue: Option<QueueBody>,
    push: Option<Value>,
}

impl DeliveryBody {
    pub(super) fn read(self) -> Result<Queue, InvalidBody> {
        match self.delivery_mode.as_str() {
            "Queue" if is_given(self.push.as_ref()) => Err(InvalidBody::NotServed("push")),
            "Queue" => self.queue.unwrap_or_default().read(),
            "Push" => Err(InvalidBody::NamespacePush),
            other => Err(InvalidBody::DeliveryMode(shown(other))),
        }
    }
}
