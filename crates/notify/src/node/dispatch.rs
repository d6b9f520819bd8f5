//! Building attempts from what the streams offer, and taking in what they came to.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fault::Fault;
use super::machine::Node;
use super::owned::Done;
use super::policy::{Policy, Verdict};
use super::pushing::last_try;
use super::sending::StreamAt;
use super::stream::{Class, Room, Taken};
use super::{Attempt, Command, Lack, Notification, Outcome, Purpose};
use crate::health::Health;
use crate::subscription::TlsVersion;
use crate::{AbandonReason, Now, Position, notification};

/// Streams of one endpoint that are asked for one batch.
const STREAMS_PER_BATCH_MAX: usize = 256;

/// An attempt being put together.
struct Batch {
    purpose: Purpose,
    timeout_micros: u64,
    class: Class,
    url: Arc<str>,
    tls: TlsVersion,
    /// Under which name those that are told of content know this server; `None`: there are none of them yet.
    origin: Option<String>,
    room: Room,
    deliveries: Vec<(StreamAt, u64, Position)>,
    notifications: Vec<Notification>,
}

impl Batch {
    /// Whether another stream that offers this may be in the same request.
    fn goes_with(
        &self,
        (purpose, class): (Purpose, Class),
        (url, tls): (&str, TlsVersion),
        origin: Option<&str>,
    ) -> bool {
        let other_origin = origin.zip(self.origin.as_deref()).is_some_and(|(origin, other)| origin != other);
        // Those of an event subscription go alone: what they are sent with is its own.
        let is_apart = self.purpose != purpose || (purpose != Purpose::Notify && !self.deliveries.is_empty());
        !is_apart && self.class == class && &*self.url == url && self.tls == tls && !other_origin
    }
}

impl Node {
    /// Begins as many attempts as there are free slots and deliveries that may go.
    pub(super) fn dispatch(&mut self, now: Now, commands: &mut Vec<Command>) {
        if self.draining {
            return;
        }
        while let Some(endpoint) = self.sending.next_endpoint(now.mono, &self.config) {
            if let Some(batch) = self.batch(endpoint, now) {
                let Batch { purpose, timeout_micros, url, tls, notifications, room, .. } = batch;
                let id = self.sending.begin((endpoint, purpose), batch.deliveries, (now.mono, timeout_micros));
                let estimated_bytes = room.bytes;
                let failed = match batch.class {
                    Class::First => 0,
                    Class::Retry(attempts) => attempts,
                };
                let attempt = Attempt { id, purpose, url, tls, timeout_micros, notifications, estimated_bytes, failed };
                commands.push(Command::Attempt(attempt));
            }
            self.sending.served(endpoint);
        }
    }

    /// Draws one batch from the streams of an endpoint.
    fn batch(&mut self, endpoint: usize, now: Now) -> Option<Batch> {
        let mut batch: Option<Batch> = None;
        let mut other: Vec<StreamAt> = Vec::new();
        for _ in 0..STREAMS_PER_BATCH_MAX {
            let Some(at) = self.sending.next_stream(endpoint) else { break };
            let more = self.draw(at, endpoint, now, &mut batch);
            if more {
                other.push(at);
            }
            if batch.as_ref().is_some_and(|batch| batch.room.is_full) {
                break;
            }
        }
        if batch.as_ref().is_some_and(|batch| batch.purpose != Purpose::Notify) {
            // It goes alone, and few at a time: those that it does not go with have their turns before it has another.
            other.pop().into_iter().for_each(|at| self.sending.put_last(endpoint, at));
        }
        for at in other.into_iter().rev() {
            self.sending.put_back(endpoint, at);
        }
        batch
    }

