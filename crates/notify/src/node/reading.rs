//! What comes from the store: a partition's state, its log, and parked deliveries; and whether memory has
//! room for more of it.

use std::ops::Bound;
use std::sync::Arc;

use graph::Partition;

use super::machine::{Node, Timer};
use super::owned::Phase;
use super::room::take_turn;
use super::sending::StreamAt;
use super::wall::mono_of;
use super::{Command, NodeConfig};
use crate::checkpoint::{LoadedParked, PartitionState, StreamKind};
use crate::node::fault::Fault;
use crate::push_policy::{GivenUp, Pushed, Undelivered};
use crate::{Monotonic, Now, Position, Record, Stream};

/// Deliveries whose attempts end before it is asked again whether there is room.
const ROOM_ASKED_EVERY: usize = 32;
/// Records read at once at the least.
const READ_LEAST: usize = 32;
/// Parked reads under way for one partition.
const READS_MAX: usize = 8;

impl NodeConfig {
    /// How many records are read at once where there is so much room: a part of it, so that other partitions can read, too,
    /// and little of what was read must be read again; and whole batches, so that few requests tell of a backlog.
    fn part_of(&self, room: usize) -> usize {
        let batch = usize::from(self.batch_max).max(1);
        let part = (room / 4).max(READ_LEAST).max(batch.min(room / 2));
        if part > batch { part - part % batch } else { part }
    }
}

impl Node {
    pub(super) fn take_over(
        &mut self,
        partition: Partition,
        epoch: u64,
        state: Option<PartitionState>,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        if owned.phase == Phase::Active {
            return None;
        }
        let Some(state) = state else {
            owned.phase = Phase::Failed;
            return Some(partition);
        };
        self.wall.raise(state.wall);
        owned.take_over(state, &mut self.sending, now, &self.config);
        self.arm_all(partition, now);
        self.arm_incidents(partition, now);
        self.read_tails(partition, commands);
        self.read_log(partition, now, commands);
        Some(partition)
    }

    /// Matches records that follow on those already matched; whatever else they are, they tell how far
    /// the log has grown.
    pub(super) fn apply(
        &mut self,
        partition: Partition,
        records: Vec<(Position, Arc<Record>)>,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let share = self.share();
        let (draining, sums) = (self.draining, &self.sums);
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let mut changed = Vec::new();
        for (position, record) in records {
            owned.head = owned.head.max(position);
            let in_order = position == owned.applied.next()
                || (position > owned.applied && self.config.planted(Fault::PositionOutOfOrderAccepted));
            if owned.phase != Phase::Active || draining || !sums.have_room(&self.config) || !in_order {
                continue;
            }
            if let Record::Subscription { id, .. } | Record::Lifecycle { subscription: id, cause: Some(_), .. } =
                &*record
            {
                changed.push(*id);
            }
            // What one mailbox sends arrives in the order in which it was sent.
            if let Record::Submit(submission) = &*record
                && owned.submitting(submission.sender).is_none()
            {
                commands.push(Command::Submit { partition, epoch: owned.epoch, position, record: record.clone() });
            }
            owned.apply(position, record, now, &mut self.sending, share);
        }
        let holding = std::mem::take(&mut owned.holding);
        for stream in holding {
            self.wake_stream((partition, stream), now.mono);
        }
        for id in changed {
            self.arm(partition, id, now);
        }
        self.catch_up(partition, now, commands);
    }

    /// Reads on if the log is known to have more, and there is room for it.
    pub(super) fn catch_up(&mut self, partition: Partition, now: Now, commands: &mut Vec<Command>) {
        if self.partitions.get(&partition).is_some_and(|owned| owned.head > owned.applied) {
            self.read_log(partition, now, commands);
        }
    }

    /// Lets the partitions read on that stopped for want of room, once half of it is free again.
    pub(super) fn use_room(&mut self, now: Now, commands: &mut Vec<Command>) {
        // To add up what is held costs more than an event should.
        if !self.waiting_for_room.is_empty() && self.sending.may_have_room(ROOM_ASKED_EVERY) {
            self.read_waiting(now, commands);
        }
    }

    fn read_waiting(&mut self, now: Now, commands: &mut Vec<Command>) {
        if self.waiting_for_room.is_empty() {
            return;
        }
        if self.sums.unparked() > self.config.unparked_max / 2 {
            return;
        }
        // There may be many, and to add up what is held for each would cost more than to read.
        let mut room = self.room();
        while room > 0
            && let Some(partition) = take_turn(&mut self.waiting_for_room, self.read_last)
        {
            self.read_last = Some(partition);
            room -= self.read_log_within(room, partition, now, commands);
        }
    }

