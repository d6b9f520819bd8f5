//! `POST /admin/subscriptions/{id}/lifecycle`: sends a lifecycle notification on demand, which Graph never
//! does. Development only.

use axum::Json;
use axum::extract::{Path, State};
use graph::ChangeId;
use http::StatusCode;
use notify::LifecycleEvent;
use serde::Deserialize;
use store::SubscriptionError;
use utoipa::ToSchema;

use super::{Admin, Failure};
use crate::ids;

/// What to tell the subscription's app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Provoke {
    event: Event,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Event {
    Missed,
    SubscriptionRemoved,
    ReauthorizationRequired,
}

#[utoipa::path(
    post,
    path = "/admin/subscriptions/{id}/lifecycle",
    params(("id" = String, Path, description = "The subscription's id")),
    request_body = Provoke,
    responses(
        (status = 202, description = "The event is in the log"),
        (status = 403, body = Failure),
        (status = 404, body = Failure),
        (status = 409, body = Failure, description = "It has no lifecycleNotificationUrl")
    )
)]
pub(super) async fn lifecycle(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Json(provoke): Json<Provoke>,
) -> Result<StatusCode, Failure> {
    if !admin.dev {
        return Err(Failure::new(StatusCode::FORBIDDEN, "only `tidings dev` sends lifecycle events on demand"));
    }
    let id = id.parse().map_err(|_| Failure::no_subscription())?;
    let found = admin.state.store.subscription(id).await?;
    let found = found.filter(|found| found.target.event_subscription().is_none());
    let found = found.ok_or_else(Failure::no_subscription)?;
    if found.lifecycle_url.is_none() {
        let why = "the subscription has no lifecycleNotificationUrl, so nobody would hear of it; create it with one";
        return Err(Failure::new(StatusCode::CONFLICT, why));
    }
    let event = match provoke.event {
        Event::Missed => LifecycleEvent::Missed,
        Event::SubscriptionRemoved => LifecycleEvent::SubscriptionRemoved,
        Event::ReauthorizationRequired => LifecycleEvent::ReauthorizationRequired,
    };
    match admin.state.store.append_lifecycle(id, ChangeId(ids::new_uuid()), event).await {
        Ok(_) => Ok(StatusCode::ACCEPTED),
        Err(SubscriptionError::Store(error)) => Err(error.into()),
        Err(_) => Err(Failure::no_subscription()),
    }
}
