//! When an event is pushed again to an event subscription's webhook, and when no more: Event Grid's schedule, the least
//! waits after some answers, limits by attempts and time, and probation. It is the sibling of `retry` and `health`, which
//! are of webhooks that Graph calls.

use graph::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::node::Outcome;
use crate::retry::{RetryAfter, with_jitter};
use crate::{AbandonReason, Monotonic};

const SECOND_MICROS: u64 = 1_000_000;
const MINUTE_MICROS: u64 = 60 * SECOND_MICROS;
const HOUR_MICROS: u64 = 60 * MINUTE_MICROS;

/// The waits after the first failures, before jitter; after those it is the last.
const SCHEDULE_MICROS: [u64; 10] = [
    10 * SECOND_MICROS,
    30 * SECOND_MICROS,
    MINUTE_MICROS,
    5 * MINUTE_MICROS,
    10 * MINUTE_MICROS,
    30 * MINUTE_MICROS,
    HOUR_MICROS,
    3 * HOUR_MICROS,
    6 * HOUR_MICROS,
    12 * HOUR_MICROS,
];
/// How long an attempt may take, over all of it, as documented; one to keep dead letters, too.
pub const TIMEOUT_MICROS: u64 = 30 * SECOND_MICROS;
/// "A small randomization", says the page; the figure is ours. It never shortens the wait.
const JITTER_PERCENT: u64 = 10;
/// The longest time that a receiver can ask to be left alone; events live no longer.
const RETRY_AFTER_MICROS_MAX: u64 = 24 * HOUR_MICROS;

/// The most attempts, and the most minutes in which they are made, as documented.
pub const ATTEMPTS_MAX: u32 = 30;
pub const TIME_TO_LIVE_MINUTES_MAX: u32 = 1_440;

/// How long an event is tried, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushPolicy {
    attempts_max: u32,
    time_to_live_minutes: u32,
}

/// Event Grid's own bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPushPolicy {
    #[error("maxDeliveryAttempts must be from 1 to {ATTEMPTS_MAX}")]
    Attempts,
    #[error("eventTimeToLiveInMinutes must be from 1 to {TIME_TO_LIVE_MINUTES_MAX}")]
    TimeToLive,
}

impl Default for PushPolicy {
    fn default() -> Self {
        Self { attempts_max: ATTEMPTS_MAX, time_to_live_minutes: TIME_TO_LIVE_MINUTES_MAX }
    }
}

/// What one attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `retry_after_micros`: what a `Retry-After` asks for.
    Status {
        code: u16,
        retry_after_micros: Option<u64>,
    },
    TimedOut,
    /// The connection could not be made or broke.
    SocketError,
    /// The host has no address.
    ResolutionError,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Acknowledged,
    /// It is due again when this has passed.
    Again {
        wait_micros: u64,
    },
    /// If it is [`GivenUp::Stopped`], nothing more may be pushed to this event subscription.
    GivenUp(GivenUp),
}

/// Why an event is not pushed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GivenUp {
    /// Trying again would not help.
    NotRetried,
    AttemptsExceeded,
    TimeToLiveExceeded,
    /// Its receiver has said that it wants no more events.
    Stopped,
    /// A fault on purpose kept it from being sent.
    Injected,
}

impl From<GivenUp> for AbandonReason {
    fn from(given_up: GivenUp) -> Self {
        match given_up {
            GivenUp::NotRetried => AbandonReason::NotRetried,
            GivenUp::AttemptsExceeded => AbandonReason::AttemptsExceeded,
            GivenUp::TimeToLiveExceeded => AbandonReason::TimeToLiveExceeded,
            GivenUp::Stopped => AbandonReason::Stopped,
            GivenUp::Injected => AbandonReason::Injected,
        }
    }
}

/// What is remembered of an event that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pushed {
    /// It is to be tried again.
    Failing(LastTry),
    /// It is to be kept as a dead letter.
    GivenUp(Undelivered),
}

/// The last attempt to push an event, which failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastTry {
    /// When it ended, in whole seconds.
    pub at: Timestamp,
    pub outcome: LastOutcome,
}

