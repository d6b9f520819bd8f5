//! `DELETE` of a folder: 204. A mail folder goes below Deleted Items first; from there, and calendars,
//! contact folders and search folders at once, it is removed for good with everything in it, in
//! transactions of a bounded size, the folders themselves in the last.

use graph::mailbox::{self, Doomed, FolderDeletion, Owner};
use graph::path::{FolderKey, UserKey};
use graph::{ChangeId, Item, Kind};
use http::StatusCode;
use store::ItemQuery;

use super::{all, committed, existing};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};
use crate::ids;

/// Items removed in one transaction.
const BATCH: u64 = 500;

pub async fn delete(call: &Call<'_>, user: &UserKey, kind: Kind, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(user).await?;
    for _ in 0..TRIES {
        let found = existing(call, &owner, kind, key).await?;
        let folders = all(call, &owner).await?;
        let done = match mailbox::delete_folder(&found.folder, &folders)? {
            FolderDeletion::ToDeletedItems(mutation) => committed(call, &owner, *mutation).await?,
            FolderDeletion::ForGood(doomed) => remove(call, &owner, &doomed).await?,
        };
        if done {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
    }
    Err(ApiError::Contended)
}

pub(super) async fn remove(call: &Call<'_>, owner: &Owner, doomed: &Doomed) -> Result<bool, ApiError> {
    loop {
        let (items, last) = some_items(call, owner, doomed).await?;
        let mutation = mailbox::remove_folders(owner, call.context.now, doomed, &items, last);
        if !committed(call, owner, mutation).await? {
            return Ok(false);
        }
        if last {
            return Ok(true);
        }
    }
}

/// Up to a batch of what lies in the folders, each with the id of its deletion, and whether it is the last.
async fn some_items(
    call: &Call<'_>,
    owner: &Owner,
    doomed: &Doomed,
) -> Result<(Vec<(Item, ChangeId)>, bool), ApiError> {
    let Some(kind) = doomed.folders.first().map(|folder| folder.kind) else { return Ok((Vec::new(), true)) };
    let folders = Some(doomed.folders.clone());
    let query = ItemQuery { folders, ..ItemQuery::newest(owner.id, kind, None, BATCH) };
    let found = call.state.store.items(query).await?;
    let items = found.items.into_iter().map(|item| (item, ChangeId(ids::new_uuid()))).collect();
    Ok((items, !found.more))
}
