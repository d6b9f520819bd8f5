//! `GET …/extensions/{name or id}`: 200.

use graph::mailbox::extension;
use graph::path::ItemPath;
use http::StatusCode;

use super::super::find;
use super::whole;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, path: &ItemPath, key: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let owner = call.owner(&path.user).await?;
    let item = find(call, &owner, path).await?;
    let found = extension::find(&item, key).ok_or(ApiError::ItemNotFound)?;
    Ok(whole(call, StatusCode::OK, &item, found))
}
