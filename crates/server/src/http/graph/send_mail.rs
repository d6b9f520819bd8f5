//! `POST /me/sendMail`: 202 once the message is durable: kept in Sent Items unless told otherwise, and
//! on its way to the recipients of the same tenant. Other recipients get nothing: there is no relay. Of
//! addresses that the sender's own domain does not have, a report comes to the sender's Inbox.
//! As `text/plain` the message is MIME in base64, and is always kept; what its calendar part tells of a meeting
//! goes with it.

use graph::mailbox::{self, Owner, Sent};
use graph::path::UserKey;
use graph::schema;
use graph::{Mutation, SubmissionId};
use http::StatusCode;
use notify::Submission;

use super::Call;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::ids;

pub async fn send_mail(call: &Call<'_>, user: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let sent = if call.is_mime() {
        mailbox::send_mime(&owner, &call.fresh(), &call.body)?
    } else {
        let (message, save) = schema::send_mail(call.json()?)?;
        mailbox::send_mail(&owner, &call.fresh(), message, save)?
    };
    let (mutation, submit) = departure(call, &owner, sent).await?;
    call.commit(&owner, mutation, submit).await?;
    Ok(Answer::empty(StatusCode::ACCEPTED))
}

/// What sending writes, and the message on its way to those recipients that have a mailbox in the sender's
/// tenant.
pub(super) async fn departure(
    call: &Call<'_>,
    owner: &Owner,
    mut sent: Sent,
) -> Result<(Mutation, Option<Submission>), ApiError> {
    let mut recipients = Vec::with_capacity(sent.recipients.len());
    let mut unknown = Vec::new();
    for address in &sent.recipients {
        match call.state.directory.by_address(address).await? {
            Some(user) if user.tenant == owner.tenant && !recipients.contains(&user.id) => recipients.push(user.id),
            None if domain(address).eq_ignore_ascii_case(domain(&owner.address)) => unknown.push(address.clone()),
            _ => {}
        }
    }
    if !unknown.is_empty() {
        mailbox::report_undeliverable(owner, &call.fresh(), &mut sent, &unknown)?;
    }
    let submission = (!recipients.is_empty()).then(|| Submission {
        id: SubmissionId(ids::new_uuid()),
        tenant: owner.tenant,
        app: Some(call.principal.app),
        sender: owner.id,
        recipients,
        at: call.context.now,
        message: sent.message,
        meeting: sent.meeting.map(Box::new),
    });
    Ok((sent.mutation, submission))
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}
