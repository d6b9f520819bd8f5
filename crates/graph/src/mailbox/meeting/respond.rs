//! The attendee's side: `accept`, `tentativelyAccept`, `decline`.

use serde_json::{Value, json};

use super::super::when::When;
use super::super::{Fresh, Owner, flag, text};
use super::series::answer_all;
use super::{Answer, Entry, Meeting, News, Notice, is_meeting_of, mail, organizer_of, shared};
use crate::schema::Response;
use crate::{Mutation, Properties, Refusal};

/// Answers an invitation, or that to one occurrence. The attendee's event shows the answer, or is gone after
/// `decline`; the organizer hears of it unless neither wants that. A proposed time is always told.
pub fn respond(
    owner: &Owner,
    fresh: &Fresh,
    entry: &Entry<'_>,
    answer: Answer,
    response: &Response,
) -> Result<(Mutation, Option<Notice>), Refusal> {
    let event = entry.properties();
    let organizer = organizer_of(event).trim().to_lowercase();
    if is_meeting_of(owner, event) {
        return Err(Refusal::OwnMeeting);
    }
    if organizer.is_empty() {
        return Err(Refusal::NoOrganizer);
    }
    if flag(event, "isCancelled") {
        return Err(Refusal::MeetingCancelled);
    }
    let proposed = response.proposed.as_ref().map(time_slot).transpose()?;
    if proposed.is_some() && !response.send {
        return Err(Refusal::ProposalWithoutResponse);
    }
    if proposed.is_some() && event.get("allowNewTimeProposals") == Some(&Value::Bool(false)) {
        return Err(Refusal::ProposalsNotAllowed);
    }
    let mutation = match answer {
        Answer::Declined => entry.remove(owner, fresh)?,
        _ => entry.put(owner, fresh, answered(fresh, event, answer))?,
    };
    let is_told = response.send && (proposed.is_some() || flag(event, "responseRequested"));
    let notice = is_told.then(|| {
        let shared = shared(event);
        let mut mail = mail(owner, fresh, &shared, &response.comment);
        let prefix = if proposed.is_some() { "New Time Proposed: " } else { answer.subject_prefix() };
        mail.insert("subject".to_owned(), format!("{prefix}{}", text(event, "subject")).into());
        let to = json!([{ "emailAddress": event["organizer"]["emailAddress"] }]);
        mail.insert("toRecipients".to_owned(), to);
        let news = News::Response { answer, proposed };
        Notice { mail, meeting: Meeting { event: shared, news }, recipients: vec![organizer] }
    });
    Ok((mutation, notice))
}

fn answered(fresh: &Fresh, event: &Properties, answer: Answer) -> Properties {
    let mut properties = event.clone();
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
    answer_all(&mut properties);
    properties
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
