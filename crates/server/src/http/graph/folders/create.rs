//! `POST` of a folder, at the top or below a parent: 201; 409 if one of that name is there.

use graph::path::{FolderKey, UserKey};
use graph::{Kind, mailbox};
use http::StatusCode;
use store::{Commit, CommitError, FolderCounts, Once};

use super::{all, existing, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::items::search_folder;
use crate::http::graph::{Call, TRIES};

pub async fn create(
    call: &Call<'_>,
    user: &UserKey,
    kind: Kind,
    parent: Option<FolderKey>,
) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let parent = match &parent {
        Some(key) => Some(existing(call, &owner, kind, key).await?.folder.id),
        None => None,
    };
    let body = call.json()?;
    let mut has_namesake = false;
    for _ in 0..TRIES {
        let folders = all(call, &owner).await?;
        let written = mailbox::create_folder(&owner, &call.fresh(), kind, parent, &folders, body.clone())?;
        // Of two callers who want the name at a time, the second finds the folder at its next look, unless
        // somebody has removed it since.
        let name = written.folder.display_name.to_lowercase();
        let key = format!("folder {} {parent:?} {name}", kind.type_name());
        let now = call.context.now;
        let commit = Commit {
            once: (!has_namesake).then(|| Once { key, now, until: now.plus_minutes(1) }),
            ..call.commit_of(&owner, written.mutation)
        };
        match call.state.store.commit(commit).await {
            Ok(_) => {
                let mut made = FolderCounts { folder: written.folder, total: 0, unread: 0, children: 0 };
                search_folder::count(call, &owner, &mut made).await?;
                return Ok(single(call, &owner, &made, None, StatusCode::CREATED));
            }
            Err(CommitError::AlreadyDone) => has_namesake = true,
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
