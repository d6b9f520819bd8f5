//! What must be heard, recomputed from the log alone: it knows nothing of nodes, cursors or deliveries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use graph::{ChangeType, ItemKey, Partition, SubscriptionId};
use notify::log::{EndReason, Submission, SubscriptionEvent};
use notify::{Position, Record, StreamKind, Subscription};
use uuid::Uuid;

/// One (record, subscription) that must be told.
#[derive(Clone, Debug)]
pub struct Match {
    pub kind: StreamKind,
    pub change: Option<ChangeType>,
    /// By the id under which the subscription is told of it.
    pub item: Option<ItemKey>,
    /// When its record was appended, in the world's microseconds.
    pub appended: u64,
    /// Some node was told that a receiver acknowledged it.
    pub acknowledged: bool,
    /// The id under which it was sent first.
    pub id: Option<Uuid>,
}

/// A subscription's stretch of the log.
#[derive(Clone, Debug)]
pub struct Span {
    pub id: SubscriptionId,
    pub partition: Partition,
    /// As it began, and after each patch.
    pub versions: Vec<Arc<Subscription>>,
    /// Where each version stands in the log.
    pub since: Vec<Position>,
    pub ended: Option<(Position, EndReason)>,
    pub matches: BTreeMap<Position, Match>,
}

impl Span {
    pub fn latest(&self) -> &Arc<Subscription> {
        &self.versions[self.versions.len() - 1]
    }
}

/// The log, and what follows from it.
#[derive(Default)]
pub struct Truth {
    pub spans: Vec<Span>,
    numbers: HashMap<SubscriptionId, usize>,
    logs: BTreeMap<Partition, Vec<Arc<Record>>>,
    /// By address: the truth keeps every record alive, and the model hands out the same ones.
    places: HashMap<*const Record, (Partition, Position)>,
    pub submissions: Vec<(Partition, Position, Submission)>,
}

impl Truth {
    /// The number of a subscription, in the order in which they began.
    pub fn number(&self, id: SubscriptionId) -> Option<usize> {
        self.numbers.get(&id).copied()
    }

    pub fn span(&self, id: SubscriptionId) -> Option<&Span> {
        self.number(id).map(|number| &self.spans[number])
    }

    pub fn place(&self, record: &Arc<Record>) -> Option<(Partition, Position)> {
        self.places.get(&Arc::as_ptr(record)).copied()
    }

    pub fn spans_of(&self, partition: Partition) -> impl Iterator<Item = (usize, &Span)> {
        self.spans.iter().enumerate().filter(move |(_, span)| span.partition == partition)
    }

    /// Takes the next record of a log in; returns what it is and of which subscription it speaks.
    pub fn append(&mut self, partition: Partition, record: Arc<Record>, at: u64) -> (&'static str, Option<usize>) {
        let log = self.logs.entry(partition).or_default();
        log.push(Arc::clone(&record));
        let position = Position(log.len() as u64);
        self.places.insert(Arc::as_ptr(&record), (partition, position));
        match &*record {
            Record::Change(change) => {
                for span in self.spans.iter_mut().filter(|span| span.partition == partition && span.ended.is_none()) {
                    let subscription = span.latest();
                    if let Some(seen) = subscription.sees(change) {
                        let item = match subscription.immutable_ids {
                            true => ItemKey::Immutable(change.immutable_id()),
                            false => ItemKey::Id(change.item),
                        };
                        let told = Match::new(StreamKind::Changes, Some(seen), Some(item), at);
                        span.matches.insert(position, told);
                    }
                }
                (change.change.as_str(), None)
            }
            Record::Subscription { id, event } => self.live(partition, position, *id, event),
            Record::Lifecycle { subscription, .. } => {
                let number = self.number(*subscription);
                let span = number.map(|number| &mut self.spans[number]);
                if let Some(span) = span.filter(|span| span.ended.is_none() && span.latest().lifecycle_url.is_some()) {
                    span.matches.insert(position, Match::new(StreamKind::Lifecycle, None, None, at));
                }
                ("lifecycle", number)
            }
            Record::Submit(submission) => {
                self.submissions.push((partition, position, submission.clone()));
                ("submit", None)
            }
        }
    }

    fn live(
        &mut self,
        partition: Partition,
        position: Position,
        id: SubscriptionId,
        event: &SubscriptionEvent,
    ) -> (&'static str, Option<usize>) {
        let number = self.number(id);
        match (event, number) {
            (SubscriptionEvent::Began(subscription), _) => {
                let versions = vec![Arc::new(Subscription::clone(subscription))];
                self.numbers.insert(id, self.spans.len());
                let since = vec![position];
                self.spans.push(Span { id, partition, versions, since, ended: None, matches: BTreeMap::new() });
                ("began", self.number(id))
            }
            (SubscriptionEvent::Patched(subscription), Some(known)) => {
                self.spans[known].versions.push(Arc::new(Subscription::clone(subscription)));
                self.spans[known].since.push(position);
                ("patched", number)
            }
            (SubscriptionEvent::Ended(reason), Some(known)) => {
                self.spans[known].ended = Some((position, *reason));
                ("ended", number)
            }
            (_, None) => ("unknown", None),
        }
    }

    pub fn find(&mut self, number: usize, position: Position) -> Option<&mut Match> {
        self.spans.get_mut(number)?.matches.get_mut(&position)
    }
}

impl Match {
    fn new(kind: StreamKind, change: Option<ChangeType>, item: Option<ItemKey>, appended: u64) -> Self {
        Self { kind, change, item, appended, acknowledged: false, id: None }
    }
}
