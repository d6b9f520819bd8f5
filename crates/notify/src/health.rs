//! How an endpoint answers, as Graph's documentation has it: `Healthy`, `Slow` (new notifications are held) or `Dropping`
//! (new notifications are given up). It sees responses alone: who cannot be reached has not responded, and is retried.
//!
//! A window opens with the first slow response, so that an endpoint that answers in time costs nothing: there is no
//! pulse of it at all.
//!
//! What was decided outlives the process, with its deadline in wall time. What was counted does not: the rest of a window
//! is judged by what is answered in it.

use std::cmp::Ordering;

use graph::Timestamp;

use crate::{Monotonic, Now};

const SECOND_MICROS: u64 = 1_000_000;
const MINUTE_MICROS: u64 = 60 * SECOND_MICROS;

/// What an endpoint is to new notifications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    #[default]
    Healthy,
    Slow,
    Dropping,
}

/// When an endpoint is slow or dropping, and what follows. Shares are of the responses in one window, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthLimits {
    /// The time that the first attempt of a delivery may take, and that the later ones may.
    pub first_timeout_micros: u64,
    pub retry_timeout_micros: u64,
    /// How long responses are counted together.
    pub window_micros: u64,
    /// Before so many responses no share counts.
    pub responses_min: u64,
    /// An endpoint is slow when more than this share takes longer than that.
    pub slow_percent: u64,
    pub slow_micros: u64,
    /// It is dropping when more than this share takes longer than that.
    pub drop_percent: u64,
    pub drop_micros: u64,
    /// How long a new notification is held that matches while the endpoint is slow.
    pub hold_micros: u64,
    /// How long all new notifications are dropped, before some are tried again.
    pub drop_for_micros: u64,
    /// How many new notifications of a window go at once all the same.
    pub probes: u64,
}

impl HealthLimits {
    /// The page on webhooks of April 2026.
    pub const fn documented() -> Self {
        Self {
            // 3 seconds for the first attempt, 10 for those that follow.
            first_timeout_micros: 3 * SECOND_MICROS,
            retry_timeout_micros: 10 * SECOND_MICROS,
            // Every copy counts over ten minutes.
            window_micros: 10 * MINUTE_MICROS,
            // Only the copies of 2022 and 2023 give a figure: after 100 notifications.
            responses_min: 100,
            // More than 10 % of the responses over 3 seconds: new ones are held for ten minutes.
            slow_percent: 10,
            slow_micros: 3 * SECOND_MICROS,
            hold_micros: 10 * MINUTE_MICROS,
            // More than 15 % over 10 seconds: new ones are dropped for ten minutes.
            drop_percent: 15,
            drop_micros: 10 * SECOND_MICROS,
            drop_for_micros: 10 * MINUTE_MICROS,
            // A small portion, says the page; the figure is ours.
            probes: 5,
        }
    }

    /// The localised pages, and one of the copies of 2024: 10 seconds throughout, and a short delay.
    pub const fn documented_localised() -> Self {
        Self {
            // 10 seconds, the first time, too.
            first_timeout_micros: 10 * SECOND_MICROS,
            // More than 10 % over 10 seconds: held for 10 seconds.
            slow_micros: 10 * SECOND_MICROS,
            hold_micros: 10 * SECOND_MICROS,
            ..Self::documented()
        }
    }

    /// The copies of 2022 and 2023: one threshold for both.
    pub const fn documented_2022() -> Self {
        Self {
            // 3 seconds; there is no other figure.
            retry_timeout_micros: 3 * SECOND_MICROS,
            // Slow is what takes more than 2,900 milliseconds; from 10 % on held, from 15 % on dropped.
            slow_micros: 2_900_000,
            drop_micros: 2_900_000,
            ..Self::documented()
        }
    }

    /// The copy of 2021: half a minute.
    pub const fn documented_2021() -> Self {
        Self {
            // "within 30 seconds".
            first_timeout_micros: 30 * SECOND_MICROS,
            retry_timeout_micros: 30 * SECOND_MICROS,
            // Over 30 seconds more than 10 %: delayed; more than 20 %: dropped.
            slow_micros: 30 * SECOND_MICROS,
            drop_micros: 30 * SECOND_MICROS,
            drop_percent: 20,
            ..Self::documented()
        }
    }

    /// The same, but no endpoint is ever slow or dropping.
    pub const fn none(self) -> Self {
        Self { slow_percent: 100, drop_percent: 100, ..self }
    }

    /// Whether an endpoint can be found to be so.
    fn find(&self, health: Health) -> bool {
        match health {
            Health::Healthy => false,
            Health::Slow => self.slow_percent < 100,
            Health::Dropping => self.drop_percent < 100,
        }
    }

