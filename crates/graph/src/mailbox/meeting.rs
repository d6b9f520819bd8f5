//! Meetings: what an organizer tells the attendees, what they answer, and what becomes of it in each
//! mailbox. A [`Notice`] leaves one mailbox with its own mutation and arrives in each other one as a
//! message and a change of the calendar, in one mutation there.
//!
//! No index says which event a notice is about. An event made here has its UUID in its `iCalUId`, and
//! a recipient's copy has an id that follows from mailbox and `iCalUId`. What is told of one occurrence names
//! it by the UID of its series and its original start ([`OCCURRENCE_OF`]). In the calendar of who has the
//! series it is an exception of that; of who was invited to nothing else it is an event of its own.

mod arrive;
mod entry;
mod forward;
mod organize;
mod respond;
mod series;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub use arrive::receive_meeting;
pub use entry::Entry;
pub use forward::forward_event;
pub(super) use organize::is_meeting_of;
pub use organize::{cancel, cancellation, invitation, update};
pub use respond::respond;
pub(super) use series::settle;

use super::{Fresh, Owner, address_of, conversation_id, text};
use crate::occurrence::{CANCELLED, EXCEPTIONS, OCCURRENCE_OF, occurrence_of};
use crate::{Item, ItemId, Kind, Properties, Timestamp, UserId};

/// What one mailbox tells others of a meeting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meeting {
    /// The meeting, or one occurrence of it, as everybody may know it, in Graph's JSON form of an event.
    pub event: Properties,
    pub news: News,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum News {
    /// The meeting is to be, or has changed. For the addresses in `removed` it is off.
    Request {
        removed: Vec<String>,
    },
    Cancelled,
    /// To the organizer: whether the sender comes, and when the sender would rather meet.
    Response {
        answer: Answer,
        proposed: Option<Value>,
    },
    /// An attendee invites others. To the organizer: who they are.
    Forwarded {
        to: Vec<Value>,
    },
}

/// How an attendee answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    Accepted,
    Tentative,
    Declined,
}

impl Answer {
    /// Graph's `responseType`.
    fn response_type(self) -> &'static str {
        match self {
            Answer::Accepted => "accepted",
            Answer::Tentative => "tentativelyAccepted",
            Answer::Declined => "declined",
        }
    }

    /// Graph's `meetingMessageType`; the metadata misspells one.
    fn message_type(self) -> &'static str {
        match self {
            Answer::Accepted => "meetingAccepted",
            Answer::Tentative => "meetingTenativelyAccepted",
            Answer::Declined => "meetingDeclined",
        }
    }

    fn subject_prefix(self) -> &'static str {
        match self {
            Answer::Accepted => "Accepted: ",
            Answer::Tentative => "Tentative: ",
            Answer::Declined => "Declined: ",
        }
    }
}

/// Something to tell, on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The message that carries it; each recipient completes it by what the news is to them.
    pub mail: Properties,
    pub meeting: Meeting,
    /// The addresses it goes to, each once, in lower case.
    pub recipients: Vec<String>,
}

/// Properties of an event that are the same in every copy of a meeting.
const SHARED: [&str; 24] = [
    "allowNewTimeProposals",
    "attendees",
    "body",
    "bodyPreview",
    "end",
    "hideAttendees",
    "iCalUId",
    "importance",
    "isAllDay",
    "isOnlineMeeting",
    "location",
    "locations",
    "onlineMeeting",
    "onlineMeetingProvider",
    "onlineMeetingUrl",
    "organizer",
    "originalEndTimeZone",
    "originalStartTimeZone",
    "recurrence",
    "responseRequested",
    "sensitivity",
    SEQUENCE,
    "start",
    "subject",
];

/// How often an event was moved by its organizer. What is told with a lower number is out of date.
pub(crate) const SEQUENCE: &str = "sequence";
/// What the subject of a cancellation begins with.
pub(crate) const CANCELLED_PREFIX: &str = "Canceled: ";

/// Properties that say when a meeting is. If one changes, every answer is void.
const WHEN: [&str; 4] = ["start", "end", "isAllDay", "recurrence"];

/// The [`SEQUENCE`] of an event, or of a message about it.
pub(crate) fn sequence_of(event: &Properties) -> i64 {
    event.get(SEQUENCE).and_then(Value::as_i64).unwrap_or_default()
}

fn cancelled_subject(event: &Properties) -> String {
    let subject = text(event, "subject");
    format!("{CANCELLED_PREFIX}{}", subject.strip_prefix(CANCELLED_PREFIX).unwrap_or(subject))
}

/// What everybody may know of an event.
pub(crate) fn shared(event: &Properties) -> Properties {
    let mut shared: Properties =
        SHARED.iter().filter_map(|name| Some(((*name).to_owned(), event.get(*name)?.clone()))).collect();
    for kept in ["reminderMinutesBeforeStart", "showAs", OCCURRENCE_OF, EXCEPTIONS, CANCELLED] {
        if let Some(value) = event.get(kept) {
            shared.insert(kept.to_owned(), value.clone());
        }
    }
    series::share(&mut shared);
    for_each_attendees(&mut shared, |event| {
        for attendee in super::members_mut(event, "attendees").filter_map(Value::as_object_mut) {
            attendee.retain(|name, _| ["emailAddress", "type"].contains(&name.as_str()));
        }
    });
    shared
}

/// Does something with the attendees of a meeting, and with those of each occurrence that has its own.
fn for_each_attendees(event: &mut Properties, change: impl Fn(&mut Properties)) {
    change(event);
    crate::occurrence::change_exceptions(event, change);
}

