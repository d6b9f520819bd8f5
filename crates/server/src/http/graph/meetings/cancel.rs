//! `POST /events/{id}/cancel`: 202. The organizer's event, or the occurrence, is gone, and the attendees are
//! told. Anybody else is refused.

use graph::mailbox::meeting;
use graph::path::ItemPath;
use graph::schema;
use http::StatusCode;
use store::CommitError;

use super::{find, parameters, submission};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn cancel(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let comment = schema::comment(parameters(call)?)?;
    for _ in 0..TRIES {
        let named = find(call, &owner, path).await?;
        let (mutation, notice) = meeting::cancel(&owner, &call.fresh(), &named.entry()?, &comment)?;
        let submit = submission(call, &owner, notice).await?;
        match call.commit(&owner, mutation, submit).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::ACCEPTED)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
