//! Events to iCalendar (RFC 5545), for whoever reads an attached event as a file. `calcard` folds and escapes.

use calcard::common::PartialDateTime;
use calcard::icalendar::{
    ICalendar, ICalendarAction, ICalendarClassification, ICalendarComponent, ICalendarComponentType, ICalendarDuration,
    ICalendarEntry, ICalendarParameter, ICalendarParticipationRole, ICalendarParticipationStatus, ICalendarProperty,
    ICalendarStatus, ICalendarTransparency, ICalendarUserTypes, ICalendarValue, ICalendarValueType, Uri,
};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::other;
use crate::ical_recurrence::rule;
use crate::occurrence::time_of;
use crate::reminder::minutes;
use crate::{Properties, Timestamp, html, zone};

const PRODUCT: &str = "-//Tidings//Tidings//EN";

/// An event as a calendar of its own. `stamp` is when it was written last.
pub fn write(event: &Properties, stamp: Timestamp) -> String {
    whole(calendar(), component(event, stamp), alarm(event))
}

pub(super) fn calendar() -> ICalendarComponent {
    let mut calendar = ICalendarComponent::new(ICalendarComponentType::VCalendar);
    calendar.add_property(ICalendarProperty::Version, "2.0");
    calendar.add_property(ICalendarProperty::Prodid, PRODUCT);
    calendar
}

pub(super) fn component(event: &Properties, stamp: Timestamp) -> ICalendarComponent {
    let mut component = ICalendarComponent::new(ICalendarComponentType::VEvent);
    component.add_uid(&plain(text(event, "iCalUId")));
    component.add_dtstamp(utc(stamp));
    times(event, &mut component);
    texts(event, &mut component);
    people(event, &mut component);
    states(event, &mut component);
    component
}

/// A calendar with one event, and that with its alarm.
pub(super) fn whole(
    mut calendar: ICalendarComponent,
    mut event: ICalendarComponent,
    alarm: Option<ICalendarComponent>,
) -> String {
    calendar.component_ids.push(1);
    event.component_ids.extend(alarm.as_ref().map(|_| 2));
    let mut calendar = ICalendar { components: [calendar, event].into_iter().chain(alarm).collect() };
    calendar.add_missing_timezones();
    calendar.to_string()
}

/// The clocks that a series keeps.
struct Clocks {
    zone: TimeZone,
    name: String,
}

impl Clocks {
    /// `None`: UTC, or a zone that has no name outside.
    fn of(event: &Properties) -> Option<Self> {
        let range = event.get("recurrence")?.get("range")?;
        let names = [range.get("recurrenceTimeZone"), event.get("originalStartTimeZone")];
        let mut names = names.into_iter().flatten().filter_map(Value::as_str).filter(|name| !name.is_empty());
        let zone = names.find_map(zone::find).filter(|zone| *zone != TimeZone::UTC)?;
        let name = zone.iana_name()?.to_owned();
        Some(Self { zone, name })
    }
}

fn times(event: &Properties, component: &mut ICalendarComponent) {
    let all_day = flag(event, "isAllDay");
    let clocks = Clocks::of(event).filter(|_| !all_day);
    for (name, property) in [("start", ICalendarProperty::Dtstart), ("end", ICalendarProperty::Dtend)] {
        let Some(at) = time_of(event, name) else { continue };
        let entry = ICalendarEntry::new(property);
        component.entries.push(match &clocks {
            _ if all_day => {
                entry.with_param(ICalendarParameter::value(ICalendarValueType::Date)).with_value(date(local(at)))
            }
            Some(Clocks { zone, name }) => {
                let tzid = ICalendarParameter::tzid(name.clone());
                entry.with_param(tzid).with_value(partial(in_zone(at, zone)))
            }
            None => entry.with_value(utc(at)),
        });
    }
    if let Some(recurrence) = event.get("recurrence").filter(|recurrence| recurrence.is_object()) {
        let zone = clocks.map_or(TimeZone::UTC, |clocks| clocks.zone);
        let until = recurrence.pointer("/range/endDate").and_then(Value::as_str).and_then(|day| day.parse().ok());
        let until = until.and_then(|day: jiff::civil::Date| {
            let last = day.at(23, 59, 59, 0);
            if all_day { Some(date(last)) } else { zone.to_timestamp(last).ok().map(|last| utc(micros(last))) }
        });
        if let Some(rule) = rule(recurrence, until) {
            component.add_property(ICalendarProperty::Rrule, rule);
        }
    }
}

