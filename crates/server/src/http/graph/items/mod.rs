//! Messages, events and contacts: one file for each operation, for all three kinds.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;
pub mod relocate;
pub mod send;

use graph::mailbox::Owner;
use graph::path::{FolderKey, UserKey};
use graph::render::{self, View};
use graph::{Item, ItemId, Kind};
use http::StatusCode;

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

/// One item, as a path names it. With a folder it is there only while that folder holds it.
pub struct Place {
    pub user: UserKey,
    pub kind: Kind,
    pub folder: Option<FolderKey>,
    pub id: String,
}

impl Place {
    /// The item as it is now.
    async fn item(&self, call: &Call<'_>, owner: &Owner) -> Result<Item, ApiError> {
        let id: ItemId = self.id.parse().map_err(|_| ApiError::MalformedId)?;
        if id.kind != self.kind {
            return Err(ApiError::ItemNotFound);
        }
        let item = call.state.store.item(owner.id, id).await?.ok_or(ApiError::ItemNotFound)?;
        let here = self.folder.as_ref().is_none_or(|folder| folder.id_in(owner.id) == Some(item.folder));
        if here { Ok(item) } else { Err(ApiError::ItemNotFound) }
    }
}

/// A single item in full.
fn whole(call: &Call<'_>, status: StatusCode, item: &Item) -> Answer {
    let context = render::context(&call.base(), item.mailbox, item.id.kind.collection(), None, true);
    Answer::json(status, &render::item(item, View { context: Some(&context), select: None }))
}

/// Where a new item can be read.
fn location(call: &Call<'_>, item: &Item) -> String {
    call.url(&format!("users('{}')/{}('{}')", item.mailbox, item.id.kind.collection(), item.id))
}
