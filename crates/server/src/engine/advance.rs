//! Moves the clock of a development server from one due time to the next, and lets the engine come to rest at each: so
//! what a span of time brings happens in its order, with every retry in between, as if the time had been lived.

use std::time::Duration;

use graph::Timestamp;

use crate::app;
use crate::clock::{Clock, Hand};

/// Moves `clock` towards `to`, for about `within` of real time. Returns whether it has got there, and the engine has
/// come to rest; one that does not within the longest attempt is waited for no longer.
pub async fn advance(
    (clock, hand): (&Clock, &Hand<'_>),
    engine: &dyn app::Engine,
    to: Timestamp,
    within: Duration,
) -> bool {
    let until = clock.elapsed() + within;
    loop {
        let due = engine.settled().await;
        let now = clock.now();
        let left = u64::try_from(to.since(now.wall)).unwrap_or(0);
        if left == 0 {
            return true;
        }
        if clock.elapsed() >= until {
            return false;
        }
        // At least something, for times lie between microseconds.
        hand.forward(due.map_or(left, |due| due.since(now.mono).clamp(1, left)));
    }
}
