//! The part of a stream that lies only in the store: what is let go from memory, and how it comes back.

use std::sync::Arc;

use graph::Timestamp;

use super::StreamState;
use crate::checkpoint::{LoadedParked, Parked, ParkedRef};
use crate::node::delivery::{Delivery, Place};
use crate::{Monotonic, Position, Record, retry};

/// So far apart the due times of one stream may stand by the clocks that they were stored with, for it to be let go: small steps
/// of a clock are within.
const CLOCK_SLACK_MICROS: i64 = 60_000_000;

/// The part of a stream that lies only in the store: parked rows with a first position after `after`.
#[derive(Debug, Default)]
pub(in crate::node) struct Tail {
    pub after: Position,
    /// Nothing of it lies before this position.
    pub first: Position,
    /// A read is under way.
    pub reading: bool,
    /// All of the stream was let go from memory until this time.
    pub asleep: Option<Monotonic>,
    behind: Option<Behind>,
    /// Its endpoint is back since what has failed of it did.
    back: bool,
}

/// How far monotonic time was behind stored due times when a stream was let go. The wall clock may have moved since, and what
/// was parked later has its due time by another one.
#[derive(Clone, Copy, Debug)]
struct Behind {
    micros: i64,
    /// Of rows whose first position is this or an earlier one.
    through: Position,
}

impl Tail {
    pub(in crate::node) fn after(after: Position) -> Self {
        Self { after, ..Self::default() }
    }
}

impl StreamState {
    /// Of what was let go before and has not been read again since.
    fn unread_behind(&self) -> Option<Behind> {
        self.tail.as_ref().and_then(|tail| tail.behind.filter(|behind| behind.through > tail.after))
    }

    /// How far monotonic time is behind the stored due time of each delivery that is due later, in microseconds; and was of
    /// those that were let go.
    fn all_behind(&self, now: Monotonic) -> impl Iterator<Item = i64> {
        let dues = self.deliveries.values().filter_map(|delivery| match delivery.place {
            Place::Waiting(due) if delivery.spared => {
                Some((delivery.due, due.plus_micros(retry::spared_micros(delivery.attempts))))
            }
            Place::Waiting(due) => Some((delivery.due, due)),
            _ => Some((delivery.due, delivery.held?)),
        });
        let later = dues.filter(move |(_, until)| *until > now);
        let behind = later.map(|(due, until)| due.as_micros().saturating_sub_unsigned(until.0));
        behind.chain(self.unread_behind().map(|behind| behind.micros))
    }

    /// Whether all that is due later stands by one clock, but for little. What does not stays in memory until it was tried.
    fn is_of_one_clock(&self, now: Monotonic) -> bool {
        let (least, most) = self
            .all_behind(now)
            .fold((i64::MAX, i64::MIN), |(least, most), behind| (least.min(behind), most.max(behind)));
        most.saturating_sub(least) <= CLOCK_SLACK_MICROS
    }

    /// Whether it can be let go: all that is in memory lies in rows as well, as it is and by one clock, no attempt holds any
    /// of it, and it does not wait for a read.
    pub(in crate::node) fn can_be_let_go(&self, now: Monotonic) -> bool {
        let is_still = self.in_flight == 0 && self.dirty_rows.is_empty() && !self.ended && !self.deliveries.is_empty();
        let is_reading = self.tail.as_ref().is_some_and(|tail| tail.reading);
        let mut held = self.deliveries.values();
        is_still
            && !is_reading
            && !self.needs_more()
            && held.all(|delivery| delivery.row.is_some())
            && self.is_of_one_clock(now)
    }

    /// Keeps nothing in memory until that time; what lies in rows is read again then. Returns how many deliveries it
    /// held.
    pub(in crate::node) fn let_go(&mut self, until: Monotonic, now: Monotonic) -> usize {
        let behind: Vec<i64> = self.all_behind(now).collect();
        let held = std::mem::take(&mut self.deliveries);
        let unread = self.tail.as_ref().map_or(Position(u64::MAX), |tail| tail.after.next().max(tail.first));
        let first = held.keys().next().map_or(unread, |first| unread.min(*first));
        // Rather a little late than early.
        let micros = behind.iter().min().copied();
        let before = self.unread_behind();
        let last = self.rows.keys().next_back().copied().max(before.map(|behind| behind.through));
        let behind = micros.zip(last).map(|(micros, through)| Behind { micros, through });
        let mut failed = held.values().filter(|delivery| delivery.attempts > 0);
        let back = self.policy().is_of_notifications() && failed.all(|delivery| delivery.spared);
        (self.queue, self.waiting, self.busy) = <_>::default();
        (self.failed, self.rows) = <_>::default();
        self.tail = Some(Tail { first, asleep: Some(until), behind, back, ..Tail::default() });
        held.len()
    }

