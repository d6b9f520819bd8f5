//! `POST /messages/{id}/send`: 202. The draft leaves Drafts for Sent Items, and its recipients get it.

use graph::mailbox;
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::attachments::carry;
use super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::send_mail::departure;
use crate::http::graph::{Call, TRIES};

pub async fn send(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let draft = find(call, &owner, path).await?;
        let mut sent = mailbox::send_draft(&owner, &call.fresh(), &draft)?;
        carry(call, &owner, &draft, &mut sent.message).await?;
        let (mutation, submit) = departure(call, &owner, sent).await?;
        match call.commit(&owner, mutation, submit).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::ACCEPTED)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
