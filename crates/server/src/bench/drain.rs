//! How fast a committed backlog is delivered: changes are written to an embedded store while no node
//! runs, then a node finds them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use notify::NodeConfig;
use notify::node::NodeStats;
use protocol::event_grid::push::Origin;
use store::sqlite::SqliteStore;
use store::{Counters, NodeId, Store};
use tokio_util::sync::CancellationToken;

use super::Told;
use super::cpu::cpu_time;
use super::fill::{Channel, Population, commit_all, populate};
use super::receiver::{Manner, Receiver, THREAD_NAME};
use crate::clock::Clock;
use crate::directory::Directory;
use crate::engine::{Deliver, Engine, Parts};
use crate::identity::{Key, Tokens};
use crate::outbound::Outbound;
use crate::telemetry::Telemetry;
use crate::telemetry::traces::Traces;
use crate::{ids, key_file};

/// What is committed, to be delivered then to one URL.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    pub changes: u64,
    pub population: Population,
    /// Notifications in one POST at most.
    pub batch_max: u16,
}

/// Mailboxes that a backlog is spread over whose changes are told one by one.
const MAILBOXES: u64 = 16;
/// Subscriptions on one URL whose notifications are told in batches, and the most that one has.
const BATCHED: u64 = 100;
/// How long it may take a node to park a backlog, and to deliver it.
pub(super) const NODE_MAX: Duration = Duration::from_secs(300);

impl Backlog {
    /// One notification for each change and in each POST.
    pub fn one_by_one(changes: u64, rich: bool) -> Self {
        Self { changes, population: Population { mailboxes: MAILBOXES, subscriptions_each: 1, rich }, batch_max: 1 }
    }

    /// About so many notifications in batches, of subscriptions that each watch a mailbox of their own: one of each change.
    pub fn batched_apart(notifications: u64) -> Self {
        let population = Population { mailboxes: BATCHED, subscriptions_each: 1, rich: false };
        Self { changes: notifications, population, batch_max: BATCHED as u16 }
    }

    /// About so many notifications in batches, of subscriptions that all watch one mailbox: each change is told to all.
    pub fn batched_together(notifications: u64) -> Self {
        let population = Population { mailboxes: 1, subscriptions_each: BATCHED, rich: false };
        Self { changes: notifications.div_ceil(BATCHED), population, batch_max: BATCHED as u16 }
    }

    pub fn notifications(self) -> u64 {
        self.changes * self.population.subscriptions_each
    }
}

/// What one run came to.
#[derive(Clone, Copy, Debug)]
pub struct Drained {
    pub backlog: Backlog,
    pub posts: u64,
    pub bytes: u64,
    pub committing: Duration,
    pub draining: Duration,
    pub cpu: Option<Duration>,
    /// What the delivery wrote: the difference of the store's counters over the drain.
    pub written: Counters,
}

impl Drained {
    pub fn committed_per_second(&self) -> f64 {
        self.backlog.changes as f64 / self.committing.as_secs_f64()
    }

    pub fn per_second(&self) -> f64 {
        self.backlog.notifications() as f64 / self.draining.as_secs_f64()
    }

    pub fn cpu_micros_each(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e6 / self.backlog.notifications() as f64)
    }

    pub fn bytes_each(&self) -> f64 {
        self.bytes as f64 / self.backlog.notifications() as f64
    }
}

/// Commits a backlog in `dir`, then delivers it to a receiver.
pub async fn drain(dir: &Path, outbound: Arc<Outbound>, backlog: Backlog) -> Result<Drained> {
    let Backlog { changes, population, batch_max } = backlog;
    let told = Told::default();
    let receiver = Receiver::start(1, Some(told.counter(population.rich)))?;
    let (clock, engine) = (Clock::new(), Engine::stopped());
    let telemetry = Telemetry::new(clock.wall())?;
    let publish = engine.publisher(Arc::clone(&telemetry));
    let store = Arc::new(SqliteStore::open(dir, key_file::in_memory(), publish)?);
    populate(&store, &clock, population, |_| Channel::Webhook(receiver.url("/drain"))).await?;
    let started = Instant::now();
    commit_all(&store, &clock, population, changes).await?;
    let committing = started.elapsed();

    let (before, cpu, stop) = (store.counters(), cpu_time(THREAD_NAME), CancellationToken::new());
    let parts = parts(store.clone(), outbound, clock, telemetry, batch_max)?;
    let started = Instant::now();
    let running = tokio::spawn(engine.run(parts, stop.clone()));
    told.await_count(backlog.notifications()).await?;
    let draining = started.elapsed();
    let cpu = cpu_time(THREAD_NAME).zip(cpu).map(|(after, before)| after.saturating_sub(before));
    stop.cancel();
    running.await?;
    let written = difference(store.counters(), before);
    let (posts, bytes) = (receiver.posts(), told.bytes());
    Ok(Drained { backlog, posts, bytes, committing, draining, cpu, written })
}

/// What went once its endpoint was back.
#[derive(Clone, Copy, Debug)]
pub struct Recovered {
    pub notifications: u64,
    pub posts: u64,
    /// From the first acknowledgement until nothing was parked any more.
    pub draining: Duration,
}

