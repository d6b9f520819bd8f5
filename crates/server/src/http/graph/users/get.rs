//! `GET /me` and `GET /users/{id|upn}`: 200.

use graph::path::UserKey;
use http::StatusCode;

use super::shown;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, named};

pub async fn get(call: &Call<'_>, key: &UserKey) -> Result<Answer, ApiError> {
    call.query.allow(&["$select"])?;
    let user = call.user(key).await?.ok_or_else(|| ApiError::NoSuchUser(named(key)))?;
    let mut body = shown(call, &user)?;
    body.insert("@odata.context".to_owned(), call.metadata("users/$entity").into());
    Ok(Answer::json(StatusCode::OK, &body))
}
