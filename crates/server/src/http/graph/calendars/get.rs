//! `GET` of one calendar: 200.

use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::schema::Entity;
use http::StatusCode;

use super::{existing, select};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$expand"])?;
    let select = select(call, Entity::Calendar)?;
    let expand = call.query.expand(Entity::Calendar)?;
    let owner = call.owner(user).await?;
    let calendar = existing(call, &owner, key).await?;
    let context = render::context(&call.base(), owner.id, "calendars", select.as_ref(), true);
    let view = View { context: Some(&context), select: select.as_ref(), prefer: &call.prefer };
    let mut shown = render::calendar(&calendar, &owner, view);
    expand.show(&calendar.properties, &mut shown);
    Ok(Answer::json(StatusCode::OK, &shown))
}
