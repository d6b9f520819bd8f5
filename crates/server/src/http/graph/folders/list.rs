//! `GET` of a collection of folders by pages: mail folders below the root or below a parent (without hidden
//! ones unless `includeHiddenFolders=true`), contact folders without the default one; by name unless
//! `$orderby` says otherwise.

use graph::mailbox::Owner;
use graph::path::{FolderKey, UserKey};
use graph::query::Shown;
use graph::render::{self, Select, View};
use graph::schema::Entity;
use graph::{Kind, WellKnown};
use http::StatusCode;
use serde_json::{Value, json};
use store::FolderCounts;

use super::{collection, existing, queried, select, shown};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::items::search_folder;
use crate::http::query::Page;

pub async fn list(call: &Call<'_>, user: &UserKey, kind: Kind, parent: Option<FolderKey>) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$top", "$skip", "$count", "$filter", "$orderby", "$expand"])?;
    let page = Page::read(&call.query)?;
    let asked = call.query.shown(Entity::folder_of(kind))?;
    let expand = call.query.expand(Entity::folder_of(kind))?;
    let select = select(call, kind)?;
    let owner = call.owner(user).await?;
    let mut found = found(call, &owner, kind, parent.as_ref(), &asked).await?;
    let total = found.len() as u64;
    let skip = usize::try_from(page.skip).unwrap_or(usize::MAX);
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let mut value: Vec<Value> = Vec::new();
    for found in found.iter_mut().skip(skip).take(page.top as usize) {
        search_folder::count(call, &owner, found).await?;
        let mut shown = shown(found, &owner, view);
        expand.show(&found.folder.properties, &mut shown);
        value.push(shown);
    }
    let context = context(call, &owner, kind, parent.as_ref(), select.as_ref());
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

/// The `@odata.context`: folders below another are that one's.
fn context(call: &Call<'_>, owner: &Owner, kind: Kind, parent: Option<&FolderKey>, select: Option<&Select>) -> String {
    let collection = match parent.and_then(|parent| parent.id_in(owner.id)) {
        Some(parent) => format!("{}('{parent}')/childFolders", collection(kind)),
        None => collection(kind).to_owned(),
    };
    render::context(&call.base(), owner.id, &collection, select, false)
}

/// The folders of a collection that a query finds, in its order.
pub async fn found(
    call: &Call<'_>,
    owner: &Owner,
    kind: Kind,
    parent: Option<&FolderKey>,
    asked: &Shown,
) -> Result<Vec<FolderCounts>, ApiError> {
    let below = match (parent, kind) {
        (Some(key), _) => Some(existing(call, owner, kind, key).await?.folder.id),
        (None, Kind::Message) => Some(WellKnown::MsgFolderRoot.id_in(owner.id)),
        (None, Kind::Contact) => Some(WellKnown::Contacts.id_in(owner.id)),
        (None, Kind::Event) => None,
    };
    let hidden = call.query.flag("includeHiddenFolders")?;
    let mut found = call.state.store.folders(owner.id).await?;
    found.retain(|found| {
        found.folder.id.kind == kind && found.folder.parent == below && (hidden || !render::is_hidden(&found.folder))
    });
    found.sort_by(|one, other| one.folder.display_name.cmp(&other.folder.display_name));
    let view = View { context: None, select: None, prefer: &call.prefer };
    let mut found: Vec<(Value, FolderCounts)> =
        found.into_iter().map(|found| (queried(&found.folder, shown(&found, owner, view)), found)).collect();
    found.retain(|(shown, _)| asked.matches(shown));
    found.sort_by(|(a, _), (b, _)| asked.compare(a, b));
    Ok(found.into_iter().map(|(_, found)| found).collect())
}
