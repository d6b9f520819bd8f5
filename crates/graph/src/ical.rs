//! iCalendar (RFC 5545) to Graph `event`s, and back in `write`; `meeting` is what mail says in it. Parsing and the
//! names of time zones are `calcard`'s; here are the limits and the mapping. All times come out as UTC.

mod meeting;
mod write;

use calcard::common::PartialDateTime;
use calcard::icalendar::{
    ICalendar, ICalendarClassification, ICalendarComponent, ICalendarComponentType, ICalendarEntry,
    ICalendarParameterName, ICalendarProperty, ICalendarRecurrenceRule, ICalendarStatus, ICalendarTransparency,
    ICalendarValue,
};
use calcard::{Entry, Parser};
use jiff::civil;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::Properties;
use crate::ical_occurrences::fold;
use crate::ical_people::{attendees, organizer, response_status};
use crate::ical_recurrence::recurrence;
use crate::ical_zones::{Zone, Zones, offset_of};
use crate::mailbox::preview;
pub use meeting::{CalendarPart, MEETING_BYTES_MAX, read_meeting, write_meeting};
pub use write::write;

/// The largest calendar file that is read.
pub const CALENDAR_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Components of one file, of whatever kind.
pub const COMPONENTS_MAX: usize = 100_000;

/// Values of one multi-valued property, such as categories or excluded dates.
const VALUES_MAX: usize = 1_000;

/// The name of the open extension that keeps what `recurrence` cannot express.
pub const ICALENDAR_EXTENSION: &str = "net.tidings.icalendar";

/// What a calendar file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParsedCalendar {
    pub events: Vec<Properties>,
    /// Events that were left out, by their UID (empty if it has none), and why.
    pub unreadable: Vec<(String, EventError)>,
    /// Tasks and journal entries, which are no events.
    pub skipped: u64,
}

/// Why bytes are not taken as a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    #[error("the calendar has {0} bytes, more than {CALENDAR_BYTES_MAX}")]
    TooLarge(usize),
    #[error("the calendar has more than {COMPONENTS_MAX} components")]
    TooManyComponents,
    #[error("this is not a calendar: it has no BEGIN:VCALENDAR")]
    NotACalendar,
}

/// Why an event is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("the event has no start")]
    NoStart,
    #[error("the date cannot be read: {0:?}")]
    BadDate(String),
    #[error("the time zone is not known: {0:?}")]
    UnknownTimeZone(String),
}

/// Reads a calendar file of the mailbox of `owner` (an address): each event and each series becomes an item.
/// What the file says of single occurrences is in their series; of a series that is not in the file, or is
/// none that Graph could express, it is an item of its own.
pub fn parse(bytes: &[u8], owner: &str) -> Result<ParsedCalendar, CalendarError> {
    if bytes.len() > CALENDAR_BYTES_MAX {
        return Err(CalendarError::TooLarge(bytes.len()));
    }
    if count_ignoring_case(bytes, b"begin:") > COMPONENTS_MAX {
        return Err(CalendarError::TooManyComponents);
    }
    let text = crate::vcard::decode_text(bytes);
    let mut parser = Parser::new(&text);
    let mut parsed = ParsedCalendar::default();
    let mut any = false;
    loop {
        match parser.entry() {
            Entry::ICalendar(calendar) => {
                any = true;
                read_calendar(&calendar, owner, &mut parsed);
            }
            Entry::Eof => break,
            Entry::TooManyComponents => return Err(CalendarError::TooManyComponents),
            _ => {}
        }
    }
    parsed.events = fold(parsed.events);
    if any { Ok(parsed) } else { Err(CalendarError::NotACalendar) }
}

fn count_ignoring_case(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| window.eq_ignore_ascii_case(what)).count()
}

fn read_calendar(calendar: &ICalendar, owner: &str, parsed: &mut ParsedCalendar) {
    let zones = Zones::of(calendar);
    for component in &calendar.components {
        match component.component_type {
            ICalendarComponentType::VEvent => {
                let reader = EventReader { calendar, component, zones: &zones, owner };
                match reader.read() {
                    Ok(event) => parsed.events.push(event),
                    Err(error) => parsed.unreadable.push((component.uid().unwrap_or_default().to_owned(), error)),
                }
            }
            ICalendarComponentType::VTodo | ICalendarComponentType::VJournal => parsed.skipped += 1,
            _ => {}
        }
    }
}

