//! When a delivery is tried again.
//!
//! Graph publishes no steps, only "exponential back-off for up to four hours"; the figures are ours.

use uuid::Uuid;

use crate::node::Outcome;

/// The wait after the first failure, before jitter; it doubles with each further one.
const FIRST_MICROS: u64 = 5_000_000;
/// The longest wait, before jitter.
const LONGEST_MICROS: u64 = 600_000_000;
/// Jitter adds up to this share of the wait; it never shortens it.
const JITTER_PERCENT: u64 = 25;

/// The longest that an endpoint can ask for; longer than a day nothing is tried again.
const ASKED_MICROS_MAX: u64 = 24 * 3_600 * 1_000_000;

/// How long an endpoint asks not to be tried again (`Retry-After`), a day at most. For a notification it is no longer than
/// the longest wait that there is without: so that nobody keeps a delivery waiting until it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    micros: u64,
}

impl RetryAfter {
    pub fn from_seconds(seconds: u64) -> Self {
        Self { micros: seconds.saturating_mul(1_000_000).min(ASKED_MICROS_MAX) }
    }

    pub fn micros(self) -> u64 {
        self.micros
    }
}

/// What an outcome asks for. It is heeded with 429 and 503 alone, which say that the endpoint has too much to do: beside
/// a redirect it tells of a request that is not made, and what is too large is not smaller after a while.
pub fn asked(outcome: Outcome) -> Option<RetryAfter> {
    match outcome {
        Outcome::Refused { status: 429 | 503, retry_after } => retry_after,
        _ => None,
    }
}

/// The least microseconds between the end of failed attempt number `attempts` (from 1) and the next: those of the
/// back-off, or what the endpoint `asked` for, if that is more.
pub fn least_wait_micros(attempts: u32, asked: Option<RetryAfter>) -> u64 {
    let doublings = attempts.saturating_sub(1).min(16);
    let back_off = (FIRST_MICROS << doublings).min(LONGEST_MICROS);
    asked.map_or(back_off, |asked| asked.micros.min(LONGEST_MICROS).max(back_off))
}

/// No wait is longer.
pub fn wait_micros_max() -> u64 {
    LONGEST_MICROS + LONGEST_MICROS * JITTER_PERCENT / 100
}

/// How much sooner than it was due after failed attempt number `attempts` something is tried again once its endpoint is
/// back: its wait is then that of a first failure.
pub fn spared_micros(attempts: u32) -> u64 {
    least_wait_micros(attempts, None) - least_wait_micros(1, None)
}

/// The wait with jitter drawn from `seed`: so that endpoints that fail together are not retried together, nor what one of
/// them has asked to come again later.
pub fn wait_micros(attempts: u32, seed: Uuid, asked: Option<RetryAfter>) -> u64 {
    with_jitter(least_wait_micros(attempts, asked), JITTER_PERCENT, attempts, seed)
}

/// `least` and up to `percent` of it more, drawn from `seed` anew for each attempt.
pub(crate) fn with_jitter(least: u64, percent: u64, attempts: u32, seed: Uuid) -> u64 {
    let (high, low) = seed.as_u64_pair();
    let draw = (high ^ low.rotate_left(17) ^ u64::from(attempts)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    least + (least * percent / 100) * (draw % 1_000) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_minutes() {
        let seconds: Vec<u64> = (1..=10).map(|attempts| least_wait_micros(attempts, None) / 1_000_000).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(least_wait_micros(u32::MAX, None), LONGEST_MICROS);
    }

    #[test]
    fn what_is_asked_for_lengthens_the_wait_up_to_ten_minutes_and_never_shortens_it() {
        let least =
            |attempts, seconds| least_wait_micros(attempts, Some(RetryAfter::from_seconds(seconds))) / 1_000_000;
        assert_eq!([0, 4, 6, 599, 600, 601, u64::MAX].map(|asked| least(1, asked)), [5, 5, 6, 599, 600, 600, 600]);
        assert_eq!((least(4, 30), least(4, 50), least(u32::MAX, 0)), (40, 50, 600));
        for n in 0..1_000u128 {
            let seed = Uuid::from_u128(n.wrapping_mul(0x1234_5678_9abc_def1));
            assert!(wait_micros(1, seed, Some(RetryAfter::from_seconds(u64::MAX))) <= wait_micros_max());
        }
    }

    #[test]
    fn only_who_has_too_much_to_do_is_heeded() {
        let retry_after = Some(RetryAfter::from_seconds(60));
        for status in 300..600 {
            let asked = asked(Outcome::Refused { status, retry_after });
            assert_eq!(asked.is_some(), status == 429 || status == 503, "{status}");
        }
    }

    #[test]
    fn jitter_only_lengthens_the_wait_and_by_a_quarter_at_most() {
        for n in 0..1_000u128 {
            let wait = wait_micros(3, Uuid::from_u128(n.wrapping_mul(0x1234_5678_9abc_def1)), None);
            assert!((20_000_000..25_000_000).contains(&wait), "{wait}");
        }
    }
}
