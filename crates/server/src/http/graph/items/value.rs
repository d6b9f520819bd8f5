//! `GET /messages/{id}/$value`: 200 with the message as MIME, attachments included.

use graph::mime;
use graph::path::ItemPath;

use super::{attachments, find};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn value(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let item = find(call, &owner, path).await?;
    let attachments = attachments::whole(call, &owner, &item).await?;
    Ok(Answer::bytes(mime::CONTENT_TYPE, mime::write(&item.properties, &attachments, item.version.0)))
}
