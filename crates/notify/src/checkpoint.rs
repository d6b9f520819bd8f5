//! The one transaction in which a node records progress in a partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{ChangeType, Partition, SubscriptionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::incident::Incident;
use crate::push_policy::Pushed;
use crate::reauthorization::Standing;
use crate::{EndpointId, Position, Record, StoredHealth, Subscription};

/// Progress of one partition, recorded whole or not at all, and only if the store still holds `epoch`
/// and its last checkpoint has the number before this one.
///
/// An exact prefix: `ledger`, `park` and `incidents` speak of records at or below `cursor` and of nothing above it. `health`
/// is advice.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub partition: Partition,
    pub epoch: u64,
    pub number: u64,
    pub cursor: Position,
    /// The highest wall time that the node has acted on.
    pub wall: Timestamp,
    /// Rows to remove, before `park` is written.
    pub unpark: Vec<(Stream, Position)>,
    pub park: Vec<Parked>,
    pub ledger: BTreeMap<SubscriptionId, LedgerDelta>,
    /// What opens where none is open, of subscriptions that have not ended.
    pub incidents: BTreeMap<SubscriptionId, Incident>,
    /// What endpoints have become for those who send there, at this time and not at `cursor`; `None`: nothing is to be
    /// kept of one any more.
    pub health: BTreeMap<EndpointId, Option<StoredHealth>>,
}

/// The deliveries of one subscription to one of the places that they go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    pub subscription: SubscriptionId,
    pub kind: StreamKind,
}

/// Which of the places that a subscription's deliveries go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamKind {
    /// What it asked for: changes, or events.
    Changes,
    Lifecycle,
    /// Events that are not pushed any more, on their way to where their event subscription keeps dead letters.
    DeadLetters,
}

impl StreamKind {
    pub const ALL: [StreamKind; 3] = [StreamKind::Changes, StreamKind::Lifecycle, StreamKind::DeadLetters];
}

/// How many references one parked row holds at most.
pub const PARKED_REFS_MAX: usize = 50;

/// One row of parked deliveries of one stream that share their fate. Its key is (stream, first position).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    pub stream: Stream,
    /// In order of position; 1 to [`PARKED_REFS_MAX`]. A position lies in one row of a stream only.
    pub refs: Vec<ParkedRef>,
    /// Attempts that have failed. 0: they only wait behind others.
    pub attempts: u32,
    /// No attempt before this time.
    pub due: Timestamp,
    /// When the oldest of them was matched; the horizon counts from here.
    pub since: Timestamp,
    /// The most notifications that one attempt may carry.
    pub batch_max: u16,
    /// What is known of events that were tried, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Pushed>,
    /// About what it takes with the notifications that it refers to. It is estimated once, when they are parked, and stands
    /// beside the row.
    #[serde(skip)]
    pub bytes: u64,
}

impl Parked {
    pub fn first(&self) -> Position {
        self.refs.first().map(|first| first.position).unwrap_or_default()
    }
}

/// A delivery by reference: the record it tells of, and as what (`None`: a lifecycle record, or an event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedRef {
    pub position: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeType>,
}

/// A parked row read back, with the record of each of its references; events are without their data.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedParked {
    pub row: Parked,
    pub records: Vec<Arc<Record>>,
}

/// What a checkpoint adds to one subscription's ledger. `parked` may be negative: rows that left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerDelta {
    pub matched: u64,
    pub delivered: u64,
    pub parked: i64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub abandoned: BTreeMap<AbandonReason, u64>,
}

impl LedgerDelta {
    pub fn add(&mut self, other: &LedgerDelta) {
        self.matched += other.matched;
        self.delivered += other.delivered;
        self.parked += other.parked;
        for (reason, count) in &other.abandoned {
            *self.abandoned.entry(*reason).or_default() += count;
        }
    }

    /// matched = delivered + parked + abandoned.
    pub fn balances(&self) -> bool {
        let abandoned: u64 = self.abandoned.values().sum();
        i128::from(self.matched) == i128::from(self.delivered) + i128::from(self.parked) + i128::from(abandoned)
    }
}

