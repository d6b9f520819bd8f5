//! `PATCH` of a folder: 200 with the folder under its new name.

use graph::path::{FolderKey, UserKey};
use graph::{Kind, mailbox};
use http::StatusCode;
use store::FolderCounts;

use super::{all, committed, existing, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::items::search_folder;
use crate::http::graph::{Call, TRIES};

pub async fn patch(call: &Call<'_>, user: &UserKey, kind: Kind, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let found = existing(call, &owner, kind, key).await?;
        let folders = all(call, &owner).await?;
        let written = mailbox::rename_folder(&found.folder, &folders, body.clone())?;
        if committed(call, &owner, written.mutation).await? {
            let mut renamed = FolderCounts { folder: written.folder, ..found };
            search_folder::count(call, &owner, &mut renamed).await?;
            return Ok(single(call, &owner, &renamed, None, StatusCode::OK));
        }
    }
    Err(ApiError::Contended)
}
