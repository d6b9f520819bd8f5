//! From what somebody wants a destination to be, and what it was, to what it is from then on, or to what must be changed
//! in what was asked for.

use protocol::event_grid::management::{
    DeliveryAttributeMapping, MappedValue, NatsJetStream as WantedStream, Queue as WantedQueue, RetryPolicy,
    StorageBlob, WantedDestination, WebHook,
};
use protocol::event_grid::push::{Header, InvalidHeader};
use protocol::event_grid::{EventField, InvalidField};

use super::{
    AttributeValue, Audience, Batching, ContentMode, DELIVERY_ATTRIBUTES_MAX, DeadLetterDestination, DeliveryAttribute,
    Destination, Endpoint, InvalidQueue, NatsJetStream, Push, Queue, Webhook,
};
use crate::push_policy::{InvalidPushPolicy, PushPolicy};

#[cfg(test)]
mod tests;

/// The most events of a batch, and the most KiB that one is filled to, as documented.
pub const BATCHED_EVENTS_MAX: u16 = 5_000;
pub const BATCHED_KIB_MAX: u16 = 1_024;
/// What a batch is filled to if nobody says, as Azure's schema has it.
const BATCHED_KIB: u16 = 64;
/// The longest name of a tenant, an application, a stream or a subject; ours.
const NAME_BYTES_MAX: usize = 256;
/// The longest `resourceId`; ours.
const RESOURCE_ID_BYTES_MAX: usize = 1_024;
/// What stands for what differs between events in a subject of NATS.
const PLACEHOLDERS: [&str; 4] = ["{tenant}", "{user}", "{kind}", "{change}"];

/// What somebody wants, as far as it is about where events go. `None`: as it is, or as it is by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    pub to: Option<&'a WantedDestination>,
    pub retry: Option<&'a RetryPolicy>,
    pub dead_letters: Option<&'a StorageBlob>,
}

/// Why events cannot go there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDestination {
    #[error(transparent)]
    Queue(#[from] InvalidQueue),
    #[error("'{0}' is of events that are pushed, and these are pulled; leave it out, or name a WebHook as destination")]
    Pulled(&'static str),
    #[error(transparent)]
    Policy(#[from] InvalidPushPolicy),
    #[error("endpointUrl is missing; give the https URL that events are posted to")]
    NoUrl,
    #[error("contentMode is '{0}'; write Structured or Binary")]
    ContentMode(String),
    #[error("maxEventsPerBatch must be from 1 to {BATCHED_EVENTS_MAX}")]
    BatchedEvents,
    #[error("preferredBatchSizeInKilobytes must be from 1 to {BATCHED_KIB_MAX}")]
    BatchedSize,
    #[error("contentMode Binary goes with one event in each request; set maxEventsPerBatch to 1")]
    BinaryBatch,
    #[error("minimumTlsVersionAllowed is '{0}'; write 1.0, 1.1 or 1.2: older than 1.2 is never spoken")]
    Tls(String),
    #[error(
        "azureActiveDirectoryTenantId and azureActiveDirectoryApplicationIdOrUri go together; give both, of at most \
         {NAME_BYTES_MAX} printable characters of ASCII, or neither"
    )]
    Audience,
    #[error("deliveryAttributeMappings has more than {DELIVERY_ATTRIBUTES_MAX} headers; leave some out")]
    TooManyHeaders,
    #[error("deliveryAttributeMappings: {0}")]
    Header(#[from] InvalidHeader),
    #[error("deliveryAttributeMappings names the header '{0}' twice; give it once")]
    RepeatedHeader(String),
    #[error("deliveryAttributeMappings: the header '{0}' has no value; give one")]
    NoValue(String),
    #[error("deliveryAttributeMappings: the sourceField of the header '{name}' {error}")]
    SourceField { name: String, error: InvalidField },
    #[error(
        "deliveryAttributeMappings has Authorization, and azureActiveDirectoryApplicationIdOrUri asks for a token there; \
         leave one out"
    )]
    AuthorizationTwice,
    #[error(
        "stream must name a stream of NATS JetStream: 1 to {NAME_BYTES_MAX} characters of ASCII without blanks, dots, \
         slashes, * and >"
    )]
    Stream,
    #[error(
        "subject must be one that NATS publishes to, of {NAME_BYTES_MAX} characters at most: names with dots between \
         them, without blanks, * and >; {{tenant}}, {{user}}, {{kind}} and {{change}} stand for what differs"
    )]
    Subject,
    #[error("blobContainerName must be 3 to 63 lower-case letters, digits and single hyphens, with none at an end")]
    Container,
    #[error("resourceId has more than {RESOURCE_ID_BYTES_MAX} bytes, or control characters; shorten it")]
    ResourceId,
}

