//! How events are pushed to a webhook: the request, as Event Grid sends it, in one of three modes, and the headers that an
//! event subscription adds. Whatever comes in, no header has anything but printable ASCII, so none can begin another.

use crate::cloud_event::{CloudEvent, HttpMessage};

mod claims;
mod header;
#[cfg(test)]
mod tests;

pub use claims::{Claims, PUSHER_ID, PUSHER_ROLE, TOKEN_SECONDS};
pub use header::{DELIVERY_ATTRIBUTES_MAX, HEADER_VALUE_BYTES_MAX, Header, InvalidHeader};

/// Who pushes, as receivers know it: the name of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Event Grid's own, which receivers hold what they are asked by against.
    pub const AZURE: &str = "eventgrid.azure.net";

    /// Letters, digits, hyphens and dots, 253 at most.
    pub fn parse(name: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        ((1..=253).contains(&name.len()) && name.bytes().all(is_plain)).then(|| Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self(Self::AZURE.to_owned())
    }
}

/// How events stand in a request.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Structured(&'a CloudEvent),
    /// One whose data has no content type, or that of an event, goes in structured mode all the same: a webhook is owed
    /// a body with a type, and would take the data for an event.
    Binary(&'a CloudEvent),
    /// Only for receivers that asked for it.
    Batch(&'a [&'a CloudEvent]),
}

/// What a push tells beside events.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    pub origin: &'a Origin,
    /// The event subscription's name.
    pub event_subscription: &'a str,
    /// How many attempts were made before.
    pub delivery_count: u32,
    /// Those that the event subscription adds.
    pub headers: &'a [Header],
    /// Takes the place of an `Authorization` among those.
    pub bearer: Option<&'a str>,
}

/// What is posted. The names of headers are in lower case, each is there once, and no value has anything but printable
/// ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Delivery<'_> {
    pub fn request(&self, content: Content<'_>) -> Request {
        let message = match content {
            Content::Structured(event) => event.to_structured_http(),
            Content::Binary(event) => binary(event).unwrap_or_else(|| event.to_structured_http()),
            Content::Batch(events) => CloudEvent::batch_to_http(events.iter().copied()),
        };
        let HttpMessage { headers, body } = message;
        let (types, attributes): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(name, _)| name == "content-type");
        let content_type = types.into_iter().next().map(|(_, value)| value).unwrap_or_default();
        let headers = self.told().chain(self.added()).chain(attributes).collect();
        Request { content_type, headers, body }
    }

    fn told(&self) -> impl Iterator<Item = (String, String)> {
        let told = [
            ("aeg-subscription-name", self.event_subscription.to_ascii_uppercase()),
            ("aeg-delivery-count", self.delivery_count.to_string()),
            ("aeg-event-type", "Notification".to_owned()),
            ("aeg-metadata-version", "1.0".to_owned()),
            ("webhook-request-origin", self.origin.as_str().to_owned()),
        ];
        let bearer = self.bearer.map(|token| ("authorization", format!("Bearer {token}")));
        // Names and tokens are ours, and have nothing else.
        let told = told.into_iter().chain(bearer).filter(|(_, value)| value.bytes().all(header::is_printable));
        told.map(|(name, value)| (name.to_owned(), value))
    }

    fn added(&self) -> impl Iterator<Item = (String, String)> {
        let replaced = |name: &str| self.bearer.is_some() && name == "authorization";
        let added = self.headers.iter().filter(move |header| !replaced(header.name()));
        added.map(|header| (header.name().to_owned(), header.value().to_owned()))
    }
}

fn binary(event: &CloudEvent) -> Option<HttpMessage> {
    let message = event.to_binary_http().ok()?;
    message.headers.iter().any(|(name, _)| name == "content-type").then_some(message)
}
