//! What is kept of single occurrences of a meeting, and what becomes of it when the whole series changes or
//! is answered.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::event::no_answer;
use super::super::{Owner, address_of, members_mut, text};
use super::{SEQUENCE, SHARED, WHEN, cancelled_subject, differ, is_meeting_of, sequence_of};
use crate::occurrence::{CANCELLED, EXCEPTIONS, ORIGINAL_START, cancelled, change_exceptions, kept};
use crate::occurrence::{set_cancelled_days, set_exceptions};
use crate::{Properties, Recurrence};

/// Brings the attendees of an organizer's meeting in line with a change of it. One that is at another time has
/// no answers yet; who is invited to a series, or no more, is so to each of its occurrences.
pub(in crate::mailbox) fn settle(owner: &Owner, before: &Properties, after: &mut Properties) {
    if !is_meeting_of(owner, after) {
        return;
    }
    if differ(&WHEN, before, after) {
        after.insert(SEQUENCE.to_owned(), (sequence_of(before) + 1).into());
        forget_answers(after);
        change_attendees(after, forget_answers);
        change_exceptions(after, |occurrence| {
            if occurrence.contains_key(SEQUENCE) {
                let next = sequence_of(occurrence) + 1;
                occurrence.insert(SEQUENCE.to_owned(), next.into());
            }
        });
    }
    if before.get("attendees") != after.get("attendees") {
        follow_attendees(before, after);
    }
}

fn forget_answers(event: &mut Properties) {
    for attendee in members_mut(event, "attendees").filter_map(Value::as_object_mut) {
        attendee.insert("status".to_owned(), no_answer());
        attendee.remove("proposedNewTime");
    }
}

fn follow_attendees(before: &Properties, after: &mut Properties) {
    let of = |event: &Properties| event.get("attendees").and_then(Value::as_array).cloned().unwrap_or_default();
    let address = |attendee: &Value| address_of(attendee).to_lowercase();
    let addresses = |list: &[Value]| -> BTreeSet<String> { list.iter().map(address).collect() };
    let (before, now) = (of(before), of(after));
    let (had, has) = (addresses(&before), addresses(&now));
    let added: Vec<&Value> = now.iter().filter(|attendee| !had.contains(&address(attendee))).collect();
    change_attendees(after, |occurrence| {
        let Some(attendees) = occurrence.get_mut("attendees").and_then(Value::as_array_mut) else { return };
        attendees.retain(|attendee| has.contains(&address(attendee)) || !had.contains(&address(attendee)));
        let there = addresses(attendees);
        let missing = added.iter().filter(|attendee| !there.contains(&address(attendee)));
        attendees.extend(missing.map(|attendee| (*attendee).clone()));
    });
}

/// Changes the attendees of each occurrence that has its own; where they are those of the series, it follows
/// that again.
pub(super) fn change_attendees(series: &mut Properties, mut change: impl FnMut(&mut Properties)) {
    let of_series = series.get("attendees").cloned();
    change_exceptions(series, |occurrence| {
        if occurrence.contains_key("attendees") {
            change(occurrence);
            if occurrence.get("attendees") == of_series.as_ref() {
                occurrence.remove("attendees");
            }
        }
    });
}

/// An answer to a series is one to each of its occurrences, whatever was answered to them before.
pub(super) fn answer_all(series: &mut Properties) {
    change_exceptions(series, |occurrence| {
        occurrence.remove("responseStatus");
        if ["busy", "tentative"].contains(&text(occurrence, "showAs")) {
            occurrence.remove("showAs");
        }
    });
}

/// When a meeting is off, so is each of its occurrences, whatever was different about it.
pub(super) fn call_off(event: &mut Properties) {
    let off = |of: &Properties| [("subject", cancelled_subject(of).into()), ("showAs", "free".into())];
    event.extend(off(event).map(|(name, value): (_, Value)| (name.to_owned(), value)));
    event.insert("isCancelled".to_owned(), true.into());
    change_exceptions(event, |occurrence| {
        for (name, value) in off(occurrence) {
            occurrence.entry(name).and_modify(|own| *own = value);
        }
    });
}

/// Leaves of what is kept of occurrences what everybody may know.
pub(super) fn share(series: &mut Properties) {
    change_exceptions(series, |occurrence| {
        occurrence.retain(|name, _| name == ORIGINAL_START || SHARED.contains(&name.as_str()));
    });
}

/// The meeting as it is now, over what an attendee has made of it. If it is at other times, what the attendee
/// has said of single occurrences is void, as every answer is.
pub(super) fn over(copy: &Properties, news: &Properties) -> Properties {
    let is_shared = |name: &String| SHARED.contains(&name.as_str());
    let mut event = copy.clone();
    event.retain(|name, _| !is_shared(name) && name != "type" && name != EXCEPTIONS && name != CANCELLED);
    event.extend(news.iter().filter(|(name, _)| is_shared(name)).map(|(name, value)| (name.clone(), value.clone())));
    let (mut exceptions, mut days) = (kept(news), cancelled(news).collect::<Vec<_>>());
    if !differ(&WHEN, copy, news) {
        for (original, own) in kept(copy) {
            // What the news do not tell again stays; some organizers tell of the series alone.
            let is_told = exceptions.contains_key(&original);
            let stays = |name: &String| if is_told { !is_shared(name) } else { name != "attendees" };
            let own = own.into_iter().filter(|(name, _)| stays(name));
            exceptions.entry(original).or_default().extend(own);
        }
        days.extend(cancelled(copy));
    }
    let recurrence = Recurrence::of(&event).ok().flatten();
    let is_there = |original| recurrence.as_ref().is_none_or(|series| !days.contains(&series.local_date(original)));
    exceptions.retain(|original, _| is_there(*original));
    set_exceptions(&mut event, exceptions);
    set_cancelled_days(&mut event, days);
    event
}
