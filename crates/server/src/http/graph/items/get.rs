//! `GET` of one item: 200, with what `$select` names or everything.

use graph::render::{self, View};
use graph::schema::Entity;
use http::StatusCode;

use super::Place;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, place: &Place) -> Result<Answer, ApiError> {
    call.query.allow(&["$select"])?;
    let select = call.query.select(Entity::from(place.kind))?;
    call.require_read(place.kind)?;
    let owner = call.owner(&place.user).await?;
    let item = place.item(call, &owner).await?;
    let context = render::context(&call.base(), owner.id, place.kind.collection(), select.as_ref(), true);
    let view = View { context: Some(&context), select: select.as_ref() };
    Ok(Answer::json(StatusCode::OK, &render::item(&item, view)))
}
