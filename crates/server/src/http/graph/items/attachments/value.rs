//! `GET …/attachments/{id}/$value`: 200 with the bytes of a file, under its content type, or with an
//! attached message as MIME. A reference has no content: 405.

use graph::mailbox::attachment::{FILE, ITEM};
use graph::mime;
use graph::path::ItemPath;
use serde_json::Value;

use super::super::find as find_item;
use super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn value(call: &Call<'_>, path: &ItemPath, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let item = find_item(call, &owner, path).await?;
    let (attachment, content) = find(call, &owner, &item, id).await?;
    let text = |name: &str| attachment.properties.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("@odata.type") {
        FILE => Ok(Answer::bytes(mime::media_type(text("contentType")).to_owned(), content)),
        ITEM if !content.is_empty() => Ok(Answer::bytes(mime::CONTENT_TYPE, content)),
        ITEM => match attachment.properties.get("item").and_then(Value::as_object) {
            Some(inner) if mime::is_message(inner) => {
                Ok(Answer::bytes(mime::CONTENT_TYPE, mime::write(inner, &[], item.version.0)))
            }
            _ => Err(ApiError::NotServed),
        },
        _ => Err(ApiError::Method),
    }
}
