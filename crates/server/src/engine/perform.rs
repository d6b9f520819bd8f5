//! One task for each command, but for attempts, which a crew makes. A task that panics still answers: the node never
//! waits for ever.

use std::future::Future;
use std::sync::Arc;

use graph::Partition;
use notify::log::{Cause, EndReason};
use notify::node::{Attempt, CheckpointAnswer, Step};
use notify::{Checkpoint, Command, Event, Monotonic, Position, Record, Stream, Subscription};
use store::{CheckpointError, NodeId, Store, StoreError, SubscriptionError};
use tokio::sync::mpsc::UnboundedSender;

use super::attempt::{About, Attempting, Commanded};
use super::crew::Crew;
use super::faults::Faults;
use super::{Deliver, Input, Parts};
use crate::clock::Clock;
use crate::telemetry::Telemetry;

pub(super) struct Performer {
    store: Arc<dyn Store>,
    attempts: Crew<Attempting>,
    deliver: Arc<dyn Deliver>,
    clock: Clock,
    node: NodeId,
    answers: UnboundedSender<Input>,
    telemetry: Arc<Telemetry>,
    faults: Faults,
    /// Whether there is an attempt log.
    is_logging: bool,
}

/// Sends the answer; if the task dies before it has one, sends the answer for that.
pub(super) struct Answer<'a> {
    pub answers: &'a UnboundedSender<Input>,
    pub if_lost: Option<Event>,
}

impl Answer<'_> {
    fn send(mut self, event: Event) {
        self.if_lost = None;
        // The engine has stopped if this fails; nobody waits.
        let _ = self.answers.send(Input::Event(event));
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.if_lost.take() {
            let _ = self.answers.send(Input::Event(event));
        }
    }
}

impl Performer {
    pub(super) fn new(parts: &Parts, answers: UnboundedSender<Input>, faults: Faults) -> Self {
        Self {
            store: Arc::clone(&parts.store),
            attempts: Crew::new(Attempting::new(parts, answers.clone())),
            deliver: Arc::clone(&parts.deliver),
            clock: parts.clock.clone(),
            node: parts.node,
            answers,
            telemetry: Arc::clone(&parts.telemetry),
            faults,
            is_logging: parts.attempts.is_some(),
        }
    }

    pub(super) fn perform(&self, command: Command) {
        match command {
            Command::Attempt(attempt) => self.attempt(attempt),
            Command::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            Command::ReadLog { partition, epoch, after, limit } => self.read_log(partition, epoch, after, limit),
            Command::ReadState { partition, epoch } => self.read_state(partition, epoch),
            Command::ReadParked { partition, epoch, stream, after, deliveries } => {
                self.read_parked((partition, epoch), stream, after, deliveries);
            }
            Command::Acquire { asked, max, lease_micros } => self.lease(asked, Some(max), lease_micros),
            Command::Renew { asked, lease_micros } => self.lease(asked, None, lease_micros),
            Command::Step { partition, subscription, step } => self.step(partition, subscription, step),
            // The engine gives the leases back once its loop has ended.
            Command::Release => {}
            Command::Submit { partition, epoch, position, record } => self.submit((partition, epoch), position, record),
        }
    }

    /// Runs `work` on the store, and answers with what it makes.
    fn ask<F>(&self, if_lost: Event, work: impl FnOnce(Arc<dyn Store>) -> F)
    where
        F: Future<Output = Event> + Send + 'static,
    {
        let (answers, work) = (self.answers.clone(), work(Arc::clone(&self.store)));
        tokio::spawn(async move {
            let answer = Answer { answers: &answers, if_lost: Some(if_lost) };
            answer.send(work.await);
        });
    }

    fn attempt(&self, attempt: Attempt) {
        let plan = self.faults.plan(&attempt, self.clock.wall());
        let about = self.is_logging.then(|| About::of(&attempt)).flatten();
        self.attempts.begin(Commanded { attempt, plan, begun: self.clock.elapsed(), about });
    }

    fn checkpoint(&self, checkpoint: Checkpoint) {
        let (partition, epoch, number) = (checkpoint.partition, checkpoint.epoch, checkpoint.number);
        let event = move |answer| Event::Checkpointed { partition, epoch, number, answer };
        let (telemetry, clock, ledger) = (Arc::clone(&self.telemetry), self.clock.clone(), checkpoint.ledger.clone());
        self.ask(event(CheckpointAnswer::Unknown), move |store| async move {
            let begun = clock.elapsed();
            let answer = match store.checkpoint(checkpoint).await {
                Ok(()) => CheckpointAnswer::Recorded,
                Err(CheckpointError::Fenced(_)) => CheckpointAnswer::Fenced,
                Err(CheckpointError::OutOfTurn { last }) => CheckpointAnswer::OutOfTurn { last },
                Err(CheckpointError::Store(error)) => {
                    log(&error, "a checkpoint could not be recorded; it will be repeated");
                    CheckpointAnswer::Unknown
                }
            };
            // That its number is the last means that it was recorded when its answer got lost.
            let stands =
                answer == CheckpointAnswer::Recorded || answer == (CheckpointAnswer::OutOfTurn { last: number });
            telemetry.checkpointed(clock.elapsed().saturating_sub(begun), stands.then_some(&ledger));
            event(answer)
        });
    }

