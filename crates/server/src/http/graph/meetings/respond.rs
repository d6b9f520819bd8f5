//! `POST /events/{id}/accept`, `tentativelyAccept`, `decline`: 202. The event shows the answer, or is gone
//! after `decline`, and the organizer hears of it unless `sendResponse` is false or none was requested.

use graph::mailbox::meeting::{self, Answer as Reply};
use graph::path::ItemPath;
use graph::schema;
use http::StatusCode;
use store::CommitError;

use super::{find, parameters, submission};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn respond(call: &Call<'_>, path: &ItemPath, answer: Reply) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let response = schema::response(parameters(call)?, answer != Reply::Accepted)?;
    for _ in 0..TRIES {
        let named = find(call, &owner, path).await?;
        let (mutation, notice) = meeting::respond(&owner, &call.fresh(), &named.entry()?, answer, &response)?;
        let submit = submission(call, &owner, notice).await?;
        match call.commit(&owner, mutation, submit).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::ACCEPTED)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
