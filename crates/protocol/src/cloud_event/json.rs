//! The JSON format: one event as an object, or a batch as an array.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    Attributes, BATCH_EVENTS_MAX, CloudEvent, Data, EVENT_BYTES_MAX, EXTENSIONS_MAX, Extension, InvalidEvent, Json,
    LONG_EVENT_BYTES_MAX, NAMED, SPEC_VERSION, is_json, shown,
};

/// How deep data may be nested; ours, half of what the JSON library follows.
pub(super) const DEPTH_MAX: usize = 64;
/// All named members, `data_base64` and the extensions.
const MEMBERS_MAX: usize = NAMED.len() + 1 + EXTENSIONS_MAX;

impl CloudEvent {
    /// Reads one event of `application/cloudevents+json`.
    pub fn from_json(text: &[u8]) -> Result<Self, InvalidEvent> {
        Self::from_json_within(text, EVENT_BYTES_MAX)
    }

    /// The same of an event that was taken before, perhaps in a shorter form.
    pub fn from_long_json(text: &[u8]) -> Result<Self, InvalidEvent> {
        Self::from_json_within(text, LONG_EVENT_BYTES_MAX)
    }

    pub(super) fn from_json_within(text: &[u8], bytes_max: usize) -> Result<Self, InvalidEvent> {
        if text.len() > bytes_max {
            return Err(InvalidEvent::TooLarge(text.len()));
        }
        let members: Members<'_> = serde_json::from_slice(text).map_err(malformed)?;
        members.event()
    }

    /// Reads `application/cloudevents-batch+json`: all events of it, or none.
    pub fn batch_from_json(text: &[u8]) -> Result<Vec<Self>, InvalidEvent> {
        Self::batch_within(text, EVENT_BYTES_MAX)
    }

    pub(super) fn batch_within(text: &[u8], bytes_max: usize) -> Result<Vec<Self>, InvalidEvent> {
        if text.len() > bytes_max {
            return Err(InvalidEvent::BatchTooLarge(text.len()));
        }
        let Batch(texts) = serde_json::from_slice(text).map_err(malformed)?;
        if texts.len() > BATCH_EVENTS_MAX {
            return Err(InvalidEvent::BatchTooLong);
        }
        let in_batch = |(place, text): (usize, &RawValue)| {
            let refused = |error| InvalidEvent::InBatch { place, error: Box::new(error) };
            Self::from_json_within(text.get().as_bytes(), bytes_max).map_err(refused)
        };
        texts.into_iter().enumerate().map(in_batch).collect()
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and JSON can be written as JSON")
    }

    pub fn batch_to_json<'a>(events: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut body = vec![b'['];
        for (place, event) in events.into_iter().enumerate() {
            if place > 0 {
                body.push(b',');
            }
            body.append(&mut event.to_json());
        }
        body.push(b']');
        body
    }
}

fn malformed(error: serde_json::Error) -> InvalidEvent {
    InvalidEvent::Json(error.to_string())
}

/// How deep brackets are nested in JSON.
pub(super) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// In the order of Event Grid's samples. Data comes last.
impl Serialize for CloudEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, text) in self.texts() {
            match self.attributes.extensions.get(name) {
                Some(Extension::Boolean(value)) => map.serialize_entry(name, value)?,
                Some(Extension::Integer(value)) => map.serialize_entry(name, value)?,
                Some(Extension::Text(_)) | None => map.serialize_entry(name, &text)?,
            }
        }
        match &self.data {
            None => {}
            Some(Data::Json(json)) => map.serialize_entry("data", &json.0)?,
            Some(Data::Text(text)) => map.serialize_entry("data", text)?,
            Some(Data::Binary(bytes)) => map.serialize_entry("data_base64", &STANDARD.encode(bytes))?,
        }
        map.end()
    }
}

/// As [`CloudEvent::from_long_json`] reads it, since what was taken is kept so; from JSON alone.
impl<'de> Deserialize<'de> for CloudEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_long_json(text.get().as_bytes()).map_err(serde::de::Error::custom)
    }
}

