//! Meetings: making one, answering, cancelling and forwarding it or one occurrence of it, and the way from its
//! messages to it.

pub mod cancel;
pub mod create;
pub mod forward;
pub mod get;
pub mod respond;

use graph::mailbox::Owner;
use graph::mailbox::meeting::{Entry, Notice};
use graph::path::ItemPath;
use graph::{Item, Refusal, SubmissionId, UserId};
use jiff::civil::Date;
use notify::Submission;
use serde_json::{Value, json};

use super::{Call, items, occurrences};
use crate::http::error::ApiError;
use crate::ids;

/// What a path names in a calendar: an event, or a series master and the day of one of its occurrences.
struct Named {
    event: Item,
    day: Option<Date>,
}

impl Named {
    fn entry(&self) -> Result<Entry<'_>, Refusal> {
        match self.day {
            Some(day) => Entry::of_occurrence(&self.event, day),
            None => Ok(Entry::of(&self.event)),
        }
    }
}

async fn find(call: &Call<'_>, owner: &Owner, path: &ItemPath) -> Result<Named, ApiError> {
    match occurrences::named(path) {
        Some(id) => Ok(Named { event: occurrences::master(call, owner, path, id).await?, day: Some(id.date) }),
        None => Ok(Named { event: items::find(call, owner, path).await?, day: None }),
    }
}

/// The notice on its way to those that have a mailbox in the tenant; others get nothing: there is no relay.
pub(super) async fn submission(
    call: &Call<'_>,
    owner: &Owner,
    notice: Option<Notice>,
) -> Result<Option<Submission>, ApiError> {
    let Some(notice) = notice else { return Ok(None) };
    let recipients = mailboxes(call, owner, &notice.recipients).await?;
    Ok((!recipients.is_empty()).then(|| Submission {
        id: SubmissionId(ids::new_uuid()),
        tenant: owner.tenant,
        app: Some(call.principal.app),
        sender: owner.id,
        recipients,
        at: call.context.now,
        message: notice.mail,
        meeting: Some(Box::new(notice.meeting)),
    }))
}

/// Those of the addresses that have a mailbox in the sender's tenant, each once.
async fn mailboxes(call: &Call<'_>, owner: &Owner, addresses: &[String]) -> Result<Vec<UserId>, ApiError> {
    let mut found = Vec::with_capacity(addresses.len());
    for address in addresses {
        if let Some(user) = call.state.directory.by_address(address).await?
            && user.tenant == owner.tenant
            && !found.contains(&user.id)
        {
            found.push(user.id);
        }
    }
    Ok(found)
}

/// The parameters of an action, all of which may be left out.
fn parameters(call: &Call<'_>) -> Result<Value, ApiError> {
    if call.body.is_empty() { Ok(json!({})) } else { call.json() }
}
