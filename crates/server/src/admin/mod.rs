//! The admin API: its own listener, one bearer token, one OpenAPI description. Later features add
//! operations and change none.

mod apps;
mod attempts;
mod clock;
mod consents;
mod credentials;
mod dead_letters;
mod event_subscriptions;
mod faults;
mod import;
mod ingest;
mod keys;
mod ledger;
mod lifecycle;
mod metrics;
mod outbound;
mod replay;
mod request;
mod sign_in_codes;
mod status;
mod subscriptions;
mod tenants;
mod topics;
mod users;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
pub(crate) use faults::{FaultAction, is_of_dead_letters};
use http::{StatusCode, header};
use serde::Serialize;
use store::StoreError;
use subtle::ConstantTimeEq as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::app::AppState;
use crate::directory::Directory;
use crate::http::health;
use crate::outbound::Outbound;
use crate::sources::delivery::FreshSource;
use crate::sources::import::ITEM_BYTES_MAX;
use crate::sources::ingest::BATCH_BYTES_MAX;

pub(crate) use ledger::name as reason_name;

/// What the admin API works with.
#[derive(Clone)]
pub struct Admin {
    pub state: Arc<AppState>,
    pub token: String,
    /// Where the API for apps is, as this machine reaches it.
    pub origin: String,
    pub fresh: FreshSource,
    pub outbound: Arc<Outbound>,
    /// Whether lifecycle events may be provoked, the clock be moved, and faults be made.
    pub dev: bool,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Tidings admin API", description = "Looks into a running server, feeds it, and says who there is."),
    paths(
        metrics::metrics,
        status::status,
        subscriptions::list,
        ledger::of_subscription,
        ledger::of_app,
        ledger::totals,
        ledger::verify,
        attempts::list,
        lifecycle::lifecycle,
        clock::get,
        clock::advance,
        replay::replay,
        faults::add,
        faults::list,
        faults::remove,
        faults::clear,
        keys::rotate,
        outbound::check,
        sign_in_codes::create,
        import::import,
        ingest::changes,
        tenants::add,
        tenants::list,
        topics::list,
        topics::create,
        topics::get,
        topics::remove,
        topics::activate,
        event_subscriptions::subscribe,
        event_subscriptions::push,
        topics::peek,
        dead_letters::list,
        dead_letters::replay,
        users::add,
        users::list,
        users::get,
        users::patch,
        users::reset_password,
        users::remove,
        apps::add,
        apps::list,
        apps::get,
        apps::patch,
        apps::remove,
        credentials::add_secret,
        credentials::add_certificate,
        credentials::remove,
        consents::list,
        consents::grant,
        consents::revoke
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
    let open = Router::new().route("/admin/openapi.json", get(openapi)).merge(health::router(admin.state.clone()));
    let import = post(import::import).layer(DefaultBodyLimit::max(ITEM_BYTES_MAX + 1024));
    let guarded = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/admin/status", get(status::status))
        .route("/admin/subscriptions", get(subscriptions::list))
        .route("/admin/subscriptions/{id}/lifecycle", post(lifecycle::lifecycle))
        .route("/admin/attempts", get(attempts::list))
        .route("/admin/faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/admin/faults/{number}", delete(faults::remove))
        .route("/admin/clock", get(clock::get))
        .route("/admin/clock/advance", post(clock::advance))
        .route("/admin/keys/rotate", post(keys::rotate))
        .route("/admin/outbound/check", post(outbound::check))
        .route("/admin/users/{user}/sign-in-codes", post(sign_in_codes::create))
        .route("/admin/topics/{topic}/webhooks", post(event_subscriptions::push))
        .route("/admin/import", import)
        .route("/admin/topics/{topic}/event-subscriptions/{name}/dead-letters", get(dead_letters::list))
        .route("/admin/topics/{topic}/event-subscriptions/{name}/dead-letters/replay", post(dead_letters::replay))
        .with_state(admin.clone())
        .merge(directory_router(admin.state.directory.clone()).layer(Extension(admin.state.clone())))
        .layer(middleware::from_fn_with_state(admin, guard));
    open.merge(guarded)
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "no such operation; see /admin/openapi.json"))
}

/// The operations that need nothing but the directory and the store behind it, for whoever has them; nobody is
/// asked for a token. Some know more, or wait for more, if the server runs: then its state is an extension.
pub fn directory_router(directory: Directory) -> Router {
    let ingest = post(ingest::changes).layer(DefaultBodyLimit::max(BATCH_BYTES_MAX));
    Router::new()
        .route("/admin/ingest/changes", ingest)
        .route("/admin/ledger", get(ledger::totals))
        .route("/admin/ledger/verify", get(ledger::verify))
        .route("/admin/apps/{app}/ledger", get(ledger::of_app))
        .route("/admin/subscriptions/{id}/ledger", get(ledger::of_subscription))
        .route("/admin/subscriptions/{id}/replay", post(replay::replay))
        .route("/admin/tenants", get(tenants::list).post(tenants::add))
        .route("/admin/topics", get(topics::list).post(topics::create))
        .route("/admin/topics/{topic}", get(topics::get).delete(topics::remove))
        .route("/admin/topics/{topic}/activate", post(topics::activate))
        .route("/admin/topics/{topic}/event-subscriptions", post(event_subscriptions::subscribe))
        .route("/admin/topics/{topic}/events", get(topics::peek))
        .route("/admin/users", get(users::list).post(users::add))
        .route("/admin/users/{user}", get(users::get).patch(users::patch).delete(users::remove))
        .route("/admin/users/{user}/reset-password", post(users::reset_password))
        .route("/admin/apps", get(apps::list).post(apps::add))
        .route("/admin/apps/{app}", get(apps::get).patch(apps::patch).delete(apps::remove))
        .route("/admin/apps/{app}/secrets", post(credentials::add_secret))
        .route("/admin/apps/{app}/certificates", post(credentials::add_certificate))
        .route("/admin/apps/{app}/credentials/{credential}", delete(credentials::remove))
        .route("/admin/consents", get(consents::list))
        .route("/admin/consents/grant", post(consents::grant))
        .route("/admin/consents/revoke", post(consents::revoke))
        .with_state(directory)
}

/// What is told without a token, for a listener of its own: metrics and health.
pub fn open_router(state: Arc<AppState>) -> Router {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .with_state(state.clone())
        .merge(health::router(state))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz"))
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
    let why = match token {
        None => "send the admin token as a bearer token; it is in the file admin-token of the data directory",
        Some(_) => "this is not the admin token of this server, which is in the file admin-token of its data directory",
    };
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
