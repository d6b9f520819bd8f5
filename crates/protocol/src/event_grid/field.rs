//! What an advanced filter or a header of a push looks at in an event: an attribute, by CloudEvents' name or by Event
//! Grid's older one, or a member of its data.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::cloud_event::{CloudEvent, Data, SPEC_VERSION};

/// The longest way to write one, as Event Grid has it for keys of filters.
pub const FIELD_CHARS_MAX: usize = 512;

/// A part of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventField {
    Id,
    Source,
    Type,
    Subject,
    Time,
    SpecVersion,
    DataContentType,
    DataSchema,
    Extension(String),
    /// The names of members from the data on; none: the data itself.
    Data(Vec<String>),
}

/// Why a text names no part of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    #[error("names neither an attribute nor data; write subject, eventtype, an extension's name or data.a.b")]
    Unknown,
    #[error("has a backslash before something else than a dot or a backslash; write \\. or \\\\")]
    Escape,
    #[error("is longer than {FIELD_CHARS_MAX} characters; shorten it")]
    TooLong,
}

impl EventField {
    /// Attributes are named in any case, members of data exactly. A dot in a member's name is written `\.`, and a
    /// backslash `\\`: Event Grid has no way to write the first.
    pub fn parse(text: &str) -> Result<Self, InvalidField> {
        if text.chars().count() > FIELD_CHARS_MAX {
            return Err(InvalidField::TooLong);
        }
        let mut names = segments(text)?;
        let first = names.remove(0).to_ascii_lowercase();
        if first == "data" {
            return Ok(Self::Data(names));
        }
        if !names.is_empty() {
            return Err(InvalidField::Unknown);
        }
        Ok(match first.as_str() {
            "id" | "eventid" => Self::Id,
            "source" => Self::Source,
            "type" | "eventtype" => Self::Type,
            "subject" => Self::Subject,
            "time" | "eventtime" => Self::Time,
            "specversion" => Self::SpecVersion,
            "datacontenttype" => Self::DataContentType,
            "dataschema" | "eventtypeversion" => Self::DataSchema,
            name if name.len() <= 20 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Self::Extension(first),
            _ => return Err(InvalidField::Unknown),
        })
    }

    /// What the event has there as a text, if it is a text, a number or a truth value. Numbers keep their digits.
    pub fn text_in(&self, event: &CloudEvent) -> Option<String> {
        let attributes = event.attributes();
        match self {
            Self::Id => Some(attributes.id.clone()),
            Self::Source => Some(attributes.source.clone()),
            Self::Type => Some(attributes.event_type.clone()),
            Self::Subject => attributes.subject.clone(),
            Self::Time => attributes.time.clone(),
            Self::SpecVersion => Some(SPEC_VERSION.to_owned()),
            Self::DataContentType => attributes.data_content_type.clone(),
            Self::DataSchema => attributes.data_schema.clone(),
            Self::Extension(name) => attributes.extensions.get(name).map(ToString::to_string),
            Self::Data(path) => text_in_data(event.data()?, path),
        }
    }
}

fn text_in_data(data: &Data, path: &[String]) -> Option<String> {
    let json = match data {
        Data::Json(json) => json.as_str(),
        Data::Text(text) if path.is_empty() => return Some(text.clone()),
        Data::Text(_) | Data::Binary(_) => return None,
    };
    let mut found: &RawValue = serde_json::from_str(json).ok()?;
    for name in path {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(found.get()).ok()?;
        found = members.get(name)?;
    }
    match found.get().as_bytes().first()? {
        b'"' => serde_json::from_str(found.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(found.get().to_owned()),
    }
}

/// At least one, and none of them empty.
fn segments(text: &str) -> Result<Vec<String>, InvalidField> {
    let mut segments = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let plain = match letter {
            '.' => {
                segments.push(String::new());
                continue;
            }
            '\\' => letters.next().filter(|escaped| matches!(escaped, '.' | '\\')).ok_or(InvalidField::Escape)?,
            other => other,
        };
        if let Some(last) = segments.last_mut() {
            last.push(plain);
        }
    }
    if segments.iter().any(String::is_empty) { Err(InvalidField::Unknown) } else { Ok(segments) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> CloudEvent {
        let text = br#"{"id":"1","type":"t","source":"/s","subject":"Messages/1","specversion":"1.0","n":7,"yes":true,
            "data":{"a":{"b.c":"deep"},"big":12345678901234567890123,"no":null,"list":[1],"ok":false,"bad":"\ud800"}}"#;
        CloudEvent::from_json(text).unwrap()
    }

    fn text(field: &str) -> Option<String> {
        EventField::parse(field).unwrap().text_in(&event())
    }

    #[test]
    fn texts_numbers_and_truth_values_are_found_by_name_and_path() {
        for (field, found) in [
            ("subject", "Messages/1"),
            ("EventType", "t"),
            ("specversion", "1.0"),
            ("n", "7"),
            ("yes", "true"),
            (r"data.a.b\.c", "deep"),
            ("data.big", "12345678901234567890123"),
            ("data.ok", "false"),
        ] {
            assert_eq!(text(field).as_deref(), Some(found), "{field}");
        }
    }

    #[test]
    fn nothing_else_has_a_text() {
        for field in
            ["dataschema", "other", "data", "data.a", "data.a.x", "data.no", "data.list", "data.ok.x", "data.bad"]
        {
            assert_eq!(text(field), None, "{field}");
        }
        for (unreadable, error) in [
            ("", InvalidField::Unknown),
            ("data..a", InvalidField::Unknown),
            ("subject.x", InvalidField::Unknown),
            ("$.data.a", InvalidField::Unknown),
            (r"data.a\b", InvalidField::Escape),
        ] {
            assert_eq!(EventField::parse(unreadable), Err(error), "{unreadable}");
        }
        assert_eq!(EventField::parse(&"a".repeat(FIELD_CHARS_MAX + 1)), Err(InvalidField::TooLong));
    }
}
