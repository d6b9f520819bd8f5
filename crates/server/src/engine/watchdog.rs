//! Warns when what is due waits too long for its attempt: once when that begins, and once when it is over.

use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Watchdog {
    bound: Duration,
    /// When it looked last, in the time that the server runs.
    looked: Duration,
    is_late: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Begins,
    Ends,
}

impl Watchdog {
    pub fn new(bound: Duration) -> Self {
        Self { bound, looked: Duration::ZERO, is_late: false }
    }

    /// Whether to look again.
    pub fn is_time(&mut self, elapsed: Duration) -> bool {
        let is_time = elapsed.saturating_sub(self.looked) >= PAUSE;
        if is_time {
            self.looked = elapsed;
        }
        is_time
    }

    /// The oldest delivery that is due has waited for so long.
    pub fn look(&mut self, waited: Duration) {
        let seconds = waited.as_secs();
        match self.turn(waited) {
            Some(Turn::Begins) => tracing::warn!(
                seconds,
                "a delivery is due and waits for its attempt: receivers that hang take all slots, or the engine is stuck; \
                 see tidings_oldest_due_delivery_age_seconds in docs/operations.md"
            ),
            Some(Turn::Ends) => tracing::warn!("no delivery that is due waits too long any more"),
            None => {}
        }
    }

    fn turn(&mut self, waited: Duration) -> Option<Turn> {
        let is_late = waited >= self.bound;
        if std::mem::replace(&mut self.is_late, is_late) == is_late {
            return None;
        }
        Some(if is_late { Turn::Begins } else { Turn::Ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_when_a_delivery_is_late_and_once_when_none_is_any_more() {
        let mut watchdog = Watchdog::new(Duration::from_secs(60));
        let turns: Vec<_> =
            [0, 59, 60, 65, 70, 3, 0, 61].map(|seconds| watchdog.turn(Duration::from_secs(seconds))).into();
        let (begins, ends) = (Some(Turn::Begins), Some(Turn::Ends));
        assert_eq!(turns, [None, None, begins, None, None, ends, None, Some(Turn::Begins)]);
    }

    #[test]
    fn it_looks_every_few_seconds_however_often_it_is_asked() {
        let mut watchdog = Watchdog::new(Duration::from_secs(60));
        let looks = (0..=20_000).step_by(10).filter(|millis| watchdog.is_time(Duration::from_millis(*millis)));
        assert_eq!(looks.count(), 4);
    }
}
