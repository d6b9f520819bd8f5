//! What goes wrong with processes, clocks and receivers, and when; and how the world comes to rest.

use notify::Event;
use rand::RngExt;

use crate::catalogue::Fault;
use crate::invariants::{SOON_MICROS, Violation};
use crate::network::Mood;
use crate::plan::CROWD;
use crate::process::{Letter, Life};
use crate::storage::date;
use crate::trace::Line;
use crate::world::{Happening, World};

const SECOND: u64 = 1_000_000;
/// A clock that moves by less takes a step.
const LEAP_MICROS: u64 = 20 * SECOND;
/// How long the quiet phase may last beyond the longest wait between two attempts.
const REST_SLACK_MICROS: u64 = 240 * SECOND;
/// When leases of the dead have ended, and what waited for slots has gone.
const SETTLE_MICROS: u64 = 90 * SECOND;
/// How long after a lease of the dead has ended what waited for it has gone. A late write may extend it after they died.
const TAKE_OVER_MICROS: u64 = 30 * SECOND;
/// How long a drained node may take to give its leases back.
const DRAIN_MICROS: u64 = 15 * SECOND;

/// Something that happens to a machine or a receiver.
#[derive(Clone, Copy, Debug)]
pub enum Weather {
    Start(usize),
    Crash(usize),
    /// Crash after so many more commands.
    Fuse(usize, u32),
    /// Stand still for so many microseconds.
    Pause(usize, u64),
    Resume(Life),
    /// Move the wall clock by so many microseconds.
    Jump(usize, i64),
    Drain(usize),
    Kill(Life),
    Receiver(usize, Mood),
    /// Both are down for so many microseconds.
    Darkness(u64),
}

impl World {
    /// Writes down what will go wrong before the quiet phase.
    pub fn forecast(&mut self) {
        let faults = self.plan.faults;
        let end = self.plan.quiet_micros;
        for _ in 0..faults.crashes {
            let process = self.rng.random_range(0..2);
            let fuse = self.rng.random_range(0..30);
            let weather =
                if self.rng.random_bool(0.7) { Weather::Fuse(process, fuse) } else { Weather::Crash(process) };
            self.add_weather(end, weather);
        }
        for _ in 0..faults.pauses {
            let micros = self.rng.random_range(50_000..45 * SECOND);
            let process = self.rng.random_range(0..2);
            self.add_weather(end, Weather::Pause(process, micros));
        }
        for _ in 0..faults.jumps {
            self.forecast_jump(end);
        }
        for _ in 0..faults.drains {
            let process = self.rng.random_range(0..2);
            self.add_weather(end, Weather::Drain(process));
        }
        for _ in 0..faults.receiver_moods {
            let endpoint = self.rng.random_range(0..self.plan.urls.len());
            let mood = Mood::draw(&mut self.rng);
            self.add_weather(end, Weather::Receiver(endpoint, mood));
        }
        if self.plan.urls.len() >= CROWD {
            for endpoint in (0..self.plan.urls.len()).step_by(10) {
                self.agenda.add(0, Happening::Weather(Weather::Receiver(endpoint, Mood::Faulty(Fault::Hanging))));
            }
        }
        if faults.darkness {
            let micros = self.plan.config.horizon_micros as u64 + self.rng.random_range(0..120 * SECOND);
            self.agenda.add(end, Happening::Weather(Weather::Darkness(micros)));
            self.plan.quiet_micros = end + micros;
        }
    }

    fn add_weather(&mut self, before: u64, weather: Weather) {
        let at = self.rng.random_range(0..before);
        self.agenda.add(at, Happening::Weather(weather));
    }

    /// A step of a few seconds that stays, or a leap that is taken back, sometimes before it is believed.
    fn forecast_jump(&mut self, end: u64) {
        let process = self.rng.random_range(0..2);
        let at = self.rng.random_range(0..end);
        let sign = if self.rng.random_bool(0.5) { 1 } else { -1 };
        if self.rng.random_bool(0.5) {
            let by = sign * self.rng.random_range(1..3_000_000);
            self.agenda.add(at, Happening::Weather(Weather::Jump(process, by)));
            return;
        }
        let by = sign * self.rng.random_range(LEAP_MICROS as i64..20_000 * SECOND as i64);
        let back = at + self.rng.random_range(SECOND..50 * SECOND);
        self.agenda.add(at, Happening::Weather(Weather::Jump(process, by)));
        self.agenda.add(back, Happening::Weather(Weather::Jump(process, -by)));
    }

