//! Whoever is not told of a change is told, once for each incident, that something was missed.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Partition, SubscriptionId, Timestamp};
use notify::checkpoint::StreamKind;
use notify::{AbandonReason, Checkpoint, LedgerDelta, Position};

use super::{Violation, Watch};
use crate::storage::{Storage, date};
use crate::truth::Span;

/// An incident that is due so soon is waited for, until it is told of.
pub const SOON_MICROS: i64 = 600_000_000;

/// What of a subscription's matches was abandoned, for reasons that owe a `missed`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untold {
    /// As the ledger says; of what was not sent on purpose, as follows from the truth, for nobody is owed anything for what tells
    /// of its own life.
    counted: u64,
    /// Of these, for reasons that nothing has which tells of its own life.
    of_changes: u64,
    /// As follows from the truth: changes of which nobody ever heard that they were acknowledged.
    certain: usize,
}

impl Untold {
    fn of(ledger: &LedgerDelta, (certain, injected): (usize, usize)) -> Self {
        let abandoned = |reason| ledger.abandoned.get(&reason).copied().unwrap_or_default();
        let others = [
            AbandonReason::TooLarge,
            AbandonReason::CertificateUnusable,
            AbandonReason::EndpointDropping,
            AbandonReason::Overflow,
        ];
        let of_changes = others.map(abandoned).iter().sum();
        // These may be of what tells of its own life.
        let others = [AbandonReason::Horizon, AbandonReason::Retention].map(abandoned);
        Self { counted: of_changes + others.iter().sum::<u64>() + injected as u64, of_changes, certain }
    }

    /// Whether something was abandoned since that is owed a `missed`; what tells of a subscription's life is not.
    fn owes_since(self, before: Self) -> bool {
        self.of_changes > before.of_changes || self.certain > before.certain
    }
}

impl Watch {
    /// By subscription, of those that live.
    pub fn untold(&self, partition: Partition, cursor: Position, storage: &Storage) -> BTreeMap<usize, Untold> {
        let rows = storage.model.parked_rows(partition);
        let parked: BTreeSet<(SubscriptionId, Position)> =
            rows.flat_map(|row| row.refs.iter().map(|one| (row.stream.subscription, one.position))).collect();
        let live = self.truth.spans_of(partition).filter(|(_, span)| span.ended.is_none() && !span.is_of_topic());
        live.map(|(number, span)| {
            let (mut certain, mut injected) = (0, 0);
            for (position, told) in span.matches.range(..=cursor).filter(|(_, told)| told.kind == StreamKind::Changes) {
                let is_over = !parked.contains(&(span.id, *position));
                certain += usize::from(is_over && !(told.acknowledged || told.withheld || told.silenced));
                injected += usize::from(is_over && told.injected);
            }
            (number, Untold::of(storage.ledger(span.id), (certain, injected)))
        })
        .collect()
    }

    /// A checkpoint is recorded: who is owed a `missed` since has an open incident, and nobody else gets one.
    pub(super) fn check_incidents(
        &mut self,
        checkpoint: &Checkpoint,
        before: &BTreeMap<usize, Untold>,
        storage: &Storage,
    ) -> Result<(), Violation> {
        let refuse = |seen: String| Err(Violation::new("missed_is_told", seen));
        let of_topic = |id| self.truth.span(id).is_some_and(Span::is_of_topic);
        if let Some(id) = checkpoint.incidents.keys().find(|id| of_topic(**id)) {
            return refuse(format!("an incident opens for event subscription {id}"));
        }
        for (number, untold) in self.untold(checkpoint.partition, checkpoint.cursor, storage) {
            let id = self.truth.spans[number].id;
            let before = before.get(&number).copied().unwrap_or_default();
            if untold.counted > before.counted {
                self.owed.insert(number);
            } else if checkpoint.incidents.contains_key(&id) {
                return refuse(format!("subscription {number} missed nothing, and yet an incident opens"));
            }
            if untold.owes_since(before) && storage.model.incident(id).is_none() {
                return refuse(format!("subscription {number} missed something, and no incident is open: {untold:?}"));
            }
        }
        Ok(())
    }

    /// A `missed` that was owed is in the log.
    pub(super) fn told_of_incident(&mut self, id: SubscriptionId) -> Result<(), Violation> {
        let Some(number) = self.truth.number(id) else { return Ok(()) };
        self.missed += 1;
        match self.owed.remove(&number) {
            true => Ok(()),
            false => {
                let seen = format!("subscription {number} is told that it missed something, and has missed nothing");
                Err(Violation::new("missed_is_told", seen))
            }
        }
    }

    /// A live subscription with an incident that is to be told of soon, or should have been, and when.
    pub(super) fn untold_incident(&self, storage: &Storage, at: u64) -> Option<(usize, Timestamp)> {
        let mut due = self.truth.spans.iter().enumerate().filter_map(|(number, span)| {
            let due = storage.model.incident(span.id)?.opened.plus_micros(self.config.horizon_micros);
            (due.since(date(at)) < SOON_MICROS).then_some((number, due))
        });
        due.next()
    }
}
