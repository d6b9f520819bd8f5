//! When a delivery is tried again.
//!
//! Graph publishes no steps, only "exponential back-off for up to four hours"; the figures are ours.

use uuid::Uuid;

/// The wait after the first failure, before jitter; it doubles with each further one.
const FIRST_MICROS: u64 = 5_000_000;
/// The longest wait, before jitter.
const LONGEST_MICROS: u64 = 600_000_000;
/// Jitter adds up to this share of the wait; it never shortens it.
const JITTER_PERCENT: u64 = 25;

/// The least microseconds between the end of failed attempt number `attempts` (from 1) and the next.
pub fn least_wait_micros(attempts: u32) -> u64 {
    let doublings = attempts.saturating_sub(1).min(16);
    (FIRST_MICROS << doublings).min(LONGEST_MICROS)
}

/// No wait is longer.
pub fn wait_micros_max() -> u64 {
    LONGEST_MICROS + LONGEST_MICROS * JITTER_PERCENT / 100
}

/// The wait with jitter drawn from `seed`: so that endpoints that fail together are not retried together.
pub fn wait_micros(attempts: u32, seed: Uuid) -> u64 {
    let least = least_wait_micros(attempts);
    let (high, low) = seed.as_u64_pair();
    let draw = (high ^ low.rotate_left(17) ^ u64::from(attempts)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    least + (least * JITTER_PERCENT / 100) * (draw % 1_000) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_minutes() {
        let seconds: Vec<u64> = (1..=10).map(|attempts| least_wait_micros(attempts) / 1_000_000).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(least_wait_micros(u32::MAX), LONGEST_MICROS);
    }

    #[test]
    fn jitter_only_lengthens_the_wait_and_by_a_quarter_at_most() {
        for n in 0..1_000u128 {
            let wait = wait_micros(3, Uuid::from_u128(n.wrapping_mul(0x1234_5678_9abc_def1)));
            assert!((20_000_000..25_000_000).contains(&wait), "{wait}");
        }
    }
}
