//! Graph's `reminder`.

use serde_json::{Value, json};

use super::Preferences;
use crate::occurrence::{utc_value, zoned_value};
use crate::{Timestamp, zone};

/// The reminder of an event, which is given as it is shown.
pub fn reminder(event: &Value, fires: Timestamp, prefer: &Preferences) -> Value {
    let zone = prefer.time_zone.as_deref().and_then(|name| Some((zone::find(name)?, name)));
    let fire_time = match (zone, jiff::Timestamp::from_microsecond(fires.as_micros())) {
        (Some((zone, name)), Ok(at)) => zoned_value(at, &zone, name),
        _ => utc_value(fires),
    };
    json!({
        "eventId": event["id"],
        "eventStartTime": event["start"],
        "eventEndTime": event["end"],
        "changeKey": event["changeKey"],
        "eventSubject": event["subject"],
        "eventLocation": event["location"],
        "eventWebLink": event["webLink"],
        "reminderFireTime": fire_time,
    })
}
