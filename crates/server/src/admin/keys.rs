//! `POST /admin/keys/rotate`: makes a new key that tokens are signed with from then on.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Admin, Failure};

/// What becomes of the keys that there are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rotate {
    /// Forget the keys of before, so that no token that they signed is accepted any more: for a key that
    /// somebody else has.
    #[serde(default)]
    distrust: bool,
}

/// The key that signs now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rotated {
    kid: String,
}

#[utoipa::path(
    post,
    path = "/admin/keys/rotate",
    request_body = Rotate,
    responses(
        (status = 200, body = Rotated, description = "A new key signs; unless distrusted, the old ones verify until their last token has expired"),
        (status = 503, body = Failure, description = "There is no new key; the last one signs on")
    )
)]
pub(super) async fn rotate(State(admin): State<Admin>, Json(rotate): Json<Rotate>) -> Result<Json<Rotated>, Failure> {
    let state = admin.state.clone();
    let rotated = tokio::task::spawn_blocking(move || state.tokens.rotate(rotate.distrust, state.clock.world())).await;
    match rotated {
        Ok(Ok(())) => Ok(Json(Rotated { kid: admin.state.tokens.ring().signing().kid().to_owned() })),
        Ok(Err(error)) => Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}"))),
        Err(error) => Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}