fn texts(event: &Properties, component: &mut ICalendarComponent) {
    component.add_property(ICalendarProperty::Summary, plain(text(event, "subject")));
    let body = |name: &str| event.get("body").and_then(|body| body.get(name)?.as_str()).unwrap_or_default();
    let content = body("content");
    if !content.trim().is_empty() {
        let is_html = body("contentType").eq_ignore_ascii_case("html");
        let described = if is_html { html::to_text(content) } else { content.to_owned() };
        component.add_property(ICalendarProperty::Description, lines(&described));
        if is_html {
            let kind = ICalendarParameter::fmttype("text/html".to_owned());
            component.add_property_with_params(other("X-ALT-DESC"), [kind], lines(content));
        }
    }
    let place = event.get("location").and_then(|location| location.get("displayName")?.as_str()).unwrap_or_default();
    if !place.is_empty() {
        component.add_property(ICalendarProperty::Location, plain(place));
    }
    let categories: Vec<ICalendarValue> =
        members(event, "categories").filter_map(Value::as_str).map(|name| plain(name).into()).collect();
    if !categories.is_empty() {
        component.entries.push(ICalendarEntry::new(ICalendarProperty::Categories).with_values(categories));
    }
}

fn people(event: &Properties, component: &mut ICalendarComponent) {
    if let Some(organizer) =
        event.get("organizer").and_then(|organizer| person(ICalendarProperty::Organizer, organizer))
    {
        component.entries.push(organizer);
    }
    let asked = event.get("responseRequested") != Some(&Value::Bool(false));
    for attendee in members(event, "attendees") {
        let Some(entry) = person(ICalendarProperty::Attendee, attendee) else { continue };
        let kind = attendee.get("type").and_then(Value::as_str).unwrap_or_default();
        let status = attendee.pointer("/status/response").and_then(Value::as_str).unwrap_or_default();
        let role = match kind {
            "optional" => ICalendarParticipationRole::OptParticipant,
            _ => ICalendarParticipationRole::ReqParticipant,
        };
        let answer = match status {
            "accepted" | "organizer" => ICalendarParticipationStatus::Accepted,
            "tentativelyAccepted" => ICalendarParticipationStatus::Tentative,
            "declined" => ICalendarParticipationStatus::Declined,
            _ => ICalendarParticipationStatus::NeedsAction,
        };
        let resource = (kind == "resource").then(|| ICalendarParameter::cutype(ICalendarUserTypes::Resource));
        component.entries.push(
            entry
                .with_param_opt(resource)
                .with_param(ICalendarParameter::role(role))
                .with_param(ICalendarParameter::partstat(answer))
                .with_param(ICalendarParameter::rsvp(asked)),
        );
    }
}

/// `None` if there is no address.
fn person(property: ICalendarProperty, person: &Value) -> Option<ICalendarEntry> {
    let email = person.get("emailAddress")?;
    let address = email.get("address")?.as_str().filter(|address| address.contains('@'))?;
    // Nothing that ends a line, or the value, is part of an address.
    let address: String = address.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    let name = plain(email.get("name").and_then(Value::as_str).unwrap_or_default()).replace('"', "'");
    let name = (!name.is_empty()).then(|| ICalendarParameter::cn(name));
    let value = ICalendarValue::Uri(Uri::Location(format!("mailto:{address}")));
    Some(ICalendarEntry::new(property).with_param_opt(name).with_value(value))
}

fn states(event: &Properties, component: &mut ICalendarComponent) {
    let shown = text(event, "showAs");
    let status = match shown {
        _ if flag(event, "isCancelled") => ICalendarStatus::Cancelled,
        "tentative" => ICalendarStatus::Tentative,
        _ => ICalendarStatus::Confirmed,
    };
    component.add_property(ICalendarProperty::Status, status);
    let transparency = match shown {
        "free" => ICalendarTransparency::Transparent,
        _ => ICalendarTransparency::Opaque,
    };
    component.add_property(ICalendarProperty::Transp, transparency);
    if ["free", "tentative", "busy", "oof", "workingElsewhere"].contains(&shown) {
        component.add_property(other("X-MICROSOFT-CDO-BUSYSTATUS"), shown.to_ascii_uppercase());
    }
    let class = match text(event, "sensitivity") {
        "private" | "personal" => ICalendarClassification::Private,
        "confidential" => ICalendarClassification::Confidential,
        _ => ICalendarClassification::Public,
    };
    component.add_property(ICalendarProperty::Class, class);
    let priority: i64 = match text(event, "importance") {
        "high" => 1,
        "low" => 9,
        _ => 5,
    };
    component.add_property(ICalendarProperty::Priority, priority);
}

