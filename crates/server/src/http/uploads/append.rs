//! `PUT` of a part to an upload's URL: 200, what it still waits for. With the last part the attachment is
//! made, as one write of the item: 201 with its `Location`. A part out of turn is refused with 416, one
//! that another request overtook with 409.

use std::sync::Arc;

use axum::body::Body;
use graph::AttachmentId;
use graph::mailbox::{Fresh, attachment};
use http::request::Parts;
use http::{StatusCode, header};
use store::{Commit, CommitError, Upload, UploadError};
use tokio::sync::Semaphore;

use super::{expiry, range, session};
use crate::app::AppState;
use crate::directory;
use crate::http::answer::Answer;
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::http::graph::{REMOVALS_KEPT_MINUTES, TRIES};
use crate::http::read_body;
use crate::ids;

/// Attachments that are put together at a time: each is in memory whole.
static WHOLE: Semaphore = Semaphore::const_new(2);

pub(super) async fn append(
    state: &Arc<AppState>,
    context: &Context,
    parts: &Parts,
    upload: Upload,
    body: Body,
) -> Result<Answer, ApiError> {
    let header = parts.headers.get(header::CONTENT_RANGE).and_then(|header| header.to_str().ok());
    let range = header.and_then(range::read).ok_or(ApiError::UploadRange)?;
    if range.total != upload.size {
        return Err(ApiError::UploadRange);
    }
    // All parts have come before, but the attachment was not made then: the client tries again.
    if upload.received == upload.size && range.at + range.length == upload.size {
        return finish(state, context, upload).await;
    }
    if range.at != upload.received {
        return Err(ApiError::UploadOutOfTurn);
    }
    let bytes = read_body(body, &state.limits).await?;
    if bytes.len() as u64 != range.length {
        return Err(ApiError::UploadRange);
    }
    let expires = expiry(context.now);
    let appended = state.store.append_upload(upload.mailbox, upload.id, range.at, bytes.to_vec(), expires).await;
    appended.map_err(|error| match error {
        UploadError::NotFound => ApiError::UploadNotFound,
        UploadError::OutOfTurn { .. } => ApiError::UploadOvertaken,
        UploadError::Store(error) => error.into(),
    })?;
    let upload = Upload { received: range.at + range.length, expires, ..upload };
    if upload.received == upload.size {
        return finish(state, context, upload).await;
    }
    Ok(Answer::json(StatusCode::OK, &session(&upload)))
}

/// Attaches what was uploaded. The attachment's id follows from the upload, so that it is made once.
async fn finish(state: &Arc<AppState>, context: &Context, upload: Upload) -> Result<Answer, ApiError> {
    let mailbox = upload.mailbox;
    let user = state.directory.user(mailbox).await?.ok_or(ApiError::UploadNotFound)?;
    let owner = directory::owner(&user);
    let _permit = WHOLE.acquire().await;
    let content = state.store.upload_content(mailbox, upload.id).await?;
    for _ in 0..TRIES {
        let item = state.store.item_by_immutable(mailbox, upload.item).await?.ok_or(ApiError::ItemNotFound)?;
        let present = state.store.attachments(mailbox, item.immutable).await?;
        let id = AttachmentId::new(item.id.kind, upload.id);
        if !present.iter().any(|attachment| attachment.id == id) {
            let new = (upload.id, upload.properties.clone(), content.clone());
            let attached = attachment::attach_uploaded(&owner, &fresh(context), &item, &present, new)?;
            let forget_before = context.now.plus_minutes(-REMOVALS_KEPT_MINUTES);
            let commit = Commit::of(owner.tenant, mailbox, attached.written.mutation);
            match state.commit(&context.span, Commit { now: context.now, forget_before, ..commit }).await {
                Ok(_) => {}
                Err(CommitError::ItemChanged(_)) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        state.store.end_upload(mailbox, upload.id).await?;
        let collection = item.id.kind.collection();
        let location =
            format!("{}/v1.0/users('{mailbox}')/{collection}('{}')/attachments('{id}')", context.origin, item.id);
        return Ok(Answer::empty(StatusCode::CREATED).at(location));
    }
    Err(ApiError::Contended)
}

fn fresh(context: &Context) -> Fresh {
    let change = || graph::ChangeId(ids::new_uuid());
    Fresh { now: context.now, uuid: ids::new_uuid(), change: change(), removal: change() }
}
