//! `POST /subscriptions/{id}/reauthorize`: 204. The body, if any, is not looked at. Access does not run
//! out yet, so that there is nothing to prolong.

use http::StatusCode;
use protocol::error::Operation;

use super::visible;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn reauthorize(call: &Call<'_>, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    visible(call, id, Operation::Update).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
