//! The recipient's side of every notice: the message in the Inbox, and what it does to the calendar.

use serde_json::{Value, json};

use super::super::event::no_answer;
use super::super::occurrence::check_length;
use super::super::{Fresh, Owner, address_of, complete, flag, members_mut, put, receive, text};
use super::forward::add_attendees;
use super::series::{call_off, change_attendees, over};
use super::{Answer, Entry, Meeting, News, SEQUENCE, WHEN, cancelled_subject, differ, events_of_meeting};
use super::{for_each_attendees, is_own, organizer_of, sequence_of, settle, uid_of};
use crate::occurrence::{OCCURRENCE_OF, occurrence_of};
use crate::{Item, ItemId, Kind, Mutation, Properties, Refusal, WellKnown};

/// Takes a notice in: a message, and the event as it is then. `events` are those that there are of
/// [`events_of_meeting`]; if it is another meeting's, or the sender does not organize it, only the message
/// arrives. So it does if what is told does not make an event.
pub fn receive_meeting(
    owner: &Owner,
    fresh: &Fresh,
    mail: &Properties,
    meeting: &Meeting,
    events: &[Item],
) -> Result<Mutation, Refusal> {
    let sender = mail.get("from").map(address_of).unwrap_or_default();
    let places = events_of_meeting(owner, meeting);
    let entry = find(&places, meeting, events);
    let arrival = Arrival { owner, fresh, sender, mail, meeting, entry };
    let Arrived { shown, calendar } = arrival.take();
    let mut mail = mail.clone();
    mail.extend(about(&meeting.event));
    mail.extend(shown);
    let mut mutation = receive(owner, fresh, WellKnown::Inbox.id_in(owner.id), mail)?.mutation;
    if let Ok(Mutation { expect, expect_folders, puts, removes, changes, .. }) = arrival.write(calendar, &places) {
        mutation.expect.extend(expect);
        mutation.expect_folders.extend(expect_folders);
        mutation.puts.extend(puts);
        mutation.removes.extend(removes);
        mutation.changes.extend(changes);
    }
    for place in places {
        let absent = (place, None);
        if events.iter().all(|event| event.id != place) && !mutation.expect.contains(&absent) {
            mutation.expect.push(absent);
        }
    }
    Ok(mutation)
}

/// What a notice is about, if it is there. An occurrence of a series goes before an event of its own.
fn find<'a>(places: &[ItemId], meeting: &Meeting, events: &'a [Item]) -> Option<Entry<'a>> {
    let mut there = places.iter().filter_map(|place| events.iter().find(|event| event.id == *place));
    match occurrence_of(&meeting.event) {
        None => there.next().map(Entry::of),
        Some((_, original)) => there.find_map(|event| match occurrence_of(&event.properties) {
            None => Entry::at(event, original),
            Some(_) => Some(Entry::of(event)),
        }),
    }
}

/// What every meeting message shows of its event.
fn about(event: &Properties) -> Properties {
    let mut about = Properties::new();
    for (name, from) in [
        ("startDateTime", "start"),
        ("endDateTime", "end"),
        ("location", "location"),
        ("isAllDay", "isAllDay"),
        ("recurrence", "recurrence"),
        ("iCalUId", "iCalUId"),
        (OCCURRENCE_OF, OCCURRENCE_OF),
        ("organizer", "organizer"),
        ("sensitivity", "sensitivity"),
        ("showAs", "showAs"),
        (SEQUENCE, SEQUENCE),
    ] {
        if let Some(value) = event.get(from) {
            about.insert(name.to_owned(), value.clone());
        }
    }
    let kind = match () {
        () if occurrence_of(event).is_some() => "exception",
        () if event.contains_key("recurrence") => "seriesMaster",
        () => "singleInstance",
    };
    about.insert("type".to_owned(), kind.into());
    about.insert("isOutOfDate".to_owned(), false.into());
    about.insert("isDelegated".to_owned(), false.into());
    about
}

/// What a notice comes to.
struct Arrived {
    /// What its message shows besides.
    shown: Properties,
    calendar: Calendar,
}

