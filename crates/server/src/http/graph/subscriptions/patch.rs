//! `PATCH /subscriptions/{id}`: renews it or moves it to another URL, which must pass the handshake
//! first. It reauthorizes it, too. 200 with the whole subscription; 404 once its end is in the log.

use std::sync::Arc;

use http::StatusCode;
use notify::rules::{self, UrlRole};
use protocol::SubscriptionRequest;
use protocol::error::Operation;
use store::SubscriptionError;

use super::create::{check_url, prove};
use super::{authorized, entity_context, resource, topic, visible};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn patch(call: &Call<'_>, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let mut current = visible(call, id, Operation::Update).await?;
    let request = SubscriptionRequest::parse_patch(&call.body)?;
    let moved_to = request.notification_url.as_deref().filter(|url| *url != current.notification_url);
    check_url(call, UrlRole::Notification, moved_to)?;
    let mut proven: Option<String> = None;
    for _ in 0..TRIES {
        let patch = rules::patch(&request, &current, call.context.now, &call.state.profile)?;
        if let Some(url) = patch.notification_url.as_ref().filter(|url| **url != current.notification_url)
            && proven.as_ref() != Some(url)
        {
            prove(call, UrlRole::Notification, (url, current.tls_version)).await?;
            proven = Some(url.clone());
        }
        call.check_again().await?;
        let after = Arc::new(authorized(call, patch.applied(&current)));
        topic::keep(call, &after).await?;
        match call.state.store.patch_subscription(current.clone(), after.clone()).await {
            Ok(_) => return Ok(Answer::json(StatusCode::OK, &resource(&after, Some(entity_context(call))))),
            Err(SubscriptionError::Changed) => current = visible(call, id, Operation::Update).await?,
            Err(SubscriptionError::NotFound) => return Err(ApiError::SubscriptionNotFound),
            Err(SubscriptionError::Store(error)) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
