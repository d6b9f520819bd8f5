//! `GET` of a collection of items by pages: those that `$filter` or `$search` finds, in the order of
//! `$orderby`, else newest first. Contacts without a folder are those of the default one.

use graph::mailbox::Owner;
use graph::path::{FolderKey, UserKey};
use graph::query::Query;
use graph::render::{self, View};
use graph::schema::Entity;
use graph::search::RESULTS_MAX;
use graph::{FolderId, Kind, WellKnown};
use http::StatusCode;
use serde_json::json;
use store::ItemQuery;

use super::{expand, search_folder};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::Page;

pub async fn list(call: &Call<'_>, user: &UserKey, kind: Kind, folder: Option<FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$top", "$skip", "$count", "$orderby", "$filter", "$search", "$expand"])?;
    let page = Page::read(&call.query)?;
    let select = call.query.select(Entity::from(kind))?;
    let expanded = call.query.expand(Entity::from(kind))?;
    let owner = call.owner(user).await?;
    // Of a search, no more than its first results.
    let results_max = if is_search(call) { RESULTS_MAX } else { u64::MAX };
    let top = page.top.min(results_max.saturating_sub(page.skip));
    let query = match search_folder::find(call, &owner, folder.as_ref()).await? {
        Some(search) => search_folder::asked(call, &owner, &search).await?,
        None => {
            let query = call.query.items(kind)?;
            asked(&owner, place(call, &owner, kind, folder.as_ref()).await?, query)
        }
    };
    let context = render::context(&call.base(), owner.id, kind.collection(), select.as_ref(), false);
    let mut body = json!({"@odata.context": context});
    if page.count {
        let count = call.state.store.count_items(query.clone()).await?;
        body["@odata.count"] = count.min(results_max).into();
    }
    let found = call.state.store.items(ItemQuery { skip: page.skip, top, ..query }).await?;
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let value = expand::shown(call, &expanded, &found.items, view).await?;
    let next = page.skip.saturating_add(value.len() as u64);
    if (found.more || value.len() < found.items.len()) && next < results_max {
        body["@odata.nextLink"] = call.next_page(next).into();
    }
    body["value"] = value.into();
    Ok(Answer::json(StatusCode::OK, &body))
}

/// Where the items of a collection lie; `None`: anywhere in the mailbox.
pub async fn place(
    call: &Call<'_>,
    owner: &Owner,
    kind: Kind,
    folder: Option<&FolderKey>,
) -> Result<Option<FolderId>, ApiError> {
    match folder {
        Some(key) => call.folder(owner.id, key).await.map(Some),
        // A subscription to the same path watches all contact folders.
        None => Ok((kind == Kind::Contact).then(|| WellKnown::Contacts.id_in(owner.id))),
    }
}

/// All that a query finds in a place.
pub fn asked(owner: &Owner, place: Option<FolderId>, query: Query) -> ItemQuery {
    ItemQuery { mailbox: owner.id, folders: place.map(|place| vec![place]), query, skip: 0, top: 0 }
}

pub fn is_search(call: &Call<'_>) -> bool {
    call.query.get("$search").is_some()
}
