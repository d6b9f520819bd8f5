//! Events in HTTP's three modes, and as messages of NATS: what says which mode it is, and attributes as headers.

use super::text::essence;
use super::{
    ATTRIBUTE_BYTES_MAX, Attributes, CloudEvent, Data, EVENT_BYTES_MAX, EXTENSIONS_MAX, Extension, InvalidEvent, Json,
    LONG_EVENT_BYTES_MAX, NAMED, SPEC_VERSION, is_json, shown,
};

/// The content type of one event in structured mode.
pub const EVENT_CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// The content type of a batch.
pub const EVENTS_CONTENT_TYPE: &str = "application/cloudevents-batch+json; charset=utf-8";

/// How events stand in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Attributes are headers, and the body is the data.
    Binary,
    /// The body is one event.
    Structured,
    /// The body is any number of events.
    Batched,
}

/// Which mode a content type announces.
pub fn mode(content_type: Option<&str>) -> Mode {
    let begins = |beginning: &str| {
        let start = content_type.unwrap_or_default().trim_start().get(..beginning.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(beginning))
    };
    // The one begins with the other.
    if begins("application/cloudevents-batch") {
        Mode::Batched
    } else if begins("application/cloudevents") {
        Mode::Structured
    } else {
        Mode::Binary
    }
}

/// A request or answer of HTTP. Names are in lower case; no value has anything but printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpMessage {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A message of NATS: headers to be written exactly so, since clients differ in how they compare names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsMessage {
    pub headers: Vec<(String, String)>,
    pub payload: Vec<u8>,
}

/// The event has no binary form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBinary {
    #[error(
        "datacontenttype is that of an event, so the data would be taken for the event itself; send it in structured mode"
    )]
    DataIsEvent,
}

/// What came in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    One(CloudEvent),
    Batch(Vec<CloudEvent>),
}

impl Received {
    /// Reads a message of HTTP in whichever mode it is.
    pub fn from_http(headers: &[(&str, &[u8])], body: &[u8]) -> Result<Self, InvalidEvent> {
        Self::read(headers, body, EVENT_BYTES_MAX)
    }

    /// The same of events that were taken before, perhaps in a shorter form.
    pub fn from_pushed_http(headers: &[(&str, &[u8])], body: &[u8]) -> Result<Self, InvalidEvent> {
        Self::read(headers, body, LONG_EVENT_BYTES_MAX)
    }

    fn read(headers: &[(&str, &[u8])], body: &[u8], bytes_max: usize) -> Result<Self, InvalidEvent> {
        let content_type = content_type(headers)?;
        match mode(content_type.as_deref()) {
            Mode::Batched => {
                check_format(content_type.as_deref(), "application/cloudevents-batch+json")?;
                CloudEvent::batch_within(body, bytes_max).map(Self::Batch)
            }
            Mode::Structured => {
                check_format(content_type.as_deref(), "application/cloudevents+json")?;
                CloudEvent::from_json_within(body, bytes_max).map(Self::One)
            }
            Mode::Binary => {
                let mut attributes = HeaderAttributes::read(headers, body.len(), bytes_max)?;
                if attributes.take("datacontenttype").is_some() {
                    return Err(InvalidEvent::DataContentTypeHeader);
                }
                attributes.event(content_type, body).map(Self::One)
            }
        }
    }
}

impl CloudEvent {
    pub fn to_structured_http(&self) -> HttpMessage {
        let headers = vec![("content-type".to_owned(), EVENT_CONTENT_TYPE.to_owned())];
        HttpMessage { headers, body: self.to_json() }
    }

    /// Only for receivers that asked for batches.
    pub fn batch_to_http<'a>(events: impl IntoIterator<Item = &'a Self>) -> HttpMessage {
        let headers = vec![("content-type".to_owned(), EVENTS_CONTENT_TYPE.to_owned())];
        HttpMessage { headers, body: Self::batch_to_json(events) }
    }

    pub fn to_binary_http(&self) -> Result<HttpMessage, NotBinary> {
        let content_type = self.content_type_of_data();
        if mode(content_type) != Mode::Binary {
            return Err(NotBinary::DataIsEvent);
        }
        let mut headers: Vec<_> = self.attribute_headers().filter(|(name, _)| name != "ce-datacontenttype").collect();
        headers.extend(content_type.map(|value| ("content-type".to_owned(), value.to_owned())));
        Ok(HttpMessage { headers, body: self.data_bytes() })
    }

    /// The binary mode of NATS, which unlike HTTP has `ce-datacontenttype`.
    pub fn to_nats(&self) -> NatsMessage {
        let mut headers: Vec<_> = self.attribute_headers().collect();
        if self.attributes().data_content_type.is_none() {
            let inferred = self.content_type_of_data().map(encode);
            headers.extend(inferred.map(|value| ("ce-datacontenttype".to_owned(), value)));
        }
        NatsMessage { headers, payload: self.data_bytes() }
    }

    /// Reads a message of NATS in whichever of its two modes it is.
    pub fn from_nats(headers: &[(&str, &[u8])], payload: &[u8]) -> Result<Self, InvalidEvent> {
        let content_type = content_type(headers)?;
        if mode(content_type.as_deref()) != Mode::Binary {
            check_format(content_type.as_deref(), "application/cloudevents+json")?;
            return Self::from_json(payload);
        }
        let mut attributes = HeaderAttributes::read(headers, payload.len(), EVENT_BYTES_MAX)?;
        let data_content_type = attributes.take("datacontenttype");
        attributes.event(data_content_type, payload)
    }

    fn attribute_headers(&self) -> impl Iterator<Item = (String, String)> {
        self.texts().map(|(name, value)| (format!("ce-{name}"), encode(&value)))
    }

    fn data_bytes(&self) -> Vec<u8> {
        self.data().map(|data| data.bytes().to_vec()).unwrap_or_default()
    }
}

