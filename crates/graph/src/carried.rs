//! Properties as a record of the log carries them.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Properties;

/// What a change says that its item has. Most who hear of a change are told that it happened and no more: what was read from
/// the log stays text until a filter or content asks for a property.
#[derive(Clone, Default)]
pub struct Carried {
    /// A JSON object. `None`: it was never text.
    text: Option<Box<RawValue>>,
    properties: OnceLock<Properties>,
}

impl From<Properties> for Carried {
    fn from(properties: Properties) -> Self {
        Self { text: None, properties: properties.into() }
    }
}

impl Deref for Carried {
    type Target = Properties;

    fn deref(&self) -> &Properties {
        let read = |text: &RawValue| serde_json::from_str(text.get());
        // It was read before it was written, and is an object.
        self.properties.get_or_init(|| self.text.as_deref().and_then(|text| read(text).ok()).unwrap_or_default())
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Properties::fmt(self, f)
    }
}

impl PartialEq for Carried {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.text {
            Some(text) => text.serialize(serializer),
            None => Properties::serialize(self, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        match text.get().as_bytes().first() {
            Some(b'{') => Ok(Self { text: Some(text), properties: OnceLock::new() }),
            _ => Err(D::Error::custom("properties are an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_read_is_the_same_as_what_was_written_and_stays_text_until_it_is_asked_for() {
        let written = Carried::from(Properties::from_iter([("subject".to_owned(), json!("A \"quoted\" ä"))]));
        let text = serde_json::to_string(&written).unwrap();
        let read: Carried = serde_json::from_str(&text).unwrap();
        assert_eq!((serde_json::to_string(&read).unwrap(), read.properties.get()), (text, None));
        assert_eq!((&read["subject"], &read), (&json!("A \"quoted\" ä"), &written));
    }

    #[test]
    fn what_is_no_object_is_refused_when_it_is_read() {
        for text in ["[]", "null", "3", "{", "{\"a\":}"] {
            assert!(serde_json::from_str::<Carried>(text).is_err(), "{text}");
        }
    }
}
