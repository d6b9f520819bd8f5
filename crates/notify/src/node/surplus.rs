//! What is parked and given up for want of room.
//!
//! A stream may have so many bytes parked; beyond them its oldest go, strictly in order: what an attempt holds is waited
//! for, and what lies only in the store is read first. What tells of a subscription's life is not given up for that. Its
//! number follows from time and not from traffic, and nobody would be told.
//!
//! A log that is too long is cut up to a position; what is parked at or below it, of whatever stream, goes before that in
//! the same way. What it holds comes free with the checkpoint that counts it, and whoever cuts the log looks for that.

use std::collections::BTreeSet;

use graph::Partition;

use super::delivery::{Delivery, Place};
use super::fault::Fault;
use super::machine::Node;
use super::owned::{Done, Owned, Phase};
use super::stream::StreamState;
use super::{Command, NodeConfig};
use crate::checkpoint::StreamKind;
use crate::{AbandonReason, Monotonic, Now, Position, Stream};

impl StreamState {
    fn overflows(&self, config: &NodeConfig) -> bool {
        self.kind != StreamKind::Lifecycle && !self.ended && self.parked_bytes > config.parked_bytes_max
    }

    /// Up to where all that is parked lies in memory.
    pub(super) fn loaded_up_to(&self) -> Position {
        self.tail.as_ref().map_or(Position(u64::MAX), |tail| tail.after)
    }

    /// The oldest that are parked: up to a position, and until what is left is not too much.
    fn surplus(&self, free_through: Position, config: &NodeConfig) -> Vec<(Position, AbandonReason)> {
        let mut left = if self.overflows(config) { self.parked_bytes } else { 0 };
        let goes = |(position, delivery): (&Position, &Delivery)| {
            let is_parked = delivery.row.is_some() && delivery.place != Place::InFlight;
            let reason = match () {
                () if *position <= free_through => AbandonReason::Retention,
                () if left > config.parked_bytes_max => AbandonReason::Overflow,
                () => return None,
            };
            left = left.saturating_sub(delivery.parked_bytes);
            is_parked.then_some((*position, reason))
        };
        if config.planted(Fault::NewestOverflowsFirst) {
            let parked = self.deliveries.iter().rev().filter(|(_, delivery)| delivery.row.is_some());
            return parked.map_while(goes).collect();
        }
        self.deliveries.range(..=self.loaded_up_to()).map_while(goes).collect()
    }

    /// Whether what is to be given up must be read for that.
    pub(super) fn has_surplus_in_store(&self, free_through: Position, config: &NodeConfig) -> bool {
        let Some(tail) = &self.tail else { return false };
        let is_read = self.deliveries.range(..=tail.after).next().is_some();
        !is_read && (tail.after.next().max(tail.first) <= free_through || self.overflows(config))
    }
}

impl Owned {
    /// Abandons what of a stream is too much, as far as it is in memory; that must be recorded. Returns whether there was
    /// anything.
    pub(super) fn give_up_surplus(&mut self, stream: Stream, now: Monotonic, config: &NodeConfig) -> bool {
        let surplus = self.streams.get(&stream).map(|state| state.surplus(self.free_through, config));
        let surplus = surplus.unwrap_or_default();
        let is_any = !surplus.is_empty();
        if is_any {
            self.touch(now);
        }
        for (position, reason) in surplus {
            self.finish(stream, position, Done::Abandoned(reason));
        }
        is_any
    }
}

impl Node {
    /// The log is to be cut up to a position: gives up what is parked there.
    pub(super) fn give_up_through(
        &mut self,
        partition: Partition,
        through: Position,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.phase == Phase::Active)?;
        let through = if self.config.planted(Fault::RetentionTakesAll) { owned.cursor } else { through };
        owned.free_through = owned.free_through.max(through.min(owned.cursor));
        let streams: BTreeSet<Stream> = owned.streams.keys().copied().collect();
        self.shed(partition, &streams, now);
        self.read_tails(partition, commands);
        Some(partition)
    }

    /// Gives up what is too much of these streams, and wakes those of which that must be read.
    pub(super) fn shed(&mut self, partition: Partition, streams: &BTreeSet<Stream>, now: Now) {
        for stream in streams {
            let Some(owned) = self.partitions.get_mut(&partition) else { return };
            let Some(state) = owned.streams.get(stream) else { continue };
            if state.has_surplus_in_store(owned.free_through, &self.config) {
                owned.wake(*stream);
            }
            if owned.give_up_surplus(*stream, now.mono, &self.config) {
                self.wake_stream((partition, *stream), now.mono);
            }
        }
    }
}
