//! Mail folders, calendars and contact folders: one file for each operation, for all three kinds.

pub mod count;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;
pub mod permanent_delete;
pub mod relocate;

use graph::mailbox::{Owner, calendar_group};
use graph::path::FolderKey;
use graph::render::{self, Counts, Select, View};
use graph::schema::{EXTENDED, Entity};
use graph::{Folder, Kind, Mutation, WellKnown};
use http::StatusCode;
use serde_json::Value;
use store::{CommitError, FolderCounts};

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::graph::items::search_folder;

/// The collection's name in paths and contexts.
pub(super) fn collection(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "mailFolders",
        Kind::Event => "calendars",
        Kind::Contact => "contactFolders",
    }
}

pub(super) fn shown(found: &FolderCounts, owner: &Owner, view: View<'_>) -> Value {
    match found.folder.id.kind {
        Kind::Message => {
            let counts = Counts { total: found.total, unread: found.unread, children: found.children };
            render::mail_folder(&found.folder, counts, view)
        }
        Kind::Event => render::calendar(&found.folder, owner, view),
        Kind::Contact => render::contact_folder(&found.folder, view),
    }
}

/// A folder as a query looks into it: what is shown of it, with its extended properties.
pub(super) fn queried(folder: &Folder, mut shown: Value) -> Value {
    for (relation, members) in EXTENDED.iter().filter_map(|relation| folder.properties.get_key_value(*relation)) {
        shown[relation] = members.clone();
    }
    shown
}

/// A single folder in an answer.
fn single(call: &Call<'_>, owner: &Owner, found: &FolderCounts, select: Option<&Select>, status: StatusCode) -> Answer {
    let kind = found.folder.id.kind;
    let context = render::context(&call.base(), owner.id, collection(kind), select, true);
    Answer::json(status, &shown(found, owner, View { context: Some(&context), select, prefer: &call.prefer }))
}

/// A folder as the store has it, if it is of that kind.
async fn existing(call: &Call<'_>, owner: &Owner, kind: Kind, key: &FolderKey) -> Result<FolderCounts, ApiError> {
    let id = key.id_in(owner.id).ok_or_else(|| ApiError::no_folder(key))?;
    let mut found = call.state.store.folder(owner.id, id).await?;
    if found.is_none() && *key == FolderKey::WellKnown(WellKnown::SearchFolders) {
        found = Some(search_root(owner));
    }
    let is_one = |folder: &Folder| folder.id.kind == kind && !calendar_group::is_group(folder);
    let mut found = found.filter(|found| is_one(&found.folder)).ok_or(ApiError::ItemNotFound)?;
    search_folder::count(call, owner, &mut found).await?;
    Ok(found)
}

/// The root of search folders, which is made with the first of them in mailboxes that are older than it.
fn search_root(owner: &Owner) -> FolderCounts {
    FolderCounts { folder: WellKnown::SearchFolders.folder_in(owner.id), total: 0, unread: 0, children: 0 }
}

/// All folders of a mailbox.
pub(super) async fn all(call: &Call<'_>, owner: &Owner) -> Result<Vec<Folder>, ApiError> {
    Ok(call.state.store.folders(owner.id).await?.into_iter().map(|found| found.folder).collect())
}

/// Commits, and tells whether it must be tried again on the mailbox as it is now.
pub(super) async fn committed(call: &Call<'_>, owner: &Owner, mutation: Mutation) -> Result<bool, ApiError> {
    match call.commit(owner, mutation, None).await {
        Ok(()) => Ok(true),
        Err(CommitError::ItemChanged(_) | CommitError::FolderChanged(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn select(call: &Call<'_>, kind: Kind) -> Result<Option<Select>, ApiError> {
    call.query.select(Entity::folder_of(kind)).map_err(ApiError::Query)
}
