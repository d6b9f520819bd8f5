//! `POST /admin/users/{id}/sign-in-codes`: lets a user sign in once, at the issuer's page, with a code.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

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
    path = "/admin/users/{id}/sign-in-codes",
    params(("id" = String, Path, description = "The user's id or address")),
    responses(
        (status = 201, body = SignInCode, description = "A new code; nobody can read it again"),
        (status = 404, body = Failure),
        (status = 503, body = Failure, description = "Too many codes wait to be used")
    )
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<SignInCode>), Failure> {
    let state = &admin.state;
    let found = match id.parse() {
        Ok(id) => state.directory.user(id).await?,
        Err(_) => state.directory.by_address(&id).await?,
    };
    let user = found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "no such user"))?;
    let now = state.clock.wall();
    let too_many = |_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many sign-in codes wait to be used");
    let code = state.pending.new_sign_in_code(user.id, now).map_err(too_many)?;
    let expires = now.plus_minutes(SIGN_IN_MINUTES).whole_seconds().to_string();
    Ok((StatusCode::CREATED, Json(SignInCode { code, expires })))
}
