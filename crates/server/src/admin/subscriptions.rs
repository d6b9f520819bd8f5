//! `GET /admin/subscriptions` and `GET /admin/subscriptions/{id}/ledger`: who is subscribed to what, and
//! what became of everything that matched, up to the last checkpoint.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use graph::Partition;
use notify::{AbandonReason, LedgerDelta, Subscription};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Failure};

/// The most subscriptions that one answer lists.
const LISTED_MAX: usize = 1_000;

/// What became of a subscription's matches: matched = delivered + parked + abandoned.
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

/// A live subscription; its `clientState` is not shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    id: String,
    application_id: String,
    resource: String,
    change_type: String,
    /// Without its query, in which receivers keep secrets.
    notification_url: String,
    expiration_date_time: String,
    ledger: Ledger,
}

/// The first live subscriptions of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List {
    subscriptions: Vec<Listed>,
    /// Whether there are more.
    more: bool,
}

#[utoipa::path(
    get,
    path = "/admin/subscriptions",
    responses((status = 200, body = List), (status = 503, body = Failure))
)]
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<List>, Failure> {
    let mut subscriptions = Vec::new();
    for partition in Partition::all() {
        let state = admin.state.store.partition_state(partition).await?;
        for span in state.subscriptions.into_iter().filter(|span| span.ended.is_none()) {
            if subscriptions.len() == LISTED_MAX {
                return Ok(Json(List { subscriptions, more: true }));
            }
            let ledger = admin.state.store.ledger(span.subscription.id).await?;
            subscriptions.push(listed(&span.subscription, ledger));
        }
    }
    Ok(Json(List { subscriptions, more: false }))
}

#[utoipa::path(
    get,
    path = "/admin/subscriptions/{id}/ledger",
    params(("id" = String, Path, description = "The subscription's id, also after its end")),
    responses((status = 200, body = Ledger), (status = 404, body = Failure), (status = 503, body = Failure))
)]
pub(super) async fn ledger(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Json<Ledger>, Failure> {
    let id = id.parse().map_err(|_| Failure::no_subscription())?;
    let found = admin.state.store.ledger(id).await?;
    if found == LedgerDelta::default() && admin.state.store.subscription(id).await?.is_none() {
        return Err(Failure::no_subscription());
    }
    Ok(Json(shown(found)))
}

fn listed(subscription: &Subscription, ledger: LedgerDelta) -> Listed {
    Listed {
        id: subscription.id.to_string(),
        application_id: subscription.app.to_string(),
        resource: subscription.resource.clone(),
        change_type: subscription.change_type.clone(),
        notification_url: without_query(&subscription.notification_url).to_owned(),
        expiration_date_time: subscription.expiration(),
        ledger: shown(ledger),
    }
}

fn shown(ledger: LedgerDelta) -> Ledger {
    let LedgerDelta { matched, delivered, parked, abandoned } = ledger;
    let abandoned = abandoned.into_iter().map(|(reason, count)| (name(reason), count)).collect();
    Ledger { matched, delivered, parked, abandoned }
}

fn name(reason: AbandonReason) -> &'static str {
    match reason {
        AbandonReason::Horizon => "horizon",
        AbandonReason::SubscriptionEnded => "subscription_ended",
        AbandonReason::Paused => "paused",
        AbandonReason::TooLarge => "too_large",
        AbandonReason::CertificateUnusable => "certificate_unusable",
        AbandonReason::AccessLost => "access_lost",
    }
}

fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(before, _)| before)
}
