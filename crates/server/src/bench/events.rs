//! What events of topics cost: published by the node, pulled from the store, pushed, and bridged.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use graph::{SubscriptionId, TopicId};
use notify::event_grid_url::EventGridUrl;
use notify::push_policy::PushPolicy;
use notify::topic::{
    Activation, Destination, Endpoint, EventSubscription, EventSubscriptionFilter, Filter, NatsJetStream, Profile,
    Push, Queue, Settlement, Tags, Webhook,
};
use notify::{Position, Topic};
use store::sqlite::SqliteStore;
use store::{EventSubscriptionKey, Namesake, Settle, Store};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::drain::{NODE_MAX, parts};
use super::fill::{Channel, Population, app, commit_all, populate, tenant};
use super::nats::NatsServer;
use super::receiver::Receiver;
use super::told::await_count;
use crate::bridge::Bridge;
use crate::clock::Clock;
use crate::engine::{Engine, Parts};
use crate::outbound::Outbound;
use crate::sinks::Sinks;
use crate::telemetry::Telemetry;
use crate::{ids, key_file};

/// Mailboxes, and as many topics: each mailbox is told through its own.
const TOPICS: u64 = 16;
/// Events that one receive asks for.
const PULLED_AT_A_TIME: usize = 100;
const COPIED_AT_A_TIME: usize = 1_000;
/// Notifications that the node publishes at a time.
const BATCH_MAX: u16 = 100;
/// The event subscription of each topic.
const NAME: &str = "bench";
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long it took with so many events.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    pub events: u64,
    /// By the node, from a committed backlog of changes.
    pub publishing: Duration,
    /// By the verbs of the store, each event received and acknowledged.
    pub pulling: Duration,
    /// By the node, one event in each POST.
    pub pushing: Duration,
    /// By the node, each event acknowledged by JetStream; `None` without a NATS server.
    pub bridging: Option<Duration>,
}

/// Commits changes in `dir` and measures what becomes of their events. `nats` is the program of a NATS server.
pub async fn events(dir: &Path, outbound: Arc<Outbound>, changes: u64, nats: Option<&Path>) -> Result<Events> {
    let clock = Clock::new();
    let [pulled, pushed, bridged] = [topics(0, &clock)?, topics(TOPICS, &clock)?, topics(2 * TOPICS, &clock)?];
    let receiver = Receiver::start(1, None)?;
    let store = Arc::new(SqliteStore::open(dir, key_file::in_memory(), Arc::new(|_, _| {}))?);
    for topic in pulled.iter().chain(&pushed).chain(&bridged) {
        store.open_topic(Arc::new(topic.clone()), 3 * TOPICS, clock.wall()).await?;
    }
    let population = Population { mailboxes: TOPICS, subscriptions_each: 1, rich: false };
    populate(&store, &clock, population, |n| Channel::Topic(url(n), pulled[n as usize].id)).await?;
    for topic in &pulled {
        put(&*store, topic, Destination::Queue(Queue::default()), &clock).await?;
    }
    commit_all(&store, &clock, population, changes).await?;
    let store: Arc<dyn Store> = store;

    let around = Around { store: &store, outbound: &outbound, clock: &clock };
    let publishing = run_node(around, Sinks::default(), kept(&*store, &pulled, changes)).await?;
    let pulling = pull_all(&store, &pulled, &clock, changes).await?;
    let webhook = Endpoint::Webhook(Webhook::to(receiver.url("/push")));
    copy_all(around, &pulled, &pushed, &webhook).await?;
    let pushing = run_node(around, Sinks::default(), await_count(changes, || receiver.posts())).await?;
    let bridging = match nats {
        Some(program) => {
            copy_all(around, &pulled, &bridged, &Endpoint::NatsJetStream(stream())).await?;
            let server = NatsServer::start(program, &[]).await?;
            let sinks = Sinks { bridge: Some(Bridge::new(server.config()?)?), ..Sinks::default() };
            Some(run_node(around, sinks, in_stream(&server, changes)).await?)
        }
        None => None,
    };
    Ok(Events { events: changes, publishing, pulling, pushing, bridging })
}

/// What every node runs on.
#[derive(Clone, Copy)]
struct Around<'a> {
    store: &'a Arc<dyn Store>,
    outbound: &'a Arc<Outbound>,
    clock: &'a Clock,
}

fn stream() -> NatsJetStream {
    NatsJetStream { stream: NAME.to_owned(), subject: "graph.{tenant}.{kind}.{change}".to_owned() }
}

fn url(n: u64) -> String {
    let azure = Uuid::from_u128(3);
    format!("EventGrid:?azuresubscriptionid={azure}&resourcegroup=rg&partnertopic=bench-{n}&location=westeurope")
}

/// As many topics as there are mailboxes, from this number on.
fn topics(first: u64, clock: &Clock) -> Result<Vec<Topic>> {
    let topic = |n| {
        Ok(Topic {
            id: TopicId(ids::new_uuid()),
            tenant: tenant(),
            place: EventGridUrl::parse(&url(n))?,
            apps: [app()].into(),
            profile: Profile::default(),
            activation: Activation::Activated,
            created: clock.wall(),
            description: String::new(),
            tags: Tags::new(),
            keys: [ids::new_topic_key(), ids::new_topic_key()],
            subscribed_until: None,
        })
    };
    (first..first + TOPICS).map(topic).collect()
}