    pub(super) fn read_log(&mut self, partition: Partition, now: Now, commands: &mut Vec<Command>) {
        self.read_log_within(self.room(), partition, now, commands);
    }

    /// Reads a part of the room's records. How much of the room that takes.
    fn read_log_within(&mut self, room: usize, partition: Partition, now: Now, commands: &mut Vec<Command>) -> usize {
        let Some(owned) = self.partitions.get_mut(&partition) else { return 0 };
        if room == 0 {
            self.waiting_for_room.insert(partition);
        } else if owned.phase == Phase::Active && owned.reading.is_none() {
            let limit = self.config.part_of(room).min(self.config.read_records);
            owned.reading = Some(limit);
            owned.looked = now.mono;
            commands.push(Command::ReadLog { partition, epoch: owned.epoch, after: owned.applied, limit });
            return limit.min(room);
        } else {
            owned.look_again = owned.reading.is_some();
        }
        0
    }

    /// How many records may be asked for now, by all partitions together.
    fn room(&self) -> usize {
        if !self.has_room() {
            return 0;
        }
        let asked: usize = self.partitions.values().filter_map(|owned| owned.reading).sum();
        self.config.unparked_max.saturating_sub(self.sums.unparked() + asked)
    }

    pub(super) fn log_read(
        &mut self,
        partition: Partition,
        epoch: u64,
        records: Option<Vec<(Position, Arc<Record>)>>,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        let asked = owned.reading.take();
        let Some(records) = records else { return Some(partition) };
        if asked.is_some_and(|asked| records.len() >= asked) {
            // A full page: there may be more.
            owned.head = owned.head.max(records.last().map(|(last, _)| last.next()).unwrap_or_default());
        } else if records.is_empty() {
            owned.head = owned.applied;
        }
        let look_again = std::mem::take(&mut owned.look_again);
        self.apply(partition, records, now, commands);
        if look_again {
            self.read_log(partition, now, commands);
        }
        // What the read had taken of the room is free again. Partitions that are polled at one time would otherwise
        // find it taken by the same one each time.
        self.read_waiting(now, commands);
        Some(partition)
    }

