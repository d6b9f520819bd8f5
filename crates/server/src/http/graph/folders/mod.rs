//! Mail folders, calendars and contact folders: one file for each operation, for all three kinds.

pub mod count;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;

use graph::mailbox::Owner;
use graph::path::FolderKey;
use graph::render::{self, Counts, Select, View};
use graph::schema::Entity;
use graph::{Folder, Kind, Mutation};
use http::StatusCode;
use serde_json::Value;
use store::{CommitError, FolderCounts};

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

/// The collection's name in paths and contexts.
fn collection(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "mailFolders",
        Kind::Event => "calendars",
        Kind::Contact => "contactFolders",
    }
}

fn shown(found: &FolderCounts, owner: &Owner, view: View<'_>) -> Value {
    match found.folder.id.kind {
        Kind::Message => {
            let counts = Counts { total: found.total, unread: found.unread, children: found.children };
            render::mail_folder(&found.folder, counts, view)
        }
        Kind::Event => render::calendar(&found.folder, owner, view),
        Kind::Contact => render::contact_folder(&found.folder, view),
    }
}

/// A single folder in an answer.
fn single(call: &Call<'_>, owner: &Owner, found: &FolderCounts, select: Option<&Select>, status: StatusCode) -> Answer {
    let kind = found.folder.id.kind;
    let context = render::context(&call.base(), owner.id, collection(kind), select, true);
    Answer::json(status, &shown(found, owner, View { context: Some(&context), select, prefer: &call.prefer }))
}

/// A folder as the store has it, if it is of that kind.
async fn existing(call: &Call<'_>, owner: &Owner, kind: Kind, key: &FolderKey) -> Result<FolderCounts, ApiError> {
    let id = key.id_in(owner.id).ok_or(ApiError::MalformedId)?;
    let found = call.state.store.folder(owner.id, id).await?;
    found.filter(|found| found.folder.id.kind == kind).ok_or(ApiError::ItemNotFound)
}

/// All folders of a mailbox.
async fn all(call: &Call<'_>, owner: &Owner) -> Result<Vec<Folder>, ApiError> {
    Ok(call.state.store.folders(owner.id).await?.into_iter().map(|found| found.folder).collect())
}

/// Commits, and tells whether it must be tried again on the mailbox as it is now.
async fn committed(call: &Call<'_>, owner: &Owner, mutation: Mutation) -> Result<bool, ApiError> {
    match call.commit(owner, mutation, None).await {
        Ok(()) => Ok(true),
        Err(CommitError::ItemChanged(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn select(call: &Call<'_>, kind: Kind) -> Result<Option<Select>, ApiError> {
    call.query.select(Entity::folder_of(kind)).map_err(ApiError::Query)
}
