//! The recipient's side of every notice: the message in the Inbox, and what it does to the calendar.

use serde_json::{Value, json};

use super::super::event::no_answer;
use super::super::{Fresh, Owner, address_of, complete, flag, members_mut, receive, text};
use super::forward::add_attendees;
use super::{Answer, Meeting, News, SHARED, WHEN, differ, invited_event, is_own, organizer_of};
use crate::{Change, Item, Kind, Mutation, Properties, Refusal, WellKnown};

const CANCELLED_PREFIX: &str = "Canceled: ";

/// Takes a notice in: a message, and the event as it is then. `event` is the one at
/// [`super::event_of_meeting`]; if it is another meeting's, or the sender does not organize it, only the
/// message arrives.
pub fn receive_meeting(
    owner: &Owner,
    fresh: &Fresh,
    mail: &Properties,
    meeting: &Meeting,
    event: Option<&Item>,
) -> Result<Mutation, Refusal> {
    let sender = mail.get("from").map(address_of).unwrap_or_default();
    let arrival = Arrival { owner, fresh, sender, mail, meeting, event };
    let Arrived { shown, calendar } = arrival.take();
    let mut mail = mail.clone();
    mail.extend(about(&meeting.event));
    mail.extend(shown);
    let mut mutation = receive(owner, fresh, WellKnown::Inbox.id_in(owner.id), mail)?.mutation;
    if let Some(properties) = calendar {
        arrival.write(properties, &mut mutation)?;
    }
    Ok(mutation)
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
    ] {
        if let Some(value) = event.get(from) {
            about.insert(name.to_owned(), value.clone());
        }
    }
    let kind = if event.contains_key("recurrence") { "seriesMaster" } else { "singleInstance" };
    about.insert("type".to_owned(), kind.into());
    about.insert("isOutOfDate".to_owned(), false.into());
    about.insert("isDelegated".to_owned(), false.into());
    about
}

/// What a notice comes to.
struct Arrived {
    /// What its message shows besides.
    shown: Properties,
    /// The event after it; `None`: as before.
    calendar: Option<Properties>,
}

struct Arrival<'a> {
    owner: &'a Owner,
    fresh: &'a Fresh,
    sender: &'a str,
    mail: &'a Properties,
    meeting: &'a Meeting,
    event: Option<&'a Item>,
}

impl<'a> Arrival<'a> {
    fn take(&self) -> Arrived {
        let organizes = is_own(self.owner, organizer_of(&self.meeting.event));
        match &self.meeting.news {
            News::Request { .. } | News::Cancelled if organizes => self.nothing("none"),
            News::Request { removed } if removed.iter().any(|it| is_own(self.owner, it)) => self.cancelled(),
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
        Arrived { shown, calendar: None }
    }

    /// The attendee's copy, if it is the sender who organizes it.
    fn copy(&self) -> Option<&'a Item> {
        let is_same = |event: &&Item| {
            text(&event.properties, "iCalUId") == text(&self.meeting.event, "iCalUId")
                && !flag(&event.properties, "isOrganizer")
                && organizer_of(&event.properties).eq_ignore_ascii_case(organizer_of(&self.meeting.event))
        };
        self.event.filter(is_same)
    }

    fn requested(&self) -> Arrived {
        let by_organizer = self.sender.eq_ignore_ascii_case(organizer_of(&self.meeting.event));
        match (self.event, self.copy()) {
            _ if !by_organizer => self.request("none", None),
            (None, _) => self.invited("newMeetingRequest"),
            (Some(_), Some(copy)) if flag(&copy.properties, "isCancelled") => self.invited("newMeetingRequest"),
            (Some(_), Some(copy)) => self.updated(&copy.properties),
            (Some(_), None) => self.request("none", None),
        }
    }

    /// Somebody who is not the organizer invites: what the organizer has sent goes before.
    fn forwarded(&self) -> Arrived {
        match self.event {
            None => self.invited("newMeetingRequest"),
            Some(_) => self.request("none", None),
        }
    }

    fn invited(&self, request_type: &str) -> Arrived {
        let mut event = self.as_invited();
        event.insert("isCancelled".to_owned(), false.into());
        event.insert("responseStatus".to_owned(), json!({ "response": "notResponded", "time": no_answer()["time"] }));
        let shows = if text(&event, "showAs") == "free" { "free" } else { "tentative" };
        event.insert("showAs".to_owned(), shows.into());
        self.request(request_type, Some(event))
    }

    /// The meeting as it is now, over what the attendee has made of it.
    fn updated(&self, copy: &Properties) -> Arrived {
        let mut news = self.as_invited();
        let moved = differ(&WHEN, copy, &news);
        let relocated = differ(&["location"], copy, &news);
        news.retain(|name, _| SHARED.contains(&name.as_str()));
        let mut event = copy.clone();
        event.retain(|name, _| !SHARED.contains(&name.as_str()) && name != "type");
        event.extend(news);
        if moved {
            let status = json!({ "response": "notResponded", "time": no_answer()["time"] });
            event.insert("responseStatus".to_owned(), status);
            if text(&event, "showAs") == "busy" {
                event.insert("showAs".to_owned(), "tentative".into());
            }
        }
        let mut arrived = self.request(if moved { "fullUpdate" } else { "informationalUpdate" }, Some(event));
        let mut previous = |name: &str, from: &str| {
            arrived.shown.insert(name.to_owned(), copy.get(from).cloned().unwrap_or_default());
        };
        if moved {
            previous("previousStartDateTime", "start");
            previous("previousEndDateTime", "end");
        }
        if relocated {
            previous("previousLocation", "location");
        }
        arrived
    }

