//! `GET` of one item: 200, with what `$select` names or everything.

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
    let mut body = graph::render::item(&item, select.as_deref());
    let collection = place.kind.collection();
    let selected = select.map(|names| format!("({})", names.join(","))).unwrap_or_default();
    let fragment = format!("users('{}')/{collection}{selected}/$entity", owner.id);
    body.insert("@odata.context".to_owned(), call.metadata(&fragment).into());
    Ok(Answer::json(StatusCode::OK, &body))
}
