//! Organizer and attendees of an iCalendar event.

use calcard::icalendar::{
    ICalendarComponent, ICalendarEntry, ICalendarParameterName, ICalendarParameterValue, ICalendarParticipationRole,
    ICalendarParticipationStatus, ICalendarProperty, ICalendarUserTypes,
};
use serde_json::{Value, json};

/// Attendees of one event; those beyond it are left out.
pub const ATTENDEES_MAX: usize = 1_000;

/// Graph's "never".
const NO_TIME: &str = "0001-01-01T00:00:00Z";

pub(crate) struct Organizer {
    pub recipient: Value,
    pub is_owner: bool,
}

/// Who called the event; the mailbox's owner, if it does not say.
pub(crate) fn organizer(component: &ICalendarComponent, owner: &str) -> Organizer {
    let stated = component.property(&ICalendarProperty::Organizer).and_then(|entry| Some((entry, address(entry)?)));
    match stated {
        Some((entry, address)) => Organizer {
            recipient: json!({ "emailAddress": { "name": name(entry, address), "address": address } }),
            is_owner: address.eq_ignore_ascii_case(owner),
        },
        None => Organizer { recipient: json!({ "emailAddress": { "name": owner, "address": owner } }), is_owner: true },
    }
}

/// The attendees, and whether any of them is asked to answer (as by default, if there are none).
pub(crate) fn attendees(component: &ICalendarComponent) -> (Vec<Value>, bool) {
    let entries = component.entries.iter().filter(|entry| entry.name == ICalendarProperty::Attendee);
    let mut wanted = None;
    let mut attendees = Vec::new();
    for entry in entries.take(ATTENDEES_MAX) {
        let Some(address) = address(entry) else { continue };
        let asked = entry.parameter(&ICalendarParameterName::Rsvp).and_then(ICalendarParameterValue::as_bool);
        wanted = Some(wanted.unwrap_or(false) || asked.unwrap_or(false));
        attendees.push(json!({
            "type": kind(entry),
            "status": { "response": response(entry), "time": NO_TIME },
            "emailAddress": { "name": name(entry, address), "address": address },
        }));
    }
    (attendees, wanted.unwrap_or(true))
}

/// The owner's own answer.
pub(crate) fn response_status(attendees: &[Value], is_organizer: bool, owner: &str) -> Value {
    let own = attendees.iter().find(|attendee| {
        attendee["emailAddress"]["address"].as_str().is_some_and(|address| address.eq_ignore_ascii_case(owner))
    });
    match own {
        _ if is_organizer => json!({ "response": "organizer", "time": NO_TIME }),
        Some(attendee) => attendee["status"].clone(),
        None => json!({ "response": "none", "time": NO_TIME }),
    }
}

fn address(entry: &ICalendarEntry) -> Option<&str> {
    let stated = entry.calendar_address().map(str::trim).filter(|address| address.contains('@'));
    stated.or_else(|| entry.parameter(&ICalendarParameterName::Email).and_then(ICalendarParameterValue::as_text))
}

fn name<'a>(entry: &'a ICalendarEntry, address: &'a str) -> &'a str {
    let stated = entry.parameter(&ICalendarParameterName::Cn).and_then(ICalendarParameterValue::as_text);
    stated.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(address)
}

fn kind(entry: &ICalendarEntry) -> &'static str {
    use ICalendarParameterValue::{Cutype, Role};
    let user_type = entry.parameter(&ICalendarParameterName::Cutype);
    match (user_type, entry.parameter(&ICalendarParameterName::Role)) {
        (Some(Cutype(ICalendarUserTypes::Resource | ICalendarUserTypes::Room)), _) => "resource",
        (_, Some(Role(ICalendarParticipationRole::OptParticipant | ICalendarParticipationRole::NonParticipant))) => {
            "optional"
        }
        _ => "required",
    }
}

fn response(entry: &ICalendarEntry) -> &'static str {
    use ICalendarParameterValue::Partstat;
    match entry.parameter(&ICalendarParameterName::Partstat) {
        None | Some(Partstat(ICalendarParticipationStatus::NeedsAction)) => "notResponded",
        Some(Partstat(ICalendarParticipationStatus::Accepted)) => "accepted",
        Some(Partstat(ICalendarParticipationStatus::Declined)) => "declined",
        Some(Partstat(ICalendarParticipationStatus::Tentative)) => "tentativelyAccepted",
        Some(_) => "none",
    }
}
