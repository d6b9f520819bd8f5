//! A partition that this node owns: its subscriptions, the records that its cursor has not passed, and
//! what follows from them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use graph::{ChangeType, Partition, SubscriptionId, Timestamp, UserId};

use super::count::{Count, Sums};
use super::delivery::Delivery;
use super::fault::Fault;
use super::incidents::Incidents;
use super::sending::Sending;
use super::spans::{Spans, endpoint};
use super::stream::{StreamState, Tail};
use super::wall::mono_of;
use super::{NodeConfig, Steady};
use crate::checkpoint::{PartitionState, StreamKind, SubscriptionSpan};
use crate::health::{Admission, Lasting};
use crate::push_policy::Probation;
use crate::topic::for_the_node;
use crate::{
    AbandonReason, Checkpoint, EndpointId, LedgerDelta, Monotonic, Now, Position, Record, Stream, Subscription,
    SubscriptionEvent,
};

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Delivered,
    Abandoned(AbandonReason),
}

/// A record that the cursor has not passed.
#[derive(Debug)]
pub(super) struct Entry {
    pub at: Monotonic,
    pub since: Timestamp,
    /// Every stream that hears of the record.
    pub matches: Vec<Stream>,
    pub unfinished: usize,
    pub done: Vec<(Stream, Done)>,
    /// Matches beyond their stream's share: they go straight into the store, with when they are due.
    pub spills: Vec<(Stream, Option<ChangeType>, Timestamp)>,
    pub record: Arc<Record>,
    pub submitting: bool,
    /// Of an event that somebody hears of: how much of a body it needs, with the data that is not kept.
    pub event_bytes: Option<usize>,
}

/// Whether the partition's state has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Reading,
    Failed,
    Active,
}

#[derive(Debug)]
pub(super) struct Owned {
    pub partition: Partition,
    pub epoch: u64,
    pub lease_until: Monotonic,
    pub phase: Phase,
    /// The number and cursor of the last checkpoint that was built.
    pub number: u64,
    pub cursor: Position,
    /// The last record that was matched.
    pub applied: Position,
    /// The last record that is known to exist.
    pub head: Position,
    /// Subscription records up to here are already in `spans`.
    state_head: Position,
    /// How many records the read asked for that is under way.
    pub reading: Option<usize>,
    /// The log may have grown since that read was asked for.
    pub look_again: bool,
    pub looked: Monotonic,
    /// When this node took it over.
    pub taken: Monotonic,
    pub window: VecDeque<Entry>,
    /// How many they are.
    pub records: Count,
    pub spans: Spans,
    pub streams: Steady<Stream, StreamState>,
    /// Streams that hold a delivery since they were looked at last.
    pub holding: Vec<Stream>,
    /// Streams that had nothing left when a delivery of theirs ended, or had nothing at all.
    pub(super) emptied: BTreeSet<Stream>,
    /// Streams of which a part lies only in the store, and a part in memory, or did until now.
    pub tails: BTreeSet<Stream>,
    /// Streams that lie only in the store, and are to be read.
    pub unread: BTreeSet<Stream>,
    /// The last of them that had its turn.
    pub unread_last: Option<Stream>,
    /// How many more lie only in the store, and are not to be read yet.
    pub asleep: usize,
    /// Reads of parked rows under way. No checkpoint is built meanwhile, so that they show what the
    /// last one recorded.
    pub reads: usize,
    /// Deliveries in memory, and how many of them lie in a parked row.
    pub held: Count,
    pub held_parked: Count,
    /// What is parked at or below it is given up.
    pub free_through: Position,
    /// Streams with rows to rewrite.
    pub dirty_streams: BTreeSet<Stream>,
    /// Deliveries at or below the cursor that were parked with another stream, and are not with theirs yet.
    pub moved: BTreeSet<(Stream, Position)>,
    /// Of event subscriptions whose last attempts have failed.
    pub probations: Steady<SubscriptionId, Probation>,
    /// What became of deliveries at or below the cursor since the last checkpoint was built.
    pub ledger: BTreeMap<SubscriptionId, LedgerDelta>,
    pub incidents: Incidents,
    /// Subscriptions for which the next checkpoint opens an incident, if none is open.
    pub owing: BTreeSet<SubscriptionId>,
    /// When incidents of this partition opened last, or could have.
    pub last_opened: Timestamp,
    /// What the store has of the health of endpoints; `None`: something that is not true any more.
    pub kept: BTreeMap<EndpointId, Option<Lasting>>,
    /// Endpoints of which it may have to have something else.
    pub ailing: BTreeSet<EndpointId>,
    pub dirty_since: Option<Monotonic>,
    pub recording: Option<Recording>,
    /// Work waits until the lease is extended.
    pub lease_too_short: bool,
    pub wake: Option<Monotonic>,
    /// It looks into events that have lost their data: a planted defect.
    is_faulty: bool,
}

