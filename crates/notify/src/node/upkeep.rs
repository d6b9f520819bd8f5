//! Looking after a partition: when its next checkpoint is due, and what the store said of the last.

use std::collections::BTreeSet;

use graph::Partition;

use super::machine::{Node, STORE_PAUSE_MICROS, Timer};
use super::owned::{Owned, Phase};
use super::{CheckpointAnswer, Command, NodeConfig};
use crate::node::fault::Fault;
use crate::{Checkpoint, Monotonic, Now, Stream};

/// How long records that nobody hears of may wait for a checkpoint.
const IDLE_CHECKPOINT_MICROS: u64 = 1_000_000;

impl Node {
    pub(super) fn checkpointed(
        &mut self,
        partition: Partition,
        epoch: u64,
        number: u64,
        answer: CheckpointAnswer,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        let recording = owned.recording.as_mut().filter(|recording| recording.checkpoint.number == number)?;
        match answer {
            CheckpointAnswer::Recorded => {}
            CheckpointAnswer::OutOfTurn { last } if last == number => {}
            CheckpointAnswer::Unknown => {
                recording.again_at = Some(now.mono.plus_micros(STORE_PAUSE_MICROS));
                if self.config.planted(Fault::CheckpointAppliedTwice) {
                    recording.checkpoint.number += 1;
                    owned.number += 1;
                }
                return Some(partition);
            }
            CheckpointAnswer::Fenced | CheckpointAnswer::OutOfTurn { .. } => {
                self.drop_partition(partition);
                return None;
            }
        }
        let recorded = owned.recording.take().map(|recording| recording.checkpoint);
        let (streams, incidents) =
            recorded.map(|recorded| (streams(&recorded), recorded.incidents)).unwrap_or_default();
        owned.forget_idle(&mut self.sending);
        owned.forget_ended(&mut self.sending);
        self.opened(partition, incidents, now, commands);
        self.shed(partition, &streams, now);
        self.let_parked_go(partition, streams, now);
        self.read_tails(partition, commands);
        self.catch_up(partition, now, commands);
        Some(partition)
    }

    /// Does what is due in a partition, and sets its next timer.
    pub(super) fn look_after(&mut self, partition: Partition, now: Now, commands: &mut Vec<Command>) {
        // Before anything is recorded: what a checkpoint has in it stays in memory.
        self.make_room_for_load(now);
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        owned.wake = None;
        match owned.phase {
            Phase::Reading => return,
            Phase::Failed => {
                owned.phase = Phase::Reading;
                commands.push(Command::ReadState { partition, epoch: owned.epoch });
                return;
            }
            Phase::Active => {}
        }
        let due = checkpoint_due(owned, &self.config).is_some_and(|due| due <= now.mono);
        match &mut owned.recording {
            Some(recording) if recording.again_at.is_some_and(|at| at <= now.mono) => {
                recording.again_at = None;
                commands.push(Command::Checkpoint(recording.checkpoint.clone()));
            }
            None if owned.reads == 0 && due => {
                commands.extend(owned.checkpoint(now, &self.sending.pulses, &self.config).map(Command::Checkpoint));
            }
            _ => {}
        }
        self.read_tails(partition, commands);
        let owned = self.partitions.get(&partition);
        if owned.is_some_and(|owned| now.mono.since(owned.looked) >= self.config.poll_micros) {
            self.read_log(partition, now, commands);
        }
        self.catch_up(partition, now, commands);
        self.schedule(partition, now);
    }

    pub(super) fn schedule(&mut self, partition: Partition, now: Now) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let due = match (owned.phase, &owned.recording) {
            (Phase::Reading, _) => return,
            (Phase::Failed, _) => now.mono.plus_micros(STORE_PAUSE_MICROS),
            (Phase::Active, Some(recording)) => recording.again_at.unwrap_or(Monotonic(u64::MAX)),
            (Phase::Active, None) if owned.reads > 0 => Monotonic(u64::MAX),
            (Phase::Active, None) => checkpoint_due(owned, &self.config).unwrap_or(Monotonic(u64::MAX)),
        };
        let behind = owned.head > owned.applied && owned.reading.is_none();
        let idle_tail =
            !(owned.tails.is_empty() && owned.unread.is_empty()) && owned.recording.is_none() && owned.reads == 0;
        let pause = if behind || idle_tail { STORE_PAUSE_MICROS } else { self.config.poll_micros };
        let when = due.min(now.mono.plus_micros(pause));
        if owned.wake.is_none_or(|wake| when < wake) {
            owned.wake = Some(when);
            self.at(when, Timer::Partition(partition));
        }
    }
}

/// Those whose rows a checkpoint has changed.
fn streams(checkpoint: &Checkpoint) -> BTreeSet<Stream> {
    let parked = checkpoint.park.iter().map(|row| row.stream);
    parked.chain(checkpoint.unpark.iter().map(|(stream, _)| *stream)).collect()
}

/// When the partition's next checkpoint is to be built, if there is anything to record.
fn checkpoint_due(owned: &Owned, config: &NodeConfig) -> Option<Monotonic> {
    let dirty = owned.dirty_since.map(|since| since.plus_micros(config.checkpoint_micros));
    let first = owned.window.front().filter(|entry| !entry.submitting);
    let first = first.map(|entry| {
        entry.at.plus_micros(if entry.unfinished > 0 { config.park_micros } else { IDLE_CHECKPOINT_MICROS })
    });
    match (dirty, first) {
        (Some(dirty), Some(first)) => Some(dirty.min(first)),
        (dirty, first) => dirty.or(first),
    }
}
