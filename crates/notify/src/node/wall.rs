//! Wall time that decisions can be trusted to: it never runs backwards, and a leap forward that
//! monotonic time does not explain counts only after it has stood for a minute.

use graph::Timestamp;

use crate::{Monotonic, Now};

/// A wall clock that moved this much more than monotonic time has leapt.
const LEAP_MICROS: i64 = 10_000_000;
/// How long a leap must stand before it is believed.
const STABLE_MICROS: u64 = 60_000_000;

/// The trusted wall clock. Whoever watches a node has one of its own.
#[derive(Clone, Debug, Default)]
pub struct Wall {
    /// The last time that was believed, and when.
    trusted: Option<Now>,
    /// A leap forward is being watched since.
    leapt: Option<Now>,
    /// It went forward more than monotonic time did, and nobody has asked since.
    stepped: bool,
}

impl Wall {
    /// The wall time to decide with, at `now`.
    pub fn observe(&mut self, now: Now) -> Timestamp {
        let Some(trusted) = self.trusted else {
            self.trusted = Some(now);
            return now.wall;
        };
        let expected = trusted.wall.plus_micros(now.mono.since(trusted.mono) as i64);
        let wall = if now.wall.since(expected) > LEAP_MICROS {
            self.during_leap(expected, now)
        } else {
            self.leapt = None;
            now.wall.max(trusted.wall)
        };
        self.stepped |= wall.since(expected) > LEAP_MICROS;
        self.trusted = Some(Now { wall, mono: now.mono });
        wall
    }

    fn during_leap(&mut self, expected: Timestamp, now: Now) -> Timestamp {
        let leapt = *self.leapt.get_or_insert(now);
        let steady = leapt.wall.plus_micros(now.mono.since(leapt.mono) as i64);
        if now.wall.since(steady).abs() > LEAP_MICROS {
            self.leapt = Some(now);
            return expected;
        }
        if now.mono.since(leapt.mono) < STABLE_MICROS {
            return expected;
        }
        self.leapt = None;
        now.wall
    }

    /// Time does not lie before `floor`: what an earlier owner has acted on.
    pub fn raise(&mut self, floor: Timestamp) {
        if let Some(trusted) = &mut self.trusted {
            self.stepped |= floor > trusted.wall;
            trusted.wall = trusted.wall.max(floor);
        }
    }

    /// The last time that was believed, if it has gone forward by a step since this was last asked.
    pub(super) fn take_step(&mut self) -> Option<Timestamp> {
        let stepped = std::mem::take(&mut self.stepped);
        self.trusted.filter(|_| stepped).map(|trusted| trusted.wall)
    }
}

/// When `wall` will be reached, seen from `now`.
pub(super) fn mono_of(wall: Timestamp, now: Now) -> Monotonic {
    now.mono.plus_micros(wall.since(now.wall).max(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_seconds: i64, mono_seconds: u64) -> Now {
        Now { wall: Timestamp::from_seconds(wall_seconds), mono: Monotonic(mono_seconds * 1_000_000) }
    }

    #[test]
    fn time_never_runs_backwards() {
        let mut wall = Wall::default();
        wall.observe(at(1_000, 0));
        assert_eq!(wall.observe(at(400, 5)), Timestamp::from_seconds(1_000));
        assert_eq!(wall.observe(at(1_004, 6)), Timestamp::from_seconds(1_004));
    }

    #[test]
    fn a_leap_forward_counts_after_a_minute() {
        let mut wall = Wall::default();
        wall.observe(at(1_000, 0));
        assert_eq!(wall.observe(at(9_001, 1)), Timestamp::from_seconds(1_001));
        assert_eq!(wall.observe(at(9_030, 30)), Timestamp::from_seconds(1_030));
        assert_eq!(wall.observe(at(9_062, 62)), Timestamp::from_seconds(9_062));
    }

    #[test]
    fn a_leap_that_is_taken_back_never_counted() {
        let mut wall = Wall::default();
        wall.observe(at(1_000, 0));
        wall.observe(at(9_001, 1));
        assert_eq!(wall.observe(at(1_002, 2)), Timestamp::from_seconds(1_002));
    }
}