fn alarm(event: &Properties) -> Option<ICalendarComponent> {
    let mut alarm = flag(event, "isReminderOn").then(|| ICalendarComponent::new(ICalendarComponentType::VAlarm))?;
    alarm.add_property(ICalendarProperty::Action, ICalendarAction::Display);
    alarm.add_property(ICalendarProperty::Description, "Reminder");
    let before = ICalendarDuration::from_seconds(-minutes(event).saturating_mul(60));
    alarm.add_property(ICalendarProperty::Trigger, before);
    Some(alarm)
}

pub(super) fn text<'a>(event: &'a Properties, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(event: &Properties, name: &str) -> bool {
    event.get(name) == Some(&Value::Bool(true))
}

fn members<'a>(event: &'a Properties, name: &str) -> impl Iterator<Item = &'a Value> {
    event.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// One line, without control characters.
fn plain(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Lines, without other control characters.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect()
}

fn micros(at: jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_microsecond())
}

fn in_zone(at: Timestamp, zone: &TimeZone) -> DateTime {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
    zone.to_datetime(at)
}

pub(super) fn local(at: Timestamp) -> DateTime {
    in_zone(at, &TimeZone::UTC)
}

pub(super) fn date(at: DateTime) -> PartialDateTime {
    PartialDateTime {
        year: u16::try_from(at.year()).ok(),
        month: Some(at.month().unsigned_abs()),
        day: Some(at.day().unsigned_abs()),
        ..PartialDateTime::default()
    }
}

fn partial(at: DateTime) -> PartialDateTime {
    PartialDateTime {
        hour: Some(at.hour().unsigned_abs()),
        minute: Some(at.minute().unsigned_abs()),
        second: Some(at.second().unsigned_abs()),
        ..date(at)
    }
}