/// What becomes of the event.
enum Calendar {
    AsBefore,
    Now(Properties),
    Gone,
}

struct Arrival<'a> {
    owner: &'a Owner,
    fresh: &'a Fresh,
    sender: &'a str,
    mail: &'a Properties,
    meeting: &'a Meeting,
    /// What it is about, as it is in the owner's calendar.
    entry: Option<Entry<'a>>,
}

impl Arrival<'_> {
    fn take(&self) -> Arrived {
        let organizes = is_own(self.owner, organizer_of(&self.meeting.event));
        match &self.meeting.news {
            News::Request { .. } | News::Cancelled if organizes => self.nothing("none"),
            News::Request { removed } if removed.iter().any(|it| is_own(self.owner, it)) => self.removed(),
            News::Request { .. } => self.requested(),
            News::Cancelled => self.cancelled(),
            News::Forwarded { to } if organizes => self.told_of_forward(to),
            News::Forwarded { .. } => self.forwarded(),
            News::Response { answer, proposed } => self.answered(*answer, proposed.as_ref()),
        }
    }

    /// A message of that type, which says nothing to the calendar.
    fn nothing(&self, message_type: &str) -> Arrived {
        let mut shown = Properties::new();
        shown.insert("meetingMessageType".to_owned(), message_type.into());
        Arrived { shown, calendar: Calendar::AsBefore }
    }

    /// The event, if it is of this meeting.
    fn event(&self) -> Option<&Properties> {
        let event = self.entry.as_ref()?.properties();
        (uid_of(event) == uid_of(&self.meeting.event)).then_some(event)
    }

    /// The attendee's copy, if it is this organizer's meeting.
    fn copy(&self) -> Option<&Properties> {
        let organizer = organizer_of(&self.meeting.event);
        self.event().filter(|event| !flag(event, "isOrganizer") && organizer_of(event).eq_ignore_ascii_case(organizer))
    }

    /// The organizer's own event.
    fn own(&self) -> Option<&Properties> {
        self.event().filter(|event| flag(event, "isOrganizer") && !self.is_taken_out())
    }

    /// Whether it is an occurrence that the series had, and has no more.
    fn is_taken_out(&self) -> bool {
        self.entry.as_ref().is_some_and(Entry::is_taken_out)
    }

    fn is_older_than(&self, event: &Properties) -> bool {
        sequence_of(&self.meeting.event) < sequence_of(event)
    }

    fn outdated(&self, mut arrived: Arrived) -> Arrived {
        arrived.shown.insert("isOutOfDate".to_owned(), true.into());
        arrived
    }

    fn is_by_organizer(&self) -> bool {
        self.sender.eq_ignore_ascii_case(organizer_of(&self.meeting.event))
    }

    fn requested(&self) -> Arrived {
        match (&self.entry, self.copy()) {
            _ if !self.is_by_organizer() => self.request("none", Calendar::AsBefore),
            (None, _) => self.invited(None),
            (Some(_), Some(copy)) if self.is_older_than(copy) => {
                self.outdated(self.request("outdated", Calendar::AsBefore))
            }
            (Some(_), Some(copy)) if self.is_taken_out() || flag(copy, "isCancelled") => self.invited(Some(copy)),
            (Some(_), Some(copy)) => self.updated(copy),
            (Some(_), None) => self.request("none", Calendar::AsBefore),
        }
    }

    /// Somebody who is not the organizer invites: what the organizer has sent goes before.
    fn forwarded(&self) -> Arrived {
        match self.entry {
            None => self.invited(None),
            Some(_) => self.request("none", Calendar::AsBefore),
        }
    }

    /// A new request, perhaps to what was off.
    fn invited(&self, copy: Option<&Properties>) -> Arrived {
        let news = self.as_invited();
        let mut event = copy.map_or_else(|| news.clone(), |copy| over(copy, &news));
        event.insert("isCancelled".to_owned(), false.into());
        event.insert("responseStatus".to_owned(), not_responded());
        let shows = if text(&news, "showAs") == "free" { "free" } else { "tentative" };
        event.insert("showAs".to_owned(), shows.into());
        self.request("newMeetingRequest", Calendar::Now(event))
    }

    fn updated(&self, copy: &Properties) -> Arrived {
        let news = self.as_invited();
        let moved = differ(&WHEN, copy, &news);
        let mut event = over(copy, &news);
        if moved {
            event.insert("responseStatus".to_owned(), not_responded());
            if text(&event, "showAs") == "busy" {
                event.insert("showAs".to_owned(), "tentative".into());
            }
        }
        let request_type = if moved { "fullUpdate" } else { "informationalUpdate" };
        let mut arrived = self.request(request_type, Calendar::Now(event));
        let mut previous = |name: &str, from: &str| {
            arrived.shown.insert(name.to_owned(), copy.get(from).cloned().unwrap_or_default());
        };
        if moved {
            previous("previousStartDateTime", "start");
            previous("previousEndDateTime", "end");
        }
        if differ(&["location"], copy, &news) {
            previous("previousLocation", "location");
        }
        arrived
    }

    fn request(&self, request_type: &str, calendar: Calendar) -> Arrived {
        let Arrived { mut shown, .. } = self.nothing("meetingRequest");
        if let (false, Some(body)) = (self.mail.contains_key("body"), self.meeting.event.get("body")) {
            shown.insert("body".to_owned(), body.clone());
        }
        shown.insert("meetingRequestType".to_owned(), request_type.into());
        for name in ["allowNewTimeProposals", "responseRequested"] {
            shown.insert(name.to_owned(), self.meeting.event.get(name).cloned().unwrap_or(Value::Bool(true)));
        }
        if flag(&self.meeting.event, "hideAttendees") {
            shown.insert("toRecipients".to_owned(), self.own_recipients());
            shown.insert("ccRecipients".to_owned(), json!([]));
        }
        Arrived { shown, calendar }
    }

    fn own_recipients(&self) -> Value {
        json!([{ "emailAddress": { "name": self.owner.name, "address": self.owner.address } }])
    }

    /// The event as the recipient may know it.
    fn as_invited(&self) -> Properties {
        let mut event = self.meeting.event.clone();
        let hides = flag(&event, "hideAttendees");
        for_each_attendees(&mut event, |event| {
            if event.get("hideAttendees").and_then(Value::as_bool).unwrap_or(hides)
                && let Some(attendees) = event.get_mut("attendees").and_then(Value::as_array_mut)
            {
                attendees.retain(|attendee| is_own(self.owner, address_of(attendee)));
            }
            for attendee in members_mut(event, "attendees").filter_map(Value::as_object_mut) {
                attendee.insert("status".to_owned(), no_answer());
            }
        });
        event
    }

    fn cancelled(&self) -> Arrived {
        let mut arrived = self.nothing("meetingCancelled");
        if flag(&self.meeting.event, "hideAttendees") {
            arrived.shown.insert("toRecipients".to_owned(), self.own_recipients());
            arrived.shown.insert("ccRecipients".to_owned(), json!([]));
        }
        match self.copy() {
            Some(copy) if self.is_older_than(copy) => return self.outdated(arrived),
            Some(copy) if self.is_by_organizer() => arrived.calendar = self.called_off(copy),
            _ => {}
        }
        arrived
    }

    /// To who is invited no more, the meeting is off.
    fn removed(&self) -> Arrived {
        let mut arrived = self.cancelled();
        arrived.shown.insert("subject".to_owned(), cancelled_subject(&self.meeting.event).into());
        arrived
    }

    /// An event that was called off stays, and says so; of a series, the occurrence goes.
    fn called_off(&self, copy: &Properties) -> Calendar {
        if self.entry.as_ref().is_some_and(|entry| entry.occurrence().is_some()) {
            return if self.is_taken_out() { Calendar::AsBefore } else { Calendar::Gone };
        }
        let mut event = copy.clone();
        call_off(&mut event);
        event.insert(SEQUENCE.to_owned(), sequence_of(&self.meeting.event).into());
        Calendar::Now(event)
    }

    fn answered(&self, answer: Answer, proposed: Option<&Value>) -> Arrived {
        let mut arrived = self.nothing(answer.message_type());
        let mut show = |name: &str, value: Value| arrived.shown.insert(name.to_owned(), value);
        show("responseType", answer.response_type().into());
        if let Some(proposed) = proposed {
            show("proposedNewTime", proposed.clone());
        }
        let Some(own) = self.own() else { return arrived };
        // An answer to what the meeting was before it was moved counts no more.
        if self.is_older_than(own) {
            return self.outdated(arrived);
        }
        let mut event = own.clone();
        if self.note_answer(&mut event, answer, proposed) {
            change_attendees(&mut event, |occurrence| {
                self.note_answer(occurrence, answer, proposed);
            });
            arrived.calendar = Calendar::Now(event);
        }
        arrived
    }

    /// Puts the sender's answer to the sender's name among the attendees; tells whether it is there.
    fn note_answer(&self, event: &mut Properties, answer: Answer, proposed: Option<&Value>) -> bool {
        let found = members_mut(event, "attendees")
            .find(|attendee| address_of(attendee).trim().eq_ignore_ascii_case(self.sender));
        let Some(attendee) = found.and_then(Value::as_object_mut) else { return false };
        let time = self.fresh.now.whole_seconds().to_string();
        attendee.insert("status".to_owned(), json!({ "response": answer.response_type(), "time": time }));
        match proposed {
            Some(proposed) => attendee.insert("proposedNewTime".to_owned(), proposed.clone()),
            None => attendee.remove("proposedNewTime"),
        };
        true
    }

    fn told_of_forward(&self, to: &[Value]) -> Arrived {
        let mut arrived = self.nothing("none");
        let names = to.iter().map(address_of).collect::<Vec<_>>().join(", ");
        let mut show = |name: &str, value: Value| arrived.shown.insert(name.to_owned(), value);
        show("subject", format!("Meeting Forward Notification: {}", text(&self.meeting.event, "subject")).into());
        let content = format!("{} has forwarded your meeting to {names}.", self.sender);
        show("body", json!({ "contentType": "text", "content": content }));
        show("toRecipients", self.own_recipients());
        if let Some(own) = self.own() {
            let mut event = own.clone();
            if add_attendees(&mut event, to) {
                settle(self.owner, own, &mut event);
                arrived.calendar = Calendar::Now(event);
            }
        }
        arrived
    }

    /// What the message does to the calendar. An event that is new lies at the last of the places.
    fn write(&self, calendar: Calendar, places: &[ItemId]) -> Result<Mutation, Refusal> {
        let fresh = Fresh { change: self.fresh.removal, ..*self.fresh };
        let mut properties = match (calendar, &self.entry) {
            (Calendar::AsBefore, _) | (Calendar::Gone, None) => return Ok(Mutation::default()),
            (Calendar::Gone, Some(entry)) => return entry.remove(self.owner, &fresh),
            (Calendar::Now(properties), _) => properties,
        };
        complete(self.owner, &fresh, Kind::Event, &mut properties)?;
        check_length(&properties)?;
        match (&self.entry, places.last()) {
            (Some(entry), _) => entry.put(self.owner, &fresh, properties),
            (None, Some(place)) => Ok(put(self.owner, &fresh, self.new_event(&fresh, *place, properties)).mutation),
            (None, None) => Ok(Mutation::default()),
        }
    }

    fn new_event(&self, fresh: &Fresh, id: ItemId, properties: Properties) -> Item {
        let now = fresh.now.whole_seconds();
        Item {
            id,
            immutable: id.uuid,
            mailbox: self.owner.id,
            folder: WellKnown::Calendar.id_in(self.owner.id),
            created: now,
            modified: now,
            version: fresh.change,
            properties: properties.into(),
        }
    }
}

fn not_responded() -> Value {
    json!({ "response": "notResponded", "time": no_answer()["time"] })
}
