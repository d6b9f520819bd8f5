//! [`Node`]: takes events, keeps leases, timers and partitions, and gives commands.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use graph::{Partition, SubscriptionId, Timestamp};

use super::count::Sums;
use super::fault::Fault;
use super::owned::{Owned, Phase};
use super::pulses::Pulses;
use super::sending::Sending;
use super::wall::Wall;
use super::{Command, Event, NodeConfig, Steady, Step};
use crate::health::{Health, HealthLimits};
use crate::{AbandonReason, Monotonic, Now, Position, Stream};

/// How long a failed read or write of the store is left alone.
pub(super) const STORE_PAUSE_MICROS: u64 = 1_000_000;

/// One worker. See the module's description.
#[derive(Debug, Default)]
pub struct Node {
    pub(super) config: NodeConfig,
    pub(super) wall: Wall,
    pub(super) partitions: Steady<Partition, Owned>,
    /// Of all of them.
    pub(super) sums: Sums,
    pub(super) sending: Sending,
    timers: Timers,
    /// Those of subscriptions and of their incidents. There are many, and few are near.
    lives: Timers,
    /// Partitions whose log is not read on because memory is full.
    pub(super) waiting_for_room: BTreeSet<Partition>,
    /// Which of them had room last.
    pub(super) read_last: Option<Partition>,
    /// Partitions whose parked deliveries are not read for the same reason.
    pub(super) waiting_to_load: BTreeSet<Partition>,
    /// When all that may not go yet was last let go for them.
    pub(super) room_made: Monotonic,
    started: bool,
    pub(super) draining: bool,
    pub(super) retried_in: Option<u64>,
    /// Why something of what the attempt carried that ended last is not tried again, each reason once.
    pub(super) abandoned: Vec<AbandonReason>,
    released: bool,
}

type Timers = BinaryHeap<Reverse<(Monotonic, Timer)>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Acquire,
    Renew,
    Partition(Partition),
    Stream(Partition, Stream),
    Life(Timestamp, Partition, SubscriptionId),
    Incident(Timestamp, Partition, SubscriptionId),
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
    /// Those of them that no parked row holds.
    pub deliveries_unparked: usize,
    /// Streams of which a part lies only in the store.
    pub streams_spilled: usize,
    /// What is parked, by estimate: in all, and of the stream that has most.
    pub parked_bytes: u64,
    pub parked_bytes_max: u64,
    pub window_records: usize,
    /// Records of the log that are known of and not matched yet.
    pub records_behind: u64,
    /// Records that no cursor has passed: in all, and in the partition that has most.
    pub records_unpassed: u64,
    pub records_unpassed_max: u64,
    /// Endpoints that were found to be so last.
    pub endpoints_slow: usize,
    pub endpoints_dropping: usize,
    /// How long the oldest delivery that is due has waited for its attempt; [`Node::stats_at`] says it.
    pub oldest_due_micros: u64,
}

impl Node {
    pub fn new(config: NodeConfig) -> Self {
        let pulses = Pulses::new(faulty(config.health, &config));
        Self { config, sending: Sending::new(pulses), ..Self::default() }
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
        self.record_health(now);
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
        let next = [&self.timers, &self.lives].into_iter().filter_map(|timers| timers.peek());
        next.map(|Reverse((at, _))| *at).min().filter(|_| !self.released)
    }

    /// When time brings the next thing to a delivery or a subscription. Leases and polls do not count, nor what is to be
    /// recorded.
    pub fn due_at(&self) -> Option<Monotonic> {
        let upkeep = |timer: &Timer| matches!(timer, Timer::Acquire | Timer::Renew | Timer::Partition(_));
        let timers = self.timers.iter().filter(|Reverse((_, timer))| !upkeep(timer));
        timers.chain(self.lives.peek()).map(|Reverse((at, _))| *at).min()
    }

    /// Whether nothing is under way and everything is recorded: so it stays until time brings something, or something
    /// happens outside.
    pub fn is_at_rest(&self) -> bool {
        let idle = self.sending.in_flight.is_empty() && !self.partitions.is_empty();
        idle && self.partitions.values().all(Owned::is_at_rest)
    }

    /// Whether everything that was begun before [`Event::Drain`] has ended and is recorded.
    fn is_drained(&self) -> bool {
        let idle = |owned: &Owned| owned.recording.is_none() && owned.dirty_since.is_none() && owned.reads == 0;
        self.draining && self.sending.in_flight.is_empty() && self.partitions.values().all(idle)
    }

