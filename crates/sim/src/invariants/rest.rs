//! What must be so when nothing goes wrong any more and time has passed.

use std::collections::BTreeSet;
use std::fmt;

use graph::{Partition, Timestamp};
use notify::node::NodeStats;
use notify::recount::{Gap, Recount};
use notify::{AbandonReason, Parked, Position};

use super::{Violation, Watch};
use crate::process::Life;
use crate::storage::{Storage, date};
use crate::truth::Span;
use crate::truth::Subject;

/// How much later than it is due the next step of a subscription's life is in the log, when a node owns its
/// partition.
const STEP_SLACK_MICROS: i64 = 90_000_000;

/// How much later than its due time a retry may begin, with few slots and long queues.
const RETRY_SLACK_MICROS: i64 = 30_000_000;

/// Why events alone are given up.
const EVENT_REASONS: [AbandonReason; 4] = [
    AbandonReason::NotRetried,
    AbandonReason::AttemptsExceeded,
    AbandonReason::TimeToLiveExceeded,
    AbandonReason::Stopped,
];

/// What became of a world's matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endings {
    pub matches: u64,
    /// Of them, those that tell of resources outside of mailboxes.
    pub of_resources: u64,
    /// Of them, abandoned at the horizon, because their subscription ended, and because it was paused.
    pub abandoned_horizon: u64,
    pub abandoned_ended: u64,
    pub abandoned_paused: u64,
    /// Of them, told without their content, since that was too large or access to it was lost, and not told since it
    /// could not be sealed.
    pub abandoned_too_large: u64,
    pub abandoned_access_lost: u64,
    pub abandoned_unusable: u64,
    /// Of them, dropped because their endpoint was dropping.
    pub abandoned_dropping: u64,
    /// Of them, given up because their streams had too much parked.
    pub abandoned_overflow: u64,
    /// Of them, given up because a log was too long, by subscriptions that are told of changes and that the store still has.
    pub abandoned_retention: u64,
    /// Of them, not sent on purpose.
    pub abandoned_injected: u64,
    /// Deliveries that were parked because their endpoint was slow.
    pub held: u64,
    /// Of them, events that were to be pushed, those of them that were given up, and those that were kept as dead letters.
    pub of_events: u64,
    pub abandoned_events: u64,
    pub dead_letters: u64,
    /// How often an app was asked to reauthorize because its time ran out.
    pub asked: u64,
    /// How often an app was told that it missed something, apart from what was provoked.
    pub missed: u64,
}

/// What keeps a world from being at rest.
#[derive(Debug)]
pub enum Unfinished<'a> {
    Behind {
        partition: Partition,
        cursor: Position,
        head: Position,
    },
    /// With the first rows of its partition.
    Parked {
        subscription: usize,
        rows: Vec<&'a Parked>,
    },
    InFlight {
        attempt: u64,
        process: usize,
    },
    /// It was to be told that it missed something.
    Untold {
        subscription: usize,
        due: Timestamp,
    },
    /// It was to take a step of its life.
    Overdue {
        subscription: usize,
        step: &'static str,
        due: Timestamp,
    },
}

impl fmt::Display for Unfinished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { partition, cursor, head } => {
                write!(f, "the cursor of partition {partition} is {cursor} of {head}")
            }
            Self::Parked { subscription, rows } => {
                write!(f, "subscription {subscription} has parked deliveries: {rows:?}")
            }
            Self::InFlight { attempt, process } => write!(f, "attempt {attempt} of node {process} is in flight"),
            Self::Untold { subscription, due } => {
                write!(f, "subscription {subscription} was to be told at {due} that it missed something, and was not")
            }
            Self::Overdue { subscription, step, due } => {
                write!(f, "subscription {subscription} was to {step} at {due} and did not")
            }
        }
    }
}

