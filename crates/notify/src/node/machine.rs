//! [`Node`]: takes events, keeps leases, timers and partitions, and gives commands.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use graph::{Partition, SubscriptionId, Timestamp};

use super::owned::{Owned, Phase};
use super::sending::{Sending, StreamAt};
use super::wall::{Wall, mono_of};
use super::{CheckpointAnswer, Command, Event, NodeConfig, Steady};
use crate::checkpoint::{LoadedParked, PartitionState};
use crate::node::fault::Fault;
use crate::{Monotonic, Now, Position, Record, Stream, SubscriptionEvent, retry};

/// How long a failed read or write of the store is left alone.
const STORE_PAUSE_MICROS: u64 = 1_000_000;
/// How long records that nobody hears of may wait for a checkpoint.
const IDLE_CHECKPOINT_MICROS: u64 = 1_000_000;
/// Attempts that end before it is asked again whether there is room.
const ROOM_ASKED_EVERY: u64 = 32;
/// Parked reads under way for one partition.
const READS_MAX: usize = 8;

/// One worker. See the module's description.
#[derive(Debug, Default)]
pub struct Node {
    pub(super) config: NodeConfig,
    wall: Wall,
    pub(super) partitions: Steady<Partition, Owned>,
    pub(super) sending: Sending,
    timers: BinaryHeap<Reverse<(Monotonic, Timer)>>,
    /// Partitions whose log is not read on because memory is full.
    waiting_for_room: BTreeSet<Partition>,
    started: bool,
    draining: bool,
    released: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Acquire,
    Renew,
    Partition(Partition),
    Stream(Partition, Stream),
    Expiry(Timestamp, Partition, SubscriptionId),
    Submit(Partition, u64, Position),
}

/// What a node holds, for metrics and for the promise that memory is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeStats {
    pub partitions: usize,
    pub subscriptions: usize,
    pub attempts_in_flight: usize,
    pub slots_taken: u32,
    pub deliveries_in_memory: usize,
    pub window_records: usize,
    /// Records of the log that are known of and not matched yet.
    pub records_behind: u64,
}