/// A checkpoint whose answer is not known.
#[derive(Debug)]
pub(super) struct Recording {
    pub checkpoint: Checkpoint,
    /// Send it again at this time: its outcome is unknown.
    pub again_at: Option<Monotonic>,
}

impl Owned {
    pub(super) fn new(
        (partition, epoch): (Partition, u64),
        lease_until: Monotonic,
        now: Monotonic,
        sums: &Sums,
    ) -> Self {
        let [held, held_parked, records] = sums.partition();
        Self {
            partition,
            epoch,
            lease_until,
            phase: Phase::Reading,
            number: 0,
            cursor: Position::default(),
            applied: Position::default(),
            head: Position::default(),
            state_head: Position::default(),
            reading: None,
            look_again: false,
            looked: now,
            taken: now,
            window: VecDeque::new(),
            records,
            spans: Spans::default(),
            streams: Steady::default(),
            holding: Vec::new(),
            emptied: BTreeSet::new(),
            tails: BTreeSet::new(),
            unread: BTreeSet::new(),
            unread_last: None,
            asleep: 0,
            reads: 0,
            held,
            held_parked,
            free_through: Position::default(),
            dirty_streams: BTreeSet::new(),
            moved: BTreeSet::new(),
            probations: Steady::default(),
            ledger: BTreeMap::new(),
            incidents: Incidents::default(),
            owing: BTreeSet::new(),
            last_opened: Timestamp::default(),
            kept: BTreeMap::new(),
            ailing: BTreeSet::new(),
            dirty_since: None,
            recording: None,
            lease_too_short: false,
            wake: None,
            is_faulty: false,
        }
    }

    /// Takes over from the last checkpoint.
    pub(super) fn take_over(&mut self, state: PartitionState, sending: &mut Sending, now: Now, config: &NodeConfig) {
        self.phase = Phase::Active;
        self.is_faulty = config.planted(Fault::EventDataLost);
        self.number = state.number;
        self.cursor = state.cursor;
        self.applied = state.cursor;
        self.head = state.head.max(self.head);
        self.state_head = state.head;
        self.last_opened = state.wall;
        for mut span in state.subscriptions {
            if config.planted(Fault::PauseForgottenInReplay) {
                span.standing.pauses.clear();
            }
            if config.planted(Fault::LossForgottenInReplay) {
                span.standing.lost = None;
            }
            let incident = span.incident.filter(|_| !config.planted(Fault::IncidentForgottenInReplay));
            if let Some(incident) = incident.filter(|_| span.ended.is_none()) {
                self.incidents.opened(span.subscription.id, incident);
            }
            if config.planted(Fault::EarlierFilterForgotten) {
                forget_earlier_filters(&mut span);
            }
            let ended = span.ended.filter(|_| !config.planted(Fault::EndForgottenInReplay));
            self.spans.restore(SubscriptionSpan { ended, ..span });
        }
        for (stream, bytes) in state.parked {
            if let Some(state) = self.stream(stream, sending) {
                state.tail = Some(Tail::default());
                state.parked_bytes = bytes;
                if state.policy().is_of_notifications() {
                    sending.recovery(state.endpoint).failed((self.partition, stream));
                }
                self.unread.insert(stream);
            }
        }
        if !config.planted(Fault::HealthForgottenInReplay) {
            let now = Now { wall: now.wall.max(state.wall), ..now };
            self.restore_health(&state.health, &mut sending.pulses, now);
        }
    }

    /// The state of a stream, made when it is first needed.
    pub(super) fn stream(&mut self, stream: Stream, sending: &mut Sending) -> Option<&mut StreamState> {
        let span = self.spans.get(&stream.subscription)?;
        let probation = self.probations.get(&stream.subscription).filter(|_| stream.kind == StreamKind::Changes);
        let state = self.streams.entry(stream).or_insert_with(|| {
            let mut state = StreamState::new(span.subscription.clone(), stream.kind, 0);
            state.spared_until = probation.map(Probation::until).unwrap_or_default();
            state.endpoint = sending.join(span.subscription.app, state.url.as_deref().unwrap_or_default());
            state.ended = span.ended.is_some();
            state
        });
        Some(state)
    }

