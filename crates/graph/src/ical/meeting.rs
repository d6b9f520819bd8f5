//! The calendar part of a mail as news of a meeting, and back: iTIP (RFC 5546) in MIME (RFC 6047). What is read
//! comes from whoever wrote the mail; whether the sender may say so is for the mailbox to decide that it arrives in.

use calcard::common::IanaString as _;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarEntry, ICalendarParameter, ICalendarParameterName,
    ICalendarProperty, ICalendarValue, ICalendarValueType,
};
use calcard::{Entry, Parser};
use serde_json::{Value, json};

use super::write::{calendar, component, date, local, text, utc, whole};
use super::{EventReader, count_ignoring_case, other, text_of};
use crate::ical_occurrences::fold;
use crate::ical_zones::Zones;
use crate::mailbox::meeting::{Answer, CANCELLED_PREFIX, Meeting, News, SEQUENCE, sequence_of, shared};
use crate::occurrence::{OCCURRENCE_OF, ORIGINAL_START, occurrence_name, occurrence_of, occurrence_uid};
use crate::{Properties, Timestamp, zone};

/// The largest calendar part that is read.
pub const MEETING_BYTES_MAX: usize = 1024 * 1024;
/// Components of one part, of whatever kind.
const COMPONENTS_MAX: usize = 10_000;
/// The longest UID of a meeting that is taken into a calendar.
const UID_BYTES_MAX: usize = 1_000;

/// Outlook's word for a meeting to which no other time can be proposed.
const NO_COUNTER: &str = "X-MICROSOFT-DISALLOW-COUNTER";

/// Reads what a mail from `sender` (an address) says of a meeting, in a part whose type has this `method`.
///
/// `None` if it says nothing that a calendar follows: another method than `REQUEST`, `CANCEL` and `REPLY`, no
/// organizer, an answer of somebody else than the sender, all later occurrences at once, or no calendar. Of
/// several events the series counts, with what is said of its occurrences, else the first.
pub fn read_meeting(text: &str, method: &str, sender: &str) -> Option<Meeting> {
    if text.len() > MEETING_BYTES_MAX || count_ignoring_case(text.as_bytes(), b"begin:") > COMPONENTS_MAX {
        return None;
    }
    let calendar = calendar_in(text)?;
    if !method_of(&calendar)?.eq_ignore_ascii_case(method) {
        return None;
    }
    let zones = Zones::of(&calendar);
    let events = calendar.components.iter().filter(|one| one.component_type == ICalendarComponentType::VEvent);
    let readers: Vec<EventReader<'_>> =
        events.map(|component| EventReader { calendar: &calendar, component, zones: &zones, owner: "" }).collect();
    let is_whole = |reader: &&EventReader<'_>| !reader.component.has_property(&ICalendarProperty::RecurrenceId);
    let first = readers.iter().find(is_whole).or(readers.first())?;
    let (event, news) = match method.to_ascii_uppercase().as_str() {
        "REQUEST" => (series_and_all(first, &readers)?, News::Request { removed: Vec::new() }),
        "CANCEL" => (outline(first)?, News::Cancelled),
        "REPLY" => {
            let event = outline(first)?;
            let answer = answer_of(&event, sender)?;
            (event, News::Response { answer, proposed: None })
        }
        _ => return None,
    };
    Some(Meeting { event: told(first, event)?, news })
}

fn calendar_in(text: &str) -> Option<ICalendar> {
    let mut parser = Parser::new(text);
    loop {
        match parser.entry() {
            Entry::ICalendar(calendar) => return Some(calendar),
            Entry::Eof | Entry::TooManyComponents => return None,
            _ => {}
        }
    }
}

fn method_of(calendar: &ICalendar) -> Option<String> {
    match calendar.components.first()?.property(&ICalendarProperty::Method)?.values.first()? {
        ICalendarValue::Method(method) => Some(method.as_str().to_owned()),
        other => other.as_text().map(str::to_owned),
    }
}

