//! `GET` of one item: 200, with what `$select` names or everything.

use graph::path::ItemPath;
use graph::render::{self, View};
use graph::schema::Entity;
use http::StatusCode;

use super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&["$select"])?;
    let select = call.query.select(Entity::from(path.kind))?;
    call.require_read(path.kind)?;
    let owner = call.owner(&path.user).await?;
    let item = find(call, &owner, path).await?;
    let context = render::context(&call.base(), owner.id, path.kind.collection(), select.as_ref(), true);
    let view = View { context: Some(&context), select: select.as_ref(), prefer: &call.prefer };
    Ok(Answer::json(StatusCode::OK, &render::item(&item, view)))
}