    /// Matches one record, the next in order.
    pub(super) fn apply(
        &mut self,
        position: Position,
        record: Arc<Record>,
        now: Now,
        sending: &mut Sending,
        share: usize,
    ) {
        let since = now.wall.whole_seconds();
        let mut entry = Entry {
            at: now.mono,
            since,
            matches: Vec::new(),
            unfinished: 0,
            done: Vec::new(),
            spills: Vec::new(),
            record: for_the_node(Arc::clone(&record)),
            submitting: matches!(*record, Record::Submit(_)),
            event_bytes: None,
        };
        self.follow(&record, position, sending);
        let heard = match self.is_faulty {
            true => self.spans.heard(&for_the_node(Arc::clone(&record)), position),
            false => self.spans.heard(&record, position),
        };
        if let Record::Event(event) = record.original()
            && !heard.is_empty()
        {
            entry.event_bytes = Some(event.estimated_bytes());
        }
        for (stream, seen) in heard {
            self.offer(stream, position, seen, &mut entry, (&mut *sending, share));
        }
        self.window.push_back(entry);
        self.records.add(1);
        self.applied = position;
        self.head = self.head.max(position);
    }

    /// The first submission of a sender that has not reached all its recipients.
    pub fn submitting(&self, sender: UserId) -> Option<(Position, &Arc<Record>)> {
        let is_of = |record: &Record| matches!(record, Record::Submit(submission) if submission.sender == sender);
        let index = self.window.iter().position(|entry| entry.submitting && is_of(&entry.record))?;
        Some((Position(self.cursor.0 + 1 + index as u64), &self.window[index].record))
    }

    fn offer(
        &mut self,
        stream: Stream,
        position: Position,
        change: Option<ChangeType>,
        entry: &mut Entry,
        (sending, share): (&mut Sending, usize),
    ) {
        let partition = self.partition;
        entry.matches.push(stream);
        if stream.kind == StreamKind::Changes && self.spans.is_silenced(&stream.subscription, position) {
            entry.done.push((stream, Done::Abandoned(AbandonReason::Paused)));
            return self.touch(entry.at);
        }
        let Some(state) = self.stream(stream, sending) else { return };
        if state.ended && !entry.record.is_last_word() {
            entry.done.push((stream, Done::Abandoned(AbandonReason::SubscriptionEnded)));
            self.touch(entry.at);
            return;
        }
        let admission = match stream.kind {
            StreamKind::Changes if state.policy().is_of_notifications() => sending.admit(state.endpoint, entry.at),
            StreamKind::Changes | StreamKind::Lifecycle | StreamKind::DeadLetters => Admission::Sent,
        };
        if admission == Admission::Dropped {
            let done = Done::Abandoned(AbandonReason::EndpointDropping);
            entry.done.push((stream, done));
            if state.is_empty() {
                self.emptied.insert(stream);
            }
            self.note_end(stream, done);
            return self.touch(entry.at);
        }
        let hold_micros = if admission == Admission::Held { sending.pulses.hold_micros() } else { 0 };
        let due = entry.since.plus_micros(hold_micros as i64);
        if state.tail.is_none() && state.deliveries.len() >= share {
            let after = state.deliveries.keys().next_back().copied().unwrap_or_default();
            state.tail = Some(Tail::after(after));
        }
        if let Some(tail) = &state.tail {
            entry.spills.push((stream, change, due));
            if tail.asleep.is_none() && !self.unread.contains(&stream) {
                self.tails.insert(stream);
            }
            return self.touch(entry.at);
        }
        let delivery = Delivery::new(change, entry.record.clone(), entry.since).of_bytes(entry.event_bytes);
        let delivery = delivery.held(due, entry.at.plus_micros(hold_micros));
        entry.unfinished += 1;
        let is_held = delivery.held.is_some();
        state.enqueue(position, delivery);
        let endpoint = (!std::mem::replace(&mut state.listed, true)).then_some(state.endpoint);
        self.held.add(1);
        self.holding.extend(is_held.then_some(stream));
        if let Some(endpoint) = endpoint {
            sending.list(endpoint, (partition, stream));
        }
    }

