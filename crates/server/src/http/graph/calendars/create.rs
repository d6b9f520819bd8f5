//! `POST` of a calendar, in the default group or in another: 201; 409 if one of that name is there.

use graph::mailbox;
use graph::path::{FolderKey, UserKey};
use http::StatusCode;

use super::{all, existing_group, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::folders::committed;
use crate::http::graph::{Call, TRIES};

pub async fn create(call: &Call<'_>, user: &UserKey, group: Option<&FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let folders = all(call, &owner).await?;
        let group = group.map(|key| existing_group(&owner, key, &folders)).transpose()?.map(|group| group.id);
        let written = mailbox::create_calendar(&owner, &call.fresh(), group, &folders, body.clone())?;
        if committed(call, &owner, written.mutation).await? {
            return Ok(single(call, &owner, &written.folder, None, StatusCode::CREATED));
        }
    }
    Err(ApiError::Contended)
}
