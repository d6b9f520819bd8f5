//! Carries commands out: each in two steps, when the store or the network does it and when the answer
//! comes, with whatever can go wrong between. It decides nothing.

use std::sync::Arc;

use graph::{Change, ChangeId, Item, ItemId, Kind, Mutation, PropertyBag, WellKnown};
use notify::checkpoint::PartitionState;
use notify::log::{Cause, EndReason, Submission};
use notify::node::{Attempt, CheckpointAnswer, Lack, Notification, Outcome, Purpose, Step};
use notify::{Command, Event, Health, Now, Record, Subscription};
use rand::RngExt;
use store::{Commit, CommitError, Once, SubscriptionError};

use crate::catalogue::Fault;
use crate::invariants::Violation;
use crate::network::{self, Flight};
use crate::process::{Letter, Life};
use crate::storage::{Held, TENANT, date};
use crate::topics::ELSEWHERE;
use crate::trace::Line;
use crate::truth;
use crate::world::{Happening, World};

/// A command on its way to the store.
pub struct Errand {
    command: Command,
    fate: Fate,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    /// Nothing is done, and the node is told that it failed.
    FailsBefore,
    /// All is done, and the node is told that it failed.
    FailsAfter,
    /// The node is told that it failed; then all is done.
    Late,
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Fate::Done => "done",
            Fate::FailsBefore => "fails before",
            Fate::FailsAfter => "fails after",
            Fate::Late => "fails, then done late",
        }
    }
}

impl World {
    pub fn perform(&mut self, life: Life, now: Now, command: Command) -> Result<(), Violation> {
        if let Command::Attempt(attempt) = command {
            return self.send(life, now, &attempt);
        }
        self.watch.commanded(life, &command)?;
        let fate = self.draw_fate(&command);
        self.note_asked(life, &command, fate);
        self.count_fate(&command, fate);
        let executed = self.at + self.store_latency();
        if matches!(fate, Fate::FailsBefore | Fate::Late) {
            let answered = self.at + self.store_latency();
            self.answer(life, answered, failure(&command).map(Letter::from));
        }
        let executed = match fate {
            Fate::FailsBefore => return Ok(()),
            Fate::Late if self.rng.random_bool(0.2) => executed + self.rng.random_range(1_000..60_000_000),
            Fate::Late => executed + self.rng.random_range(1_000..3_000_000),
            Fate::Done | Fate::FailsAfter => executed,
        };
        self.agenda.add(executed, Happening::Execute(life, Box::new(Errand { command, fate })));
        Ok(())
    }

    fn draw_fate(&mut self, command: &Command) -> Fate {
        let faults = self.plan.faults;
        if self.quiet {
            return Fate::Done;
        }
        let lease = matches!(command, Command::Acquire { .. } | Command::Renew { .. });
        if lease && self.rng.random_bool(faults.lease_after) {
            return Fate::FailsAfter;
        }
        let draw: f64 = self.rng.random();
        if draw < faults.store_before {
            Fate::FailsBefore
        } else if draw < faults.store_before + faults.store_after {
            Fate::FailsAfter
        } else if draw < faults.store_before + faults.store_after + faults.store_late {
            Fate::Late
        } else {
            Fate::Done
        }
    }

    fn count_fate(&mut self, command: &Command, fate: Fate) {
        let is_read =
            matches!(command, Command::ReadState { .. } | Command::ReadLog { .. } | Command::ReadParked { .. });
        let is_lease = matches!(command, Command::Acquire { .. } | Command::Renew { .. });
        self.strike(match fate {
            Fate::Done => return,
            _ if is_read => Fault::ReadFails,
            Fate::FailsBefore => Fault::CommitFails,
            Fate::FailsAfter | Fate::Late if is_lease => Fault::LeaseUnknown,
            Fate::FailsAfter => Fault::CommitUnknown,
            Fate::Late => Fault::CommitLate,
        });
    }

    fn store_latency(&mut self) -> u64 {
        let slow = !self.quiet && self.rng.random_bool(self.plan.faults.store_slow);
        if !slow {
            return self.rng.random_range(100..4_000);
        }
        self.strike(Fault::StoreSlow);
        self.rng.random_range(10_000..4_000_000)
    }

