//! `GET /admin/subscriptions`: who is subscribed to what, and what became of everything that matched, up to the last
//! checkpoint.

use axum::Json;
use axum::extract::State;
use graph::Partition;
use notify::{LedgerDelta, Subscription};
use serde::Serialize;
use utoipa::ToSchema;

use super::ledger::Ledger;
use super::{Admin, Failure};

/// The most subscriptions that one answer lists.
const LISTED_MAX: usize = 1_000;

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

fn listed(subscription: &Subscription, ledger: LedgerDelta) -> Listed {
    Listed {
        id: subscription.id.to_string(),
        application_id: subscription.app.to_string(),
        resource: subscription.resource.clone(),
        change_type: subscription.change_type.clone(),
        notification_url: without_query(&subscription.notification_url).to_owned(),
        expiration_date_time: subscription.expiration(),
        ledger: ledger.into(),
    }
}

fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(before, _)| before)
}