    /// Asks for more of the streams that lie partly in the store.
    pub(super) fn read_tails(&mut self, partition: Partition, commands: &mut Vec<Command>) {
        let Some(owned) = self.partitions.get(&partition) else { return };
        let has_none = owned.tails.is_empty() && owned.unread.is_empty();
        if has_none || owned.recording.is_some() || self.draining || owned.phase != Phase::Active {
            return;
        }
        let (share, mut room) = (self.share(), self.room_to_load());
        let deliveries = self.config.read_parked;
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let last = owned.unread_last;
        let after = owned.unread.range((last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let before = last.map(|last| owned.unread.range(..=last)).into_iter().flatten();
        for stream in owned.tails.iter().chain(after).chain(before) {
            if owned.reads >= READS_MAX {
                break;
            }
            let Some(state) = owned.streams.get_mut(stream) else { continue };
            let wanted =
                if room > 0 { state.wants_more(share, owned.free_through, &self.config) } else { state.needs_more() };
            if room == 0 && state.deliveries.is_empty() {
                self.waiting_to_load.insert(partition);
                // Nothing of those that follow is in memory.
                if owned.unread.contains(stream) {
                    break;
                }
            }
            let Some(tail) = state.tail.as_mut().filter(|_| wanted) else { continue };
            tail.reading = true;
            owned.reads += 1;
            if owned.unread.contains(stream) {
                owned.unread_last = Some(*stream);
            }
            room = room.saturating_sub(self.config.page_max());
            let (stream, after) = (*stream, tail.after);
            commands.push(Command::ReadParked { partition, epoch: owned.epoch, stream, after, deliveries });
        }
    }

    pub(super) fn parked_read(
        &mut self,
        partition: Partition,
        epoch: u64,
        stream: Stream,
        rows: Option<Vec<LoadedParked>>,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        owned.reads = owned.reads.saturating_sub(1);
        let state = owned.streams.get_mut(&stream)?;
        if let Some(tail) = &mut state.tail {
            tail.reading = false;
        }
        let Some(rows) = rows else { return Some(partition) };
        let complete = rows.iter().map(|loaded| loaded.records.len()).sum::<usize>() < self.config.read_parked;
        // No wait is longer than the longest: a due time beyond it comes from a clock that was wrong.
        let longest = state.policy().wait_micros_max().max(self.sending.pulses.hold_micros());
        let latest = now.mono.plus_micros(longest);
        let rows = if stream.kind == StreamKind::DeadLetters { faulty(rows, &self.config) } else { rows };
        let loaded = state.load(rows, latest, |due| mono_of(due, now));
        if state.has_failed() && state.policy().is_of_notifications() {
            self.sending.recovery(state.endpoint).failed((partition, stream));
        }
        if owned.unread.remove(&stream) {
            owned.tails.insert(stream);
        }
        owned.held.add(loaded);
        owned.held_parked.add(loaded);
        if complete {
            owned.end_tail(stream, now);
        }
        if stream.kind == StreamKind::DeadLetters && self.config.planted(Fault::DeadLetterLost) {
            owned.lose(stream);
        }
        owned.give_up_idle(stream);
        owned.give_up_surplus(stream, now.mono, &self.config);
        owned.touch(now.mono);
        self.let_early_go(partition, stream, now);
        self.wake_stream((partition, stream), now.mono);
        self.load_waiting(partition, commands);
        self.read_tails(partition, commands);
        Some(partition)
    }

    /// The stream may have something to send now, or will have at its next due time.
    pub(super) fn wake_stream(&mut self, at: StreamAt, now: Monotonic) {
        let Some(state) = self.partitions.get_mut(&at.0).and_then(|owned| owned.streams.get_mut(&at.1)) else { return };
        if !state.listed && !state.deliveries.is_empty() {
            state.listed = true;
            self.sending.list(state.endpoint, at);
        }
        self.await_due(at, now);
    }

    /// Sets a timer for the stream's next due time.
    pub(super) fn await_due(&mut self, at: StreamAt, now: Monotonic) {
        let Some(state) = self.partitions.get_mut(&at.0).and_then(|owned| owned.streams.get_mut(&at.1)) else { return };
        state.note_block(now);
        let due = state.next_due_after(now);
        if let Some(due) = due.filter(|due| state.wake.is_none_or(|wake| *due < wake)) {
            state.wake = Some(due);
            self.at(due, Timer::Stream(at.0, at.1));
        }
    }

    /// A due time of the stream has come.
    pub(super) fn stream_due(
        &mut self,
        (partition, stream): StreamAt,
        when: Monotonic,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let Some(owned) = self.partitions.get_mut(&partition) else { return };
        let Some(state) = owned.streams.get_mut(&stream).filter(|state| state.wake == Some(when)) else { return };
        state.wake = None;
        if state.asleep().is_some_and(|until| until <= now.mono) {
            owned.wake(stream);
            self.read_tails(partition, commands);
            return self.schedule(partition, now);
        }
        owned.give_up_since(stream, now.wall.plus_micros(-self.config.horizon_micros), now.mono);
        self.wake_stream((partition, stream), now.mono);
        self.schedule(partition, now);
    }
}

/// Dead letters with the defect that is planted in them.
fn faulty(rows: Vec<LoadedParked>, config: &NodeConfig) -> Vec<LoadedParked> {
    if !config.planted(Fault::DeadLetterReasonLost) {
        return rows;
    }
    let reason = GivenUp::TimeToLiveExceeded;
    let forgets = |mut loaded: LoadedParked| {
        if let Some(Pushed::GivenUp(known)) = loaded.row.pushed {
            loaded.row.pushed = Some(Pushed::GivenUp(Undelivered { reason, last: None, ..known }));
        }
        loaded
    };
    rows.into_iter().map(forgets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_read_in_whole_batches_that_leave_room_for_others() {
        let rooms = [
            (2_048, 100, 500),
            (1_024, 100, 200),
            (300, 100, 100),
            (124, 100, 62),
            (1, 100, READ_LEAST),
            (2_048, 1, 512),
            (1_024, 1_000, 512),
            (8_000, 1_000, 2_000),
        ];
        for (room, batch_max, part) in rooms {
            let config = NodeConfig { batch_max, ..NodeConfig::default() };
            assert_eq!(config.part_of(room), part, "of {room} in batches of {batch_max}");
        }
    }
}
