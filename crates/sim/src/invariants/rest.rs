//! What must be so when nothing goes wrong any more and time has passed.

use std::collections::BTreeSet;

use graph::Partition;
use notify::node::NodeStats;
use notify::{AbandonReason, LedgerDelta};

use super::{Violation, Watch};
use crate::process::Life;
use crate::storage::{Storage, date};

/// How long after its expiry a subscription's end is in the log, when a node owns its partition.
const EXPIRY_SLACK_MICROS: i64 = 90_000_000;

/// How much later than its due time a retry may begin, with few slots and long queues.
const RETRY_SLACK_MICROS: i64 = 30_000_000;

impl Watch {
    /// What is still unfinished, if anything.
    pub fn unfinished(&self, storage: &Storage, partitions: &[Partition], at: u64) -> Option<String> {
        for partition in partitions {
            let state = storage.state(*partition);
            if state.cursor != state.head {
                return Some(format!("the cursor of partition {partition} is {} of {}", state.cursor, state.head));
            }
            if let Some(stream) = state.parked.first() {
                let number = self.truth.number(stream.subscription).unwrap_or(usize::MAX);
                return Some(format!("subscription {number} has parked deliveries: {:?}", storage.parked(*partition)));
            }
        }
        if let Some(((life, attempt), _)) = self.flights.first_key_value() {
            return Some(format!("attempt {attempt} of node {} is in flight", life.process));
        }
        let live = self.truth.spans.iter().enumerate().filter(|(_, span)| span.ended.is_none());
        let late = |expires| date(at).since(expires) > EXPIRY_SLACK_MICROS + self.ahead_micros;
        live.map(|(number, span)| (number, span.latest().expires))
            .find(|(_, expires)| late(*expires))
            .map(|(number, expires)| format!("subscription {number} expired at {expires} and has not ended"))
    }

    /// A retry is not begun later than its due time and the slack: in a world whose clocks never jumped,
    /// when nothing has gone wrong for a while. It is asked of each stream's first row: what lies beyond a
    /// stream's share of memory waits behind that.
    pub fn overdue(&self, storage: &Storage, partitions: &[Partition], at: u64) -> Result<(), Violation> {
        let rows = partitions.iter().flat_map(|partition| storage.parked(*partition));
        let mut streams = BTreeSet::new();
        for row in rows.filter(|row| streams.insert(row.stream) && row.attempts > 0) {
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
        let in_flight = self.flights.keys().filter(|(of, _)| *of == life).count();
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
    pub fn at_rest(&self, storage: &Storage) -> Result<(), Violation> {
        for (number, span) in self.truth.spans.iter().enumerate() {
            let ledger = storage.ledger(span.id);
            if ledger.matched != span.matches.len() as u64 || ledger.parked != 0 || !ledger.balances() {
                let matches = span.matches.len();
                let seen = format!("at rest subscription {number} has {matches} matches and the ledger {ledger:?}");
                return Err(Violation::new("ledger_balances", seen));
            }
        }
        Ok(())
    }

    /// Matches, and how many of them were abandoned for each reason.
    pub fn endings(&self, storage: &Storage) -> (u64, u64, u64) {
        let mut all = LedgerDelta::default();
        for span in &self.truth.spans {
            all.add(&storage.ledger(span.id));
        }
        let abandoned = |reason| all.abandoned.get(&reason).copied().unwrap_or_default();
        (all.matched, abandoned(AbandonReason::Horizon), abandoned(AbandonReason::SubscriptionEnded))
    }
}
