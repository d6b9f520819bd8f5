//! The attendee's side: `accept`, `tentativelyAccept`, `decline`.

use serde_json::{Value, json};

use super::super::when::When;
use super::super::{Fresh, Owner, flag, remove, text};
use super::{Answer, Meeting, News, Notice, is_meeting_of, mail, organizer_of, shared};
use crate::schema::Response;
use crate::{Change, Item, Mutation, Refusal};

/// Answers an invitation. The attendee's event shows the answer, or is gone after `decline`; the organizer
/// hears of it unless neither wants that. A proposed time is always told.
pub fn respond(
    owner: &Owner,
    fresh: &Fresh,
    event: &Item,
    answer: Answer,
    response: &Response,
) -> Result<(Mutation, Option<Notice>), Refusal> {
    let organizer = organizer_of(&event.properties).trim().to_lowercase();
    if is_meeting_of(owner, &event.properties) {
        return Err(Refusal::OwnMeeting);
    }
    if organizer.is_empty() {
        return Err(Refusal::NoOrganizer);
    }
    if flag(&event.properties, "isCancelled") {
        return Err(Refusal::MeetingCancelled);
    }
    let proposed = response.proposed.as_ref().map(time_slot).transpose()?;
    if proposed.is_some() && !response.send {
        return Err(Refusal::ProposalWithoutResponse);
    }
    if proposed.is_some() && event.properties.get("allowNewTimeProposals") == Some(&Value::Bool(false)) {
        return Err(Refusal::ProposalsNotAllowed);
    }
    let mutation = match answer {
        Answer::Declined => remove(owner, fresh, event),
        _ => answered(owner, fresh, event, answer),
    };
    let is_told = response.send && (proposed.is_some() || flag(&event.properties, "responseRequested"));
    let notice = is_told.then(|| {
        let shared = shared(&event.properties);
        let mut mail = mail(owner, fresh, &shared, &response.comment);
        let to = json!([{ "emailAddress": event.properties["organizer"]["emailAddress"] }]);
        mail.insert("toRecipients".to_owned(), to);
        let news = News::Response { answer, proposed };
        Notice { mail, meeting: Meeting { event: shared, news }, recipients: vec![organizer] }
    });
    Ok((mutation, notice))
}

fn answered(owner: &Owner, fresh: &Fresh, event: &Item, answer: Answer) -> Mutation {
    let mut properties = event.properties.clone();
    let status = json!({ "response": answer.response_type(), "time": fresh.now.whole_seconds().to_string() });
    properties.insert("responseStatus".to_owned(), status);
    // Time that the organizer shows as free, and what the attendee has chosen otherwise, stays so.
    let shows = match (answer, text(&properties, "showAs")) {
        (Answer::Accepted, "tentative") => Some("busy"),
        (Answer::Tentative, "busy") => Some("tentative"),
        _ => None,
    };
    if let Some(shows) = shows {
        properties.insert("showAs".to_owned(), shows.into());
    }
    let after = Item { modified: fresh.now.whole_seconds(), version: fresh.change, properties, ..event.clone() };
    Mutation {
        expect: vec![(event.id, Some(event.version))],
        changes: vec![Change::updated(owner.tenant, event, &after, fresh.now)],
        puts: vec![after],
        ..Mutation::default()
    }
}

/// A proposed time in UTC.
fn time_slot(slot: &Value) -> Result<Value, Refusal> {
    let read = |name: &str| match slot.get(name) {
        Some(value) => When::read(&format!("proposedNewTime/{name}"), value, false),
        None => Err(Refusal::invalid("proposedNewTime", "a start and an end")),
    };
    let (start, end) = (read("start")?, read("end")?);
    if end.at < start.at {
        return Err(Refusal::invalid("proposedNewTime/end", "later than start"));
    }
    Ok(json!({ "start": start.to_value(), "end": end.to_value() }))
}
