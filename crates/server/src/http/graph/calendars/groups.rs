//! The groups of calendars: `GET` lists them, the default one first; `POST` makes one: 201, or 409 if one of
//! that name is there.

use graph::Folder;
use graph::mailbox::calendar_group;
use graph::path::UserKey;
use graph::render::{self, View};
use graph::schema::Entity;
use http::StatusCode;

use super::{all, paged, select, single_group};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::folders::committed;
use crate::http::graph::{Call, TRIES};
use crate::http::query::Page;

pub async fn list(call: &Call<'_>, user: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$top", "$skip", "$count"])?;
    let page = Page::read(&call.query)?;
    let select = select(call, Entity::CalendarGroup)?;
    let owner = call.owner(user).await?;
    let mut groups: Vec<Folder> = all(call, &owner).await?.into_iter().filter(calendar_group::is_group).collect();
    groups.sort_by(|one, other| one.display_name.cmp(&other.display_name));
    groups.insert(0, calendar_group::default_group_folder(owner.id));
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let shown = groups.iter().map(|group| render::calendar_group(group, view)).collect();
    let context = render::context(&call.base(), owner.id, "calendarGroups", select.as_ref(), false);
    Ok(paged(call, context, &page, shown))
}

pub async fn create(call: &Call<'_>, user: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let folders = all(call, &owner).await?;
        let written = calendar_group::create_group(&owner, &call.fresh(), &folders, body.clone())?;
        if committed(call, &owner, written.mutation).await? {
            return Ok(single_group(call, &written.folder, None, StatusCode::CREATED));
        }
    }
    Err(ApiError::Contended)
}
