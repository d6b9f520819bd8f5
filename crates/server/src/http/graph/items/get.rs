//! `GET` of one item: 200, with what `$select` names or everything, and what `$expand` does.

use graph::path::ItemPath;
use graph::render::{self, View};
use graph::schema::Entity;
use http::StatusCode;

use super::{expand, find};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$expand"])?;
    let select = call.query.select(Entity::from(path.kind))?;
    let expand = call.query.expand(Entity::from(path.kind))?;
    let owner = call.owner(&path.user).await?;
    let item = find(call, &owner, path).await?;
    let context = render::context(&call.base(), owner.id, path.kind.collection(), select.as_ref(), true);
    let view = View { context: Some(&context), select: select.as_ref(), prefer: &call.prefer };
    let shown = expand::shown(call, &expand, std::slice::from_ref(&item), view).await?;
    Ok(Answer::json(StatusCode::OK, &shown.first()))
}