    fn answer(&mut self, life: Life, at: u64, letter: Option<Letter>) {
        if let Some(letter) = letter {
            self.agenda.add(at, Happening::Deliver(life, Box::new(letter)));
        }
    }

    /// The store does what a command asks; of a process that has died meanwhile, perhaps.
    pub fn execute(&mut self, life: Life, errand: Errand) -> Result<(), Violation> {
        let alive = self.process(life).is_some();
        if !alive {
            if self.rng.random_bool(0.5) {
                return Ok(());
            }
            self.strike(Fault::DeadWrite);
        }
        let failed = failure(&errand.command).map(Letter::from);
        let done = self.carry_out(life, errand.command)?;
        self.appended();
        let answered = self.at + self.store_latency();
        match errand.fate {
            Fate::Done => self.answer(life, answered, done),
            Fate::FailsAfter => self.answer(life, answered, failed),
            Fate::FailsBefore | Fate::Late => {}
        }
        Ok(())
    }

    fn carry_out(&mut self, life: Life, command: Command) -> Result<Option<Letter>, Violation> {
        let node_id = life.node_id();
        let event = match command {
            Command::Acquire { asked, max, lease_micros } => {
                let before = self.storage.leases();
                let held = self.storage.acquire(node_id, self.at, max, lease_micros);
                for (partition, _) in held.iter().flatten() {
                    self.count_lost(life, before.get(partition));
                }
                held.map(|held| Event::Leases { asked, renewal: false, held })
            }
            Command::Renew { asked, lease_micros } => {
                let held = self.storage.renew(node_id, self.at, lease_micros);
                held.map(|held| Event::Leases { asked, renewal: true, held })
            }
            Command::Release => {
                self.storage.release(node_id);
                self.exit(life);
                None
            }
            Command::ReadState { partition, epoch } => {
                let rows = Some(self.storage.parked(partition));
                let state = self.storage.state(partition);
                self.count_unwell(&state);
                let event = Event::State { partition, epoch, state: Some(state) };
                return Ok(Some(Letter { event, rows }));
            }
            Command::ReadLog { partition, epoch, after, limit } => {
                let records = self.storage.read_log(partition, after, limit);
                Some(Event::Log { partition, epoch, records })
            }
            Command::ReadParked { partition, epoch, stream, after, deliveries } => {
                let rows = self.storage.model.parked(partition, stream, after, deliveries).ok();
                Some(Event::Parked { partition, epoch, stream, rows })
            }
            Command::Checkpoint(checkpoint) => {
                let (partition, epoch, number) = (checkpoint.partition, checkpoint.epoch, checkpoint.number);
                let before = self.watch.before_checkpoint(&checkpoint, &self.storage);
                let answer = self.storage.checkpoint(checkpoint.clone());
                if answer == CheckpointAnswer::Fenced {
                    self.strike(Fault::Fenced);
                }
                self.watch.after_checkpoint(&checkpoint, &before, answer, &self.storage, self.at)?;
                Some(Event::Checkpointed { partition, epoch, number, answer })
            }
            Command::Step { partition, subscription, step } => {
                let done = self.step(&subscription, step)?;
                Some(Event::Stepped { partition, subscription: subscription.id, step, done })
            }
            Command::Submit { partition, epoch, position, record } => {
                let done = self.submit(&record);
                Some(Event::Submitted { partition, epoch, position, done })
            }
            Command::Attempt(_) => None,
        };
        Ok(event.map(Letter::from))
    }

    fn count_unwell(&mut self, state: &PartitionState) {
        let now = date(self.at);
        for stored in state.health.values().filter(|stored| stored.ends > now) {
            self.strike(match stored.health {
                Health::Dropping => Fault::DroppingTakenOver,
                Health::Slow | Health::Healthy => Fault::SlowTakenOver,
            });
        }
    }

    /// A lease that has passed to `life`: whether its holder lives on, and has not given it back.
    fn count_lost(&mut self, life: Life, before: Option<&Held>) {
        let Some(before) = before.filter(|held| held.until > date(0)) else { return };
        let others = self.processes.iter().filter(|process| process.life != life && process.node.is_some());
        if others.into_iter().any(|process| process.life.node_id() == before.by) {
            self.strike(Fault::LeaseLost);
        }
    }

