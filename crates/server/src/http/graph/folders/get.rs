//! `GET` of one folder, by id or well-known name: 200.

use graph::Kind;
use graph::path::{FolderKey, UserKey};
use http::StatusCode;

use super::{existing, select, single};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, user: &UserKey, kind: Kind, key: &FolderKey) -> Result<Answer, ApiError> {
    call.query.allow(&["$select"])?;
    let select = select(call, kind)?;
    let owner = call.owner(user).await?;
    let found = existing(call, &owner, kind, key).await?;
    Ok(single(call, &owner, &found, select.as_ref(), StatusCode::OK))
}
