//! What happens when a time comes: leases, retries, steps of subscriptions, submissions that failed.

use graph::Partition;

use super::Command;
use super::machine::{Node, STORE_PAUSE_MICROS, Timer};
use crate::{Monotonic, Now, Position, Record};

impl Node {
    pub(super) fn run_timers(&mut self, now: Now, commands: &mut Vec<Command>) {
        while let Some((when, timer)) = self.next_due(now.mono) {
            self.run_timer(when, timer, now, commands);
        }
    }

    pub(super) fn run_timer(&mut self, when: Monotonic, timer: Timer, now: Now, commands: &mut Vec<Command>) {
        match timer {
            Timer::Acquire => {
                self.at(now.mono.plus_micros(self.config.acquire_micros), Timer::Acquire);
                let held = self.partitions.values().filter(|owned| owned.lease_until > now.mono).count();
                if !self.draining && held < usize::from(graph::PARTITIONS) {
                    let (asked, lease_micros) = (now.mono, self.config.lease_micros);
                    commands.push(Command::Acquire { asked, max: usize::from(graph::PARTITIONS), lease_micros });
                }
            }
            Timer::Renew => {
                self.at(now.mono.plus_micros(self.config.renew_micros), Timer::Renew);
                if !self.partitions.is_empty() {
                    commands.push(Command::Renew { asked: now.mono, lease_micros: self.config.lease_micros });
                }
            }
            Timer::Partition(partition) => {
                if self.partitions.get(&partition).is_some_and(|owned| owned.wake == Some(when)) {
                    self.look_after(partition, now, commands);
                }
            }
            Timer::Stream(partition, stream) => self.stream_due((partition, stream), when, now, commands),
            Timer::Life(when, partition, id) => self.life_due(when, (partition, id), now, commands),
            Timer::Incident(when, partition, id) => self.incident_due(when, (partition, id), now, commands),
            Timer::Submit(partition, epoch, position) => self.submit_again(partition, epoch, position, commands),
        }
    }

    pub(super) fn submitted(
        &mut self,
        (partition, epoch, position): (Partition, u64, Position),
        done: bool,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> Option<Partition> {
        let owned = self.partitions.get_mut(&partition).filter(|owned| owned.epoch == epoch)?;
        if !done {
            self.at(now.mono.plus_micros(STORE_PAUSE_MICROS), Timer::Submit(partition, epoch, position));
            return None;
        }
        let index = position.0.checked_sub(owned.cursor.0 + 1)?;
        let entry = owned.window.get_mut(index as usize)?;
        let was_submitting = std::mem::take(&mut entry.submitting);
        if let Record::Submit(submission) = &*entry.record.clone()
            && was_submitting
            && let Some((position, record)) = owned.submitting(submission.sender)
        {
            commands.push(Command::Submit { partition, epoch, position, record: record.clone() });
        }
        owned.touch(now.mono);
        Some(partition)
    }

    pub(super) fn submit_again(
        &mut self,
        partition: Partition,
        epoch: u64,
        position: Position,
        commands: &mut Vec<Command>,
    ) {
        let owned = self.partitions.get(&partition).filter(|owned| owned.epoch == epoch);
        let entry = owned.and_then(|owned| owned.window.get(position.0.checked_sub(owned.cursor.0 + 1)? as usize));
        if let Some(entry) = entry.filter(|entry| entry.submitting) {
            commands.push(Command::Submit { partition, epoch, position, record: entry.record.clone() });
        }
    }
}
