//! `GET …/attachments/{id}/$value`: 200 with the bytes of a file, under its content type, or with an
//! attached item: a message as MIME, an event as iCalendar, a contact as vCard. A reference has no content: 405.

use graph::mailbox::attachment::{FILE, ITEM};
use graph::path::ItemPath;
use graph::{Properties, ical, mime, vcard};
use serde_json::Value;

use super::super::find as find_item;
use super::find;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

/// The type of an attached event.
const EVENT: &str = "#microsoft.graph.event";

pub async fn value(call: &Call<'_>, path: &ItemPath, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let item = find_item(call, &owner, path).await?;
    let (attachment, content) = find(call, &owner, &item, id).await?;
    let text = |name: &str| text_of(&attachment.properties, name);
    match text("@odata.type") {
        FILE => Ok(Answer::bytes(mime::media_type(text("contentType")).to_owned(), content)),
        ITEM if !content.is_empty() => Ok(Answer::bytes(mime::CONTENT_TYPE, content)),
        ITEM => match attachment.properties.get("item").and_then(Value::as_object) {
            Some(inner) if mime::is_message(inner) => {
                Ok(Answer::bytes(mime::CONTENT_TYPE, mime::write(inner, &[], item.version.0)))
            }
            Some(inner) if text_of(inner, "@odata.type") == EVENT => {
                let stamp = text("lastModifiedDateTime").parse().unwrap_or(item.modified);
                Ok(Answer::bytes("text/calendar; charset=utf-8", ical::write(inner, stamp).into_bytes()))
            }
            Some(inner) => Ok(Answer::bytes("text/vcard; charset=utf-8", vcard::write(inner).into_bytes())),
            None => Err(ApiError::Method),
        },
        _ => Err(ApiError::Method),
    }
}

fn text_of<'a>(properties: &'a Properties, name: &str) -> &'a str {
    properties.get(name).and_then(Value::as_str).unwrap_or_default()
}
