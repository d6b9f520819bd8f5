//! A store as a server leaves it behind: mailboxes, subscriptions and changes, written without a server, so that a
//! million of them take seconds or minutes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::{
    AppId, Change, ChangeId, ChangeType, Item, ItemId, Kind, Mutation, Properties, SubscriptionId, TenantId, TopicId,
    UserId, WellKnown,
};
use notify::Subscription;
use notify::subscription::{Extras, Target, TlsVersion};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use store::sqlite::SqliteStore;
use store::{Commit, Makers, Store, SubscriptionLimits, Tenant, User};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::clock::Clock;
use crate::data_dir::DataDir;
use crate::{ids, key_file};

/// What is watched, and what is shown of it to who is told of content.
pub(super) const RESOURCE: &str = "me/messages?$select=subject,bodyPreview,importance,conversationId,internetMessageId";
/// Tasks that write at a time: as many as share one sync.
const WRITERS: u64 = 256;
/// Nobody renews these subscriptions, and no run takes so long.
const LIFE_MINUTES: i64 = 2 * 24 * 60;

/// Who is there, and who watches whom: each subscription all messages of its mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    pub mailboxes: u64,
    /// Subscriptions to each mailbox.
    pub subscriptions_each: u64,
    /// Whether content is told, about a kibibyte of each item, sealed for an RSA key of 2,048 bits.
    pub rich: bool,
}

impl Population {
    pub fn subscriptions(self) -> u64 {
        self.mailboxes * self.subscriptions_each
    }
}

/// A data directory that a server can be started on, with its key file. It goes away with this value.
pub struct Filled {
    dir: TempDir,
}

impl Filled {
    /// Makes the directory. `url` tells where the subscription of each number is notified.
    pub async fn new(population: Population, url: impl Fn(u64) -> String) -> Result<Self> {
        let filled = Self { dir: tempfile::tempdir()? };
        let store = filled.open()?;
        populate(&store, &Clock::new(), population, |n| Channel::Webhook(url(n))).await?;
        store.close().await;
        Ok(filled)
    }

    /// Commits so many changes, in one mailbox after the other. No server may be running there.
    pub async fn commit(&self, population: Population, changes: u64) -> Result<()> {
        let store = self.open()?;
        commit_all(&store, &Clock::new(), population, changes).await?;
        store.close().await;
        Ok(())
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn key_file(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    /// A configuration of `tidings serve` for it, on free ports.
    pub fn config(&self) -> Result<PathBuf> {
        let (data, key_file) = (self.data().display().to_string(), self.key_file().display().to_string());
        let listen = "https = []\nhttp = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"";
        let config = self.dir.path().join("tidings.toml");
        fs::write(&config, format!("data_dir = {data:?}\nkey_file = {key_file:?}\n[listen]\n{listen}\n"))?;
        Ok(config)
    }

    fn open(&self) -> Result<Arc<SqliteStore>> {
        let data = DataDir::open(&self.data())?;
        let keys = key_file::keys_for(&data, &self.key_file())?;
        open(&data.store(), keys)
    }
}

fn open(dir: &Path, keys: store::seal::Keys) -> Result<Arc<SqliteStore>> {
    Ok(Arc::new(SqliteStore::open(dir, keys, Arc::new(|_, _| {}))?))
}

pub(super) fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(1))
}

pub(super) fn app() -> AppId {
    AppId(Uuid::from_u128(2))
}

fn mailbox(n: u64) -> UserId {
    UserId(Uuid::from_u128(0x1000 + u128::from(n)))
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

/// Where a subscription is notified.
pub(super) enum Channel {
    Webhook(String),
    /// An `EventGrid:` URL, and the topic that it names.
    Topic(String, TopicId),
}

/// Adds the tenant, its users and their subscriptions; `channel` is told their numbers.
pub(super) async fn populate(
    store: &Arc<SqliteStore>,
    clock: &Clock,
    population: Population,
    channel: impl Fn(u64) -> Channel,
) -> Result<()> {
    store.add_tenant(Tenant { id: tenant(), domain: "bench.test".to_owned() }).await?;
    at_a_time(population.mailboxes, |n| {
        let store = Arc::clone(store);
        async move {
            let (upn, display_name) = (format!("user{n}@bench.test"), format!("User {n}"));
            store.add_user(User::new(mailbox(n), tenant(), upn, display_name)).await?;
            Ok(())
        }
    })
    .await?;
    let extras = extras(population.rich)?;
    at_a_time(population.subscriptions(), |n| {
        let (url, topic) = match channel(n) {
            Channel::Webhook(url) => (url, None),
            Channel::Topic(url, topic) => (url, Some(topic)),
        };
        let origin = topic.map(|_| "https://bench.test".to_owned()).or_else(|| extras.origin.clone());
        let extras = Extras { topic, origin, ..extras.clone() };
        let subscription = subscription(mailbox(n / population.subscriptions_each), clock, url, &extras);
        let store = Arc::clone(store);
        async move {
            let limits = SubscriptionLimits { per_scope: 1_000, refuse_duplicates: false, makers: Makers::default() };
            store.begin_subscription(Arc::new(subscription), limits).await?;
            Ok(())
        }
    })
    .await
}

fn subscription(mailbox: UserId, clock: &Clock, notification_url: String, extras: &Extras) -> Subscription {
    let now = clock.wall();
    Subscription {
        id: SubscriptionId(ids::new_uuid()),
        tenant: tenant(),
        app: app(),
        creator: mailbox,
        resource: RESOURCE.to_owned(),
        target: Target::Items { mailbox, kind: Kind::Message, folder: None },
        change_types: ChangeType::ALL.into_iter().collect(),
        change_type: "created,updated,deleted".to_owned(),
        notification_url,
        lifecycle_url: None,
        client_state: Some("a state of usual length".to_owned()),
        tls_version: TlsVersion::V1_2,
        extras: extras.clone().boxed(),
        immutable_ids: false,
        expires: now.plus_minutes(LIFE_MINUTES),
        expires_tenths: 0,
        authorized: now,
        created: now,
    }
}

/// Commits so many new messages, in one mailbox after the other.
pub(super) async fn commit_all(
    store: &Arc<SqliteStore>,
    clock: &Clock,
    population: Population,
    changes: u64,
) -> Result<()> {
    at_a_time(changes, |n| {
        let (store, commit) = (Arc::clone(store), created(mailbox(n % population.mailboxes), clock, population.rich));
        async move {
            store.commit(commit).await?;
            Ok(())
        }
    })
    .await
}

/// Runs what `each` makes of the numbers below `count`, [`WRITERS`] at a time.
async fn at_a_time<F>(count: u64, each: impl Fn(u64) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for n in 0..count {
        if n >= WRITERS {
            under_way.join_next().await.context("nothing is under way")?.context("a writer died")??;
        }
        under_way.spawn(each(n));
    }
    while let Some(done) = under_way.join_next().await {
        done.context("a writer died")??;
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
        properties: properties.into(),
    };
    let change = Change::created(tenant(), &item, now);
    let mutation =
        Mutation { expect: vec![(item.id, None)], puts: vec![item], changes: vec![change], ..Mutation::default() };
    Commit::of(tenant(), mailbox, mutation)
}

#[cfg(test)]
mod tests {
    use graph::Content;

    use super::*;

    #[test]
    fn content_is_about_a_kibibyte() {
        let commit = created(mailbox(1), &Clock::new(), true);
        let shown = Content::of(RESOURCE).unwrap().shown(&commit.mutation.changes[0], false).unwrap();
        assert!((1_000..1_100).contains(&shown.len()), "{}", shown.len());
    }
}