/// An object's members, unread.
struct Members<'a> {
    named: Vec<(String, &'a RawValue)>,
    are_too_many: bool,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the attributes of an event")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut named = Vec::new();
                while named.len() < MEMBERS_MAX {
                    let Some(member) = map.next_entry()? else { return Ok(Members { named, are_too_many: false }) };
                    named.push(member);
                }
                let mut are_too_many = false;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    are_too_many = true;
                }
                Ok(Members { named, are_too_many })
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'a> Members<'a> {
    fn event(self) -> Result<CloudEvent, InvalidEvent> {
        self.check_names()?;
        let version = self.required("specversion")?;
        if version != SPEC_VERSION {
            return Err(InvalidEvent::SpecVersion(shown(&version)));
        }
        let data_content_type = self.text("datacontenttype")?;
        let data = self.data(data_content_type.as_deref())?;
        let attributes = Attributes {
            id: self.required("id")?,
            source: self.required("source")?,
            event_type: self.required("type")?,
            subject: self.text("subject")?,
            time: self.text("time")?,
            data_schema: self.text("dataschema")?,
            extensions: self.extensions().collect::<Result<_, _>>()?,
            data_content_type,
        };
        CloudEvent::new(attributes, data)
    }

    fn check_names(&self) -> Result<(), InvalidEvent> {
        if self.are_too_many {
            return Err(InvalidEvent::TooManyExtensions);
        }
        let repeated = self.named.iter().enumerate().find(|(place, (name, _))| {
            let before = &self.named[..*place];
            before.iter().any(|(other, _)| other == name)
        });
        repeated.map_or(Ok(()), |(_, (name, _))| Err(InvalidEvent::Repeated(shown(name))))
    }

    /// What stands there, `null` included.
    fn raw(&self, name: &str) -> Option<&'a str> {
        self.named.iter().find(|(other, _)| other == name).map(|(_, value)| value.get())
    }

    /// `null` is the same as nothing.
    fn text(&self, name: &'static str) -> Result<Option<String>, InvalidEvent> {
        let Some(raw) = self.raw(name).filter(|raw| *raw != "null") else { return Ok(None) };
        if !raw.starts_with('"') {
            return Err(InvalidEvent::NotText(name));
        }
        serde_json::from_str(raw).map(Some).map_err(malformed)
    }

    fn required(&self, name: &'static str) -> Result<String, InvalidEvent> {
        self.text(name)?.ok_or(InvalidEvent::Missing(name))
    }

    fn extensions(&self) -> impl Iterator<Item = Result<(String, Extension), InvalidEvent>> {
        let is_extension = |name: &str| !NAMED.contains(&name) && name != "data_base64";
        let told = self.named.iter().filter(move |(name, value)| is_extension(name) && value.get() != "null");
        told.map(|(name, value)| Ok((name.clone(), extension(name, value.get())?)))
    }

    fn data(&self, content_type: Option<&str>) -> Result<Option<Data>, InvalidEvent> {
        let base64 = self.text("data_base64")?;
        let raw = self.named.iter().find(|(name, _)| name == "data").map(|(_, value)| *value);
        match (raw, base64) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(InvalidEvent::DataTwice),
            (None, Some(base64)) => {
                STANDARD.decode(base64).map(|bytes| Some(Data::Binary(bytes))).map_err(|_| InvalidEvent::Base64)
            }
            (Some(raw), None) if content_type.is_none_or(is_json) => {
                Json::checked(raw.to_owned()).map(|json| Some(Data::Json(json)))
            }
            (Some(raw), None) if raw.get().starts_with('"') => {
                serde_json::from_str(raw.get()).map(|text| Some(Data::Text(text))).map_err(malformed)
            }
            (Some(_), None) => Err(InvalidEvent::DataNotText),
        }
    }
}

fn extension(name: &str, raw: &str) -> Result<Extension, InvalidEvent> {
    let other = || InvalidEvent::ExtensionType(shown(name));
    match raw {
        "true" => Ok(Extension::Boolean(true)),
        "false" => Ok(Extension::Boolean(false)),
        text if text.starts_with('"') => serde_json::from_str(text).map(Extension::Text).map_err(malformed),
        number => number.parse().map(Extension::Integer).map_err(|_| other()),
    }
}

/// An array's elements, unread; one more than a batch may have at most.
struct Batch<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;
        impl<'de> Visitor<'de> for Array {
            type Value = Batch<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Batch<'de>, A::Error> {
                let mut texts = Vec::new();
                while texts.len() <= BATCH_EVENTS_MAX {
                    let Some(text) = seq.next_element()? else { return Ok(Batch(texts)) };
                    texts.push(text);
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Batch(texts))
            }
        }
        deserializer.deserialize_seq(Array)
    }
}
