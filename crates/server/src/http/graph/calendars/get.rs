//! `GET` of one calendar: 200.

use graph::path::{FolderKey, UserKey};
use graph::schema::Entity;
use http::StatusCode;

use super::{existing, select, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&["$select"])?;
    let select = select(call, Entity::Calendar)?;
    let owner = call.owner(user).await?;
    let calendar = existing(call, &owner, key).await?;
    Ok(single(call, &owner, &calendar, select.as_ref(), StatusCode::OK))
}
