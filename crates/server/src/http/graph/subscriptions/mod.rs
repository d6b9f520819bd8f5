//! The subscriptions of an app: one file for each operation.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;
pub mod reauthorize;
mod topic;

use std::borrow::Cow;
use std::sync::Arc;

use graph::SubscriptionId;
use notify::Subscription;
use notify::access;
use notify::subscription::Extras;
use protocol::SubscriptionResource;
use protocol::error::Operation;

use super::Call;
use crate::clock::Times;
use crate::http::error::ApiError;

/// A live subscription that the caller may see: made by its app, and if it acts for a user, by that user.
/// All others are as if they were not. A refusal names the `operation` that it is looked up for.
async fn visible(call: &Call<'_>, id: &str, operation: Operation) -> Result<Arc<Subscription>, ApiError> {
    let id: SubscriptionId = id.parse().map_err(|_| ApiError::SubscriptionNotFound)?;
    let found = call.state.store.subscription(id).await?;
    let found = found.filter(|found| found.target.event_subscription().is_none());
    let found = found.ok_or(ApiError::SubscriptionNotFound)?;
    if !access::is_own(call.principal, &found) {
        return Err(foreign(call, &found, operation));
    }
    let (need, owner) = access::to_hold(&found);
    call.check(need, owner).await.map_err(|error| error.behind(operation))?;
    Ok(found)
}

/// The subscription as its app authorizes it by this call.
fn authorized(call: &Call<'_>, subscription: Subscription) -> Subscription {
    // The end of the caller's token, if that counts; it is dated by the world's time.
    let times = Times { here: call.context.now, world: call.context.world };
    let expires = call.principal.expires.map(|expires| times.here_at(expires));
    let lapses = call.state.profile.token_expiry.lapses(expires);
    subscription.authorized_at(call.context.now, lapses).asked_under(&call.context.origin)
}

fn foreign(call: &Call<'_>, found: &Subscription, operation: Operation) -> ApiError {
    let of_another_app = found.tenant == call.principal.tenant && found.app != call.principal.app;
    if !(call.state.profile.foreign_is_told && of_another_app) {
        return ApiError::SubscriptionNotFound;
    }
    let reason = "Unauthorized; Message : Subscription does not belong to application.";
    ApiError::Extension { operation, status: 401, reason: reason.to_owned() }
}

/// A subscription as the API shows it.
fn resource<'a>(subscription: &'a Subscription, context: Option<String>) -> SubscriptionResource<'a> {
    let extra = |of: fn(&Extras) -> Option<&str>| subscription.extras.as_deref().and_then(of).map(Cow::Borrowed);
    SubscriptionResource {
        odata_context: context.map(Cow::Owned),
        id: subscription.id.to_string().into(),
        resource: subscription.resource.as_str().into(),
        application_id: Some(subscription.app.to_string().into()),
        change_type: subscription.change_type.as_str().into(),
        client_state: subscription.client_state.as_deref().map(Cow::Borrowed),
        notification_url: subscription.notification_url.as_str().into(),
        lifecycle_notification_url: subscription.lifecycle_url.as_deref().map(Cow::Borrowed),
        expiration_date_time: subscription.expiration().into(),
        creator_id: Some(subscription.creator.to_string().into()),
        latest_supported_tls_version: Some(subscription.tls_version.as_str().into()),
        notification_query_options: extra(|extras| extras.notification_query_options.as_deref()),
        notification_content_type: extra(|extras| extras.notification_content_type.as_deref()),
        encryption_certificate: extra(|extras| extras.encryption_certificate.as_deref()),
        encryption_certificate_id: extra(|extras| extras.encryption_certificate_id.as_deref()),
        notification_url_app_id: extra(|extras| extras.notification_url_app_id.as_deref()),
        include_resource_data: subscription.is_rich().then_some(true),
    }
}

/// The context of a single subscription.
fn entity_context(call: &Call<'_>) -> String {
    call.metadata("subscriptions/$entity")
}