impl Destination {
    /// What becomes of `before` by what is wanted; `None`: nothing was there. A header that is secret keeps its value if
    /// none is given.
    pub fn wanted(wanted: &Wanted<'_>, before: Option<&Self>) -> Result<Self, InvalidDestination> {
        let (queue, push) = match before {
            Some(Self::Queue(queue)) => (Some(queue), None),
            Some(Self::Push(push)) => (None, Some(&**push)),
            None => (None, None),
        };
        let to = match (wanted.to, push) {
            (Some(WantedDestination::WebHook(wanted)), _) => Endpoint::Webhook(webhook(wanted, push)?),
            (Some(WantedDestination::NatsJetStream(wanted)), _) => Endpoint::NatsJetStream(stream(wanted, push)?),
            (None, Some(push)) => push.to.clone(),
            (Some(WantedDestination::Queue(to)), _) => return pulled(wanted, to, queue),
            (None, None) => return pulled(wanted, &WantedQueue::default(), queue),
        };
        let dead_letters = wanted.dead_letters.map(dead_letters).transpose()?;
        let dead_letters = dead_letters.or_else(|| push.and_then(|push| push.dead_letters.clone()));
        Ok(Self::Push(Box::new(Push { to, policy: policy(wanted.retry, push)?, dead_letters })))
    }
}

fn pulled(wanted: &Wanted<'_>, to: &WantedQueue, before: Option<&Queue>) -> Result<Destination, InvalidDestination> {
    if wanted.retry.is_some() {
        return Err(InvalidDestination::Pulled("retryPolicy"));
    }
    if wanted.dead_letters.is_some() {
        return Err(InvalidDestination::Pulled("deadLetterDestination"));
    }
    let before = before.copied().unwrap_or_default();
    let queue = Queue {
        receive_lock_seconds: to.receive_lock_seconds.unwrap_or(before.receive_lock_seconds),
        delivery_count_max: to.delivery_count_max.unwrap_or(before.delivery_count_max),
        time_to_live_seconds: to.time_to_live_seconds.unwrap_or(before.time_to_live_seconds),
        ..before
    };
    Ok(Destination::Queue(queue.check()?))
}

fn policy(wanted: Option<&RetryPolicy>, before: Option<&Push>) -> Result<PushPolicy, InvalidDestination> {
    let before = before.map_or_else(PushPolicy::default, |push| push.policy);
    let Some(wanted) = wanted else { return Ok(before) };
    let attempts = wanted.max_delivery_attempts.unwrap_or(before.attempts_max());
    let minutes = wanted.event_time_to_live_in_minutes.unwrap_or(before.time_to_live_minutes());
    Ok(PushPolicy::new(attempts, minutes)?)
}

fn webhook(wanted: &WebHook, before: Option<&Push>) -> Result<Webhook, InvalidDestination> {
    let before = before.and_then(Push::webhook);
    let url = wanted.endpoint_url.as_ref().or(before.map(|before| &before.url));
    let url = url.filter(|url| !url.is_empty()).ok_or(InvalidDestination::NoUrl)?.clone();
    let mode = match wanted.content_mode.as_deref() {
        None => before.map(|before| before.mode).unwrap_or_default(),
        Some("Structured") => ContentMode::Structured,
        Some("Binary") => ContentMode::Binary,
        Some(other) => return Err(InvalidDestination::ContentMode(shown(other))),
    };
    match wanted.minimum_tls_version_allowed.as_deref() {
        // Older ones than 1.2 are never spoken.
        None | Some("1.0" | "1.1" | "1.2") => {}
        Some(other) => return Err(InvalidDestination::Tls(shown(other))),
    }
    let batch = batch(wanted, before.and_then(|before| before.batch))?;
    if batch.is_some() && mode == ContentMode::Binary {
        return Err(InvalidDestination::BinaryBatch);
    }
    let audience = audience(wanted, before.and_then(|before| before.audience.as_ref()))?;
    let had = before.map_or(&[][..], |before| &before.attributes);
    let attributes = match &wanted.delivery_attribute_mappings {
        None => had.to_vec(),
        Some(wanted) => attributes(wanted, had)?,
    };
    let is_authorization = |attribute: &DeliveryAttribute| attribute.name.eq_ignore_ascii_case("authorization");
    if audience.is_some() && attributes.iter().any(is_authorization) {
        return Err(InvalidDestination::AuthorizationTwice);
    }
    let awaits = before.filter(|before| before.url == url).and_then(|before| before.awaits.clone());
    Ok(Webhook { url, mode, batch, attributes, audience, awaits })
}

/// One event at most is no batch: clients write Azure's defaults, 1 and 64, where nothing was asked for.
fn batch(wanted: &WebHook, before: Option<Batching>) -> Result<Option<Batching>, InvalidDestination> {
    let within = |value: Option<u32>, most: u16, error| match value.map(u16::try_from) {
        None => Ok(None),
        Some(Ok(value)) if (1..=most).contains(&value) => Ok(Some(value)),
        Some(_) => Err(error),
    };
    let events = within(wanted.max_events_per_batch, BATCHED_EVENTS_MAX, InvalidDestination::BatchedEvents)?;
    let kib = within(wanted.preferred_batch_size_in_kilobytes, BATCHED_KIB_MAX, InvalidDestination::BatchedSize)?;
    if events.is_none() && kib.is_none() {
        return Ok(before);
    }
    let events_max = events.or(before.map(|before| before.events_max)).unwrap_or(BATCHED_EVENTS_MAX);
    let preferred_kib = kib.or(before.map(|before| before.preferred_kib)).unwrap_or(BATCHED_KIB);
    Ok((events_max > 1).then_some(Batching { events_max, preferred_kib }))
}

