//! The unfinished deliveries of one subscription to one of its URLs, and which of them may go next.
//!
//! Order, of notifications: while a delivery that has failed is unfinished, no later one is tried for the first time; two
//! deliveries of one item are never in flight together, nor is a later one while an earlier one waits.

mod tail;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph::Timestamp;

use super::delivery::{Delivery, Place, Told};
use super::fault::Fault;
use super::policy::{Policy, Verdict};
use super::{NodeConfig, SteadySet};
use crate::checkpoint::StreamKind;
use crate::push_policy::{LastTry, Pushed};
use crate::{Monotonic, Now, Position, Subscription};
pub(super) use tail::Tail;

/// How far into a queue is looked for an item that may go.
const SCAN_MAX: usize = 256;
/// Where events have failed, a stream may hold so many times its share, so that they keep no later ones from being read.
const SHARES_WITH_FAILED: usize = 8;
/// A stream of events with more in the store than in memory is let go for no longer: what lies there may go before what
/// has failed does.
const PUSH_REST_MICROS: u64 = 60_000_000;

#[derive(Debug)]
pub(super) struct StreamState {
    pub subscription: Arc<Subscription>,
    pub kind: StreamKind,
    /// Where it goes now; `None`: its subscription does not say.
    pub url: Option<Arc<str>>,
    pub endpoint: usize,
    pub deliveries: BTreeMap<Position, Delivery>,
    queue: BTreeSet<Position>,
    waiting: BTreeSet<(Monotonic, Position)>,
    busy: SteadySet<Told>,
    /// Unfinished deliveries that have failed at least once.
    failed: usize,
    pub in_flight: usize,
    /// Rows in the store, or in the checkpoint being recorded, whose deliveries are in memory.
    pub rows: BTreeMap<Position, Vec<Position>>,
    pub dirty_rows: BTreeSet<Position>,
    /// What all that is parked takes, wherever it lies.
    pub parked_bytes: u64,
    pub tail: Option<Tail>,
    /// It stands in its endpoint's list of those that may have something to send.
    pub listed: bool,
    /// The next due time for which a timer is set.
    pub wake: Option<Monotonic>,
    /// Whether new deliveries waited behind one that has failed when it was last looked at, and since when they do not.
    was_blocked: bool,
    free_since: Monotonic,
    /// Nothing goes before this time: its event subscription is on probation.
    pub spared_until: Monotonic,
    /// It has a new endpoint, and an attempt at the old one is still in flight.
    pub moving: bool,
    pub ended: bool,
}

/// What an attempt has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// How many more.
    pub notifications: usize,
    /// Estimated bytes of what it has.
    pub bytes: usize,
    /// The most of them, unless its first notification alone has more.
    bytes_max: usize,
    /// Something was offered that does not fit any more.
    pub is_full: bool,
}

impl Room {
    pub(super) fn new(notifications: usize, bytes_max: usize) -> Self {
        Self { notifications, bytes: 0, bytes_max, is_full: false }
    }

    /// Takes one more notification in, if it fits.
    fn admits(&mut self, bytes: usize) -> bool {
        let all = self.bytes.saturating_add(bytes);
        self.is_full = self.notifications == 0 || (all > self.bytes_max && self.bytes > 0);
        if !self.is_full {
            (self.notifications, self.bytes) = (self.notifications - 1, all);
        }
        !self.is_full
    }
}

/// What a stream had for an attempt.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Those that go.
    pub going: Vec<Position>,
    /// Those that are due and are not tried any more.
    pub over: Vec<(Position, Verdict)>,
}

/// What a stream offers to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    First,
    /// Deliveries that failed this often.
    Retry(u32),
}

impl StreamState {
    pub(super) fn new(subscription: Arc<Subscription>, kind: StreamKind, endpoint: usize) -> Self {
        Self {
            url: url(&subscription, kind),
            subscription,
            kind,
            endpoint,
            deliveries: BTreeMap::new(),
            queue: BTreeSet::new(),
            waiting: BTreeSet::new(),
            busy: SteadySet::default(),
            failed: 0,
            in_flight: 0,
            rows: BTreeMap::new(),
            dirty_rows: BTreeSet::new(),
            parked_bytes: 0,
            tail: None,
            listed: false,
            wake: None,
            was_blocked: false,
            free_since: Monotonic::default(),
            spared_until: Monotonic::default(),
            moving: false,
            ended: false,
        }
    }

