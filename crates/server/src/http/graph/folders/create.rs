//! `POST` of a folder, at the top or below a parent: 201; 409 if one of that name is there.

use graph::path::{FolderKey, UserKey};
use graph::{Kind, mailbox};
use http::StatusCode;
use store::FolderCounts;

use super::{all, committed, existing, single};
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
    for _ in 0..TRIES {
        let folders = all(call, &owner).await?;
        let written = mailbox::create_folder(&owner, &call.fresh(), kind, parent, &folders, body.clone())?;
        if committed(call, &owner, written.mutation).await? {
            let mut made = FolderCounts { folder: written.folder, total: 0, unread: 0, children: 0 };
            search_folder::count(call, &owner, &mut made).await?;
            return Ok(single(call, &owner, &made, None, StatusCode::CREATED));
        }
    }
    Err(ApiError::Contended)
}
