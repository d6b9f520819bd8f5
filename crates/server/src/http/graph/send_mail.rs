//! `POST /me/sendMail`: 202 once the message is durable: kept in Sent Items unless told otherwise, and
//! on its way to the recipients of the same tenant. Other recipients get nothing: there is no relay.

use graph::mailbox::{self, Owner, Sent};
use graph::path::UserKey;
use graph::{SubmissionId, UserId, schema};
use http::StatusCode;
use notify::Submission;

use super::Call;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::ids;

pub async fn send_mail(call: &Call<'_>, user: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    if !call.principal.rights.sends_mail() {
        return Err(ApiError::AccessDenied);
    }
    let owner = call.owner(user).await?;
    let (message, save) = schema::send_mail(call.json()?)?;
    let mut sent = mailbox::send_mail(&owner, &call.fresh(), message, save)?;
    let mutation = std::mem::take(&mut sent.mutation);
    let submit = submission(call, &owner, sent).await?;
    call.commit(&owner, mutation, submit).await?;
    Ok(Answer::empty(StatusCode::ACCEPTED))
}

/// The message on its way to those recipients that have a mailbox in the sender's tenant.
pub(super) async fn submission(call: &Call<'_>, owner: &Owner, sent: Sent) -> Result<Option<Submission>, ApiError> {
    let recipients = mailboxes(call, owner, &sent.recipients).await?;
    Ok((!recipients.is_empty()).then(|| Submission {
        id: SubmissionId(ids::new_uuid()),
        tenant: owner.tenant,
        app: Some(call.principal.app),
        sender: owner.id,
        recipients,
        at: call.context.now,
        message: sent.message,
        meeting: None,
    }))
}

/// Those of the addresses that have a mailbox in the sender's tenant, each once.
pub(super) async fn mailboxes(call: &Call<'_>, owner: &Owner, addresses: &[String]) -> Result<Vec<UserId>, ApiError> {
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
