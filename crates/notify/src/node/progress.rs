//! Building checkpoints: how far the cursor may go, and what must be parked for it.

use std::collections::BTreeMap;

use graph::Timestamp;

use super::NodeConfig;
use super::delivery::{Delivery, Place, parked_bytes};
use super::fault::Fault;
use super::owned::{Entry, Owned, Recording, count};
use super::pulses::Pulses;
use crate::checkpoint::{PARKED_REFS_MAX, Parked, ParkedRef};
use crate::push_policy::Pushed;
use crate::{AbandonReason, Checkpoint, LedgerDelta, Now, Position, Stream, notification};

/// What deliveries must share to lie in one row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fate {
    /// Not in memory: a row holds only such, or none.
    spilled: bool,
    attempts: u32,
    due: Timestamp,
    since: Timestamp,
    batch_max: u16,
    pushed: Option<Pushed>,
}

impl Fate {
    fn of(delivery: &Delivery) -> Self {
        let Delivery { attempts, due, since, batch_max, pushed, .. } = *delivery;
        Self { spilled: false, attempts, due, since, batch_max, pushed }
    }
}

/// What is to be parked, by stream and fate, with the bytes of each.
type ToPark = BTreeMap<Stream, BTreeMap<Fate, Vec<(ParkedRef, u64)>>>;

impl Owned {
    /// The next checkpoint, if there is anything to record.
    pub(super) fn checkpoint(&mut self, now: Now, pulses: &Pulses, config: &NodeConfig) -> Option<Checkpoint> {
        let mut to_park = ToPark::new();
        let passed = self.pass(now, config, &mut to_park);
        let unpark = self.take_dirty_rows(config, &mut to_park);
        self.take_moved(config, &mut to_park);
        let health = self.health(now, pulses);
        if passed == 0 && unpark.is_empty() && self.ledger.is_empty() && health.is_empty() {
            self.dirty_since = None;
            return None;
        }
        self.number += 1;
        let park = self.rows(to_park);
        let mut ledger = std::mem::take(&mut self.ledger);
        if config.planted(Fault::OutcomeAboveCursorPersisted) {
            for (stream, done) in self.window.iter().flat_map(|entry| &entry.done) {
                count(ledger.entry(stream.subscription).or_default(), *done);
            }
        }
        let mut incidents = self.open_incidents(now);
        for (fault, reason) in [
            (Fault::OverflowOwesNothing, AbandonReason::Overflow),
            (Fault::InjectedOwesNothing, AbandonReason::Injected),
            (Fault::RetentionOwesNothing, AbandonReason::Retention),
        ] {
            let is_forgotten = |delta: &LedgerDelta| delta.abandoned.contains_key(&reason);
            incidents.retain(|id, _| !(config.planted(fault) && ledger.get(id).is_some_and(is_forgotten)));
        }
        let opened = incidents.values().map(|incident| incident.opened);
        let checkpoint = Checkpoint {
            partition: self.partition,
            epoch: self.epoch,
            number: self.number,
            cursor: self.cursor,
            wall: opened.fold(now.wall, Timestamp::max),
            unpark,
            park,
            ledger,
            incidents,
            health,
        };
        self.dirty_since = None;
        self.recording = Some(Recording { checkpoint: checkpoint.clone(), again_at: None });
        Some(checkpoint)
    }

    /// Moves the cursor over every record whose deliveries are finished or can be parked.
    fn pass(&mut self, now: Now, config: &NodeConfig, to_park: &mut ToPark) -> usize {
        let mut passed = 0;
        while let Some(entry) = self.window.front() {
            let position = self.cursor.next();
            let early = config.planted(Fault::CheckpointBeforeDelivery);
            if entry.submitting || !(early || self.may_pass(entry, position, now, config)) {
                break;
            }
            let Some(entry) = self.window.pop_front() else { break };
            self.records.take(1);
            self.cursor = position;
            self.settle(entry, position, config, to_park);
            passed += 1;
        }
        passed
    }

    fn may_pass(&self, entry: &Entry, position: Position, now: Now, config: &NodeConfig) -> bool {
        if entry.unfinished == 0 || now.mono.since(entry.at) >= config.park_micros {
            return true;
        }
        entry.matches.iter().all(|stream| {
            let Some(state) = self.streams.get(stream) else { return true };
            match state.deliveries.get(&position).map(|delivery| delivery.place) {
                None | Some(Place::Waiting(_)) => true,
                Some(Place::Queued) => state.is_blocked(),
                Some(Place::InFlight) => false,
            }
        })
    }

