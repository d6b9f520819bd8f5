//! A world: two processes, one store, receivers, and a seed from which everything follows.

use std::sync::Arc;

use graph::Partition;
use notify::{Event, Position, Record, retention};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::agenda::Agenda;
use crate::api::Api;
use crate::catalogue::{Fault, Strikes};
use crate::invariants::{Endings, Violation, Watch};
use crate::network::{Flight, Mood};
use crate::performer::Errand;
use crate::plan::Plan;
use crate::planted::Planted;
use crate::process::{Letter, Life, Process};
use crate::retention::Retention;
use crate::storage::Storage;
use crate::topics::{ELSEWHERE, Topics};
use crate::trace::{Line, Trace};
use crate::weather::Weather;

/// A run that takes more steps than this does not come to rest.
const STEPS_MAX: u64 = 400_000;
/// A node that wakes so often without time passing spins.
const WAKES_MAX: u32 = 2_000;

/// What is going to happen.
pub enum Happening {
    /// A node's wake-up, if it is still the one that counts.
    Wake(Life, u64),
    /// A command reaches the store.
    Execute(Life, Box<Errand>),
    /// An answer or a hint reaches a node.
    Deliver(Life, Box<Letter>),
    /// An attempt reaches its receiver.
    Arrive(Life, Flight),
    /// Somebody uses the API.
    Act,
    /// Somebody uses the topic.
    UseTopic,
    Weather(Weather),
    LookAfterLogs,
    /// A step for the logs that somebody meant to take.
    Retain(retention::Step),
    Quiet,
    LookForRest,
}

/// Everything there is.
pub struct World {
    pub at: u64,
    pub rng: StdRng,
    pub plan: Plan,
    /// Those of the plan.
    pub partitions: Vec<Partition>,
    pub agenda: Agenda<Happening>,
    pub storage: Storage,
    pub processes: [Process; 2],
    pub moods: Vec<Mood>,
    pub api: Api,
    pub watch: Watch,
    pub trace: Trace,
    pub retention: Option<Retention>,
    pub topics: Option<Topics>,
    pub strikes: Strikes,
    /// Nothing goes wrong any more.
    pub quiet: bool,
}

/// A run without a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub trace_hash: u64,
    pub steps: u64,
    pub attempts: u64,
    pub checkpoints: u64,
    pub endings: Endings,
    pub restarts: u32,
    pub strikes: Strikes,
    /// How long it lasted, in the world's microseconds.
    pub lasted: u64,
}

impl World {
    pub fn new(seed: u64, planted: Option<Planted>, print: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut plan = Plan::draw(&mut rng);
        plan.park_little(seed);
        plan.send_less(seed);
        plan.push_events(seed);
        plan.config.fault = planted.and_then(Planted::in_node);
        let mut world = Self::of(plan, rng, planted, print);
        world.keep_logs_short(seed);
        world.use_topic(seed);
        world
    }

    /// The world that a plan makes, whose logs grow for ever.
    pub fn of(plan: Plan, rng: StdRng, planted: Option<Planted>, print: bool) -> Self {
        let partitions = plan.partitions();
        let storage = Storage::new(&partitions, &plan.mailboxes, planted);
        let mut world = Self {
            at: 0,
            moods: vec![Mood::Healthy; plan.urls.len() + ELSEWHERE.len()],
            watch: Watch::new(&plan),
            agenda: Agenda::new(),
            storage,
            processes: [Process::new(0), Process::new(1)],
            api: Api::default(),
            trace: Trace::new(print),
            retention: None,
            topics: None,
            strikes: Strikes::default(),
            quiet: false,
            rng,
            partitions,
            plan,
        };
        world.set_out();
        world
    }

    fn set_out(&mut self) {
        for process in 0..self.processes.len() {
            let at = self.rng.random_range(0..5_000_000);
            self.agenda.add(at, Happening::Weather(Weather::Start(process)));
        }
        for _ in 0..self.plan.actions {
            let at = self.rng.random_range(0..self.plan.quiet_micros);
            self.agenda.add(at, Happening::Act);
        }
        self.forecast();
        self.agenda.add(self.plan.quiet_micros, Happening::Quiet);
    }

    /// Runs until everything is at rest.
    pub fn run(&mut self) -> Result<Summary, Violation> {
        let mut steps = 0;
        while let Some((at, what)) = self.agenda.next() {
            self.at = at;
            steps += 1;
            if steps > STEPS_MAX {
                return Err(Violation::new("slots_return", format!("{STEPS_MAX} steps without coming to rest")));
            }
            if self.happen(what)? {
                return Ok(self.summary(steps));
            }
        }
        Err(Violation::new("every_match_ends", "nothing is left to happen, yet the world is not at rest".to_owned()))
    }