/// The event with what the same part says of its occurrences.
fn series_and_all(first: &EventReader<'_>, readers: &[EventReader<'_>]) -> Option<Properties> {
    let is_other = |reader: &&EventReader<'_>| {
        !std::ptr::eq(reader.component, first.component) && reader.component.uid() == first.component.uid()
    };
    let others = readers.iter().filter(is_other).filter_map(|reader| reader.read().ok());
    let events = std::iter::once(first.read().ok()?).chain(others).collect();
    fold(events).into_iter().next()
}

/// The event, or as much of it as an answer or a cancellation has to say.
fn outline(reader: &EventReader<'_>) -> Option<Properties> {
    reader.read().or_else(|_| reader.outline()).ok()
}

fn answer_of(event: &Properties, sender: &str) -> Option<Answer> {
    let attendees = event.get("attendees").and_then(Value::as_array)?;
    let own = attendees.iter().find(|attendee| {
        let address = attendee.pointer("/emailAddress/address").and_then(Value::as_str).unwrap_or_default();
        address.eq_ignore_ascii_case(sender)
    });
    match own?.pointer("/status/response").and_then(Value::as_str)? {
        "accepted" => Some(Answer::Accepted),
        "tentativelyAccepted" => Some(Answer::Tentative),
        "declined" => Some(Answer::Declined),
        _ => None,
    }
}

/// The event as news of a meeting have it.
fn told(reader: &EventReader<'_>, mut event: Properties) -> Option<Properties> {
    let uid = reader.component.uid().filter(|uid| is_uid(uid))?;
    let organizer = event.get("organizer")?.pointer("/emailAddress/address")?.as_str()?;
    if organizer.is_empty() {
        return None;
    }
    if let Some(which) = reader.component.property(&ICalendarProperty::RecurrenceId) {
        if which.has_parameter(&ICalendarParameterName::Range) {
            return None;
        }
        let original: Timestamp = event.get(ORIGINAL_START)?.as_str()?.parse().ok()?;
        let day = day_of(&event, original)?;
        event.insert("iCalUId".to_owned(), occurrence_uid(uid, day).into());
        event.insert(OCCURRENCE_OF.to_owned(), occurrence_name(uid, original));
    }
    let sequence = reader.component.property(&ICalendarProperty::Sequence).and_then(|entry| entry.values.first());
    let sequence = sequence.and_then(ICalendarValue::as_integer).unwrap_or(0).clamp(0, i64::from(i32::MAX));
    event.insert(SEQUENCE.to_owned(), sequence.into());
    let no_counter = text_of(reader.component, &other(NO_COUNTER));
    if no_counter.is_some_and(|stated| stated.eq_ignore_ascii_case("TRUE")) {
        event.insert("allowNewTimeProposals".to_owned(), false.into());
    }
    // No alarm is no wish for none.
    if event.get("isReminderOn") != Some(&Value::Bool(true)) {
        event.remove("reminderMinutesBeforeStart");
    }
    event.retain(|_, value| !value.is_null());
    Some(shared(&event))
}

fn is_uid(uid: &str) -> bool {
    !uid.is_empty() && uid.len() <= UID_BYTES_MAX && !uid.chars().any(char::is_control)
}

/// The day of an occurrence, in the zone that it is in now.
fn day_of(event: &Properties, original: Timestamp) -> Option<jiff::civil::Date> {
    let zone = event.get("originalStartTimeZone").and_then(Value::as_str).and_then(zone::find);
    let at = jiff::Timestamp::from_microsecond(original.as_micros()).ok()?;
    Some(zone.unwrap_or(jiff::tz::TimeZone::UTC).to_datetime(at).date())
}

/// A `text/calendar` part and its `method`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarPart {
    pub method: &'static str,
    pub text: String,
}