    /// Takes a step of a subscription's life, unless its app was faster.
    fn step(&mut self, before: &Arc<Subscription>, step: Step) -> Result<bool, Violation> {
        self.watch.steps(before, step, self.at)?;
        let model = &mut self.storage.model;
        let taken = match step {
            Step::Ask { record, due } => {
                model.require_reauthorization(Arc::clone(before), record, Cause::RunsOut { due })
            }
            Step::Pause => model.pause_subscription(Arc::clone(before)),
            Step::End => model.end_subscription(before.id, EndReason::Expired, Some(before.expires)),
            Step::Missed { incident } => model.append_missed(before.id, incident),
        };
        if taken.is_ok() {
            match step {
                Step::Pause if before.target.mailbox().is_none() && before.lifecycle_url.is_none() => {
                    self.strike(Fault::Stopped)
                }
                Step::Pause => self.strike(Fault::Pause),
                Step::End => self.strike(Fault::Expired),
                Step::Ask { .. } | Step::Missed { .. } => {}
            }
            self.watch.stepped(before, step, self.at)?;
        }
        Ok(!matches!(taken, Err(SubscriptionError::Store(_))))
    }

    /// Puts a submitted message into each recipient's mailbox; may stop on the way.
    fn submit(&mut self, record: &Record) -> bool {
        let Record::Submit(submission) = record else { return true };
        let mut done = true;
        for recipient in &submission.recipients {
            if !self.quiet && self.rng.random_bool(self.plan.faults.store_before) {
                self.strike(Fault::SubmitInPart);
                done = false;
                continue;
            }
            let commit = self.delivered(submission, *recipient);
            let result = self.storage.model.commit(commit);
            self.appended();
            done &= matches!(result, Ok(_) | Err(CommitError::AlreadyDone));
            self.watch.delivered_mail(submission.id, *recipient, result.is_ok());
        }
        done
    }

    fn delivered(&mut self, submission: &Submission, recipient: graph::UserId) -> Commit {
        let uuid = self.uuid();
        let item = Item {
            id: ItemId::new(Kind::Message, uuid),
            immutable: uuid,
            mailbox: recipient,
            folder: WellKnown::Inbox.id_in(recipient),
            created: date(self.at),
            modified: date(self.at),
            version: ChangeId(self.uuid()),
            properties: PropertyBag::default(),
        };
        let change = Change::created(TENANT, &item, date(self.at));
        let mutation = Mutation { puts: vec![item], changes: vec![change], ..Mutation::default() };
        Commit {
            once: Some(Once {
                key: format!("{}:{recipient}", submission.id),
                now: date(self.at),
                until: date(self.at).plus_minutes(60 * 24),
            }),
            ..Commit::of(TENANT, recipient, mutation)
        }
    }

    fn send(&mut self, life: Life, now: Now, attempt: &Attempt) -> Result<(), Violation> {
        let urls = self.plan.urls.iter().map(String::as_str);
        let endpoint = urls.chain(ELSEWHERE).position(|url| *url == *attempt.url);
        let (process, id, notifications) = (life.process, attempt.id, attempt.notifications.len());
        self.note(Line::Attempt { process, id, endpoint: endpoint.unwrap_or(usize::MAX), notifications });
        for (subscription, position, failures) in self.watch.describe(life, attempt) {
            self.note(Line::Tells { subscription, position, failures });
        }
        self.watch.attempts(life, now, attempt, &self.storage, self.at)?;
        let deadline = self.at + attempt.timeout_micros;
        let mut lacks = self.lacks_of(attempt);
        let late = self.is_late(attempt.purpose, &mut lacks);
        for (_, lack) in &lacks {
            match lack {
                Lack::CertificateUnusable => self.strike(Fault::CertificateUnusable),
                Lack::TooLarge => self.strike(Fault::ContentTooLarge),
                Lack::Injected => self.strike(Fault::DroppedOnPurpose),
                Lack::Gone => self.strike(Fault::EventCut),
                Lack::AccessLost => {}
            }
        }
        let is_left_out = |lack: &Lack| !matches!(lack, Lack::TooLarge | Lack::AccessLost);
        let left_out = lacks.iter().filter(|(_, lack)| is_left_out(lack)).count();
        if late || left_out == notifications {
            let told = if late { deadline } else { self.at + self.outcome_delay() };
            let outcome = if late { Outcome::NotSent } else { nothing_sent(attempt.purpose, &lacks) };
            let event = Event::Attempted { attempt: id, outcome, lacks };
            self.agenda.add(told, Happening::Deliver(life, Box::new(event.into())));
            return Ok(());
        }
        let notifications = notifications - left_out;
        let (endpoint, purpose) = (endpoint.unwrap_or(0), attempt.purpose);
        let flight = Flight { attempt: id, purpose, endpoint, notifications, lacks, deadline };
        let arrives = self.at + self.rng.random_range(200..30_000);
        self.agenda.add(arrives, Happening::Arrive(life, flight));
        Ok(())
    }

