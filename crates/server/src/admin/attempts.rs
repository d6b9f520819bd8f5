//! `GET /admin/attempts`: what came of single requests to receivers, from the attempt log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use graph::{AppId, SubscriptionId, Timestamp};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::request::{LISTED_MAX, Query, bad};
use super::{Admin, Failure};
use crate::evidence::attempts::entry::Entry;
use crate::evidence::attempts::{Found, Wanted};
use crate::telemetry::OUTCOMES;

const LISTED_UNASKED: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Those at this app's receivers.
    #[param(value_type = Option<String>, format = "uuid")]
    app: Option<Uuid>,
    /// Those that told of this subscription, with or without others.
    #[param(value_type = Option<String>, format = "uuid")]
    subscription: Option<Uuid>,
    /// Those that ended at this time or later.
    #[param(value_type = Option<String>, format = "date-time")]
    since: Option<Timestamp>,
    /// `acknowledged`, `refused`, `timed_out`, `unreachable`, `unresolved`, `forbidden`, `not_sent` or
    /// `delayed`.
    outcome: Option<String>,
    /// Those with lower numbers: the next page comes before the last of this one.
    before: Option<u64>,
    /// Whether to show how answers began that did not acknowledge. What one owner's receiver says is not for others, and
    /// it may repeat what it was sent: so an app or a subscription must be named.
    excerpts: Option<bool>,
    /// How many at most, 1 to 1000; otherwise 100.
    #[serde(rename = "$top")]
    #[param(rename = "$top")]
    top: Option<usize>,
}

/// Attempts, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Attempts {
    value: Vec<Entry>,
    /// Whether there are more: ask again with `before` the last number.
    more: bool,
}

/// What came of requests to receivers, as far as the attempt log is kept. It says why something did not arrive; what
/// became of notifications is in the ledgers.
#[utoipa::path(
    get,
    path = "/admin/attempts",
    params(Asked),
    responses(
        (status = 200, body = Attempts),
        (status = 400, body = Failure),
        (status = 404, body = Failure, description = "There is no attempt log"),
        (status = 503, body = Failure, description = "Its files cannot be read")
    )
)]
pub(super) async fn list(State(admin): State<Admin>, Query(asked): Query<Asked>) -> Result<Json<Attempts>, Failure> {
    let Asked { app, subscription, since, outcome, before, excerpts, top } = asked;
    let (shows_excerpts, most) = (excerpts.unwrap_or(false), top.unwrap_or(LISTED_UNASKED));
    if !(1..=LISTED_MAX).contains(&most) {
        return Err(bad(format!("$top is {most}: give 1 to {LISTED_MAX}")));
    }
    if outcome.as_ref().is_some_and(|outcome| !OUTCOMES.contains(&outcome.as_str())) {
        return Err(bad(format!("there is no such outcome; they are {}", OUTCOMES.join(", "))));
    }
    if shows_excerpts && app.is_none() && subscription.is_none() {
        return Err(bad("excerpts are shown for one owner: name an app or a subscription, too"));
    }
    let log = admin.state.attempts.as_ref().map(Arc::clone).ok_or_else(|| {
        Failure::new(StatusCode::NOT_FOUND, "there is no attempt log; set on = true in section [attempt_log]")
    })?;
    let (app, subscription) = (app.map(AppId), subscription.map(SubscriptionId));
    let wanted = Wanted { owner: None, app, subscription, since, outcome, before, most, files_max: usize::MAX };
    let now = admin.state.clock.wall();
    let read = tokio::task::spawn_blocking(move || log.read(&wanted, now)).await;
    let unreadable =
        |why: String| Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("the attempt log cannot be read: {why}"));
    let found = read.map_err(|error| unreadable(error.to_string()))?;
    let Found { mut entries, more, .. } = found.map_err(|error| unreadable(error.to_string()))?;
    if !shows_excerpts {
        entries.iter_mut().for_each(|entry| entry.excerpt = None);
    }
    Ok(Json(Attempts { value: entries, more }))
}
