//! `/admin/clock`: what time the server has, and moves it forward. Development only: whoever moves the clock of a server
//! takes time away from its apps.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use graph::Timestamp;
use http::StatusCode;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::Body;
use super::{Admin, Failure};
use crate::app::AppState;
use crate::clock::{AHEAD_MICROS_MAX, Clock};
use crate::engine;

/// How far one call may move it.
const MOVE_MICROS_MAX: i64 = 30 * 24 * 3_600 * 1_000_000;
/// A time this little behind is where the clock is: a call that goes on where another one ended finds it past its goal.
const BEHIND_MICROS_MAX: i64 = 60 * 1_000_000;
/// How long one call takes: a little less than callers wait for an answer.
const CALL_MAX: Duration = Duration::from_secs(20);

/// How far to move the clock: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    /// A duration: `PT4H` or `P3D` as Graph writes them, or `4h`, `3d`, `90s`.
    by: Option<String>,
    /// The time to move it to.
    #[schema(value_type = Option<String>)]
    to: Option<Timestamp>,
}

/// The server's clock.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShownClock {
    /// The time that the server has.
    #[schema(value_type = String)]
    now: Timestamp,
    /// The time that the rest of the world has, by which tokens and certificates go.
    #[schema(value_type = String)]
    world: Timestamp,
    /// How far it goes ahead of the world, as a duration in whole seconds.
    ahead: String,
}

/// How far the clock has come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Advanced {
    #[serde(flatten)]
    clock: ShownClock,
    /// Where it is to go.
    #[schema(value_type = String)]
    to: Timestamp,
    /// Whether it is there, and everything has happened that is due by then. Otherwise ask for the same `to` again:
    /// there was more to do than one call takes.
    arrived: bool,
}

/// Why a clock is not moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Unmoved {
    #[error("say how far: either \"by\", such as \"PT4H\", or \"to\", a time")]
    NotOne,
    #[error("'{0}' is no duration of days, hours, minutes and seconds; write PT4H or P3D, or 4h, 3d, 90s")]
    Duration(String),
    #[error("a clock is moved forward only")]
    Back,
    #[error("one call moves the clock by 30 days at most; move it several times")]
    TooFar,
    #[error("the clock would go more than ten years ahead; begin anew with another data directory, or --ephemeral")]
    TooFarInAll,
}

#[utoipa::path(
    get,
    path = "/admin/clock",
    responses((status = 200, body = ShownClock), (status = 403, body = Failure, description = "Not a development server"))
)]
pub(super) async fn get(State(admin): State<Admin>) -> Result<Json<ShownClock>, Failure> {
    if !admin.dev {
        return Err(refused());
    }
    Ok(Json(shown(&admin.state.clock)))
}

#[utoipa::path(
    post,
    path = "/admin/clock/advance",
    request_body = Advance,
    responses(
        (status = 200, body = Advanced, description = "It was moved from one due time to the next: what became due in \
                                                        between has happened, in its order"),
        (status = 400, body = Failure),
        (status = 403, body = Failure, description = "Not a development server"),
        (status = 503, body = Failure, description = "How far it was moved cannot be kept for the next start")
    )
)]
pub(super) async fn advance(State(admin): State<Admin>, Body(asked): Body<Advance>) -> Result<Json<Advanced>, Failure> {
    if !admin.dev {
        return Err(refused());
    }
    // It is kept how far the clock was moved, even if the caller is gone by then.
    let moving = tokio::spawn(async move { moved(&admin.state, &asked).await });
    let lost = |error: tokio::task::JoinError| Failure::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    moving.await.map_err(lost)?.map(Json)
}

