//! `POST /admin/subscriptions/{id}/replay`: tells a subscription again of what it had to hear of.

use axum::Json;
use axum::extract::{Path, State};
use graph::Timestamp;
use http::StatusCode;
use notify::Position;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Failure;
use super::request::{Body, bad};
use crate::directory::Directory;
use crate::evidence::replay::{self, ReplayError, Replayed, Stretch};

/// What to tell again: one position, or a stretch of time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// One record's position in the log of the subscription's partition.
    position: Option<u64>,
    /// Changes that happened at this time or later.
    #[schema(value_type = Option<String>, format = "date-time")]
    from: Option<Timestamp>,
    /// Changes that happened before this time; otherwise until now.
    #[schema(value_type = Option<String>, format = "date-time")]
    to: Option<Timestamp>,
    /// What the answer before said: goes on from there.
    after: Option<u64>,
}

/// Tells a live subscription again of changes that it had to hear of, delivered or abandoned, each under the id that its
/// notification had. At most 1,000 in one request: `more` says that there may be others.
#[utoipa::path(
    post,
    path = "/admin/subscriptions/{id}/replay",
    params(("id" = String, Path, description = "The subscription's id")),
    request_body = Asked,
    responses(
        (status = 200, body = Replayed, description = "These are in the log, and will be delivered"),
        (status = 400, body = Failure),
        (status = 404, body = Failure, description = "There is no such subscription, or it has ended"),
        (status = 409, body = Failure, description = "It is paused"),
        (status = 503, body = Failure, description = "Ask again: what is told twice has the same id")
    )
)]
pub(super) async fn replay(
    State(directory): State<Directory>,
    Path(id): Path<String>,
    Body(asked): Body<Asked>,
) -> Result<Json<Replayed>, Failure> {
    let id = id.parse().map_err(|_| Failure::no_subscription())?;
    let stretch = match (asked.position, asked.from, asked.to) {
        (Some(position), None, None) if position > 0 => Stretch::At(Position(position)),
        (None, Some(from), Some(to)) if to <= from => return Err(bad("\"from\" must be before \"to\"")),
        (None, Some(from), to) => Stretch::Between(from, to.unwrap_or_else(|| directory.now())),
        _ => return Err(bad("give either a position, 1 or higher, or the time from which on to tell again")),
    };
    let after = Position(asked.after.unwrap_or_default());
    Ok(Json(replay::replay(directory.store(), id, stretch, after).await?))
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        let status = match error {
            ReplayError::NotLive => StatusCode::NOT_FOUND,
            ReplayError::ToTopic | ReplayError::Paused => StatusCode::CONFLICT,
            ReplayError::Store(error) => return error.into(),
        };
        Self::new(status, error.to_string())
    }
}
