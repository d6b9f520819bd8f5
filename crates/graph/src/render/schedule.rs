//! Graph's `scheduleItem`.

use serde_json::{Map, Value, json};

use super::Preferences;
use super::time_zone::show_in;
use crate::Item;

/// An event at one time, as part of its owner's schedule; with what it is and where if `details` are shown.
pub fn schedule_item(event: &Item, details: bool, prefer: &Preferences) -> Value {
    let property = |name: &str| event.properties.get(name).cloned().unwrap_or_default();
    let mut shown = Map::new();
    for (name, value) in [
        ("isPrivate", json!(property("sensitivity") == "private")),
        ("status", property("showAs")),
        ("start", property("start")),
        ("end", property("end")),
    ] {
        shown.insert(name.to_owned(), value);
    }
    if details {
        shown.insert("subject".to_owned(), property("subject"));
        let place = event.properties.get("location").and_then(|location| location.get("displayName"));
        shown.insert("location".to_owned(), place.cloned().unwrap_or_default());
    }
    if let Some(zone) = &prefer.time_zone {
        show_in(zone, property("isAllDay") == true, &mut shown);
    }
    Value::Object(shown)
}
