//! `GET` of `reminderView`: the reminders of what is in the mailbox's calendars in a time window, by the
//! start of the events.

use graph::path::UserKey;
use graph::render::{self, View};
use graph::{Kind, reminder};
use http::StatusCode;

use super::found::{Found, add_calendar};
use super::page::{self, Asked, Shown};
use super::window;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn reminder_view(call: &Call<'_>, user: &UserKey, start: &str, end: &str) -> Result<Answer, ApiError> {
    call.query.allow(&["$top", "$skip", "$count"])?;
    let window = window::of_texts(start, end).map_err(ApiError::Window)?;
    let asked = Asked::read(call, window)?;
    let owner = call.owner(user).await?;
    let mut found = Found::new(&asked, Some(&|event| reminder::fires(&event.properties).is_some()));
    for folder in call.state.store.folders(owner.id).await? {
        if folder.folder.id.kind == Kind::Event {
            add_calendar(call, &owner, folder.folder.id, &mut found).await?;
        }
    }
    let render = |shown: &Shown, view: View<'_>| {
        let fires = reminder::fires(&shown.item().properties).unwrap_or_default();
        render::reminder(&shown.render(View { select: None, ..view }), fires, view.prefer)
    };
    let body = page::answer(call, &owner, found, "reminderView", render).await?;
    Ok(Answer::json(StatusCode::OK, &body))
}