/// What a message tells calendars elsewhere; `None` if it is about no meeting. Of a series it tells the whole,
/// without what differs on single days: of each of those there are messages of its own.
pub fn write_meeting(message: &Properties) -> Option<CalendarPart> {
    let method = match text(message, "meetingMessageType") {
        "meetingRequest" => "REQUEST",
        "meetingCancelled" => "CANCEL",
        "meetingAccepted" | "meetingTenativelyAccepted" | "meetingDeclined" => "REPLY",
        _ => return None,
    };
    let occurrence = occurrence_of(message);
    let uid = occurrence.map_or_else(|| text(message, "iCalUId"), |(uid, _)| uid);
    if uid.is_empty() {
        return None;
    }
    let event = event_of(message, method, uid);
    let sent = text(message, "sentDateTime").parse().unwrap_or_default();
    let mut component = component(&event, sent);
    component.add_sequence(sequence_of(message));
    if let Some((_, original)) = occurrence {
        component.entries.push(which(&event, original));
    }
    if method == "REQUEST" && message.get("allowNewTimeProposals") == Some(&Value::Bool(false)) {
        component.add_property(other(NO_COUNTER), "TRUE");
    }
    let mut calendar: ICalendarComponent = calendar();
    calendar.add_property(ICalendarProperty::Method, method);
    Some(CalendarPart { method, text: whole(calendar, component, None) })
}

fn which(event: &Properties, original: Timestamp) -> ICalendarEntry {
    let entry = ICalendarEntry::new(ICalendarProperty::RecurrenceId);
    match event.get("isAllDay") {
        Some(Value::Bool(true)) => {
            entry.with_param(ICalendarParameter::value(ICalendarValueType::Date)).with_value(date(local(original)))
        }
        _ => entry.with_value(utc(original)),
    }
}

/// The event that a message is about, as far as the message knows it.
fn event_of(message: &Properties, method: &str, uid: &str) -> Properties {
    let mut event = Properties::new();
    for (name, from) in [
        ("start", "startDateTime"),
        ("end", "endDateTime"),
        ("isAllDay", "isAllDay"),
        ("recurrence", "recurrence"),
        ("location", "location"),
        ("organizer", "organizer"),
        ("importance", "importance"),
        ("responseRequested", "responseRequested"),
        ("sensitivity", "sensitivity"),
        ("showAs", "showAs"),
        ("subject", "subject"),
    ] {
        event.extend(message.get(from).map(|value| (name.to_owned(), value.clone())));
    }
    let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
    put("iCalUId", uid.into());
    put("attendees", attendees_of(message, method).into());
    match (method, message.get("body")) {
        ("REQUEST", Some(body)) => drop(put("body", body.clone())),
        ("CANCEL", _) => {
            let subject = text(message, "subject");
            put("subject", subject.strip_prefix(CANCELLED_PREFIX).unwrap_or(subject).into());
            put("isCancelled", true.into());
        }
        _ => {}
    }
    event
}