/// A point in time of an event.
pub(crate) struct Moment {
    pub local: civil::DateTime,
    pub zone: Zone,
    pub is_date: bool,
}

impl Moment {
    /// The same point as a UTC wall time. A date is midnight, in whatever zone.
    pub fn utc(&self) -> Option<civil::DateTime> {
        if self.is_date {
            return Some(self.local);
        }
        let at = self.zone.zone.to_timestamp(self.local).ok()?;
        Some(TimeZone::UTC.to_datetime(at))
    }
}

struct EventReader<'a> {
    calendar: &'a ICalendar,
    component: &'a ICalendarComponent,
    zones: &'a Zones<'a>,
    /// The address of whose mailbox it is.
    owner: &'a str,
}

impl EventReader<'_> {
    /// Which event it is, and of whom; not when.
    fn outline(&self) -> Result<Properties, EventError> {
        let mut event = Properties::new();
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("iCalUId", json!(self.component.uid()));
        put("subject", json!(self.text(&ICalendarProperty::Summary).unwrap_or_default()));
        let original = self.moment(&ICalendarProperty::RecurrenceId)?;
        if let Some(original) = original.as_ref().and_then(Moment::utc) {
            put("originalStart", json!(format!("{original}Z")));
        }
        self.people(&mut event);
        Ok(event)
    }

    fn read(&self) -> Result<Properties, EventError> {
        let start = self.moment(&ICalendarProperty::Dtstart)?.ok_or(EventError::NoStart)?;
        let start_utc = start.utc().ok_or_else(|| EventError::BadDate(start.local.to_string()))?;
        let (end_utc, end_zone) = self.end(&start, start_utc)?;
        let mut event = Properties::new();
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("iCalUId", json!(self.component.uid()));
        put("subject", json!(self.text(&ICalendarProperty::Summary).unwrap_or_default()));
        put("start", date_time(start_utc));
        put("end", date_time(end_utc));
        put("isAllDay", json!(start.is_date));
        put("originalStartTimeZone", json!(start.zone.name));
        put("originalEndTimeZone", json!(end_zone));
        self.recurrence(&start, &mut event)?;
        self.texts(&mut event);
        self.place(&mut event);
        self.people(&mut event);
        self.states(&mut event);
        Ok(event)
    }

    fn text(&self, property: &ICalendarProperty) -> Option<String> {
        text_of(self.component, property)
    }

    fn value(&self, property: &ICalendarProperty) -> Option<&ICalendarValue> {
        self.component.property(property).and_then(|entry| entry.values.first())
    }

    fn moment(&self, property: &ICalendarProperty) -> Result<Option<Moment>, EventError> {
        let Some(entry) = self.component.property(property) else { return Ok(None) };
        match entry.values.first() {
            Some(ICalendarValue::PartialDateTime(date)) => self.moment_of(entry, date).map(Some),
            Some(other) => Err(EventError::BadDate(shortened(other.as_text().unwrap_or_default()))),
            None => Err(EventError::BadDate(String::new())),
        }
    }

    fn moment_of(&self, entry: &ICalendarEntry, date: &PartialDateTime) -> Result<Moment, EventError> {
        let local = civil_time(date).ok_or_else(|| EventError::BadDate(format!("{date:?}")))?;
        let is_date = !date.has_time();
        let zone = match (entry.tz_id(), offset_of(date)) {
            _ if is_date => Zone::utc(),
            (_, Some(offset)) if offset.is_zero() => Zone::utc(),
            (_, Some(offset)) => Zone { zone: TimeZone::fixed(offset), name: "UTC".to_owned() },
            (Some(tzid), None) => {
                self.zones.resolve(tzid).ok_or_else(|| EventError::UnknownTimeZone(shortened(tzid)))?
            }
            (None, None) => self.zones.floating.clone(),
        };
        Ok(Moment { local, zone, is_date })
    }

    /// The end in UTC, never before the start, and its zone's name.
    fn end(&self, start: &Moment, start_utc: civil::DateTime) -> Result<(civil::DateTime, String), EventError> {
        let duration = match self.value(&ICalendarProperty::Duration) {
            Some(ICalendarValue::Duration(duration)) => Some(duration.as_seconds()),
            _ => None,
        };
        let (end, zone) = match self.moment(&ICalendarProperty::Dtend)? {
            Some(end) => (end.utc(), end.zone.name),
            None => {
                let seconds = duration.unwrap_or(if start.is_date { 86_400 } else { 0 });
                let span = jiff::SignedDuration::from_secs(seconds);
                (start_utc.checked_add(span).ok(), start.zone.name.clone())
            }
        };
        let end = end.ok_or_else(|| EventError::BadDate("the end".to_owned()))?;
        let least =
            if start.is_date { start_utc.checked_add(jiff::SignedDuration::from_hours(24)) } else { Ok(start_utc) };
        Ok((end.max(least.unwrap_or(start_utc)), zone))
    }

    /// `type`, `recurrence`, `originalStart`, and in an extension the rules that Graph cannot express.
    fn recurrence(&self, start: &Moment, event: &mut Properties) -> Result<(), EventError> {
        let of =
            |property: ICalendarProperty| self.component.entries.iter().filter(move |entry| entry.name == property);
        let rules: Vec<&ICalendarRecurrenceRule> = of(ICalendarProperty::Rrule)
            .filter_map(|entry| match entry.values.first() {
                Some(ICalendarValue::RecurrenceRule(rule)) => Some(rule.as_ref()),
                _ => None,
            })
            .collect();
        let has_dates = of(ICalendarProperty::Rdate).next().is_some() || of(ICalendarProperty::Exrule).next().is_some();
        let pattern = match rules.as_slice() {
            [rule] if !has_dates => recurrence(rule, start),
            _ => None,
        };
        let exception = self.moment(&ICalendarProperty::RecurrenceId)?;
        let kind = match (&exception, &pattern) {
            (Some(_), _) => "exception",
            (None, Some(_)) => "seriesMaster",
            (None, None) => "singleInstance",
        };
        event.insert("type".to_owned(), json!(kind));
        if let Some(original) = exception.as_ref().and_then(Moment::utc) {
            event.insert("originalStart".to_owned(), json!(format!("{original}Z")));
        }
        let excluded = self.dates(&ICalendarProperty::Exdate);
        let added = self.dates(&ICalendarProperty::Rdate);
        if (pattern.is_none() && !rules.is_empty()) || !excluded.is_empty() || !added.is_empty() {
            let rules: Vec<String> = rules.iter().take(VALUES_MAX).map(|rule| rule.to_string()).collect();
            let kept = json!([{
                "@odata.type": "#microsoft.graph.openTypeExtension",
                "id": ICALENDAR_EXTENSION,
                "extensionName": ICALENDAR_EXTENSION,
                "rrule": rules,
                "rdate": added,
                "exdate": excluded,
            }]);
            event.insert("extensions".to_owned(), kept);
        }
        event.insert("recurrence".to_owned(), pattern.unwrap_or_default());
        event.insert("seriesMasterId".to_owned(), Value::Null);
        Ok(())
    }

    /// Dates of a list property in UTC; what cannot be read is left out.
    fn dates(&self, property: &ICalendarProperty) -> Vec<String> {
        let entries = self.component.entries.iter().filter(|entry| &entry.name == property);
        let moments = entries.flat_map(|entry| {
            entry.values.iter().filter_map(|value| match value {
                ICalendarValue::PartialDateTime(date) => self.moment_of(entry, date).ok(),
                _ => None,
            })
        });
        moments.filter_map(|moment| moment.utc()).take(VALUES_MAX).map(|date| format!("{date}Z")).collect()
    }

    fn texts(&self, event: &mut Properties) {
        let plain = self.text(&ICalendarProperty::Description).unwrap_or_default();
        let html = self.component.property(&other("X-ALT-DESC")).filter(|entry| {
            let kind = entry.parameter(&ICalendarParameterName::Fmttype).and_then(|kind| kind.as_text());
            kind.is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"))
        });
        let (kind, content) = match html {
            Some(html) => ("html", joined(html)),
            None => ("text", plain.clone()),
        };
        let shown = if plain.is_empty() { preview(kind, &content) } else { preview("text", &plain) };
        event.insert("bodyPreview".to_owned(), json!(shown));
        event.insert("body".to_owned(), json!({ "contentType": kind, "content": content }));
        let entries = self.component.entries.iter().filter(|entry| entry.name == ICalendarProperty::Categories);
        let categories = entries.flat_map(|entry| &entry.values).filter_map(ICalendarValue::as_text);
        let categories: Vec<&str> = categories.map(str::trim).filter(|c| !c.is_empty()).take(VALUES_MAX).collect();
        event.insert("categories".to_owned(), json!(categories));
        let attached = self.component.has_property(&ICalendarProperty::Attach);
        event.insert("hasAttachments".to_owned(), json!(attached));
    }

    fn place(&self, event: &mut Properties) {
        let name = self.text(&ICalendarProperty::Location).unwrap_or_default();
        let mut location = json!({ "displayName": name, "locationType": "default" });
        if let Some(entry) = self.component.property(&ICalendarProperty::Geo) {
            let numbers: Vec<f64> = entry.values.iter().filter_map(ICalendarValue::as_float).collect();
            if let [latitude, longitude] = numbers.as_slice() {
                location["coordinates"] = json!({ "latitude": latitude, "longitude": longitude });
            }
        }
        let is_placed = !name.is_empty() || location.get("coordinates").is_some();
        let locations = if is_placed { json!([location]) } else { json!([]) };
        event.insert("location".to_owned(), location);
        event.insert("locations".to_owned(), locations);

        let sources =
            [ICalendarProperty::Conference, other("X-GOOGLE-CONFERENCE"), other("X-MICROSOFT-SKYPETEAMSMEETINGURL")];
        let join_url = sources.iter().find_map(|source| self.text(source)).filter(|url| !url.is_empty());
        event.insert("isOnlineMeeting".to_owned(), json!(join_url.is_some()));
        event.insert("onlineMeetingProvider".to_owned(), json!("unknown"));
        event.insert("onlineMeeting".to_owned(), join_url.map_or(Value::Null, |url| json!({ "joinUrl": url })));
    }

    fn people(&self, event: &mut Properties) {
        let organizer = organizer(self.component, self.owner);
        let (attendees, responses_wanted) = attendees(self.component);
        let response = response_status(&attendees, organizer.is_owner, self.owner);
        event.insert("organizer".to_owned(), organizer.recipient);
        event.insert("isOrganizer".to_owned(), json!(organizer.is_owner));
        event.insert("attendees".to_owned(), Value::Array(attendees));
        event.insert("responseStatus".to_owned(), response);
        event.insert("responseRequested".to_owned(), json!(responses_wanted));
    }

    fn states(&self, event: &mut Properties) {
        let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
        put("isCancelled", json!(self.component.status() == Some(&ICalendarStatus::Cancelled)));
        put("isDraft", json!(false));
        put("hideAttendees", json!(false));
        put("allowNewTimeProposals", json!(true));
        put("showAs", json!(self.show_as()));
        let priority = self.value(&ICalendarProperty::Priority).and_then(ICalendarValue::as_integer);
        put(
            "importance",
            json!(match priority {
                Some(1..=4) => "high",
                Some(6..=9) => "low",
                _ => "normal",
            }),
        );
        put(
            "sensitivity",
            json!(match self.value(&ICalendarProperty::Class) {
                Some(ICalendarValue::Classification(ICalendarClassification::Private)) => "private",
                Some(ICalendarValue::Classification(ICalendarClassification::Confidential)) => "confidential",
                _ => "normal",
            }),
        );
        let reminder = self.reminder_minutes();
        put("isReminderOn", json!(reminder.is_some()));
        put("reminderMinutesBeforeStart", json!(reminder.unwrap_or(0)));
    }

    fn show_as(&self) -> &'static str {
        let stated = self.text(&other("X-MICROSOFT-CDO-BUSYSTATUS")).unwrap_or_default();
        let transparent = self.component.transparency() == Some(&ICalendarTransparency::Transparent);
        match stated.to_ascii_uppercase().as_str() {
            "FREE" => "free",
            "TENTATIVE" => "tentative",
            "BUSY" => "busy",
            "OOF" => "oof",
            "WORKINGELSEWHERE" => "workingElsewhere",
            _ if transparent => "free",
            _ if self.component.status() == Some(&ICalendarStatus::Tentative) => "tentative",
            _ => "busy",
        }
    }

    /// Minutes before the start, of the first alarm that is not after it.
    fn reminder_minutes(&self) -> Option<i64> {
        let ids = self.component.component_ids.iter().take(VALUES_MAX);
        let alarms = ids.filter_map(|id| self.calendar.components.get(*id as usize));
        let alarms = alarms.filter(|inner| inner.component_type == ICalendarComponentType::VAlarm);
        let triggers = alarms.filter_map(|alarm| alarm.property(&ICalendarProperty::Trigger)?.values.first());
        let seconds = triggers.filter_map(|trigger| match trigger {
            ICalendarValue::Duration(duration) => Some(-duration.as_seconds()),
            _ => None,
        });
        seconds.filter(|seconds| *seconds >= 0).map(|seconds| seconds / 60).find(|m| i32::try_from(*m).is_ok())
    }
}