async fn put(store: &dyn Store, topic: &Topic, destination: Destination, clock: &Clock) -> Result<()> {
    let subscription = EventSubscription {
        id: Some(SubscriptionId(ids::new_uuid())),
        topic: topic.id,
        name: NAME.to_owned(),
        filter: Filter::try_from(EventSubscriptionFilter::default())?,
        destination,
        labels: Vec::new(),
        expires: None,
        created: clock.wall(),
        lock_key: ids::new_lock_key(),
    };
    store.put_event_subscription(Namesake::None, Arc::new(subscription), 1).await?;
    Ok(())
}

/// Runs a node until something is so, and tells how long that took.
async fn run_node(around: Around<'_>, sinks: Sinks, is_so: impl Future<Output = Result<()>>) -> Result<Duration> {
    let Around { store, outbound, clock } = around;
    let telemetry = Telemetry::new(clock.wall())?;
    let (engine, stop) = (Engine::stopped(), CancellationToken::new());
    let parts = parts(Arc::clone(store), Arc::clone(outbound), clock.clone(), telemetry, BATCH_MAX)?;
    let parts = Parts { sinks: Arc::new(sinks), ..parts };
    let started = Instant::now();
    let running = tokio::spawn(engine.run(parts, stop.clone()));
    is_so.await?;
    let took = started.elapsed();
    stop.cancel();
    running.await?;
    Ok(took)
}

/// Waits until the topics keep so many events.
async fn kept(store: &dyn Store, topics: &[Topic], events: u64) -> Result<()> {
    let mut look = tokio::time::interval(LOOK_EVERY);
    let begun = Instant::now();
    while begun.elapsed() < NODE_MAX {
        look.tick().await;
        let mut kept = 0;
        for topic in topics {
            kept += store.topic_counts(topic.id).await?.context("the topic is gone")?.events;
        }
        if kept == events {
            return Ok(());
        }
    }
    bail!("not all events were published in {NODE_MAX:?}")
}

/// Waits until so many events are in the stream.
async fn in_stream(server: &NatsServer, events: u64) -> Result<()> {
    let (jet_stream, mut look, begun) = (server.jet_stream().await?, tokio::time::interval(LOOK_EVERY), Instant::now());
    while begun.elapsed() < NODE_MAX {
        look.tick().await;
        // It is made with the first; the oldest of many may be gone again.
        let there = jet_stream.get_stream(NAME).await.map_or(0, |stream| stream.cached_info().state.last_sequence);
        if there == events {
            return Ok(());
        }
    }
    bail!("not all events were bridged in {NODE_MAX:?}")
}

/// Receives and acknowledges all events, one task for each topic.
async fn pull_all(store: &Arc<dyn Store>, topics: &[Topic], clock: &Clock, events: u64) -> Result<Duration> {
    let started = Instant::now();
    let mut pulling = JoinSet::new();
    for topic in topics {
        pulling.spawn(pull(Arc::clone(store), EventSubscriptionKey::new(topic.id, NAME), clock.clone()));
    }
    let mut pulled = 0;
    while let Some(one) = pulling.join_next().await {
        pulled += one??;
    }
    ensure!(pulled == events, "{pulled} of {events} events were pulled");
    Ok(started.elapsed())
}

async fn pull(store: Arc<dyn Store>, key: EventSubscriptionKey, clock: Clock) -> Result<u64> {
    let mut pulled = 0;
    loop {
        let received = store.receive(key.clone(), PULLED_AT_A_TIME, clock.wall()).await?;
        if received.events.is_empty() {
            return Ok(pulled);
        }
        pulled += received.events.len() as u64;
        let tokens = received.events.into_iter().map(|event| event.lock_token).collect();
        let settle = Settle { tokens, how: Settlement::Acknowledge, now: clock.wall() };
        ensure!(store.settle(key.clone(), settle).await?.iter().all(Result::is_ok), "a lock was lost");
    }
}

/// Publishes the events of topics into others, each with an event subscription that leads to an endpoint.
async fn copy_all(around: Around<'_>, from: &[Topic], into: &[Topic], endpoint: &Endpoint) -> Result<()> {
    let Around { store, clock, .. } = around;
    for (from, to) in from.iter().zip(into) {
        let push = Push { to: endpoint.clone(), policy: PushPolicy::default(), dead_letters: None };
        put(&**store, to, Destination::Push(Box::new(push)), clock).await?;
        copy(&**store, from.id, to.id, clock).await?;
    }
    Ok(())
}

/// Publishes the events of one topic into another.
async fn copy(store: &dyn Store, from: TopicId, to: TopicId, clock: &Clock) -> Result<()> {
    let mut after = Position::default();
    loop {
        let events = store.topic_events(from, after, COPIED_AT_A_TIME).await?;
        let Some((last, _)) = events.last() else { return Ok(()) };
        after = *last;
        let events = events.iter().map(|(_, event)| event.event.clone()).collect();
        store.publish(to, events, clock.wall()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::{OutboundConfig, Policy};

    #[tokio::test]
    async fn every_change_is_published_pulled_and_pushed() {
        let policy = Policy { dev: true, ..Policy::default() };
        let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let run = events(dir.path(), Arc::new(outbound), 200, None).await.unwrap();
        assert_eq!((run.events, run.bridging), (200, None));
        assert!([run.publishing, run.pulling, run.pushing].iter().all(|took| !took.is_zero()));
    }
}
