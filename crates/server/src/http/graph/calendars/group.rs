//! One group of calendars: `GET` 200, `PATCH` of its name 200, `DELETE` 204 if it holds no calendar. The
//! default group keeps its name and stays.

use graph::Mutation;
use graph::mailbox::calendar_group;
use graph::path::{FolderKey, UserKey};
use graph::schema::Entity;
use http::StatusCode;

use super::{all, existing_group, select, single_group};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::folders::committed;
use crate::http::graph::{Call, TRIES};

pub async fn get(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&["$select"])?;
    let select = select(call, Entity::CalendarGroup)?;
    let owner = call.owner(user).await?;
    let group = existing_group(&owner, key, &all(call, &owner).await?)?;
    Ok(single_group(call, &group, select.as_ref(), StatusCode::OK))
}

pub async fn patch(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let folders = all(call, &owner).await?;
        let group = existing_group(&owner, key, &folders)?;
        let written = calendar_group::patch_group(&group, &folders, body.clone())?;
        if written.mutation == Mutation::default() || committed(call, &owner, written.mutation).await? {
            return Ok(single_group(call, &written.folder, None, StatusCode::OK));
        }
    }
    Err(ApiError::Contended)
}

pub async fn delete(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    for _ in 0..TRIES {
        let folders = all(call, &owner).await?;
        let group = existing_group(&owner, key, &folders)?;
        if committed(call, &owner, calendar_group::delete_group(&group, &folders)?).await? {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
    }
    Err(ApiError::Contended)
}