    fn request(&self, request_type: &str, calendar: Option<Properties>) -> Arrived {
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
        if flag(&event, "hideAttendees")
            && let Some(attendees) = event.get_mut("attendees").and_then(Value::as_array_mut)
        {
            attendees.retain(|attendee| is_own(self.owner, address_of(attendee)));
        }
        for attendee in members_mut(&mut event, "attendees").filter_map(Value::as_object_mut) {
            attendee.insert("status".to_owned(), no_answer());
        }
        event
    }

    fn cancelled(&self) -> Arrived {
        let mut arrived = self.nothing("meetingCancelled");
        let subject = |of: &Properties| {
            let subject = text(of, "subject");
            format!("{CANCELLED_PREFIX}{}", subject.strip_prefix(CANCELLED_PREFIX).unwrap_or(subject))
        };
        arrived.shown.insert("subject".to_owned(), subject(&self.meeting.event).into());
        if flag(&self.meeting.event, "hideAttendees") {
            arrived.shown.insert("toRecipients".to_owned(), self.own_recipients());
            arrived.shown.insert("ccRecipients".to_owned(), json!([]));
        }
        if let Some(copy) = self.copy().filter(|copy| self.sender.eq_ignore_ascii_case(organizer_of(&copy.properties)))
        {
            let mut event = copy.properties.clone();
            event.insert("subject".to_owned(), subject(&copy.properties).into());
            event.insert("isCancelled".to_owned(), true.into());
            event.insert("showAs".to_owned(), "free".into());
            arrived.calendar = Some(event);
        }
        arrived
    }

    /// The organizer's own event, if it is this meeting.
    fn own(&self) -> Option<&'a Item> {
        let is_same = |event: &&Item| {
            text(&event.properties, "iCalUId") == text(&self.meeting.event, "iCalUId")
                && flag(&event.properties, "isOrganizer")
        };
        self.event.filter(is_same)
    }

    fn answered(&self, answer: Answer, proposed: Option<&Value>) -> Arrived {
        let mut arrived = self.nothing(answer.message_type());
        let prefix = if proposed.is_some() { "New Time Proposed: " } else { answer.subject_prefix() };
        let mut show = |name: &str, value: Value| arrived.shown.insert(name.to_owned(), value);
        show("subject", format!("{prefix}{}", text(&self.meeting.event, "subject")).into());
        show("responseType", answer.response_type().into());
        if let Some(proposed) = proposed {
            show("proposedNewTime", proposed.clone());
        }
        let Some(own) = self.own() else { return arrived };
        // An answer to what the meeting was before it was moved counts no more.
        if differ(&WHEN, &own.properties, &self.meeting.event) {
            show("isOutOfDate", true.into());
            return arrived;
        }
        let mut event = own.properties.clone();
        let found = members_mut(&mut event, "attendees")
            .find(|attendee| address_of(attendee).trim().eq_ignore_ascii_case(self.sender));
        if let Some(attendee) = found.and_then(Value::as_object_mut) {
            let time = self.fresh.now.whole_seconds().to_string();
            attendee.insert("status".to_owned(), json!({ "response": answer.response_type(), "time": time }));
            match proposed {
                Some(proposed) => attendee.insert("proposedNewTime".to_owned(), proposed.clone()),
                None => attendee.remove("proposedNewTime"),
            };
            arrived.calendar = Some(event);
        }
        arrived
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
            let mut event = own.properties.clone();
            if add_attendees(&mut event, to) {
                arrived.calendar = Some(event);
            }
        }
        arrived
    }

    /// Adds the event to what the message writes.
    fn write(&self, mut properties: Properties, mutation: &mut Mutation) -> Result<(), Refusal> {
        complete(self.owner, self.fresh, Kind::Event, &mut properties)?;
        let (now, version) = (self.fresh.now.whole_seconds(), self.fresh.removal);
        let item = match self.event {
            Some(old) => Item { modified: now, version, properties, ..old.clone() },
            None => {
                let id = invited_event(self.owner.id, text(&self.meeting.event, "iCalUId"));
                let folder = WellKnown::Calendar.id_in(self.owner.id);
                Item {
                    id,
                    immutable: id.uuid,
                    mailbox: self.owner.id,
                    folder,
                    created: now,
                    modified: now,
                    version,
                    properties,
                }
            }
        };
        mutation.expect.push((item.id, self.event.map(|event| event.version)));
        mutation.changes.push(match self.event {
            Some(old) => Change::updated(self.owner.tenant, old, &item, self.fresh.now),
            None => Change::created(self.owner.tenant, &item, self.fresh.now),
        });
        mutation.puts.push(item);
        Ok(())
    }
}