impl Node {
    pub fn new(config: NodeConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Takes one event at `now`, and appends what is to be done to `commands`.
    pub fn handle(&mut self, event: Event, now: Now, commands: &mut Vec<Command>) {
        if self.released {
            return;
        }
        let now = Now { wall: self.wall.observe(now), mono: now.mono };
        if !self.started {
            self.started = true;
            self.at(now.mono, Timer::Acquire);
            self.at(now.mono.plus_micros(self.config.renew_micros), Timer::Renew);
        }
        let touched = self.take(event, now, commands);
        let now = self.follow_step(now);
        self.run_timers(now, commands);
        self.dispatch(now, commands);
        if let Some(partition) = touched {
            self.schedule(partition, now);
        }
        self.use_room(now, commands);
        if self.is_drained() && !std::mem::replace(&mut self.released, true) {
            commands.push(Command::Release);
        }
    }

    /// When the next [`Event::Tick`] is due; `None` before the first event and after the leases are given back.
    pub fn wakes_at(&self) -> Option<Monotonic> {
        self.timers.peek().filter(|_| !self.released).map(|Reverse((at, _))| *at)
    }

    /// Whether everything that was begun before [`Event::Drain`] has ended and is recorded.
    fn is_drained(&self) -> bool {
        let idle = |owned: &Owned| owned.recording.is_none() && owned.dirty_since.is_none() && owned.reads == 0;
        self.draining && self.sending.in_flight.is_empty() && self.partitions.values().all(idle)
    }

    pub fn stats(&self) -> NodeStats {
        let sum = |of: fn(&Owned) -> usize| self.partitions.values().map(of).sum();
        NodeStats {
            partitions: self.partitions.len(),
            subscriptions: sum(|owned| owned.spans.len()),
            attempts_in_flight: self.sending.in_flight.len(),
            slots_taken: self.sending.slots_taken(),
            deliveries_in_memory: sum(|owned| owned.held),
            window_records: sum(|owned| owned.window.len()),
            records_behind: self.partitions.values().map(|owned| owned.head.0.saturating_sub(owned.applied.0)).sum(),
        }
    }

    /// Timers that were set by a wall clock that has stepped forward meanwhile are set anew.
    fn follow_step(&mut self, now: Now) -> Now {
        let Some(wall) = self.wall.take_step() else { return now };
        let now = Now { wall, mono: now.mono };
        let live = |owned: &Owned| {
            let spans = owned.spans.values().filter(|span| span.ended.is_none());
            let expiries = spans.map(|span| (span.subscription.expires, owned.partition, span.subscription.id));
            expiries.collect::<Vec<_>>()
        };
        for (expires, partition, id) in self.partitions.values().flat_map(live).collect::<Vec<_>>() {
            self.at(mono_of(expires, now), Timer::Expiry(expires, partition, id));
        }
        now
    }

    pub(super) fn at(&mut self, when: Monotonic, timer: Timer) {
        self.timers.push(Reverse((when, timer)));
    }

    /// Returns the partition that must be looked at again.
    fn take(&mut self, event: Event, now: Now, commands: &mut Vec<Command>) -> Option<Partition> {
        match event {
            Event::Tick => None,
            Event::Leases { asked, renewal, held } => {
                self.leases(asked, renewal, held, now, commands);
                None
            }
            Event::LeasesFailed { .. } => None,
            Event::State { partition, epoch, state } => self.take_over(partition, epoch, state, now, commands),
            Event::Log { partition, epoch, records } => self.log_read(partition, epoch, records, now, commands),
            Event::Parked { partition, epoch, stream, rows } => {
                self.parked_read(partition, epoch, stream, rows, now, commands)
            }
            Event::Published { partition, records } => {
                self.apply(partition, records, now, commands);
                Some(partition)
            }
            Event::Look { partition } => {
                self.read_log(partition, now, commands);
                Some(partition)
            }
            Event::EndCommitted { partition, subscription, position } => {
                let owned = self.partitions.get_mut(&partition)?;
                owned.end(subscription, position);
                owned.touch(now.mono);
                Some(partition)
            }
            Event::Attempted { attempt, outcome } => {
                self.attempted(attempt, outcome, now);
                None
            }
            Event::Checkpointed { partition, epoch, number, answer } => {
                self.checkpointed(partition, epoch, number, answer, now, commands)
            }
            Event::Ended { partition, subscription, done } => {
                self.expiry_answered(partition, subscription, done, now);
                None
            }
            Event::Submitted { partition, epoch, position, done } => {
                self.submitted(partition, epoch, position, done, now)
            }
            Event::Drain => {
                self.draining = true;
                None
            }
        }
    }

    // --- leases ---

    fn drop_partition(&mut self, partition: Partition) {
        if let Some(owned) = self.partitions.remove(&partition) {
            for state in owned.streams.values() {
                self.sending.leave(state.endpoint);
            }
        }
    }

    fn leases(
        &mut self,
        asked: Monotonic,
        renewal: bool,
        held: Vec<(Partition, u64)>,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let until = asked.plus_micros(self.config.lease_micros);
        if renewal {
            self.drop_lost(asked, &held);
        }
        if until <= now.mono {
            return;
        }
        for (partition, epoch) in held {
            match self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch) {
                Some(owned) => {
                    owned.lease_until = owned.lease_until.max(until);
                    if std::mem::take(&mut owned.lease_too_short) {
                        self.list_all(partition);
                    }
                }
                None if renewal || self.draining => {}
                None => {
                    self.drop_partition(partition);
                    self.partitions.insert(partition, Owned::new(partition, epoch, until, now.mono));
                    commands.push(Command::ReadState { partition, epoch });
                }
            }
        }
    }

    /// Drops what the store says is no longer held. A partition whose lease has lapsed by this node's own
    /// clock begins nothing, but stays until then: if nobody else has taken it, its epoch is still the
    /// same, and so must be what is known of it, for an old checkpoint may still be on its way.
    fn drop_lost(&mut self, asked: Monotonic, held: &[(Partition, u64)]) {
        let held: BTreeMap<Partition, u64> = held.iter().copied().collect();
        let lapsed = self.partitions.values().filter(|owned| owned.lease_until <= asked);
        let lost = lapsed.filter(|owned| held.get(&owned.partition) != Some(&owned.epoch));
        for partition in lost.map(|owned| owned.partition).collect::<Vec<_>>() {
            self.drop_partition(partition);
        }
    }