/// An empty name takes it away.
fn audience(wanted: &WebHook, before: Option<&Audience>) -> Result<Option<Audience>, InvalidDestination> {
    let tenant = wanted.azure_active_directory_tenant_id.as_ref().or(before.map(|before| &before.tenant));
    let application =
        wanted.azure_active_directory_application_id_or_uri.as_ref().or(before.map(|before| &before.application));
    let given = |name: &&String| !name.is_empty();
    let is_name = |name: &str| name.len() <= NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
    match (tenant.filter(given), application.filter(given)) {
        (None, None) => Ok(None),
        (Some(tenant), Some(application)) if is_name(tenant) && is_name(application) => {
            Ok(Some(Audience { tenant: tenant.clone(), application: application.clone() }))
        }
        _ => Err(InvalidDestination::Audience),
    }
}

fn attributes(
    wanted: &[DeliveryAttributeMapping],
    before: &[DeliveryAttribute],
) -> Result<Vec<DeliveryAttribute>, InvalidDestination> {
    if wanted.len() > DELIVERY_ATTRIBUTES_MAX {
        return Err(InvalidDestination::TooManyHeaders);
    }
    let mut attributes: Vec<DeliveryAttribute> = Vec::with_capacity(wanted.len());
    for mapping in wanted {
        let is_same = |other: &&DeliveryAttribute| other.name.eq_ignore_ascii_case(&mapping.name);
        if attributes.iter().find(is_same).is_some() {
            return Err(InvalidDestination::RepeatedHeader(shown(&mapping.name)));
        }
        let value = value(mapping, before.iter().find(is_same))?;
        attributes.push(DeliveryAttribute { name: mapping.name.clone(), value });
    }
    Ok(attributes)
}

fn value(
    mapping: &DeliveryAttributeMapping,
    before: Option<&DeliveryAttribute>,
) -> Result<AttributeValue, InvalidDestination> {
    let name = || mapping.name.clone();
    Header::check_name(&mapping.name)?;
    match &mapping.value {
        MappedValue::Static(given) => match (&given.value, before.map(|before| &before.value)) {
            (Some(value), _) => {
                Header::fixed(&mapping.name, value)?;
                Ok(AttributeValue::Static { value: value.clone(), is_secret: given.is_secret })
            }
            (None, Some(kept @ AttributeValue::Static { is_secret: true, .. })) if given.is_secret => Ok(kept.clone()),
            (None, _) => Err(InvalidDestination::NoValue(name())),
        },
        MappedValue::Dynamic(given) => {
            let source_field = given.source_field.clone().ok_or_else(|| InvalidDestination::NoValue(name()))?;
            let parsed = EventField::parse(&source_field);
            parsed.map_err(|error| InvalidDestination::SourceField { name: name(), error })?;
            Ok(AttributeValue::Dynamic { source_field })
        }
    }
}

fn stream(wanted: &WantedStream, before: Option<&Push>) -> Result<NatsJetStream, InvalidDestination> {
    let before = before.and_then(|push| match &push.to {
        Endpoint::NatsJetStream(bridge) => Some(bridge),
        Endpoint::Webhook(_) => None,
    });
    let stream = wanted.stream.as_ref().or(before.map(|before| &before.stream));
    let subject = wanted.subject.as_ref().or(before.map(|before| &before.subject));
    Ok(NatsJetStream {
        stream: stream.filter(|name| is_stream(name)).ok_or(InvalidDestination::Stream)?.clone(),
        subject: subject.filter(|subject| is_subject(subject)).ok_or(InvalidDestination::Subject)?.clone(),
    })
}

fn is_stream(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b".*>/\\".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain)
}

fn is_subject(subject: &str) -> bool {
    let fixed = PLACEHOLDERS.iter().fold(subject.to_owned(), |text, placeholder| text.replace(placeholder, "x"));
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"*>{}".contains(&byte);
    let is_token = |token: &str| !token.is_empty() && token.bytes().all(is_plain);
    // What begins so is NATS' own.
    subject.len() <= NAME_BYTES_MAX && !subject.starts_with('$') && fixed.split('.').all(is_token)
}

fn dead_letters(wanted: &StorageBlob) -> Result<DeadLetterDestination, InvalidDestination> {
    let container = wanted.blob_container_name.clone().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (3..=63).contains(&container.len())
        && container.bytes().all(is_plain)
        && !container.starts_with('-')
        && !container.ends_with('-')
        && !container.contains("--");
    if !is_name {
        return Err(InvalidDestination::Container);
    }
    let resource_id = wanted.resource_id.clone().unwrap_or_default();
    if resource_id.len() > RESOURCE_ID_BYTES_MAX || resource_id.chars().any(char::is_control) {
        return Err(InvalidDestination::ResourceId);
    }
    Ok(DeadLetterDestination { resource_id, container })
}

/// A value as a refusal repeats it.
fn shown(value: &str) -> String {
    value.chars().filter(|letter| !letter.is_control()).take(64).collect()
}
