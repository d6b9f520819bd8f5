//! `PATCH …/extensions/{name or id}`: 200 with the extension. Members that are not sent stay.

use graph::mailbox::extension;
use graph::path::ItemPath;
use http::StatusCode;
use store::CommitError;

use super::super::find;
use super::whole;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn patch(call: &Call<'_>, path: &ItemPath, key: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let item = find(call, &owner, path).await?;
        let patched = extension::patch(&owner, &call.fresh(), &item, key, body.clone())?;
        let (extension, written) = patched.ok_or(ApiError::ItemNotFound)?;
        match call.commit(&owner, written.mutation, None).await {
            Ok(()) => return Ok(whole(call, StatusCode::OK, &item, &extension)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
