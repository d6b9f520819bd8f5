//! Where the events of an event subscription go, and how.

use std::fmt;

use graph::Timestamp;
pub use protocol::event_grid::push::DELIVERY_ATTRIBUTES_MAX;
use serde::{Deserialize, Serialize};

use super::RETENTION_DAYS;
use crate::push_policy::PushPolicy;

const DAY_SECONDS: u32 = 24 * 3_600;
/// No event lives longer than its topic keeps it.
pub const TIME_TO_LIVE_SECONDS_MAX: u32 = RETENTION_DAYS as u32 * DAY_SECONDS;

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Destination {
    /// Nowhere: they are pulled.
    Queue(Queue),
    /// The node delivers them.
    Push(Box<Push>),
}

/// How events are pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    pub to: Endpoint,
    pub policy: PushPolicy,
    /// Where events are kept that are given up; `None`: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<DeadLetterDestination>,
}

/// To where events are pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Endpoint {
    Webhook(Webhook),
    /// A stream of NATS JetStream, on the server that the configuration names.
    NatsJetStream(NatsJetStream),
}

/// An URL to which events are posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// With its query, which may be secret.
    pub url: String,
    #[serde(default)]
    pub mode: ContentMode,
    /// `None`: one event in each POST, not in an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batching>,
    /// At most [`DELIVERY_ATTRIBUTES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<DeliveryAttribute>,
    /// Each request has a token of this server for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Until it has consented nothing is pushed to it; `None`: it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Awaited>,
}

/// What an endpoint that has neither consented nor refused may still do: have the URL read that it was told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// SHA-256 of the code in that URL.
    pub code_hash: [u8; 32],
    /// From then on it is good for nothing.
    pub until: Timestamp,
}

impl fmt::Debug for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Webhook {
    /// One event in each POST, in structured mode, and nothing added.
    pub fn to(url: String) -> Self {
        let mode = ContentMode::Structured;
        Self { url, mode, batch: None, attributes: Vec::new(), audience: None, awaits: None }
    }
}

/// How an event stands in an HTTP message, in the words of CloudEvents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ContentMode {
    /// The body is the event.
    #[default]
    Structured,
    /// The body is the event's data, its attributes are headers.
    Binary,
}

/// How many events go in one POST, in an array. Nothing waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batching {
    /// Never more. 1 to 5,000.
    pub events_max: u16,
    /// Not more, in KiB, unless one event alone has more. 1 to 1,024.
    pub preferred_kib: u16,
}

/// A header of each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryAttribute {
    pub name: String,
    pub value: AttributeValue,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AttributeValue {
    /// One that is secret is shown to nobody but its receiver.
    Static { value: String, is_secret: bool },
    /// What the event has at this path; nothing if that is no text, number or truth value.
    Dynamic { source_field: String },
}

impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static { .. } => f.write_str("Static(…)"),
            Self::Dynamic { source_field } => f.debug_tuple("Dynamic").field(source_field).finish(),
        }
    }
}

/// Whom a token is for, as Azure's bodies name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audience {
    pub tenant: String,
    /// The id or URI of the receiving application: the token's `aud`.
    pub application: String,
}

/// Where in JetStream events are published. JetStream's stream must be there, or is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NatsJetStream {
    pub stream: String,
    /// With `{tenant}`, `{user}`, `{kind}` and `{change}` in place of what differs between events.
    pub subject: String,
}

/// Where events are kept that are given up: in a container of the store of dead letters that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterDestination {
    /// As it was given; it means nothing here.
    pub resource_id: String,
    /// 3 to 63 of lower-case letters, digits and hyphens.
    pub container: String,
}

/// How events are pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// So long nobody else receives an event that was received. 60 to 300.
    pub receive_lock_seconds: u32,
    /// An event is received so often at most. 1 to 10.
    pub delivery_count_max: u32,
    /// So long after it was published an event is received. A minute to [`TIME_TO_LIVE_SECONDS_MAX`].
    pub time_to_live_seconds: u32,
    /// Whether what is received no more is kept to be looked at; else it is dropped, and counted.
    pub keeps_dead_letters: bool,
}

/// Event Grid's defaults.
impl Default for Queue {
    fn default() -> Self {
        Self {
            receive_lock_seconds: 60,
            delivery_count_max: 10,
            time_to_live_seconds: TIME_TO_LIVE_SECONDS_MAX,
            keeps_dead_letters: false,
        }
    }
}

/// Which bound a queue does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQueue {
    #[error("receiveLockDurationInSeconds must be from 60 to 300")]
    ReceiveLock,
    #[error("maxDeliveryCount must be from 1 to 10")]
    DeliveryCount,
    #[error("eventTimeToLive must be from PT1M to P{RETENTION_DAYS}D")]
    TimeToLive,
}

impl Queue {
    pub fn check(self) -> Result<Self, InvalidQueue> {
        let judged = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
        judged((60..=300).contains(&self.receive_lock_seconds), InvalidQueue::ReceiveLock)?;
        judged((1..=10).contains(&self.delivery_count_max), InvalidQueue::DeliveryCount)?;
        judged((60..=TIME_TO_LIVE_SECONDS_MAX).contains(&self.time_to_live_seconds), InvalidQueue::TimeToLive)?;
        Ok(self)
    }
}
