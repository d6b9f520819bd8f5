//! `GET` of the occurrences of one series in a time window that `$filter` finds, by their start unless
//! `$orderby` says otherwise. An event that does not repeat has none.

use graph::occurrence::Series;
use graph::path::ItemPath;
use http::StatusCode;

use super::found::Found;
use super::page::{self, Asked, OPTIONS, Shown};
use super::window;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::items;

pub async fn instances(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&OPTIONS)?;
    let window = window::of_query(&call.query).map_err(ApiError::Window)?;
    let asked = Asked::read(call, window)?;
    let owner = call.owner(&path.user).await?;
    let event = items::find(call, &owner, path).await?;
    let mut found = Found::new(&asked, None);
    if Series::of(&event).is_some() {
        found.add(event.clone()).map_err(ApiError::Window)?;
    }
    let collection = format!("events('{}')/instances", graph::render::item_id(&event, &call.prefer));
    let body = page::answer(call, &owner, found, &collection, Shown::render).await?;
    Ok(Answer::json(StatusCode::OK, &body))
}
