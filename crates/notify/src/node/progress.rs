//! Building checkpoints: how far the cursor may go, and what must be parked for it.

use std::collections::BTreeMap;

use graph::Timestamp;

use super::NodeConfig;
use super::fault::Fault;
use super::owned::{Entry, Owned, Recording, count};
use super::stream::{Delivery, Place};
use crate::checkpoint::{PARKED_REFS_MAX, Parked, ParkedRef};
use crate::{Checkpoint, Now, Position, Stream};

/// What deliveries must share to lie in one row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fate {
    /// Not in memory: a row holds only such, or none.
    spilled: bool,
    attempts: u32,
    due: Timestamp,
    since: Timestamp,
    batch_max: u16,
}

impl Fate {
    fn of(delivery: &Delivery) -> Self {
        let Delivery { attempts, due, since, batch_max, .. } = *delivery;
        Self { spilled: false, attempts, due, since, batch_max }
    }
}

/// What is to be parked, by stream and fate, in order.
type ToPark = BTreeMap<Stream, BTreeMap<Fate, Vec<ParkedRef>>>;

impl Owned {
    /// The next checkpoint, if there is anything to record.
    pub(super) fn checkpoint(&mut self, now: Now, config: &NodeConfig) -> Option<Checkpoint> {
        let mut to_park = ToPark::new();
        let passed = self.pass(now, config, &mut to_park);
        let unpark = self.take_dirty_rows(config, &mut to_park);
        if passed == 0 && unpark.is_empty() && self.ledger.is_empty() {
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
        let incidents = self.open_incidents(now);
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
            self.cursor = position;
            self.settle(entry, position, early, to_park);
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
    fn settle(&mut self, entry: Entry, position: Position, early: bool, to_park: &mut ToPark) {
        for stream in &entry.matches {
            self.ledger.entry(stream.subscription).or_default().matched += 1;
        }
        for (stream, done) in &entry.done {
            self.count_end(*stream, *done);
        }
        for (stream, change, due) in &entry.spills {
            self.ledger.entry(stream.subscription).or_default().parked += 1;
            let fate = Fate { spilled: true, attempts: 0, due: *due, since: entry.since, batch_max: u16::MAX };
            let refs = to_park.entry(*stream).or_default().entry(fate).or_default();
            refs.push(ParkedRef { position, change: *change });
        }
        if entry.unfinished == 0 || early {
            return;
        }
        for stream in &entry.matches {
            let Some(state) = self.streams.get(stream) else { continue };
            let Some(delivery) = state.deliveries.get(&position) else { continue };
            self.ledger.entry(stream.subscription).or_default().parked += 1;
            let fate = Fate::of(delivery);
            let refs = to_park.entry(*stream).or_default().entry(fate).or_default();
            refs.push(ParkedRef { position, change: delivery.change });
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
                    let fate = Fate::of(delivery);
                    let refs = to_park.entry(stream).or_default().entry(fate).or_default();
                    refs.push(ParkedRef { position, change: delivery.change });
                }
            }
        }
        unpark
    }

    fn rows(&mut self, to_park: ToPark) -> Vec<Parked> {
        let mut rows = Vec::new();
        for (stream, fates) in to_park {
            for (fate, mut refs) in fates {
                refs.sort_unstable();
                for chunk in refs.chunks(PARKED_REFS_MAX) {
                    if !fate.spilled {
                        self.note_row(stream, chunk);
                    }
                    let Fate { attempts, due, since, batch_max, .. } = fate;
                    rows.push(Parked { stream, refs: chunk.to_vec(), attempts, due, since, batch_max });
                }
            }
        }
        rows
    }

    /// Remembers which row holds these deliveries, which are in memory.
    fn note_row(&mut self, stream: Stream, refs: &[ParkedRef]) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        let Some(first) = refs.first().map(|first| first.position) else { return };
        for reference in refs {
            if let Some(delivery) = state.deliveries.get_mut(&reference.position)
                && delivery.row.replace(first).is_none()
            {
                self.held_parked += 1;
            }
        }
        state.rows.insert(first, refs.iter().map(|reference| reference.position).collect());
    }
}
