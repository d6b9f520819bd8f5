//! `POST /admin/outbound/check`: whether a URL may be called, what would open it, and what comes of a handshake.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::request::Body;
use super::{Admin, Failure};
use crate::ids;
use crate::outbound::Checked;

/// A URL that an app would give as `notificationUrl`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Check {
    url: String,
    /// Make a handshake with its receiver, as for a subscription that says nothing of TLS.
    #[serde(default)]
    handshake: bool,
}

#[utoipa::path(
    post,
    path = "/admin/outbound/check",
    request_body = Check,
    responses(
        (status = 200, body = Checked, description = "The verdict, whatever it is"),
        (status = 400, body = Failure)
    )
)]
pub(super) async fn check(State(admin): State<Admin>, Body(check): Body<Check>) -> Json<Checked> {
    let request_id = check.handshake.then(|| ids::new_uuid().to_string());
    Json(admin.outbound.examine(&check.url, request_id.as_deref()).await)
}
