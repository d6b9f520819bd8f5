//! `GET` of a collection of folders by pages: mail folders below the root or below a parent (without hidden
//! ones unless `includeHiddenFolders=true`), calendars, contact folders without the default one.

use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::{Kind, WellKnown};
use http::StatusCode;
use serde_json::{Value, json};

use super::{collection, existing, select, shown};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::items::search_folder;
use crate::http::query::Page;

pub async fn list(call: &Call<'_>, user: &UserKey, kind: Kind, parent: Option<FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$top", "$skip", "$count", "includeHiddenFolders"])?;
    let page = Page::read(&call.query, None)?;
    let select = select(call, kind)?;
    let hidden = call.query.flag("includeHiddenFolders")?;
    call.require_read(kind)?;
    let owner = call.owner(user).await?;
    let below = match (&parent, kind) {
        (Some(key), _) => Some(existing(call, &owner, kind, key).await?.folder.id),
        (None, Kind::Message) => Some(WellKnown::MsgFolderRoot.id_in(owner.id)),
        (None, Kind::Contact) => Some(WellKnown::Contacts.id_in(owner.id)),
        (None, Kind::Event) => None,
    };
    let mut found = call.state.store.folders(owner.id).await?;
    found.retain(|found| {
        found.folder.id.kind == kind && found.folder.parent == below && (hidden || !render::is_hidden(&found.folder))
    });
    found.sort_by(|one, other| one.folder.display_name.cmp(&other.folder.display_name));
    let total = found.len() as u64;
    let skip = usize::try_from(page.skip).unwrap_or(usize::MAX);
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let mut value: Vec<Value> = Vec::new();
    for found in found.iter_mut().skip(skip).take(page.top as usize) {
        search_folder::count(call, &owner, found).await?;
        value.push(shown(found, &owner, view));
    }
    let context = render::context(&call.base(), owner.id, collection(kind), select.as_ref(), false);
    let mut body = json!({"@odata.context": context});
    if page.count {
        body["@odata.count"] = total.into();
    }
    if page.skip.saturating_add(page.top) < total {
        body["@odata.nextLink"] = call.next_page(page.skip + page.top).into();
    }
    body["value"] = value.into();
    Ok(Answer::json(StatusCode::OK, &body))
}
