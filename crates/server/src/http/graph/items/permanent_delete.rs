//! `POST …/permanentDelete`: 204; the item is gone for good, wherever it lay. The attendees of an
//! organizer's meeting are told that it is off.

use graph::mailbox::{self, meeting};
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES, meetings};

pub async fn permanent_delete(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    call.require_write(path.kind)?;
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        call.check_match(&item)?;
        let fresh = call.fresh();
        let notice = meeting::cancellation(&owner, &fresh, &item, "");
        let submit = meetings::submission(call, &owner, notice).await?;
        match call.commit(&owner, mailbox::remove(&owner, &fresh, &item), submit).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
