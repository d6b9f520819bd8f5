//! `GET /admin/status`: what the server is and what its store has done.

use axum::Json;
use axum::extract::State;
use graph::Timestamp;
use notify::retention::LogExtent;
use serde::Serialize;
use store::{Store, StoreError};
use utoipa::ToSchema;

use super::{Admin, Failure};
use crate::app::AppState;

/// So many records of a log are asked when they were written: some do not say.
const FIRST_RECORDS: usize = 4;

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
    log: Log,
    /// For how many seconds the oldest delivery that is due has waited for its attempt. `null`: the engine does not
    /// answer.
    oldest_due_seconds: Option<f64>,
}

/// What of the log is kept. What has another horizon is not counted here: removed items and folders, for delta queries,
/// go after 30 days, and so on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    records: u64,
    /// What they take, by a sample of them. The file of the database does not shrink when records go: their pages are
    /// used again.
    bytes_estimated: u64,
    /// When the oldest was written. `null`: there is none, or none that says so.
    oldest_record_date_time: Option<String>,
    /// Records that are accounted for and kept for their time.
    floor_lag: u64,
    /// Partitions whose oldest records are kept beyond their time, because deliveries of them are still tried.
    partitions_held: u64,
    /// Records that have gone since the server started.
    records_cut: u64,
    /// For how long records are kept at least, and how much of them at most.
    days: i64,
    bytes_max: Option<u64>,
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
        log: log(&admin.state, counters.log_rows_cut).await?,
        oldest_due_seconds: admin.state.node().await.map(|node| node.oldest_due_micros as f64 / 1e6),
    }))
}

async fn log(state: &AppState, records_cut: u64) -> Result<Log, StoreError> {
    let (extents, limits) = (state.store.log_extents().await?, state.retention);
    let sum = |of: fn(&LogExtent) -> u64| extents.iter().map(of).sum();
    let old = state.clock.wall().plus_micros(-limits.age_micros);
    let is_held = |extent: &&LogExtent| extent.mark.is_some_and(|mark| mark.at <= old && extent.is_held(mark));
    Ok(Log {
        records: sum(LogExtent::records),
        bytes_estimated: sum(|extent| extent.bytes),
        oldest_record_date_time: oldest(&*state.store, &extents).await?.map(|at| at.to_string()),
        floor_lag: sum(LogExtent::lag),
        partitions_held: extents.iter().filter(is_held).count() as u64,
        records_cut,
        days: limits.age_micros / (24 * 3_600 * 1_000_000),
        bytes_max: limits.bytes_max,
    })
}

/// When the oldest of all records was written, as far as the first of each log tell.
async fn oldest(store: &dyn Store, extents: &[LogExtent]) -> Result<Option<Timestamp>, StoreError> {
    let mut oldest: Option<Timestamp> = None;
    for extent in extents.iter().filter(|extent| extent.head > extent.floor) {
        let first = store.read_log(extent.partition, extent.floor, FIRST_RECORDS).await?;
        let at = first.iter().find_map(|(_, record)| record.at());
        oldest = oldest.into_iter().chain(at).min();
    }
    Ok(oldest)
}
