//! The `missed` that apps are owed: when an incident is told of, and telling it.
//!
//! An incident counts once the checkpoint that opens it is recorded. Whether a later abandonment joined it or opened
//! another one depends on whether the store had told of it by then, which a node cannot know. So each checkpoint says
//! when an incident opens if none is open, and what is told of is the one that is open and opened no later than the
//! last of them, whichever that is.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Partition, SubscriptionId, Timestamp};

use super::fault::Fault;
use super::machine::{Node, STORE_PAUSE_MICROS, Timer};
use super::owned::{Done, Owned, count};
use super::sending::StreamAt;
use super::wall::mono_of;
use super::{Command, Steady, Step};
use crate::checkpoint::StreamKind;
use crate::incident::Incident;
use crate::{Now, Stream};

/// What the app of a subscription is owed.
#[derive(Debug, Default)]
struct Owed {
    /// Recorded, and nobody has begun to tell of it.
    open: Option<Openings>,
    /// A command that tells of it is under way.
    telling: Option<Openings>,
    /// The endpoint has answered since the last abandonment.
    answered: bool,
    /// Abandonments that no checkpoint has counted yet.
    uncounted: usize,
}

/// The times at which checkpoints would have opened an incident: at one of them one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Openings {
    first: Timestamp,
    last: Timestamp,
}

impl Openings {
    fn join(self, other: Option<Self>) -> Self {
        let other = other.unwrap_or(self);
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// The incidents of a partition's subscriptions.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    owed: Steady<SubscriptionId, Owed>,
}

impl Incidents {
    /// Something of a subscription was abandoned that it is told of.
    fn abandoned(&mut self, id: SubscriptionId) {
        let owed = self.owed.entry(id).or_default();
        owed.answered = false;
        owed.uncounted += 1;
    }

    /// The next checkpoint counts an abandonment.
    fn counted(&mut self, id: &SubscriptionId) {
        if let Some(owed) = self.owed.get_mut(id) {
            owed.uncounted = owed.uncounted.saturating_sub(1);
        }
    }

    /// A checkpoint with this incident is recorded.
    pub fn opened(&mut self, id: SubscriptionId, incident: Incident) {
        let owed = self.owed.entry(id).or_default();
        let new = Openings { first: incident.opened, last: incident.opened };
        owed.open = Some(new.join(owed.open));
    }

    /// Its endpoint has answered. `false`: it is owed nothing.
    fn answered(&mut self, id: &SubscriptionId) -> bool {
        let Some(owed) = self.owed.get_mut(id) else { return false };
        owed.answered = true;
        true
    }

    /// From when on its `missed` waits no longer for an answer.
    fn due(&self, id: &SubscriptionId, horizon_micros: i64) -> Option<Timestamp> {
        Some(self.owed.get(id)?.open?.first.plus_micros(horizon_micros))
    }

    /// Takes what may be told of now.
    fn take(&mut self, id: &SubscriptionId, is_late: bool) -> Option<Incident> {
        let owed = self.owed.get_mut(id).filter(|owed| owed.telling.is_none() && (owed.answered || is_late))?;
        owed.telling = Some(owed.open.take()?);
        owed.telling.map(|telling| Incident { opened: telling.last })
    }

    /// Returns whether nothing is open, nor known to open.
    fn told(&mut self, id: &SubscriptionId) -> bool {
        let Some(owed) = self.owed.get_mut(id) else { return false };
        owed.telling = None;
        owed.open.is_none() && owed.uncounted == 0
    }

    fn not_told(&mut self, id: &SubscriptionId) {
        let Some(owed) = self.owed.get_mut(id) else { return };
        if let Some(telling) = owed.telling.take() {
            owed.open = Some(telling.join(owed.open));
            owed.answered = true;
        }
    }

    /// Whether a command that tells of one is under way.
    pub fn are_telling(&self) -> bool {
        self.owed.values().any(|owed| owed.telling.is_some())
    }

    pub fn forget(&mut self, id: &SubscriptionId) {
        self.owed.remove(id);
    }
}

impl Owned {
    /// A delivery has ended. Where that owes a `missed`, an answer counts from now on.
    pub(super) fn note_end(&mut self, stream: Stream, done: Done) {
        let is_live = |owned: &Self| owned.spans.get(&stream.subscription).is_some_and(|span| span.ended.is_none());
        if self.owes(stream, done) && is_live(self) {
            self.incidents.abandoned(stream.subscription);
        }
    }

    /// The next checkpoint counts the end of a delivery.
    pub(super) fn count_end(&mut self, stream: Stream, done: Done) {
        count(self.ledger.entry(stream.subscription).or_default(), done);
        if self.owes(stream, done) {
            self.incidents.counted(&stream.subscription);
            self.owing.insert(stream.subscription);
        }
    }

