//! Meetings: what an organizer tells the attendees, what they answer, and what becomes of it in each
//! mailbox. A [`Notice`] leaves one mailbox with its own mutation and arrives in each other one as a
//! message and a change of the calendar, in one mutation there.
//!
//! No index says which event a notice is about. An event made here has its UUID in its `iCalUId`, and
//! a recipient's copy has an id that follows from mailbox and `iCalUId`.

mod arrive;
mod forward;
mod organize;
mod respond;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub use arrive::receive_meeting;
pub use forward::forward_event;
pub use organize::{cancel, cancellation, invitation, update};
pub(super) use organize::{forget_answers, is_meeting_of};
pub use respond::respond;

use super::{Fresh, Owner, address_of, conversation_id, text};
use crate::{Item, ItemId, Kind, Properties, UserId};

/// What one mailbox tells others of a meeting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meeting {
    /// The meeting as everybody may know it, in Graph's JSON form of an event.
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
const SHARED: [&str; 22] = [
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
    "onlineMeetingProvider",
    "onlineMeetingUrl",
    "organizer",
    "originalEndTimeZone",
    "originalStartTimeZone",
    "recurrence",
    "responseRequested",
    "sensitivity",
    "start",
    "subject",
];

/// Properties that say when a meeting is. If one changes, every answer is void.
const WHEN: [&str; 4] = ["start", "end", "isAllDay", "recurrence"];

/// What everybody may know of an event.
fn shared(event: &Properties) -> Properties {
    let mut shared: Properties =
        SHARED.iter().filter_map(|name| Some(((*name).to_owned(), event.get(*name)?.clone()))).collect();
    for attendee in super::members_mut(&mut shared, "attendees").filter_map(Value::as_object_mut) {
        attendee.retain(|name, _| ["emailAddress", "type"].contains(&name.as_str()));
    }
    for kept in ["reminderMinutesBeforeStart", "showAs"] {
        if let Some(value) = event.get(kept) {
            shared.insert(kept.to_owned(), value.clone());
        }
    }
    shared
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
    put("conversationId", conversation_id(text(event, "iCalUId")).into());
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

/// Namespace of the ids of meetings in attendees' calendars; random, fixed for ever.
const INVITED_NAMESPACE: Uuid = Uuid::from_u128(0x3c1e_8a94_5f0b_4d27_a6d1_09b7_4e52_c38f);

fn invited_event(mailbox: UserId, uid: &str) -> ItemId {
    let mailbox = Uuid::new_v5(&INVITED_NAMESPACE, mailbox.0.as_bytes());
    ItemId::new(Kind::Event, Uuid::new_v5(&mailbox, uid.as_bytes()))
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

/// Where the event that a notice is about would be in the owner's mailbox.
pub fn event_of_meeting(owner: &Owner, meeting: &Meeting) -> Option<ItemId> {
    let uid = text(&meeting.event, "iCalUId");
    match is_own(owner, organizer_of(&meeting.event)) {
        true => own_event(uid),
        false => Some(invited_event(owner.id, uid)),
    }
}

/// Where the event of a meeting message may be: one of these that [`is_event_of`] the message.
pub fn events_of_message(owner: &Owner, message: &Item) -> Vec<ItemId> {
    match text(&message.properties, "iCalUId") {
        "" => Vec::new(),
        uid => own_event(uid).into_iter().chain([invited_event(owner.id, uid)]).collect(),
    }
}

/// Whether a meeting message is about this event.
pub fn is_event_of(message: &Item, event: &Item) -> bool {
    text(&message.properties, "iCalUId") == text(&event.properties, "iCalUId")
}

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
