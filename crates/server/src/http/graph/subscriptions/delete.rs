//! `DELETE /subscriptions/{id}`: 204 once its end is durable and this node begins no attempt for it any
//! more; 404 the second time.

use http::StatusCode;
use notify::EndReason;
use protocol::error::Operation;
use store::SubscriptionError;

use super::visible;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;

pub async fn delete(call: &Call<'_>, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let found = visible(call, id, Operation::Delete).await?;
    let ended = call.state.store.end_subscription(found.id, EndReason::Deleted, None).await;
    let ended = ended.map_err(|error| match error {
        SubscriptionError::NotFound | SubscriptionError::Changed => ApiError::SubscriptionNotFound,
        SubscriptionError::Store(error) => ApiError::Store(error),
    })?;
    call.state.engine.end_committed(ended.partition, found.id, ended.position).await;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