    fn list_all(&mut self, partition: Partition) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        for (stream, state) in &mut owned.streams {
            if !state.listed && !state.deliveries.is_empty() {
                state.listed = true;
                self.sending.list(state.endpoint, (partition, *stream));
            }
        }
    }

    // --- the log ---

    fn take_over(
        &mut self,
        partition: Partition,
        epoch: u64,
        state: Option<PartitionState>,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        if owned.phase == Phase::Active {
            return None;
        }
        let Some(state) = state else {
            owned.phase = Phase::Failed;
            return Some(partition);
        };
        self.wall.raise(state.wall);
        owned.take_over(state, &mut self.sending, &self.config);
        let live = owned.spans.values().filter(|span| span.ended.is_none());
        let expiries: Vec<_> = live.map(|span| (span.subscription.expires, span.subscription.id)).collect();
        for (expires, id) in expiries {
            self.at(mono_of(expires, now), Timer::Expiry(expires, partition, id));
        }
        self.read_tails(partition, commands);
        self.read_log(partition, now, commands);
        Some(partition)
    }

    /// How many deliveries one stream may hold in memory now.
    fn share(&self) -> usize {
        let held: usize = self.partitions.values().map(|owned| owned.held).sum();
        (self.config.deliveries_max.saturating_sub(held) / 32).max(4).min(self.config.stream_share_max)
    }

    /// How much of the limits on memory is taken.
    fn load(&self) -> Load {
        self.partitions.values().fold(Load::default(), |load, owned| Load {
            held: load.held + owned.held,
            unparked: load.unparked + owned.unparked(),
            window: load.window + owned.window.len(),
        })
    }

    fn has_room(&self) -> bool {
        !self.draining && self.load().has_room(&self.config)
    }

    /// Matches records that follow on those already matched; whatever else they are, they tell how far
    /// the log has grown.
    fn apply(
        &mut self,
        partition: Partition,
        records: Vec<(Position, Arc<Record>)>,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let share = self.share();
        let mut load = self.load();
        let draining = self.draining;
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let mut expiries = Vec::new();
        for (position, record) in records {
            owned.head = owned.head.max(position);
            let in_order = position == owned.applied.next()
                || (position > owned.applied && self.config.planted(Fault::PositionOutOfOrderAccepted));
            if owned.phase != Phase::Active || draining || !load.has_room(&self.config) || !in_order {
                continue;
            }
            let (held, unparked) = (owned.held, owned.unparked());
            if let Record::Subscription { id, event } = &*record
                && let SubscriptionEvent::Began(it) | SubscriptionEvent::Patched(it) = event
            {
                expiries.push((it.expires, *id));
            }
            if let Record::Submit(_) = &*record {
                commands.push(Command::Submit { partition, epoch: owned.epoch, position, record: record.clone() });
            }
            owned.apply(position, record, now, &mut self.sending, share);
            // An end gives deliveries up: what is held can shrink.
            load.held = load.held + owned.held - held;
            load.unparked = load.unparked + owned.unparked() - unparked;
            load.window += 1;
        }
        for (expires, id) in expiries {
            self.at(mono_of(expires, now), Timer::Expiry(expires, partition, id));
        }
        self.catch_up(partition, now, commands);
    }

    /// Reads on if the log is known to have more, and there is room for it.
    fn catch_up(&mut self, partition: Partition, now: Now, commands: &mut Vec<Command>) {
        if self.partitions.get(&partition).is_some_and(|owned| owned.head > owned.applied) {
            self.read_log(partition, now, commands);
        }
    }

    /// Lets the partitions read on that stopped for want of room, once there is some again.
    fn use_room(&mut self, now: Now, commands: &mut Vec<Command>) {
        let ended = self.sending.attempts_ended();
        // To add up what is held costs more than an event should.
        if self.waiting_for_room.is_empty() || !ended.is_multiple_of(ROOM_ASKED_EVERY) || !self.has_room() {
            return;
        }
        for partition in std::mem::take(&mut self.waiting_for_room) {
            self.read_log(partition, now, commands);
        }
    }

    fn read_log(&mut self, partition: Partition, now: Now, commands: &mut Vec<Command>) {
        let limit = self.config.read_records;
        let room = self.has_room();
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        if !room {
            self.waiting_for_room.insert(partition);
        } else if owned.phase == Phase::Active && !owned.reading {
            owned.reading = true;
            owned.looked = now.mono;
            commands.push(Command::ReadLog { partition, epoch: owned.epoch, after: owned.applied, limit });
        }
    }

    fn log_read(
        &mut self,
        partition: Partition,
        epoch: u64,
        records: Option<Vec<(Position, Arc<Record>)>>,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        owned.reading = false;
        let Some(records) = records else { return Some(partition) };
        if records.len() >= self.config.read_records {
            // A full page: there may be more.
            owned.head = owned.head.max(records.last().map(|(last, _)| last.next()).unwrap_or_default());
        } else if records.is_empty() {
            owned.head = owned.applied;
        }
        self.apply(partition, records, now, commands);
        Some(partition)
    }

    // --- parked deliveries ---

    /// Asks for more of the streams that lie partly in the store.
    fn read_tails(&mut self, partition: Partition, commands: &mut Vec<Command>) {
        let share = self.share();
        let rows = self.config.read_rows;
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        if owned.recording.is_some() || self.draining || owned.phase != Phase::Active {
            return;
        }
        for stream in &owned.tails {
            if owned.reads >= READS_MAX {
                break;
            }
            let Some(state) = owned.streams.get_mut(stream).filter(|state| state.wants_more(share)) else { continue };
            let Some(tail) = &mut state.tail else { continue };
            tail.reading = true;
            owned.reads += 1;
            let (stream, after) = (*stream, tail.after);
            commands.push(Command::ReadParked { partition, epoch: owned.epoch, stream, after, rows });
        }
    }

    fn parked_read(
        &mut self,
        partition: Partition,
        epoch: u64,
        stream: Stream,
        rows: Option<Vec<LoadedParked>>,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        owned.reads = owned.reads.saturating_sub(1);
        let state = owned.streams.get_mut(&stream)?;
        if let Some(tail) = &mut state.tail {
            tail.reading = false;
        }
        let Some(rows) = rows else { return Some(partition) };
        let complete = rows.len() < self.config.read_rows;
        // No wait is longer than the longest: a due time beyond it comes from a clock that was wrong.
        let latest = now.mono.plus_micros(retry::wait_micros_max());
        owned.held += state.load(rows, |due| mono_of(due, now).min(latest));
        if complete {
            owned.end_tail(stream);
        }
        owned.give_up_idle(stream);
        owned.touch(now.mono);
        self.wake_stream((partition, stream), now.mono);
        self.read_tails(partition, commands);
        Some(partition)
    }

    /// The stream may have something to send now, or will have at its next due time.
    pub(super) fn wake_stream(&mut self, at: StreamAt, now: Monotonic) {
        let Some(state) = self.partitions.get_mut(&at.0).and_then(|owned| owned.streams.get_mut(&at.1)) else { return };
        if !state.listed && !state.deliveries.is_empty() {
            state.listed = true;
            self.sending.list(state.endpoint, at);
        }
        let due = state.next_due_after(now);
        if let Some(due) = due.filter(|due| state.wake.is_none_or(|wake| *due < wake)) {
            state.wake = Some(due);
            self.at(due, Timer::Stream(at.0, at.1));
        }
    }

    /// A due time of the stream has come.
    fn stream_due(&mut self, (partition, stream): StreamAt, when: Monotonic, now: Now) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let Some(state) = owned.streams.get_mut(&stream).filter(|state| state.wake == Some(when)) else { return };
        state.wake = None;
        owned.give_up_since(stream, now.wall.plus_micros(-self.config.horizon_micros), now.mono);
        self.wake_stream((partition, stream), now.mono);
        self.schedule(partition, now);
    }

    // --- checkpoints ---

    fn checkpointed(
        &mut self,
        partition: Partition,
        epoch: u64,
        number: u64,
        answer: CheckpointAnswer,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        let recording = owned.recording.as_mut().filter(|recording| recording.checkpoint.number == number)?;
        match answer {
            CheckpointAnswer::Recorded => {}
            CheckpointAnswer::OutOfTurn { last } if last == number => {}
            CheckpointAnswer::Unknown => {
                recording.again_at = Some(now.mono.plus_micros(STORE_PAUSE_MICROS));
                if self.config.planted(Fault::CheckpointAppliedTwice) {
                    recording.checkpoint.number += 1;
                    owned.number += 1;
                }
                return Some(partition);
            }
            CheckpointAnswer::Fenced | CheckpointAnswer::OutOfTurn { .. } => {
                self.drop_partition(partition);
                return None;
            }
        }
        owned.recording = None;
        owned.forget_ended(&mut self.sending);
        self.read_tails(partition, commands);
        self.catch_up(partition, now, commands);
        Some(partition)
    }

    /// Does what is due in a partition, and sets its next timer.
    fn look_after(&mut self, partition: Partition, now: Now, commands: &mut Vec<Command>) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        owned.wake = None;
        match owned.phase {
            Phase::Reading => return,
            Phase::Failed => {
                owned.phase = Phase::Reading;
                commands.push(Command::ReadState { partition, epoch: owned.epoch });
                return;
            }
            Phase::Active => {}
        }
        let due = checkpoint_due(owned, &self.config).is_some_and(|due| due <= now.mono);
        match &mut owned.recording {
            Some(recording) if recording.again_at.is_some_and(|at| at <= now.mono) => {
                recording.again_at = None;
                commands.push(Command::Checkpoint(recording.checkpoint.clone()));
            }
            None if owned.reads == 0 && due => {
                commands.extend(owned.checkpoint(now, &self.config).map(Command::Checkpoint));
            }
            _ => {}
        }
        self.read_tails(partition, commands);
        let owned = self.partitions.get(&partition);
        if owned.is_some_and(|owned| now.mono.since(owned.looked) >= self.config.poll_micros) {
            self.read_log(partition, now, commands);
        }
        self.catch_up(partition, now, commands);
        self.schedule(partition, now);
    }

    fn schedule(&mut self, partition: Partition, now: Now) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let due = match (owned.phase, &owned.recording) {
            (Phase::Reading, _) => return,
            (Phase::Failed, _) => now.mono.plus_micros(STORE_PAUSE_MICROS),
            (Phase::Active, Some(recording)) => recording.again_at.unwrap_or(Monotonic(u64::MAX)),
            (Phase::Active, None) if owned.reads > 0 => Monotonic(u64::MAX),
            (Phase::Active, None) => checkpoint_due(owned, &self.config).unwrap_or(Monotonic(u64::MAX)),
        };
        let behind = owned.head > owned.applied && !owned.reading;
        let idle_tail = !owned.tails.is_empty() && owned.recording.is_none() && owned.reads == 0;
        let pause = if behind || idle_tail { STORE_PAUSE_MICROS } else { self.config.poll_micros };
        let when = due.min(now.mono.plus_micros(pause));
        if owned.wake.is_none_or(|wake| when < wake) {
            owned.wake = Some(when);
            self.at(when, Timer::Partition(partition));
        }
    }

    // --- timers ---

    fn run_timers(&mut self, now: Now, commands: &mut Vec<Command>) {
        while let Some(Reverse((when, timer))) = self.timers.peek().copied() {
            if when > now.mono {
                break;
            }
            self.timers.pop();
            self.run_timer(when, timer, now, commands);
        }
    }

    fn run_timer(&mut self, when: Monotonic, timer: Timer, now: Now, commands: &mut Vec<Command>) {
        match timer {
            Timer::Acquire => {
                self.at(now.mono.plus_micros(self.config.acquire_micros), Timer::Acquire);
                let held = self.partitions.values().filter(|owned| owned.lease_until > now.mono).count();
                if !self.draining && held < usize::from(graph::PARTITIONS) {
                    let (asked, lease_micros) = (now.mono, self.config.lease_micros);
                    commands.push(Command::Acquire { asked, max: usize::from(graph::PARTITIONS), lease_micros });
                }
            }
            Timer::Renew => {
                self.at(now.mono.plus_micros(self.config.renew_micros), Timer::Renew);
                if !self.partitions.is_empty() {
                    commands.push(Command::Renew { asked: now.mono, lease_micros: self.config.lease_micros });
                }
            }
            Timer::Partition(partition) => {
                if self.partitions.get(&partition).is_some_and(|owned| owned.wake == Some(when)) {
                    self.look_after(partition, now, commands);
                }
            }
            Timer::Stream(partition, stream) => self.stream_due((partition, stream), when, now),
            Timer::Expiry(expires, partition, id) => self.expire(expires, partition, id, now, commands),
            Timer::Submit(partition, epoch, position) => self.submit_again(partition, epoch, position, commands),
        }
    }

    fn expire(
        &mut self,
        expires: Timestamp,
        partition: Partition,
        id: SubscriptionId,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let Some(span) = owned.spans.get_mut(&id) else { return };
        if span.ended.is_some() || span.ending || span.subscription.expires != expires {
            return;
        }
        if expires > now.wall {
            // The wall clock was set back, or a leap is not believed yet.
            let later = mono_of(expires, now).min(now.mono.plus_micros(60 * STORE_PAUSE_MICROS));
            return self.at(later, Timer::Expiry(expires, partition, id));
        }
        span.ending = true;
        commands.push(Command::End { partition, subscription: id, expires });
    }

    fn expiry_answered(&mut self, partition: Partition, id: SubscriptionId, done: bool, now: Now) {
        let span = self.partitions.get_mut(&partition).and_then(|owned| owned.spans.get_mut(&id));
        let Some(span) = span.filter(|_| !done) else { return };
        span.ending = false;
        let expires = span.subscription.expires;
        self.at(now.mono.plus_micros(STORE_PAUSE_MICROS), Timer::Expiry(expires, partition, id));
    }

    fn submitted(
        &mut self,
        partition: Partition,
        epoch: u64,
        position: Position,
        done: bool,
        now: Now,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        if !done {
            self.at(now.mono.plus_micros(STORE_PAUSE_MICROS), Timer::Submit(partition, epoch, position));
            return None;
        }
        let index = position.0.checked_sub(owned.cursor.0 + 1)?;
        owned.window.get_mut(index as usize)?.submitting = false;
        owned.touch(now.mono);
        Some(partition)
    }

    fn submit_again(&mut self, partition: Partition, epoch: u64, position: Position, commands: &mut Vec<Command>) {
        let owned = self.partitions.get(&partition).filter(|owned| owned.epoch == epoch);
        let entry = owned.and_then(|owned| owned.window.get(position.0.checked_sub(owned.cursor.0 + 1)? as usize));
        if let Some(entry) = entry.filter(|entry| entry.submitting) {
            commands.push(Command::Submit { partition, epoch, position, record: entry.record.clone() });
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    pub(super) fn reschedule(&mut self, partition: Partition, now: Now) {
        self.schedule(partition, now);
    }
}

/// What is taken of the limits on memory.
#[derive(Clone, Copy, Default)]
struct Load {
    held: usize,
    unparked: usize,
    window: usize,
}

impl Load {
    fn has_room(self, config: &NodeConfig) -> bool {
        self.held < config.deliveries_max && self.unparked < config.unparked_max && self.window < config.window_max
    }
}

/// When the partition's next checkpoint is to be built, if there is anything to record.
fn checkpoint_due(owned: &Owned, config: &NodeConfig) -> Option<Monotonic> {
    let dirty = owned.dirty_since.map(|since| since.plus_micros(config.checkpoint_micros));
    let first = owned.window.front().filter(|entry| !entry.submitting);
    let first = first.map(|entry| {
        entry.at.plus_micros(if entry.unfinished > 0 { config.park_micros } else { IDLE_CHECKPOINT_MICROS })
    });
    match (dirty, first) {
        (Some(dirty), Some(first)) => Some(dirty.min(first)),
        (dirty, first) => dirty.or(first),
    }
}
