//! `DELETE` of a calendar: 204. It goes for good with its events, whose attendees are not told; the default
//! calendar cannot be deleted.

use graph::path::{FolderKey, UserKey};
use graph::{Kind, mailbox};
use http::StatusCode;

use super::existing;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::folders::delete::remove;
use crate::http::graph::{Call, TRIES};

pub async fn delete(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    call.require_write(Kind::Event)?;
    let owner = call.owner(user).await?;
    for _ in 0..TRIES {
        let calendar = existing(call, &owner, key).await?;
        if remove(call, &owner, &mailbox::delete_calendar(&calendar)?).await? {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
    }
    Err(ApiError::Contended)
}
