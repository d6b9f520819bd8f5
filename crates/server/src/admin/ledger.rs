//! `/admin/ledger`, `/admin/apps/{app}/ledger` and `/admin/subscriptions/{id}/ledger`: what became of everything that
//! matched, up to the last checkpoint. `/admin/ledger/verify` counts it again from the log.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use graph::{AppId, Partition, SubscriptionId};
use notify::{AbandonReason, LedgerDelta};
use serde::{Deserialize, Serialize};
use store::{LedgerQuery, Ledgers};
use utoipa::{IntoParams, ToSchema};

use super::Failure;
use super::request::{LISTED_MAX, Query, app_of, bad};
use crate::directory::Directory;
use crate::evidence::verify::{self, Verified};

/// What became of matches: matched = delivered + parked + abandoned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ledger {
    matched: u64,
    delivered: u64,
    /// Tried in vain or waiting, and still owed.
    parked: i64,
    /// Given up, by reason.
    abandoned: BTreeMap<&'static str, u64>,
}

/// The sums over all subscriptions, live and ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Totals {
    subscriptions: u64,
    /// How many more there were: they ended so long ago that they are gone, but their sums count.
    gone: u64,
    #[serde(flatten)]
    sums: Ledger,
}

/// The sums over an app's subscriptions, live and ended, and a page of these.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AppLedger {
    /// How many there are, whatever the page.
    subscriptions: u64,
    /// How many more there were: they ended so long ago that they are gone, but their sums count.
    gone: u64,
    #[serde(flatten)]
    sums: Ledger,
    /// By id.
    value: Vec<SubscriptionLedger>,
    /// Whether there are more: ask again with `after` the last id.
    more: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubscriptionLedger {
    id: String,
    /// Whether it has not ended.
    live: bool,
    #[serde(flatten)]
    sums: Ledger,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Paged {
    /// The page begins after this subscription.
    #[param(value_type = Option<String>, format = "uuid")]
    after: Option<uuid::Uuid>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// One partition, by its number; otherwise all, one after the other.
    partition: Option<u16>,
}

#[utoipa::path(
    get,
    path = "/admin/ledger",
    responses((status = 200, body = Totals), (status = 503, body = Failure))
)]
pub(super) async fn totals(State(directory): State<Directory>) -> Result<Json<Totals>, Failure> {
    let query = LedgerQuery { app: None, after: None, limit: 0 };
    let Ledgers { subscriptions, gone, sums, .. } = directory.store().ledgers(query).await?;
    Ok(Json(Totals { subscriptions, gone, sums: sums.into() }))
}

#[utoipa::path(
    get,
    path = "/admin/apps/{app}/ledger",
    params(("app" = String, Path, description = "The application (client) id, also of an app that was removed"), Paged),
    responses((status = 200, body = AppLedger), (status = 404, body = Failure), (status = 503, body = Failure))
)]
pub(super) async fn of_app(
    State(directory): State<Directory>,
    Path(app): Path<String>,
    Query(Paged { after }): Query<Paged>,
) -> Result<Json<AppLedger>, Failure> {
    let id: AppId = match app.parse() {
        Ok(id) => id,
        Err(_) => app_of(&directory, &app).await?.id,
    };
    let query = LedgerQuery { app: Some(id), after: after.map(SubscriptionId), limit: LISTED_MAX as u64 };
    let Ledgers { subscriptions, gone, sums, page, more } = directory.store().ledgers(query).await?;
    if subscriptions + gone == 0 {
        app_of(&directory, &app).await?;
    }
    let shown = page.into_iter().map(|one| SubscriptionLedger {
        id: one.id.to_string(),
        live: one.live,
        sums: one.sums.into(),
    });
    Ok(Json(AppLedger { subscriptions, gone, sums: sums.into(), value: shown.collect(), more }))
}

#[utoipa::path(
    get,
    path = "/admin/subscriptions/{id}/ledger",
    params(("id" = String, Path, description = "The subscription's id, also for a while after its end")),
    responses((status = 200, body = Ledger), (status = 404, body = Failure), (status = 503, body = Failure))
)]
pub(super) async fn of_subscription(
    State(directory): State<Directory>,
    Path(id): Path<String>,
) -> Result<Json<Ledger>, Failure> {
    let id = id.parse().map_err(|_| Failure::no_subscription())?;
    let found = directory.store().ledger(id).await?;
    if found == LedgerDelta::default() && directory.store().subscription(id).await?.is_none() {
        return Err(Failure::no_subscription());
    }
    Ok(Json(found.into()))
}

/// Counts again from the log how often each subscription matched, and holds its ledger and what is parked against
/// that. Each partition is read at one point, beside whatever the server does; a long log takes its time.
#[utoipa::path(
    get,
    path = "/admin/ledger/verify",
    params(Which),
    responses(
        (status = 200, body = Verified, description = "What was counted, whether it balances or not"),
        (status = 400, body = Failure),
        (status = 503, body = Failure)
    )
)]
pub(super) async fn verify(
    State(directory): State<Directory>,
    Query(Which { partition }): Query<Which>,
) -> Result<Json<Verified>, Failure> {
    if let Some(number) = partition.filter(|number| *number >= graph::PARTITIONS) {
        return Err(bad(format!("there is no partition {number}; they are 0 to {}", graph::PARTITIONS - 1)));
    }
    let asked = Partition::all().filter(|one| partition.is_none_or(|number| one.0 == number));
    Ok(Json(verify::verify(directory.store(), asked).await?))
}

impl From<LedgerDelta> for Ledger {
    fn from(ledger: LedgerDelta) -> Self {
        let LedgerDelta { matched, delivered, parked, abandoned } = ledger;
        let abandoned = abandoned.into_iter().map(|(reason, count)| (name(reason), count)).collect();
        Self { matched, delivered, parked, abandoned }
    }
}

pub fn name(reason: AbandonReason) -> &'static str {
    match reason {
        AbandonReason::Horizon => "horizon",
        AbandonReason::SubscriptionEnded => "subscription_ended",
        AbandonReason::Paused => "paused",
        AbandonReason::TooLarge => "too_large",
        AbandonReason::CertificateUnusable => "certificate_unusable",
        AbandonReason::AccessLost => "access_lost",
        AbandonReason::EndpointDropping => "endpoint_dropping",
        AbandonReason::Overflow => "overflow",
        AbandonReason::Retention => "retention",
        AbandonReason::Injected => "injected",
        AbandonReason::AttemptsExceeded => "attempts_exceeded",
        AbandonReason::TimeToLiveExceeded => "time_to_live_exceeded",
        AbandonReason::NotRetried => "not_retried",
        AbandonReason::Stopped => "stopped",
    }
}
