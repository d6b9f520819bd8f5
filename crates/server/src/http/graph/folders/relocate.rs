//! `POST /mailFolders/{id}/move`: 200 with the folder below its new parent; what lies in it keeps its ids.
//! `POST /mailFolders/{id}/copy`: 200 with a copy of the whole tree. Its folders are made in one
//! transaction, its items in further ones of a bounded size: a copy that fails halfway stays halfway.

use graph::mailbox::{self, FolderCopy, Owner};
use graph::path::{FolderKey, UserKey};
use graph::{ChangeId, Folder, FolderId, Kind, Refusal, schema};
use http::StatusCode;
use store::{CommitError, FolderCounts, ItemQuery};

use super::{all, committed, existing, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};
use crate::ids;

/// Items copied in one transaction.
const BATCH: u64 = 50;
/// Items in a tree that may be copied by one request.
const ITEMS_COPIED_MAX: usize = 5_000;

pub async fn move_(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    let (owner, destination) = begin(call, user).await?;
    for _ in 0..TRIES {
        let found = existing(call, &owner, Kind::Message, key).await?;
        let below = call.folder(owner.id, &destination).await?;
        let written = mailbox::move_folder(&owner, &found.folder, below, &all(call, &owner).await?)?;
        if committed(call, &owner, written.mutation).await? {
            let moved = FolderCounts { folder: written.folder, ..found };
            return Ok(single(call, &owner, &moved, None, StatusCode::OK));
        }
    }
    Err(ApiError::Contended)
}

pub async fn copy(call: &Call<'_>, user: &UserKey, key: &FolderKey) -> Result<Answer, ApiError> {
    let (owner, destination) = begin(call, user).await?;
    for _ in 0..TRIES {
        let found = existing(call, &owner, Kind::Message, key).await?;
        let below = call.folder(owner.id, &destination).await?;
        let stored = call.state.store.folders(owner.id).await?;
        let folders: Vec<Folder> = stored.iter().map(|found| found.folder.clone()).collect();
        let copy = mailbox::copy_folder(&owner, &found.folder, below, &folders, ids::new_uuid)?;
        check_size(&copy, &stored)?;
        if !committed(call, &owner, copy.mutation).await? {
            continue;
        }
        for (from, into) in &copy.folders {
            copy_items(call, &owner, *from, into.id).await?;
        }
        let made = copy.folders.first().map(|(_, made)| made.id).unwrap_or(found.folder.id);
        let made = call.state.store.folder(owner.id, made).await?.ok_or(ApiError::ItemNotFound)?;
        return Ok(single(call, &owner, &made, None, StatusCode::OK));
    }
    Err(ApiError::Contended)
}

async fn begin(call: &Call<'_>, user: &UserKey) -> Result<(Owner, FolderKey), ApiError> {
    call.query.allow(&[])?;
    Ok((call.owner(user).await?, schema::destination(Kind::Message, call.json()?)?))
}

fn check_size(copy: &FolderCopy, stored: &[FolderCounts]) -> Result<(), ApiError> {
    let copied = |found: &&FolderCounts| copy.folders.iter().any(|(old, _)| *old == found.folder.id);
    let items: u64 = stored.iter().filter(copied).map(|found| found.total).sum();
    if items <= ITEMS_COPIED_MAX as u64 {
        return Ok(());
    }
    let property = "totalItemCount".to_owned();
    Err(Refusal::TooLong { property, length_max: ITEMS_COPIED_MAX, unit: "items in one copy" }.into())
}

async fn copy_items(call: &Call<'_>, owner: &Owner, from: FolderId, into: FolderId) -> Result<(), ApiError> {
    let mut skip = 0;
    let mut tries = TRIES;
    loop {
        let query = ItemQuery { skip, ..ItemQuery::newest(owner.id, Kind::Message, Some(from), BATCH) };
        let found = call.state.store.items(query).await?;
        if found.items.is_empty() || skip >= ITEMS_COPIED_MAX as u64 {
            return Ok(());
        }
        let count = found.items.len() as u64;
        let items: Vec<_> =
            found.items.into_iter().map(|item| (item, ids::new_uuid(), ChangeId(ids::new_uuid()))).collect();
        let mutation = mailbox::copy_items(owner, call.context.now, into, &items);
        match call.commit(owner, mutation, None).await {
            Ok(()) => (skip, tries) = (skip + count, TRIES),
            Err(CommitError::ItemChanged(_)) if tries > 1 => tries -= 1,
            Err(error) => return Err(error.into()),
        }
    }
}