async fn moved(state: &AppState, asked: &Advance) -> Result<Advanced, Failure> {
    let clock = &state.clock;
    let hand = clock.hand().await.ok_or_else(refused)?;
    let (now, ahead) = (clock.wall(), clock.ahead());
    let to = asked.goal(now, ahead).map_err(|why| Failure::new(StatusCode::BAD_REQUEST, why.to_string()))?;
    let unkept = |error: anyhow::Error| Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}"));
    // What is written meanwhile goes by the moved clock: a start after a crash must not be before it.
    hand.keep(ahead.saturating_add(to.since(now) as u64)).map_err(unkept)?;
    let arrived = engine::advance((clock, &hand), state.engine.as_ref(), to, CALL_MAX).await;
    hand.keep(clock.ahead()).map_err(unkept)?;
    Ok(Advanced { clock: shown(clock), to, arrived })
}

fn refused() -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "only `tidings dev` has a clock that can be moved")
}

fn shown(clock: &Clock) -> ShownClock {
    let times = clock.times();
    let ahead = SignedDuration::from_secs(times.here.since(times.world) / 1_000_000);
    ShownClock { now: times.here, world: times.world, ahead: ahead.to_string() }
}

impl Advance {
    fn goal(&self, now: Timestamp, ahead: u64) -> Result<Timestamp, Unmoved> {
        let micros = match (&self.by, self.to) {
            (Some(by), None) => micros(by).ok_or_else(|| Unmoved::Duration(by.chars().take(64).collect()))?,
            (None, Some(to)) => to.since(now),
            _ => return Err(Unmoved::NotOne),
        };
        match micros {
            ..0 if self.by.is_some() || micros < -BEHIND_MICROS_MAX => Err(Unmoved::Back),
            _ if micros > MOVE_MICROS_MAX => Err(Unmoved::TooFar),
            _ if ahead.saturating_add_signed(micros) > AHEAD_MICROS_MAX => Err(Unmoved::TooFarInAll),
            _ => Ok(now.plus_micros(micros.max(0))),
        }
    }
}

/// Reads a duration in ISO 8601 or as people write it; a day has 24 hours.
pub(super) fn micros(text: &str) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200);
    const HOUR: i64 = 3_600_000_000;

    fn by(text: &str) -> Result<i64, Unmoved> {
        let asked = Advance { by: Some(text.to_owned()), to: None };
        asked.goal(NOW, 0).map(|to| to.since(NOW))
    }

    #[test]
    fn durations_are_read_as_graph_and_as_people_write_them() {
        for (text, micros) in [
            ("PT4H", 4 * HOUR),
            ("P3D", 72 * HOUR),
            ("P1DT30M", 24 * HOUR + HOUR / 2),
            ("PT0.5S", 500_000),
            ("90s", 90_000_000),
            ("15m", HOUR / 4),
            ("3h", 3 * HOUR),
            ("2d", 48 * HOUR),
            ("1d 6h", 30 * HOUR),
            ("30d", 720 * HOUR),
            ("0s", 0),
        ] {
            assert_eq!(by(text), Ok(micros), "{text}");
        }
        for text in ["", "4", "P1M", "P1Y", "1mo", "soon", "PT", "P99999999999999D"] {
            assert_eq!(by(text), Err(Unmoved::Duration(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_clock_is_moved_forward_and_not_without_an_end() {
        assert_eq!(by("-PT1S"), Err(Unmoved::Back));
        assert_eq!(by("P30DT1S"), Err(Unmoved::TooFar));
        let to = |micros, ahead| Advance { by: None, to: Some(NOW.plus_micros(micros)) }.goal(NOW, ahead);
        assert_eq!(to(HOUR, 0), Ok(NOW.plus_micros(HOUR)));
        assert_eq!((to(-HOUR, 0), to(-1, 0)), (Err(Unmoved::Back), Ok(NOW)));
        assert_eq!(to(HOUR, AHEAD_MICROS_MAX - HOUR as u64), Ok(NOW.plus_micros(HOUR)));
        assert_eq!(to(HOUR + 1, AHEAD_MICROS_MAX - HOUR as u64), Err(Unmoved::TooFarInAll));
        let both = Advance { by: Some("3h".to_owned()), to: Some(NOW) };
        assert_eq!(both.goal(NOW, 0), Err(Unmoved::NotOne));
        assert_eq!(Advance { by: None, to: None }.goal(NOW, 0), Err(Unmoved::NotOne));
    }
}
