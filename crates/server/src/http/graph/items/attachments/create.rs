//! `POST …/attachments`: 201 with the attachment. Its `@odata.type` is required. The item gets a new
//! version. Any message takes attachments, not only a draft: the documentation names no such bound.

use graph::mailbox::attachment;
use graph::path::ItemPath;
use store::CommitError;

use super::super::find as find_item;
use super::made;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn create(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let body = call.json()?;
    for _ in 0..TRIES {
        let item = find_item(call, &owner, path).await?;
        let present = call.state.store.attachments(owner.id, item.immutable).await?;
        let attached = attachment::attach(&owner, &call.fresh(), &item, &present, body.clone())?;
        let mutation = attached.written.mutation;
        let content = mutation.attachment_puts.first().map(|put| put.content.clone()).unwrap_or_default();
        match call.commit(&owner, mutation, None).await {
            Ok(()) => return Ok(made(call, &item, &attached.attachment, &content)),
            Err(CommitError::ItemChanged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
