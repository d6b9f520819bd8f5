//! One task for each command, but for attempts, which a crew makes. A task that panics still answers: the node never waits for ever.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use graph::{AppId, Partition, SubscriptionId, TenantId, Timestamp};
use notify::event_grid_url::is_event_grid;
use notify::fault_rules::Plan;
use notify::log::{Cause, EndReason};
use notify::node::{Attempt, CheckpointAnswer, Lack, Notification, Outcome, Purpose, Step};
use notify::{Checkpoint, Command, Event, EventSubscription, Monotonic, Position, Record, Stream, Subscription};
use protocol::event_grid::push::Origin;
use store::{CheckpointError, NodeId, Store, StoreError, SubscriptionError};
use tokio::sync::mpsc::UnboundedSender;

use super::bodies::Bodies;
use super::crew::{Crew, Work};
use super::faults::Faults;
use super::publish::{Topics, publish};
use super::push::{Bearers, push};
use super::{Deliver, Input, Parts};
use crate::clock::Clock;
use crate::evidence::attempts::entry::{PushedBy, Tried, excerpt};
use crate::outbound::{self, Answer as Answered, Failure, Outbound};
use crate::sinks::Sinks;
use crate::telemetry::traces::Traces;
use crate::telemetry::{Telemetry, outcome_name};

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

/// What attempts are made with.
struct Attempting {
    channels: Channels,
    bodies: Bodies,
    clock: Clock,
    answers: UnboundedSender<Input>,
    telemetry: Arc<Telemetry>,
}

/// An attempt that has been commanded.
struct Commanded {
    attempt: Attempt,
    /// The faults on purpose that strike it.
    plan: Option<Plan>,
    /// When it was commanded.
    begun: Duration,
    about: Option<About>,
}

/// An attempt that has ended.
struct Ended {
    input: Input,
    outcome: Outcome,
    notifications: usize,
    /// When what it tells of happened.
    happened: Vec<Timestamp>,
    took: Duration,
}

/// Where attempts go.
pub(super) struct Channels {
    pub outbound: Arc<Outbound>,
    pub traces: Traces,
    pub topics: Topics,
    /// Who this server is to those that it pushes to.
    pub push_origin: Origin,
    pub bearers: Bearers,
    pub sinks: Arc<Sinks>,
}

/// What the attempt log says of an attempt from the start.
struct About {
    app: AppId,
    subscriptions: Vec<(TenantId, SubscriptionId)>,
    event_subscription: Option<PushedBy>,
    lives_until: Option<Timestamp>,
    url: Arc<str>,
}

/// What an attempt came to.
#[derive(Debug)]
pub(super) struct CameTo {
    pub outcome: Outcome,
    pub lacks: Vec<(usize, Lack)>,
    /// What the receiver answered, if it was asked.
    pub result: Option<Result<Answered, Failure>>,
}

impl CameTo {
    /// Nobody was asked who answers in words.
    pub(super) fn of(outcome: Outcome) -> Self {
        Self { outcome, lacks: Vec::new(), result: None }
    }

    pub(super) fn not_sent(lacks: Vec<(usize, Lack)>) -> Self {
        Self { lacks, ..Self::of(Outcome::NotSent) }
    }
}

impl About {
    fn of(attempt: &Attempt) -> Option<Self> {
        let first = &attempt.notifications.first()?.subscription;
        let told = attempt.notifications.iter().map(|one| &one.subscription);
        let subscriptions = told.map(|subscription| (subscription.tenant, subscription.id)).collect();
        let pushed_by = |of: &EventSubscription| PushedBy { topic: of.topic, name: of.name.clone() };
        let lives: Option<Vec<_>> = attempt.notifications.iter().map(Notification::lives_until).collect();
        Some(Self {
            app: first.app,
            subscriptions,
            event_subscription: first.target.event_subscription().map(pushed_by),
            lives_until: lives.into_iter().flatten().max(),
            url: Arc::clone(&attempt.url),
        })
    }

