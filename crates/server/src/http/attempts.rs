//! `GET /tidings/attempts`: what came of the requests to an app's own receivers, for that app alone, from the attempt log.
//! 403 for who does not call as the app itself; 404 if there is no attempt log; 429 if others read for too long; 503 if it
//! cannot be read. Ours: Graph has nothing like it, so it lies outside of Graph's versions.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Query;
use graph::{SubscriptionId, Timestamp};
use http::request::Parts;
use http::{Method, StatusCode};
use notify::access::{self, Need};
use notify::throttle::Throttled;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use uuid::Uuid;

use super::answer::Answer;
use super::context::Context;
use super::error::ApiError;
use super::graph::authenticate;
use crate::app::AppState;
use crate::evidence::attempts::entry::Entry;
use crate::evidence::attempts::{Found, Owner, Wanted};
use crate::telemetry::OUTCOMES;

pub const PATH: &str = "/tidings/attempts";
pub const METHODS: &str = "GET";

const LISTED_UNASKED: usize = 100;
const LISTED_MAX: usize = 1_000;
/// So many files of the log are read for one request: who finds nothing in them asks on.
const FILES_MAX: usize = 4;

/// How long a request waits until others have read.
const TURN_MAX: Duration = Duration::from_secs(5);

/// Why attempts are not shown.
#[derive(Debug)]
pub enum AttemptsRefusal {
    /// What is wrong with the query.
    Query(String),
    NoLog,
    Unreadable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    subscription: Option<Uuid>,
    since: Option<Timestamp>,
    outcome: Option<String>,
    before: Option<u64>,
    #[serde(rename = "$top")]
    top: Option<usize>,
}

/// Attempts, the newest first.
#[derive(Debug, Serialize)]
struct Attempts {
    value: Vec<Entry>,
    /// Whether there may be more: ask again with `before`.
    more: bool,
    before: Option<u64>,
}

pub fn is_asked(path: &str) -> bool {
    path.eq_ignore_ascii_case(PATH)
}

pub async fn handle(state: &Arc<AppState>, context: &Context, parts: &Parts) -> Result<Answer, ApiError> {
    context.is_for(PATH);
    let principal = authenticate(state, context, &parts.headers).await?;
    if parts.method != Method::GET {
        return Err(ApiError::Method);
    }
    access::check(&principal, &[Need::AppItself], None, None).map_err(ApiError::Denied)?;
    let owner = Owner { tenant: principal.tenant, app: principal.app };
    let wanted = wanted(parts, owner)?;
    let log = state.attempts.clone().ok_or(AttemptsRefusal::NoLog)?;
    // One at a time: whoever asks much keeps those waiting who ask as well, not for long, and nobody else.
    let place = timeout(TURN_MAX, log.reader()).await.map_err(|_| ApiError::Throttled(Throttled::AtATime))?;
    let now = state.clock.wall();
    let read = tokio::task::spawn_blocking(move || (log.read(&wanted, now), place)).await;
    // Why is for the operator: it names files.
    let unreadable = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "the attempt log cannot be read");
        AttemptsRefusal::Unreadable
    };
    let (found, _place) = read.map_err(|error| unreadable(&error))?;
    let Found { entries, more, before } = found.map_err(|error| unreadable(&error))?;
    Ok(Answer::json(StatusCode::OK, &Attempts { value: entries, more, before }))
}

fn wanted(parts: &Parts, owner: Owner) -> Result<Wanted, AttemptsRefusal> {
    let asked = Query::<Asked>::try_from_uri(&parts.uri);
    let Query(Asked { subscription, since, outcome, before, top }) =
        asked.map_err(|rejection| AttemptsRefusal::Query(rejection.body_text()))?;
    let most = top.unwrap_or(LISTED_UNASKED);
    if !(1..=LISTED_MAX).contains(&most) {
        return Err(AttemptsRefusal::Query(format!("$top is {most}: give 1 to {LISTED_MAX}")));
    }
    if outcome.as_ref().is_some_and(|outcome| !OUTCOMES.contains(&outcome.as_str())) {
        return Err(AttemptsRefusal::Query(format!("there is no such outcome; they are {}", OUTCOMES.join(", "))));
    }
    let subscription = subscription.map(SubscriptionId);
    Ok(Wanted { owner: Some(owner), app: None, subscription, since, outcome, before, most, files_max: FILES_MAX })
}

impl From<AttemptsRefusal> for ApiError {
    fn from(refusal: AttemptsRefusal) -> Self {
        ApiError::Attempts(refusal)
    }
}
