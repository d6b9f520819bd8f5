//! How many attempts may be under way to one endpoint at a time: a window as that of TCP (RFC 5681), but that it begins
//! wide open, so that an endpoint that answers never meets it. It grows by one with each acknowledgement, is halved when
//! the endpoint says that it has too much to do, and closes to one attempt when one times out.
//!
//! A time-out takes seconds. Until then silence tells: while nothing was answered for half a second, an attempt joins one
//! that is under way, which may be the only slow one, and no more than one.

use crate::Monotonic;
use crate::node::Outcome;

/// How long an endpoint may say nothing before it gets no more than so many attempts.
const SILENCE_MICROS: u64 = 500_000;
const SILENT_MAX: u32 = 2;

/// The attempts at one endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    /// How many may be under way; 1 or more.
    limit: u32,
    taken: u32,
    /// When it was last heard of, or its first attempt began.
    silent_since: Monotonic,
    /// The last that was heard of it is that an attempt timed out.
    hangs: bool,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { limit: u32::MAX, taken: 0, silent_since: Monotonic(0), hangs: false }
    }
}

impl Concurrency {
    /// Whether another attempt may begin. If not, that changes when one that is under way has ended.
    pub fn admits(&self, now: Monotonic) -> bool {
        let is_silent = now.since(self.silent_since) > SILENCE_MICROS;
        self.taken < if is_silent { self.limit.min(SILENT_MAX) } else { self.limit }
    }

    pub fn begin(&mut self, now: Monotonic) {
        if self.taken == 0 {
            self.silent_since = now;
        }
        self.taken += 1;
    }

    /// One of the attempts has ended.
    pub fn end(&mut self, outcome: Outcome, now: Monotonic) {
        let under_way = self.taken;
        self.taken = self.taken.saturating_sub(1);
        match outcome {
            Outcome::Acknowledged => self.limit = self.limit.saturating_add(1),
            Outcome::Refused { status: 429 | 503, .. } => self.limit = (self.limit.min(under_way) / 2).max(1),
            Outcome::Refused { .. } => {}
            Outcome::TimedOut => {
                (self.limit, self.hangs) = (1, true);
                return;
            }
            // It was not heard of.
            Outcome::Unreachable
            | Outcome::Unresolved
            | Outcome::Forbidden
            | Outcome::NotSent
            | Outcome::Delayed { .. } => return,
        }
        (self.silent_since, self.hangs) = (now, false);
    }

    /// Whether it is likely that an attempt takes all the time that it has.
    pub fn hangs(&self) -> bool {
        self.hangs
    }

    pub fn is_idle(&self) -> bool {
        self.taken == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: u32 = 64;
    const TOO_MUCH: Outcome = Outcome::refused(503);

    /// An endpoint that always has something to send, and the time.
    #[derive(Default)]
    struct Endpoint {
        concurrency: Concurrency,
        now: u64,
    }

    impl Endpoint {
        /// Begins as many attempts as may be, up to the most at one origin; how many are under way then.
        fn fill(&mut self) -> u32 {
            let now = Monotonic(self.now);
            while self.concurrency.taken < MOST && self.concurrency.admits(now) {
                self.concurrency.begin(now);
            }
            self.concurrency.taken
        }

        fn answer(&mut self, outcome: Outcome, times: u32) {
            for _ in 0..times {
                self.concurrency.end(outcome, Monotonic(self.now));
            }
        }

        /// Each of those under way comes to `outcome`; how many are under way after that.
        fn round(&mut self, outcome: Outcome) -> u32 {
            self.now += 100_000;
            self.answer(outcome, self.concurrency.taken);
            self.fill()
        }
    }

    #[test]
    fn who_answers_has_all_that_there_is_from_the_beginning() {
        let mut endpoint = Endpoint::default();
        assert_eq!(endpoint.fill(), MOST);
        for outcome in [Outcome::Acknowledged, Outcome::refused(500), Outcome::refused(404), Outcome::Unreachable] {
            assert_eq!(endpoint.round(outcome), MOST, "{outcome:?}");
        }
    }

    #[test]
    fn who_hangs_gets_one_attempt_at_a_time_and_climbs_back_in_a_few_rounds() {
        let mut endpoint = Endpoint::default();
        endpoint.fill();
        assert_eq!((endpoint.round(Outcome::TimedOut), endpoint.concurrency.hangs()), (1, true));
        assert_eq!((endpoint.round(Outcome::TimedOut), endpoint.concurrency.hangs()), (1, true));
        let rounds = [0; 7].map(|_| endpoint.round(Outcome::Acknowledged));
        assert_eq!((rounds, endpoint.concurrency.hangs()), ([2, 4, 8, 16, 32, 64, 64], false));
    }

    #[test]
    fn who_has_too_much_to_do_gets_half_of_it() {
        let mut endpoint = Endpoint::default();
        assert_eq!(endpoint.fill(), 64);
        endpoint.answer(TOO_MUCH, 1);
        endpoint.answer(Outcome::Acknowledged, 40);
        assert_eq!(endpoint.fill(), 64, "32, and one for each that was acknowledged");
        assert_eq!(endpoint.round(TOO_MUCH), 1, "all of them were too much");
        endpoint.answer(TOO_MUCH, 1);
        assert_eq!(endpoint.fill(), 1, "one is left");
    }

    #[test]
    fn one_failure_in_a_hundred_costs_little() {
        let mut endpoint = Endpoint::default();
        let mut least = endpoint.fill();
        for number in 0..10_000 {
            endpoint.now += 1_000;
            endpoint.answer(if number % 100 == 99 { TOO_MUCH } else { Outcome::Acknowledged }, 1);
            least = least.min(endpoint.fill());
        }
        assert!(least >= MOST / 2 - 1, "{least}");
    }

    #[test]
    fn who_says_nothing_for_half_a_second_gets_two_attempts_at_a_time_until_it_answers() {
        let mut endpoint = Endpoint::default();
        endpoint.concurrency.begin(Monotonic(0));
        endpoint.concurrency.begin(Monotonic(1));
        assert!(endpoint.concurrency.admits(Monotonic(SILENCE_MICROS)));
        endpoint.now = SILENCE_MICROS + 1;
        assert_eq!(endpoint.fill(), 2, "none joins them");
        endpoint.answer(Outcome::Unreachable, 1);
        assert_eq!(endpoint.fill(), 2, "one joins one, but that was no answer");
        endpoint.answer(Outcome::refused(500), 1);
        assert_eq!(endpoint.fill(), MOST);
    }

    proptest! {
        #[test]
        fn one_attempt_is_always_possible(outcomes in prop::collection::vec(0..5_u8, 0..200)) {
            let mut endpoint = Endpoint::default();
            for outcome in outcomes {
                endpoint.now += 300_000;
                prop_assert!(endpoint.fill() >= 1);
                let outcomes = [Outcome::Acknowledged, TOO_MUCH, Outcome::refused(500), Outcome::TimedOut, Outcome::Unreachable];
                endpoint.answer(outcomes[usize::from(outcome)], 1);
            }
        }
    }
}