    /// Whether the app is to hear of this end of a delivery. That it was not told of its subscription's life owes nothing,
    /// nor does an event that was not pushed.
    fn owes(&self, stream: Stream, done: Done) -> bool {
        let owes =
            matches!(done, Done::Abandoned(reason) if reason.owes_missed()) && stream.kind == StreamKind::Changes;
        owes && !self.spans.is_of_topic(&stream.subscription)
    }

    /// The incidents of the checkpoint that is being built.
    pub(super) fn open_incidents(&mut self, now: Now) -> BTreeMap<SubscriptionId, Incident> {
        let owing = std::mem::take(&mut self.owing).into_iter();
        let is_live = |id: &SubscriptionId| self.spans.get(id).is_some_and(|span| span.ended.is_none());
        // Later than any before, even while the wall clock stands still.
        let opened = now.wall.max(self.last_opened.plus_micros(1));
        let incidents: BTreeMap<_, _> = owing.filter(is_live).map(|id| (id, Incident { opened })).collect();
        if !incidents.is_empty() {
            self.last_opened = opened;
        }
        incidents
    }
}

impl Node {
    /// An attempt that carried deliveries of this stream was answered.
    pub(super) fn answered(&mut self, (partition, stream): StreamAt, now: Now, commands: &mut Vec<Command>) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        if stream.kind == StreamKind::Changes && owned.incidents.answered(&stream.subscription) {
            self.tell(partition, stream.subscription, now, commands);
        }
    }

    /// A checkpoint that opens incidents is recorded.
    pub(super) fn opened(
        &mut self,
        partition: Partition,
        incidents: BTreeMap<SubscriptionId, Incident>,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        for (id, incident) in incidents {
            let Some(owned) = self.partitions.get_mut(&partition) else { return };
            if owned.spans.get(&id).is_some_and(|span| span.ended.is_none()) {
                owned.incidents.opened(id, incident);
                self.arm_incident(partition, id, now);
                self.tell(partition, id, now, commands);
            }
        }
    }

    /// Sets the timer of an open incident.
    fn arm_incident(&mut self, partition: Partition, id: SubscriptionId, now: Now) {
        let owned = self.partitions.get(&partition);
        if let Some(due) = owned.and_then(|owned| owned.incidents.due(&id, self.config.horizon_micros)) {
            self.at(mono_of(due, now), Timer::Incident(due, partition, id));
        }
    }

    /// Sets the timer of each open incident of a partition.
    pub(super) fn arm_incidents(&mut self, partition: Partition, now: Now) {
        let owned = self.partitions.get(&partition);
        let owed = owned.into_iter().flat_map(|owned| owned.incidents.owed.keys().copied());
        for id in owed.collect::<Vec<_>>() {
            self.arm_incident(partition, id, now);
        }
    }

    /// The time has come for which an incident's timer was set.
    pub(super) fn incident_due(
        &mut self,
        when: Timestamp,
        (partition, id): (Partition, SubscriptionId),
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let owned = self.partitions.get(&partition);
        let due = owned.and_then(|owned| owned.incidents.due(&id, self.config.horizon_micros));
        if due != Some(when) {
            return;
        }
        self.tell(partition, id, now, commands);
        if when > now.wall {
            // The wall clock was set back, or a leap is not believed yet.
            let later = mono_of(when, now).min(now.mono.plus_micros(60 * STORE_PAUSE_MICROS));
            self.at(later, Timer::Incident(when, partition, id));
        }
    }

    /// Tells of a subscription's incident, if it may be told of now.
    fn tell(&mut self, partition: Partition, id: SubscriptionId, now: Now, commands: &mut Vec<Command>) {
        if self.draining {
            return;
        }
        let horizon_micros = self.config.horizon_micros;
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let Some(span) = owned.spans.get(&id).filter(|span| span.ended.is_none()) else { return };
        let is_late = owned.incidents.due(&id, horizon_micros).is_some_and(|due| due <= now.wall);
        if let Some(incident) = owned.incidents.take(&id, is_late) {
            let subscription = Arc::clone(&span.subscription);
            commands.push(Command::Step { partition, subscription, step: Step::Missed { incident } });
        }
    }

    /// An incident was told of, or there is none any more. `done` is `false`: that is not known.
    pub(super) fn told(
        &mut self,
        (partition, id): (Partition, SubscriptionId),
        done: bool,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let horizon_micros = self.config.horizon_micros;
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        if done || self.config.planted(Fault::LostMissedTakenForTold) {
            let is_recording =
                owned.recording.as_ref().is_some_and(|recording| recording.checkpoint.incidents.contains_key(&id));
            if owned.incidents.told(&id) && !is_recording && !owned.owing.contains(&id) {
                owned.incidents.forget(&id);
            }
            return self.tell(partition, id, now, commands);
        }
        owned.incidents.not_told(&id);
        if let Some(due) = owned.incidents.due(&id, horizon_micros) {
            self.at(now.mono.plus_micros(STORE_PAUSE_MICROS), Timer::Incident(due, partition, id));
        }
    }
}