    /// How long a window is in which something new is tried, and one in which nothing is.
    fn lasts_micros(&self, is_closed: bool) -> u64 {
        if is_closed { self.drop_for_micros } else { self.window_micros }
    }
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self::documented()
    }
}

/// What becomes of a new notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Sent,
    Held,
    Dropped,
}

/// What is stored of an endpoint that is slow or dropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredHealth {
    /// Slow or dropping.
    pub health: Health,
    /// Nothing new is tried in this window.
    pub is_closed: bool,
    /// When this window ends.
    pub ends: Timestamp,
}

/// The same, by the clock of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    health: Health,
    is_closed: bool,
    ends: Monotonic,
}

impl Lasting {
    pub fn stored(self, now: Now) -> StoredHealth {
        let Self { health, is_closed, ends } = self;
        StoredHealth { health, is_closed, ends: now.wall.plus_micros(ends.since(now.mono) as i64) }
    }
}

/// The health of one endpoint that has answered slowly.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    health: Health,
    /// Nothing new is tried in this window.
    is_closed: bool,
    window: Window,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Monotonic,
    responses: u64,
    /// Of them, those that took longer than what is slow, and than what leads to dropping.
    slow: u64,
    too_late: u64,
    /// New notifications that went at once all the same.
    probes: u64,
}

impl Window {
    fn new(began: Monotonic, micros: u64) -> Self {
        Self { ends: began.plus_micros(micros), responses: 0, slow: 0, too_late: 0, probes: 0 }
    }

    /// What the shares say.
    fn health(&self, limits: &HealthLimits) -> Health {
        let exceeds = |count: u64, percent: u64| count * 100 > self.responses * percent;
        if exceeds(self.too_late, limits.drop_percent) {
            Health::Dropping
        } else if exceeds(self.slow, limits.slow_percent) {
            Health::Slow
        } else {
            Health::Healthy
        }
    }
}

impl Pulse {
    /// What is to be remembered of an endpoint of which a response took so long; `None`: nothing, it answers in time.
    /// A time-out took longer than what the attempt had.
    pub fn after(known: Option<Self>, took_micros: u64, now: Monotonic, limits: &HealthLimits) -> Option<Self> {
        let is_slow = took_micros > limits.slow_micros.min(limits.drop_micros);
        let known = known.map(|known| known.passed(now, limits)).filter(|known| !known.is_over(now));
        let mut pulse = known.or_else(|| is_slow.then(|| Self::new(Health::Healthy, now, limits)))?;
        pulse.responded(took_micros, now, limits);
        Some(pulse)
    }

    fn new(health: Health, now: Monotonic, limits: &HealthLimits) -> Self {
        let is_closed = health == Health::Dropping;
        Self { health, is_closed, window: Window::new(now, limits.lasts_micros(is_closed)) }
    }

    /// What was stored, taken up at `now`; `None`: its time is over, or by these limits no endpoint is so. However wrong the
    /// wall clock is, it lasts no longer than it would if it had just been found.
    pub fn restored(stored: StoredHealth, now: Now, limits: &HealthLimits) -> Option<Self> {
        let StoredHealth { health, mut is_closed, ends } = stored;
        let mut left = ends.since(now.wall);
        if is_closed && left <= 0 {
            is_closed = false;
            left += limits.window_micros as i64;
        }
        let left = u64::try_from(left).ok().filter(|left| *left > 0 && limits.find(health))?;
        Some(Self { health, is_closed, window: Window::new(now.mono, left.min(limits.lasts_micros(is_closed))) })
    }

    /// The worse of two that are known of one endpoint; of two that are alike, what was counted here and the later end.
    #[must_use]
    pub fn or_worse(mut self, other: Self) -> Self {
        match (self.health, self.is_closed).cmp(&(other.health, other.is_closed)) {
            Ordering::Less => return other,
            Ordering::Equal => self.window.ends = self.window.ends.max(other.window.ends),
            Ordering::Greater => {}
        }
        self
    }

    /// What outlives the process; `None`: nothing, it is healthy.
    pub fn lasting(&self) -> Option<Lasting> {
        let Self { health, is_closed, window: Window { ends, .. } } = *self;
        (health != Health::Healthy).then_some(Lasting { health, is_closed, ends })
    }

    fn responded(&mut self, took_micros: u64, now: Monotonic, limits: &HealthLimits) {
        self.window.responses += 1;
        self.window.slow += u64::from(took_micros > limits.slow_micros);
        self.window.too_late += u64::from(took_micros > limits.drop_micros);
        let (found, responses) = (self.window.health(limits), self.window.responses);
        let is_worse = found > self.health && responses >= limits.responses_min;
        // Who was dropping is out of it as soon as what was tried was answered.
        let has_recovered = self.health == Health::Dropping && !self.is_closed && responses >= limits.probes;
        if is_worse || (has_recovered && found < self.health) {
            *self = Self::new(found, now, limits);
        }
    }