    /// Its endpoint is back: what has failed waits no longer than after a first failure.
    pub(in crate::node) fn bring_forward(&mut self) {
        if let Some(tail) = &mut self.tail {
            tail.back = true;
        }
        for (due, position) in std::mem::take(&mut self.waiting) {
            let Some(delivery) = self.deliveries.get_mut(&position) else { continue };
            let due = if delivery.spared { due } else { sooner(due, delivery.attempts) };
            (delivery.place, delivery.spared) = (Place::Waiting(due), true);
            self.waiting.insert((due, position));
        }
    }

    /// Whether something has failed, in memory or in what was let go.
    pub(in crate::node) fn has_failed(&self) -> bool {
        self.failed > 0 || self.asleep().is_some()
    }

    /// Takes rows of the tail into memory, except those that are there already; `mono_of` tells when a
    /// stored due time comes, and none comes after `latest`. Returns how many deliveries came.
    pub(in crate::node) fn load(
        &mut self,
        rows: Vec<LoadedParked>,
        latest: Monotonic,
        mono_of: impl Fn(Timestamp) -> Monotonic,
    ) -> usize {
        let (is_back, behind) = self.tail.as_ref().map_or((false, None), |tail| (tail.back, tail.behind));
        let mut loaded = 0;
        for LoadedParked { row, records } in rows {
            let first = row.first();
            if let Some(tail) = &mut self.tail {
                tail.after = tail.after.max(first);
            }
            if self.rows.contains_key(&first) {
                continue;
            }
            let behind = behind.filter(|behind| first <= behind.through);
            let due = behind.map_or_else(|| mono_of(row.due), |behind| mono_behind(row.due, behind.micros));
            let due = due.min(latest);
            let due = if is_back { sooner(due, row.attempts) } else { due };
            let members: Vec<Position> = row.refs.iter().map(|reference| reference.position).collect();
            for ((reference, record), bytes) in row.refs.iter().zip(records).zip(shares(&row)) {
                self.load_one(&row, (*reference, bytes), record, due);
                loaded += 1;
            }
            self.rows.insert(first, members);
        }
        loaded
    }

    fn load_one(
        &mut self,
        row: &Parked,
        (reference, parked_bytes): (ParkedRef, u64),
        record: Arc<Record>,
        due: Monotonic,
    ) {
        let spared = row.attempts > 0 && self.tail.as_ref().is_some_and(|tail| tail.back);
        let mut delivery = Delivery::parked(row, (reference, parked_bytes), record, due);
        delivery.spared = spared;
        if let Place::Waiting(due) = delivery.place {
            self.waiting.insert((due, reference.position));
            self.failed += 1;
            self.busy.extend(delivery.item(&self.subscription));
        } else {
            self.queue.insert(reference.position);
        }
        self.deliveries.insert(reference.position, delivery);
    }
}

fn mono_behind(wall: Timestamp, behind: i64) -> Monotonic {
    Monotonic(u64::try_from(wall.as_micros().saturating_sub(behind)).unwrap_or_default())
}

/// What the deliveries of a row take of its bytes: the same each, but for what is left over.
fn shares(row: &Parked) -> impl Iterator<Item = u64> {
    let count = row.refs.len().max(1) as u64;
    let (each, rest) = (row.bytes / count, row.bytes % count);
    std::iter::once(each + rest).chain(std::iter::repeat(each))
}

/// When something that has failed is due once its endpoint is back.
fn sooner(due: Monotonic, attempts: u32) -> Monotonic {
    Monotonic(due.0.saturating_sub(retry::spared_micros(attempts)))
}

#[cfg(test)]
mod tests {
    use graph::{AppId, ChangeId, Kind, SubscriptionId, TenantId, UserId};
    use uuid::Uuid;

    use super::*;
    use crate::checkpoint::{Stream, StreamKind};
    use crate::subscription::{Target, TlsVersion};
    use crate::{LifecycleEvent, Subscription};