    /// Takes in what a record says of a subscription's life, unless the state that was read has it already.
    fn follow(&mut self, record: &Record, position: Position, sending: &mut Sending) {
        if position <= self.state_head {
            return;
        }
        if let Record::Subscription { id, event: SubscriptionEvent::Patched(after) } = record {
            let span = self.spans.get(id);
            if span.is_some_and(|span| endpoint(&span.subscription) != endpoint(after)) {
                // What another endpoint answered is not held against the new one.
                self.probations.remove(id);
            }
        }
        match record {
            Record::Subscription { id, event: SubscriptionEvent::Ended(_) } => self.end(*id, position),
            _ => self.spans.follow(record, position, self.cursor),
        }
        self.note_endpoint(record, &sending.pulses);
        if let Record::Subscription { id, event: SubscriptionEvent::Patched(_) } = record
            && let Some(subscription) = self.spans.get(id).map(|span| Arc::clone(&span.subscription))
        {
            for kind in StreamKind::ALL {
                self.readdress(Stream { subscription: *id, kind }, &subscription, sending);
            }
        }
    }

    /// The stream follows its subscription's URL; what is in flight ends where it began.
    fn readdress(&mut self, stream: Stream, subscription: &Arc<Subscription>, sending: &mut Sending) {
        let partition = self.partition;
        let Some(state) = self.streams.get_mut(&stream) else { return };
        state.follow(subscription);
        let endpoint = sending.join(subscription.app, state.url.as_deref().unwrap_or_default());
        sending.leave(state.endpoint, (partition, stream));
        if state.has_failed() && state.policy().is_of_notifications() {
            sending.recovery(endpoint).failed((partition, stream));
        }
        if endpoint != state.endpoint {
            state.endpoint = endpoint;
            state.spared_until = Monotonic::default();
            state.moving = state.in_flight > 0;
            state.listed = true;
            sending.list(endpoint, (partition, stream));
            // It may have been let go until its former endpoint is to be tried again.
            self.wake(stream);
        }
    }

    /// The subscription ended at `position`: what no attempt holds is given up now.
    pub(super) fn end(&mut self, id: SubscriptionId, position: Position) {
        if !self.spans.end(id, position) {
            return;
        }
        self.incidents.forget(&id);
        for kind in StreamKind::ALL {
            let stream = Stream { subscription: id, kind };
            if let Some(state) = self.streams.get_mut(&stream) {
                state.ended = true;
            }
            self.wake(stream);
            self.give_up_idle(stream);
        }
    }

    /// Abandons what an ended subscription still has, save what is in flight.
    pub(super) fn give_up_idle(&mut self, stream: Stream) {
        let idle = self.streams.get(&stream).filter(|state| state.ended).map(StreamState::idle).unwrap_or_default();
        for position in idle {
            self.finish(stream, position, Done::Abandoned(AbandonReason::SubscriptionEnded));
        }
    }

    /// Abandons what no attempt holds and was matched at or before `since`; that must be recorded.
    pub(super) fn give_up_since(&mut self, stream: Stream, since: Timestamp, now: Monotonic) {
        let state = self.streams.get(&stream).filter(|state| state.policy().is_of_notifications());
        let late = state.map(|state| state.idle_since(since)).unwrap_or_default();
        if !late.is_empty() {
            self.touch(now);
        }
        for position in late {
            self.finish(stream, position, Done::Abandoned(AbandonReason::Horizon));
        }
    }

    /// A delivery was acknowledged, or has ended otherwise. That a dead letter is kept is how the event ends that it is of.
    pub(super) fn conclude(&mut self, stream: Stream, position: Position, done: Done) {
        let delivery = self.streams.get(&stream).and_then(|state| state.deliveries.get(&position));
        let kept = delivery.and_then(Delivery::given_up).filter(|_| done == Done::Delivered);
        self.finish(stream, position, kept.map_or(done, |given_up| Done::Abandoned(given_up.reason.into())));
    }