    /// As it is at `now`: windows that are over were judged. One in which nothing was answered ends the state, unless
    /// nothing new could be tried in it.
    #[must_use]
    pub fn passed(mut self, now: Monotonic, limits: &HealthLimits) -> Self {
        while self.health != Health::Healthy && self.window.ends <= now {
            if !std::mem::take(&mut self.is_closed) {
                // So few make nobody worse.
                self.health = self.window.health(limits).min(self.health);
            }
            self.window = Window::new(self.window.ends, limits.window_micros);
        }
        self
    }

    /// What becomes of a notification that is new at `now`.
    pub fn admit(&mut self, now: Monotonic, limits: &HealthLimits) -> Admission {
        *self = self.passed(now, limits);
        if self.health != Health::Healthy && !self.is_closed && self.window.probes < limits.probes {
            self.window.probes += 1;
            return Admission::Sent;
        }
        match self.health {
            Health::Healthy => Admission::Sent,
            Health::Slow => Admission::Held,
            Health::Dropping => Admission::Dropped,
        }
    }

    /// Whether there is nothing to remember any more.
    pub fn is_over(&self, now: Monotonic) -> bool {
        self.health == Health::Healthy && self.window.ends <= now
    }

    /// When it is to be looked at again, at the latest.
    pub fn ends(&self) -> Monotonic {
        self.window.ends
    }

