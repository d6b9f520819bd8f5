//! What is given up for room was too much, and the oldest.

use std::collections::BTreeSet;

use graph::{Partition, SubscriptionId};
use notify::checkpoint::StreamKind;
use notify::node::NodeConfig;
use notify::{AbandonReason, Checkpoint, LedgerDelta, Parked, Position, Stream};

use super::checkpoints::Before;
use super::{Delivery, Tenure, Violation, Watch};
use crate::process::Life;
use crate::storage::Storage;

fn counted(delta: &LedgerDelta, reason: AbandonReason) -> usize {
    delta.abandoned.get(&reason).map_or(0, |count| *count as usize)
}

fn sheds(delta: &LedgerDelta) -> bool {
    counted(delta, AbandonReason::Overflow) + counted(delta, AbandonReason::Retention) > 0
}

/// Whether a checkpoint gives something up for room.
pub(super) fn is_in(checkpoint: &Checkpoint) -> bool {
    checkpoint.ledger.values().any(sheds)
}

/// Whether something was given up for what has nothing to do with room.
fn has_others(delta: &LedgerDelta) -> bool {
    let others = [AbandonReason::Horizon, AbandonReason::SubscriptionEnded];
    others.iter().any(|reason| delta.abandoned.contains_key(reason))
}

fn positions(rows: &[Parked], id: SubscriptionId) -> BTreeSet<Position> {
    let rows = rows.iter().filter(|row| row.stream.subscription == id);
    rows.flat_map(|row| row.refs.iter().map(|one| one.position)).collect()
}

impl Watch {
    /// Whether a node may have given this up for room.
    pub(super) fn may_be_shed(&self, tenure: &Tenure, (number, position): Delivery) -> bool {
        let told = self.truth.spans[number].matches.get(&position);
        let is_change = told.is_some_and(|told| told.kind == StreamKind::Changes);
        let little = self.config.parked_bytes_max < NodeConfig::default().parked_bytes_max;
        let freed = self.freed.get(&self.truth.spans[number].partition).is_some_and(|freed| position <= *freed);
        position <= tenure.parked_up_to && (freed || (little && is_change))
    }

    /// Nodes are to give up what is parked at or below a position.
    pub fn asked_to_free(&mut self, partition: Partition, through: Position) {
        let freed = self.freed.entry(partition).or_default();
        *freed = through.max(*freed);
    }