    const NOON: Timestamp = Timestamp::from_seconds(1_795_255_200);
    const MINUTE: u64 = 60_000_000;

    fn stream() -> StreamState {
        let mailbox = UserId(Uuid::nil());
        let subscription = Subscription {
            id: SubscriptionId(Uuid::nil()),
            tenant: TenantId(Uuid::nil()),
            app: AppId(Uuid::nil()),
            creator: mailbox,
            resource: "me/messages".to_owned(),
            target: Target::Items { mailbox, kind: Kind::Message, folder: None },
            change_types: <_>::default(),
            change_type: String::new(),
            notification_url: "https://hook.example.net/n".to_owned(),
            lifecycle_url: None,
            client_state: None,
            tls_version: TlsVersion::V1_2,
            extras: None,
            immutable_ids: false,
            expires: NOON,
            expires_tenths: 0,
            authorized: NOON,
            created: NOON,
        };
        StreamState::new(Arc::new(subscription), StreamKind::Changes, 0)
    }

    /// A row with one delivery that failed once and is due then.
    fn row(position: u64, due: Timestamp) -> LoadedParked {
        let subscription = SubscriptionId(Uuid::nil());
        let stream = Stream { subscription, kind: StreamKind::Changes };
        let refs = vec![ParkedRef { position: Position(position), change: None }];
        let row = Parked { stream, refs, attempts: 1, due, since: NOON, batch_max: 1, pushed: None, bytes: 700 };
        let (id, event) = (ChangeId(Uuid::nil()), LifecycleEvent::Missed);
        let record = Arc::new(Record::Lifecycle { id, subscription, event, cause: None });
        LoadedParked { row, records: vec![record] }
    }

    fn due(stream: &StreamState, position: u64) -> Place {
        stream.deliveries[&Position(position)].place
    }

    /// Noon is when monotonic time is 0, and the clock is two hours slow at first.
    #[test]
    fn what_is_parked_by_the_right_clock_does_not_wait_for_one_that_was_wrong() {
        let (mut stream, slow) = (stream(), -120);
        let (in_five, in_ten, latest) = (Monotonic(5 * MINUTE), Monotonic(10 * MINUTE), Monotonic(60 * MINUTE));
        stream.load(vec![row(1, NOON.plus_minutes(slow + 5))], latest, |_| in_five);
        assert_eq!(stream.let_go(in_five, Monotonic(0)), 1);
        stream.tail.as_mut().unwrap().asleep = None;
        let rows = vec![row(1, NOON.plus_minutes(slow + 5)), row(2, NOON.plus_minutes(10))];
        stream.load(rows, latest, |_| in_ten);
        assert_eq!(due(&stream, 1), Place::Waiting(in_five), "as it was let go, whatever the clock shows since");
        assert_eq!(due(&stream, 2), Place::Waiting(in_ten), "by the clock that it was parked by");
    }

    /// The first of two rows that were let go is read, and fails again by the right clock.
    #[test]
    fn what_stands_by_two_clocks_stays_in_memory() {
        let (mut stream, slow) = (stream(), -120);
        let (in_five, in_ten, latest) = (Monotonic(5 * MINUTE), Monotonic(10 * MINUTE), Monotonic(60 * MINUTE));
        let rows = || vec![row(1, NOON.plus_minutes(slow + 5)), row(2, NOON.plus_minutes(slow + 10))];
        stream.load(rows(), latest, |due| if due == NOON.plus_minutes(slow + 5) { in_five } else { in_ten });
        assert!(stream.can_be_let_go(Monotonic(0)));
        stream.let_go(in_five, Monotonic(0));
        stream.tail.as_mut().unwrap().asleep = None;
        stream.load(vec![rows().remove(0)], latest, |_| in_ten);
        assert!(stream.can_be_let_go(in_five), "the second has not been read, and stands by the same clock");
        let again = stream.deliveries.get_mut(&Position(1)).unwrap();
        (again.due, again.place) = (NOON.plus_minutes(8), Place::Waiting(Monotonic(8 * MINUTE)));
        assert!(!stream.can_be_let_go(in_five), "of two offsets one would be wrong");
        stream.load(vec![rows().remove(1)], latest, |_| Monotonic(0));
        assert_eq!(due(&stream, 2), Place::Waiting(in_ten));
    }
}