    pub fn health(&self) -> Health {
        self.health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HealthLimits = HealthLimits { responses_min: 10, ..HealthLimits::documented() };
    const QUICK: u64 = SECOND_MICROS;
    const LATE: u64 = 4 * SECOND_MICROS;
    const LOST: u64 = 10 * SECOND_MICROS + 1;

    /// An endpoint and the time, which goes on by a second with each response.
    struct Endpoint {
        pulse: Option<Pulse>,
        now: Monotonic,
        limits: HealthLimits,
    }

    impl Endpoint {
        fn new(limits: HealthLimits) -> Self {
            Self { pulse: None, now: Monotonic(0), limits }
        }

        fn respond(&mut self, responses: &[(u64, usize)]) -> Health {
            for took in responses.iter().flat_map(|(took, times)| std::iter::repeat_n(*took, *times)) {
                self.now = self.now.plus_micros(SECOND_MICROS);
                self.pulse = Pulse::after(self.pulse, took, self.now, &self.limits);
            }
            self.health()
        }

        fn health(&self) -> Health {
            self.pulse.map_or(Health::Healthy, |pulse| pulse.passed(self.now, &self.limits).health())
        }

        fn pass(&mut self, minutes: u64) {
            self.now = self.now.plus_micros(minutes * MINUTE_MICROS);
        }

        /// What becomes of so many new notifications.
        fn admitted(&mut self, count: usize) -> Vec<Admission> {
            let (now, limits) = (self.now, self.limits);
            let admit =
                |pulse: &mut Option<Pulse>| pulse.as_mut().map_or(Admission::Sent, |pulse| pulse.admit(now, &limits));
            (0..count).map(|_| admit(&mut self.pulse)).collect()
        }
    }

    #[test]
    fn who_answers_in_time_leaves_no_trace() {
        let mut endpoint = Endpoint::new(LIMITS);
        assert_eq!(endpoint.respond(&[(QUICK, 500), (3 * SECOND_MICROS, 500)]), Health::Healthy);
        assert!(endpoint.pulse.is_none());
        endpoint.respond(&[(LATE, 1)]);
        assert!(endpoint.pulse.is_some());
        endpoint.pass(11);
        endpoint.respond(&[(QUICK, 1)]);
        assert!(endpoint.pulse.is_none(), "a window later");
    }

    #[test]
    fn more_than_a_tenth_over_three_seconds_is_slow() {
        let mut endpoint = Endpoint::new(LIMITS);
        assert_eq!(endpoint.respond(&[(LATE, 1), (QUICK, 9)]), Health::Healthy, "a tenth is not more");
        assert_eq!(endpoint.respond(&[(LATE, 1)]), Health::Slow);
    }

    #[test]
    fn more_than_three_in_twenty_over_ten_seconds_is_dropping() {
        let mut endpoint = Endpoint::new(HealthLimits { responses_min: 20, ..LIMITS });
        assert_eq!(endpoint.respond(&[(LOST, 3), (QUICK, 17)]), Health::Slow, "three in twenty are not more");
        let mut endpoint = Endpoint::new(HealthLimits { responses_min: 20, ..LIMITS });
        assert_eq!(endpoint.respond(&[(LOST, 4), (QUICK, 16)]), Health::Dropping);
    }

    #[test]
    fn before_enough_has_been_answered_no_share_counts() {
        let mut endpoint = Endpoint::new(HealthLimits::documented());
        assert_eq!(endpoint.respond(&[(LOST, 99)]), Health::Healthy);
        assert_eq!(endpoint.respond(&[(LOST, 1)]), Health::Dropping);
        let mut endpoint = Endpoint::new(HealthLimits::documented());
        for _ in 0..50 {
            endpoint.respond(&[(LOST, 50)]);
            endpoint.pass(10);
        }
        assert_eq!(endpoint.health(), Health::Healthy, "what was counted is forgotten with its window");
    }

    #[test]
    fn to_a_slow_endpoint_a_small_portion_goes_at_once_and_the_rest_is_held() {
        let mut endpoint = Endpoint::new(LIMITS);
        endpoint.respond(&[(LATE, 10)]);
        let expected = [vec![Admission::Sent; 5], vec![Admission::Held; 20]].concat();
        assert_eq!(endpoint.admitted(25), expected);
        endpoint.respond(&[(LATE, 1), (QUICK, 4)]);
        endpoint.pass(10);
        assert_eq!(endpoint.admitted(25), expected, "one in five was slow");
        endpoint.respond(&[(QUICK, 5)]);
        endpoint.pass(10);
        assert_eq!(endpoint.admitted(1), [Admission::Sent]);
        assert_eq!(endpoint.health(), Health::Healthy);
    }

    #[test]
    fn a_dropping_endpoint_gets_nothing_new_for_ten_minutes_then_a_small_portion() {
        let mut endpoint = Endpoint::new(LIMITS);
        endpoint.respond(&[(LOST, 10)]);
        assert_eq!(endpoint.admitted(3), [Admission::Dropped; 3]);
        endpoint.respond(&[(QUICK, 60)]);
        assert_eq!(endpoint.health(), Health::Dropping, "what was parked before changes nothing yet");
        endpoint.pass(9);
        let expected = [vec![Admission::Sent; 5], vec![Admission::Dropped; 2]].concat();
        assert_eq!(endpoint.admitted(7), expected);
        assert_eq!(endpoint.respond(&[(LOST, 1), (QUICK, 4)]), Health::Dropping, "one in five was lost");
        endpoint.pass(10);
        assert_eq!(endpoint.admitted(7), expected);
        assert_eq!(endpoint.respond(&[(QUICK, 4)]), Health::Dropping);
        assert_eq!(endpoint.respond(&[(QUICK, 1)]), Health::Healthy, "what was tried was answered");
    }

    #[test]
    fn a_state_ends_with_a_window_in_which_nothing_was_answered() {
        let mut endpoint = Endpoint::new(LIMITS);
        endpoint.respond(&[(LATE, 10)]);
        endpoint.pass(10);
        assert_eq!(endpoint.health(), Health::Healthy);
        let mut endpoint = Endpoint::new(LIMITS);
        endpoint.respond(&[(LOST, 10)]);
        endpoint.pass(19);
        assert_eq!(endpoint.health(), Health::Dropping);
        endpoint.pass(1);
        assert_eq!(endpoint.health(), Health::Healthy);
    }

    #[test]
    fn each_copy_of_the_documentation_has_its_numbers() {
        let copies = [
            HealthLimits::documented(),
            HealthLimits::documented_localised(),
            HealthLimits::documented_2022(),
            HealthLimits::documented_2021(),
        ];
        let millis = |micros: u64| micros / 1_000;
        let told = copies.map(|of| {
            let slow = (of.slow_percent, millis(of.slow_micros), millis(of.hold_micros));
            let timeouts = (millis(of.first_timeout_micros), millis(of.retry_timeout_micros));
            (timeouts, slow, (of.drop_percent, millis(of.drop_micros)))
        });
        assert_eq!(
            told,
            [
                ((3_000, 10_000), (10, 3_000, 600_000), (15, 10_000)),
                ((10_000, 10_000), (10, 10_000, 10_000), (15, 10_000)),
                ((3_000, 3_000), (10, 2_900, 600_000), (15, 2_900)),
                ((30_000, 30_000), (10, 30_000, 600_000), (20, 30_000)),
            ]
        );
    }

    #[test]
    fn with_no_limits_nobody_is_ever_slow() {
        let mut endpoint = Endpoint::new(LIMITS.none());
        assert_eq!(endpoint.respond(&[(LOST, 500)]), Health::Healthy);
    }
}