    fn read_log(&self, partition: Partition, epoch: u64, after: Position, limit: usize) {
        let telemetry = Arc::clone(&self.telemetry);
        self.ask(Event::Log { partition, epoch, records: None }, move |store| async move {
            let read = store.read_log(partition, after, limit).await;
            let records = told(read, &telemetry, ("read_log", "the log could not be read"));
            Event::Log { partition, epoch, records }
        });
    }

    fn read_state(&self, partition: Partition, epoch: u64) {
        let telemetry = Arc::clone(&self.telemetry);
        self.ask(Event::State { partition, epoch, state: None }, move |store| async move {
            let read = store.partition_state(partition).await;
            let state = told(read, &telemetry, ("read_state", "a partition's state could not be read"));
            Event::State { partition, epoch, state }
        });
    }

    fn read_parked(&self, (partition, epoch): (Partition, u64), stream: Stream, after: Position, deliveries: usize) {
        let telemetry = Arc::clone(&self.telemetry);
        self.ask(Event::Parked { partition, epoch, stream, rows: None }, move |store| async move {
            let read = store.parked(partition, stream, after, deliveries).await;
            let rows = told(read, &telemetry, ("read_parked", "parked deliveries could not be read"));
            Event::Parked { partition, epoch, stream, rows }
        });
    }

    /// `max`: acquire up to so many leases; `None`: renew those that are held.
    fn lease(&self, asked: Monotonic, max: Option<usize>, lease_micros: u64) {
        let (clock, node, renewal) = (self.clock.clone(), self.node, max.is_none());
        let telemetry = Arc::clone(&self.telemetry);
        self.ask(Event::LeasesFailed { renewal }, move |store| async move {
            let now = clock.wall();
            let until = now.plus_micros(i64::try_from(lease_micros).unwrap_or(i64::MAX));
            let held = match max {
                Some(max) => store.acquire(node, now, until, max).await,
                None => store.renew(node, now, until).await,
            };
            match told(held, &telemetry, ("lease", "leases could not be taken or extended")) {
                Some(held) => Event::Leases { asked, renewal, held },
                None => Event::LeasesFailed { renewal },
            }
        });
    }

    fn step(&self, partition: Partition, subscription: Arc<Subscription>, step: Step) {
        let id = subscription.id;
        let event = move |done| Event::Stepped { partition, subscription: id, step, done };
        self.ask(event(false), move |store| async move {
            let taken = match step {
                Step::Ask { record, due } => {
                    store.require_reauthorization(subscription, record, Cause::RunsOut { due }).await
                }
                Step::Pause => store.pause_subscription(subscription).await,
                Step::End => store.end_subscription(id, EndReason::Expired, Some(subscription.expires)).await,
                Step::Missed { incident } => store.append_missed(id, incident).await,
            };
            event(!matches!(taken, Err(SubscriptionError::Store(_))))
        });
    }

    fn submit(&self, (partition, epoch): (Partition, u64), position: Position, record: Arc<Record>) {
        let event = move |done| Event::Submitted { partition, epoch, position, done };
        let deliver = Arc::clone(&self.deliver);
        self.ask(event(false), move |_| async move {
            let Record::Submit(submission) = &*record else { return event(true) };
            for recipient in &submission.recipients {
                if !deliver.deliver(submission, *recipient).await {
                    return event(false);
                }
            }
            event(true)
        });
    }
}

/// A failure of the store is logged and counted.
fn told<T>(
    result: Result<T, StoreError>,
    telemetry: &Telemetry,
    (operation, what): (&'static str, &'static str),
) -> Option<T> {
    result
        .inspect_err(|error| {
            log(error, what);
            telemetry.store_failed(operation);
        })
        .ok()
}

/// A failure of its disk the store says itself, once, and each command meets it. A row that cannot be read only this
/// command does.
fn log(error: &StoreError, what: &'static str) {
    match error {
        StoreError::Corrupt(_) => tracing::error!(%error, "{what}"),
        _ => tracing::debug!(%error, "{what}"),
    }
}