    fn summary(&self, steps: u64) -> Summary {
        let (attempts, checkpoints) = self.watch.counts();
        Summary {
            trace_hash: self.trace.hash(),
            steps,
            attempts,
            checkpoints,
            endings: self.watch.endings(&self.storage),
            restarts: self.processes.iter().map(|process| process.life.life.saturating_sub(1)).sum(),
            strikes: self.strikes,
            lasted: self.at,
        }
    }

    /// Whether the world has come to its end.
    pub fn happen(&mut self, what: Happening) -> Result<bool, Violation> {
        match what {
            Happening::Wake(life, wake) => self.wake(life, wake)?,
            Happening::Execute(life, errand) => self.execute(life, *errand)?,
            Happening::Deliver(life, letter) => self.deliver(life, *letter)?,
            Happening::Arrive(life, flight) => self.arrive(life, flight),
            Happening::Act => self.act(),
            Happening::UseTopic => self.act_on_topic(),
            Happening::Weather(weather) => self.weather(weather)?,
            Happening::LookAfterLogs => self.look_after_logs()?,
            Happening::Retain(step) => self.retain(step)?,
            Happening::Quiet => self.fall_quiet()?,
            Happening::LookForRest => return self.look_for_rest(),
        }
        Ok(false)
    }

    pub fn process(&mut self, life: Life) -> Option<&mut Process> {
        self.processes.get_mut(life.process).filter(|process| process.life == life && process.node.is_some())
    }

    fn wake(&mut self, life: Life, wake: u64) -> Result<(), Violation> {
        let at = self.at;
        let Some(process) = self.process(life).filter(|process| process.wake == wake) else { return Ok(()) };
        process.wake_at = None;
        if process.wakes_now.0 != at {
            process.wakes_now = (at, 0);
        }
        process.wakes_now.1 += 1;
        if process.wakes_now.1 > WAKES_MAX {
            return Err(Violation::new(
                "memory_is_bounded",
                format!("node {} wakes for ever at one time", life.process),
            ));
        }
        self.deliver(life, Event::Tick.into())
    }

    /// Hands an event to its node, unless that has died; a node that stands still gets it later.
    pub fn deliver(&mut self, life: Life, letter: Letter) -> Result<(), Violation> {
        let at = self.at;
        let Some(process) = self.process(life) else { return Ok(()) };
        if process.paused {
            process.waiting.push(letter);
            return Ok(());
        }
        let (now, skew_micros, stood_micros) = (process.now(at), process.skew_micros, process.look(at));
        self.watch.looks(skew_micros, stood_micros);
        self.note_handed(life, &letter.event);
        self.watch.handed(life, now, &letter);
        let mut commands = Vec::new();
        let Some(node) = self.process(life).and_then(|process| process.node.as_mut()) else { return Ok(()) };
        node.handle(letter.event, now, &mut commands);
        for command in commands {
            if self.burn_fuse(life) {
                return Ok(());
            }
            self.perform(life, now, command)?;
        }
        self.plan_wake(life);
        let stats = self.process(life).and_then(|process| process.node.as_ref()).map(notify::node::Node::stats);
        stats.map_or(Ok(()), |stats| self.watch.holds(life, stats))
    }

