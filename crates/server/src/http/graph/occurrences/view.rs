//! `GET` of a calendar's view: its single events and the occurrences of its series in a time window that
//! `$filter` finds, by their start unless `$orderby` says otherwise. Masters are not among them.

use graph::path::{FolderKey, UserKey};
use http::StatusCode;

use super::found::{Found, add_calendar};
use super::page::{self, Asked, OPTIONS, Shown};
use super::window;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn view(call: &Call<'_>, user: &UserKey, calendar: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&OPTIONS)?;
    let window = window::of_query(&call.query).map_err(ApiError::Window)?;
    let asked = Asked::read(call, window)?;
    let owner = call.owner(user).await?;
    let calendar = call.folder(owner.id, calendar).await?;
    let mut found = Found::new(&asked, None);
    add_calendar(call, &owner, calendar, &mut found).await?;
    let body = page::answer(call, &owner, found, "calendarView", Shown::render).await?;
    Ok(Answer::json(StatusCode::OK, &body))
}