    /// Whether there was no time to make a request ready; then nobody knows what its content lacks, and of an event, by
    /// chance, that it is gone.
    fn is_late(&mut self, purpose: Purpose, lacks: &mut Vec<(usize, Lack)>) -> bool {
        let is_sealed = |lack: &Lack| matches!(lack, Lack::TooLarge | Lack::CertificateUnusable | Lack::AccessLost);
        let takes_time = match purpose {
            Purpose::Notify => lacks.iter().any(|(_, lack)| is_sealed(lack)),
            Purpose::Push | Purpose::DeadLetter => self.plan.faults.cut > 0.0,
        };
        if self.quiet || !takes_time || !self.rng.random_bool(0.1) {
            return false;
        }
        self.strike(Fault::NotReady);
        let were_read = self.rng.random_bool(0.5);
        lacks.retain(|(_, lack)| !is_sealed(lack) && (*lack != Lack::Gone || were_read));
        true
    }

    /// What keeps notifications of an attempt from being told, or told whole, each with its place.
    fn lacks_of(&mut self, attempt: &Attempt) -> Vec<(usize, Lack)> {
        let mut lacks = Vec::new();
        for (place, one) in attempt.notifications.iter().enumerate() {
            lacks.extend(self.lack_of(attempt.purpose, one).map(|lack| (place, lack)));
        }
        lacks
    }

    fn lack_of(&mut self, purpose: Purpose, one: &Notification) -> Option<Lack> {
        let faults = self.plan.faults;
        let mut meets = |odds: f64| !self.quiet && odds > 0.0 && self.rng.random_bool(odds);
        if meets(faults.injected) {
            return Some(Lack::Injected);
        }
        if purpose != Purpose::Notify && meets(faults.cut) {
            return Some(Lack::Gone);
        }
        truth::lack(one)
    }

    pub fn arrive(&mut self, life: Life, flight: Flight) {
        if self.process(life).is_none() {
            if self.rng.random_bool(0.5) {
                return;
            }
            self.strike(Fault::DeadAttempt);
        }
        self.note(Line::Arrived { process: life.process, id: flight.attempt });
        let answer_lost = if self.quiet { 0.0 } else { self.plan.faults.answer_lost };
        let mood = self.moods[flight.endpoint];
        let (outcome, seen) = network::outcome(&flight, mood, answer_lost, self.at, (&mut self.rng, &mut self.strikes));
        let outcome = self.answer_of_topic(&flight, outcome);
        let told = seen + self.outcome_delay();
        let event = Event::Attempted { attempt: flight.attempt, outcome, lacks: flight.lacks };
        self.agenda.add(told, Happening::Deliver(life, Box::new(event.into())));
    }

    /// Mostly a node hears of an outcome at once; at times much later, and after its lease has ended.
    fn outcome_delay(&mut self) -> u64 {
        let most = match self.rng.random_range(0..100) {
            _ if self.quiet => return 20,
            0 => 40_000_000,
            1..5 => 2_000_000,
            _ => return 20,
        };
        self.strike(Fault::ToldLate);
        self.rng.random_range(0..most)
    }

