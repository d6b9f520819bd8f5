//! Headers that an event subscription adds to what is pushed: which there can be, and what may stand in them.

use crate::cloud_event::CloudEvent;
use crate::event_grid::EventField;

/// The most headers that an event subscription adds, as documented.
pub const DELIVERY_ATTRIBUTES_MAX: usize = 10;
/// The longest value, as documented.
pub const HEADER_VALUE_BYTES_MAX: usize = 4_096;
/// The longest name; ours.
const NAME_BYTES_MAX: usize = 128;

/// What the request itself is made of, or who carries it.
const OF_THE_REQUEST: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// What others than event subscriptions say by headers: Event Grid, the handshake, the event, and proxies.
const BEGINNINGS: [&str; 4] = ["aeg-", "ce-", "proxy-", "webhook-"];

/// Why there is no such header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    #[error(
        "the name {0:?} is none of a header; use 1 to {NAME_BYTES_MAX} letters, digits and !#$%&'*+-.^_`|~ of ASCII"
    )]
    Name(String),
    #[error("the header '{0}' is set by the server or by what carries the request; name another")]
    Reserved(String),
    #[error("the header '{0}' has a value with other characters than the printable ones of ASCII; encode it")]
    Value(String),
    #[error("the header '{0}' has a value that begins or ends with a blank, which HTTP drops; encode or remove it")]
    Blank(String),
    #[error("the header '{0}' has a value of more than {HEADER_VALUE_BYTES_MAX} bytes; shorten it")]
    TooLong(String),
}

/// A header that can be sent: its name is in lower case and no header of ours, its value is printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
}

impl Header {
    /// One with this value always.
    pub fn fixed(name: &str, value: &str) -> Result<Self, InvalidHeader> {
        Self::check_name(name)?;
        if value.len() > HEADER_VALUE_BYTES_MAX {
            return Err(InvalidHeader::TooLong(name.to_owned()));
        }
        if !value.bytes().all(is_printable) {
            return Err(InvalidHeader::Value(name.to_owned()));
        }
        if value.trim().len() < value.len() {
            return Err(InvalidHeader::Blank(name.to_owned()));
        }
        Ok(Self { name: name.to_ascii_lowercase(), value: value.to_owned() })
    }

    /// One with what all of these events have at the same place, encoded where a header cannot hold it. `None`: they have
    /// nothing there, or each something else, or it is too long.
    pub fn of_events(name: &str, field: &EventField, events: &[&CloudEvent]) -> Option<Self> {
        let mut texts = events.iter().map(|event| field.text_in(event));
        let first = texts.next()??;
        if !texts.all(|other| other.as_deref() == Some(&first)) {
            return None;
        }
        let value = encode(&first);
        Self::fixed(name, &value).ok()
    }

    pub fn check_name(name: &str) -> Result<(), InvalidHeader> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_token) {
            return Err(InvalidHeader::Name(shown(name)));
        }
        let lower = name.to_ascii_lowercase();
        let is_reserved =
            OF_THE_REQUEST.contains(&lower.as_str()) || BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning));
        if is_reserved { Err(InvalidHeader::Reserved(name.to_owned())) } else { Ok(()) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn value(&self) -> &str {
        &self.value
    }
}

pub(super) fn is_printable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte)
}

/// Printable ASCII stands for itself; `%`, blanks at the ends and all others are the bytes of UTF-8, percent-encoded.
fn encode(text: &str) -> String {
    let (from, to) = (text.len() - text.trim_start_matches(' ').len(), text.trim_end_matches(' ').len());
    let mut value = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let is_outer = at < from || at >= to;
        match byte {
            b'%' => value.push_str("%25"),
            b' ' if is_outer => value.push_str("%20"),
            byte if is_printable(byte) => value.push(char::from(byte)),
            _ => value.push_str(&format!("%{byte:02X}")),
        }
    }
    value
}

/// A name as a refusal repeats it.
fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}