    pub fn weather(&mut self, weather: Weather) -> Result<(), Violation> {
        match weather {
            Weather::Start(process) => self.start(process)?,
            Weather::Crash(process) if !self.quiet => {
                if self.processes[process].node.is_some() {
                    self.strike(Fault::Crash);
                }
                self.crash(process);
            }
            Weather::Fuse(process, commands) if !self.quiet => {
                self.processes[process].fuse = self.processes[process].node.is_some().then_some(commands);
            }
            Weather::Pause(process, micros) if !self.quiet => self.pause(process, micros),
            Weather::Resume(life) => self.resume(life)?,
            Weather::Jump(process, by) => self.jump(process, by),
            Weather::Drain(process) if !self.quiet => self.drain(process)?,
            Weather::Kill(life) => self.kill(life),
            Weather::Receiver(endpoint, mood) if !self.quiet => {
                self.moods[endpoint] = mood;
                self.note(Line::Receiver { endpoint, mood: mood.name() });
            }
            Weather::Darkness(micros) => {
                self.strike(Fault::Darkness);
                for process in 0..self.processes.len() {
                    self.crash(process);
                    self.processes[process].down_until = self.at + micros;
                    self.agenda.add(self.at + micros, Happening::Weather(Weather::Start(process)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, process: usize) -> Result<(), Violation> {
        if self.processes[process].node.is_some() || self.at < self.processes[process].down_until {
            return Ok(());
        }
        let base = self.rng.random_range(0..1_000 * SECOND);
        self.processes[process].start(self.plan.config.clone(), base);
        let life = self.processes[process].life;
        self.watch.started(life, self.processes[process].skew_micros);
        self.note(Line::Started { process, life: life.life });
        self.deliver(life, Event::Tick.into())
    }

    /// Ends a process's life at once; it starts again after a while.
    pub fn crash(&mut self, process: usize) {
        if self.processes[process].node.is_none() {
            return;
        }
        let life = self.processes[process].life;
        self.processes[process].stop();
        self.watch.died(life);
        self.note(Line::Crashed { process, life: life.life });
        let after = self.rng.random_range(100_000..20 * SECOND);
        self.agenda.add(self.at + after, Happening::Weather(Weather::Start(process)));
    }

    /// A process that was asked to stop is gone.
    pub fn exit(&mut self, life: Life) {
        if self.process(life).is_some() {
            self.strike(Fault::Drained);
            self.note(Line::Drained { process: life.process });
            self.crash(life.process);
        }
    }

    /// A process that was asked to stop, and has not, is killed.
    fn kill(&mut self, life: Life) {
        if self.process(life).is_some() {
            self.strike(Fault::DrainKilled);
            self.crash(life.process);
        }
    }

    fn pause(&mut self, process: usize, micros: u64) {
        let machine = &mut self.processes[process];
        if machine.node.is_none() || machine.paused {
            return;
        }
        machine.paused = true;
        let life = machine.life;
        self.strike(Fault::Stalled);
        self.note(Line::Paused { process });
        self.agenda.add(self.at + micros, Happening::Weather(Weather::Resume(life)));
    }

    fn resume(&mut self, life: Life) -> Result<(), Violation> {
        let Some(process) = self.process(life).filter(|process| process.paused) else { return Ok(()) };
        process.paused = false;
        let waiting: Vec<Letter> = std::mem::take(&mut process.waiting);
        self.note(Line::Resumed { process: life.process });
        for letter in waiting {
            self.deliver(life, letter)?;
        }
        Ok(())
    }

    fn jump(&mut self, process: usize, by: i64) {
        self.strike(match (by.unsigned_abs() < LEAP_MICROS, by > 0) {
            (true, true) => Fault::ClockForward,
            (true, false) => Fault::ClockBack,
            (false, true) => Fault::ClockLeapsForward,
            (false, false) => Fault::ClockLeapsBack,
        });
        self.processes[process].skew_micros += by;
        self.note(Line::WallJumped { process, seconds: by / SECOND as i64 });
    }

    fn drain(&mut self, process: usize) -> Result<(), Violation> {
        let machine = &mut self.processes[process];
        if machine.node.is_none() || machine.draining {
            return Ok(());
        }
        machine.draining = true;
        let life = machine.life;
        self.agenda.add(self.at + DRAIN_MICROS, Happening::Weather(Weather::Kill(life)));
        self.deliver(life, Event::Drain.into())
    }

    /// From here on nothing goes wrong, and everything must come to its end.
    pub fn fall_quiet(&mut self) -> Result<(), Violation> {
        self.quiet = true;
        self.note(Line::Quiet);
        self.moods.fill(Mood::Healthy);
        for process in 0..self.processes.len() {
            self.processes[process].fuse = None;
            let life = self.processes[process].life;
            self.resume(life)?;
        }
        self.agenda.add(self.at + SECOND, Happening::LookForRest);
        Ok(())
    }

    /// Whether a node that is no more has had a lease within the last so many microseconds.
    fn the_dead_have_held(&self, within: u64) -> bool {
        let living = self.processes.iter().filter(|process| process.node.is_some());
        let living: Vec<_> = living.map(|process| process.life.node_id()).collect();
        let since = date(self.at.saturating_sub(within));
        self.storage.leases().values().any(|held| held.until > since && !living.contains(&held.by))
    }

    pub fn look_for_rest(&mut self) -> Result<bool, Violation> {
        let Some(what) = self.watch.unfinished(&self.storage, &self.partitions, self.at) else {
            self.note(Line::AtRest);
            return self.watch.at_rest(&self.storage, &self.partitions).map(|()| true);
        };
        let settled = self.at > self.plan.quiet_micros + SETTLE_MICROS && !self.the_dead_have_held(TAKE_OVER_MICROS);
        if self.plan.faults.jumps == 0 && settled {
            self.watch.overdue(&self.storage, &self.partitions, self.at)?;
        }
        // What is given up last is told of at its horizon, if that is near.
        let horizon = (self.plan.config.horizon_micros as u64).min(SOON_MICROS as u64);
        // An event may wait for its turn, and then to be kept.
        let of_events = if self.plan.topic.is_some() { 1_200 * SECOND } else { 0 };
        let longest = notify::retry::wait_micros_max() + horizon + of_events;
        if self.at > self.plan.quiet_micros + longest + REST_SLACK_MICROS + self.watch.most_skew_micros() {
            return Err(Violation::new(
                "every_match_ends",
                format!("long after the last fault, {what}; the nodes say {:?}", self.watch.stats),
            ));
        }
        self.agenda.add(self.at + SECOND, Happening::LookForRest);
        Ok(false)
    }
}
