//! `GET /events/{id}/calendar`: 200 with the calendar that holds the event.

use graph::path::{FolderKey, ItemPath};
use graph::schema::Entity;
use http::StatusCode;

use super::{existing, select, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::items::find;

pub async fn get(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&["$select"])?;
    let select = select(call, Entity::Calendar)?;
    let owner = call.owner(&path.user).await?;
    let event = find(call, &owner, path).await?;
    let calendar = existing(call, &owner, &FolderKey::Id(event.folder)).await?;
    Ok(single(call, &owner, &calendar, select.as_ref(), StatusCode::OK))
}
