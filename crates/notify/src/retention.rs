//! What of the logs is kept, and what goes: decided from positions, times and limits, for all partitions at once.
//!
//! A partition is *marked* now and then: the store notes its cursor, and what the ledgers say there. Once everything at
//! or below the mark is old enough, and nothing of it is parked or kept by a topic, the *floor* rises to the mark: what
//! is at or below it is gone for whoever reads, and is taken away in small parts. Then the next mark is made. So the log
//! is kept for one to two times the age, and a recount of it begins with what was noted.
//!
//! Where all logs together are too long for that, marks count before their age; and where what is parked holds the floor
//! back then, the node is to give it up. The floor rises in a later round, which finds that nothing is parked any more.
//!
//! What the node has not accounted for, and what topics keep, nothing can cut. Where that alone is too much, the logs that
//! have most of it are [`Full`]: whoever writes there is to wait.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Partition, SubscriptionId, Timestamp};

use crate::Position;
use crate::checkpoint::SubscriptionSpan;
use crate::reauthorization::{Pause, Standing};
use crate::recount::{Counted, Opening};

/// How many logs get their first mark at a time, while there is room for all of them. Each costs a walk over the
/// partition's subscriptions, and a store that has come to rest has 256 to mark: no burst of work is worth the day that
/// such a mark then waits anyway.
const FIRST_MARKS_AT_ONCE: usize = 8;

/// What is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A record is kept for at least so long after it was accounted for.
    pub age_micros: i64,
    /// When all logs together are longer, records go before that.
    pub bytes_max: Option<u64>,
}

/// How the log of a partition lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogExtent {
    pub partition: Partition,
    /// Nobody reads a record at or below it.
    pub floor: Position,
    /// The first record that is stored; one after `head` if none is.
    pub first: Position,
    pub cursor: Position,
    pub head: Position,
    pub mark: Option<Mark>,
    /// The oldest record of which a delivery is parked.
    pub parked: Option<Position>,
    /// The oldest event that a topic keeps. Nothing but time lets it go.
    pub event: Option<Position>,
    /// Whether subscriptions whose end the floor has passed are still there.
    pub has_ended: bool,
    /// What its records take, about.
    pub bytes: u64,
}

/// A place to which the floor may rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub position: Position,
    /// When the cursor stood there.
    pub at: Timestamp,
}

/// What is noted of a partition at a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// What ledgers say.
    pub counted: BTreeMap<SubscriptionId, Counted>,
    /// Who is not told of what follows.
    pub paused: BTreeSet<SubscriptionId>,
}

/// What is to be done in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Mark its cursor, if its mark is still this one.
    Mark { partition: Partition, instead_of: Option<Mark> },
    /// Raise its floor to the mark, and mark the cursor.
    Raise { partition: Partition, mark: Mark },
    /// Have what is parked at or below the mark given up: it keeps a log that is too long from being cut.
    GiveUp { partition: Partition, through: Position },
    /// Take away what lies at or below its floor.
    Cut { partition: Partition },
}

/// Which logs take no more for now, since what cannot be cut of all of them is too much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Full {
    /// Nothing is written there: the node has too much of it to account for.
    pub writes: BTreeSet<Partition>,
    /// No events are published there: with what topics keep it is too much.
    pub events: BTreeSet<Partition>,
    /// What all logs take, about.
    pub bytes: u64,
    /// What of it cannot be cut.
    pub uncut_bytes: u64,
}

impl Full {
    pub fn takes_writes(&self, partition: Partition) -> bool {
        !self.writes.contains(&partition)
    }

    pub fn takes_events(&self, partition: Partition) -> bool {
        self.takes_writes(partition) && !self.events.contains(&partition)
    }
}

