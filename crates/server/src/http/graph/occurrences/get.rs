//! `GET` of one occurrence: 200 with the event as it is at that time.

use graph::occurrence::Series;
use graph::path::ItemPath;
use graph::render::{self, View};
use graph::schema::Entity;
use graph::{Occurrence, OccurrenceId};
use http::StatusCode;

use super::master;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::items::expand;

pub async fn get(call: &Call<'_>, path: &ItemPath, id: OccurrenceId) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$expand"])?;
    let select = call.query.select(Entity::Event)?;
    let expand = call.query.expand(Entity::Event)?;
    let owner = call.owner(&path.user).await?;
    let master = master(call, &owner, path, id).await?;
    let found = Series::of(&master).and_then(|series| series.occurrence(id.date));
    let occurrence: Occurrence = found.ok_or(ApiError::ItemNotFound)?;
    let context = render::context(&call.base(), owner.id, path.kind.collection(), select.as_ref(), true);
    let view = View { context: Some(&context), select: select.as_ref(), prefer: &call.prefer };
    let mut shown = render::occurrence(&occurrence, view);
    expand::relations(call, &expand, &occurrence.item, &mut shown).await?;
    Ok(Answer::json(StatusCode::OK, &shown))
}