    /// Follows its subscription, which may have another URL now.
    pub(super) fn follow(&mut self, subscription: &Arc<Subscription>) {
        self.subscription = Arc::clone(subscription);
        self.url = url(subscription, self.kind);
    }

    /// What its deliveries are subject to.
    pub(super) fn policy(&self) -> Policy<'_> {
        Policy::of(&self.subscription, self.kind)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.tail.is_none() && self.rows.is_empty()
    }

    /// Whether new deliveries wait behind one that has failed.
    pub(super) fn is_blocked(&self) -> bool {
        self.failed > 0 && self.policy().is_of_notifications()
    }

    /// Remembers when what waits behind a failed delivery may go.
    pub(super) fn note_block(&mut self, now: Monotonic) {
        let is_blocked = self.is_blocked();
        if std::mem::replace(&mut self.was_blocked, is_blocked) && !is_blocked {
            self.free_since = now;
        }
    }

    /// How long the oldest delivery of `class` that may go has waited.
    pub(super) fn due_for(&self, now: Now, class: Option<Class>) -> Option<u64> {
        match class? {
            Class::Retry(_) => self.waiting.first().map(|(due, _)| now.mono.since((*due).max(self.spared_until))),
            Class::First => {
                let first = self.deliveries.get(self.queue.first()?)?;
                let since = first.given_up().map_or(first.since, |given_up| given_up.at);
                let matched = u64::try_from(now.wall.since(since)).unwrap_or(0);
                let held = first.held.unwrap_or_default().max(self.free_since).max(self.spared_until);
                Some(matched.min(now.mono.since(held)))
            }
        }
    }

    pub(super) fn enqueue(&mut self, position: Position, delivery: Delivery) {
        self.queue.insert(position);
        self.deliveries.insert(position, delivery);
    }

    /// What may go now; `None`: nothing.
    pub(super) fn class(&self, now: Monotonic, config: &NodeConfig) -> Option<Class> {
        // Of an ended subscription nothing is left but, perhaps, what tells of the end.
        if self.moving || (self.ended && self.kind != StreamKind::Lifecycle) || now < self.spared_until {
            return None;
        }
        if let Some(&(due, position)) = self.waiting.first()
            && due <= now
        {
            return self.deliveries.get(&position).map(|delivery| Class::Retry(delivery.attempts));
        }
        let may_overtake = config.planted(Fault::LaterOvertakesParked) || config.planted(Fault::OrderBrokenOnRetry);
        let is_held = self.held_until().is_some_and(|until| until > now);
        ((!self.is_blocked() || may_overtake) && self.has_queued() && !is_held).then_some(Class::First)
    }

    /// Takes deliveries of `class` into flight, in order, as far as there is room.
    pub(super) fn take(
        &mut self,
        class: Class,
        room: &mut Room,
        now: Now,
        stopped: bool,
        config: &NodeConfig,
    ) -> Taken {
        let taken = match class {
            Class::First => self.pick_first(room, now, stopped, config),
            Class::Retry(attempts) => self.pick_retry(attempts, room, now, stopped, config),
        };
        for position in &taken.going {
            self.queue.remove(position);
            let Some(delivery) = self.deliveries.get_mut(position) else { continue };
            if let Place::Waiting(due) = delivery.place {
                self.waiting.remove(&(due, *position));
            }
            delivery.place = Place::InFlight;
            self.in_flight += 1;
        }
        taken
    }

    fn pick_first(&mut self, room: &mut Room, now: Now, stopped: bool, config: &NodeConfig) -> Taken {
        let subscription = Arc::clone(&self.subscription);
        let policy = Policy::of(&subscription, self.kind);
        let loaded_up_to = self.loaded_up_to();
        let mut taken = Taken::default();
        taken.going.reserve(room.notifications.min(self.queue.len()).min(SCAN_MAX));
        let mut held_back: SteadySet<Told> = SteadySet::default();
        for &position in self.queue.range(..=loaded_up_to).take(SCAN_MAX) {
            let Some(delivery) = self.deliveries.get(&position) else { continue };
            if delivery.held.is_some_and(|until| until > now.mono) {
                break;
            }
            if let Some(verdict) = policy.over(delivery, stopped, now.wall, config) {
                taken.over.push((position, verdict));
                continue;
            }
            let item = delivery.item(&self.subscription);
            if item.is_some_and(|item| held_back.contains(&item) || self.busy.contains(&item)) {
                held_back.extend(item);
                continue;
            }
            if !room.admits(delivery.estimated_bytes(&self.subscription, config)) {
                break;
            }
            self.busy.extend(item);
            taken.going.push(position);
        }
        taken
    }

    fn pick_retry(&self, attempts: u32, room: &mut Room, now: Now, stopped: bool, config: &NodeConfig) -> Taken {
        let (policy, mut taken) = (self.policy(), Taken::default());
        for &(due, position) in &self.waiting {
            let Some(delivery) = self.deliveries.get(&position) else { continue };
            if due > now.mono || taken.going.len() >= usize::from(delivery.batch_max) {
                break;
            }
            if let Some(verdict) = policy.over(delivery, stopped, now.wall, config) {
                taken.over.push((position, verdict));
                continue;
            }
            if delivery.attempts == attempts {
                room.notifications = room.notifications.min(usize::from(delivery.batch_max) - taken.going.len());
                if !room.admits(delivery.estimated_bytes(&self.subscription, config)) {
                    break;
                }
                taken.going.push(position);
            }
        }
        taken
    }

    /// The most notifications that a batch may hold if the next delivery of `class` is to be in it.
    pub(super) fn next_batch_max(&self, class: Class) -> usize {
        let next = self.waiting.first().filter(|_| class != Class::First);
        let delivery = next.and_then(|(_, position)| self.deliveries.get(position));
        delivery.map_or(usize::MAX, |delivery| usize::from(delivery.batch_max))
    }

    /// The least of the batch limits of `positions`.
    pub(super) fn batch_max(&self, positions: &[Position]) -> usize {
        let limits = positions.iter().filter_map(|position| self.deliveries.get(position));
        limits.map(|delivery| usize::from(delivery.batch_max)).min().unwrap_or(usize::MAX)
    }

    /// A delivery in flight has failed and is to be tried again.
    pub(super) fn fail(&mut self, position: Position, due: (Timestamp, Monotonic), batch_max: u16, keep_order: bool) {
        let Some(delivery) = self.deliveries.get_mut(&position) else { return };
        self.in_flight = self.in_flight.saturating_sub(1);
        if delivery.attempts == 0 {
            self.failed += 1;
        }
        delivery.attempts += 1;
        delivery.due = due.0;
        delivery.batch_max = batch_max;
        delivery.place = Place::Waiting(due.1);
        delivery.spared = false;
        self.waiting.insert((due.1, position));
        if let Some(row) = delivery.row {
            self.dirty_rows.insert(row);
        }
        if let Some(item) = delivery.item(&self.subscription).filter(|_| !keep_order) {
            self.busy.remove(&item);
        }
    }

    /// Remembers an attempt of an event that has failed.
    pub(super) fn note_try(&mut self, position: Position, tried: Option<LastTry>) {
        if let Some(delivery) = self.deliveries.get_mut(&position) {
            delivery.pushed = tried.map(Pushed::Failing);
        }
    }

    /// Forgets a delivery that is acknowledged or abandoned.
    pub(super) fn finish(&mut self, position: Position) -> Option<Delivery> {
        let delivery = self.deliveries.remove(&position)?;
        match delivery.place {
            Place::Queued => {
                self.queue.remove(&position);
            }
            Place::InFlight => self.in_flight = self.in_flight.saturating_sub(1),
            Place::Waiting(due) => {
                self.waiting.remove(&(due, position));
            }
        }
        if delivery.place != Place::Queued
            && let Some(item) = delivery.item(&self.subscription)
        {
            self.busy.remove(&item);
        }
        if delivery.attempts > 0 {
            self.failed = self.failed.saturating_sub(1);
        }
        if let Some(row) = delivery.row {
            self.dirty_rows.insert(row);
            self.parked_bytes = self.parked_bytes.saturating_sub(delivery.parked_bytes);
        }
        Some(delivery)
    }

    /// Deliveries that no attempt holds: those to give up when the subscription has ended. What tells of the end
    /// stays.
    pub(super) fn idle(&self) -> Vec<Position> {
        let is_idle = |delivery: &Delivery| delivery.place != Place::InFlight && !delivery.record.is_last_word();
        let idle = self.deliveries.iter().filter(|(_, delivery)| is_idle(delivery));
        idle.map(|(position, _)| *position).collect()
    }

    /// Deliveries that no attempt holds and that were matched at or before `since`.
    pub(super) fn idle_since(&self, since: Timestamp) -> Vec<Position> {
        let idle = self.deliveries.iter();
        idle.filter(|(_, delivery)| delivery.place != Place::InFlight && delivery.since <= since)
            .map(|(position, _)| *position)
            .collect()
    }

    /// The first due time that is still to come.
    pub(super) fn next_due_after(&self, now: Monotonic) -> Option<Monotonic> {
        if let Some(until) = self.asleep() {
            return Some(until);
        }
        if now < self.spared_until {
            return (!self.deliveries.is_empty()).then_some(self.spared_until);
        }
        let next = self.waiting.range((now.plus_micros(1), Position::default())..).next();
        let held = self.held_until().filter(|until| *until > now);
        next.map(|(due, _)| *due).into_iter().chain(held).min()
    }

    /// Until when the next delivery that was never tried is held.
    fn held_until(&self) -> Option<Monotonic> {
        self.deliveries.get(self.queue.first()?)?.held
    }

    /// Whether more of the tail should come into memory.
    pub(super) fn wants_more(&self, share: usize, free_through: Position, config: &NodeConfig) -> bool {
        let few = self.deliveries.len() < share / 2;
        let wanted = self.none_may_go() || few || self.wants_beyond_failed(share);
        self.may_read() && (wanted || self.has_surplus_in_store(free_through, config))
    }

    /// Whether what is in memory waits for more of the tail, and for nothing else: so it must not wait for memory.
    pub(super) fn needs_more(&self) -> bool {
        self.may_read() && self.none_may_go() && !self.deliveries.is_empty()
    }

    /// Until when it was let go.
    pub(super) fn asleep(&self) -> Option<Monotonic> {
        self.tail.as_ref().and_then(|tail| tail.asleep)
    }

    fn may_read(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| !tail.reading && tail.asleep.is_none())
    }

    /// Whether nothing will ever go unless more of the tail is in memory.
    fn none_may_go(&self) -> bool {
        self.failed == 0 && self.in_flight == 0 && !self.has_queued()
    }

    /// Whether something was never tried, and nothing that lies only in the store comes before it.
    fn has_queued(&self) -> bool {
        self.queue.first().is_some_and(|first| *first <= self.loaded_up_to())
    }

    /// Whether all events in memory have failed, so that only what is read may go before they do.
    fn wants_beyond_failed(&self, share: usize) -> bool {
        let most = share.saturating_mul(SHARES_WITH_FAILED);
        let is_idle = self.in_flight == 0 && !self.has_queued();
        is_idle && self.deliveries.len() < most && !self.policy().is_of_notifications()
    }

    /// Until when a stream that may not go now can be let go; `None`: nothing says when it may.
    pub(super) fn rests_until(&self, now: Monotonic) -> Option<Monotonic> {
        let due = self.next_due_after(now)?;
        let has_later = self.tail.is_some() && !self.policy().is_of_notifications();
        Some(if has_later { due.min(now.plus_micros(PUSH_REST_MICROS)) } else { due })
    }
}

/// The URL that a stream of the subscription goes to.
fn url(subscription: &Subscription, kind: StreamKind) -> Option<Arc<str>> {
    match kind {
        StreamKind::Changes => Some(subscription.notification_url.as_str().into()),
        StreamKind::Lifecycle => subscription.lifecycle_url.as_deref().map(Arc::from),
        StreamKind::DeadLetters => {
            let Policy::DeadLetter(kept) = Policy::of(subscription, kind) else { return None };
            Some(format!("dead-letters:{}", kept.map_or("", |kept| &kept.container)).into())
        }
    }
}