/// What an attempt to push came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LastOutcome {
    Status(u16),
    TimedOut,
    /// The connection could not be made or broke.
    Unreachable,
    /// The host has no address.
    Unresolved,
    /// The outbound policy forbids the target.
    Forbidden,
    /// It could not be made ready, or was held back on purpose.
    NotSent,
}

/// An event that is not pushed any more, as its dead letter tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undelivered {
    pub reason: GivenUp,
    /// When it was given up, in whole seconds.
    pub at: Timestamp,
    /// Attempts that were made.
    pub attempts: u32,
    /// `None`: none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastTry>,
}

impl LastOutcome {
    /// `None`: it was acknowledged.
    pub fn of(outcome: Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Acknowledged => return None,
            Outcome::Refused { status, .. } => Self::Status(status),
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Unreachable => Self::Unreachable,
            Outcome::Unresolved => Self::Unresolved,
            Outcome::Forbidden => Self::Forbidden,
            Outcome::NotSent | Outcome::Delayed { .. } => Self::NotSent,
        })
    }
}

impl PushPolicy {
    pub fn new(attempts_max: u32, time_to_live_minutes: u32) -> Result<Self, InvalidPushPolicy> {
        if !(1..=ATTEMPTS_MAX).contains(&attempts_max) {
            return Err(InvalidPushPolicy::Attempts);
        }
        if !(1..=TIME_TO_LIVE_MINUTES_MAX).contains(&time_to_live_minutes) {
            return Err(InvalidPushPolicy::TimeToLive);
        }
        Ok(Self { attempts_max, time_to_live_minutes })
    }

    pub fn attempts_max(&self) -> u32 {
        self.attempts_max
    }

    pub fn time_to_live_minutes(&self) -> u32 {
        self.time_to_live_minutes
    }

    /// What follows from the answer to attempt number `attempts`, from 1. Time is not looked at: an event whose time has
    /// passed is given up when its next attempt is due, not before.
    pub fn verdict(&self, answer: Answer, attempts: u32, seed: Uuid) -> Verdict {
        match answer {
            Answer::Status { code: 200..=204, .. } => Verdict::Acknowledged,
            Answer::Status { code: 410, .. } => Verdict::GivenUp(GivenUp::Stopped),
            Answer::Status { code: 400 | 401 | 403 | 413, .. } => Verdict::GivenUp(GivenUp::NotRetried),
            _ if attempts >= self.attempts_max => Verdict::GivenUp(GivenUp::AttemptsExceeded),
            _ => Verdict::Again { wait_micros: wait_micros(answer, attempts, seed) },
        }
    }

    /// Whether an event that was published then may still be tried at `now`, when it is due.
    pub fn lives(&self, published: Timestamp, now: Timestamp) -> Result<(), GivenUp> {
        if now < self.lives_until(published) { Ok(()) } else { Err(GivenUp::TimeToLiveExceeded) }
    }

    /// When the time to live of an event is over that was published then.
    pub fn lives_until(&self, published: Timestamp) -> Timestamp {
        published.plus_minutes(i64::from(self.time_to_live_minutes))
    }
}

/// No wait is longer.
pub fn wait_micros_max() -> u64 {
    RETRY_AFTER_MICROS_MAX + RETRY_AFTER_MICROS_MAX * JITTER_PERCENT / 100
}

/// The waits after the first failures to keep a dead letter; after those it is the last.
const DEAD_LETTER_MICROS: [u64; 3] = [10 * SECOND_MICROS, MINUTE_MICROS, 5 * MINUTE_MICROS];

/// When keeping a dead letter is tried again that has failed so often, from 1.
pub fn dead_letter_wait_micros(attempts: u32, seed: Uuid) -> u64 {
    let step = (attempts.saturating_sub(1) as usize).min(DEAD_LETTER_MICROS.len() - 1);
    with_jitter(DEAD_LETTER_MICROS[step], JITTER_PERCENT, attempts, seed)
}

