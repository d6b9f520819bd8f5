//! The admin API: its own listener, one bearer token, one OpenAPI description. Later features add
//! operations and change none.

mod import;
mod keys;
mod lifecycle;
mod sign_in_codes;
mod status;
mod subscriptions;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Serialize;
use store::StoreError;
use subtle::ConstantTimeEq as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::app::AppState;
use crate::sources::delivery::FreshSource;
use crate::sources::import::ITEM_BYTES_MAX;

/// What the admin API works with.
#[derive(Clone)]
pub struct Admin {
    pub state: Arc<AppState>,
    pub token: String,
    pub fresh: FreshSource,
    /// Whether lifecycle events may be provoked.
    pub dev: bool,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Tidings admin API", description = "Looks into a running server and feeds it."),
    paths(
        status::status,
        subscriptions::list,
        subscriptions::ledger,
        lifecycle::lifecycle,
        keys::rotate,
        sign_in_codes::create,
        import::import
    ),
    modifiers(&Bearer),
    security(("adminToken" = []))
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = openapi.components.get_or_insert_with(Default::default);
        components.add_security_scheme("adminToken", SecurityScheme::Http(scheme));
    }
}

pub fn router(admin: Admin) -> Router {
    let open = Router::new().route("/admin/openapi.json", get(openapi));
    let import = post(import::import).layer(DefaultBodyLimit::max(ITEM_BYTES_MAX + 1024));
    let guarded = Router::new()
        .route("/admin/status", get(status::status))
        .route("/admin/subscriptions", get(subscriptions::list))
        .route("/admin/subscriptions/{id}/ledger", get(subscriptions::ledger))
        .route("/admin/subscriptions/{id}/lifecycle", post(lifecycle::lifecycle))
        .route("/admin/keys/rotate", post(keys::rotate))
        .route("/admin/users/{id}/sign-in-codes", post(sign_in_codes::create))
        .route("/admin/import", import)
        .layer(middleware::from_fn_with_state(admin.clone(), guard))
        .with_state(admin);
    open.merge(guarded)
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "no such operation; see /admin/openapi.json"))
}

async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}

async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        header.and_then(|header| header.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let known = token.is_some_and(|(_, token)| bool::from(token.trim().as_bytes().ct_eq(admin.token.as_bytes())));
    if known {
        return next.run(request).await;
    }
    let why = "send the admin token as a bearer token; it is in the file admin-token of the data directory";
    let mut response = Failure::new(StatusCode::UNAUTHORIZED, why).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
    response
}

/// Why an operation was refused.
#[derive(Debug, Serialize, ToSchema)]
struct Failure {
    #[serde(skip)]
    #[schema(ignore)]
    status: StatusCode,
    /// What went wrong, and what to change.
    error: String,
}

impl Failure {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    fn no_subscription() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no such subscription")
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
