//! One attempt, from its command to what it came to: the body, the way out, and what the attempt log says of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use graph::{AppId, SubscriptionId, TenantId, Timestamp};
use notify::event_grid_url::is_event_grid;
use notify::fault_rules::Plan;
use notify::node::{Attempt, Lack, Notification, Outcome, Purpose};
use notify::{Event, EventSubscription};
use protocol::event_grid::push::Origin;
use tokio::sync::mpsc::UnboundedSender;

use super::bodies::Bodies;
use super::crew::Work;
use super::perform::Answer;
use super::publish::{Topics, publish};
use super::push::{Bearers, push};
use super::{Input, Parts};
use crate::clock::Clock;
use crate::evidence::attempts::entry::{PushedBy, Tried, excerpt};
use crate::outbound::{self, Answer as Answered, Failure, Outbound};
use crate::sinks::{Refused, Sinks};
use crate::telemetry::traces::Traces;
use crate::telemetry::{Telemetry, outcome_name};

/// Why something was not sent, as the attempt log tells it.
const ON_PURPOSE: &str = "a fault on purpose";
pub(super) const NO_TIME: &str = "there was no time left to send it";

/// What attempts are made with.
pub(super) struct Attempting {
    channels: Channels,
    bodies: Bodies,
    clock: Clock,
    answers: UnboundedSender<Input>,
    telemetry: Arc<Telemetry>,
}

/// An attempt that has been commanded.
pub(super) struct Commanded {
    pub attempt: Attempt,
    /// The faults on purpose that strike it.
    pub plan: Option<Plan>,
    /// When it was commanded.
    pub begun: Duration,
    /// `None`: there is no attempt log.
    pub about: Option<About>,
}

/// An attempt that has ended.
pub(super) struct Ended {
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
pub(super) struct About {
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
    /// Why it came to that, if no receiver was asked.
    pub cause: Option<&'static str>,
}

impl CameTo {
    /// Nobody was asked who answers in words.
    pub(super) fn of(outcome: Outcome) -> Self {
        Self { outcome, lacks: Vec::new(), result: None, cause: None }
    }

    pub(super) fn refused(Refused { outcome, cause }: Refused) -> Self {
        Self { cause: Some(cause), ..Self::of(outcome) }
    }

    pub(super) fn not_sent(cause: &'static str) -> Self {
        Self::refused(Refused { outcome: Outcome::NotSent, cause })
    }

    pub(super) fn lacking(self, lacks: Vec<(usize, Lack)>) -> Self {
        Self { lacks, ..self }
    }
}

impl About {
    pub(super) fn of(attempt: &Attempt) -> Option<Self> {
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
        (result, cause): (Option<Result<Answered, Failure>>, Option<&'static str>),
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
            abandoned: Vec::new(),
            lives_until,
            cause: failure.map(|failure| failure.to_string()).or(cause.map(str::to_owned)),
        }
    }
}

impl Attempting {
    pub(super) fn new(parts: &Parts, answers: UnboundedSender<Input>) -> Self {
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
        Self { channels, bodies, clock, answers, telemetry }
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
        let CameTo { outcome, lacks, result, cause } = match plan {
            None => attempted(attempt, channels, (bodies, clock), sending).await,
            // It is rare, and every attempt's task would be as large.
            Some(plan) => Box::pin(struck(attempt, plan, channels, (bodies, clock), sending)).await,
        };
        let took = clock.elapsed().saturating_sub(begun);
        let event = event(outcome, lacks);
        let input = match about.map(|about| Box::new(about.tried(outcome, (result, cause), clock.wall(), took))) {
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
        return CameTo::not_sent(ON_PURPOSE).lacking(lacks);
    }
    if let Some(outcome) = plan.instead {
        return CameTo::refused(Refused { outcome, cause: ON_PURPOSE }).lacking(lacks);
    }
    let again = plan.is_doubled.then(|| Attempt { notifications: notifications.clone(), ..attempt.clone() });
    let attempt = Attempt { notifications, ..attempt };
    let came_to = attempted(attempt, channels, (bodies, clock), sending).await;
    if let Some(again) = again.filter(|_| came_to.outcome == Outcome::Acknowledged) {
        // What was acknowledged is delivered, whatever becomes of this.
        attempted(again, channels, (bodies, clock), || ()).await;
    }
    lacks.extend(came_to.lacks.iter().map(|(place, lack)| (places[*place], *lack)));
    came_to.lacking(lacks)
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
        let late = Refused { outcome: Outcome::TimedOut, cause: "the topic could not be written in time" };
        let published = tokio::time::timeout(Duration::from_micros(timeout_micros), publishing).await;
        let refused = published.unwrap_or(Err(late)).err();
        return refused.map_or_else(|| CameTo::of(Outcome::Acknowledged), CameTo::refused);
    }
    // An attempt takes the world's time, wherever the clock is moved meanwhile.
    let (count, until) = (notifications.len(), clock.elapsed() + Duration::from_micros(timeout_micros));
    let building = bodies.build(notifications, estimated_bytes);
    let body = match tokio::time::timeout(Duration::from_micros(timeout_micros), building).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            tracing::error!(%error, notifications = count, "nothing could be sent; it will be tried again");
            return CameTo::not_sent("it could not be made ready");
        }
        Err(_) => {
            tracing::warn!(notifications = count, "there was no time to seal content; it will be tried again");
            return CameTo::not_sent(NO_TIME);
        }
    };
    let Some(bytes) = body.bytes else {
        return CameTo::not_sent("there is nothing of it that may be sent").lacking(body.lacks);
    };
    let left = until.saturating_sub(clock.elapsed());
    if left.is_zero() {
        return CameTo::not_sent(NO_TIME).lacking(body.lacks);
    }
    sending();
    let span = channels.traces.attempt(&url, count, failed);
    let posted = ("application/json; charset=utf-8", Bytes::from(bytes));
    let result = channels.outbound.post_with((&url, tls), posted, span.headers(), left).await;
    let outcome = outbound::outcome(&result);
    span.attempted(result.as_ref().ok().map(|answer| answer.status), outcome_name(outcome));
    told_failed(&url, outcome, &result, count);
    CameTo { result: Some(result), ..CameTo::of(outcome).lacking(body.lacks) }
}

/// Says in the log that a receiver did not take something.
pub(super) fn told_failed(url: &str, outcome: Outcome, result: &Result<Answered, Failure>, notifications: usize) {
    if outcome != Outcome::Acknowledged {
        let host = url::Url::parse(url).ok().map(|url| url.origin().ascii_serialization());
        let cause = result.as_ref().err().map(ToString::to_string);
        tracing::info!(?host, ?outcome, cause, notifications, "attempt failed");
    }
}

#[cfg(test)]
mod tests {
    use notify::Subscription;

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
