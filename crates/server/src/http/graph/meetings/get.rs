//! `GET /messages/{id}/event`: 200 with the event, or the occurrence, that a meeting message is about; 404 if
//! it is gone, or the message is about none.

use graph::mailbox::{Owner, meeting};
use graph::path::ItemPath;
use graph::render::{self, View};
use graph::schema::Entity;
use graph::{Item, Kind};
use http::StatusCode;
use serde_json::Value;

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::items::find;

pub async fn get(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&["$select"])?;
    let select = call.query.select(Entity::Event)?;
    let owner = call.owner(&path.user).await?;
    let message = find(call, &owner, path).await?;
    let context = render::context(&call.base(), owner.id, Kind::Event.collection(), select.as_ref(), true);
    let view = View { context: Some(&context), select: select.as_ref(), prefer: &call.prefer };
    let event = event_of(call, &owner, &message, view).await?.ok_or(ApiError::ItemNotFound)?;
    Ok(Answer::json(StatusCode::OK, &event))
}

/// What a message is about, as it is now.
pub(in crate::http::graph) async fn event_of(
    call: &Call<'_>,
    owner: &Owner,
    message: &Item,
    view: View<'_>,
) -> Result<Option<Value>, ApiError> {
    for id in meeting::events_of_message(owner, message) {
        let Some(event) = call.state.store.item(owner.id, id).await? else { continue };
        if let Some(entry) = meeting::entry_of_message(message, &event) {
            return Ok(Some(match entry.occurrence() {
                Some(occurrence) => render::occurrence(occurrence, view),
                None => render::item(&event, view),
            }));
        }
    }
    Ok(None)
}
