//! `GET` of the calendars of a mailbox, or of one group, by name and by pages.

use graph::Kind;
use graph::mailbox::calendar_group;
use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::schema::Entity;

use super::{all, existing_group, paged, select};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::Page;

pub async fn list(call: &Call<'_>, user: &UserKey, group: Option<&FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$top", "$skip", "$count"])?;
    let page = Page::read(&call.query)?;
    let select = select(call, Entity::Calendar)?;
    call.require_read(Kind::Event)?;
    let owner = call.owner(user).await?;
    let folders = all(call, &owner).await?;
    let group = group.map(|key| existing_group(&owner, key, &folders)).transpose()?;
    let is_wanted = |group_of| group.as_ref().is_none_or(|group| group.id == group_of);
    let mut calendars: Vec<_> = folders
        .iter()
        .filter(|folder| folder.id.kind == Kind::Event && !calendar_group::is_group(folder))
        .filter(|folder| is_wanted(calendar_group::group_of(folder, &folders)))
        .collect();
    calendars.sort_by(|one, other| one.display_name.cmp(&other.display_name));
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let shown = calendars.into_iter().map(|calendar| render::calendar(calendar, &owner, view)).collect();
    let collection = match &group {
        Some(group) => format!("calendarGroups('{}')/calendars", group.id),
        None => "calendars".to_owned(),
    };
    let context = render::context(&call.base(), owner.id, &collection, select.as_ref(), false);
    Ok(paged(call, context, &page, shown))
}
