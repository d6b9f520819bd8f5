//! When an app is asked to show anew that it may be told, and what follows if it does not.
//!
//! Graph publishes a cadence (its page on lifecycle notifications, 2026): with t a quarter of the time that is left, in
//! minutes, it asks while 60 < t <= 180, and again after t/2; while 0 <= t < 60 every 15 minutes; otherwise
//! it does not ask. It publishes no figure for how long an unanswered question stays without consequence.

use graph::{ChangeId, SubscriptionId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Position;
use crate::log::Cause;

/// Namespace of the ids of questions; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e0b_5c8d_91f7_4a3c_b2d4_7f10_38ac_e965);

const MINUTE_MICROS: i64 = 60_000_000;

/// How often an app is asked as its time runs out. All in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// Nobody is asked while more than this is left.
    pub begins_micros: i64,
    /// While at least this is left, the next question comes after an eighth of what is left…
    pub dense_micros: i64,
    /// …then after this.
    pub every_micros: i64,
}

impl Cadence {
    /// Graph's. Its page leaves t = 60 out; here that counts as more.
    pub const fn published() -> Self {
        Self {
            begins_micros: 4 * 180 * MINUTE_MICROS,
            dense_micros: 4 * 60 * MINUTE_MICROS,
            every_micros: 15 * MINUTE_MICROS,
        }
    }

    /// When an app is asked that was authorized at `from` for something that runs out at `until`, in order. Who was
    /// authorized so late that it would be asked at once is asked after one step.
    pub fn times(self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        let next = move |at: Timestamp| at.plus_micros(self.step_micros(until.since(at)));
        let begins = until.plus_micros(-self.begins_micros);
        let first = if from < begins { begins } else { next(from) };
        std::iter::successors(Some(first), move |at| Some(next(*at))).take_while(move |at| *at < until)
    }

    fn step_micros(self, left: i64) -> i64 {
        if left >= self.dense_micros { left / 8 } else { self.every_micros }
    }

    /// The first of these times after `last`.
    pub fn next(self, from: Timestamp, until: Timestamp, last: Option<Timestamp>) -> Option<Timestamp> {
        self.times(from, until).find(|at| last.is_none_or(|last| *at > last))
    }

    /// The last of these times after `last` that has come: who was not asked for long is asked once.
    pub fn latest(
        self,
        from: Timestamp,
        until: Timestamp,
        last: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.times(from, until).take_while(|at| *at <= now).filter(|at| last.is_none_or(|last| *at > last)).last()
    }
}

/// The id of the record that asks an app to reauthorize: for a time of the cadence, where it is the same question
/// whoever asks, or when access was found to be lost at this time.
pub fn question_id(subscription: SubscriptionId, at: Timestamp) -> ChangeId {
    let mut name = [0u8; 24];
    name[..16].copy_from_slice(subscription.0.as_bytes());
    name[16..].copy_from_slice(&at.as_micros().to_be_bytes());
    ChangeId(Uuid::new_v5(&NAMESPACE, &name))
}

/// What the app of a subscription was asked and has not answered, and when it was not told for that reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Standing {
    /// The last time of the cadence for which it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Timestamp>,
    /// When it lost access; it has not shown since that it has it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Timestamp>,
    /// In order; only the last may go on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
}

/// What stands between these records of the log is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    pub from: Position,
    /// `None`: it goes on.
    pub to: Option<Position>,
}

impl Standing {
    /// The app is asked. `false`: it was asked that already.
    pub fn ask(&mut self, cause: Cause) -> bool {
        match cause {
            Cause::RunsOut { due } => {
                let new = self.asked.is_none_or(|asked| asked < due);
                self.asked = self.asked.max(Some(due));
                new
            }
            Cause::AccessLost { at } => {
                let new = self.lost.is_none();
                if new {
                    self.lost = Some(at);
                }
                new
            }
        }
    }

    /// The app has shown at `authorized` that it may be told. Tells whether it has access then: what it lost later
    /// it has not regained.
    pub fn answer(&mut self, authorized: Timestamp) -> bool {
        self.lost = self.lost.filter(|lost| *lost > authorized);
        // Whatever it is asked from then on is later.
        self.asked = self.asked.filter(|asked| *asked > authorized);
        self.lost.is_none()
    }

    pub fn is_paused(&self) -> bool {
        self.pauses.last().is_some_and(|last| last.to.is_none())
    }

    /// A pause begins; those that ended at or below `cursor` are forgotten, for nobody matches there any more.
    pub fn pause(&mut self, from: Position, cursor: Position) {
        self.pauses.retain(|pause| pause.to.is_none_or(|to| to > cursor));
        self.pauses.push(Pause { from, to: None });
    }

    pub fn resume(&mut self, to: Position) {
        if let Some(last) = self.pauses.last_mut() {
            last.to.get_or_insert(to);
        }
    }

