//! Somebody looks after the logs, at odd times and by a clock that may be wrong; what they mean to do is done at once,
//! late, twice, in part or not at all.
//!
//! It draws from a stream of its own, so that everything else in a world goes on as if nobody did.

use notify::Event;
use notify::retention::{Limits, Step, plan};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::catalogue::Fault;
use crate::invariants::Violation;
use crate::storage::date;
use crate::trace::Line;
use crate::world::{Happening, World};

const SECOND: u64 = 1_000_000;
/// How long after the last fault logs are still looked after.
const AFTERWARDS_MICROS: u64 = 30 * SECOND;

/// One who looks after the logs.
pub struct Retention {
    rng: StdRng,
    limits: Limits,
}

impl World {
    /// Has the logs looked after, more or less often.
    pub fn keep_logs_short(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed_0f10_6500_0001);
        let age_micros = [1, 5, 40, 120].choose(&mut rng).map_or(0, |seconds| seconds * SECOND as i64);
        let bytes_max = rng.random_bool(0.3).then(|| rng.random_range(4..200) << 10);
        for _ in 0..rng.random_range(0..40) {
            let at = rng.random_range(0..self.plan.quiet_micros + AFTERWARDS_MICROS);
            self.agenda.add(at, Happening::LookAfterLogs);
        }
        self.retention = Some(Retention { rng, limits: Limits { age_micros, bytes_max } });
    }

    pub fn look_after_logs(&mut self) -> Result<(), Violation> {
        let Some(retention) = &mut self.retention else { return Ok(()) };
        let process = &self.processes[retention.rng.random_range(0..2)];
        let now = date(self.at).plus_micros(process.skew_micros);
        let extents = self.storage.extents(&self.partitions);
        let steps = plan(&extents, &retention.limits, now);
        if process.skew_micros != 0 && !steps.is_empty() {
            self.strikes.count(Fault::RetentionSkewed);
        }
        for step in steps {
            let Some(retention) = &mut self.retention else { return Ok(()) };
            let (fate, late) = (retention.rng.random_range(0..10), retention.rng.random_range(0..60 * SECOND));
            match fate {
                0 => self.strikes.count(Fault::RetentionSkipped),
                1 => self.strikes.count(Fault::RetentionLate),
                2 => self.strikes.count(Fault::RetentionTwice),
                _ => {}
            }
            if matches!(fate, 1..3) {
                self.agenda.add(self.at + late, Happening::Retain(step));
            }
            if !matches!(fate, 0..2) {
                self.retain(step)?;
            }
        }
        Ok(())
    }

    /// A step is taken, if it still can.
    pub fn retain(&mut self, step: Step) -> Result<(), Violation> {
        let Some(retention) = &mut self.retention else { return Ok(()) };
        let (times, most) = (retention.rng.random_range(1..9), retention.rng.random_range(1..20));
        let process = &self.processes[retention.rng.random_range(0..2)];
        let now = date(self.at).plus_micros(process.skew_micros);
        let model = &mut self.storage.model;
        let (partition, what) = match step {
            Step::Mark { partition, instead_of } => {
                model.mark_log(partition, now, instead_of).ok();
                (partition, "mark")
            }
            Step::Raise { partition, mark } => {
                if model.raise_floor(partition, mark) == Ok(true) {
                    self.strikes.count(Fault::LogCut);
                    if times > 1 {
                        model.mark_log(partition, now, None).ok();
                    }
                }
                (partition, "raise")
            }
            Step::GiveUp { partition, through } => {
                self.strikes.count(Fault::LogTooLong);
                self.watch.asked_to_free(partition, through);
                for process in 0..self.processes.len() {
                    let (life, soon) = (self.processes[process].life, self.at + 1_000);
                    let event = Event::GiveUp { partition, through };
                    self.agenda.add(soon, Happening::Deliver(life, Box::new(event.into())));
                }
                (partition, "give up")
            }
            Step::Cut { partition } => (partition, "cut"),
        };
        if matches!(step, Step::Raise { .. } | Step::Cut { .. }) {
            for _ in 0..times {
                self.storage.model.cut_log(partition, most).ok();
            }
        }
        let extent = self.storage.extent(partition);
        if extent.first <= extent.floor {
            self.strikes.count(Fault::CutInPart);
        }
        let floor = extent.floor.0;
        self.note(Line::Retained { partition: partition.0, what, floor });
        self.watch.check_log(partition, &self.storage)
    }
}
