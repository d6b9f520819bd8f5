//! `GET /admin/status`: what the server is and what its store has done.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Failure};

/// A running server.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    version: &'static str,
    /// The name of the profile that sets limits and behaviours.
    profile: &'static str,
    /// How many partitions the store has.
    partitions: u16,
    tenants: u64,
    store: StoreCounters,
}

/// Rows written since the server started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoreCounters {
    /// Transactions, each with one sync.
    commits: u64,
    log_rows: u64,
    item_rows: u64,
    parked_rows: u64,
    checkpoints: u64,
}

#[utoipa::path(get, path = "/admin/status", responses((status = 200, body = Status), (status = 503, body = Failure)))]
pub(super) async fn status(State(admin): State<Admin>) -> Result<Json<Status>, Failure> {
    let counters = admin.state.store.counters();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        profile: admin.state.profile.name,
        partitions: graph::PARTITIONS,
        tenants: admin.state.store.tenants().await?.len() as u64,
        store: StoreCounters {
            commits: counters.commits,
            log_rows: counters.log_rows,
            item_rows: counters.item_rows,
            parked_rows: counters.parked_rows,
            checkpoints: counters.checkpoints,
        },
    }))
}
