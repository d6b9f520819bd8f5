//! Which partitions the node holds.

use std::collections::BTreeMap;

use graph::Partition;

use super::Command;
use super::machine::Node;
use super::owned::Owned;
use crate::{Monotonic, Now};

impl Node {
    pub(super) fn drop_partition(&mut self, partition: Partition) {
        if let Some(owned) = self.partitions.remove(&partition) {
            for (stream, state) in &owned.streams {
                self.sending.leave(state.endpoint, (partition, *stream));
            }
        }
    }

    pub(super) fn leases(
        &mut self,
        asked: Monotonic,
        renewal: bool,
        held: Vec<(Partition, u64)>,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let until = asked.plus_micros(self.config.lease_micros);
        if renewal {
            self.drop_lost(asked, &held);
        }
        if until <= now.mono {
            return;
        }
        for (partition, epoch) in held {
            match self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch) {
                Some(owned) => {
                    owned.lease_until = owned.lease_until.max(until);
                    if std::mem::take(&mut owned.lease_too_short) {
                        self.list_all(partition);
                    }
                }
                None if renewal || self.draining => {}
                None => {
                    self.drop_partition(partition);
                    self.partitions.insert(partition, Owned::new((partition, epoch), until, now.mono, &self.sums));
                    commands.push(Command::ReadState { partition, epoch });
                }
            }
        }
    }

    /// Drops what the store says is no longer held. A partition whose lease has lapsed by this node's own
    /// clock begins nothing, but stays until then: if nobody else has taken it, its epoch is still the
    /// same, and so must be what is known of it, for an old checkpoint may still be on its way.
    pub(super) fn drop_lost(&mut self, asked: Monotonic, held: &[(Partition, u64)]) {
        let held: BTreeMap<Partition, u64> = held.iter().copied().collect();
        let lapsed = self.partitions.values().filter(|owned| owned.lease_until <= asked);
        let lost = lapsed.filter(|owned| held.get(&owned.partition) != Some(&owned.epoch));
        for partition in lost.map(|owned| owned.partition).collect::<Vec<_>>() {
            self.drop_partition(partition);
        }
    }

    pub(super) fn list_all(&mut self, partition: Partition) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        for (stream, state) in &mut owned.streams {
            if !state.listed && !state.deliveries.is_empty() {
                state.listed = true;
                self.sending.list(state.endpoint, (partition, *stream));
            }
        }
    }
}
