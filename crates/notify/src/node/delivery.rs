//! One notification, or one event, that is to get to one endpoint, and what is known of it.

use std::sync::{Arc, OnceLock};

use graph::{ChangeType, ItemKey, Timestamp};

use super::NodeConfig;
use crate::checkpoint::{Parked, ParkedRef};
use crate::push_policy::{Pushed, Undelivered};
use crate::topic::for_the_node;
use crate::{Monotonic, Position, Record, Subscription, notification};

/// About what one delivery takes of a parked row.
const PARKED_REF_BYTES: u64 = 128;
/// A parked event is charged one byte for so many of its body: its topic keeps its data anyway, and how much of a body it
/// needs is still to be known once it is read again.
const EVENT_BODY_PER_BYTE: usize = 1_024;

/// The obligation to get one notification to one endpoint.
#[derive(Debug)]
pub(super) struct Delivery {
    pub change: Option<ChangeType>,
    pub record: Arc<Record>,
    /// When it was matched, in whole seconds, so that what was matched together is parked together.
    pub since: Timestamp,
    /// Attempts that have failed.
    pub attempts: u32,
    pub due: Timestamp,
    pub batch_max: u16,
    /// Its first attempt is not before this time, since its endpoint was slow when it was matched.
    pub held: Option<Monotonic>,
    /// The parked row that holds it, by the row's first position, and its part of that row's bytes.
    pub row: Option<Position>,
    pub parked_bytes: u64,
    pub place: Place,
    /// What is known of an event that was tried, or given up.
    pub pushed: Option<Pushed>,
    /// It waits no longer than after a first failure, since its endpoint is back.
    pub spared: bool,
    /// Estimated once it is first asked for: the whole item is looked at for that.
    bytes: OnceLock<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Never tried.
    Queued,
    InFlight,
    /// Failed, and to be tried again at this time.
    Waiting(Monotonic),
}

/// What a subscription is told of; order holds among changes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Told {
    Item(ItemKey),
    /// By its fingerprint: of two things with the same one, too, no two deliveries go at a time.
    Thing(u64),
}

impl Delivery {
    pub(super) fn new(change: Option<ChangeType>, record: Arc<Record>, since: Timestamp) -> Self {
        Self {
            change,
            record,
            since,
            attempts: 0,
            due: since,
            batch_max: u16::MAX,
            held: None,
            row: None,
            parked_bytes: 0,
            place: Place::Queued,
            pushed: None,
            spared: false,
            bytes: OnceLock::new(),
        }
    }

    /// One that was parked in `row`, of which it takes so many bytes, and is due at `due`.
    pub(super) fn parked(
        row: &Parked,
        (reference, parked_bytes): (ParkedRef, u64),
        record: Arc<Record>,
        due: Monotonic,
    ) -> Self {
        // The data of an event, which it was estimated with, is not kept.
        let of_body = usize::try_from(parked_bytes.saturating_sub(PARKED_REF_BYTES)).unwrap_or(usize::MAX);
        let of_event = matches!(record.original(), Record::Event(_));
        let is_new = row.attempts == 0;
        let parked = Self {
            attempts: row.attempts,
            due: row.due,
            batch_max: row.batch_max.max(1),
            held: (is_new && row.due > row.since).then_some(due),
            row: Some(row.first()),
            parked_bytes,
            place: if is_new { Place::Queued } else { Place::Waiting(due) },
            pushed: row.pushed,
            ..Self::new(reference.change, for_the_node(record), row.since)
        };
        parked.of_bytes(of_event.then(|| of_body.saturating_mul(EVENT_BODY_PER_BYTE)))
    }

    /// The same, which needs so many bytes of a body; `None`: what is kept of its record tells.
    pub(super) fn of_bytes(self, bytes: Option<usize>) -> Self {
        let bytes = bytes.map_or_else(OnceLock::new, OnceLock::from);
        Self { bytes, ..self }
    }

    /// The same, held until `due`, which comes at `until`.
    pub(super) fn held(self, due: Timestamp, until: Monotonic) -> Self {
        let held = (due > self.since).then_some(until);
        Self { due, held, ..self }
    }

    /// The same on its way to where dead letters are kept.
    pub(super) fn into_dead_letter(self, given_up: Undelivered) -> Self {
        Self {
            attempts: 0,
            due: self.since,
            batch_max: u16::MAX,
            held: None,
            row: None,
            parked_bytes: 0,
            place: Place::Queued,
            pushed: Some(Pushed::GivenUp(given_up)),
            ..self
        }
    }

    /// About how much of a body it needs. What that follows from never changes in a subscription.
    pub(super) fn estimated_bytes(&self, subscription: &Subscription, config: &NodeConfig) -> usize {
        let estimate = || notification::estimated_bytes(subscription, &self.record, config.content_bytes_max);
        *self.bytes.get_or_init(estimate)
    }

    /// About what it takes where it is parked.
    pub(super) fn bytes_to_park(&self, subscription: &Subscription, config: &NodeConfig) -> u64 {
        match self.row {
            Some(_) => self.parked_bytes,
            None => parked_bytes(&self.record, self.estimated_bytes(subscription, config)),
        }
    }

    /// The item that it tells `subscription` of.
    pub(super) fn item(&self, subscription: &Subscription) -> Option<Told> {
        match self.record.original() {
            Record::Change(change) => Some(Told::Item(subscription.item_key(change))),
            Record::Ingested(change) => Some(Told::Thing(change.thing.fingerprint())),
            _ => None,
        }
    }
}

/// About what a delivery of `record` takes where it is parked, with so many bytes of a body.
pub(super) fn parked_bytes(record: &Record, of_body: usize) -> u64 {
    let kept = match record.original() {
        Record::Event(_) => of_body.div_ceil(EVENT_BODY_PER_BYTE),
        _ => of_body,
    };
    PARKED_REF_BYTES + kept as u64
}
