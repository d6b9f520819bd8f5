//! CloudEvents 1.0: an event as a value, read from and written as HTTP's three modes and the headers of NATS. An event
//! that exists is valid, so it can be written; whatever comes from outside is checked first. Sizes are bounded here,
//! since events are kept.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

mod headers;
mod json;
#[cfg(test)]
mod tests;
mod text;

pub use headers::{EVENT_CONTENT_TYPE, EVENTS_CONTENT_TYPE, HttpMessage, Mode, NatsMessage, NotBinary, Received, mode};
pub use text::is_date_time;

/// The one version there is.
pub const SPEC_VERSION: &str = "1.0";
/// The largest event, and the largest body of a batch: what Event Grid takes.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// The longest JSON of an event that was taken: in binary mode data that is no JSON is a quarter shorter than in base64.
pub const LONG_EVENT_BYTES_MAX: usize = 7 << 18;
/// The most events of a batch: what Event Grid takes in one request.
pub const BATCH_EVENTS_MAX: usize = 1_000;
/// The longest value of an attribute; ours, since each can become a header.
pub const ATTRIBUTE_BYTES_MAX: usize = 4_096;
/// The most attributes beside those that CloudEvents names; ours.
pub const EXTENSIONS_MAX: usize = 64;
/// The longest name of an attribute, which CloudEvents advises.
const NAME_CHARS_MAX: usize = 20;

/// What an event says of itself. `event_type`, `data_content_type` and `data_schema` are `type`, `datacontenttype` and
/// `dataschema`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub id: String,
    pub source: String,
    pub event_type: String,
    pub subject: Option<String>,
    /// RFC 3339, kept as it was written.
    pub time: Option<String>,
    pub data_content_type: Option<String>,
    pub data_schema: Option<String>,
    pub extensions: BTreeMap<String, Extension>,
}

/// The value of an attribute that CloudEvents does not name. Headers know texts alone, so what went through them is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    Boolean(bool),
    Integer(i32),
    Text(String),
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// The content type is JSON's, or there is none.
    Json(Json),
    /// The text of any other content type.
    Text(String),
    Binary(Vec<u8>),
}

impl Data {
    /// As a body by itself.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Json(json) => json.as_str().as_bytes(),
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// JSON as it was written: numbers keep their digits, objects their order.
#[derive(Clone, Debug)]
pub struct Json(Box<RawValue>);

impl Json {
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Says what is wrong with `text` and where.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidEvent> {
        let raw = serde_json::from_slice(text).map_err(|error| InvalidEvent::Json(error.to_string()))?;
        Self::checked(raw)
    }

    /// What was written here.
    pub(crate) fn from_raw(raw: Box<RawValue>) -> Self {
        Self(raw)
    }

    /// Whoever looks into it later has only so much stack.
    fn checked(raw: Box<RawValue>) -> Result<Self, InvalidEvent> {
        if json::depth(raw.get()) > json::DEPTH_MAX { Err(InvalidEvent::Depth) } else { Ok(Self(raw)) }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

/// A valid event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent {
    attributes: Attributes,
    data: Option<Data>,
}

impl CloudEvent {
    pub fn new(attributes: Attributes, data: Option<Data>) -> Result<Self, InvalidEvent> {
        check(&attributes)?;
        let says_json = attributes.data_content_type.as_deref().is_none_or(is_json);
        match &data {
            Some(Data::Json(_)) if !says_json => return Err(InvalidEvent::DataNotText),
            Some(Data::Text(_)) if says_json => return Err(InvalidEvent::DataNotJson),
            _ => {}
        }
        Ok(Self { attributes, data })
    }

    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    pub fn data(&self) -> Option<&Data> {
        self.data.as_ref()
    }

    /// The same event without extensions of these names.
    pub(crate) fn without_extensions(&self, names: &[&str]) -> Self {
        let mut event = self.clone();
        event.attributes.extensions.retain(|name, _| !names.contains(&name.as_str()));
        event
    }

