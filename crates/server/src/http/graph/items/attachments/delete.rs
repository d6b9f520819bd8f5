//! `DELETE …/attachments/{id}`: 204. The item gets a new version.

use graph::AttachmentId;
use graph::mailbox::attachment;
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::super::find as find_item;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn delete(call: &Call<'_>, path: &ItemPath, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let id: AttachmentId = id.parse().map_err(|_| ApiError::MalformedId)?;
    for _ in 0..TRIES {
        let item = find_item(call, &owner, path).await?;
        let present = call.state.store.attachments(owner.id, item.immutable).await?;
        let written = attachment::detach(&owner, &call.fresh(), &item, &present, id).ok_or(ApiError::ItemNotFound)?;
        match call.commit(&owner, written.mutation, None).await {
            Ok(()) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