impl Noted {
    /// What a recount begins with when the floor has risen to the mark. `spans` are the subscriptions that there are now;
    /// of those that are gone nothing is known.
    pub fn opening(&self, floor: Position, spans: impl Iterator<Item = SubscriptionSpan>) -> Opening {
        let mut opening = Opening { position: floor, ..Opening::default() };
        for span in spans {
            let id = span.subscription.id;
            opening.counted.extend(self.counted.get(&id).map(|counted| (id, *counted)));
            if span.began <= floor && span.ended.is_none_or(|ended| ended > floor) {
                let pause = self.paused.contains(&id).then_some(Pause { from: floor, to: None });
                let standing = Standing { pauses: pause.into_iter().collect(), ..Standing::default() };
                opening.subscriptions.push(SubscriptionSpan { ended: None, standing, ..span });
            }
        }
        opening
    }
}

impl LogExtent {
    /// Records that are stored.
    pub fn records(&self) -> u64 {
        (self.head.0 + 1).saturating_sub(self.first.0)
    }

    /// Records that are accounted for and can still be read.
    pub fn lag(&self) -> u64 {
        self.cursor.0.saturating_sub(self.floor.0)
    }

    /// Whether something at or below the floor is left. The last record stays: it says where the log ends.
    fn has_rest(&self) -> bool {
        self.first <= self.floor && self.first < self.head
    }

    /// Whether a record at or below the mark is needed still.
    pub fn is_held(&self, mark: Mark) -> bool {
        self.parked.is_some_and(|parked| parked <= mark.position) || self.keeps_events(mark)
    }

    fn keeps_events(&self, mark: Mark) -> bool {
        self.event.is_some_and(|event| event <= mark.position)
    }

    /// How many of the stored records lie above the floor, and at or below a place.
    fn kept_below(&self, place: Position) -> u64 {
        place.0.saturating_sub(self.floor.0.max(self.first.0.saturating_sub(1)))
    }

    /// The bytes of what the node has not accounted for, about.
    fn unaccounted_bytes(&self) -> u64 {
        self.bytes_of(self.head.0.saturating_sub(self.cursor.0.max(self.first.0.saturating_sub(1))))
    }

    /// With what lies above the oldest event that a topic keeps.
    fn uncut_bytes(&self) -> u64 {
        let Some(event) = self.event else { return self.unaccounted_bytes() };
        let kept_from = event.min(self.cursor.next()).max(self.first);
        self.bytes_of((self.head.0 + 1).saturating_sub(kept_from.0))
    }