    /// Its content type as somebody must be told who cannot infer it: data without one is JSON, unless it is binary.
    pub fn content_type_of_data(&self) -> Option<&str> {
        match (&self.attributes.data_content_type, &self.data) {
            (Some(named), _) => Some(named),
            (None, Some(Data::Json(_))) => Some("application/json"),
            (None, _) => None,
        }
    }

    /// All attributes with a value, in the order in which Event Grid writes them, as texts.
    fn texts(&self) -> impl Iterator<Item = (&str, String)> {
        let Attributes { id, source, event_type, subject, time, data_content_type, data_schema, extensions } =
            &self.attributes;
        let named = [
            ("id", Some(id)),
            ("type", Some(event_type)),
            ("source", Some(source)),
            ("subject", subject.as_ref()),
            ("time", time.as_ref()),
            ("datacontenttype", data_content_type.as_ref()),
            ("dataschema", data_schema.as_ref()),
        ];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value?.clone())));
        let version = std::iter::once(("specversion", SPEC_VERSION.to_owned()));
        named.chain(version).chain(extensions.iter().map(|(name, value)| (name.as_str(), value.to_string())))
    }
}

/// Whether no event of any source has the same id: it is the UUID of one that Graph tells. Others are unique for their
/// source alone.
pub fn has_unique_id(event: &CloudEvent) -> bool {
    let source = event.attributes.source.strip_prefix("/tenants/");
    let source = source.and_then(|source| source.split_once("/applications/"));
    source.is_some_and(|(tenant, app)| is_uuid(tenant) && is_uuid(app)) && is_uuid(&event.attributes.id)
}

fn is_uuid(text: &str) -> bool {
    let is_at_its_place = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_at_its_place)
}

/// The names that CloudEvents itself gives a meaning, and that no extension can have.
const NAMED: [&str; 9] =
    ["id", "source", "specversion", "type", "subject", "time", "datacontenttype", "dataschema", "data"];

fn check(attributes: &Attributes) -> Result<(), InvalidEvent> {
    let Attributes { id, source, event_type, subject, time, data_content_type, data_schema, extensions } = attributes;
    let named = [
        ("id", Some(id)),
        ("source", Some(source)),
        ("type", Some(event_type)),
        ("subject", subject.as_ref()),
        ("time", time.as_ref()),
        ("datacontenttype", data_content_type.as_ref()),
        ("dataschema", data_schema.as_ref()),
    ];
    for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        if value.is_empty() {
            return Err(InvalidEvent::Empty(name));
        }
        check_text(name, value)?;
    }
    let refuse = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
    refuse(text::is_uri_reference(source), InvalidEvent::Source)?;
    refuse(data_schema.as_deref().is_none_or(text::is_uri), InvalidEvent::DataSchema)?;
    refuse(time.as_deref().is_none_or(is_date_time), InvalidEvent::Time)?;
    refuse(data_content_type.as_deref().is_none_or(text::is_media_type), InvalidEvent::DataContentType)?;
    refuse(extensions.len() <= EXTENSIONS_MAX, InvalidEvent::TooManyExtensions)?;
    for (name, value) in extensions {
        check_extension_name(name)?;
        if let Extension::Text(value) = value {
            check_text(name, value)?;
        }
    }
    Ok(())
}

fn check_extension_name(name: &str) -> Result<(), InvalidEvent> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_name = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_plain);
    if is_name && !NAMED.contains(&name) { Ok(()) } else { Err(InvalidEvent::Name(shown(name))) }
}

fn check_text(name: &str, value: &str) -> Result<(), InvalidEvent> {
    if value.len() > ATTRIBUTE_BYTES_MAX {
        return Err(InvalidEvent::TooLong(shown(name)));
    }
    if value.chars().any(text::is_forbidden) {
        return Err(InvalidEvent::Character(shown(name)));
    }
    Ok(())
}

