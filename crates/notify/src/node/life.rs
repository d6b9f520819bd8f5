//! The steps in a subscription's life that time brings: its app is asked to reauthorize, it is paused, it ends.
//! What time brings next follows from the subscription and its standing alone, so that there is one timer for
//! each, and it is set when one of the two changes.

use std::sync::Arc;

use graph::{Partition, SubscriptionId, Timestamp};

use super::fault::Fault;
use super::machine::{Node, STORE_PAUSE_MICROS, Timer};
use super::spans::Spans;
use super::wall::mono_of;
use super::{Command, NodeConfig, Step};
use crate::Now;
use crate::reauthorization::{self, Standing};

impl Spans {
    /// What time brings next to a subscription that has not ended, and when.
    fn next_step(&self, id: &SubscriptionId, config: &NodeConfig) -> Option<(Timestamp, Next)> {
        let subscription = &self.get(id).filter(|span| span.ended.is_none())?.subscription;
        let standing = self.standing(id);
        let asked = standing.and_then(|standing| standing.asked);
        let (from, until) = subscription.authorization();
        let ask = subscription.lifecycle_url.as_ref().and_then(|_| config.cadence.next(from, until, asked));
        let lost = standing.and_then(|standing| standing.lost).map(|lost| lost.plus_micros(config.grace_micros));
        let is_paused = standing.is_some_and(Standing::is_paused);
        let pause = lost.into_iter().chain(subscription.lapses()).min().filter(|_| !is_paused);
        let end = Some((subscription.expires, Next::End));
        [end, pause.map(|at| (at, Next::Pause)), ask.map(|at| (at, Next::Ask))].into_iter().flatten().min()
    }
}

/// What lies further ahead than a hundred years, as the end of what never expires does, gets no timer.
const AHEAD_MICROS_MAX: i64 = 100 * 366 * 24 * 3_600 * 1_000_000;

/// Which step comes next. Of two at one time, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    End,
    Pause,
    Ask,
}

impl Node {
    /// Sets the timer of a subscription.
    pub(super) fn arm(&mut self, partition: Partition, id: SubscriptionId, now: Now) {
        if let Some(at) = self.next_step_at(partition, &id, now) {
            self.at(mono_of(at, now), Timer::Life(at, partition, id));
        }
    }

    /// When time brings the next step, if that is near enough for a timer.
    fn next_step_at(&self, partition: Partition, id: &SubscriptionId, now: Now) -> Option<Timestamp> {
        let (at, _) = self.partitions.get(&partition)?.spans.next_step(id, &self.config)?;
        (at.since(now.wall) <= AHEAD_MICROS_MAX).then_some(at)
    }

    /// Sets the timer of each subscription of a partition.
    pub(super) fn arm_all(&mut self, partition: Partition, now: Now) {
        let owned = self.partitions.get(&partition);
        let live = owned.into_iter().flat_map(|owned| owned.spans.live()).map(|span| span.subscription.id);
        for id in live.collect::<Vec<_>>() {
            self.arm(partition, id, now);
        }
    }

    /// The time has come for which a subscription's timer was set.
    pub(super) fn life_due(
        &mut self,
        when: Timestamp,
        (partition, id): (Partition, SubscriptionId),
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let Some((_, next)) = owned.spans.next_step(&id, &self.config).filter(|(at, _)| *at == when) else { return };
        let asked = owned.spans.standing(&id).and_then(|standing| standing.asked);
        let Some(span) = owned.spans.get_mut(&id).filter(|span| !span.stepping) else { return };
        if when > now.wall {
            // The wall clock was set back, or a leap is not believed yet.
            let later = mono_of(when, now).min(now.mono.plus_micros(60 * STORE_PAUSE_MICROS));
            return self.at(later, Timer::Life(when, partition, id));
        }
        span.stepping = true;
        let subscription = Arc::clone(&span.subscription);
        let (from, until) = subscription.authorization();
        let step = match next {
            Next::End => Step::End,
            Next::Pause => Step::Pause,
            Next::Ask => {
                let due = self.config.cadence.latest(from, until, asked, now.wall).unwrap_or(when);
                let due = if self.config.planted(Fault::AskedOffCadence) { now.wall } else { due };
                Step::Ask { record: reauthorization::question_id(id, due), due }
            }
        };
        commands.push(Command::Step { partition, subscription, step });
    }

    pub(super) fn stepped(&mut self, partition: Partition, id: SubscriptionId, done: bool, now: Now) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let Some(span) = owned.spans.get_mut(&id).filter(|_| !done) else { return };
        span.stepping = false;
        if let Some(at) = self.next_step_at(partition, &id, now) {
            self.at(now.mono.plus_micros(STORE_PAUSE_MICROS), Timer::Life(at, partition, id));
        }
    }
}