impl Answer {
    /// `None`: nothing was sent.
    pub fn of(outcome: Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Acknowledged => Self::Status { code: 200, retry_after_micros: None },
            Outcome::Refused { status: code, retry_after } => {
                Self::Status { code, retry_after_micros: retry_after.map(RetryAfter::micros) }
            }
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Unreachable | Outcome::Forbidden => Self::SocketError,
            Outcome::Unresolved => Self::ResolutionError,
            Outcome::NotSent | Outcome::Delayed { .. } => return None,
        })
    }
}

/// The wait of the schedule, or the least that the answer asks for if that is longer; with jitter.
pub(crate) fn wait_micros(answer: Answer, attempts: u32, seed: Uuid) -> u64 {
    let step = (attempts.saturating_sub(1) as usize).min(SCHEDULE_MICROS.len() - 1);
    with_jitter(SCHEDULE_MICROS[step].max(least_wait_micros(answer)), JITTER_PERCENT, attempts, seed)
}

fn least_wait_micros(answer: Answer) -> u64 {
    match answer {
        Answer::Status { code: 404, .. } => 5 * MINUTE_MICROS,
        Answer::Status { code: 408, .. } => 2 * MINUTE_MICROS,
        Answer::Status { code: 429, retry_after_micros: Some(asked) } => asked.min(RETRY_AFTER_MICROS_MAX),
        Answer::Status { code: 503, .. } => 30 * SECOND_MICROS,
        _ => 10 * SECOND_MICROS,
    }
}

/// From so many failures in a row on, an event subscription is on probation.
const FAILURES_MIN: u32 = 10;

/// What an event subscription's last attempts came to: after some failures in a row, nothing is pushed to it for a
/// while, be it new or due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probation {
    failures: u32,
    until: Monotonic,
}

impl Probation {
    #[must_use]
    pub fn after(self, answer: Answer, now: Monotonic) -> Self {
        if matches!(answer, Answer::Status { code: 200..=204, .. }) {
            return Self::default();
        }
        let failures = self.failures.saturating_add(1);
        let asked = if failures < FAILURES_MIN { now } else { now.plus_micros(probation_micros(answer)) };
        Self { failures, until: self.until.max(asked) }
    }

    /// From then on something may be pushed.
    pub fn until(&self) -> Monotonic {
        self.until
    }

    /// Until when nothing is pushed; `None`: it may be now.
    pub fn holds_until(&self, now: Monotonic) -> Option<Monotonic> {
        (self.until > now).then_some(self.until)
    }
}