pub(crate) fn other(name: &str) -> ICalendarProperty {
    ICalendarProperty::Other(name.to_owned())
}

/// The text of the first property of this name.
pub(crate) fn text_of(component: &ICalendarComponent, property: &ICalendarProperty) -> Option<String> {
    component.property(property).map(joined)
}

/// The parser splits properties that it does not know at semicolons.
fn joined(entry: &ICalendarEntry) -> String {
    entry.values.iter().filter_map(ICalendarValue::as_text).collect::<Vec<_>>().join(";")
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

fn civil_time(date: &PartialDateTime) -> Option<civil::DateTime> {
    let year = i16::try_from(date.year?).ok().filter(|year| (1601..=9998).contains(year))?;
    let part = |value: Option<u8>| i8::try_from(value.unwrap_or(0)).ok();
    // A leap second is read as the second before it.
    let second = part(date.second)?.min(59);
    civil::DateTime::new(year, part(date.month)?, part(date.day)?, part(date.hour)?, part(date.minute)?, second, 0).ok()
}

/// Graph's `dateTimeTimeZone`, with seven fractional digits.
fn date_time(utc: civil::DateTime) -> Value {
    json!({ "dateTime": format!("{}.0000000", utc.strftime("%Y-%m-%dT%H:%M:%S")), "timeZone": "UTC" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(lines: &str) -> ParsedCalendar {
        let text = format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n{}\r\nEND:VCALENDAR\r\n",
            lines.replace('\n', "\r\n")
        );
        parse(text.as_bytes(), "megan@contoso.test").unwrap()
    }

    fn event(lines: &str) -> Value {
        let parsed = calendar(&format!("BEGIN:VEVENT\nUID:u1\n{lines}\nEND:VEVENT"));
        assert_eq!(parsed.unreadable, []);
        Value::Object(parsed.events.into_iter().next().unwrap())
    }

    #[test]
    fn a_meeting_from_outlook_is_mapped_field_by_field() {
        let event = event(
            "SUMMARY:Budget\\, part 2\nDTSTART;TZID=W. Europe Standard Time:20261123T100000\nDTEND;TZID=W. Europe Standard Time:20261123T113000\n\
DESCRIPTION:Bring the\\nfigures\nX-ALT-DESC;FMTTYPE=text/html:<p>Bring the; figures</p>\nLOCATION:Room 5\nGEO:50.9;6.9\n\
ORGANIZER;CN=Adele Vance:mailto:adele@contoso.test\n\
ATTENDEE;CN=Megan;PARTSTAT=TENTATIVE;RSVP=TRUE:mailto:megan@contoso.test\n\
ATTENDEE;ROLE=OPT-PARTICIPANT;PARTSTAT=NEEDS-ACTION:mailto:alex@contoso.test\n\
ATTENDEE;CUTYPE=ROOM;PARTSTAT=ACCEPTED:mailto:room5@contoso.test\n\
CLASS:PRIVATE\nPRIORITY:1\nX-MICROSOFT-CDO-BUSYSTATUS:OOF\nCATEGORIES:Blue,Red\n\
X-MICROSOFT-SKYPETEAMSMEETINGURL:https://teams.example/j\nBEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT15M\nEND:VALARM",
        );
        assert_eq!(event["subject"], "Budget, part 2");
        assert_eq!(event["iCalUId"], "u1");
        assert_eq!(event["start"], json!({ "dateTime": "2026-11-23T09:00:00.0000000", "timeZone": "UTC" }));
        assert_eq!(event["end"]["dateTime"], "2026-11-23T10:30:00.0000000");
        assert_eq!(event["originalStartTimeZone"], "W. Europe Standard Time");
        assert_eq!(event["type"], "singleInstance");
        assert_eq!(event["recurrence"], Value::Null);
        assert_eq!(event["body"]["contentType"], "html");
        assert_eq!(event["body"]["content"], "<p>Bring the; figures</p>");
        assert_eq!(event["bodyPreview"], "Bring the figures");
        assert_eq!(event["location"]["displayName"], "Room 5");
        assert_eq!(event["locations"][0]["coordinates"], json!({ "latitude": 50.9, "longitude": 6.9 }));
        assert_eq!(
            event["organizer"]["emailAddress"],
            json!({ "name": "Adele Vance", "address": "adele@contoso.test" })
        );
        assert_eq!(event["isOrganizer"], false);
        assert_eq!(event["attendees"][1]["type"], "optional");
        assert_eq!(event["attendees"][1]["status"]["response"], "notResponded");
        assert_eq!(event["attendees"][2]["type"], "resource");
        assert_eq!(event["responseStatus"]["response"], "tentativelyAccepted");
        assert_eq!(event["sensitivity"], "private");
        assert_eq!(event["importance"], "high");
        assert_eq!(event["showAs"], "oof");
        assert_eq!(event["categories"], json!(["Blue", "Red"]));
        assert_eq!(event["isOnlineMeeting"], true);
        assert_eq!(event["onlineMeeting"]["joinUrl"], "https://teams.example/j");
        assert_eq!(event["reminderMinutesBeforeStart"], 15);
        assert_eq!(event["isReminderOn"], true);
    }

    #[test]
    fn an_all_day_event_ends_at_midnight_after_it() {
        let event = event("SUMMARY:Holiday\nDTSTART;VALUE=DATE:20261224\nTRANSP:TRANSPARENT");
        assert_eq!(event["isAllDay"], true);
        assert_eq!(event["start"]["dateTime"], "2026-12-24T00:00:00.0000000");
        assert_eq!(event["end"]["dateTime"], "2026-12-25T00:00:00.0000000");
        assert_eq!(event["showAs"], "free");
        assert_eq!((&event["isOrganizer"], &event["responseStatus"]["response"]), (&json!(true), &json!("organizer")));
    }

    #[test]
    fn a_weekly_series_has_a_pattern_and_a_range() {
        let event = event(
            "DTSTART;TZID=Europe/Berlin:20260105T090000\nDURATION:PT45M\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;UNTIL=20260630T215959Z",
        );
        assert_eq!(event["type"], "seriesMaster");
        assert_eq!(event["end"]["dateTime"], "2026-01-05T08:45:00.0000000");
        let pattern = json!({ "type": "weekly", "interval": 2, "month": 0, "dayOfMonth": 0,
            "daysOfWeek": ["monday", "wednesday"], "firstDayOfWeek": "monday", "index": "first" });
        assert_eq!(event["recurrence"]["pattern"], pattern);
        let range = json!({ "type": "endDate", "startDate": "2026-01-05", "endDate": "2026-06-30",
            "recurrenceTimeZone": "Europe/Berlin", "numberOfOccurrences": 0 });
        assert_eq!(event["recurrence"]["range"], range);
    }

    #[test]
    fn each_kind_of_rule_that_graph_knows_is_mapped() {
        for (rule, kind, detail) in [
            ("FREQ=DAILY;COUNT=5", "daily", json!([0, 0, [], "first"])),
            ("FREQ=DAILY;BYDAY=MO,TU", "weekly", json!([0, 0, ["monday", "tuesday"], "first"])),
            ("FREQ=WEEKLY", "weekly", json!([0, 0, ["thursday"], "first"])),
            ("FREQ=MONTHLY", "absoluteMonthly", json!([0, 15, [], "first"])),
            ("FREQ=MONTHLY;BYMONTHDAY=31", "absoluteMonthly", json!([0, 31, [], "first"])),
            ("FREQ=MONTHLY;BYDAY=-1FR", "relativeMonthly", json!([0, 0, ["friday"], "last"])),
            ("FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=2", "relativeMonthly", json!([0, 0, ["monday", "tuesday"], "second"])),
            ("FREQ=YEARLY", "absoluteYearly", json!([1, 15, [], "first"])),
            ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "relativeYearly", json!([11, 0, ["thursday"], "fourth"])),
        ] {
            let event = event(&format!("DTSTART:20260115T090000Z\nRRULE:{rule}"));
            let pattern = &event["recurrence"]["pattern"];
            assert_eq!(pattern["type"], kind, "{rule}");
            let found = json!([pattern["month"], pattern["dayOfMonth"], pattern["daysOfWeek"], pattern["index"]]);
            assert_eq!(found, detail, "{rule}");
        }
    }

    #[test]
    fn a_rule_without_a_graph_form_is_kept_in_an_extension() {
        for rule in
            ["FREQ=HOURLY", "FREQ=MONTHLY;BYMONTHDAY=1,15", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=YEARLY;BYWEEKNO=20"]
        {
            let event = event(&format!("DTSTART:20260115T090000Z\nRRULE:{rule}"));
            assert_eq!((&event["recurrence"], &event["type"]), (&Value::Null, &json!("singleInstance")), "{rule}");
            assert!(event["extensions"][0]["rrule"][0].as_str().unwrap().contains(&rule[5..10]), "{event}");
        }
    }

    #[test]
    fn what_is_said_of_single_occurrences_is_put_into_their_series() {
        let parsed = calendar(
            "BEGIN:VEVENT\nUID:s\nRECURRENCE-ID:20260119T090000Z\nDTSTART:20260120T090000Z\nSUMMARY:Moved\nEND:VEVENT\n\
BEGIN:VEVENT\nUID:s\nSUMMARY:Plan\nDTSTART:20260105T090000Z\nRRULE:FREQ=WEEKLY\nEXDATE:20260112T090000Z,20260113T090000Z\nEND:VEVENT\n\
BEGIN:VEVENT\nUID:s\nRECURRENCE-ID:20260126T090000Z\nDTSTART:20260126T090000Z\nSTATUS:CANCELLED\nEND:VEVENT\n\
BEGIN:VEVENT\nUID:s\nRECURRENCE-ID:20260127T090000Z\nDTSTART:20260127T090000Z\nEND:VEVENT\n\
BEGIN:VTODO\nUID:t\nSUMMARY:task\nEND:VTODO",
        );
        assert_eq!((parsed.events.len(), parsed.skipped), (2, 1));
        let series = &parsed.events[0];
        assert_eq!(series["type"], "seriesMaster");
        assert_eq!(series["cancelledOccurrences"], json!(["2026-01-12", "2026-01-26"]));
        // The series has nothing on that day that could be excluded.
        assert_eq!(series["extensions"][0]["exdate"], json!(["2026-01-13T09:00:00Z"]));
        let time = |text: &str| json!({ "dateTime": text, "timeZone": "UTC" });
        let exception = json!({ "originalStart": "2026-01-19T09:00:00Z", "subject": "Moved",
            "start": time("2026-01-20T09:00:00.0000000"), "end": time("2026-01-20T09:00:00.0000000") });
        assert_eq!(series["exceptionOccurrences"], json!([exception]));
        assert_eq!(parsed.events[1]["type"], "exception");
        assert_eq!(parsed.events[1]["originalStart"], "2026-01-27T09:00:00Z");
    }

    #[test]
    fn all_days_of_a_series_can_be_excluded_by_their_dates() {
        let event = event("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20260107\nSUMMARY:Holiday");
        assert_eq!(event["cancelledOccurrences"], json!(["2026-01-07"]));
        assert!(event.get("extensions").is_none());
    }

    #[test]
    fn an_event_that_cannot_be_read_is_named_and_the_others_go_on() {
        let parsed = calendar(
            "BEGIN:VEVENT\nUID:none\nSUMMARY:x\nEND:VEVENT\nBEGIN:VEVENT\nUID:zone\nDTSTART;TZID=Mars/Olympus:20260105T090000\nEND:VEVENT\n\
BEGIN:VEVENT\nUID:date\nDTSTART:20261399T090000Z\nEND:VEVENT\nBEGIN:VEVENT\nUID:good\nDTSTART:20260105T090000Z\nEND:VEVENT",
        );
        assert_eq!(parsed.events.len(), 1);
        let why: Vec<String> = parsed.unreadable.iter().map(|(uid, error)| format!("{uid}: {error}")).collect();
        assert_eq!(why[0], "none: the event has no start");
        assert_eq!(why[1], "zone: the time zone is not known: \"Mars/Olympus\"");
        assert!(why[2].starts_with("date: the date cannot be read"), "{}", why[2]);
    }

    #[test]
    fn a_time_without_a_zone_lies_in_the_calendars_own() {
        let parsed =
            calendar("X-WR-TIMEZONE:America/New_York\nBEGIN:VEVENT\nUID:f\nDTSTART:20260115T090000\nEND:VEVENT");
        assert_eq!(parsed.events[0]["start"]["dateTime"], "2026-01-15T14:00:00.0000000");
        assert_eq!(parsed.events[0]["originalStartTimeZone"], "America/New_York");
        let nowhere = event("DTSTART:20260115T090000");
        assert_eq!(nowhere["start"], json!({ "dateTime": "2026-01-15T09:00:00.0000000", "timeZone": "UTC" }));
    }

    #[test]
    fn a_zone_that_the_calendar_itself_describes_is_used() {
        let zone = "BEGIN:VTIMEZONE\nTZID:Customized Time Zone\nBEGIN:STANDARD\nDTSTART:16011028T030000\n\
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\nBEGIN:DAYLIGHT\n\
DTSTART:16010325T020000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nEND:DAYLIGHT\nEND:VTIMEZONE\n\
BEGIN:VTIMEZONE\nTZID:Ship\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:-0330\nTZOFFSETTO:-0330\nEND:STANDARD\nEND:VTIMEZONE\n";
        let start = |tzid: &str, date: &str| {
            let event = format!("BEGIN:VEVENT\nUID:z\nDTSTART;TZID={tzid}:{date}T120000\nEND:VEVENT");
            let parsed = calendar(&format!("{zone}{event}"));
            assert_eq!(parsed.events[0]["originalStartTimeZone"], "tzone://Microsoft/Custom");
            parsed.events[0]["start"]["dateTime"].as_str().unwrap()[11..16].to_owned()
        };
        assert_eq!(start("Customized Time Zone", "20260115"), "11:00");
        assert_eq!(start("Customized Time Zone", "20260715"), "10:00");
        assert_eq!(start("Ship", "20260715"), "15:30");
    }

    #[test]
    fn what_is_no_calendar_is_refused() {
        assert_eq!(parse(b"hello", "a@b"), Err(CalendarError::NotACalendar));
        assert_eq!(
            parse("BEGIN:X\n".repeat(COMPONENTS_MAX + 1).as_bytes(), "a@b"),
            Err(CalendarError::TooManyComponents)
        );
    }
}
