//! What is kept when the logs are cut.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{Partition, SubscriptionId};
use notify::recount::Counted;
use notify::{LedgerDelta, Position, Record};

use super::{Violation, Watch};
use crate::storage::Storage;
use crate::truth::Span;

impl Watch {
    /// Whoever reads finds everything that the floor has not passed, and what was noted at the floor is true.
    pub fn check_log(&self, partition: Partition, storage: &Storage) -> Result<(), Violation> {
        let (extent, floor) = (storage.extent(partition), storage.extent(partition).floor);
        let refuse = |promise, what: String| Err(Violation::new(promise, format!("partition {partition}: {what}")));
        if floor > extent.cursor {
            return refuse("every_match_ends", format!("the floor {floor} has passed the cursor {}", extent.cursor));
        }
        let mut parked = storage.model.parked_rows(partition).flat_map(|row| &row.refs);
        if let Some(one) = parked.find(|one| one.position <= floor) {
            return refuse(
                "every_match_ends",
                format!("the floor {floor} has passed {}, which is parked", one.position),
            );
        }
        let log = storage.log(partition);
        let is_same =
            |((_, one), other): (&(Position, Arc<Record>), &Arc<Record>)| Arc::ptr_eq(one, other) || one == other;
        let (there, mut both) =
            (self.truth.log_after(partition, floor).len(), log.iter().zip(self.truth.log_after(partition, floor)));
        if log.len() != there || !both.all(is_same) {
            return refuse("restart_is_boring", format!("the log above the floor {floor} is another one"));
        }
        self.check_opening(partition, floor, storage)?;
        self.check_gone(storage)
    }

    /// A recount that begins at the floor begins with what follows from the records that are gone.
    fn check_opening(&self, partition: Partition, floor: Position, storage: &Storage) -> Result<(), Violation> {
        let opening = storage.books(partition).opening;
        let there: BTreeSet<SubscriptionId> = opening.subscriptions.iter().map(|span| span.subscription.id).collect();
        for (number, span) in self.truth.spans_of(partition) {
            let lives = span.since[0] <= floor && span.ended.is_none_or(|(ended, _)| ended > floor);
            let passed = span.matches.range(..=floor).map(|(_, told)| told);
            let paused = passed.clone().filter(|told| told.silenced).count() as u64;
            let expected = Counted { matched: passed.count() as u64, paused };
            let counted = opening.counted.get(&span.id).copied().unwrap_or_default();
            if there.contains(&span.id) != lives || (lives && counted != expected) {
                let seen = format!(
                    "subscription {number} at the floor {floor} has {expected:?} (it lives: {lives}), but noted are {counted:?}"
                );
                return Err(Violation::new("ledger_balances", seen));
            }
        }
        Ok(())
    }

    /// What is gone had ended, and its sums are kept.
    pub fn check_gone(&self, storage: &Storage) -> Result<(), Violation> {
        let (count, sums) = storage.model.gone(None);
        let gone: Vec<&Span> = self.truth.spans.iter().filter(|span| !storage.knows(span.id)).collect();
        let has_ended = |span: &&Span| {
            let floor = storage.extent(span.partition).floor;
            span.ended.is_some_and(|(ended, _)| ended <= floor)
        };
        let matches: usize = gone.iter().map(|span| span.matches.len()).sum();
        let all_ended = gone.iter().all(has_ended);
        let right = sums.balances() && sums.parked == 0 && sums.matched == matches as u64 && count == gone.len() as u64;
        match right && all_ended {
            true => Ok(()),
            false => {
                let seen = format!(
                    "{} subscriptions with {matches} matches are gone (all had ended: {all_ended}), but the sums of {count} \
                     are {sums:?}",
                    gone.len()
                );
                Err(Violation::new("ledger_balances", seen))
            }
        }
    }

    /// The sums of all subscriptions, those that are gone too.
    pub(super) fn all_ledgers(&self, storage: &Storage) -> LedgerDelta {
        let (_, mut all) = storage.model.gone(None);
        for span in &self.truth.spans {
            all.add(storage.ledger(span.id));
        }
        all
    }
}