pub(super) fn utc(at: Timestamp) -> PartialDateTime {
    PartialDateTime { tz_hour: Some(0), tz_minute: Some(0), ..partial(local(at)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ical::parse;

    const STAMP: Timestamp = Timestamp::from_seconds(1_795_000_000);

    fn event(changes: Value) -> Properties {
        let mut event = json!({
            "iCalUId": "uid-1@contoso.test",
            "subject": "Plan, and; more\\",
            "body": { "contentType": "html", "content": "<p>One &amp; two</p>" },
            "start": { "dateTime": "2026-12-01T09:30:00.0000000", "timeZone": "UTC" },
            "end": { "dateTime": "2026-12-01T10:00:00.0000000", "timeZone": "UTC" },
            "originalStartTimeZone": "W. Europe Standard Time",
            "isAllDay": false,
            "location": { "displayName": "Hall 1" },
            "categories": ["Red category", "A,B"],
            "organizer": { "emailAddress": { "name": "Megan Bowen", "address": "megan@contoso.test" } },
            "attendees": [
                { "type": "required", "status": { "response": "accepted" },
                  "emailAddress": { "name": "Vance, \"Adele\"", "address": "adele@contoso.test" } },
                { "type": "optional", "status": { "response": "none" }, "emailAddress": { "name": "x", "address": "x@contoso.test" } },
                { "type": "resource", "emailAddress": { "name": "Room", "address": "room@contoso.test" } },
            ],
            "responseRequested": true,
            "showAs": "oof",
            "sensitivity": "private",
            "importance": "high",
            "isCancelled": false,
            "isReminderOn": true,
            "reminderMinutesBeforeStart": 90,
        });
        for (name, value) in changes.as_object().unwrap() {
            event[name] = value.clone();
        }
        event.as_object().unwrap().clone()
    }

    fn read(event: &Properties) -> Properties {
        let parsed = parse(write(event, STAMP).as_bytes(), "megan@contoso.test").unwrap();
        assert!(parsed.unreadable.is_empty(), "{:?}", parsed.unreadable);
        parsed.events.into_iter().next().unwrap()
    }

    #[test]
    fn an_event_is_written_as_a_calendar_that_reads_the_same() {
        let event = event(json!({}));
        let again = read(&event);
        for same in [
            "iCalUId",
            "subject",
            "start",
            "end",
            "isAllDay",
            "categories",
            "organizer",
            "showAs",
            "sensitivity",
            "importance",
            "isReminderOn",
            "reminderMinutesBeforeStart",
            "responseRequested",
            "body",
        ] {
            assert_eq!(again[same], event[same], "{same}");
        }
        assert_eq!(again["location"]["displayName"], "Hall 1");
        assert_eq!(again["bodyPreview"], "One & two");
        let attendees: Vec<String> = again["attendees"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attendee| {
                let name = attendee["emailAddress"]["name"].as_str().unwrap();
                format!(
                    "{} {} {name}",
                    attendee["type"].as_str().unwrap(),
                    attendee["status"]["response"].as_str().unwrap()
                )
            })
            .collect();
        assert_eq!(
            attendees,
            ["required accepted Vance, 'Adele'", "optional notResponded x", "resource notResponded Room"]
        );
        let text = write(&event, STAMP);
        assert!(text.contains("DTSTAMP:20261118T110640Z") && text.lines().all(|line| line.len() <= 75), "{text}");
    }

    #[test]
    fn a_series_keeps_its_rule_and_its_clocks() {
        let weekly = json!({
            "pattern": { "type": "weekly", "interval": 2, "month": 0, "dayOfMonth": 0,
                         "daysOfWeek": ["tuesday", "friday"], "firstDayOfWeek": "sunday", "index": "first" },
            "range": { "type": "endDate", "startDate": "2026-12-01", "endDate": "2027-06-30",
                       "recurrenceTimeZone": "W. Europe Standard Time", "numberOfOccurrences": 0 },
        });
        let event = event(json!({ "recurrence": weekly }));
        let text = write(&event, STAMP);
        assert!(
            text.contains("DTSTART;TZID=Europe/Berlin:20261201T103000") && text.contains("BEGIN:VTIMEZONE"),
            "{text}"
        );
        let again = read(&event);
        assert_eq!((&again["start"], &again["recurrence"]["pattern"]), (&event["start"], &weekly["pattern"]));
        assert_eq!(again["recurrence"]["range"]["endDate"], "2027-06-30");
        for (pattern, range) in [
            (json!({ "type": "daily", "interval": 3 }), json!({ "type": "noEnd", "startDate": "2026-12-01" })),
            (
                json!({ "type": "absoluteYearly", "interval": 1, "month": 12, "dayOfMonth": 1 }),
                json!({ "type": "numbered", "startDate": "2026-12-01", "numberOfOccurrences": 5 }),
            ),
            (
                json!({ "type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday", "tuesday"], "index": "last" }),
                json!({ "type": "noEnd", "startDate": "2026-12-01" }),
            ),
        ] {
            let event = super::tests::event(json!({ "recurrence": { "pattern": pattern, "range": range } }));
            let again = &read(&event)["recurrence"];
            for (name, value) in pattern.as_object().unwrap() {
                assert_eq!(again["pattern"][name], *value, "{pattern}");
            }
            assert_eq!(again["range"]["type"], range["type"]);
        }
    }

    #[test]
    fn an_all_day_event_has_days_and_what_could_end_a_line_does_not() {
        let days = json!({
            "isAllDay": true,
            "start": { "dateTime": "2026-12-01T00:00:00.0000000", "timeZone": "UTC" },
            "end": { "dateTime": "2026-12-03T00:00:00.0000000", "timeZone": "UTC" },
            "subject": "a\r\nATTENDEE:mailto:x@y.test",
            "iCalUId": "u\r\nX-EVIL:1",
            "organizer": { "emailAddress": { "name": "M\r\nX-EVIL:2", "address": "m@x.test\r\nX-EVIL:3" } },
            "attendees": [],
            "body": { "contentType": "text", "content": "" },
        });
        let event = event(days);
        let text = write(&event, STAMP);
        assert!(
            text.contains("DTSTART;VALUE=DATE:20261201\r\n") && text.contains("DTEND;VALUE=DATE:20261203\r\n"),
            "{text}"
        );
        assert!(!text.contains("\nX-EVIL") && !text.contains("\nATTENDEE"), "{text}");
        let again = read(&event);
        assert_eq!((&again["isAllDay"], &again["end"]), (&json!(true), &event["end"]));
    }
}
