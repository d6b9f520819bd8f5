//! Calendars and groups of calendars.

pub mod create;
pub mod get;
pub mod group;
pub mod groups;
pub mod list;
pub mod of_event;
pub mod patch;

use graph::mailbox::{Owner, calendar_group};
use graph::path::FolderKey;
use graph::render::{self, Select, View};
use graph::schema::Entity;
use graph::{Folder, Kind};
use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::folders::all;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::query::Page;

/// A calendar that exists.
async fn existing(call: &Call<'_>, owner: &Owner, key: &FolderKey) -> Result<Folder, ApiError> {
    let id = key.id_in(owner.id).ok_or(ApiError::MalformedId)?;
    let found = call.state.store.folder(owner.id, id).await?.map(|found| found.folder);
    let is_calendar = |folder: &Folder| folder.id.kind == Kind::Event && !calendar_group::is_group(folder);
    found.filter(is_calendar).ok_or(ApiError::ItemNotFound)
}

/// A group that exists; `folders` are all of the mailbox.
fn existing_group(owner: &Owner, key: &FolderKey, folders: &[Folder]) -> Result<Folder, ApiError> {
    let id = key.id_in(owner.id).ok_or(ApiError::MalformedId)?;
    if id == calendar_group::default_group(owner.id) {
        return Ok(calendar_group::default_group_folder(owner.id));
    }
    let found = folders.iter().find(|folder| folder.id == id && calendar_group::is_group(folder));
    found.cloned().ok_or(ApiError::ItemNotFound)
}

/// A single calendar in an answer.
fn single(call: &Call<'_>, owner: &Owner, calendar: &Folder, select: Option<&Select>, status: StatusCode) -> Answer {
    let context = render::context(&call.base(), owner.id, "calendars", select, true);
    let view = View { context: Some(&context), select, prefer: &call.prefer };
    Answer::json(status, &render::calendar(calendar, owner, view))
}

/// A single group in an answer.
fn single_group(call: &Call<'_>, group: &Folder, select: Option<&Select>, status: StatusCode) -> Answer {
    let context = render::context(&call.base(), group.mailbox, "calendarGroups", select, true);
    let view = View { context: Some(&context), select, prefer: &call.prefer };
    Answer::json(status, &render::calendar_group(group, view))
}

/// A page of what is shown of a collection that is read whole.
fn paged(call: &Call<'_>, context: String, page: &Page, shown: Vec<Value>) -> Answer {
    let total = shown.len() as u64;
    let skip = usize::try_from(page.skip).unwrap_or(usize::MAX);
    let value: Vec<Value> = shown.into_iter().skip(skip).take(page.top as usize).collect();
    let mut body = json!({ "@odata.context": context });
    if page.count {
        body["@odata.count"] = total.into();
    }
    if page.skip.saturating_add(page.top) < total {
        body["@odata.nextLink"] = call.next_page(page.skip + page.top).into();
    }
    body["value"] = value.into();
    Answer::json(StatusCode::OK, &body)
}

fn select(call: &Call<'_>, entity: Entity) -> Result<Option<Select>, ApiError> {
    call.query.select(entity).map_err(ApiError::Query)
}