    /// Moves what one stream offers into the batch. Returns whether the stream may have more.
    fn draw(&mut self, at: StreamAt, endpoint: usize, now: Now, batch: &mut Option<Batch>) -> bool {
        let horizon = now.wall.plus_micros(-self.config.horizon_micros);
        let Some(owned) = self.partitions.get_mut(&at.0) else { return false };
        let Some(state) = owned.streams.get_mut(&at.1).filter(|state| state.endpoint == endpoint) else {
            return false;
        };
        let is_late = state.deliveries.values().next().is_some_and(|oldest| oldest.since <= horizon);
        if is_late && state.policy().is_of_notifications() {
            owned.give_up_since(at.1, horizon, now.mono);
        }
        let stopped = owned.is_stopped(&at.1);
        let Some(state) = owned.streams.get_mut(&at.1) else { return false };
        let (Some(class), Some(url)) = (state.class(now.mono, &self.config), state.url.clone()) else {
            state.listed = false;
            // What stood before it may have been given up right now, and what comes first be held.
            self.await_due(at, now.mono);
            return false;
        };
        let policy = Policy::of(&state.subscription, at.1.kind);
        let (purpose, timeout) = (policy.purpose(), policy.timeout_micros(class, &self.config));
        let lease_covers = now.mono.plus_micros(timeout) <= owned.lease_until;
        if !lease_covers && !self.config.planted(Fault::SendAfterLeaseEnd) {
            owned.lease_too_short = true;
            state.listed = false;
            return false;
        }
        let tls = state.subscription.tls_version;
        let open = batch.get_or_insert_with(|| Batch {
            purpose,
            timeout_micros: timeout,
            class,
            url: Arc::clone(&url),
            tls,
            origin: None,
            room: policy.room(&self.config),
            deliveries: Vec::new(),
            notifications: Vec::new(),
        });
        let fits = open.deliveries.is_empty() || state.next_batch_max(class) > open.deliveries.len();
        let subscription = Arc::clone(&state.subscription);
        let origin = subscription.origin();
        if !fits || !open.goes_with((purpose, class), (&url, tls), origin) {
            return true;
        }
        let Taken { going: taken, over } = state.take(class, &mut open.room, now, stopped, &self.config);
        if taken.is_empty() {
            let may_have_more = open.room.is_full || !over.is_empty();
            if open.deliveries.is_empty() {
                *batch = None;
            }
            state.listed = may_have_more;
            self.end_all_over(at, over, now);
            return may_have_more;
        }
        open.origin = open.origin.take().or_else(|| origin.map(str::to_owned));
        let limit = state.batch_max(&taken);
        let left = limit.saturating_sub(open.deliveries.len() + taken.len());
        open.room.notifications = open.room.notifications.min(left);
        open.room.is_full |= open.room.notifications == 0 || purpose != Purpose::Notify;
        let access_lost = owned.spans.has_lost_access(&at.1.subscription);
        for position in taken {
            let Some(delivery) = state.deliveries.get(&position) else { continue };
            let (subscription, record, change) = (subscription.clone(), delivery.record.clone(), delivery.change);
            let id = notification::id(subscription.id, &record, change);
            let given_up = delivery.given_up();
            open.notifications.push(Notification { id, subscription, record, position, change, access_lost, given_up });
            open.deliveries.push((at, owned.epoch, position));
        }
        self.end_all_over(at, over, now);
        true
    }

    /// Deliveries of a stream that are due are not tried: nothing but this may tell their partition so.
    fn end_all_over(&mut self, at: StreamAt, over: Vec<(Position, Verdict)>, now: Now) {
        if over.is_empty() {
            return;
        }
        if let Some(owned) = self.partitions.get_mut(&at.0) {
            for (position, verdict) in over {
                owned.end_over((at.1, position), verdict, &mut self.sending, now);
            }
        }
        self.schedule(at.0, now);
    }

    /// An attempt has ended: its slot is free, and its deliveries are done or wait.
    pub(super) fn attempted(
        &mut self,
        attempt: u64,
        outcome: Outcome,
        lacks: &[(usize, Lack)],
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        self.retried_in = None;
        self.abandoned.clear();
        let Some(in_flight) = self.sending.in_flight.remove(&attempt) else { return };
        let (failed, purpose) = (outcome != Outcome::Acknowledged, in_flight.purpose);
        let notifies = purpose == Purpose::Notify;
        // What an endpoint answers while new notifications are dropped does not show that it is back.
        let is_back = notifies && self.sending.responded(&in_flight, outcome, now.mono) != Health::Dropping && !failed;
        let recovered = match is_back || (notifies && self.config.planted(Fault::RefusalTakenForRecovery)) {
            true => self.sending.recovery(in_flight.endpoint).acknowledged(now.mono),
            false => BTreeSet::new(),
        };
        if !(failed && self.config.planted(Fault::SlotKeptAfterFailure)) {
            self.sending.release(&in_flight, outcome, now.mono);
        }
        let size = in_flight.deliveries.len();
        self.sending.count_ended(size);
        if let Some((at, epoch, _)) = in_flight.deliveries.first().filter(|_| purpose == Purpose::Push) {
            self.pushed((*at, *epoch, in_flight.endpoint), outcome, now, commands);
        }
        let mut streams: Vec<StreamAt> = Vec::new();
        let mut wait = None;
        for (place, (at, epoch, position)) in in_flight.deliveries.into_iter().enumerate() {
            let lack = lacks.iter().find(|(lacking, _)| *lacking == place).map(|(_, lack)| *lack);
            // What alone is too large for where it goes is refused alone.
            let is_refused = purpose == Purpose::Push && lack == Some(Lack::TooLarge);
            let outcome = if is_refused { Outcome::refused(413) } else { outcome };
            match self.done(outcome, lack) {
                None => wait = self.failed((at, epoch, position), outcome, (size, wait), now),
                Some(_) if purpose == Purpose::Push && lack == Some(Lack::Injected) => {
                    self.dropped((at, epoch, position), now);
                }
                Some(done) => {
                    if let Some(owned) = self.partitions.get_mut(&at.0).filter(|owned| owned.epoch == epoch) {
                        note(&mut self.abandoned, done);
                        owned.conclude(at.1, position, done);
                        owned.touch(now.mono);
                    }
                }
            }
            if streams.last() != Some(&at) {
                streams.push(at);
            }
        }
        streams.sort_unstable();
        streams.dedup();
        self.retried_in = wait;
        for at in streams {
            self.settle_stream(at, now);
            if is_back {
                self.answered(at, now, commands);
            }
        }
        self.recovered(recovered, now, commands);
    }