fn differ(names: &[&str], one: &Properties, other: &Properties) -> bool {
    names.iter().any(|name| one.get(*name) != other.get(*name))
}

/// The message that carries news of an event: from the owner, in the meeting's own conversation.
fn mail(owner: &Owner, fresh: &Fresh, event: &Properties, comment: &str) -> Properties {
    let own = json!({ "emailAddress": { "name": owner.name, "address": owner.address } });
    let mut mail = Properties::new();
    let mut put = |name: &str, value: Value| mail.insert(name.to_owned(), value);
    put("from", own.clone());
    put("sender", own);
    put("subject", text(event, "subject").into());
    put("sentDateTime", fresh.now.whole_seconds().to_string().into());
    put("internetMessageId", super::message::new_message_id(owner, fresh).into());
    put("conversationId", conversation_id(uid_of(event)).into());
    put("importance", event.get("importance").cloned().unwrap_or_else(|| "normal".into()));
    if !comment.is_empty() {
        put("body", json!({ "contentType": "text", "content": comment }));
    }
    mail
}

/// The attendees as a message's recipients.
fn address_mail(mail: &mut Properties, event: &Properties) {
    let attendees = event.get("attendees").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of = |kinds: &[&str]| -> Value {
        let chosen = attendees
            .iter()
            .filter(|attendee| kinds.contains(&attendee.get("type").and_then(Value::as_str).unwrap_or("required")));
        chosen.map(|attendee| json!({ "emailAddress": attendee["emailAddress"] })).collect()
    };
    mail.insert("toRecipients".to_owned(), of(&["required"]));
    mail.insert("ccRecipients".to_owned(), of(&["optional", "resource"]));
}

/// The UID by which a meeting is known in every mailbox; of an occurrence that of its series.
fn uid_of(event: &Properties) -> &str {
    occurrence_of(event).map_or_else(|| text(event, "iCalUId"), |(uid, _)| uid)
}

/// Namespace of the ids of meetings in attendees' calendars; random, fixed for ever.
const INVITED_NAMESPACE: Uuid = Uuid::from_u128(0x3c1e_8a94_5f0b_4d27_a6d1_09b7_4e52_c38f);

fn invited_event(mailbox: UserId, uid: &str) -> ItemId {
    let mailbox = Uuid::new_v5(&INVITED_NAMESPACE, mailbox.0.as_bytes());
    ItemId::new(Kind::Event, Uuid::new_v5(&mailbox, uid.as_bytes()))
}

/// The event of who was invited to nothing but this occurrence. No UID has a line break.
fn invited_occurrence(mailbox: UserId, uid: &str, original: Timestamp) -> ItemId {
    invited_event(mailbox, &format!("{uid}\n{original}"))
}

/// The event that was made here with this `iCalUId`, if it is one of ours.
fn own_event(uid: &str) -> Option<ItemId> {
    let guid = uid.strip_prefix(super::event::UID_PREFIX)?;
    let guid = guid.get(guid.len().checked_sub(32)?..)?;
    Some(ItemId::new(Kind::Event, Uuid::try_parse(guid).ok()?))
}

fn organizer_of(event: &Properties) -> &str {
    event.get("organizer").map(address_of).unwrap_or_default()
}

fn is_own(owner: &Owner, address: &str) -> bool {
    address.trim().eq_ignore_ascii_case(&owner.address)
}

/// Where the event that a notice is about may be in the owner's mailbox; if it is nowhere, it would be at the
/// last of these.
pub fn events_of_meeting(owner: &Owner, meeting: &Meeting) -> Vec<ItemId> {
    let uid = uid_of(&meeting.event);
    if is_own(owner, organizer_of(&meeting.event)) {
        return own_event(uid).into_iter().collect();
    }
    let alone = occurrence_of(&meeting.event).map(|(uid, original)| invited_occurrence(owner.id, uid, original));
    [invited_event(owner.id, uid)].into_iter().chain(alone).collect()
}

/// Where the event of a meeting message may be: one of these that [`entry_of_message`] finds it in.
pub fn events_of_message(owner: &Owner, message: &Item) -> Vec<ItemId> {
    let uid = uid_of(&message.properties);
    if uid.is_empty() {
        return Vec::new();
    }
    let alone = occurrence_of(&message.properties).map(|(uid, original)| invited_occurrence(owner.id, uid, original));
    own_event(uid).into_iter().chain([invited_event(owner.id, uid)]).chain(alone).collect()
}

/// What a meeting message is about, if it is this event, or an occurrence of it that is there.
pub fn entry_of_message<'a>(message: &Item, event: &'a Item) -> Option<Entry<'a>> {
    if uid_of(&message.properties) != uid_of(&event.properties) {
        return None;
    }
    let found = match (occurrence_of(&message.properties), occurrence_of(&event.properties)) {
        (Some((_, original)), None) => Entry::at(event, original)?,
        (about, of) if about == of => Entry::of(event),
        _ => return None,
    };
    (!found.is_taken_out()).then_some(found)
}

/// What a meeting message has that no answer shows: what finds its event, and what calendars elsewhere need.
pub(crate) const INTERNAL: [&str; 6] = ["iCalUId", OCCURRENCE_OF, "organizer", "sensitivity", SEQUENCE, "showAs"];

/// The type in Graph's metadata of a message that speaks of a meeting.
pub fn message_type(message: &Properties) -> Option<&'static str> {
    match text(message, "meetingMessageType") {
        "" => None,
        "meetingRequest" => Some("eventMessageRequest"),
        "meetingAccepted" | "meetingTenativelyAccepted" | "meetingDeclined" => Some("eventMessageResponse"),
        _ => Some("eventMessage"),
    }
}

#[cfg(test)]
mod tests;
