//! What is parked and given up for want of room.
//!
//! A stream may have so many bytes parked; beyond them its oldest go, strictly in order: what an attempt holds is waited
//! for, and what lies only in the store is read first. What tells of a subscription's life is not given up for that. Its
//! number follows from time and not from traffic, and nobody would be told.

use std::collections::BTreeSet;

use graph::Partition;

use super::NodeConfig;
use super::fault::Fault;
use super::machine::Node;
use super::owned::{Done, Owned};
use super::stream::{Delivery, Place, StreamState};
use crate::checkpoint::StreamKind;
use crate::{AbandonReason, Monotonic, Now, Position, Stream};

impl StreamState {
    fn overflows(&self, config: &NodeConfig) -> bool {
        self.kind == StreamKind::Changes && !self.ended && self.parked_bytes > config.parked_bytes_max
    }

    /// Up to where all that is parked lies in memory.
    fn loaded_up_to(&self) -> Position {
        self.tail.as_ref().map_or(Position(u64::MAX), |tail| tail.after)
    }

    /// The oldest that are parked, until what is left is not too much.
    fn surplus(&self, config: &NodeConfig) -> Vec<Position> {
        if !self.overflows(config) {
            return Vec::new();
        }
        let mut left = self.parked_bytes;
        let goes = |(_, delivery): &(&Position, &Delivery)| {
            let goes = left > config.parked_bytes_max && delivery.row.is_some() && delivery.place != Place::InFlight;
            left = left.saturating_sub(delivery.parked_bytes);
            goes
        };
        if config.planted(Fault::NewestOverflowsFirst) {
            let parked = self.deliveries.iter().rev().filter(|(_, delivery)| delivery.row.is_some());
            return parked.take_while(goes).map(|(position, _)| *position).collect();
        }
        let oldest = self.deliveries.range(..=self.loaded_up_to());
        oldest.take_while(goes).map(|(position, _)| *position).collect()
    }

    /// Whether what is to be given up must be read for that.
    pub(super) fn has_surplus_in_store(&self, config: &NodeConfig) -> bool {
        let is_read = self.deliveries.range(..=self.loaded_up_to()).next().is_some();
        self.tail.is_some() && !is_read && self.overflows(config)
    }
}

impl Owned {
    /// Abandons what of a stream is too much, as far as it is in memory; that must be recorded.
    pub(super) fn give_up_surplus(&mut self, stream: Stream, now: Monotonic, config: &NodeConfig) {
        let surplus = self.streams.get(&stream).map(|state| state.surplus(config)).unwrap_or_default();
        if !surplus.is_empty() {
            self.touch(now);
        }
        for position in surplus {
            self.finish(stream, position, Done::Abandoned(AbandonReason::Overflow));
        }
    }
}

impl Node {
    /// Rows of these streams have been recorded: gives up what is too much, and wakes those of which that must be read.
    pub(super) fn shed(&mut self, partition: Partition, streams: &BTreeSet<Stream>, now: Now) {
        for stream in streams {
            let Some(owned) = self.partitions.get_mut(&partition) else { return };
            let Some(state) = owned.streams.get(stream).filter(|state| state.overflows(&self.config)) else { continue };
            if state.has_surplus_in_store(&self.config) {
                owned.wake(*stream);
            }
            owned.give_up_surplus(*stream, now.mono, &self.config);
            self.wake_stream((partition, *stream), now.mono);
        }
    }
}
