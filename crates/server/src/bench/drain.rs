//! How fast a committed backlog is delivered: changes are written to an embedded store while no node
//! runs, then a node finds them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use graph::{
    AppId, Change, ChangeId, ChangeType, Item, ItemId, Kind, Mutation, Properties, SubscriptionId, TenantId, UserId,
    WellKnown,
};
use notify::subscription::{Target, TlsVersion};
use notify::{NodeConfig, Subscription};
use store::sqlite::SqliteStore;
use store::{Commit, Counters, Makers, NodeId, Store, SubscriptionLimits, Tenant, User};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Receiver;
use super::cpu::cpu_time;
use super::load::arrived;
use super::receiver::THREAD_NAME;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::engine::{Deliver, Engine, Parts};
use crate::identity::{Key, Tokens};
use crate::outbound::Outbound;
use crate::{ids, key_file};

/// Mailboxes that the backlog is spread over.
const MAILBOXES: u128 = 16;

/// What one run came to.
#[derive(Clone, Copy, Debug)]
pub struct Drained {
    pub changes: u64,
    pub committing: Duration,
    pub draining: Duration,
    pub cpu: Option<Duration>,
    /// What the delivery wrote: the difference of the store's counters over the drain.
    pub written: Counters,
}

/// Commits `changes` in `dir`, then delivers them to `receiver`, one in each POST.
pub async fn drain(dir: &Path, outbound: Arc<Outbound>, receiver: &Receiver, changes: u64) -> Result<Drained> {
    let clock = Clock::new();
    let engine = Engine::stopped();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir, key_file::in_memory(), engine.publisher())?);
    populate(&store, &clock, &receiver.url("/drain")).await?;
    let started = Instant::now();
    commit_all(&store, &clock, changes).await?;
    let committing = started.elapsed();

    let before = store.counters();
    let (posts, cpu) = (receiver.posts(), cpu_time(THREAD_NAME));
    let stop = CancellationToken::new();
    let parts = Parts {
        store: Arc::clone(&store),
        outbound,
        directory: Directory::new(Arc::clone(&store), clock),
        tokens: Arc::new(Tokens::of(Key::generate(clock.wall())?)),
        deliver: Arc::new(NoMail),
        clock,
        node: NodeId(ids::new_uuid()),
        config: NodeConfig { batch_max: 1, ..NodeConfig::default() },
    };
    let started = Instant::now();
    let running = tokio::spawn(engine.run(parts, stop.clone()));
    arrived(receiver, posts + changes).await?;
    let draining = started.elapsed();
    let cpu = cpu_time(THREAD_NAME).zip(cpu).map(|(after, before)| after.saturating_sub(before));
    stop.cancel();
    running.await?;
    let after = store.counters();
    let written = Counters {
        commits: after.commits - before.commits,
        log_rows: after.log_rows - before.log_rows,
        item_rows: after.item_rows - before.item_rows,
        parked_rows: after.parked_rows - before.parked_rows,
        checkpoints: after.checkpoints - before.checkpoints,
    };
    Ok(Drained { changes, committing, draining, cpu, written })
}

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(1))
}

fn mailbox(n: u128) -> UserId {
    UserId(Uuid::from_u128(0x1000 + n % MAILBOXES))
}

async fn populate(store: &Arc<dyn Store>, clock: &Clock, url: &str) -> Result<()> {
    let now = clock.wall();
    store.add_tenant(Tenant { id: tenant(), domain: "bench.test".to_owned() }).await?;
    for n in 0..MAILBOXES {
        let (upn, display_name) = (format!("user{n}@bench.test"), format!("User {n}"));
        store.add_user(User::new(mailbox(n), tenant(), upn, display_name)).await?;
        let subscription = Subscription {
            id: SubscriptionId(ids::new_uuid()),
            tenant: tenant(),
            app: AppId(Uuid::from_u128(2)),
            creator: mailbox(n),
            resource: "me/messages".to_owned(),
            target: Target::Items { mailbox: mailbox(n), kind: Kind::Message, folder: None },
            change_types: ChangeType::ALL.into_iter().collect(),
            change_type: "created,updated,deleted".to_owned(),
            notification_url: url.to_owned(),
            lifecycle_url: None,
            client_state: Some("a state of usual length".to_owned()),
            tls_version: TlsVersion::V1_2,
            extras: None,
            immutable_ids: false,
            expires: now.plus_minutes(60),
            expires_tenths: 0,
            authorized: now,
            created: now,
        };
        let limits = SubscriptionLimits { per_scope: 1_000, refuse_duplicates: true, makers: Makers::default() };
        store.begin_subscription(Arc::new(subscription), limits).await?;
    }
    Ok(())
}

async fn commit_all(store: &Arc<dyn Store>, clock: &Clock, changes: u64) -> Result<()> {
    const WRITERS: u64 = 64;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, clock) = (Arc::clone(store), *clock);
        writers.spawn(async move {
            for n in (writer..changes).step_by(WRITERS as usize) {
                store.commit(created(mailbox(u128::from(n)), &clock)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written.context("a writer died")??;
    }
    Ok(())
}

fn created(mailbox: UserId, clock: &Clock) -> Commit {
    let now = clock.wall();
    let properties: Properties = [
        ("subject", "a message of the benchmark"),
        ("bodyPreview", "It says nothing, at the length that previews have: forty words or so, give or take a few."),
        ("importance", "normal"),
        ("conversationId", "AAQkADYwAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("internetMessageId", "<b1946ac92492d2347c6235b4d2611184@bench.test>"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    let uuid = ids::new_uuid();
    let item = Item {
        id: ItemId::new(Kind::Message, uuid),
        immutable: uuid,
        mailbox,
        folder: WellKnown::Inbox.id_in(mailbox),
        created: now,
        modified: now,
        version: ChangeId(ids::new_uuid()),
        properties,
    };
    let change = Change::created(tenant(), &item, now);
    let mutation =
        Mutation { expect: vec![(item.id, None)], puts: vec![item], changes: vec![change], ..Mutation::default() };
    Commit::of(tenant(), mailbox, mutation)
}

/// Nobody sends mail in this benchmark.
struct NoMail;

#[async_trait::async_trait]
impl Deliver for NoMail {
    async fn deliver(&self, _: &notify::Submission, _: UserId) -> bool {
        true
    }
}