/// Who answers, or else who was asked.
fn attendees_of(message: &Properties, method: &str) -> Vec<Value> {
    let attendee = |person: &Value, kind: &str, response: &str| json!({ "emailAddress": person["emailAddress"], "type": kind, "status": { "response": response } });
    if method == "REPLY" {
        let from = message.get("from").into_iter();
        return from.map(|from| attendee(from, "required", text(message, "responseType"))).collect();
    }
    let lists = [("toRecipients", "required"), ("ccRecipients", "optional")].into_iter();
    let members = lists.flat_map(|(list, kind)| {
        message.get(list).and_then(Value::as_array).into_iter().flatten().map(move |person| (person, kind))
    });
    members.map(|(person, kind)| attendee(person, kind, "none")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADELE: &str = "ORGANIZER;CN=Adele Vance:mailto:adele@contoso.test\n\
ATTENDEE;CN=Megan;RSVP=TRUE:mailto:megan@contoso.test\n";

    fn part(method: &str, events: &str) -> String {
        let lines = format!("BEGIN:VCALENDAR\nMETHOD:{method}\nVERSION:2.0\n{events}END:VCALENDAR\n");
        lines.replace('\n', "\r\n")
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VEVENT\nUID:u1\n{ADELE}{lines}END:VEVENT\n")
    }

    fn read(method: &str, events: &str, sender: &str) -> Option<Meeting> {
        read_meeting(&part(method, events), method, sender)
    }

    #[test]
    fn a_request_is_the_event_that_it_asks_for() {
        let lines = "SEQUENCE:3\nSUMMARY:Budget\nDTSTART:20261201T100000Z\nDTEND:20261201T110000Z\n\
LOCATION:Hall\nX-MICROSOFT-DISALLOW-COUNTER:TRUE\n";
        let meeting = read("REQUEST", &event(lines), "adele@contoso.test").unwrap();
        assert_eq!(meeting.news, News::Request { removed: Vec::new() });
        let event = meeting.event;
        assert_eq!(
            (&event["iCalUId"], &event["sequence"], &event["subject"]),
            (&json!("u1"), &json!(3), &json!("Budget"))
        );
        assert_eq!(event["organizer"]["emailAddress"]["address"], "adele@contoso.test");
        assert_eq!(
            event["attendees"][0],
            json!({ "type": "required",
            "emailAddress": { "name": "Megan", "address": "megan@contoso.test" } })
        );
        assert_eq!((&event["allowNewTimeProposals"], &event["responseRequested"]), (&json!(false), &json!(true)));
        for own in ["categories", "isReminderOn", "reminderMinutesBeforeStart", "extensions", "responseStatus"] {
            assert!(event.get(own).is_none(), "{own}");
        }
    }

    #[test]
    fn a_series_comes_with_what_is_said_of_its_occurrences() {
        let lines = "DTSTART:20261201T100000Z\nRRULE:FREQ=WEEKLY\nEXDATE:20261215T100000Z\n";
        let one = "RECURRENCE-ID:20261208T100000Z\nSUMMARY:Feast\nDTSTART:20261209T100000Z\n";
        let meeting = read("REQUEST", &(event(one) + &event(lines)), "adele@contoso.test").unwrap();
        assert_eq!(meeting.event["exceptionOccurrences"][0]["subject"], "Feast");
        assert_eq!(meeting.event["cancelledOccurrences"], json!(["2026-12-15"]));
        assert!(meeting.event.get(OCCURRENCE_OF).is_none());
    }

    #[test]
    fn one_occurrence_is_named_by_its_series_and_its_original_start() {
        let lines = "RECURRENCE-ID;TZID=Europe/Berlin:20261208T003000\nDTSTART;TZID=Europe/Berlin:20261209T100000\n";
        for method in ["REQUEST", "CANCEL"] {
            let event = read(method, &event(lines), "adele@contoso.test").unwrap().event;
            assert_eq!(event[OCCURRENCE_OF], json!({ "uid": "u1", "originalStart": "2026-12-07T23:30:00Z" }));
            assert_eq!(event["iCalUId"], "u1_20261208");
        }
        let all = event(&lines.replace("ID;", "ID;RANGE=THISANDFUTURE;"));
        assert_eq!(read("CANCEL", &all, "adele@contoso.test"), None);
    }

    #[test]
    fn a_cancellation_and_an_answer_need_not_say_when_it_is() {
        let cancelled = read("CANCEL", &event("SEQUENCE:1\n"), "adele@contoso.test").unwrap();
        assert_eq!((cancelled.news, &cancelled.event["iCalUId"]), (News::Cancelled, &json!("u1")));
        assert_eq!(read("REQUEST", &event("SEQUENCE:1\n"), "adele@contoso.test"), None);
        let undated = event("RECURRENCE-ID:20261399T100000Z\n");
        assert_eq!(read("CANCEL", &undated, "adele@contoso.test"), None, "which occurrence is not known");
    }

    #[test]
    fn an_answer_is_the_senders_own() {
        let answered = |partstat: &str, sender: &str| {
            let event = event("").replace("RSVP=TRUE", &format!("PARTSTAT={partstat}"));
            read("REPLY", &event, sender).map(|meeting| meeting.news)
        };
        for (partstat, answer) in
            [("ACCEPTED", Answer::Accepted), ("TENTATIVE", Answer::Tentative), ("DECLINED", Answer::Declined)]
        {
            assert_eq!(answered(partstat, "Megan@contoso.test"), Some(News::Response { answer, proposed: None }));
        }
        assert_eq!(answered("ACCEPTED", "alex@contoso.test"), None);
        assert_eq!(answered("NEEDS-ACTION", "megan@contoso.test"), None);
    }

    #[test]
    fn what_no_calendar_follows_is_no_news() {
        let lines = event("DTSTART:20261201T100000Z\n");
        for method in ["PUBLISH", "COUNTER", "REFRESH", "ADD", "X"] {
            assert_eq!(read(method, &lines, "adele@contoso.test"), None, "{method}");
        }
        assert_eq!(read_meeting(&part("REQUEST", &lines), "CANCEL", "adele@contoso.test"), None);
        assert_eq!(read("REQUEST", &lines.replace("ORGANIZER", "CONTACT"), "adele@contoso.test"), None);
        assert_eq!(read("REQUEST", &lines.replace("UID:u1", "UID:a\\nb"), "adele@contoso.test"), None);
        assert_eq!(read("REQUEST", "", "adele@contoso.test"), None);
        assert_eq!(read_meeting("hello", "REQUEST", "adele@contoso.test"), None);
        let long = event(&format!("DTSTART:20261201T100000Z\nDESCRIPTION:{}\n", "x".repeat(MEETING_BYTES_MAX)));
        assert_eq!(read("REQUEST", &long, "adele@contoso.test"), None);
    }

    fn message(more: Value) -> Properties {
        let at = |time: &str| json!({ "dateTime": time, "timeZone": "UTC" });
        let person =
            |name: &str| json!({ "emailAddress": { "name": name, "address": format!("{name}@contoso.test") } });
        let mut message = json!({
            "meetingMessageType": "meetingRequest", "iCalUId": "u1", "sequence": 2, "subject": "Plan",
            "sentDateTime": "2026-11-21T10:00:00Z",
            "startDateTime": at("2026-12-01T09:00:00.0000000"), "endDateTime": at("2026-12-01T10:00:00.0000000"),
            "location": { "displayName": "Hall; left" }, "body": { "contentType": "text", "content": "Bring\nall" },
            "from": person("megan"), "organizer": person("megan"), "showAs": "free", "sensitivity": "private",
            "toRecipients": [person("adele")], "ccRecipients": [person("alex")],
        });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message.as_object().unwrap().clone()
    }

    fn lines(message: &Properties) -> String {
        write_meeting(message).unwrap().text.replace("\r\n ", "").replace("\r\n", "\n")
    }

    #[test]
    fn a_request_is_written_line_by_line() {
        insta::assert_snapshot!(lines(&message(json!({}))), @r"
        BEGIN:VCALENDAR
        VERSION:2.0
        PRODID:-//Tidings//Tidings//EN
        METHOD:REQUEST
        BEGIN:VEVENT
        UID:u1
        DTSTAMP:20261121T100000Z
        DTSTART:20261201T090000Z
        DTEND:20261201T100000Z
        SUMMARY:Plan
        DESCRIPTION:Bring\nall
        LOCATION:Hall\; left
        ORGANIZER;CN=megan:mailto:megan@contoso.test
        ATTENDEE;CN=adele;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:adele@contoso.test
        ATTENDEE;CN=alex;ROLE=OPT-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:alex@contoso.test
        STATUS:CONFIRMED
        TRANSP:TRANSPARENT
        X-MICROSOFT-CDO-BUSYSTATUS:FREE
        CLASS:PRIVATE
        PRIORITY:5
        SEQUENCE:2
        END:VEVENT
        END:VCALENDAR
        ");
    }

    #[test]
    fn what_is_written_of_a_meeting_is_read_as_the_same() {
        let weekly = json!({
            "pattern": { "type": "weekly", "interval": 2, "month": 0, "dayOfMonth": 0, "daysOfWeek": ["tuesday"],
                "firstDayOfWeek": "sunday", "index": "first" },
            "range": { "type": "endDate", "startDate": "2026-12-01", "endDate": "2027-06-01",
                "recurrenceTimeZone": "Europe/Berlin", "numberOfOccurrences": 0 },
        });
        let relative = json!({
            "pattern": { "type": "relativeYearly", "interval": 1, "month": 12, "dayOfMonth": 0,
                "daysOfWeek": ["tuesday"], "firstDayOfWeek": "monday", "index": "first" },
            "range": { "type": "numbered", "startDate": "2026-12-01", "endDate": "0001-01-01",
                "recurrenceTimeZone": "America/New_York", "numberOfOccurrences": 4 },
        });
        for recurrence in [weekly, relative] {
            let message = message(json!({ "recurrence": recurrence }));
            let part = write_meeting(&message).unwrap();
            let event = read_meeting(&part.text, part.method, "megan@contoso.test").unwrap().event;
            assert_eq!(event["recurrence"], recurrence, "{}", part.text);
            assert_eq!((&event["start"], &event["end"]), (&message["startDateTime"], &message["endDateTime"]));
            assert_eq!((&event["subject"], &event["sequence"]), (&json!("Plan"), &json!(2)));
            assert_eq!((&event["showAs"], &event["sensitivity"]), (&json!("free"), &json!("private")));
            assert_eq!(event["location"]["displayName"], "Hall; left");
            assert_eq!(
                (&event["attendees"][1]["type"], &event["responseRequested"]),
                (&json!("optional"), &json!(true))
            );
        }
    }

    #[test]
    fn an_answer_or_cancellation_of_one_occurrence_names_it() {
        let named = json!({ "uid": "u1", "originalStart": "2026-12-01T09:00:00Z" });
        for (kind, response, method) in [("meetingCancelled", "", "CANCEL"), ("meetingDeclined", "declined", "REPLY")] {
            let message = message(json!({ "meetingMessageType": kind, "responseType": response, "occurrenceOf": named,
                "iCalUId": "u1_20261201", "subject": "Canceled: Plan" }));
            let part = write_meeting(&message).unwrap();
            assert_eq!(part.method, method);
            let event = read_meeting(&part.text, method, "megan@contoso.test").unwrap().event;
            assert_eq!((&event["occurrenceOf"], &event["iCalUId"]), (&named, &json!("u1_20261201")), "{}", part.text);
        }
    }

    #[test]
    fn no_property_can_add_a_line() {
        let evil = "x\r\nSTATUS:CANCELLED\r\n\":;,";
        let person = json!({ "emailAddress": { "name": evil, "address": evil } });
        let message = message(json!({ "subject": evil, "iCalUId": evil, "organizer": person, "toRecipients": [person],
            "location": { "displayName": evil }, "body": { "contentType": "text", "content": evil } }));
        let text = lines(&message);
        assert_eq!(text.matches("\nSTATUS:").count(), 1, "{text}");
    }

    #[test]
    fn a_message_about_no_meeting_has_no_calendar_part() {
        assert_eq!(write_meeting(&message(json!({ "meetingMessageType": "none" }))), None);
        assert_eq!(write_meeting(&message(json!({ "iCalUId": "" }))), None);
        assert_eq!(write_meeting(&Properties::new()), None);
    }
}