    fn note_asked(&mut self, life: Life, command: &Command, fate: Fate) {
        let process = life.process;
        let (what, partition, number) = match command {
            Command::Acquire { max, .. } => ("acquire", None, *max as u64),
            Command::Renew { .. } => ("renew", None, 0),
            Command::ReadState { partition, epoch } => ("read state", Some(partition.0), *epoch),
            Command::ReadLog { partition, after, .. } => ("read log", Some(partition.0), after.0),
            Command::ReadParked { partition, after, .. } => ("read parked", Some(partition.0), after.0),
            Command::Step { partition, step, .. } => (step_name(*step), Some(partition.0), 0),
            Command::Submit { partition, position, .. } => ("submit", Some(partition.0), position.0),
            Command::Attempt(_) => return,
            Command::Release => ("release", None, 0),
            Command::Checkpoint(checkpoint) => {
                self.note_checkpoint(process, checkpoint);
                ("checkpoint", Some(checkpoint.partition.0), checkpoint.number)
            }
        };
        self.note(Line::Asked { process, what, partition, number, fate: fate.name() });
    }

    fn note_checkpoint(&mut self, process: usize, checkpoint: &notify::Checkpoint) {
        self.note(Line::Checkpoint {
            process,
            partition: checkpoint.partition.0,
            epoch: checkpoint.epoch,
            number: checkpoint.number,
            cursor: checkpoint.cursor.0,
            unpark: checkpoint.unpark.len(),
            park: checkpoint.park.len(),
        });
        for row in &checkpoint.park {
            let subscription = self.watch.truth.number(row.stream.subscription).unwrap_or(usize::MAX);
            let last = row.refs.last().map_or(0, |last| last.position.0);
            let due_micros = row.due.since(date(0));
            self.note(Line::Parks { subscription, first: row.first().0, last, attempts: row.attempts, due_micros });
        }
    }
}

/// What a node is told of a command that failed, if anything.
fn failure(command: &Command) -> Option<Event> {
    Some(match command {
        Command::Acquire { .. } => Event::LeasesFailed { renewal: false },
        Command::Renew { .. } => Event::LeasesFailed { renewal: true },
        Command::Release | Command::Attempt(_) => return None,
        Command::ReadState { partition, epoch } => Event::State { partition: *partition, epoch: *epoch, state: None },
        Command::ReadLog { partition, epoch, .. } => Event::Log { partition: *partition, epoch: *epoch, records: None },
        Command::ReadParked { partition, epoch, stream, .. } => {
            Event::Parked { partition: *partition, epoch: *epoch, stream: *stream, rows: None }
        }
        Command::Checkpoint(checkpoint) => Event::Checkpointed {
            partition: checkpoint.partition,
            epoch: checkpoint.epoch,
            number: checkpoint.number,
            answer: CheckpointAnswer::Unknown,
        },
        Command::Step { partition, subscription, step } => {
            Event::Stepped { partition: *partition, subscription: subscription.id, step: *step, done: false }
        }
        Command::Submit { partition, epoch, position, .. } => {
            Event::Submitted { partition: *partition, epoch: *epoch, position: *position, done: false }
        }
    })
}

/// What an attempt of which nothing was sent comes to. Of events that are gone nothing is left to try.
fn nothing_sent(purpose: Purpose, lacks: &[(usize, Lack)]) -> Outcome {
    match (purpose, lacks.iter().any(|(_, lack)| *lack == Lack::Gone)) {
        (Purpose::Push, true) => Outcome::refused(400),
        (Purpose::DeadLetter, true) => Outcome::Acknowledged,
        _ => Outcome::NotSent,
    }
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Ask { .. } => "ask",
        Step::Pause => "pause",
        Step::End => "end",
        Step::Missed { .. } => "tell of what was missed",
    }
}

pub fn answer_name(answer: CheckpointAnswer) -> &'static str {
    match answer {
        CheckpointAnswer::Recorded => "recorded",
        CheckpointAnswer::Fenced => "fenced",
        CheckpointAnswer::OutOfTurn { .. } => "out of turn",
        CheckpointAnswer::Unknown => "unknown",
    }
}
