//! `GET /subscriptions/{id}`: 200 with the subscription and its `clientState`; 404 for one that ended,
//! never was, or belongs to another app or user.

use http::StatusCode;
use protocol::error::Operation;

use super::{entity_context, resource, visible};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn get(call: &Call<'_>, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let found = visible(call, id, Operation::Read).await?;
    Ok(Answer::json(StatusCode::OK, &resource(&found, Some(entity_context(call)))))
}
