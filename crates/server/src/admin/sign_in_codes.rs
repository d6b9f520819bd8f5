//! `POST /admin/users/{user}/sign-in-codes`: lets a user sign in once, at the issuer's page, with a code.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::request::user_of;
use super::{Admin, Failure};
use crate::identity::SIGN_IN_MINUTES;

/// What the user types at the page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignInCode {
    code: String,
    /// It may be used before then, and once.
    expires: String,
}

#[utoipa::path(
    post,
    path = "/admin/users/{user}/sign-in-codes",
    params(("user" = String, Path, description = "Id or address")),
    responses(
        (status = 201, body = SignInCode, description = "A new code; nobody can read it again"),
        (status = 404, body = Failure),
        (status = 503, body = Failure, description = "Too many codes wait to be used")
    )
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    Path(key): Path<String>,
) -> Result<(StatusCode, Json<SignInCode>), Failure> {
    let state = &admin.state;
    let user = user_of(&state.directory, &key).await?;
    let now = state.clock.wall();
    let too_many = |_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many sign-in codes wait to be used");
    let code = state.pending.new_sign_in_code(user.id, now).map_err(too_many)?;
    let expires = now.plus_minutes(SIGN_IN_MINUTES).whole_seconds().to_string();
    Ok((StatusCode::CREATED, Json(SignInCode { code, expires })))
}
