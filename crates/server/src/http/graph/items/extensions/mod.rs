//! Open extensions of messages, events and contacts: one file for each operation. Each write of one is a
//! write of its item.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;

use graph::path::{ItemPart, ItemPath};
use graph::{Item, render};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn part(call: &Call<'_>, method: &Method, path: &ItemPath, part: &ItemPart) -> Result<Answer, ApiError> {
    match (method.as_str(), part) {
        ("GET", ItemPart::Extensions) => list::list(call, path).await,
        ("POST", ItemPart::Extensions) => create::create(call, path).await,
        ("GET", ItemPart::Extension(key)) => get::get(call, path, key).await,
        ("PATCH", ItemPart::Extension(key)) => patch::patch(call, path, key).await,
        ("DELETE", ItemPart::Extension(key)) => delete::delete(call, path, key).await,
        _ => Err(ApiError::Method),
    }
}

fn segment(call: &Call<'_>, item: &Item) -> String {
    let id = render::item_id(item, &call.prefer);
    format!("users('{}')/{}('{id}')/extensions", item.mailbox, item.id.kind.collection())
}

/// One extension in full.
fn whole(call: &Call<'_>, status: StatusCode, item: &Item, extension: &Value) -> Answer {
    let mut body = extension.clone();
    body["@odata.context"] = call.metadata(&format!("{}/$entity", segment(call, item))).into();
    Answer::json(status, &body)
}
