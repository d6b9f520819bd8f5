//! Events that are pushed: probation, the end of all attempts, and dead letters.
//!
//! An event that is given up while its event subscription keeps dead letters moves to another stream of it, with a way,
//! a schedule and rows of its own: so a receiver that answers nothing keeps no dead letter waiting. It has one place at any
//! time, and moves with the checkpoint that records it.

use std::sync::Arc;

use graph::{Partition, SubscriptionId, Timestamp};

use super::Command;
use super::delivery::Delivery;
use super::dispatch::note;
use super::fault::Fault;
use super::machine::Node;
use super::owned::{Done, Owned};
use super::policy::{Policy, Verdict};
use super::sending::{Sending, StreamAt};
use super::stream::StreamState;
use super::{NodeConfig, Outcome, Step};
use crate::checkpoint::StreamKind;
use crate::push_policy::{Answer, GivenUp, LastOutcome, LastTry, Pushed, Undelivered};
use crate::{Monotonic, Now, Position, Stream};

impl Owned {
    /// A delivery that is due is not to be tried.
    pub(super) fn end_over(
        &mut self,
        (stream, position): (Stream, Position),
        verdict: Verdict,
        sending: &mut Sending,
        now: Now,
    ) {
        self.touch(now.mono);
        match verdict {
            Verdict::Done(done) => self.finish(stream, position, done),
            Verdict::GivenUp(reason) => self.give_up((stream, position), reason, None, sending, now),
            Verdict::Again { .. } => {}
        }
    }

    /// An event is not pushed any more, after an attempt or without one: it has ended, unless it is to be kept first.
    pub(super) fn give_up(
        &mut self,
        (stream, position): (Stream, Position),
        reason: GivenUp,
        tried: Option<LastTry>,
        sending: &mut Sending,
        now: Now,
    ) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        if state.ended || !Policy::of(&state.subscription, stream.kind).keeps_dead_letters() {
            return self.finish(stream, position, Done::Abandoned(reason.into()));
        }
        let Some(delivery) = state.finish(position) else { return };
        if state.deliveries.is_empty() {
            self.emptied.insert(stream);
        }
        if delivery.row.is_some() {
            self.held_parked.take(1);
        }
        let to = Stream { kind: StreamKind::DeadLetters, ..stream };
        if position > self.cursor {
            let index = (position.0 - self.cursor.0 - 1) as usize;
            let matches = self.window.get_mut(index).map(|entry| entry.matches.iter_mut());
            matches.into_iter().flatten().filter(|one| **one == stream).for_each(|one| *one = to);
        } else {
            self.dirty_streams.insert(stream);
            self.moved.insert((to, position));
        }
        let before = match delivery.pushed {
            Some(Pushed::Failing(last)) => Some(last),
            Some(Pushed::GivenUp(_)) | None => None,
        };
        let attempts = delivery.attempts + u32::from(tried.is_some());
        let given_up = Undelivered { reason, at: now.wall.whole_seconds(), attempts, last: tried.or(before) };
        self.keep(to, position, delivery.into_dead_letter(given_up), sending);
    }

    fn keep(&mut self, to: Stream, position: Position, letter: Delivery, sending: &mut Sending) {
        let partition = self.partition;
        // From now on a part of it is in memory.
        self.wake(to);
        if self.unread.remove(&to) {
            self.tails.insert(to);
        }
        let Some(state) = self.stream(to, sending) else { return };
        state.enqueue(position, letter);
        if !std::mem::replace(&mut state.listed, true) {
            sending.list(state.endpoint, (partition, to));
        }
    }

    /// Takes dead letters for kept that are not: only the simulator has it done.
    pub(super) fn lose(&mut self, stream: Stream) {
        for position in self.streams.get(&stream).map(StreamState::idle).unwrap_or_default() {
            self.conclude(stream, position, Done::Delivered);
        }
    }

    /// An attempt to push to an event subscription has come to this.
    fn tried(&mut self, stream: Stream, outcome: Outcome, now: Monotonic, config: &NodeConfig) {
        let Some(answer) = Answer::of(outcome).filter(|_| !config.planted(Fault::ProbationIgnored)) else { return };
        let probation = self.probations.remove(&stream.subscription).unwrap_or_default().after(answer, now);
        let until = probation.holds_until(now).unwrap_or_default();
        if probation != <_>::default() {
            self.probations.insert(stream.subscription, probation);
        }
        if let Some(state) = self.streams.get_mut(&stream) {
            state.spared_until = until;
        }
    }
}

impl Node {
    /// An attempt to push has ended: whoever fails again and again is left alone for a while, and who wants no more events
    /// is sent none until its event subscription is changed.
    pub(super) fn pushed(
        &mut self,
        (at, epoch, endpoint): (StreamAt, u64, usize),
        outcome: Outcome,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let (config, draining) = (&self.config, self.draining);
        let Some(owned) = self.partitions.get_mut(&at.0).filter(|owned| owned.epoch == epoch) else { return };
        if owned.streams.get(&at.1).is_some_and(|state| state.endpoint != endpoint) {
            // It was made before its event subscription got another endpoint, and says nothing of that.
            return;
        }
        owned.tried(at.1, outcome, now.mono, config);
        if !matches!(outcome, Outcome::Refused { status: 410, .. }) || draining || owned.is_stopped(&at.1) {
            return;
        }
        let span = owned.spans.get_mut(&at.1.subscription).filter(|span| span.ended.is_none() && !span.stepping);
        if let Some(span) = span {
            span.stepping = true;
            let subscription = Arc::clone(&span.subscription);
            commands.push(Command::Step { partition: at.0, subscription, step: Step::Pause });
        }
    }
}

impl Node {
    /// An event was not sent, on purpose: it is given up as any other is, with a dead letter if these are kept.
    pub(super) fn dropped(&mut self, (at, epoch, position): (StreamAt, u64, Position), now: Now) {
        if let Some(owned) = self.partitions.get_mut(&at.0).filter(|owned| owned.epoch == epoch) {
            owned.touch(now.mono);
            note(&mut self.abandoned, Done::Abandoned(GivenUp::Injected.into()));
            if self.config.planted(Fault::DroppedWithoutLetter) {
                return owned.finish(at.1, position, Done::Abandoned(GivenUp::Injected.into()));
            }
            let tried = last_try(Outcome::NotSent, now);
            owned.give_up((at.1, position), GivenUp::Injected, tried, &mut self.sending, now);
        }
    }

    /// The event subscriptions of a partition that are on probation, with the end of that.
    pub fn on_probation(&self, partition: Partition, now: Now) -> Vec<(SubscriptionId, Timestamp)> {
        let probations = self.partitions.get(&partition).into_iter().flat_map(|owned| &owned.probations);
        let held = probations.filter_map(|(id, probation)| Some((*id, probation.holds_until(now.mono)?)));
        held.map(|(id, until)| (id, now.wall.plus_micros(until.since(now.mono) as i64))).collect()
    }
}

impl Owned {
    /// Whether nothing more is pushed to an event subscription.
    pub(super) fn is_stopped(&self, stream: &Stream) -> bool {
        self.spans.standing(&stream.subscription).is_some_and(|standing| standing.is_paused())
    }
}

/// What is remembered of an attempt that ends now.
pub(super) fn last_try(outcome: Outcome, now: Now) -> Option<LastTry> {
    LastOutcome::of(outcome).map(|outcome| LastTry { at: now.wall.whole_seconds(), outcome })
}
