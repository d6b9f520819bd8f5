//! `GET` of a collection of items, newest first, by pages. Contacts without a folder are those of the default one.

use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::schema::Entity;
use graph::{Kind, WellKnown};
use http::StatusCode;
use serde_json::{Value, json};
use store::ItemQuery;

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::Page;

pub async fn list(call: &Call<'_>, user: &UserKey, kind: Kind, folder: Option<FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$top", "$skip", "$count", "$orderby"])?;
    let page = Page::read(&call.query, Some(kind))?;
    let select = call.query.select(Entity::from(kind))?;
    call.require_read(kind)?;
    let owner = call.owner(user).await?;
    let folder = match &folder {
        Some(key) => Some(call.folder(owner.id, key).await?),
        // A subscription to the same path watches all contact folders.
        None => (kind == Kind::Contact).then(|| WellKnown::Contacts.id_in(owner.id)),
    };
    // One more than the page, to know whether another follows.
    let query = ItemQuery { skip: page.skip, ..ItemQuery::newest(owner.id, kind, folder, page.top + 1) };
    let found = call.state.store.items(query.clone()).await?;
    let shown = found.iter().take(page.top as usize);
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let value: Vec<Value> = shown.map(|item| render::item(item, view)).collect();
    let context = render::context(&call.base(), owner.id, kind.collection(), select.as_ref(), false);
    let mut body = json!({"@odata.context": context});
    if page.count {
        body["@odata.count"] = call.state.store.count_items(query).await?.into();
    }
    if found.len() as u64 > page.top {
        body["@odata.nextLink"] = call.next_page(page.skip + page.top).into();
    }
    body["value"] = value.into();
    Ok(Answer::json(StatusCode::OK, &body))
}
