//! `/admin/topics/{topic}/event-subscriptions/{name}/dead-letters`: what was given up, shown and sent again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use graph::Timestamp;
use http::StatusCode;
use notify::Topic;
use notify::topic::EventSubscription;
use serde::Deserialize;
use store::EventSubscriptionKey;
use utoipa::{IntoParams, ToSchema};

use super::request::{Body, Query, bad};
use super::topics::topic_of;
use super::{Admin, Failure};
use crate::dead_letters::{self, Chosen, DeadLetters, LettersError, ListedLetters, ReplayedLetters};

/// So many ids are chosen at once.
const IDS_MAX: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Why they were given up.
    reason: Option<String>,
    /// Events that were published at this time or later.
    #[param(value_type = Option<String>, format = "date-time")]
    from: Option<Timestamp>,
    /// Events that were published before this time.
    #[param(value_type = Option<String>, format = "date-time")]
    to: Option<Timestamp>,
    /// What the answer before said: goes on from there.
    after: Option<String>,
}

/// Which to send again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Those of these events, at most 1,000; otherwise all.
    #[serde(default)]
    ids: Vec<String>,
    /// Why they were given up.
    reason: Option<String>,
    /// Events that were published at this time or later.
    #[schema(value_type = Option<String>, format = "date-time")]
    from: Option<Timestamp>,
    /// Events that were published before this time.
    #[schema(value_type = Option<String>, format = "date-time")]
    to: Option<Timestamp>,
    /// What the answer before said: goes on from there.
    after: Option<String>,
    /// What the answer before said: leaves out what was published, or sent again, since.
    #[schema(value_type = Option<String>, format = "date-time")]
    until: Option<Timestamp>,
}

/// Looks at 100 dead letters of an event subscription.
#[utoipa::path(
    get,
    path = "/admin/topics/{topic}/event-subscriptions/{name}/dead-letters",
    params(
        ("topic" = String, Path, description = "Id or name"),
        ("name" = String, Path, description = "The event subscription's name"),
        Asked
    ),
    responses(
        (status = 200, body = ListedLetters, description = "Those that are kept"),
        (status = 404, body = Failure),
        (status = 409, body = Failure, description = "It keeps none"),
        (status = 503, body = Failure, description = "Where they are kept cannot be read")
    )
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    Path((topic, name)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Json<ListedLetters>, Failure> {
    let (topic, event_subscription) = found(&admin, &topic, &name).await?;
    let chosen = Chosen { ids: Vec::new(), reason: asked.reason, from: asked.from, to: asked.to, until: None };
    let shelf = dead_letters::shelf(&topic, &event_subscription)?;
    Ok(Json(dead_letters::list(place(&admin)?, &shelf, &chosen, asked.after).await?))
}

/// Sends the first of the dead letters that are chosen to their event subscription again, under the ids that they have, and
/// removes them. `more` says that there may be others.
#[utoipa::path(
    post,
    path = "/admin/topics/{topic}/event-subscriptions/{name}/dead-letters/replay",
    params(
        ("topic" = String, Path, description = "Id or name"),
        ("name" = String, Path, description = "The event subscription's name")
    ),
    request_body = Wanted,
    responses(
        (status = 200, body = ReplayedLetters, description = "These are in the log, and will be delivered"),
        (status = 400, body = Failure),
        (status = 404, body = Failure),
        (status = 409, body = Failure, description = "It keeps none, or nothing is pushed to it"),
        (status = 503, body = Failure, description = "Ask again: what is sent twice has the same id")
    )
)]
pub(super) async fn replay(
    State(admin): State<Admin>,
    Path((topic, name)): Path<(String, String)>,
    Body(wanted): Body<Wanted>,
) -> Result<Json<ReplayedLetters>, Failure> {
    if wanted.ids.len() > IDS_MAX {
        return Err(bad("give at most 1,000 ids in one request"));
    }
    let (topic, event_subscription) = found(&admin, &topic, &name).await?;
    let Wanted { ids, reason, from, to, after, until } = wanted;
    let chosen = Chosen { ids, reason, from, to, until };
    let stores = (admin.state.store.as_ref(), place(&admin)?);
    let at = (after, admin.state.clock.wall());
    Ok(Json(dead_letters::replay(stores, &topic, &event_subscription, &chosen, at).await?))
}

fn place(admin: &Admin) -> Result<&DeadLetters, LettersError> {
    admin.state.sinks.dead_letters.as_deref().ok_or(LettersError::NoPlace)
}

async fn found(admin: &Admin, topic: &str, name: &str) -> Result<(Arc<Topic>, Arc<EventSubscription>), Failure> {
    let topic = topic_of(&admin.state.directory, topic).await?;
    let key = EventSubscriptionKey::new(topic.id, name);
    let missing = || {
        let why = "there is no such event subscription; tidings topic list tells which there are";
        Failure::new(StatusCode::NOT_FOUND, why)
    };
    let (event_subscription, _) = admin.state.store.event_subscription(key).await?.ok_or_else(missing)?;
    Ok((topic, event_subscription))
}

impl From<LettersError> for Failure {
    fn from(error: LettersError) -> Self {
        let status = match error {
            LettersError::NoPlace | LettersError::NotKept | LettersError::NotLive | LettersError::Stopped => {
                StatusCode::CONFLICT
            }
            LettersError::Keep(_) => StatusCode::SERVICE_UNAVAILABLE,
            LettersError::Store(error) => return error.into(),
        };
        Self::new(status, error.to_string())
    }
}
