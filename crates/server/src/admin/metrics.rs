//! `GET /metrics`: everything that is counted, for Prometheus.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::response::IntoResponse;
use http::header;

use super::Admin;
use crate::app::AppState;

/// The text format of Prometheus.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl FromRef<Admin> for Arc<AppState> {
    fn from_ref(admin: &Admin) -> Self {
        Arc::clone(&admin.state)
    }
}

#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, body = String, content_type = "text/plain", description = "In the text format of Prometheus"))
)]
pub(super) async fn metrics(State(state): State<Arc<AppState>>) -> impl IntoResponse {
    state.telemetry.log_was(&state.directory.room().now(), state.retention);
    let text = state.telemetry.render(state.node().await, state.store.counters());
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}
