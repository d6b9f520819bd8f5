//! `PATCH /subscriptions/{id}`: renews it or moves it to another URL, which must pass the handshake
//! first. 200 with the whole subscription; 404 once its end is in the log.

use std::sync::Arc;

use http::StatusCode;
use notify::Subscription;
use notify::rules::{self, UrlRole};
use protocol::SubscriptionRequest;
use protocol::error::Operation;
use store::SubscriptionError;

use super::create::{check_url, prove};
use super::{entity_context, resource, visible};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};

pub async fn patch(call: &Call<'_>, id: &str) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let mut current = visible(call, id, Operation::Update).await?;
    let request = SubscriptionRequest::parse_patch(&call.body)?;
    let mut proven: Option<String> = None;
    for _ in 0..TRIES {
        let patch = rules::patch(&request, &current, call.context.now, &call.state.profile)?;
        if let Some(url) = patch.notification_url.as_ref().filter(|url| **url != current.notification_url)
            && proven.as_ref() != Some(url)
        {
            check_url(call, UrlRole::Notification, url)?;
            prove(call, UrlRole::Notification, (url, current.tls_version)).await?;
            proven = Some(url.clone());
        }
        let mut after = Subscription::clone(&current);
        if let Some(expires) = patch.expires {
            (after.expires, after.expires_tenths) = (expires.at, expires.tenths);
        }
        after.notification_url = patch.notification_url.unwrap_or(after.notification_url);
        let after = Arc::new(after);
        match call.state.store.patch_subscription(current.clone(), after.clone()).await {
            Ok(_) => return Ok(Answer::json(StatusCode::OK, &resource(&after, Some(entity_context(call))))),
            Err(SubscriptionError::Changed) => current = visible(call, id, Operation::Update).await?,
            Err(SubscriptionError::NotFound) => return Err(ApiError::SubscriptionNotFound),
            Err(SubscriptionError::Store(error)) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}
