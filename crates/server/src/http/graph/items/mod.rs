//! Messages, events and contacts: one file for each operation, for all three kinds.

pub mod answer;
pub mod attachments;
pub mod count;
pub mod create;
pub mod delete;
pub mod expand;
pub mod extensions;
pub mod get;
pub mod list;
pub mod patch;
pub mod photo;
pub mod relocate;
pub mod search_folder;
pub mod send;
pub mod value;

use graph::mailbox::Owner;
use graph::path::ItemPath;
use graph::render::{self, View};
use graph::{Item, ItemKey};
use http::StatusCode;

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

/// The item that a path names, as it is now. With a folder it is there only while that folder holds it.
pub(super) async fn find(call: &Call<'_>, owner: &Owner, path: &ItemPath) -> Result<Item, ApiError> {
    let key: ItemKey = path.id.parse().map_err(|_| ApiError::MalformedId)?;
    if key.kind() != path.kind {
        return Err(ApiError::ItemNotFound);
    }
    let found = match key {
        ItemKey::Id(id) => call.state.store.item(owner.id, id).await?,
        ItemKey::Immutable(id) => call.state.store.item_by_immutable(owner.id, id).await?,
    };
    let item = found.ok_or(ApiError::ItemNotFound)?;
    let here = path.folder.as_ref().is_none_or(|folder| folder.id_in(owner.id) == Some(item.folder));
    if here { Ok(item) } else { Err(ApiError::ItemNotFound) }
}

/// A single item in full.
pub(super) fn whole(call: &Call<'_>, status: StatusCode, item: &Item) -> Answer {
    let context = render::context(&call.base(), item.mailbox, item.id.kind.collection(), None, true);
    let view = View { context: Some(&context), select: None, prefer: &call.prefer };
    Answer::written(status, render::shown_item(item, view).to_json())
}

/// Where a new item can be read.
pub(super) fn location(call: &Call<'_>, item: &Item) -> String {
    call.url(&format!(
        "users('{}')/{}('{}')",
        item.mailbox,
        item.id.kind.collection(),
        render::item_id(item, &call.prefer)
    ))
}