    pub fn stats(&self) -> NodeStats {
        let unpassed = |owned: &Owned| owned.head.0.saturating_sub(owned.cursor.0);
        let sum = |of: fn(&Owned) -> usize| self.partitions.values().map(of).sum();
        NodeStats {
            partitions: self.partitions.len(),
            subscriptions: sum(|owned| owned.spans.len()),
            attempts_in_flight: self.sending.in_flight.len(),
            slots_taken: self.sending.slots_taken(),
            deliveries_in_memory: self.sums.held(),
            deliveries_unparked: self.sums.unparked(),
            streams_spilled: sum(Owned::spilled),
            parked_bytes: self.parked_bytes().sum(),
            parked_bytes_max: self.parked_bytes().max().unwrap_or_default(),
            window_records: self.sums.records(),
            records_behind: self.partitions.values().map(|owned| owned.head.0.saturating_sub(owned.applied.0)).sum(),
            records_unpassed: self.partitions.values().map(unpassed).sum(),
            records_unpassed_max: self.partitions.values().map(unpassed).max().unwrap_or_default(),
            endpoints_slow: self.sending.pulses.count(Health::Slow),
            endpoints_dropping: self.sending.pulses.count(Health::Dropping),
            oldest_due_micros: 0,
        }
    }

    /// What each stream has parked.
    fn parked_bytes(&self) -> impl Iterator<Item = u64> {
        self.partitions.values().flat_map(|owned| owned.streams.values()).map(|state| state.parked_bytes)
    }

    /// When the first of the leases ends unless it is extended; `None`: no partition is held.
    pub fn leased_until(&self) -> Option<Monotonic> {
        self.partitions.values().map(|owned| owned.lease_until).min()
    }

    /// Whether it goes by what the log says up to a position; of a partition that it does not have it begins nothing.
    pub fn has_followed(&self, partition: Partition, position: Position) -> bool {
        let follows = |owned: &Owned| owned.phase == Phase::Active && owned.applied >= position;
        self.partitions.get(&partition).is_none_or(follows)
    }

    /// Timers that were set by a wall clock that has stepped forward meanwhile are set anew.
    fn follow_step(&mut self, now: Now) -> Now {
        let Some(wall) = self.wall.take_step() else { return now };
        let now = Now { wall, mono: now.mono };
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            self.arm_all(partition, now);
            self.arm_incidents(partition, now);
        }
        now
    }

    pub(super) fn at(&mut self, when: Monotonic, timer: Timer) {
        let timers =
            if matches!(timer, Timer::Life(..) | Timer::Incident(..)) { &mut self.lives } else { &mut self.timers };
        timers.push(Reverse((when, timer)));
    }

    /// The next timer that is due.
    pub(super) fn next_due(&mut self, now: Monotonic) -> Option<(Monotonic, Timer)> {
        for timers in [&mut self.timers, &mut self.lives] {
            if timers.peek().is_some_and(|Reverse((when, _))| *when <= now) {
                return timers.pop().map(|Reverse(due)| due);
            }
        }
        None
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
            Event::GiveUp { partition, through } => self.give_up_through(partition, through, now, commands),
            Event::EndCommitted { partition, subscription, position } => {
                let owned = self.partitions.get_mut(&partition)?;
                owned.end(subscription, position);
                owned.touch(now.mono);
                Some(partition)
            }
            Event::Attempted { attempt, outcome, lacks } => {
                self.attempted(attempt, outcome, &lacks, now, commands);
                None
            }
            Event::Checkpointed { partition, epoch, number, answer } => {
                self.checkpointed(partition, epoch, number, answer, now, commands)
            }
            Event::Stepped { partition, subscription, step: Step::Missed { .. }, done } => {
                self.told((partition, subscription), done, now, commands);
                None
            }
            Event::Stepped { partition, subscription, step: _, done } => {
                self.stepped(partition, subscription, done, now);
                None
            }
            Event::Submitted { partition, epoch, position, done } => {
                self.submitted((partition, epoch, position), done, now, commands)
            }
            Event::Drain => {
                self.draining = true;
                None
            }
        }
    }
}

/// The limits with the defect that is planted in them.
fn faulty(health: HealthLimits, config: &NodeConfig) -> HealthLimits {
    if config.planted(Fault::HeldTooLong) {
        return HealthLimits { hold_micros: health.hold_micros * 4, ..health };
    }
    if config.planted(Fault::DroppedTooShort) {
        return HealthLimits { drop_for_micros: health.drop_for_micros / 4, ..health };
    }
    if config.planted(Fault::DroppedWhileSlow) {
        return HealthLimits { drop_micros: health.slow_micros, drop_percent: health.slow_percent, ..health };
    }
    health
}