/// Why a delivery was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbandonReason {
    /// It was retried until the horizon and never acknowledged.
    Horizon,
    /// The subscription ended first.
    SubscriptionEnded,
    /// It was matched while the subscription was paused, and never tried.
    Paused,
    /// It was acknowledged without its content, which was larger than may be sent.
    TooLarge,
    /// Its content could not be sealed, and nothing of it was sent.
    CertificateUnusable,
    /// It was acknowledged without its content, which the app might not read any more.
    AccessLost,
    /// It was matched while its endpoint was dropping, and never tried.
    EndpointDropping,
    /// It was parked, and newer ones of its stream needed the room. An event goes so without a dead letter.
    Overflow,
    /// A log that is too long could not be cut while it was parked, or it is an event that was gone from there when it was to be
    /// sent. An event goes so without a dead letter.
    Retention,
    /// A fault on purpose kept it from being sent.
    Injected,
    /// It was pushed as often as its event subscription allows.
    AttemptsExceeded,
    /// Its time to live had passed when it was to be pushed.
    TimeToLiveExceeded,
    /// It was refused in a way that another attempt does not change.
    NotRetried,
    /// Its receiver wants no more events.
    Stopped,
}

impl AbandonReason {
    pub const ALL: [AbandonReason; 14] = [
        AbandonReason::Horizon,
        AbandonReason::SubscriptionEnded,
        AbandonReason::Paused,
        AbandonReason::TooLarge,
        AbandonReason::CertificateUnusable,
        AbandonReason::AccessLost,
        AbandonReason::EndpointDropping,
        AbandonReason::Overflow,
        AbandonReason::Retention,
        AbandonReason::Injected,
        AbandonReason::AttemptsExceeded,
        AbandonReason::TimeToLiveExceeded,
        AbandonReason::NotRetried,
        AbandonReason::Stopped,
    ];
}

/// What a node needs to take a partition over.
#[derive(Clone, Debug, Default)]
pub struct PartitionState {
    /// The number of the last checkpoint; 0 if there was none.
    pub number: u64,
    pub cursor: Position,
    /// The last position of the log.
    pub head: Position,
    pub wall: Timestamp,
    /// Every subscription whose end retention has not passed.
    pub subscriptions: Vec<SubscriptionSpan>,
    /// The streams that have parked rows, with the bytes of these.
    pub parked: BTreeMap<Stream, u64>,
    /// Endpoints that were slow or dropping when a checkpoint last said so.
    pub health: BTreeMap<EndpointId, StoredHealth>,
}

/// A subscription with the stretch of the log in which it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionSpan {
    pub subscription: Arc<Subscription>,
    /// It hears of records after this one…
    pub began: Position,
    /// …and before this one.
    pub ended: Option<Position>,
    /// As of [`PartitionState::head`].
    pub standing: Standing,
    /// What it was not told of, and is owed a `missed` for.
    pub incident: Option<Incident>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a reason stands among all. Who adds one is led here by the compiler.
    fn place(reason: AbandonReason) -> usize {
        match reason {
            AbandonReason::Horizon => 0,
            AbandonReason::SubscriptionEnded => 1,
            AbandonReason::Paused => 2,
            AbandonReason::TooLarge => 3,
            AbandonReason::CertificateUnusable => 4,
            AbandonReason::AccessLost => 5,
            AbandonReason::EndpointDropping => 6,
            AbandonReason::Overflow => 7,
            AbandonReason::Retention => 8,
            AbandonReason::Injected => 9,
            AbandonReason::AttemptsExceeded => 10,
            AbandonReason::TimeToLiveExceeded => 11,
            AbandonReason::NotRetried => 12,
            AbandonReason::Stopped => 13,
        }
    }

    #[test]
    fn every_reason_is_among_all() {
        assert_eq!(AbandonReason::ALL.map(place), std::array::from_fn(|place| place));
    }
}
