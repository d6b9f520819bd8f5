//! How fast a committed backlog is delivered: changes are written to an embedded store while no node
//! runs, then a node finds them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::{
    AppId, Change, ChangeId, ChangeType, Item, ItemId, Kind, Mutation, Properties, SubscriptionId, TenantId, UserId,
    WellKnown,
};
use notify::subscription::{Extras, Target, TlsVersion};
use notify::{NodeConfig, Subscription};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
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
/// What is watched, and what is shown of it to who is told of content.
const RESOURCE: &str = "me/messages?$select=subject,bodyPreview,importance,conversationId,internetMessageId";

/// What is committed, to be delivered then.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    pub changes: u64,
    /// Whether content is told, about a kibibyte of each item, sealed for an RSA key of 2,048 bits.
    pub rich: bool,
}

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

impl Drained {
    pub fn per_second(&self) -> f64 {
        self.changes as f64 / self.draining.as_secs_f64()
    }

    pub fn cpu_micros_each(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e6 / self.changes as f64)
    }
}

/// Commits a backlog in `dir`, then delivers it to `receiver`, one change in each POST.
pub async fn drain(dir: &Path, outbound: Arc<Outbound>, receiver: &Receiver, backlog: Backlog) -> Result<Drained> {
    let Backlog { changes, rich } = backlog;
    let clock = Clock::new();
    let engine = Engine::stopped();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir, key_file::in_memory(), engine.publisher())?);
    populate(&store, &clock, &receiver.url("/drain"), &extras(rich)?).await?;
    let started = Instant::now();
    commit_all(&store, &clock, backlog).await?;
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

/// What the subscriptions ask for besides.
fn extras(rich: bool) -> Result<Extras> {
    if !rich {
        return Ok(Extras::default());
    }
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let certificate = CertificateParams::new(Vec::new())?.self_signed(&key)?;
    Ok(Extras {
        include_resource_data: true,
        encryption_certificate: Some(STANDARD.encode(certificate.der())),
        encryption_certificate_id: Some("bench".to_owned()),
        origin: Some("https://bench.test".to_owned()),
        ..Extras::default()
    })
}

async fn populate(store: &Arc<dyn Store>, clock: &Clock, url: &str, extras: &Extras) -> Result<()> {
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
            resource: RESOURCE.to_owned(),
            target: Target::Items { mailbox: mailbox(n), kind: Kind::Message, folder: None },
            change_types: ChangeType::ALL.into_iter().collect(),
            change_type: "created,updated,deleted".to_owned(),
            notification_url: url.to_owned(),
            lifecycle_url: None,
            client_state: Some("a state of usual length".to_owned()),
            tls_version: TlsVersion::V1_2,
            extras: extras.clone().boxed(),
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

async fn commit_all(store: &Arc<dyn Store>, clock: &Clock, backlog: Backlog) -> Result<()> {
    const WRITERS: u64 = 64;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, clock) = (Arc::clone(store), *clock);
        writers.spawn(async move {
            for n in (writer..backlog.changes).step_by(WRITERS as usize) {
                store.commit(created(mailbox(u128::from(n)), &clock, backlog.rich)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written.context("a writer died")??;
    }
    Ok(())
}

fn created(mailbox: UserId, clock: &Clock, rich: bool) -> Commit {
    const PREVIEW: &str = "It says nothing, at the length that previews have: forty words or so, give or take a few.";
    let now = clock.wall();
    let preview = if rich { PREVIEW.repeat(9) } else { PREVIEW.to_owned() };
    let properties: Properties = [
        ("subject", "a message of the benchmark"),
        ("bodyPreview", preview.as_str()),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use graph::Content;

    use super::*;
    use crate::outbound::{OutboundConfig, Policy};

    #[tokio::test]
    async fn a_backlog_is_drained_with_content_and_without() {
        for rich in [false, true] {
            let sealed = Arc::new(AtomicU64::new(0));
            let seen = Arc::clone(&sealed);
            let note = move |body: &[u8]| {
                let found = String::from_utf8_lossy(body).contains("\"encryptedContent\":{\"data\":\"");
                seen.fetch_add(u64::from(found), Ordering::Relaxed);
            };
            let receiver = Receiver::start(1, Some(Arc::new(note))).unwrap();
            let policy = Policy { dev: true, ..Policy::default() };
            let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let backlog = Backlog { changes: 64, rich };
            let drained = drain(dir.path(), Arc::new(outbound), &receiver, backlog).await.unwrap();
            assert_eq!((drained.changes, receiver.posts()), (64, 64));
            assert_eq!(sealed.load(Ordering::Relaxed), if rich { 64 } else { 0 });
        }
    }

    #[test]
    fn content_is_about_a_kibibyte() {
        let commit = created(mailbox(1), &Clock::new(), true);
        let shown = Content::of(RESOURCE).unwrap().shown(&commit.mutation.changes[0], false).unwrap();
        assert!((1_000..1_100).contains(&shown.len()), "{}", shown.len());
    }
}