    /// What of its bytes these records take, about.
    fn bytes_of(&self, records: u64) -> u64 {
        let part = u128::from(self.bytes) * u128::from(records) / u128::from(self.records().max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}

/// What is to be done now, the oldest marks first.
pub fn plan(extents: &[LogExtent], limits: &Limits, now: Timestamp) -> Vec<Step> {
    let mut bytes: u64 = extents.iter().map(|extent| extent.bytes_of(extent.kept_below(extent.head))).sum();
    let half_full = limits.bytes_max.is_some_and(|most| bytes > most / 2);
    let mut first_marks = if half_full { usize::MAX } else { FIRST_MARKS_AT_ONCE };
    let mut extents: Vec<&LogExtent> = extents.iter().collect();
    extents.sort_by_key(|extent| (extent.mark.map(|mark| mark.at), extent.partition));
    let (mut steps, mut parked) = (Vec::new(), Vec::new());
    for extent in extents {
        let partition = extent.partition;
        if extent.has_rest() || extent.has_ended {
            steps.push(Step::Cut { partition });
        }
        let Some(mark) = extent.mark else {
            if extent.lag() > 0 && first_marks > 0 {
                first_marks -= 1;
                steps.push(Step::Mark { partition, instead_of: None });
            }
            continue;
        };
        if mark.at > now {
            // By a clock that was ahead. It would never be old.
            steps.push(Step::Mark { partition, instead_of: Some(mark) });
            continue;
        }
        let is_old = now.since(mark.at) >= limits.age_micros;
        let is_too_much = limits.bytes_max.is_some_and(|most| bytes > most);
        if (is_old || is_too_much) && !extent.is_held(mark) {
            bytes = bytes.saturating_sub(extent.bytes_of(extent.kept_below(mark.position)));
            steps.push(Step::Raise { partition, mark });
        } else if half_full && extent.kept_below(mark.position) < extent.kept_below(extent.cursor) / 4 {
            // Such a mark would free little when the log becomes too long.
            steps.push(Step::Mark { partition, instead_of: Some(mark) });
        } else if extent.is_held(mark) && !extent.keeps_events(mark) {
            parked.push((extent, mark.position));
        }
    }
    for (extent, through) in parked {
        if limits.bytes_max.is_some_and(|most| bytes > most) {
            bytes = bytes.saturating_sub(extent.bytes_of(extent.kept_below(through)));
            steps.push(Step::GiveUp { partition: extent.partition, through });
        }
    }
    steps
}

/// Which logs take no more for now. `before`: which did not until now; they stay so until a quarter of the bound is free.
pub fn full(extents: &[LogExtent], limits: &Limits, before: &Full) -> Full {
    let sizes = |bytes: fn(&LogExtent) -> u64| -> Vec<(u64, Partition)> {
        extents.iter().map(|extent| (bytes(extent), extent.partition)).filter(|(bytes, _)| *bytes > 0).collect()
    };
    let uncut = sizes(LogExtent::uncut_bytes);
    let most = limits.bytes_max;
    Full {
        bytes: extents.iter().map(|extent| extent.bytes).sum(),
        uncut_bytes: uncut.iter().map(|(bytes, _)| bytes).sum(),
        writes: most.map(|most| longest(sizes(LogExtent::unaccounted_bytes), most, &before.writes)).unwrap_or_default(),
        events: most.map(|most| longest(uncut, most, &before.events)).unwrap_or_default(),
    }
}

/// The longest of logs that are too much together: if they were no longer than the others may be, all of them would take
/// three quarters of the bound. So one that grows alone stands in nobody's way but its own.
fn longest(mut sizes: Vec<(u64, Partition)>, most: u64, before: &BTreeSet<Partition>) -> BTreeSet<Partition> {
    let mut rest: u64 = sizes.iter().map(|(bytes, _)| bytes).sum();
    let aim = most - most / 4;
    if rest <= aim {
        return BTreeSet::new();
    }
    let mut full: BTreeSet<Partition> =
        sizes.iter().map(|(_, partition)| *partition).filter(|partition| before.contains(partition)).collect();
    if rest > most {
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        for (longer, (bytes, partition)) in (0..).zip(sizes) {
            if rest.saturating_add(bytes.saturating_mul(longer)) <= aim {
                break;
            }
            rest -= bytes;
            full.insert(partition);
        }
    }
    full
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000_000;
    const LIMITS: Limits = Limits { age_micros: 24 * HOUR, bytes_max: None };
    const NOON: Timestamp = Timestamp::from_seconds(1_795_255_200);

    fn hours(hours: i64) -> Timestamp {
        NOON.plus_micros(hours * HOUR)
    }

    /// A log of a hundred records of ten bytes, all accounted for.
    fn extent(number: u16, mark: Option<(u64, i64)>) -> LogExtent {
        LogExtent {
            partition: Partition(number),
            floor: Position(0),
            first: Position(1),
            cursor: Position(100),
            head: Position(100),
            mark: mark.map(|(position, hour)| Mark { position: Position(position), at: hours(hour) }),
            parked: None,
            event: None,
            has_ended: false,
            bytes: 1_000,
        }
    }

    fn raise(extent: &LogExtent) -> Step {
        Step::Raise { partition: extent.partition, mark: extent.mark.unwrap() }
    }

    #[test]
    fn a_log_that_was_never_marked_is_marked_where_something_is_accounted_for() {
        let partition = Partition(3);
        let plan_of = |extent| plan(&[extent], &LIMITS, hours(0));
        assert_eq!(plan_of(extent(3, None)), [Step::Mark { partition, instead_of: None }]);
        assert_eq!(plan_of(LogExtent { cursor: Position(0), ..extent(3, None) }), []);
        assert_eq!(plan_of(LogExtent { floor: Position(100), first: Position(100), ..extent(3, None) }), []);
    }

    #[test]
    fn a_store_that_has_come_to_rest_is_marked_little_by_little_unless_it_is_half_full() {
        let mut logs: Vec<LogExtent> = (0..20).map(|number| extent(number, None)).collect();
        let half_full = Limits { bytes_max: Some(39_999), ..LIMITS };
        assert_eq!(plan(&logs, &half_full, NOON).len(), 20);
        let mut marked_at_once = Vec::new();
        while logs.iter().any(|log| log.mark.is_none()) {
            let steps = plan(&logs, &LIMITS, NOON);
            marked_at_once.push(steps.len());
            for step in steps {
                let Step::Mark { partition, instead_of: None } = step else { panic!("{step:?}") };
                logs[usize::from(partition.0)].mark = Some(Mark { position: Position(100), at: NOON });
            }
        }
        assert_eq!(marked_at_once, [8, 8, 4]);
    }

    #[test]
    fn the_floor_rises_when_the_mark_is_old_enough() {
        let marked = extent(3, Some((60, 0)));
        assert_eq!(plan(&[marked], &LIMITS, hours(24).plus_micros(-1)), []);
        assert_eq!(plan(&[marked], &LIMITS, hours(24)), [raise(&marked)]);
    }

    #[test]
    fn a_mark_of_a_clock_that_was_ahead_is_made_anew() {
        let marked = extent(3, Some((60, 500_000)));
        let anew = Step::Mark { partition: Partition(3), instead_of: marked.mark };
        assert_eq!(plan(&[marked], &LIMITS, hours(24)), [anew]);
    }

    #[test]
    fn what_is_parked_holds_the_floor_back_whatever_its_age() {
        let parked = |position| LogExtent { parked: Some(Position(position)), ..extent(3, Some((60, 0))) };
        assert_eq!(plan(&[parked(60)], &LIMITS, hours(900)), []);
        assert_eq!(plan(&[parked(61)], &LIMITS, hours(900)), [raise(&parked(61))]);
    }

    #[test]
    fn what_a_floor_has_passed_is_taken_away_but_for_the_last_record() {
        let partition = Partition(3);
        let left =
            |first, floor| LogExtent { first: Position(first), floor: Position(floor), ..extent(3, Some((100, 0))) };
        assert_eq!(plan(&[left(1, 40)], &LIMITS, hours(1)), [Step::Cut { partition }]);
        assert_eq!(plan(&[left(41, 40)], &LIMITS, hours(1)), []);
        assert_eq!(plan(&[left(100, 100)], &LIMITS, hours(1)), []);
        let ended = LogExtent { has_ended: true, ..left(100, 100) };
        assert_eq!(plan(&[ended], &LIMITS, hours(1)), [Step::Cut { partition }]);
    }

    #[test]
    fn a_log_that_is_too_long_is_cut_before_its_age_and_no_further_than_it_must() {
        let logs = [extent(1, Some((60, 3))), extent(2, Some((50, 1))), extent(3, Some((40, 2)))];
        let limits = |bytes| Limits { bytes_max: Some(bytes), ..LIMITS };
        assert_eq!(plan(&logs, &limits(3_000), hours(4)), []);
        assert_eq!(plan(&logs, &limits(2_999), hours(4)), [raise(&logs[1])]);
        assert_eq!(plan(&logs, &limits(2_499), hours(4)), [raise(&logs[1]), raise(&logs[2])]);
        let held = LogExtent { parked: Some(Position(1)), ..logs[1] };
        assert_eq!(plan(&[held, logs[2]], &limits(1_999), hours(4)), [raise(&logs[2])]);
    }

    #[test]
    fn what_is_parked_is_given_up_where_a_log_stays_too_long_without_that() {
        let held = |log: LogExtent| LogExtent { parked: Some(Position(1)), ..log };
        let logs = [held(extent(1, Some((60, 1)))), held(extent(2, Some((50, 2)))), extent(3, Some((40, 3)))];
        let limits = |bytes| Limits { bytes_max: Some(bytes), ..LIMITS };
        let give_up = |log: usize| {
            let LogExtent { partition, mark, .. } = logs[log];
            Step::GiveUp { partition, through: mark.unwrap().position }
        };
        assert_eq!(plan(&logs, &limits(3_000), hours(4)), []);
        assert_eq!(plan(&logs, &limits(2_600), hours(4)), [raise(&logs[2])], "it suffices");
        assert_eq!(plan(&logs, &limits(2_599), hours(4)), [raise(&logs[2]), give_up(0)]);
        assert_eq!(plan(&logs, &limits(1_999), hours(4)), [raise(&logs[2]), give_up(0), give_up(1)]);
        assert_eq!(plan(&logs, &LIMITS, hours(900)), [raise(&logs[2])], "its age alone is no reason");
    }

    #[test]
    fn nothing_is_given_up_for_a_log_that_a_topic_keeps_from_being_cut() {
        let kept = LogExtent { parked: Some(Position(2)), event: Some(Position(60)), ..extent(1, Some((60, 1))) };
        let limits = Limits { bytes_max: Some(10), ..LIMITS };
        assert_eq!(plan(&[kept], &limits, hours(4)), []);
        let later = LogExtent { event: Some(Position(61)), ..kept };
        let give_up = Step::GiveUp { partition: Partition(1), through: Position(60) };
        assert_eq!(plan(&[later], &limits, hours(4)), [give_up]);
    }

    #[test]
    fn a_mark_that_would_free_little_is_made_anew_before_the_log_is_too_long() {
        let limits = Limits { bytes_max: Some(1_900), ..LIMITS };
        let marked = |position| extent(3, Some((position, 0)));
        let anew = [Step::Mark { partition: Partition(3), instead_of: marked(24).mark }];
        assert_eq!(plan(&[marked(24)], &limits, hours(1)), anew);
        assert_eq!(plan(&[marked(25)], &limits, hours(1)), []);
        assert_eq!(plan(&[marked(24)], &LIMITS, hours(1)), []);
    }

    /// A log that grows steadily stays between half of its bound and all of it.
    #[test]
    fn under_a_bound_of_bytes_about_half_of_it_is_always_kept() {
        let limits = Limits { bytes_max: Some(1_000), ..LIMITS };
        let (mut log, mut least) = (LogExtent { cursor: Position(0), head: Position(0), ..extent(1, None) }, u64::MAX);
        for round in 0..1_000 {
            log.head.0 += 1;
            log.cursor = log.head;
            log.bytes = log.records() * 10;
            for step in plan(&[log], &limits, NOON) {
                let marked = Some(Mark { position: log.cursor, at: NOON });
                match step {
                    Step::Mark { .. } => log.mark = marked,
                    Step::Raise { mark, .. } => (log.floor, log.mark) = (mark.position, marked),
                    Step::GiveUp { .. } => panic!("nothing is parked"),
                    Step::Cut { .. } => log.first = log.floor.next().min(log.head),
                }
            }
            assert!(log.bytes <= 1_020, "{log:?}");
            least = if round > 100 { least.min(log.bytes) } else { least };
        }
        assert!(least >= 400, "{least}");
    }

    /// A log of which so many of its hundred records are not accounted for.
    fn behind(number: u16, records: u64) -> LogExtent {
        LogExtent { cursor: Position(100 - records), ..extent(number, None) }
    }

    fn bounded(bytes: u64) -> Limits {
        Limits { bytes_max: Some(bytes), ..LIMITS }
    }

    fn partitions(numbers: impl IntoIterator<Item = u16>) -> BTreeSet<Partition> {
        numbers.into_iter().map(Partition).collect()
    }

    #[test]
    fn a_log_is_full_where_what_is_not_accounted_for_is_too_much() {
        let logs = [behind(1, 90), behind(2, 10), behind(3, 0)];
        assert_eq!(full(&logs, &LIMITS, &Full::default()).writes, partitions([]), "nothing bounds it");
        assert_eq!(full(&logs, &bounded(1_000), &Full::default()).writes, partitions([]));
        let found = full(&logs, &bounded(999), &Full::default());
        assert_eq!((found.writes, found.bytes, found.uncut_bytes), (partitions([1]), 3_000, 1_000));
        assert_eq!(full(&logs, &bounded(150), &Full::default()).writes, partitions([1, 2]), "both are behind");
    }

    #[test]
    fn what_can_be_cut_makes_no_log_full() {
        let logs = [extent(1, Some((60, 1))), LogExtent { parked: Some(Position(3)), ..extent(2, Some((50, 2))) }];
        assert_eq!(full(&logs, &bounded(1), &Full::default()), Full { bytes: 2_000, ..Full::default() });
    }

    #[test]
    fn what_topics_keep_stops_events_there_and_nothing_else() {
        let kept = LogExtent { event: Some(Position(21)), ..extent(1, Some((60, 1))) };
        let found = full(&[kept, behind(2, 10)], &bounded(899), &Full::default());
        assert_eq!((&found.writes, &found.events), (&partitions([]), &partitions([1])));
        let takes = |number| (found.takes_writes(Partition(number)), found.takes_events(Partition(number)));
        assert_eq!((takes(1), takes(2)), ((true, false), (true, true)));
    }

    #[test]
    fn a_full_log_stays_so_until_a_quarter_of_the_bound_is_free() {
        let limits = bounded(1_000);
        let mut state = Full::default();
        let mut seen = Vec::new();
        for records in [100, 101, 100, 76, 75, 76, 100, 101] {
            state = full(
                &[LogExtent { bytes: 1_010, head: Position(101), cursor: Position(101 - records), ..extent(1, None) }],
                &limits,
                &state,
            );
            seen.push(!state.takes_writes(Partition(1)));
        }
        assert_eq!(seen, [false, true, true, true, false, false, false, true]);
    }

    proptest! {
        #[test]
        fn logs_that_are_full_are_the_longest_and_the_rest_have_room(
            behind_by in proptest::collection::vec(0..100u64, 1..20), bytes_max in 0..9_000u64,
        ) {
            let logs: Vec<LogExtent> = behind_by.iter().zip(0..).map(|(records, number)| behind(number, *records)).collect();
            let Full { writes, .. } = full(&logs, &bounded(bytes_max), &Full::default());
            let size = |log: &&LogExtent| log.unaccounted_bytes();
            let (closed, open): (Vec<_>, Vec<_>) = logs.iter().partition(|log| writes.contains(&log.partition));
            let all: u64 = logs.iter().map(|log| log.unaccounted_bytes()).sum();
            prop_assert_eq!(writes.is_empty(), all <= bytes_max);
            if let Some(least) = closed.iter().map(size).min() {
                prop_assert!(open.iter().map(size).all(|open| open <= least));
                prop_assert!(open.iter().map(size).sum::<u64>() <= bytes_max - bytes_max / 4);
            }
        }

        #[test]
        fn the_floor_never_passes_what_is_parked_nor_what_is_young(
            logs in proptest::collection::vec((1..100u64, -40..40i64, proptest::option::of(1..100u64), 0..9_000u64), 1..8),
            bytes_max in proptest::option::of(0..9_000u64),
        ) {
            let logs: Vec<LogExtent> = logs.into_iter().zip(0..).map(|((mark, hour, parked, bytes), number)| {
                LogExtent { parked: parked.map(Position), bytes, ..extent(number, Some((mark, hour))) }
            }).collect();
            let limits = Limits { bytes_max, ..LIMITS };
            let is_too_much = bytes_max.is_some_and(|most| logs.iter().map(|log| log.bytes).sum::<u64>() > most);
            for step in plan(&logs, &limits, NOON) {
                let Step::Raise { partition, mark } = step else { continue };
                let log = &logs[usize::from(partition.0)];
                prop_assert!(log.parked.is_none_or(|parked| parked > mark.position));
                prop_assert!(is_too_much || NOON.since(mark.at) >= LIMITS.age_micros);
            }
        }
    }
}
