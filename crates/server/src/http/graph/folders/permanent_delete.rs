//! `POST …/permanentDelete` of a folder: 204; it is gone for good with everything in it, wherever it lay.

use graph::path::{FolderKey, UserKey};
use graph::{Kind, mailbox};
use http::StatusCode;

use super::delete::remove;
use super::{all, existing};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn permanent_delete(
    call: &Call<'_>,
    user: &UserKey,
    kind: Kind,
    key: &FolderKey,
) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    for _ in 0..TRIES {
        let found = existing(call, &owner, kind, key).await?;
        let doomed = mailbox::doomed(&found.folder, &all(call, &owner).await?)?;
        if remove(call, &owner, &doomed).await? {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
    }
    Err(ApiError::Contended)
}