    /// Counts what a passed record came to, and notes what of it must be parked.
    fn settle(&mut self, entry: Entry, position: Position, config: &NodeConfig, to_park: &mut ToPark) {
        for stream in &entry.matches {
            self.ledger.entry(stream.subscription).or_default().matched += 1;
        }
        for (stream, done) in &entry.done {
            self.count_end(*stream, *done);
        }
        for (stream, change, due) in &entry.spills {
            self.ledger.entry(stream.subscription).or_default().parked += 1;
            let (attempts, since, batch_max, pushed) = (0, entry.since, u16::MAX, None);
            let fate = Fate { spilled: true, attempts, due: *due, since, batch_max, pushed };
            let estimated = self.streams.get(stream).map_or(0, |state| {
                let estimate =
                    || notification::estimated_bytes(&state.subscription, &entry.record, config.content_bytes_max);
                entry.event_bytes.unwrap_or_else(estimate)
            });
            let refs = to_park.entry(*stream).or_default().entry(fate).or_default();
            refs.push((ParkedRef { position, change: *change }, parked_bytes(&entry.record, estimated)));
        }
        if entry.unfinished == 0 || config.planted(Fault::CheckpointBeforeDelivery) {
            return;
        }
        for stream in &entry.matches {
            let Some(state) = self.streams.get(stream) else { continue };
            let Some(delivery) = state.deliveries.get(&position) else { continue };
            self.ledger.entry(stream.subscription).or_default().parked += 1;
            let bytes = delivery.bytes_to_park(&state.subscription, config);
            let refs = to_park.entry(*stream).or_default().entry(Fate::of(delivery)).or_default();
            refs.push((ParkedRef { position, change: delivery.change }, bytes));
        }
    }

    /// Takes out the rows of which a delivery has ended or changed; the rest of them is parked anew.
    fn take_dirty_rows(&mut self, config: &NodeConfig, to_park: &mut ToPark) -> Vec<(Stream, Position)> {
        let mut unpark = Vec::new();
        for stream in std::mem::take(&mut self.dirty_streams) {
            let Some(state) = self.streams.get_mut(&stream) else { continue };
            for row in std::mem::take(&mut state.dirty_rows) {
                unpark.push((stream, row));
                if config.planted(Fault::ParkedRowLost) {
                    state.rows.remove(&row);
                    continue;
                }
                for position in state.rows.remove(&row).unwrap_or_default() {
                    let Some(delivery) = state.deliveries.get(&position) else { continue };
                    let refs = to_park.entry(stream).or_default().entry(Fate::of(delivery)).or_default();
                    refs.push((ParkedRef { position, change: delivery.change }, delivery.parked_bytes));
                }
            }
        }
        unpark
    }

    /// Those whose rows were taken out with their former streams.
    fn take_moved(&mut self, config: &NodeConfig, to_park: &mut ToPark) {
        for (stream, position) in std::mem::take(&mut self.moved) {
            let Some(state) = self.streams.get(&stream) else { continue };
            let Some(delivery) = state.deliveries.get(&position) else { continue };
            let bytes = delivery.bytes_to_park(&state.subscription, config);
            let refs = to_park.entry(stream).or_default().entry(Fate::of(delivery)).or_default();
            refs.push((ParkedRef { position, change: delivery.change }, bytes));
        }
    }

    fn rows(&mut self, to_park: ToPark) -> Vec<Parked> {
        let mut rows = Vec::new();
        for (stream, fates) in to_park {
            for (fate, mut refs) in fates {
                refs.sort_unstable();
                for chunk in refs.chunks(PARKED_REFS_MAX) {
                    let bytes = chunk.iter().map(|(_, bytes)| bytes).sum();
                    match fate.spilled {
                        true => self.note_spilled(stream, bytes),
                        false => self.note_row(stream, chunk),
                    }
                    let refs = chunk.iter().map(|(one, _)| *one).collect();
                    let Fate { attempts, due, since, batch_max, pushed, .. } = fate;
                    rows.push(Parked { stream, refs, attempts, due, since, batch_max, pushed, bytes });
                }
            }
        }
        rows
    }

    fn note_spilled(&mut self, stream: Stream, bytes: u64) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.parked_bytes += bytes;
        }
    }

    /// Remembers which row holds these deliveries, which are in memory.
    fn note_row(&mut self, stream: Stream, refs: &[(ParkedRef, u64)]) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        let Some(first) = refs.first().map(|(first, _)| first.position) else { return };
        for (reference, bytes) in refs {
            if let Some(delivery) = state.deliveries.get_mut(&reference.position)
                && delivery.row.replace(first).is_none()
            {
                delivery.parked_bytes = *bytes;
                state.parked_bytes += bytes;
                self.held_parked.add(1);
            }
        }
        state.rows.insert(first, refs.iter().map(|(reference, _)| reference.position).collect());
    }
}
