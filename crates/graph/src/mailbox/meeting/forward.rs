//! `forward` of an event: others are invited to it.

use serde_json::{Value, json};

use super::super::event::no_answer;
use super::super::send::recipients_of;
use super::super::{Fresh, Owner, address_of, name_recipient};
use super::organize::notice;
use super::{Entry, News, Notice, is_meeting_of, is_own, organizer_of, settle};
use crate::schema::MEMBERS_MAX;
use crate::{Mutation, Properties, Refusal};

/// Invites others to an event, or to one occurrence. The organizer's event gets them as attendees; an
/// attendee's stays as it is, and the organizer hears who was invited.
pub fn forward_event(
    owner: &Owner,
    fresh: &Fresh,
    entry: &Entry<'_>,
    to: Vec<Value>,
    comment: &str,
) -> Result<(Mutation, Notice), Refusal> {
    let mut recipients = recipients_of(to.iter())?;
    recipients.retain(|address| !is_own(owner, address));
    if recipients.is_empty() {
        return Err(Refusal::NoRecipients);
    }
    let mut properties = entry.properties().clone();
    let grew = add_attendees(&mut properties, &to);
    if is_meeting_of(owner, &properties) {
        settle(owner, entry.properties(), &mut properties);
        let mutation = if grew { entry.put(owner, fresh, properties.clone())? } else { Mutation::default() };
        let news = News::Request { removed: Vec::new() };
        return Ok((mutation, notice(owner, fresh, &properties, news, recipients, comment)));
    }
    let organizer = organizer_of(&properties).trim().to_lowercase();
    if !organizer.is_empty() && !recipients.contains(&organizer) {
        recipients.push(organizer);
    }
    let mut notice = notice(owner, fresh, &properties, News::Forwarded { to: to.clone() }, recipients, comment);
    notice
        .mail
        .insert("toRecipients".to_owned(), to.iter().map(|to| json!({ "emailAddress": to["emailAddress"] })).collect());
    notice.mail.insert("ccRecipients".to_owned(), json!([]));
    Ok((Mutation::default(), notice))
}

/// Adds those who are no attendees yet, as long as there is room; tells whether there were any.
pub(super) fn add_attendees(event: &mut Properties, to: &[Value]) -> bool {
    let organizer = organizer_of(event).to_owned();
    let attendees = event.entry("attendees").or_insert_with(|| json!([]));
    let Some(attendees) = attendees.as_array_mut() else { return false };
    let before = attendees.len();
    for recipient in to {
        let address = address_of(recipient).trim();
        let known = |attendee: &Value| address_of(attendee).eq_ignore_ascii_case(address);
        if address.eq_ignore_ascii_case(&organizer) || attendees.iter().any(known) || attendees.len() >= MEMBERS_MAX {
            continue;
        }
        let mut attendee =
            json!({ "emailAddress": recipient["emailAddress"], "type": "required", "status": no_answer() });
        name_recipient(&mut attendee);
        attendees.push(attendee);
    }
    attendees.len() > before
}