    /// A node builds a checkpoint: what it has given up is not parked any more.
    pub(super) fn check_passed_over(&mut self, life: Life, checkpoint: &Checkpoint) -> Result<(), Violation> {
        self.note_cut(checkpoint);
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

    /// Which events were not in the log any more, as far as a node knew that when it built a checkpoint; it may be carried out
    /// later.
    fn note_cut(&mut self, checkpoint: &Checkpoint) {
        let built = (checkpoint.partition, checkpoint.epoch, checkpoint.number);
        if !is_in(checkpoint) || self.cut_when_built.contains_key(&built) {
            return;
        }
        let mut cut = BTreeSet::new();
        for number in checkpoint.ledger.keys().filter_map(|id| self.truth.number(*id)) {
            let told = self.truth.spans[number].matches.range(..=checkpoint.cursor);
            let told = told.filter(|(_, told)| told.event.is_some_and(|event| event.cut));
            cut.extend(told.map(|(position, _)| (number, *position)));
        }
        self.cut_when_built.insert(built, cut);
    }

    /// A checkpoint is recorded, which found `before` parked.
    pub(super) fn check_shed(
        &mut self,
        checkpoint: &Checkpoint,
        before: &Before,
        storage: &Storage,
    ) -> Result<(), Violation> {
        if !is_in(checkpoint) {
            return Ok(());
        }
        let built = (checkpoint.partition, checkpoint.epoch, checkpoint.number);
        let freed = self.freed.get(&checkpoint.partition).copied().unwrap_or_default();
        let (after, cursor) = (storage.parked(checkpoint.partition), before.cursor);
        let before = &before.rows;
        for (id, delta) in checkpoint.ledger.iter().filter(|(_, delta)| sheds(delta)) {
            let Some(number) = self.truth.number(*id) else { continue };
            if self.truth.spans[number].is_of_topic() {
                // They move from one stream to another, and end for other reasons all the time.
                let gone: Vec<Position> = positions(before, *id).difference(&positions(&after, *id)).copied().collect();
                // What was not in the log any more need not have been parked.
                let is_new = |position: &Position| *position > cursor || gone.contains(position);
                let cut = self.cut_when_built.get(&built).into_iter().flatten();
                let cut = cut.filter(|(of, position)| *of == number && is_new(position));
                let (overflow, retention, cut) =
                    (counted(delta, AbandonReason::Overflow), counted(delta, AbandonReason::Retention), cut.count());
                if gone.len() < overflow || gone.len() + cut < overflow + retention {
                    let seen = format!("event subscription {number} gave up {delta:?}, but {gone:?} are gone");
                    return Err(Violation::new("parked_is_bounded", seen));
                }
                if overflow > 0 || retention > cut {
                    self.shed.extend(gone.into_iter().map(|position| (number, position)));
                }
                continue;
            }
            for kind in [StreamKind::Changes, StreamKind::Lifecycle] {
                let stream = Stream { subscription: *id, kind };
                let gone = self.check_order(number, (stream, delta), (before, &after)).map_err(|what| {
                    Violation::new("parked_is_bounded", format!("subscription {number} gave up {delta:?}: {what}"))
                })?;
                self.shed.extend(gone.into_iter().map(|position| (number, position)));
            }
            let gone: BTreeSet<Position> =
                positions(before, *id).difference(&positions(&after, *id)).copied().collect();
            let told = &self.truth.spans[number].matches;
            let unheard = gone.iter().filter(|position| told.get(position).is_some_and(|told| !told.has_ended()));
            let (overflow, retention) =
                (counted(delta, AbandonReason::Overflow), counted(delta, AbandonReason::Retention));
            let above = unheard.clone().filter(|position| **position > freed).count();
            let below = gone.range(..=freed).count();
            let is_right = below >= retention && gone.len() >= overflow + retention;
            let is_all = has_others(delta) || (above <= overflow && unheard.count() <= overflow + retention);
            if !is_right || !is_all {
                let seen = format!(
                    "subscription {number} gave up {delta:?}, to free what is up to {freed}, but {gone:?} are gone, and \
                     nobody heard of {above} above"
                );
                return Err(Violation::new("parked_is_bounded", seen));
            }
        }
        Ok(())
    }

    /// What went of a stream, which must be its oldest, and no more than that takes.
    fn check_order(
        &self,
        number: usize,
        (stream, delta): (Stream, &LedgerDelta),
        (before, after): (&[Parked], &[Parked]),
    ) -> Result<BTreeSet<Position>, String> {
        let rows = |of: &[Parked]| of.iter().filter(|row| row.stream == stream).cloned().collect::<Vec<_>>();
        let (before, after) = (rows(before), rows(after));
        let (had, has) = (positions(&before, stream.subscription), positions(&after, stream.subscription));
        let gone: BTreeSet<Position> = had.difference(&has).copied().collect();
        let told = &self.truth.spans[number].matches;
        let is_unheard = |position: &&Position| told.get(position).is_some_and(|told| !told.has_ended());
        let unheard: Vec<Position> = gone.iter().filter(is_unheard).copied().collect();
        if let (Some(last), Some(kept)) = (unheard.last(), had.intersection(&has).next())
            && last > kept
            && !has_others(delta)
        {
            return Err(format!("{last} went, and the older {kept} was kept"));
        }
        let (overflow, most) = (counted(delta, AbandonReason::Overflow), self.config.parked_bytes_max);
        if overflow == 0 || stream.kind == StreamKind::Lifecycle {
            return Ok(gone);
        }
        let bytes: u64 = before.iter().map(|row| row.bytes).sum();
        // What each took is not known, only what they took together.
        let each = before.iter().map(|row| row.bytes / row.refs.len().max(1) as u64).max().unwrap_or_default();
        let left = bytes.saturating_sub(unheard.len() as u64 * each);
        let slack = each * (2 + unheard.len() as u64 / 2);
        let is_alone = !has_others(delta) && counted(delta, AbandonReason::Retention) == 0;
        match bytes <= most || (is_alone && left + slack < most) {
            true => Err(format!("it had {bytes} bytes of {most}, and has {left}")),
            false => Ok(gone),
        }
    }
}
