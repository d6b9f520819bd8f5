//! `POST /me/sendMail`: 202 once the message is durable: kept in Sent Items unless told otherwise, and
//! on its way to the recipients of the same tenant. Other recipients get nothing: there is no relay.
//! As `text/plain` the message is MIME in base64, and is always kept.

use graph::SubmissionId;
use graph::mailbox::{self, Owner, Sent};
use graph::path::UserKey;
use graph::schema;
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
    let mut sent = if call.is_mime() {
        mailbox::send_mime(&owner, &call.fresh(), &call.body)?
    } else {
        let (message, save) = schema::send_mail(call.json()?)?;
        mailbox::send_mail(&owner, &call.fresh(), message, save)?
    };
    let mutation = std::mem::take(&mut sent.mutation);
    let submit = submission(call, &owner, sent).await?;
    call.commit(&owner, mutation, submit).await?;
    Ok(Answer::empty(StatusCode::ACCEPTED))
}

/// The message on its way to those recipients that have a mailbox in the sender's tenant.
pub(super) async fn submission(call: &Call<'_>, owner: &Owner, sent: Sent) -> Result<Option<Submission>, ApiError> {
    let mut recipients = Vec::with_capacity(sent.recipients.len());
    for address in &sent.recipients {
        if let Some(user) = call.state.directory.by_address(address).await?
            && user.tenant == owner.tenant
            && !recipients.contains(&user.id)
        {
            recipients.push(user.id);
        }
    }
    Ok((!recipients.is_empty()).then(|| Submission {
        id: SubmissionId(ids::new_uuid()),
        tenant: owner.tenant,
        app: Some(call.principal.app),
        sender: owner.id,
        recipients,
        at: call.context.now,
        message: sent.message,
    }))
}