    fn tried(
        self,
        outcome: Outcome,
        result: Option<Result<Answered, Failure>>,
        ended: Timestamp,
        took: Duration,
    ) -> Tried {
        let Self { app, subscriptions, event_subscription, lives_until, url } = self;
        let (answer, failure) = match result {
            Some(Ok(answer)) => (Some(answer), None),
            Some(Err(failure)) => (None, Some(failure)),
            None => (None, None),
        };
        // What acknowledged has nothing to explain.
        let unusual = answer.as_ref().filter(|_| outcome != Outcome::Acknowledged);
        Tried {
            ended,
            app,
            subscriptions,
            event_subscription,
            url,
            outcome: outcome_name(outcome),
            excerpt: unusual.and_then(|answer| excerpt(&answer.body)),
            status: answer.map(|answer| answer.status),
            took,
            retry_micros: None,
            lives_until,
            cause: failure.map(|failure| failure.to_string()),
        }
    }
}

/// Sends the answer; if the task dies before it has one, sends the answer for that.
struct Answer<'a> {
    answers: &'a UnboundedSender<Input>,
    if_lost: Option<Event>,
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
        let (directory, tokens) = (parts.directory.clone(), Arc::clone(&parts.tokens));
        let bearers = Bearers::new(Arc::clone(&tokens));
        let bodies = Bodies::new(directory, tokens, parts.clock.clone(), parts.config.content_bytes_max);
        let channels = Channels {
            outbound: Arc::clone(&parts.outbound),
            traces: parts.traces.clone(),
            topics: Topics { store: Arc::clone(&parts.store), room: Arc::clone(parts.directory.room()) },
            push_origin: parts.push_origin.clone(),
            bearers,
            sinks: Arc::clone(&parts.sinks),
        };
        let (clock, telemetry) = (parts.clock.clone(), Arc::clone(&parts.telemetry));
        let attempting =
            Attempting { channels, bodies, clock, answers: answers.clone(), telemetry: Arc::clone(&telemetry) };
        Self {
            store: Arc::clone(&parts.store),
            attempts: Crew::new(attempting),
            deliver: Arc::clone(&parts.deliver),
            clock: parts.clock.clone(),
            node: parts.node,
            answers,
            telemetry,
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

impl Work for Attempting {
    type Job = Commanded;
    type Answer = Ended;

    async fn work(&self, commanded: Commanded) -> Ended {
        let Commanded { attempt, plan, begun, about } = commanded;
        let id = attempt.id;
        let event = move |outcome, lacks| Event::Attempted { attempt: id, outcome, lacks };
        let if_lost = Some(event(Outcome::NotSent, Vec::new()));
        let mut answer = Answer { answers: &self.answers, if_lost };
        // What is kept as a dead letter was not delivered.
        let told = attempt.notifications.iter().filter(|notification| notification.given_up.is_none());
        let happened = told.filter_map(|notification| notification.record.at()).collect();
        let notifications = attempt.notifications.len();
        // From when on it is not known what the endpoint has got.
        let sending = || answer.if_lost = Some(event(Outcome::Unreachable, Vec::new()));
        let Self { channels, bodies, clock, .. } = self;
        let CameTo { outcome, lacks, result } = match plan {
            None => attempted(attempt, channels, (bodies, clock), sending).await,
            // It is rare, and every attempt's task would be as large.
            Some(plan) => Box::pin(struck(attempt, plan, channels, (bodies, clock), sending)).await,
        };
        let took = clock.elapsed().saturating_sub(begun);
        let event = event(outcome, lacks);
        let input = match about.map(|about| Box::new(about.tried(outcome, result, clock.wall(), took))) {
            Some(tried) => Input::Tried { event, tried },
            None => Input::Event(event),
        };
        answer.if_lost = None;
        Ended { input, outcome, notifications, happened, took }
    }

    fn answer(&self, ended: Ended) {
        let Ended { input, outcome, notifications, happened, took } = ended;
        // The engine has stopped if this fails; nobody waits.
        let _ = self.answers.send(input);
        self.telemetry.attempted(outcome, notifications, took);
        if outcome == Outcome::Acknowledged {
            self.telemetry.acknowledged(&happened, self.clock.wall());
        }
    }
}

/// Makes an attempt as far as the faults on purpose leave it.
async fn struck(
    mut attempt: Attempt,
    plan: Plan,
    channels: &Channels,
    (bodies, clock): (&Bodies, &Clock),
    sending: impl FnOnce(),
) -> CameTo {
    tracing::info!(?plan, notifications = attempt.notifications.len(), "a fault on purpose");
    let all = std::mem::take(&mut attempt.notifications).into_iter().enumerate();
    let mut rest: Vec<_> = all.filter(|(place, _)| !plan.dropped.contains(place)).collect();
    if plan.is_reversed {
        rest.reverse();
    }
    let (places, notifications): (Vec<usize>, Vec<_>) = rest.into_iter().unzip();
    let mut lacks: Vec<_> = plan.dropped.iter().map(|place| (*place, Lack::Injected)).collect();
    if notifications.is_empty() {
        return CameTo::not_sent(lacks);
    }
    if let Some(outcome) = plan.instead {
        return CameTo { outcome, lacks, result: None };
    }
    let again = plan.is_doubled.then(|| Attempt { notifications: notifications.clone(), ..attempt.clone() });
    let attempt = Attempt { notifications, ..attempt };
    let CameTo { outcome, lacks: of_rest, result } = attempted(attempt, channels, (bodies, clock), sending).await;
    if let Some(again) = again.filter(|_| outcome == Outcome::Acknowledged) {
        // What was acknowledged is delivered, whatever becomes of this.
        attempted(again, channels, (bodies, clock), || ()).await;
    }
    lacks.extend(of_rest.into_iter().map(|(place, lack)| (places[place], lack)));
    CameTo { outcome, lacks, result }
}

/// Makes an attempt, by its purpose.
async fn attempted(
    attempt: Attempt,
    channels: &Channels,
    (bodies, clock): (&Bodies, &Clock),
    sending: impl FnOnce(),
) -> CameTo {
    match attempt.purpose {
        Purpose::Notify => notified(attempt, channels, (bodies, clock), sending).await,
        // The task of every other attempt would be as large.
        Purpose::Push | Purpose::DeadLetter => Box::pin(push(&attempt, channels, clock, sending)).await,
    }
}

/// Publishes what goes to a topic; of anything else it builds the body and posts it, both within the attempt's time: a
/// lease that covers one covers the other. Calls `sending` in between.
async fn notified(
    attempt: Attempt,
    channels: &Channels,
    (bodies, clock): (&Bodies, &Clock),
    sending: impl FnOnce(),
) -> CameTo {
    let Attempt { id: _, purpose: _, url, tls, timeout_micros, notifications, estimated_bytes, failed } = attempt;
    if is_event_grid(&url) {
        sending();
        let publishing = publish(&channels.topics, &notifications, clock.wall());
        let outcome = tokio::time::timeout(Duration::from_micros(timeout_micros), publishing).await;
        return CameTo { outcome: outcome.unwrap_or(Outcome::TimedOut), lacks: Vec::new(), result: None };
    }
    // An attempt takes the world's time, wherever the clock is moved meanwhile.
    let (count, until) = (notifications.len(), clock.elapsed() + Duration::from_micros(timeout_micros));
    let building = bodies.build(notifications, estimated_bytes);
    let body = match tokio::time::timeout(Duration::from_micros(timeout_micros), building).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            tracing::error!(%error, notifications = count, "nothing could be sent; it will be tried again");
            return CameTo::not_sent(Vec::new());
        }
        Err(_) => {
            tracing::warn!(notifications = count, "there was no time to seal content; it will be tried again");
            return CameTo::not_sent(Vec::new());
        }
    };
    let Some(bytes) = body.bytes else { return CameTo::not_sent(body.lacks) };
    let left = until.saturating_sub(clock.elapsed());
    if left.is_zero() {
        return CameTo::not_sent(body.lacks);
    }
    sending();
    let span = channels.traces.attempt(&url, count, failed);
    let posted = ("application/json; charset=utf-8", Bytes::from(bytes));
    let result = channels.outbound.post_with((&url, tls), posted, span.headers(), left).await;
    let outcome = outbound::outcome(&result);
    span.attempted(result.as_ref().ok().map(|answer| answer.status), outcome_name(outcome));
    told_failed(&url, outcome, &result, count);
    CameTo { outcome, lacks: body.lacks, result: Some(result) }
}