    /// In how many microseconds what the attempt carried that ended last is tried again; `None`: it is not.
    pub fn retried_in(&self) -> Option<u64> {
        self.retried_in
    }

    /// Why something of what the attempt carried that ended last was abandoned, or becomes a dead letter: each reason once.
    pub fn abandoned(&self) -> &[AbandonReason] {
        &self.abandoned
    }

    /// What a delivery of an attempt has come to; `None`: it is to be tried again.
    fn done(&self, outcome: Outcome, lack: Option<Lack>) -> Option<Done> {
        let lack =
            lack.filter(|lack| !(*lack == Lack::TooLarge && self.config.planted(Fault::TooLargeTakenForDelivered)));
        let lack = lack.filter(|lack| !(*lack == Lack::Gone && self.config.planted(Fault::GoneUnnoticed)));
        match (lack, outcome) {
            (Some(Lack::CertificateUnusable), _) => Some(Done::Abandoned(AbandonReason::CertificateUnusable)),
            (Some(Lack::Injected), _) => Some(Done::Abandoned(AbandonReason::Injected)),
            (Some(Lack::Gone), _) => Some(Done::Abandoned(AbandonReason::Retention)),
            (Some(Lack::TooLarge), Outcome::Acknowledged) => Some(Done::Abandoned(AbandonReason::TooLarge)),
            (Some(Lack::AccessLost), Outcome::Acknowledged) => Some(Done::Abandoned(AbandonReason::AccessLost)),
            (None, Outcome::Acknowledged) => Some(Done::Delivered),
            _ => None,
        }
    }

    /// One delivery of a failed attempt. The attempt's deliveries share one wait.
    fn failed(
        &mut self,
        (at, epoch, position): (StreamAt, u64, Position),
        outcome: Outcome,
        (size, wait): (usize, Option<u64>),
        now: Now,
    ) -> Option<u64> {
        let owned = match self.partitions.get_mut(&at.0) {
            Some(owned) if owned.epoch == epoch => owned,
            _ => return wait,
        };
        owned.touch(now.mono);
        let Some(state) = owned.streams.get_mut(&at.1) else { return wait };
        let Some(delivery) = state.deliveries.get(&position) else { return wait };
        let goes_on = delivery.record.is_last_word() && !self.config.planted(Fault::LastWordTriedOnce);
        let ended = state.ended && !goes_on;
        if ended {
            let done = Done::Abandoned(AbandonReason::SubscriptionEnded);
            note(&mut self.abandoned, done);
            owned.finish(at.1, position, done);
            return wait;
        }
        let attempts = delivery.attempts + 1;
        let seed = notification::id(at.1.subscription, &delivery.record, delivery.change);
        let mut micros = match state.policy().verdict(delivery, outcome, seed, now.wall, &self.config) {
            Verdict::Again { micros } => wait.unwrap_or(micros),
            Verdict::Done(done) => {
                note(&mut self.abandoned, done);
                owned.finish(at.1, position, done);
                return wait;
            }
            Verdict::GivenUp(reason) => {
                note(&mut self.abandoned, Done::Abandoned(reason.into()));
                owned.give_up((at.1, position), reason, last_try(outcome, now), &mut self.sending, now);
                return wait;
            }
        };
        if self.config.planted(Fault::RetryTooEarly) {
            micros /= 4;
        }
        let smaller = attempts >= 3 || matches!(outcome, Outcome::Refused { status: 413, .. });
        let halved = u16::try_from(size / 2).unwrap_or(u16::MAX).max(1);
        let batch_max = if smaller { delivery.batch_max.min(halved) } else { delivery.batch_max };
        let due = (now.wall.plus_micros(micros as i64), now.mono.plus_micros(micros));
        if delivery.row.is_some() {
            owned.dirty_streams.insert(at.1);
        }
        state.fail(position, due, batch_max, !self.config.planted(Fault::OrderBrokenOnRetry));
        match state.policy().purpose() {
            Purpose::Notify => self.sending.recovery(state.endpoint).failed(at),
            Purpose::Push => state.note_try(position, last_try(outcome, now)),
            Purpose::DeadLetter => {}
        }
        Some(micros)
    }

    /// A stream had deliveries in an attempt that has ended: see to what it may do now.
    fn settle_stream(&mut self, at: StreamAt, now: Now) {
        let Some(owned) = self.partitions.get_mut(&at.0) else { return };
        let Some(state) = owned.streams.get_mut(&at.1) else { return };
        if state.in_flight == 0 {
            state.moving = false;
        }
        owned.give_up_idle(at.1);
        owned.give_up_surplus(at.1, now.mono, &self.config);
        self.wake_stream(at, now.mono);
        self.schedule(at.0, now);
    }
}

/// Remembers why a delivery of an attempt is not tried again.
pub(super) fn note(abandoned: &mut Vec<AbandonReason>, done: Done) {
    if let Done::Abandoned(reason) = done
        && !abandoned.contains(&reason)
    {
        abandoned.push(reason);
    }
}
