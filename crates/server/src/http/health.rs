//! `GET /healthz` and `GET /readyz`, on every listener and for everybody: that the process answers, and whether requests
//! should come to it. They tell nothing of what is stored.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{Method, StatusCode, header};
use serde_json::json;

use crate::app::AppState;

/// The routes for a listener that has a router.
pub fn router(state: Arc<AppState>) -> Router {
    let ready = async |State(state): State<Arc<AppState>>| readyz(&state).await;
    Router::new().route("/healthz", get(async || healthz())).route("/readyz", get(ready)).with_state(state)
}

/// The answer and its route, if a path of the API's listener is one of these.
pub async fn answer(state: &AppState, method: &Method, path: &str) -> Option<(&'static str, Response)> {
    match (method.as_str(), path) {
        ("GET" | "HEAD", "/healthz") => Some(("/healthz", healthz())),
        ("GET" | "HEAD", "/readyz") => Some(("/readyz", readyz(state).await)),
        _ => None,
    }
}

/// That it is answered is what it says.
fn healthz() -> Response {
    told(StatusCode::OK, json!({ "status": "alive" }))
}

async fn readyz(state: &AppState) -> Response {
    // Anybody may ask, as often as they like: nothing is looked at that grows.
    let leased = state.leased_until().await;
    let store = (state.store.health(), state.directory.room().now().writes.len());
    let failing = state.telemetry.readiness.failing(store, leased, state.clock.mono());
    match failing.is_empty() {
        true => told(StatusCode::OK, json!({ "status": "ready" })),
        false => told(StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "not ready", "failing": failing })),
    }
}

fn told(status: StatusCode, body: serde_json::Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
