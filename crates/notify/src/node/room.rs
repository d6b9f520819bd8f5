//! How much of the limits on memory is taken, and what is let go for others.
//!
//! What is parked has its row, and need not lie in memory before it is due. Above half of what a node may hold, a stream
//! that may not go yet is let go once it is parked; above three quarters one that only waits for its turn, too; neither
//! while its due times stand by two clocks. Below that parked deliveries are read; where there is no room for that, all
//! streams are looked at again. So there is always room for new matches, however many endpoints take nothing.

use std::collections::BTreeSet;
use std::ops::Bound;

use graph::Partition;

use super::count::Sums;
use super::machine::{Node, STORE_PAUSE_MICROS};
use super::{Command, NodeConfig};
use crate::checkpoint::PARKED_REFS_MAX;
use crate::{Now, Stream, retry};

impl Sums {
    pub(super) fn have_room(&self, config: &NodeConfig) -> bool {
        self.held() < config.deliveries_max
            && self.unparked() < config.unparked_max
            && self.records() < config.window_max
    }
}

impl NodeConfig {
    /// The most deliveries that one read of parked rows brings.
    pub(super) fn page_max(&self) -> usize {
        self.read_parked + PARKED_REFS_MAX - 1
    }

    /// Up to so many deliveries in memory, parked ones are read.
    fn load_max(&self) -> usize {
        self.deliveries_max - self.deliveries_max / 4
    }
}

impl Node {
    pub(super) fn has_room(&self) -> bool {
        !self.draining && self.sums.have_room(&self.config)
    }

    /// How many deliveries one stream may hold in memory now.
    pub(super) fn share(&self) -> usize {
        (self.config.deliveries_max.saturating_sub(self.sums.held()) / 32).max(4).min(self.config.stream_share_max)
    }

    /// How many parked deliveries may be read now, by all partitions together.
    pub(super) fn room_to_load(&self) -> usize {
        let reads: usize = self.partitions.values().map(|owned| owned.reads).sum();
        self.config.load_max().saturating_sub(self.sums.held() + reads * self.config.page_max())
    }

    /// A read of parked rows has ended: another partition may have waited for that, each in its turn.
    pub(super) fn load_waiting(&mut self, last: Partition, commands: &mut Vec<Command>) {
        let after = (Bound::Excluded(last), Bound::Unbounded);
        let waiting = &mut self.waiting_to_load;
        let next = waiting.range(after).next().or_else(|| waiting.first()).copied();
        if let Some(next) = next.filter(|next| waiting.remove(next)) {
            self.read_tails(next, commands);
        }
    }

    /// Streams have just been parked: lets them go, if memory is short.
    pub(super) fn let_parked_go(&mut self, partition: Partition, streams: impl IntoIterator<Item = Stream>, now: Now) {
        self.let_go(partition, streams, self.config.load_max(), now);
    }

    /// A stream has just been read: lets it go if memory is short, unless it may go now.
    pub(super) fn let_early_go(&mut self, partition: Partition, stream: Stream, now: Now) {
        self.let_go(partition, [stream], usize::MAX, now);
    }

    /// A partition waits to read what is parked: all that may not go yet is let go, also what was read or parked while
    /// there was room enough. To look at all streams costs more than an event should, so it is done once a second.
    pub(super) fn make_room_for_load(&mut self, now: Now) {
        let is_full = self.sums.held() >= self.config.load_max();
        if !is_full || now.mono.since(self.room_made) < STORE_PAUSE_MICROS {
            return;
        }
        self.room_made = now.mono;
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            let streams = self.partitions[&partition].streams.keys().copied().collect::<Vec<_>>();
            self.let_go(partition, streams, usize::MAX, now);
        }
    }

    /// With more than `most` in memory, what only waits for its turn is let go, too.
    fn let_go(&mut self, partition: Partition, streams: impl IntoIterator<Item = Stream>, most: usize, now: Now) {
        let (mut held, much) = (self.sums.held(), self.config.deliveries_max / 2);
        if held <= much {
            return;
        }
        let Some(owned) = self.partitions.get_mut(&partition).filter(|owned| owned.recording.is_none()) else { return };
        let mut asleep = Vec::new();
        for stream in BTreeSet::from_iter(streams) {
            let Some(state) = owned.streams.get(&stream).filter(|_| held > much) else { continue };
            let due = match state.class(now.mono, &self.config) {
                None => state.rests_until(now.mono),
                Some(_) => (held > most).then(|| now.mono.plus_micros(retry::least_wait_micros(1, None))),
            };
            let Some(until) = due.filter(|_| state.can_be_let_go(now.mono)) else { continue };
            held = held.saturating_sub(state.deliveries.len());
            owned.let_go(stream, until, now.mono);
            asleep.push(stream);
        }
        for stream in asleep {
            self.await_due((partition, stream), now.mono);
        }
    }
}