fn probation_micros(answer: Answer) -> u64 {
    match answer {
        Answer::SocketError => 30 * SECOND_MICROS,
        Answer::ResolutionError | Answer::Status { code: 401 | 403 | 404 | 410, .. } => 5 * MINUTE_MICROS,
        Answer::Status { .. } | Answer::TimedOut => 10 * SECOND_MICROS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after_micros: None }
    }

    /// The wait in seconds, without jitter.
    fn waits(answer: Answer, attempts: u32) -> u64 {
        match PushPolicy::default().verdict(answer, attempts, Uuid::nil()) {
            Verdict::Again { wait_micros } => {
                let least = SCHEDULE_MICROS[(attempts as usize - 1).min(9)].max(least_wait_micros(answer));
                assert!((least..=least + least / 10).contains(&wait_micros), "{wait_micros}");
                least / SECOND_MICROS
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_200_to_204_acknowledge_an_event() {
        let acknowledges = |code| PushPolicy::default().verdict(status(code), 1, Uuid::nil()) == Verdict::Acknowledged;
        let found: Vec<u16> = (100..600).filter(|code| acknowledges(*code)).collect();
        assert_eq!(found, [200, 201, 202, 203, 204]);
    }

    #[test]
    fn the_wait_follows_event_grids_schedule() {
        let found: Vec<u64> = (1..=12).map(|attempts| waits(status(500), attempts)).collect();
        assert_eq!(found, [10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 43_200, 43_200]);
    }

    #[test]
    fn some_answers_ask_for_a_longer_wait() {
        let first = [404, 408, 503, 500, 302].map(|code| waits(status(code), 1));
        assert_eq!(first, [300, 120, 30, 10, 10]);
        let unanswered = [Answer::TimedOut, Answer::SocketError, Answer::ResolutionError];
        assert_eq!(unanswered.map(|answer| waits(answer, 1)), [10; 3]);
        assert_eq!(waits(status(404), 5), 600, "the schedule's wait is longer");
    }

    #[test]
    fn who_answers_429_is_left_alone_as_long_as_it_asks_and_a_day_at_most() {
        let asks = |seconds: u64| Answer::Status { code: 429, retry_after_micros: Some(seconds * SECOND_MICROS) };
        assert_eq!(waits(asks(90), 1), 90);
        assert_eq!(waits(asks(1), 1), 10);
        assert_eq!(waits(asks(10_000_000), 1), 86_400);
        assert_eq!(waits(status(429), 1), 10);
    }

    #[test]
    fn some_answers_are_final_and_410_stops_the_event_subscription() {
        let verdict = |code| PushPolicy::default().verdict(status(code), 1, Uuid::nil());
        for code in [400, 401, 403, 413] {
            assert_eq!(verdict(code), Verdict::GivenUp(GivenUp::NotRetried), "{code}");
        }
        assert_eq!(verdict(410), Verdict::GivenUp(GivenUp::Stopped));
    }

    #[test]
    fn after_the_last_attempt_an_event_is_given_up() {
        let policy = PushPolicy::new(3, 60).unwrap();
        let verdict = |attempts| policy.verdict(status(500), attempts, Uuid::nil());
        assert!(matches!(verdict(2), Verdict::Again { .. }));
        assert_eq!(verdict(3), Verdict::GivenUp(GivenUp::AttemptsExceeded));
        assert_eq!(policy.verdict(status(200), 3, Uuid::nil()), Verdict::Acknowledged);
    }

    #[test]
    fn time_to_live_is_judged_when_the_next_attempt_is_due() {
        let policy = PushPolicy::new(30, 1).unwrap();
        let published = Timestamp::from_seconds(1_795_255_200);
        // It is to be tried in five minutes, although it has one to live.
        assert!(matches!(policy.verdict(status(404), 1, Uuid::nil()), Verdict::Again { .. }));
        assert_eq!(policy.lives(published, published.plus_micros(59_999_999)), Ok(()));
        assert_eq!(policy.lives(published, published.plus_minutes(1)), Err(GivenUp::TimeToLiveExceeded));
    }

    #[test]
    fn a_push_policy_keeps_event_grids_bounds() {
        assert_eq!(PushPolicy::new(30, 1_440), Ok(PushPolicy::default()));
        assert!(PushPolicy::new(1, 1).is_ok());
        for attempts in [0, 31] {
            assert_eq!(PushPolicy::new(attempts, 60), Err(InvalidPushPolicy::Attempts));
        }
        for minutes in [0, 1_441] {
            assert_eq!(PushPolicy::new(30, minutes), Err(InvalidPushPolicy::TimeToLive));
        }
    }

    #[test]
    fn ten_failures_in_a_row_put_an_event_subscription_on_probation_until_one_succeeds() {
        let now = Monotonic(7);
        let mut probation = Probation::default();
        for _ in 0..9 {
            probation = probation.after(Answer::SocketError, now);
        }
        assert_eq!(probation.holds_until(now), None);
        let tenth = probation.after(Answer::SocketError, now);
        let until = now.plus_micros(30 * SECOND_MICROS);
        assert_eq!(tenth.holds_until(now), Some(until));
        assert_eq!(tenth.holds_until(until), None);
        assert_eq!(tenth.after(status(500), now).holds_until(now), Some(until), "a shorter one shortens nothing");
        assert_eq!(tenth.after(status(202), now), Probation::default());
    }

    #[test]
    fn probation_is_as_long_as_the_failure_tells() {
        let seconds = |answer| probation_micros(answer) / SECOND_MICROS;
        let statuses = [401, 403, 404, 429, 500, 503].map(|code| seconds(status(code)));
        assert_eq!(statuses, [300, 300, 300, 10, 10, 10]);
        let unanswered = [Answer::TimedOut, Answer::SocketError, Answer::ResolutionError];
        assert_eq!(unanswered.map(seconds), [10, 30, 300]);
    }
}
