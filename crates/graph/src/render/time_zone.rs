//! Times in the zone that a caller prefers. They are stored in UTC.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::Members;
use crate::occurrence::zoned_value;
use crate::zone;

/// The properties that have a time with a zone, of events and of messages about meetings.
const ZONED: [&str; 6] =
    ["start", "end", "startDateTime", "endDateTime", "previousStartDateTime", "previousEndDateTime"];

/// Moves what is shown into the zone of that name. The days of an all-day event belong to no zone: they
/// begin at midnight in each.
pub(super) fn show_in(name: &str, is_all_day: bool, shown: &mut Members<'_>) {
    let Some(zone) = zone::find(name) else { return };
    for property in ZONED {
        if let Some(value) = shown.get_mut(property) {
            in_zone(&zone, name, is_all_day, value);
        }
    }
}

/// One `dateTimeTimeZone` that is in UTC.
pub(super) fn in_zone(zone: &TimeZone, name: &str, is_all_day: bool, value: &mut Value) {
    if is_all_day {
        if let Some(value) = value.as_object_mut() {
            value.insert("timeZone".to_owned(), name.into());
        }
        return;
    }
    let stated = value.get("dateTime").and_then(Value::as_str).unwrap_or_default();
    if let Ok(at) = format!("{}Z", stated.trim_end_matches('Z')).parse::<jiff::Timestamp>() {
        *value = zoned_value(at, zone, name);
    }
}
