//! `POST` of a calendar, in the default group or in another: 201; 409 if one of that name is there.

use graph::mailbox;
use graph::path::{FolderKey, UserKey};
use http::StatusCode;

use super::{all, existing_group, made_once, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn create(call: &Call<'_>, user: &UserKey, group: Option<&FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let body = call.json()?;
    let mut has_namesake = false;
    for _ in 0..TRIES {
        let folders = all(call, &owner).await?;
        let group = group.map(|key| existing_group(&owner, key, &folders)).transpose()?.map(|group| group.id);
        let written = mailbox::create_calendar(&owner, &call.fresh(), group, &folders, body.clone())?;
        let name = format!("calendar {}", written.folder.display_name.to_lowercase());
        if made_once(call, call.commit_of(&owner, written.mutation), name, &mut has_namesake).await? {
            return Ok(single(call, &owner, &written.folder, None, StatusCode::CREATED));
        }
    }
    Err(ApiError::Contended)
}