impl Watch {
    /// What is still unfinished, if anything.
    pub fn unfinished<'a>(&self, storage: &'a Storage, partitions: &[Partition], at: u64) -> Option<Unfinished<'a>> {
        for partition in partitions {
            let (_, cursor, head) = storage.model.progress(*partition);
            if cursor != head {
                return Some(Unfinished::Behind { partition: *partition, cursor, head });
            }
            if let Some(row) = storage.model.parked_rows(*partition).next() {
                let subscription = self.truth.number(row.stream.subscription).unwrap_or(usize::MAX);
                let rows = storage.model.parked_rows(*partition).take(8).collect();
                return Some(Unfinished::Parked { subscription, rows });
            }
        }
        if let Some(((life, attempt), _)) = self.flights.first_key_value() {
            return Some(Unfinished::InFlight { attempt: *attempt, process: life.process });
        }
        if let Some((subscription, due)) = self.untold_incident(storage, at) {
            return Some(Unfinished::Untold { subscription, due });
        }
        let live = self.truth.spans.iter().enumerate().filter(|(_, span)| span.ended.is_none());
        let late = |due| date(at).since(due) > STEP_SLACK_MICROS + self.ahead_micros;
        let mut steps = live.flat_map(|(number, span)| self.steps_of(span).map(move |step| (number, step)));
        let overdue =
            steps.find_map(|(subscription, (step, due))| Some((subscription, step, due.filter(|due| late(*due))?)));
        overdue.map(|(subscription, step, due)| Unfinished::Overdue { subscription, step, due })
    }

    /// What time brings to a live subscription next, of each kind.
    fn steps_of(&self, span: &Span) -> [(&'static str, Option<Timestamp>); 3] {
        let latest = span.latest();
        let pause = span.lost.filter(|_| !span.paused).map(|lost| lost.plus_micros(self.config.grace_micros));
        let asked = span.asked.last().copied();
        let ask = self.config.cadence.next(latest.authorized, latest.expires, asked);
        let ask = ask.filter(|_| latest.lifecycle_url.is_some());
        [("end", Some(latest.expires)), ("pause", pause), ("be asked", ask)]
    }

    /// A retry is not begun later than its due time and the slack: in a world whose clocks never jumped,
    /// when nothing has gone wrong for a while. It is asked of each stream's first row: what lies beyond a
    /// stream's share of memory waits behind that. It is not asked of what was held and never tried:
    /// that may have waited until just now for something of its stream that failed, and when that ended is in no row.
    pub fn overdue(&self, storage: &Storage, partitions: &[Partition], at: u64) -> Result<(), Violation> {
        let rows = partitions.iter().flat_map(|partition| storage.model.parked_rows(*partition));
        let mut streams = BTreeSet::new();
        let is_notified =
            |row: &&Parked| self.truth.span(row.stream.subscription).is_some_and(|span| !span.is_of_topic());
        for row in rows.filter(|row| is_notified(row) && streams.insert(row.stream) && row.attempts > 0) {
            let late = date(at).since(row.due);
            if late > RETRY_SLACK_MICROS {
                let number = self.truth.number(row.stream.subscription).unwrap_or(usize::MAX);
                let seen = format!("subscription {number}: position {} is {late} µs late", row.first());
                return Err(Violation::new("schedule_is_kept", seen));
            }
        }
        Ok(())
    }

    /// What a node says that it holds, after it has handled an event.
    pub fn holds(&mut self, life: Life, stats: NodeStats) -> Result<(), Violation> {
        let in_flight = self.flights_of(life).count();
        if stats.attempts_in_flight != in_flight || stats.slots_taken as usize != in_flight {
            let seen = format!("{in_flight} attempts of node {} are in flight, but {stats:?}", life.process);
            return Err(Violation::new("slots_return", seen));
        }
        if stats.window_records > 2 * self.config.window_max {
            return Err(Violation::new("memory_is_bounded", format!("node {}: {stats:?}", life.process)));
        }
        self.stats.insert(life, stats);
        Ok(())
    }

    /// Nothing is in flight, nothing is parked, and the ledgers account for every match.
    pub fn at_rest(&self, storage: &Storage, partitions: &[Partition]) -> Result<(), Violation> {
        for partition in partitions {
            self.check_recount(storage, *partition)?;
        }
        self.check_gone(storage)?;
        let spans = self.truth.spans.iter().enumerate();
        for (number, span) in spans.filter(|(_, span)| storage.knows(span.id)) {
            let ledger = storage.ledger(span.id);
            if ledger.matched != span.matches.len() as u64 || ledger.parked != 0 || !ledger.balances() {
                let matches = span.matches.len();
                let seen = format!("at rest subscription {number} has {matches} matches and the ledger {ledger:?}");
                return Err(Violation::new("ledger_balances", seen));
            }
        }
        Ok(())
    }

    /// Who counts again from the log, as an operator does, finds that the ledgers are right.
    fn check_recount(&self, storage: &Storage, partition: Partition) -> Result<(), Violation> {
        let books = storage.books(partition);
        let mut recount = Recount::new(books.opening.clone());
        let positions = books.opening.position.0 + 1..=books.cursor.0;
        for (record, position) in self.truth.log_after(partition, books.opening.position).zip(positions) {
            let gap = |gap: Gap| Violation::new("ledger_balances", gap.to_string());
            recount.count(Position(position), record).map_err(gap)?;
        }
        let mut discrepancies = recount.compare(&books);
        discrepancies.extend(books.discrepancies());
        match discrepancies.is_empty() {
            true => Ok(()),
            false => {
                let seen = format!("counted again, partition {partition} does not balance: {discrepancies:?}");
                Err(Violation::new("ledger_balances", seen))
            }
        }
    }

    fn given_up_for_the_log(&self, storage: &Storage) -> u64 {
        let told_of_changes = self.truth.spans.iter().filter(|span| !span.is_of_topic());
        told_of_changes.filter_map(|span| storage.ledger(span.id).abandoned.get(&AbandonReason::Retention)).sum()
    }

    /// Matches, and how many of them were abandoned for each reason.
    pub fn endings(&self, storage: &Storage) -> Endings {
        let all = self.all_ledgers(storage);
        let abandoned = |reason| all.abandoned.get(&reason).copied().unwrap_or_default();
        let told = self.truth.spans.iter().flat_map(|span| span.matches.values());
        let events = || self.truth.spans.iter().flat_map(|span| span.matches.values()).filter_map(|told| told.event);
        Endings {
            matches: all.matched,
            of_resources: told.filter(|told| matches!(told.item, Some(Subject::Thing(_)))).count() as u64,
            abandoned_horizon: abandoned(AbandonReason::Horizon),
            abandoned_ended: abandoned(AbandonReason::SubscriptionEnded),
            abandoned_paused: abandoned(AbandonReason::Paused),
            abandoned_too_large: abandoned(AbandonReason::TooLarge),
            abandoned_access_lost: abandoned(AbandonReason::AccessLost),
            abandoned_unusable: abandoned(AbandonReason::CertificateUnusable),
            abandoned_dropping: abandoned(AbandonReason::EndpointDropping),
            abandoned_overflow: abandoned(AbandonReason::Overflow),
            abandoned_retention: self.given_up_for_the_log(storage),
            abandoned_injected: abandoned(AbandonReason::Injected),
            held: self.held,
            of_events: events().count() as u64,
            abandoned_events: EVENT_REASONS.map(abandoned).iter().sum(),
            dead_letters: events().filter(|event| event.kept).count() as u64,
            asked: self.truth.spans.iter().map(|span| span.asked.len() as u64).sum(),
            missed: self.missed,
        }
    }
}
