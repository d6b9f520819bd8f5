//! `POST /subscriptions/{id}/reauthorize`: 204. The app has shown that it may be told: it is not asked again before
//! the next time comes, and a paused subscription goes on. The body, if any, is not looked at.

use std::sync::Arc;

use http::StatusCode;
use notify::Subscription;
use protocol::error::Operation;
use store::SubscriptionError;

use super::{authorized, visible};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn reauthorize(call: &Call<'_>, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    for _ in 0..TRIES {
        let current = visible(call, id, Operation::Update).await?;
        call.check_again().await?;
        let after = Arc::new(authorized(call, Subscription::clone(&current)));
        match call.state.store.patch_subscription(current, after).await {
            Ok(_) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(SubscriptionError::Changed) => {}
            Err(SubscriptionError::NotFound) => return Err(ApiError::SubscriptionNotFound),
            Err(SubscriptionError::Store(error)) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
