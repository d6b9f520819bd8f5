//! `GET …/extensions`: 200 with all extensions of an item.

use graph::mailbox::extension;
use graph::path::ItemPath;
use http::StatusCode;
use serde_json::json;

use super::super::find;
use super::segment;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn list(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let item = find(call, &owner, path).await?;
    let context = call.metadata(&segment(call, &item));
    Ok(Answer::json(StatusCode::OK, &json!({ "@odata.context": context, "value": extension::all(&item) })))
}