    /// Whether the process has just crashed, between two commands.
    fn burn_fuse(&mut self, life: Life) -> bool {
        let Some(process) = self.process(life) else { return true };
        match process.fuse.as_mut() {
            Some(0) => {
                self.strike(Fault::CrashBetween);
                self.crash(life.process);
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn plan_wake(&mut self, life: Life) {
        let at = self.at;
        let Some(process) = self.process(life) else { return };
        let wake_at = process.node.as_ref().and_then(notify::node::Node::wakes_at).map(|mono| process.at(mono).max(at));
        if wake_at == process.wake_at {
            return;
        }
        process.wake += 1;
        process.wake_at = wake_at;
        let wake = process.wake;
        if let Some(wake_at) = wake_at {
            self.agenda.add(wake_at, Happening::Wake(life, wake));
        }
    }

    /// Takes note of what the last write appended, and tells the nodes of it, more or less.
    pub fn appended(&mut self) {
        let Some((partition, records)) = self.storage.model.take_appended() else { return };
        for (position, record) in &records {
            let (what, subscription) = self.watch.truth.append(partition, Arc::clone(record), self.at);
            self.note(Line::Appended { partition: partition.0, position: position.0, what, subscription });
        }
        for process in 0..self.processes.len() {
            self.hint(process, partition, &records);
        }
    }

    fn hint(&mut self, process: usize, partition: Partition, records: &[(Position, Arc<Record>)]) {
        let life = self.processes[process].life;
        let faults = self.plan.faults;
        if !self.quiet && self.rng.random_bool(faults.hint_lost) {
            self.strike(Fault::HintLost);
            return;
        }
        let soon = self.at + self.rng.random_range(50..5_000);
        let odd = !self.quiet && self.rng.random_bool(faults.hint_odd);
        let full = Event::Published { partition, records: records.to_vec() };
        if !odd {
            self.agenda.add(soon, Happening::Deliver(life, Box::new(full.into())));
            return;
        }
        let late = self.at + self.rng.random_range(1_000..4_000_000);
        let oddity = self.rng.random_range(0..4usize);
        self.strike([Fault::HintLate, Fault::HintTwice, Fault::HintBare, Fault::HintInPart][oddity]);
        match oddity {
            0 => self.agenda.add(late, Happening::Deliver(life, Box::new(full.into()))),
            1 => {
                self.agenda.add(soon, Happening::Deliver(life, Box::new(full.clone().into())));
                self.agenda.add(late, Happening::Deliver(life, Box::new(full.into())));
            }
            2 => self.agenda.add(soon, Happening::Deliver(life, Box::new(Event::Look { partition }.into()))),
            _ => {
                let some = records.iter().filter(|_| self.rng.random_bool(0.5)).cloned().collect();
                let event = Event::Published { partition, records: some };
                self.agenda.add(soon, Happening::Deliver(life, Box::new(event.into())));
            }
        }
    }

    pub fn strike(&mut self, fault: Fault) {
        self.strikes.count(fault);
    }

    pub fn note(&mut self, line: Line) {
        self.trace.note(self.at, line);
    }

    fn note_handed(&mut self, life: Life, event: &Event) {
        let process = life.process;
        let handed = |what, partition: &Partition, from, to| Line::Handed {
            process,
            what,
            partition: Some(partition.0),
            from,
            to,
        };
        let ends = |records: &[(Position, Arc<Record>)]| {
            let place = |one: Option<&(Position, Arc<Record>)>| one.map_or(0, |(position, _)| position.0);
            (place(records.first()), place(records.last()))
        };
        let line = match event {
            Event::Tick => return,
            Event::Leases { renewal, held, .. } => {
                let epoch = held.first().map_or(0, |(_, epoch)| *epoch);
                Line::Leases { process, renewal: *renewal, partitions: held.len(), epoch }
            }
            Event::LeasesFailed { .. } => {
                Line::Handed { process, what: "leases failed", partition: None, from: 0, to: 0 }
            }
            Event::Drain => Line::Draining { process },
            Event::State { partition, state: Some(state), .. } => {
                handed("state", partition, state.cursor.0, state.head.0)
            }
            Event::State { partition, .. } => handed("state failed", partition, 0, 0),
            Event::Log { partition, records: Some(records), .. } => {
                handed("log", partition, ends(records).0, ends(records).1)
            }
            Event::Log { partition, .. } => handed("log failed", partition, 0, 0),
            Event::Parked { partition, rows: Some(rows), .. } => handed("parked", partition, rows.len() as u64, 0),
            Event::Parked { partition, .. } => handed("parked failed", partition, 0, 0),
            Event::Published { partition, records } => handed("published", partition, ends(records).0, ends(records).1),
            Event::Look { partition } => handed("look", partition, 0, 0),
            Event::GiveUp { partition, through } => handed("give up", partition, through.0, 0),
            Event::EndCommitted { partition, position, .. } => handed("end committed", partition, position.0, 0),
            Event::Attempted { attempt, outcome, lacks } => {
                return self.note_outcome(process, *attempt, *outcome, lacks.len());
            }
            Event::Checkpointed { partition, number, answer, .. } => {
                let answer = crate::performer::answer_name(*answer);
                Line::Recorded { process, partition: partition.0, number: *number, answer }
            }
            Event::Stepped { partition, done, .. } => handed("stepped", partition, u64::from(*done), 0),
            Event::Submitted { partition, position, done, .. } => {
                handed("submitted", partition, position.0, u64::from(*done))
            }
        };
        self.note(line);
    }

    fn note_outcome(&mut self, process: usize, id: u64, outcome: notify::node::Outcome, lacking: usize) {
        use notify::node::Outcome;
        let (what, status) = match outcome {
            Outcome::Acknowledged => ("acknowledged", 0),
            Outcome::Refused { status, .. } => ("refused", status),
            Outcome::TimedOut => ("timed out", 0),
            Outcome::Unreachable => ("unreachable", 0),
            Outcome::Unresolved => ("unresolved", 0),
            Outcome::Forbidden => ("forbidden", 0),
            Outcome::Delayed { .. } => ("delayed", 0),
            Outcome::NotSent => ("not sent", 0),
        };
        self.note(Line::Outcome { process, id, what, status, lacking });
    }

    /// A fresh identifier.
    pub fn uuid(&mut self) -> uuid::Uuid {
        uuid::Uuid::from_u128(u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64()))
    }
}