    /// A delivery has ended.
    pub(super) fn finish(&mut self, stream: Stream, position: Position, done: Done) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        let Some(finished) = state.finish(position) else { return };
        if state.deliveries.is_empty() {
            self.emptied.insert(stream);
        }
        self.note_end(stream, done);
        self.held.take(1);
        if finished.row.is_some() {
            self.held_parked.take(1);
        }
        if position > self.cursor {
            let index = (position.0 - self.cursor.0 - 1) as usize;
            if let Some(entry) = self.window.get_mut(index) {
                entry.unfinished = entry.unfinished.saturating_sub(1);
                entry.done.push((stream, done));
            }
        } else {
            self.dirty_streams.insert(stream);
            self.ledger.entry(stream.subscription).or_default().parked -= 1;
            self.count_end(stream, done);
        }
    }

    /// The store holds nothing more of this stream: what is still to be parked stays in memory instead.
    pub(super) fn end_tail(&mut self, stream: Stream, now: Now) {
        self.tails.remove(&stream);
        self.unread.remove(&stream);
        let Some(state) = self.streams.get_mut(&stream) else { return };
        state.tail = None;
        if state.is_empty() {
            self.emptied.insert(stream);
        }
        for (index, entry) in self.window.iter_mut().enumerate() {
            let position = Position(self.cursor.0 + 1 + index as u64);
            while let Some(spill) = entry.spills.iter().position(|(spilled, ..)| *spilled == stream) {
                let (_, change, due) = entry.spills.swap_remove(spill);
                entry.unfinished += 1;
                self.held.add(1);
                let delivery = Delivery::new(change, entry.record.clone(), entry.since).of_bytes(entry.event_bytes);
                state.enqueue(position, delivery.held(due, mono_of(due, now)));
            }
        }
    }

    /// Lets a stream go from memory until then. All of it lies in the store.
    pub(super) fn let_go(&mut self, stream: Stream, until: Monotonic, now: Monotonic) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        let held = state.let_go(until, now);
        self.held.take(held);
        self.held_parked.take(held);
        self.tails.remove(&stream);
        self.unread.remove(&stream);
        self.asleep += 1;
    }

    /// A stream that was let go is to be read. Returns whether it had been.
    pub(super) fn wake(&mut self, stream: Stream) -> bool {
        let tail = self.streams.get_mut(&stream).and_then(|state| state.tail.as_mut());
        let was_asleep = tail.is_some_and(|tail| tail.asleep.take().is_some());
        if was_asleep {
            self.asleep = self.asleep.saturating_sub(1);
            self.unread.insert(stream);
        }
        was_asleep
    }

    /// Streams of which a part lies only in the store.
    pub(super) fn spilled(&self) -> usize {
        self.tails.len() + self.unread.len() + self.asleep
    }

    /// Whether nothing is asked of the store, or is still to be.
    pub(super) fn is_at_rest(&self) -> bool {
        let recorded = self.recording.is_none() && self.dirty_since.is_none();
        let read = self.reading.is_none() && self.reads == 0 && self.head <= self.applied;
        let waits = self.lease_too_short || self.window.iter().any(|entry| entry.submitting);
        self.phase == Phase::Active
            && recorded
            && read
            && !waits
            && !self.spans.are_stepping()
            && !self.incidents.are_telling()
    }

    /// Something happened that a checkpoint must record.
    pub(super) fn touch(&mut self, now: Monotonic) {
        self.dirty_since.get_or_insert(now);
    }

    /// Forgets streams that have nothing to deliver: they are made again when there is something.
    pub(super) fn forget_idle(&mut self, sending: &mut Sending) {
        let partition = self.partition;
        self.emptied.retain(|stream| {
            let Some(state) = self.streams.get(stream).filter(|state| state.is_empty()) else { return false };
            let is_idle = !state.listed && state.in_flight == 0;
            if is_idle {
                sending.leave(state.endpoint, (partition, *stream));
                self.streams.remove(stream);
            }
            !is_idle
        });
    }

    /// Forgets subscriptions that have ended and have nothing left to deliver or replay.
    pub(super) fn forget_ended(&mut self, sending: &mut Sending) {
        for id in self.spans.ended_by(self.cursor) {
            let streams = StreamKind::ALL.map(|kind| Stream { subscription: id, kind });
            if streams.iter().any(|stream| self.streams.get(stream).is_some_and(|state| !state.is_empty())) {
                continue;
            }
            for stream in streams {
                if let Some(state) = self.streams.remove(&stream) {
                    sending.leave(state.endpoint, (self.partition, stream));
                }
            }
            self.probations.remove(&id);
            self.spans.forget(id);
        }
    }
}

/// A planted defect.
fn forget_earlier_filters(span: &mut SubscriptionSpan) {
    if let Some(extras) = &mut Arc::make_mut(&mut span.subscription).extras {
        extras.earlier_filters.clear();
    }
}

/// Adds an ending to a ledger.
pub(super) fn count(delta: &mut LedgerDelta, done: Done) {
    match done {
        Done::Delivered => delta.delivered += 1,
        Done::Abandoned(reason) => *delta.abandoned.entry(reason).or_default() += 1,
    }
}
