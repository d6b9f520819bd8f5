//! Properties as a record of the log carries them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::Properties;
use crate::json::ObjectText;

/// What a change says that its item has. Most who hear of a change are told that it happened and no more: what is written once
/// for the log, or was read from it, stays text until a filter or content asks for a property.
#[derive(Clone, Default)]
pub struct Carried {
    /// A JSON object. `None`: it was never text.
    text: Option<Box<str>>,
    properties: OnceLock<Properties>,
}

impl From<Properties> for Carried {
    fn from(properties: Properties) -> Self {
        Self { text: None, properties: properties.into() }
    }
}

impl Carried {
    /// What [`Carried::text`] gave once. It is not looked at before it is asked for.
    pub fn from_text(text: Box<str>) -> Self {
        Self { text: Some(text), properties: OnceLock::new() }
    }

    /// Members of an item, as text; each as it was written before, if it was.
    pub(crate) fn written<'a>(members: impl Iterator<Item = (&'a str, &'a Value, Option<&'a str>)>) -> Self {
        let mut text = ObjectText::new();
        members.for_each(|member| {
            text.push(member);
        });
        Self::from_text(text.finish().into_boxed_str())
    }

    /// As a JSON object.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.text {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(serde_json::to_string(&**self).unwrap_or_default()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.text {
            Some(text) => **text == *"{}",
            None => Properties::is_empty(self),
        }
    }
}

impl Deref for Carried {
    type Target = Properties;

    fn deref(&self) -> &Properties {
        // It was an object when it was written.
        let read = || self.text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        self.properties.get_or_init(read)
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
        Properties::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Properties::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::PropertyBag;

    #[test]
    fn what_was_text_is_the_same_as_what_was_written_and_stays_text_until_it_is_asked_for() {
        let written = Carried::from(Properties::from_iter([("subject".to_owned(), json!("A \"quoted\" ä"))]));
        let read = Carried::from_text(written.text().into());
        assert_eq!((read.text(), read.properties.get()), (written.text(), None));
        assert_eq!((&read["subject"], &read), (&json!("A \"quoted\" ä"), &written));
    }

    #[test]
    fn what_an_item_has_is_written_at_once_and_read_when_it_is_asked_for() {
        let properties =
            Properties::from_iter([("isRead".to_owned(), json!(true)), ("subject".to_owned(), json!("A"))]);
        let bag = PropertyBag::from(properties);
        bag.json();
        let written = Carried::written(bag.members().filter(|(name, ..)| *name != "isRead"));
        assert_eq!((&*written.text(), written.is_empty()), (r#"{"subject":"A"}"#, false));
        assert_eq!((written.properties.get(), written.get("subject")), (None, Some(&json!("A"))));
        assert!(Carried::written([].into_iter()).is_empty() && Carried::default().is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused_when_it_is_read_from_json() {
        for text in ["[]", "null", "3", "{", "{\"a\":}"] {
            assert!(serde_json::from_str::<Carried>(text).is_err(), "{text}");
        }
    }
}
