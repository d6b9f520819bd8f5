//! The properties of an item. Copies of an item share them, and the JSON that they are written as: an item that is accepted is
//! kept, stored and shown, and its text is made once.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::Properties;
use crate::json::ObjectText;

/// A property bag whose copies share what none of them has changed.
#[derive(Clone, Default)]
pub struct PropertyBag(Arc<Held>);

#[derive(Default)]
struct Held {
    properties: Properties,
    /// Made when it is asked for.
    json: OnceLock<Json>,
}

struct Json {
    text: String,
    /// Where each member ends, in order.
    ends: Vec<usize>,
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self { properties: self.properties.clone(), json: OnceLock::new() }
    }
}

impl PropertyBag {
    /// All of them as a JSON object.
    pub fn json(&self) -> &str {
        &self.0.json.get_or_init(|| Json::of(&self.0.properties)).text
    }

    /// All of them, each with `"name":value` as it is written, if [`PropertyBag::json`] was asked for before.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Value, Option<&str>)> {
        let json = self.0.json.get();
        let mut begins = 1;
        self.iter().enumerate().map(move |(index, (name, value))| {
            let text = json.map(|json| {
                let end = json.ends[index];
                let member = &json.text[begins..end];
                begins = end + 1;
                member
            });
            (name.as_str(), value, text)
        })
    }
}

impl Json {
    fn of(properties: &Properties) -> Self {
        let mut text = ObjectText::new();
        let ends = properties.iter().map(|(name, value)| text.push((name, value, None))).collect();
        Self { text: text.finish(), ends }
    }
}

impl From<Properties> for PropertyBag {
    fn from(properties: Properties) -> Self {
        Self(Arc::new(Held { properties, json: OnceLock::new() }))
    }
}

impl FromIterator<(String, Value)> for PropertyBag {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(properties: T) -> Self {
        Properties::from_iter(properties).into()
    }
}

impl Deref for PropertyBag {
    type Target = Properties;

    fn deref(&self) -> &Properties {
        &self.0.properties
    }
}

/// What is changed is this copy's own from then on.
impl DerefMut for PropertyBag {
    fn deref_mut(&mut self) -> &mut Properties {
        let held = Arc::make_mut(&mut self.0);
        held.json = OnceLock::new();
        &mut held.properties
    }
}

impl PartialEq for PropertyBag {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl fmt::Debug for PropertyBag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Properties::fmt(self, f)
    }
}

impl Serialize for PropertyBag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Properties::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for PropertyBag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Properties::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bag() -> PropertyBag {
        let long = "thirty-two bytes and then a tab, ".repeat(3) + "\t";
        let properties = json!({
            "subject": "A \"quoted\" ä", "to": [{ "name": null, "\\": [] }, {}, 1.5], "isRead": true, "size": 7,
            "body": long, "control": "\u{0}\u{1f}\u{7f} \\", "": "",
        });
        serde_json::from_value(properties).unwrap()
    }

    #[test]
    fn it_is_written_as_its_properties_are_and_each_member_is_a_part_of_that() {
        for bag in [bag(), PropertyBag::default()] {
            assert!(bag.members().all(|(.., text)| text.is_none()), "nothing is written yet");
            assert_eq!(bag.json(), serde_json::to_string(&*bag).unwrap());
            for (name, value, text) in bag.members() {
                let mut alone = ObjectText::new();
                alone.push((name, value, None));
                assert_eq!(text.map(|text| format!("{{{text}}}")), Some(alone.finish()));
            }
        }
    }

    #[test]
    fn a_copy_that_is_changed_is_written_anew_and_leaves_the_others_as_they_were() {
        let bag = bag();
        let before = bag.json().to_owned();
        let mut copy = bag.clone();
        copy.insert("isRead".to_owned(), false.into());
        assert_eq!((copy.json(), bag.json()), (before.replace("true", "false").as_str(), before.as_str()));
        assert_ne!(copy, bag);
        copy.insert("isRead".to_owned(), true.into());
        assert_eq!((copy.json(), &copy), (before.as_str(), &bag));
    }
}
