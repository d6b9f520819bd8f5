//! What every event has.

use serde_json::{Value, json};

use super::conversation::windows_time;
use super::when::When;
use super::{Fresh, Owner, address_of, complete_body, default, flag, members_mut, name_recipient, series, text};
use crate::{Properties, Refusal};

/// How Outlook writes that nobody has answered yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What the `iCalUId` of every event made here begins with, in the layout of Outlook's global object ids.
/// The event's own UUID is at its end.
pub(super) const UID_PREFIX: &str = "040000008200E00074C5B7101A82E008";

/// The status of an attendee who has not answered.
pub(super) fn no_answer() -> Value {
    json!({ "response": "none", "time": NEVER })
}

pub(super) fn complete(owner: &Owner, fresh: &Fresh, properties: &mut Properties) -> Result<(), Refusal> {
    complete_times(properties)?;
    complete_body(properties);
    complete_locations(properties);
    complete_attendees(owner, properties);
    series::complete(properties);
    let repeats = properties.contains_key("recurrence");
    default(properties, "type", || if repeats { "seriesMaster" } else { "singleInstance" }.into());
    default(properties, "iCalUId", || new_uid(fresh).into());
    for (name, value) in [
        ("allowNewTimeProposals", json!(true)),
        ("categories", json!([])),
        ("hideAttendees", json!(false)),
        ("importance", json!("normal")),
        ("isAllDay", json!(false)),
        ("isCancelled", json!(false)),
        ("isDraft", json!(false)),
        ("isOnlineMeeting", json!(false)),
        ("isReminderOn", json!(true)),
        ("onlineMeetingProvider", json!("unknown")),
        ("reminderMinutesBeforeStart", json!(15)),
        ("responseRequested", json!(true)),
        ("sensitivity", json!("normal")),
        ("showAs", json!("busy")),
        ("subject", json!("")),
    ] {
        default(properties, name, || value);
    }
    Ok(())
}

/// `start` and `end` in UTC, with the zones they were given in. The days of an all-day event belong to
/// no zone.
fn complete_times(properties: &mut Properties) -> Result<(), Refusal> {
    let all_day = flag(properties, "isAllDay");
    let read = |property: &'static str, properties: &Properties| match properties.get(property) {
        None => Err(Refusal::Missing { property }),
        Some(value) => When::read(property, value, all_day),
    };
    let (start, end) = (read("start", properties)?, read("end", properties)?);
    if end.at < start.at || (all_day && end.at == start.at) {
        return Err(Refusal::invalid("end", "later than start"));
    }
    if all_day {
        for (name, when) in [("start", &start), ("end", &end)] {
            if when.at.time() != jiff::civil::Time::midnight() {
                return Err(Refusal::invalid(name, "at midnight in an all-day event"));
            }
        }
        let zones = [&start.zone, &end.zone];
        if !start.zone.eq_ignore_ascii_case(&end.zone) && zones.iter().all(|zone| *zone != "UTC") {
            return Err(Refusal::invalid("end", "in the time zone of start in an all-day event"));
        }
    }
    for (name, zone_name, when) in [("start", "originalStartTimeZone", start), ("end", "originalEndTimeZone", end)] {
        properties.insert(name.to_owned(), when.to_value());
        default(properties, zone_name, || when.zone.into());
    }
    Ok(())
}

/// `location` is the first of `locations` with the names of all; either one gives the other.
fn complete_locations(properties: &mut Properties) {
    if !properties.contains_key("locations") {
        let location = properties.get("location").filter(|location| !name_of(location).is_empty());
        let locations = location.cloned().into_iter().collect();
        properties.insert("locations".to_owned(), Value::Array(locations));
    }
    members_mut(properties, "locations").for_each(complete_location);
    let locations = properties.get("locations").and_then(Value::as_array).cloned().unwrap_or_default();
    default(properties, "location", || {
        let mut location = locations.first().cloned().unwrap_or_else(|| json!({ "address": {}, "coordinates": {} }));
        if locations.len() > 1 {
            location["displayName"] = locations.iter().map(name_of).collect::<Vec<_>>().join("; ").into();
        }
        location
    });
    properties.get_mut("location").into_iter().for_each(complete_location);
}

fn name_of(location: &Value) -> &str {
    location.get("displayName").and_then(Value::as_str).unwrap_or_default()
}

fn complete_location(location: &mut Value) {
    if let Some(location) = location.as_object_mut() {
        location.retain(|_, value| !value.is_null());
        default(location, "displayName", || "".into());
        default(location, "locationType", || "default".into());
        let name = text(location, "displayName").to_owned();
        if !name.is_empty() {
            default(location, "uniqueId", || name.into());
        }
        let id_type = if location.contains_key("uniqueId") { "private" } else { "unknown" };
        default(location, "uniqueIdType", || id_type.into());
    }
}

/// Who was asked, who asks, and what the owner has to do with it.
fn complete_attendees(owner: &Owner, properties: &mut Properties) {
    default(properties, "attendees", || json!([]));
    for attendee in members_mut(properties, "attendees") {
        name_recipient(attendee);
        if let Some(attendee) = attendee.as_object_mut() {
            attendee.retain(|_, value| !value.is_null());
            default(attendee, "type", || "required".into());
            default(attendee, "status", no_answer);
        }
    }
    let own = || json!({ "emailAddress": { "name": owner.name, "address": owner.address } });
    default(properties, "organizer", own);
    properties.get_mut("organizer").into_iter().for_each(name_recipient);
    let organizes = properties.get("organizer").is_some_and(|organizer| {
        let address = address_of(organizer);
        address.is_empty() || address.eq_ignore_ascii_case(&owner.address)
    });
    default(properties, "isOrganizer", || organizes.into());
    let response = if organizes { "organizer" } else { "notResponded" };
    default(properties, "responseStatus", || json!({ "response": response, "time": NEVER }));
}

fn new_uid(fresh: &Fresh) -> String {
    let made = windows_time(fresh.now).swap_bytes();
    let guid = fresh.uuid.simple().to_string().to_uppercase();
    format!("{UID_PREFIX}00000000{made:016X}000000000000000010000000{guid}")
}
