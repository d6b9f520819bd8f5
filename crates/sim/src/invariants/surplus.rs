//! What is given up for room was too much, and the oldest.

use std::collections::BTreeSet;

use notify::checkpoint::StreamKind;
use notify::node::NodeConfig;
use notify::{AbandonReason, Checkpoint, LedgerDelta, Parked, Position, Stream};

use super::{Delivery, Tenure, Violation, Watch};
use crate::process::Life;
use crate::storage::Storage;

fn overflowed(delta: &LedgerDelta) -> u64 {
    delta.abandoned.get(&AbandonReason::Overflow).copied().unwrap_or_default()
}

/// Whether a checkpoint gives something up for room.
pub(super) fn is_in(checkpoint: &Checkpoint) -> bool {
    checkpoint.ledger.values().any(|delta| overflowed(delta) > 0)
}

fn positions(rows: &[Parked], stream: Stream) -> BTreeSet<Position> {
    let rows = rows.iter().filter(|row| row.stream == stream);
    rows.flat_map(|row| row.refs.iter().map(|one| one.position)).collect()
}

impl Watch {
    /// Whether a node may have given this up for room.
    pub(super) fn may_be_shed(&self, tenure: &Tenure, (number, position): Delivery) -> bool {
        let told = self.truth.spans[number].matches.get(&position);
        let is_change = told.is_some_and(|told| told.kind == StreamKind::Changes);
        let little = self.config.parked_bytes_max < NodeConfig::default().parked_bytes_max;
        little && is_change && position <= tenure.parked_up_to
    }

    /// A node builds a checkpoint: what it has given up is not parked any more.
    pub(super) fn check_passed_over(&mut self, life: Life, checkpoint: &Checkpoint) -> Result<(), Violation> {
        let Some(tenure) = self.tenures.get_mut(&(life, checkpoint.partition)) else { return Ok(()) };
        tenure.parked_up_to = tenure.parked_up_to.max(checkpoint.cursor);
        if checkpoint.number <= tenure.number {
            return Ok(());
        }
        for row in &checkpoint.park {
            let Some(number) = self.truth.number(row.stream.subscription) else { continue };
            if let Some(one) = row.refs.iter().find(|one| tenure.passed_over.contains(&(number, one.position))) {
                let seen =
                    format!("subscription {number}: later ones were sent before {}, which is parked", one.position);
                return Err(Violation::new("item_order_holds", seen));
            }
        }
        Ok(())
    }

    /// A checkpoint is recorded, which found `before` parked.
    pub(super) fn check_shed(
        &mut self,
        checkpoint: &Checkpoint,
        before: &[Parked],
        storage: &Storage,
    ) -> Result<(), Violation> {
        let shed = checkpoint.ledger.iter().filter(|(_, delta)| overflowed(delta) > 0);
        for (id, delta) in shed {
            let Some(number) = self.truth.number(*id) else { continue };
            let stream = Stream { subscription: *id, kind: StreamKind::Changes };
            let refuse = |what: String| {
                Err(Violation::new("parked_is_bounded", format!("subscription {number} had too much parked: {what}")))
            };
            let bytes: u64 = before.iter().filter(|row| row.stream == stream).map(|row| row.bytes).sum();
            if bytes <= self.config.parked_bytes_max {
                return refuse(format!("{delta:?}, but only {bytes} bytes of {}", self.config.parked_bytes_max));
            }
            let (had, has) = (positions(before, stream), positions(&storage.parked(checkpoint.partition), stream));
            let gone: BTreeSet<Position> = had.difference(&has).copied().collect();
            let told = &self.truth.spans[number].matches;
            let is_unheard = |position: &&Position| told.get(position).is_some_and(|told| !told.has_ended());
            let unheard: Vec<Position> = gone.iter().filter(is_unheard).copied().collect();
            let overflowed = overflowed(delta) as usize;
            let others = [AbandonReason::Horizon, AbandonReason::SubscriptionEnded];
            if !others.iter().any(|reason| delta.abandoned.contains_key(reason)) {
                if unheard.len() > overflowed || gone.len() < overflowed {
                    return refuse(format!("{delta:?}, but {gone:?} are gone, and nobody heard of {unheard:?}"));
                }
                if let (Some(last), Some(kept)) = (unheard.last(), had.intersection(&has).next())
                    && last > kept
                {
                    return refuse(format!("{last} was given up, and the older {kept} was kept"));
                }
                let size = |of: &Parked| of.bytes / of.refs.len().max(1) as u64;
                let most = before.iter().filter(|row| row.stream == stream).map(size).max().unwrap_or_default();
                let left = bytes.saturating_sub(unheard.len() as u64 * most);
                // What each took is not known, only what they took together.
                let slack = most * (2 + unheard.len() as u64 / 2);
                if left + slack < self.config.parked_bytes_max {
                    return refuse(format!("{overflowed} of {bytes} bytes were given up, which leaves {left}"));
                }
            }
            self.shed.extend(gone.into_iter().map(|position| (number, position)));
        }
        Ok(())
    }
}
