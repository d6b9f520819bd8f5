//! `DELETE …/extensions/{name or id}`: 204.

use graph::mailbox::extension;
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn delete(call: &Call<'_>, path: &ItemPath, key: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        let written = extension::remove(&owner, &call.fresh(), &item, key).ok_or(ApiError::ItemNotFound)?;
        match call.commit(&owner, written.mutation, None).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