/// Commits a backlog in `dir` whose receiver refuses it until all of it is parked, and acknowledges then.
pub async fn drain_parked(dir: &Path, outbound: Arc<Outbound>, backlog: Backlog) -> Result<Recovered> {
    let Backlog { changes, population, batch_max } = backlog;
    let receiver = Receiver::of(Manner::IsDown, 1, None)?;
    let (clock, engine) = (Clock::new(), Engine::stopped());
    let telemetry = Telemetry::new(clock.wall())?;
    let (publish, handle) = (engine.publisher(Arc::clone(&telemetry)), engine.handle());
    let store = Arc::new(SqliteStore::open(dir, key_file::in_memory(), publish)?);
    populate(&store, &clock, population, |_| Channel::Webhook(receiver.url("/parked"))).await?;
    commit_all(&store, &clock, population, changes).await?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(engine.run(parts(store, outbound, clock, telemetry, batch_max)?, stop.clone()));
    let all_held = |stats: &NodeStats| stats.partitions == usize::from(graph::PARTITIONS);
    await_node(&handle, |stats| all_held(stats) && stats.records_unpassed == 0).await?;
    let refused = receiver.posts();
    receiver.recover();
    await_node(&handle, |_| receiver.posts() > refused).await?;
    let started = Instant::now();
    await_node(&handle, |stats| stats.deliveries_in_memory + stats.streams_spilled == 0).await?;
    let draining = started.elapsed();
    stop.cancel();
    running.await?;
    Ok(Recovered { notifications: backlog.notifications(), posts: receiver.posts() - refused, draining })
}

/// Waits until a node is so.
async fn await_node(engine: &Engine, is_so: impl Fn(&NodeStats) -> bool) -> Result<()> {
    let mut look = tokio::time::interval(Duration::from_millis(2));
    let begun = Instant::now();
    while begun.elapsed() < NODE_MAX {
        look.tick().await;
        if is_so(&engine.stats().await.context("the engine has stopped")?) {
            return Ok(());
        }
    }
    bail!("the node did not come so far in {NODE_MAX:?}")
}

pub(super) fn parts(
    store: Arc<dyn Store>,
    outbound: Arc<Outbound>,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    batch_max: u16,
) -> Result<Parts> {
    Ok(Parts {
        directory: Directory::new(Arc::clone(&store), clock.clone()),
        store,
        outbound,
        tokens: Arc::new(Tokens::of(Key::generate(clock.wall())?)),
        deliver: Arc::new(NoMail),
        push_origin: Origin::default(),
        sinks: Arc::default(),
        clock,
        node: NodeId(ids::new_uuid()),
        config: NodeConfig { batch_max, ..NodeConfig::default() },
        telemetry,
        overdue: Duration::MAX,
        attempts: None,
        traces: Traces::default(),
    })
}

fn difference(after: Counters, before: Counters) -> Counters {
    Counters {
        commits: after.commits - before.commits,
        log_rows: after.log_rows - before.log_rows,
        log_rows_cut: after.log_rows_cut - before.log_rows_cut,
        item_rows: after.item_rows - before.item_rows,
        parked_rows: after.parked_rows - before.parked_rows,
        checkpoints: after.checkpoints - before.checkpoints,
    }
}

/// Nobody sends mail in this benchmark.
struct NoMail;

#[async_trait::async_trait]
impl Deliver for NoMail {
    async fn deliver(&self, _: &notify::Submission, _: graph::UserId) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::{OutboundConfig, Policy};

    async fn drained(backlog: Backlog) -> Drained {
        let policy = Policy { dev: true, ..Policy::default() };
        let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        let dir = tempfile::tempdir().unwrap();
        drain(dir.path(), Arc::new(outbound), backlog).await.unwrap()
    }

    #[tokio::test]
    async fn a_backlog_is_drained_one_by_one() {
        let run = drained(Backlog::one_by_one(64, false)).await;
        assert_eq!((run.backlog.notifications(), run.posts), (64, 64));
    }

    #[tokio::test]
    async fn content_makes_a_notification_longer_by_its_sealed_form() {
        let run = drained(Backlog::one_by_one(16, true)).await;
        assert_eq!(run.posts, 16);
        assert!(run.bytes_each() > 2_000.0, "{}", run.bytes_each());
    }

    #[tokio::test]
    async fn what_was_parked_goes_in_batches_once_its_receiver_is_back() {
        let policy = Policy { dev: true, ..Policy::default() };
        let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let run = drain_parked(dir.path(), Arc::new(outbound), Backlog::batched_apart(300)).await.unwrap();
        assert_eq!(run.notifications, 300);
        assert!(run.posts < 300, "{}", run.posts);
    }

    #[tokio::test]
    async fn in_batches_there_are_fewer_posts_than_notifications() {
        let together = drained(Backlog::batched_together(1_000)).await;
        assert_eq!(together.backlog.notifications(), 1_000);
        assert!(together.posts < 100, "{}", together.posts);
        let apart = drained(Backlog::batched_apart(1_000)).await;
        assert!(apart.posts < 1_000, "{}", apart.posts);
    }
}
