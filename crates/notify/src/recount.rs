//! What must have been told, counted again from the log alone, and held against what the ledgers say. Pure: whoever
//! asks reads the log, from where the books open up to the cursor, and the books.

use std::collections::{BTreeMap, BTreeSet};

use graph::{ChangeType, SubscriptionId};

use crate::checkpoint::{AbandonReason, LedgerDelta, StreamKind, SubscriptionSpan};
use crate::node::spans::Spans;
use crate::{Position, Record, SubscriptionEvent};

/// What a partition's ledgers say, read at one point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Books {
    /// What is known of records that are gone.
    pub opening: Opening,
    /// They speak of everything up to here.
    pub cursor: Position,
    pub ledger: BTreeMap<SubscriptionId, LedgerDelta>,
    /// How many deliveries lie in parked rows.
    pub parked: BTreeMap<SubscriptionId, u64>,
}

/// The matches of one subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub matched: u64,
    /// Of these, what fell into a pause.
    pub paused: u64,
}

/// What is known without the log up to a position. A log that is whole opens with nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    pub position: Position,
    /// As they were there.
    pub subscriptions: Vec<SubscriptionSpan>,
    pub counted: BTreeMap<SubscriptionId, Counted>,
}

/// Counts matches. What it holds grows with the subscriptions of a partition, not with its log.
#[derive(Debug)]
pub struct Recount {
    spans: Spans,
    counted: BTreeMap<SubscriptionId, Counted>,
    position: Position,
}

/// The record that should follow is not the one that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log has no record at position {expected}")]
pub struct Gap {
    pub expected: Position,
    /// The one that follows; `None`: the log ends before the cursor.
    pub found: Option<Position>,
}

/// Two numbers that should be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Discrepancy {
    pub subscription: SubscriptionId,
    pub about: About,
    pub expected: i128,
    /// What the ledger says.
    pub found: i128,
}

/// What a discrepancy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// The matches of the log, and of the ledger.
    Matched,
    /// The matches of the log that fell into a pause, and what the ledger says was given up for that.
    Paused,
    /// The deliveries in parked rows, and those of the ledger.
    Parked,
    /// What the ledger says was delivered, is parked or was abandoned, and its matches.
    Balance,
}

impl Counted {
    /// What a ledger says of both.
    pub fn of(ledger: &LedgerDelta) -> Self {
        let paused = ledger.abandoned.get(&AbandonReason::Paused).copied().unwrap_or_default();
        Self { matched: ledger.matched, paused }
    }
}

impl Recount {
    pub fn new(opening: Opening) -> Self {
        let mut spans = Spans::default();
        for span in opening.subscriptions {
            spans.restore(span);
        }
        Self { spans, counted: opening.counted, position: opening.position }
    }

    /// The last record that was counted.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Counts who must hear of the next record.
    pub fn count(&mut self, position: Position, record: &Record) -> Result<(), Gap> {
        if position != self.position.next() {
            return Err(Gap { expected: self.position.next(), found: Some(position) });
        }
        self.position = position;
        self.spans.follow(record, position, position);
        for (stream, _) in self.spans.heard(record, position) {
            let paused = stream.kind == StreamKind::Changes && self.spans.is_silenced(&stream.subscription, position);
            let counted = self.counted.entry(stream.subscription).or_default();
            counted.matched += 1;
            counted.paused += u64::from(paused);
        }
        if let Record::Subscription { id, event: SubscriptionEvent::Ended(_) } = record {
            // It hears of nothing more.
            self.spans.forget(*id);
        }
        Ok(())
    }

    /// What the ledgers say otherwise than the log, which was counted up to their cursor.
    pub fn compare(&self, books: &Books) -> Vec<Discrepancy> {
        let subscriptions: BTreeSet<_> = self.counted.keys().chain(books.ledger.keys()).copied().collect();
        let mut discrepancies = Vec::new();
        for subscription in subscriptions {
            let counted = self.counted.get(&subscription).copied().unwrap_or_default();
            let found = books.ledger.get(&subscription).map(Counted::of).unwrap_or_default();
            discrepancies.extend(unequal(subscription, About::Matched, counted.matched.into(), found.matched.into()));
            discrepancies.extend(unequal(subscription, About::Paused, counted.paused.into(), found.paused.into()));
        }
        discrepancies
    }
}

impl Books {
    /// Where they do not agree with themselves.
    pub fn discrepancies(&self) -> Vec<Discrepancy> {
        let subscriptions: BTreeSet<_> = self.parked.keys().chain(self.ledger.keys()).copied().collect();
        let mut discrepancies = Vec::new();
        for subscription in subscriptions {
            let ledger = self.ledger.get(&subscription).cloned().unwrap_or_default();
            let parked = self.parked.get(&subscription).copied().unwrap_or_default();
            let accounted: u128 = ledger.abandoned.values().map(|count| u128::from(*count)).sum();
            let accounted = accounted as i128 + i128::from(ledger.delivered) + i128::from(ledger.parked);
            discrepancies.extend(unequal(subscription, About::Parked, parked.into(), ledger.parked.into()));
            discrepancies.extend(unequal(subscription, About::Balance, accounted, ledger.matched.into()));
        }
        discrepancies
    }
}

/// The matches of one subscription, found again in the log.
#[derive(Debug)]
pub struct Retelling {
    spans: Spans,
}

impl Retelling {
    pub fn of(span: SubscriptionSpan) -> Self {
        let mut spans = Spans::default();
        spans.restore(span);
        Self { spans }
    }

    /// As what the subscription had to hear of a change, in a pause too. `None`: it had not, or the record is no change
    /// or is a replay itself.
    pub fn heard(&self, record: &Record, position: Position) -> Option<ChangeType> {
        match record {
            Record::Change(_) | Record::Ingested(_) => self.spans.heard(record, position).first()?.1,
            _ => None,
        }
    }
}

fn unequal(subscription: SubscriptionId, about: About, expected: i128, found: i128) -> Option<Discrepancy> {
    (expected != found).then_some(Discrepancy { subscription, about, expected, found })
}
