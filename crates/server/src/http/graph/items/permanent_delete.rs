//! `POST …/permanentDelete`: 204; the item is gone for good, wherever it lay.

use graph::mailbox;
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn permanent_delete(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    call.require_write(path.kind)?;
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        call.check_match(&item)?;
        match call.commit(&owner, mailbox::remove(&owner, &call.fresh(), &item), None).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