    /// Whether what stands at `position` is not told.
    pub fn silences(&self, position: Position) -> bool {
        self.pauses.iter().any(|pause| pause.from < position && pause.to.is_none_or(|to| position < to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_795_255_200);

    /// Minutes from `NOON` at which is asked, with how many are left then.
    fn asked(life_minutes: i64) -> Vec<(i64, i64)> {
        let until = NOON.plus_minutes(life_minutes);
        let minutes = |micros: i64| micros / MINUTE_MICROS;
        let times = Cadence::published().times(NOON, until);
        times.map(|at| (minutes(at.since(NOON)), minutes(until.since(at)))).collect()
    }

    #[test]
    fn a_whole_life_is_asked_on_the_published_cadence() {
        let asked = asked(4_230);
        // Twelve hours before the end t is 180; then after t/2 = 90 minutes, 78.75, and so on.
        let wide = [
            (3_510, 720),
            (3_600, 630),
            (3_678, 551),
            (3_747, 482),
            (3_807, 422),
            (3_860, 369),
            (3_906, 323),
            (3_947, 282),
            (3_982, 247),
        ];
        assert_eq!(asked[..9], wide);
        // Then t is below 60.
        let dense: Vec<i64> = asked[9..].windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert_eq!(dense, [15; 14]);
        assert_eq!((asked[9], asked[23]), ((4_013, 216), (4_223, 6)));
    }

    #[test]
    fn a_quarter_of_sixty_minutes_counts_as_more() {
        assert_eq!(asked(240)[..2], [(30, 210), (45, 195)]);
    }

    #[test]
    fn who_has_just_been_authorized_is_not_asked_at_once() {
        assert_eq!(asked(45), [(15, 30), (30, 15)]);
        assert_eq!(asked(720)[0], (90, 630));
        assert_eq!(asked(721)[0], (1, 720));
    }

    #[test]
    fn a_life_that_is_over_is_asked_nothing() {
        assert_eq!(Cadence::published().times(NOON, NOON).count(), 0);
        assert_eq!(Cadence::published().times(NOON, NOON.plus_minutes(-5)).count(), 0);
    }

    #[test]
    fn who_was_not_asked_for_long_is_asked_once() {
        let (cadence, until) = (Cadence::published(), NOON.plus_minutes(4_230));
        let at = |minutes| NOON.plus_minutes(minutes);
        assert_eq!(cadence.next(NOON, until, None), Some(at(3_510)));
        assert_eq!(cadence.latest(NOON, until, None, at(3_509)), None);
        assert_eq!(cadence.latest(NOON, until, None, at(3_650)), Some(at(3_600)));
        assert_eq!(cadence.latest(NOON, until, Some(at(3_600)), at(3_650)), None);
        assert_eq!(cadence.next(NOON, until, Some(at(4_225))), None);
    }

    #[test]
    fn one_question_has_one_id() {
        let of = |number, at| question_id(SubscriptionId(Uuid::from_u128(number)), at);
        assert_eq!(of(1, NOON), of(1, NOON));
        assert_ne!(of(1, NOON), of(2, NOON));
        assert_ne!(of(1, NOON), of(1, NOON.plus_micros(1)));
    }

    #[test]
    fn what_was_asked_is_asked_once_until_it_is_answered() {
        let mut standing = Standing::default();
        let (due, lost) = (Cause::RunsOut { due: NOON }, Cause::AccessLost { at: NOON });
        assert!(standing.ask(due) && !standing.ask(due));
        assert!(standing.ask(lost) && !standing.ask(lost));
        standing.pause(Position(4), Position(1));
        assert!(!standing.ask(lost), "it is paused already");
        assert!(standing.answer(NOON));
        standing.resume(Position(7));
        assert_eq!(standing.asked, None);
        assert!(standing.ask(lost));
    }

    /// Such as a renewal that was admitted before, and took its time.
    #[test]
    fn access_that_is_lost_after_the_answer_was_given_stays_lost() {
        let mut standing = Standing::default();
        standing.ask(Cause::AccessLost { at: NOON });
        assert!(!standing.answer(NOON.plus_micros(-1)));
        assert_eq!(standing.lost, Some(NOON));
        assert!(standing.answer(NOON));
    }

    #[test]
    fn between_a_pause_and_its_end_nothing_is_told() {
        let mut standing = Standing::default();
        standing.pause(Position(4), Position(0));
        standing.resume(Position(7));
        standing.pause(Position(9), Position(6));
        let silenced: Vec<u64> = (1..12).filter(|position| standing.silences(Position(*position))).collect();
        assert_eq!(silenced, [5, 6, 10, 11]);
        standing.resume(Position(12));
        standing.pause(Position(20), Position(7));
        assert_eq!(standing.pauses.len(), 2, "what lies behind the cursor is forgotten");
    }
}