/// Says in the log that a receiver did not take something.
pub(super) fn told_failed(url: &str, outcome: Outcome, result: &Result<Answered, Failure>, notifications: usize) {
    if outcome != Outcome::Acknowledged {
        let host = url::Url::parse(url).ok().map(|url| url.origin().ascii_serialization());
        let cause = result.as_ref().err().map(ToString::to_string);
        tracing::info!(?host, ?outcome, cause, notifications, "attempt failed");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Receiver;
    use crate::engine::bodies::tests::{bodies, notification};
    use crate::identity::{Key, Tokens};
    use crate::outbound::{OutboundConfig, Policy};

    fn attempt(url: &str, timeout_micros: u64) -> Attempt {
        let (notifications, tls) = (vec![notification()], notify::subscription::TlsVersion::V1_2);
        Attempt {
            id: 1,
            purpose: notify::node::Purpose::Notify,
            url: url.into(),
            tls,
            timeout_micros,
            notifications,
            estimated_bytes: 1_000,
            failed: 0,
        }
    }

    #[tokio::test]
    async fn the_time_to_seal_is_part_of_the_attempts_own_and_what_is_late_is_not_sent() {
        let receiver = Receiver::start(1, None).unwrap();
        let policy = Policy { dev: true, ..Policy::default() };
        let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        let store = Arc::new(store::memory::MemoryStore::new(Arc::new(|_, _| {})));
        let bearers = Bearers::new(Arc::new(Tokens::of(Key::generate(Timestamp::from_seconds(0)).unwrap())));
        let (sinks, topics) = (Arc::default(), Topics { store, room: Arc::default() });
        let (outbound, push_origin) = (Arc::new(outbound), Origin::default());
        let channels = Channels { outbound, traces: Traces::default(), topics, push_origin, bearers, sinks };
        let (bodies, clock, url) = (bodies(), Clock::new(), receiver.url("/"));
        let busy = bodies.keep_busy().await;
        let late = attempted(attempt(&url, 5_000), &channels, (&bodies, &clock), || panic!("it is late")).await;
        assert_eq!((late.outcome, receiver.posts()), (Outcome::NotSent, 0));
        drop(busy);
        let mut is_sent = false;
        let in_time = attempted(attempt(&url, 10_000_000), &channels, (&bodies, &clock), || is_sent = true).await;
        assert_eq!((in_time.outcome, receiver.posts(), is_sent), (Outcome::Acknowledged, 1, true));
        let built_in_place = attempt(&url, 0);
        let built_in_place = Attempt { notifications: vec![without_content()], ..built_in_place };
        let too_late = attempted(built_in_place, &channels, (&bodies, &clock), || panic!("no time is left")).await;
        assert_eq!((too_late.outcome, receiver.posts()), (Outcome::NotSent, 1));
    }

    #[tokio::test]
    async fn an_attempt_that_is_lost_before_anything_was_sent_says_nothing_of_the_endpoint() {
        let (answers, mut got) = tokio::sync::mpsc::unbounded_channel();
        let event = |outcome| Event::Attempted { attempt: 1, outcome, lacks: Vec::new() };
        drop(Answer { answers: &answers, if_lost: Some(event(Outcome::NotSent)) });
        let Some(Input::Event(Event::Attempted { outcome, .. })) = got.recv().await else { panic!("an answer") };
        assert_eq!(outcome, Outcome::NotSent);
    }

    /// The same to a subscription that asked for none.
    fn without_content() -> notify::node::Notification {
        let told = notification();
        let subscription = Subscription { extras: None, ..Subscription::clone(&told.subscription) };
        notify::node::Notification { subscription: Arc::new(subscription), ..told }
    }
}
