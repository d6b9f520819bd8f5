//! The organizer's side: what a new, changed or cancelled meeting tells its attendees.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::send::{RECIPIENTS_MAX, is_address};
use super::super::{Fresh, Owner, address_of, flag};
use super::{Entry, Meeting, News, Notice, SEQUENCE, SHARED, address_mail, cancelled_subject, differ, is_own, mail};
use super::{organizer_of, sequence_of, shared};
use crate::{Item, Mutation, Properties, Refusal};

/// Whether the owner organizes the event.
pub(in crate::mailbox) fn is_meeting_of(owner: &Owner, event: &Properties) -> bool {
    flag(event, "isOrganizer") && is_own(owner, organizer_of(event))
}

/// The invitations that a new event sends.
pub fn invitation(owner: &Owner, fresh: &Fresh, event: &Item) -> Result<Option<Notice>, Refusal> {
    update_from(owner, fresh, &Properties::new(), &event.properties)
}

/// What attendees must hear of a change of an event or of an occurrence. A change of nothing but the attendees is told only to
/// those who are new, and to those who are invited no more; of what is the organizer's own, nobody hears.
pub fn update(owner: &Owner, fresh: &Fresh, before: &Item, after: &Item) -> Result<Option<Notice>, Refusal> {
    update_from(owner, fresh, &before.properties, &after.properties)
}

fn update_from(
    owner: &Owner,
    fresh: &Fresh,
    before: &Properties,
    after: &Properties,
) -> Result<Option<Notice>, Refusal> {
    if !is_meeting_of(owner, after) || flag(after, "isCancelled") {
        return Ok(None);
    }
    let (had, has) = (addresses(owner, before), addresses(owner, after));
    let added: BTreeSet<String> = has.difference(&had).cloned().collect();
    check_added(&added)?;
    if !added.is_empty() && has.len() > RECIPIENTS_MAX {
        return Err(Refusal::TooManyRecipients { recipients_max: RECIPIENTS_MAX });
    }
    let removed: Vec<String> = had.difference(&has).filter(|address| is_address(address)).cloned().collect();
    let others: Vec<&str> = SHARED.into_iter().filter(|name| *name != "attendees").collect();
    let told = if differ(&others, before, after) { &has } else { &added };
    let told = told.iter().filter(|address| is_address(address)).chain(&removed);
    let recipients: Vec<String> = told.cloned().collect();
    let news = News::Request { removed };
    Ok((!recipients.is_empty()).then(|| notice(owner, fresh, after, news, recipients, "")))
}

/// The cancellations that go out when the organizer gives a meeting up.
pub fn cancellation(owner: &Owner, fresh: &Fresh, event: &Properties, comment: &str) -> Option<Notice> {
    if !is_meeting_of(owner, event) || flag(event, "isCancelled") {
        return None;
    }
    let recipients: Vec<String> = addresses(owner, event).into_iter().filter(|address| is_address(address)).collect();
    (!recipients.is_empty()).then(|| {
        let mut notice = notice(owner, fresh, event, News::Cancelled, recipients, comment);
        notice.mail.insert("subject".to_owned(), cancelled_subject(event).into());
        notice.meeting.event.insert(SEQUENCE.to_owned(), (sequence_of(event) + 1).into());
        notice
    })
}

/// `cancel`: the meeting, or one occurrence of it, leaves the organizer's calendar, and its attendees are told.
pub fn cancel(
    owner: &Owner,
    fresh: &Fresh,
    entry: &Entry<'_>,
    comment: &str,
) -> Result<(Mutation, Option<Notice>), Refusal> {
    let event = entry.properties();
    if !is_meeting_of(owner, event) {
        return Err(Refusal::NotTheOrganizer);
    }
    Ok((entry.remove(owner, fresh)?, cancellation(owner, fresh, event, comment)))
}

/// A notice to attendees.
pub(super) fn notice(
    owner: &Owner,
    fresh: &Fresh,
    event: &Properties,
    news: News,
    recipients: Vec<String>,
    comment: &str,
) -> Notice {
    let event = shared(event);
    let mut mail = mail(owner, fresh, &event, comment);
    address_mail(&mut mail, &event);
    Notice { mail, meeting: Meeting { event, news }, recipients }
}

/// The attendees' addresses, without the owner's own.
fn addresses(owner: &Owner, event: &Properties) -> BTreeSet<String> {
    let attendees = event.get("attendees").and_then(Value::as_array).into_iter().flatten();
    attendees.map(|attendee| address_of(attendee).trim().to_lowercase()).filter(|it| !is_own(owner, it)).collect()
}

fn check_added(added: &BTreeSet<String>) -> Result<(), Refusal> {
    match added.iter().find(|address| !is_address(address)) {
        Some(address) => Err(Refusal::InvalidRecipient { address: address.chars().take(320).collect() }),
        None => Ok(()),
    }
}
