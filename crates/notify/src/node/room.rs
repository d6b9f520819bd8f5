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
        if let Some(next) = take_turn(&mut self.waiting_to_load, Some(last)) {
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

    /// If a partition waits to read what is parked, all that may not go yet is let go, also what was read or parked while
    /// there was room enough; and of what waits for its turn as much as one read needs. To look at all streams costs more
    /// than an event should, so it is done once a second.
    pub(super) fn make_room_for_load(&mut self, now: Now) {
        let load_max = self.config.load_max();
        let is_full = !self.waiting_to_load.is_empty() && self.sums.held() >= load_max;
        if !is_full || now.mono.since(self.room_made) < STORE_PAUSE_MICROS {
            return;
        }
        self.room_made = now.mono;
        self.let_all_go((self.config.deliveries_max / 2, usize::MAX), now);
        self.let_all_go((load_max.saturating_sub(1), load_max.saturating_sub(1)), now);
    }

    /// Until no more than `enough` is held; with more than `most`, what only waits for its turn is let go, too.
    fn let_all_go(&mut self, (enough, most): (usize, usize), now: Now) {
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            if self.sums.held() <= enough {
                return;
            }
            let in_memory =
                self.partitions[&partition].streams.iter().filter(|(_, state)| !state.deliveries.is_empty());
            let streams: Vec<Stream> = in_memory.map(|(stream, _)| *stream).collect();
            self.let_go(partition, streams, most, now);
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
            // What may go in a moment would have to be read again at once.
            let due = due.filter(|until| now.mono.plus_micros(STORE_PAUSE_MICROS) < *until);
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

/// The next that waits after the one that had its turn last.
pub(super) fn take_turn(waiting: &mut BTreeSet<Partition>, last: Option<Partition>) -> Option<Partition> {
    let after = (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    let next = waiting.range(after).next().or_else(|| waiting.first()).copied();
    next.filter(|next| waiting.remove(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_has_a_turn_before_another_has_two() {
        let [first, second, third] = [1, 5, 9].map(Partition);
        let mut waiting = BTreeSet::from([first, second, third]);
        assert_eq!(take_turn(&mut waiting, None), Some(first));
        waiting.insert(first);
        assert_eq!(take_turn(&mut waiting, Some(first)), Some(second));
        assert_eq!(take_turn(&mut waiting, Some(second)), Some(third));
        assert_eq!(take_turn(&mut waiting, Some(third)), Some(first));
        assert_eq!(take_turn(&mut waiting, Some(first)), None);
    }
}
