//! `GET` of the calendars of a mailbox, or of one group, by pages: those that `$filter` finds, by name unless
//! `$orderby` says otherwise; and of their `$count`.

use graph::mailbox::{Owner, calendar_group};
use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::schema::Entity;
use graph::{Folder, Kind};
use serde_json::Value;

use super::{all, existing_group, paged, select};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::folders::queried;
use crate::http::query::Page;

pub async fn list(call: &Call<'_>, user: &UserKey, group: Option<&FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$top", "$skip", "$count", "$filter", "$orderby", "$expand"])?;
    let page = Page::read(&call.query)?;
    let select = select(call, Entity::Calendar)?;
    let expand = call.query.expand(Entity::Calendar)?;
    let owner = call.owner(user).await?;
    let folders = all(call, &owner).await?;
    let group = group.map(|key| existing_group(&owner, key, &folders)).transpose()?;
    let calendars = found(call, &owner, &folders, group.as_ref())?;
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let expanded = |calendar: &Folder| {
        let mut shown = render::calendar(calendar, &owner, view);
        expand.show(&calendar.properties, &mut shown);
        shown
    };
    let shown = calendars.into_iter().map(expanded).collect();
    let collection = match &group {
        Some(group) => format!("calendarGroups('{}')/calendars", group.id),
        None => "calendars".to_owned(),
    };
    let mut context = render::context(&call.base(), owner.id, &collection, select.as_ref(), false);
    if *user == UserKey::Me {
        // Of the caller's own calendars Graph says `me`.
        context = context.replace(&format!("users('{}')", owner.id), "me");
    }
    Ok(paged(call, context, &page, shown))
}

pub async fn count(call: &Call<'_>, user: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&["$filter"])?;
    let owner = call.owner(user).await?;
    let folders = all(call, &owner).await?;
    let count = found(call, &owner, &folders, None)?.len();
    Ok(Answer::bytes("text/plain", count.to_string().into_bytes()))
}

/// The calendars that are asked for, in order.
fn found<'a>(
    call: &Call<'_>,
    owner: &Owner,
    folders: &'a [Folder],
    group: Option<&Folder>,
) -> Result<Vec<&'a Folder>, ApiError> {
    let asked = call.query.shown(Entity::Calendar)?;
    let view = View { context: None, select: None, prefer: &call.prefer };
    let mut calendars: Vec<(&Folder, Value)> = folders
        .iter()
        .filter(|folder| folder.id.kind == Kind::Event && !calendar_group::is_group(folder))
        .filter(|folder| group.is_none_or(|group| group.id == calendar_group::group_of(folder, folders)))
        .map(|folder| (folder, queried(folder, render::calendar(folder, owner, view))))
        .filter(|(_, shown)| asked.matches(shown))
        .collect();
    calendars.sort_by(|(a, _), (b, _)| a.display_name.cmp(&b.display_name));
    calendars.sort_by(|(_, a), (_, b)| asked.compare(a, b));
    Ok(calendars.into_iter().map(|(folder, _)| folder).collect())
}
