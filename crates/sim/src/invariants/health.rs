//! When new notifications may be held, and when they may be dropped.

use notify::node::Outcome;
use notify::{Checkpoint, Monotonic, Parked};

use super::{InFlight, Violation, Watch};
use crate::process::Life;
use crate::truth::Span;

/// By how much a hold may be longer than it should: what is matched within a second is due together.
const HOLD_SLACK_MICROS: i64 = 2_000_000;

impl Watch {
    /// A life was told what an attempt came to. Any stretch that ends here and is no longer than a window may be the
    /// node's own.
    pub(super) fn responded(&mut self, life: Life, now: Monotonic, flight: &InFlight, outcome: Outcome) {
        let took = match outcome {
            Outcome::Acknowledged | Outcome::Refused { .. } => now.since(flight.begun).min(flight.timeout_micros),
            Outcome::TimedOut => flight.timeout_micros + 1,
            Outcome::Unreachable | Outcome::Forbidden | Outcome::NotSent | Outcome::Delayed { .. } => return,
        };
        let limits = self.config.health;
        let responses = self.responses.entry((life, flight.url.clone())).or_default();
        responses.push((now, took));
        let stretch = responses.iter().rev().take_while(|(at, _)| now.since(*at) <= limits.window_micros);
        let (mut all, mut late) = (0, 0);
        for (_, took) in stretch {
            all += 1;
            late += u64::from(*took > limits.drop_micros);
            if all >= limits.responses_min && late * 100 > limits.drop_percent * all {
                self.dropping.insert(flight.url.clone());
            }
        }
    }

    /// Whether some node may have dropped what a subscription was to be told of.
    pub(super) fn may_be_dropped(&self, span: &Span) -> bool {
        span.versions.iter().any(|version| self.dropping.contains(&version.notification_url))
    }

    /// A row that a checkpoint parks is held no longer than it should be.
    pub(super) fn check_held(&mut self, checkpoint: &Checkpoint) -> Result<(), Violation> {
        for row in checkpoint.park.iter().filter(|row| is_held(row)) {
            self.held += row.refs.len() as u64;
            let held = row.due.since(row.since);
            if held > self.config.health.hold_micros as i64 + HOLD_SLACK_MICROS {
                return Err(Violation::new("health_is_kept", format!("held for {held} \u{b5}s: {row:?}")));
            }
        }
        Ok(())
    }
}

/// Whether a row waits for the first attempt of its deliveries.
fn is_held(row: &Parked) -> bool {
    row.attempts == 0 && row.due > row.since
}