/// Structured mode knows formats that are not read here.
fn check_format(content_type: Option<&str>, known: &str) -> Result<(), InvalidEvent> {
    let essence = essence(content_type.unwrap_or_default());
    if essence == known { Ok(()) } else { Err(InvalidEvent::Format(shown(&essence))) }
}

fn content_type(headers: &[(&str, &[u8])]) -> Result<Option<String>, InvalidEvent> {
    let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let Some((_, value)) = values.next() else { return Ok(None) };
    let name = || "content-type".to_owned();
    if values.next().is_some() {
        return Err(InvalidEvent::Repeated(name()));
    }
    let value = value.trim_ascii();
    if value.len() > ATTRIBUTE_BYTES_MAX {
        return Err(InvalidEvent::TooLong(name()));
    }
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(is_printable));
    text.map(|text| Some(text.to_owned())).ok_or_else(|| InvalidEvent::HeaderNotAscii(name()))
}

fn is_printable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte)
}

/// The attributes that headers gave, decoded.
struct HeaderAttributes(Vec<(String, String)>);

impl HeaderAttributes {
    fn read(headers: &[(&str, &[u8])], body_bytes: usize, bytes_max: usize) -> Result<Self, InvalidEvent> {
        let named: Vec<_> = headers.iter().filter_map(|(name, value)| Some((attribute(name)?, *value))).collect();
        if named.is_empty() {
            return Err(InvalidEvent::NoEvent);
        }
        if named.len() > NAMED.len() + EXTENSIONS_MAX {
            return Err(InvalidEvent::TooManyExtensions);
        }
        let bytes = named.iter().fold(body_bytes, |bytes, (name, value)| bytes + name.len() + value.len());
        if bytes > bytes_max {
            return Err(InvalidEvent::TooLarge(bytes));
        }
        let mut attributes: Vec<(String, String)> = Vec::with_capacity(named.len());
        for (name, value) in named {
            if attributes.iter().any(|(other, _)| *other == name) {
                return Err(InvalidEvent::Repeated(shown(&name)));
            }
            let value = decode(&name, value)?;
            attributes.push((name, value));
        }
        Ok(Self(attributes))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(place).1)
    }

    fn required(&mut self, name: &'static str) -> Result<String, InvalidEvent> {
        self.take(name).ok_or(InvalidEvent::Missing(name))
    }

    /// The event with `body` as its data; none if it is empty.
    fn event(mut self, data_content_type: Option<String>, body: &[u8]) -> Result<CloudEvent, InvalidEvent> {
        let version = self.required("specversion")?;
        if version != SPEC_VERSION {
            return Err(InvalidEvent::SpecVersion(shown(&version)));
        }
        let data = (!body.is_empty()).then(|| data(data_content_type.as_deref(), body));
        let attributes = Attributes {
            id: self.required("id")?,
            source: self.required("source")?,
            event_type: self.required("type")?,
            subject: self.take("subject"),
            time: self.take("time"),
            data_schema: self.take("dataschema"),
            extensions: self.0.into_iter().map(|(name, value)| (name, Extension::Text(value))).collect(),
            data_content_type,
        };
        CloudEvent::new(attributes, data)
    }
}

/// The body of an event in binary mode means what its content type says; what is not that is kept as the bytes it is.
fn data(content_type: Option<&str>, body: &[u8]) -> Data {
    let json = content_type.is_some_and(is_json).then(|| Json::parse(body).ok()).flatten();
    json.map_or_else(|| Data::Binary(body.to_vec()), Data::Json)
}

/// The attribute that a header gives, in lower case as names of headers have none.
fn attribute(header: &str) -> Option<String> {
    let (start, name) = header.split_at_checked(3)?;
    start.eq_ignore_ascii_case("ce-").then(|| name.to_ascii_lowercase())
}

/// As the value of a header, in the way that CloudEvents prescribes: everything but `!` to `~`, and `"` and `%` of
/// these, as the bytes of UTF-8.
fn encode(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' => value.push_str(&format!("%{byte:02X}")),
            b'!'..=b'~' => value.push(char::from(byte)),
            _ => value.push_str(&format!("%{byte:02X}")),
        }
    }
    value
}

/// Quotation marks are taken off first, then one round of percent-encoding. `name` is the attribute's.
fn decode(name: &str, value: &[u8]) -> Result<String, InvalidEvent> {
    let header = || shown(&format!("ce-{name}"));
    let value = value.trim_ascii();
    // Longer than any attribute is when each of its bytes is encoded and quoted.
    if value.len() > ATTRIBUTE_BYTES_MAX * 4 {
        return Err(InvalidEvent::TooLong(shown(name)));
    }
    if !value.iter().all(|byte| is_printable(*byte)) {
        return Err(InvalidEvent::HeaderNotAscii(header()));
    }
    let plain = unquoted(value).ok_or_else(|| InvalidEvent::Quote(header()))?;
    let bytes = percent_decoded(&plain).ok_or_else(|| InvalidEvent::PercentEncoding(header()))?;
    String::from_utf8(bytes).map_err(|_| InvalidEvent::NotUtf8(header()))
}

fn unquoted(value: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(value.len());
    let mut is_quoted = false;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => plain.push(bytes.next()?),
            other => plain.push(other),
        }
    }
    (!is_quoted).then_some(plain)
}

fn percent_decoded(value: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut plain = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            plain.push((high * 16 + low) as u8);
        } else {
            plain.push(byte);
        }
    }
    Some(plain)
}
