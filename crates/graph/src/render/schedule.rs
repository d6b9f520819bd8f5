//! Graph's `scheduleItem`.

use serde_json::{Value, json};

use super::time_zone::show_in;
use super::{Members, Preferences};
use crate::Item;

/// An event at one time, as part of its owner's schedule; with what it is and where if `details` are shown.
pub fn schedule_item(event: &Item, details: bool, prefer: &Preferences) -> Value {
    let property = |name: &str| event.properties.get(name).cloned().unwrap_or_default();
    let mut shown = Members::default();
    for (name, value) in [
        ("isPrivate", json!(property("sensitivity") == "private")),
        ("status", property("showAs")),
        ("start", property("start")),
        ("end", property("end")),
    ] {
        shown.insert(name, value);
    }
    if details {
        shown.insert("subject", property("subject"));
        let place = event.properties.get("location").and_then(|location| location.get("displayName"));
        shown.insert("location", place.cloned().unwrap_or_default());
    }
    if let Some(zone) = &prefer.time_zone {
        show_in(zone, property("isAllDay") == true, &mut shown);
    }
    Value::Object(shown.into_map())
}