/// Whether data of this media type is JSON: its subtype is `json` or ends in `+json`.
fn is_json(media_type: &str) -> bool {
    let essence = text::essence(media_type);
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype == "json" || subtype.ends_with("+json")
}

/// A name as a refusal repeats it: short, and fit for a line.
fn shown(name: &str) -> String {
    name.chars().take(64).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Why something is no event that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    #[error("the event has {0} bytes; send {EVENT_BYTES_MAX} at most")]
    TooLarge(usize),
    #[error("the batch has {0} bytes; send {EVENT_BYTES_MAX} at most, in several requests if need be")]
    BatchTooLarge(usize),
    #[error("the batch has more events than {BATCH_EVENTS_MAX}; send the others in another request")]
    BatchTooLong,
    #[error("event {place} of the batch, counted from 0: {error}")]
    InBatch { place: usize, error: Box<InvalidEvent> },
    #[error("this is not the JSON of an event: {0}")]
    Json(String),
    #[error("the data is nested too deeply; nest {} levels at most", json::DEPTH_MAX)]
    Depth,
    #[error(
        "this is no event: neither does Content-Type begin with application/cloudevents nor is there a header ce-id; send one of the two forms"
    )]
    NoEvent,
    #[error("the event format {0:?} is not read here; send application/cloudevents+json")]
    Format(String),
    #[error("the attribute '{0}' is missing; every event needs id, source, specversion and type")]
    Missing(&'static str),
    #[error("the attribute '{0}' is empty; give it a value or leave it out")]
    Empty(&'static str),
    #[error("specversion is {0:?}; only \"{SPEC_VERSION}\" is known")]
    SpecVersion(String),
    #[error(
        "{0:?} cannot be the name of an extension attribute; use 1 to {NAME_CHARS_MAX} of a to z and 0 to 9, and no name that CloudEvents defines"
    )]
    Name(String),
    #[error("the attribute '{0}' is given twice; give it once")]
    Repeated(String),
    #[error("the attribute '{0}' is not text; write it as a JSON string")]
    NotText(&'static str),
    #[error("the attribute '{0}' is neither text, a boolean nor an integer of 32 bits; write it as one of these")]
    ExtensionType(String),
    #[error("the attribute '{0}' is longer than {ATTRIBUTE_BYTES_MAX} bytes; shorten it or move it into the data")]
    TooLong(String),
    #[error("the attribute '{0}' has a control character or a code point that is none; remove it")]
    Character(String),
    #[error("more than {EXTENSIONS_MAX} extension attributes; move some into the data")]
    TooManyExtensions,
    #[error("source is not a URI reference; percent-encode what a URI may not have")]
    Source,
    #[error("dataschema is not an absolute URI; begin it with a scheme, and percent-encode what a URI may not have")]
    DataSchema,
    #[error("time is not a date-time of RFC 3339; write it as 2026-11-24T10:00:00.1234567Z")]
    Time,
    #[error("datacontenttype is not a media type; write it as type/subtype")]
    DataContentType,
    #[error("data and data_base64 are both given; leave one out")]
    DataTwice,
    #[error("data_base64 is not base64; encode it with the alphabet of RFC 4648 section 4, padded")]
    Base64,
    #[error("the data is not text although datacontenttype is not JSON's; write it as a string, or as data_base64")]
    DataNotText,
    #[error("the data is not JSON although datacontenttype says so or is missing; name its media type")]
    DataNotJson,
    #[error("the header '{0}' has characters outside of printable ASCII; percent-encode them as UTF-8")]
    HeaderNotAscii(String),
    #[error("the header '{0}' has a % that begins no encoded byte; write % itself as %25")]
    PercentEncoding(String),
    #[error("the header '{0}' encodes bytes that are not UTF-8; percent-encode the bytes of UTF-8")]
    NotUtf8(String),
    #[error("the header '{0}' has a quotation mark that is not closed; write \" as %22")]
    Quote(String),
    #[error("the header 'ce-datacontenttype' does not go with HTTP; say it as Content-Type")]
    DataContentTypeHeader,
}
