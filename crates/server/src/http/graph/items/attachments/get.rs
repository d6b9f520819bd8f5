//! `GET …/attachments/{id}`: 200; a file with its content, an item with `$expand`.

use graph::path::ItemPath;
use graph::render;
use http::StatusCode;

use super::super::find as find_item;
use super::{Shown, context, find};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, path: &ItemPath, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$expand"])?;
    let shown = Shown::read(call)?;
    let owner = call.owner(&path.user).await?;
    let item = find_item(call, &owner, path).await?;
    let (attachment, content) = find(call, &owner, &item, id).await?;
    let context = context(call, &item, "/$entity");
    Ok(Answer::json(StatusCode::OK, &render::attachment(&attachment, &content, shown.view(Some(&context)))))
}
