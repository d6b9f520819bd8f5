//! Puts a server together from its parts, runs it, and drains it: listeners stop accepting, requests
//! under way finish, then the engine records what it knows and gives its partitions back, and the store
//! closes.

mod signing_keys;
mod sockets;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use async_trait::async_trait;
use graph::mailbox::Fresh;
use graph::{ChangeId, Partition, SubscriptionId, Timestamp};
use notify::node::NodeStats;
use notify::subscription::TlsVersion;
use notify::{Monotonic, NodeConfig, Position, Profile, retention};
use protocol::HandshakeError;
use protocol::event_grid::handshake::{Ask, Consent, NoConsent};
use protocol::event_grid::push::Origin;
use rustls::ServerConfig;
use store::seal::Keys;
use store::sqlite::{OpenOptions, SqliteStore};
use store::{NodeId, Observe, Publish, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{self, AppState, Handshake, Limits};
use crate::clock::Clock;
use crate::data_dir::{self, ADMIN_TOKEN_FILE, ADMIN_URL_FILE, DataDir, SIGNING_KEYS_FILE};
use crate::directory::{Directory, subscribed};
use crate::engine;
use crate::evidence::attempts::{AttemptLog, Kept};
use crate::http::event_grid::{Arrivals, Callbacks};
use crate::http::graph::Throttling;
use crate::identity::external::{Discovery, Publisher, Rules};
use crate::identity::{Issuers, Pending};
use crate::outbound::{Outbound, OutboundConfig};
use crate::retention::Retention;
use crate::sinks::{Sinks, SinksConfig};
use crate::sources::delivery::{FreshSource, Mailboxes};
use crate::telemetry::traces::{Traces, TracesConfig};
use crate::telemetry::{self, Telemetry};
use crate::{admin, ids, seed};
use signing_keys::{rotate_keys, signing_keys};
pub use sockets::Addresses;
use sockets::Bound;

/// How long requests under way may take after the stop.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// What a server is to be.
pub struct Settings {
    pub data: DataDir,
    /// What secrets at rest are sealed with.
    pub keys: Keys,
    pub listen: Addresses,
    pub tls: Option<Arc<ServerConfig>>,
    pub profile: Profile,
    pub delivery: NodeConfig,
    /// How long a delivery that is due may wait for its attempt before the log warns.
    pub overdue: Duration,
    pub outbound: OutboundConfig,
    /// Who this server is to those that it pushes events to.
    pub push_origin: Origin,
    /// Where events go besides webhooks.
    pub sinks: SinksConfig,
    /// Whether this server gives out tokens itself.
    pub built_in_issuer: bool,
    /// Issuers whose tokens are accepted besides, and how each may be called.
    pub issuers: Vec<(Rules, OutboundConfig)>,
    pub limits: Limits,
    /// How long `/readyz` says that the server stops before it accepts no more.
    pub drain_notice: Duration,
    /// What of the log is kept.
    pub retention: retention::Limits,
    /// What of the attempt log is kept; `None`: there is none.
    pub attempt_log: Option<Kept>,
    /// Where traces go; `None`: nothing is traced.
    pub traces: Option<TracesConfig>,
    /// Whether apps that ask too much are told to wait.
    pub throttle: bool,
    /// Plant the tenant of `tidings dev`, and let the admin API provoke lifecycle events.
    pub dev: bool,
}

/// A server that runs until it is drained.
pub struct Running {
    /// Where it listens, with the real ports.
    pub listen: Addresses,
    pub admin_token: String,
    pub state: Arc<AppState>,
    store: Arc<SqliteStore>,
    data: DataDir,
    accepting: CancellationToken,
    connections: TaskTracker,
    engine_stop: CancellationToken,
    engine: tokio::task::JoinHandle<()>,
    drain_notice: Duration,
}

impl Running {
    pub fn data(&self) -> &DataDir {
        &self.data
    }

    /// Waits for `stop`. That the engine or the store ends before is an error: changes would be taken and
    /// nobody would hear of them, or none could be taken. A new process starts from what is durable.
    pub async fn until(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            _ = &mut self.engine => bail!("the engine has ended; this is a defect"),
            () = self.store.ended() => bail!("the store has ended; this is a defect"),
        }
    }

    /// Stops in order, and returns when everything is at rest and the store is closed.
    pub async fn drain(self) {
        self.state.telemetry.readiness.drain();
        tokio::time::sleep(self.drain_notice).await;
        self.accepting.cancel();
        self.state.arrivals.close();
        self.connections.close();
        if tokio::time::timeout(DRAIN_MAX, self.connections.wait()).await.is_err() {
            tracing::warn!("requests were still under way at the end of the drain");
        }
        self.engine_stop.cancel();
        if let Err(error) = self.engine.await {
            tracing::error!(%error, "the engine ended badly");
        }
        if let Some(log) = self.state.attempts.clone() {
            // What is not written by then is lost, as after a crash.
            let _ = tokio::task::spawn_blocking(move || log.flush()).await;
        }
        self.store.close().await;
        self.state.traces.flush().await;
    }
}

/// Opens the store, binds every address and begins to serve.
pub async fn start(settings: Settings) -> anyhow::Result<Running> {
    let Settings { data, keys, listen, tls, profile, delivery, outbound, limits, throttle, dev, .. } = settings;
    let clock = clock_of(&data, dev)?;
    let bound = Bound::bind(&listen, tls).await?;
    let addresses = bound.addresses()?;

    let telemetry = Telemetry::new(clock.world()).context("cannot set up metrics")?;
    let (stopped, arrivals) = (engine::Engine::stopped(), Arc::new(Arrivals::default()));
    data.ensure_store_is_not_lost()?;
    let opened = open_store(data.store(), keys.clone(), &stopped, &arrivals, &telemetry).await?;
    let store: Arc<dyn Store> = opened.clone();
    if dev {
        seed::plant(store.as_ref(), clock.wall()).await.context("cannot plant the development tenant")?;
    }
    let log = settings.attempt_log.map(|kept| AttemptLog::start(data.path(), keys.clone(), kept, telemetry.clone()));
    let attempts = log.transpose().context("cannot start the attempt log")?.map(Arc::new);
    let traces = settings.traces.map(|config| Traces::start(config, telemetry.clone()));
    let traces = traces.transpose().context("cannot set up traces")?.unwrap_or_default();
    let outbound = Arc::new(Outbound::new(outbound).context("cannot set up outbound calls")?);
    let sinks = Arc::new(Sinks::new(settings.sinks, clock.clone())?);
    let issuers = issuers(settings.issuers, clock.clone())?;
    let tokens = signing_keys(&data, keys, clock.world())
        .with_context(|| format!("cannot use {SIGNING_KEYS_FILE} of the data directory"))?;
    let (tokens, directory) = (Arc::new(tokens), Directory::new(store.clone(), clock.clone()));
    let admin_token = tell_commands(&data, addresses.admin)?;

    let fresh = fresh_source(clock.clone());
    let mailboxes = || Mailboxes::new(store.clone(), fresh.clone());
    let inbound = Arc::new(mailboxes().within(Arc::clone(directory.room())));
    let (engine, engine_stop) = (stopped.handle(), CancellationToken::new());
    let parts = engine::Parts {
        store: store.clone(),
        outbound: outbound.clone(),
        directory: directory.clone(),
        tokens: tokens.clone(),
        deliver: Arc::new(mailboxes()),
        push_origin: settings.push_origin.clone(),
        sinks: Arc::clone(&sinks),
        clock: clock.clone(),
        node: NodeId(ids::new_uuid()),
        config: if dev { far_sighted(delivery) } else { delivery.alone() },
        telemetry: telemetry.clone(),
        overdue: settings.overdue,
        attempts: attempts.clone(),
        traces: traces.clone(),
    };
    let engine_task = tokio::spawn(stopped.run(parts, engine_stop.clone()));
    let state = Arc::new(AppState {
        directory,
        store,
        clock,
        tokens,
        built_in_issuer: settings.built_in_issuer,
        issuers,
        pending: Pending::default(),
        dev,
        throttling: throttle.then(|| Throttling::new(profile.throttle)),
        profile,
        handshake: Arc::new(Handshakes { outbound: outbound.clone(), telemetry: telemetry.clone() }),
        engine: Arc::new(engine),
        arrivals,
        push_origin: settings.push_origin,
        callbacks: Callbacks::default(),
        sinks,
        telemetry,
        traces,
        limits,
        retention: settings.retention,
        attempts,
    });
    let (token, origin) = (admin_token.clone(), addresses.origin());
    let admin = admin::Admin { state: state.clone(), token, origin, fresh, outbound, dev };
    let (accepting, connections) = (CancellationToken::new(), TaskTracker::new());
    look_after(&state, &accepting, &connections);
    bound.serve(&state, admin, inbound, &accepting, &connections);
    Ok(Running {
        listen: addresses,
        admin_token,
        state,
        store: opened,
        data,
        accepting,
        connections,
        engine_stop,
        engine: engine_task,
        drain_notice: settings.drain_notice,
    })
}

/// Leaves in the data directory what commands find this server by: its admin API and the token for it, which it returns.
fn tell_commands(data: &DataDir, admin: SocketAddr) -> anyhow::Result<String> {
    let token = data.made_once(ADMIN_TOKEN_FILE, || Ok(ids::new_secret().into_bytes()))?;
    let token = String::from_utf8(token).map_err(|_| anyhow!("{ADMIN_TOKEN_FILE} is not text"))?;
    data.write_private(ADMIN_URL_FILE, format!("http://{admin}").as_bytes())?;
    Ok(token)
}

/// Begins what a server does beside answering, until it accepts no more.
fn look_after(state: &Arc<AppState>, accepting: &CancellationToken, tasks: &TaskTracker) {
    tasks.spawn(rotate_keys(state.clone(), accepting.clone()));
    tasks.spawn(settle_subscriptions(state.clone(), accepting.clone()));
    tasks.spawn(keep_metrics_small(state.telemetry.clone(), accepting.clone()));
    let (store, engine, limits) = (state.store.clone(), state.engine.clone(), state.retention);
    let room = Arc::clone(state.directory.room());
    let retention = Retention { store, engine, room, limits, stop: accepting.clone() };
    tasks.spawn(retention.run(state.clock.clone()));
    state.issuers.read_keys();
}

/// Issuers besides the built-in one. Each has a client of its own, which may call what the operator has opened
/// for it and nothing else.
fn issuers(settings: Vec<(Rules, OutboundConfig)>, clock: Clock) -> anyhow::Result<Issuers> {
    let issuer = |(rules, outbound): (Rules, OutboundConfig)| -> anyhow::Result<_> {
        let outbound = Outbound::new(outbound);
        let outbound = outbound.with_context(|| format!("cannot set up calls to {}", rules.name.as_str()))?;
        let publisher: Box<dyn Publisher> = Box::new(Discovery::new(outbound, rules.name.clone()));
        Ok((rules, publisher))
    };
    Ok(Issuers::new(settings.into_iter().map(issuer).collect::<Result<_, _>>()?, clock))
}

/// What followed for subscriptions from a change of the directory may have been left undone by a crash.
async fn settle_subscriptions(state: Arc<AppState>, stop: CancellationToken) {
    let settle = subscribed::settle_all(state.directory.store(), state.clock.wall());
    if let Some(Err(error)) = stop.run_until_cancelled(settle).await {
        tracing::error!(%error, "subscriptions could not be held against the directory; the next start tries again");
    }
}

/// Counts samples into their buckets now and then: until then each lies in memory.
async fn keep_metrics_small(telemetry: Arc<Telemetry>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(telemetry::UPKEEP_PAUSE) => telemetry.run_upkeep(),
        }
    }
}

async fn open_store(
    dir: PathBuf,
    keys: Keys,
    engine: &engine::Stopped,
    arrivals: &Arc<Arrivals>,
    telemetry: &Arc<Telemetry>,
) -> anyhow::Result<Arc<SqliteStore>> {
    let (to_engine, arrivals) = (engine.publisher(Arc::clone(telemetry)), Arc::clone(arrivals));
    let publish: Publish = Arc::new(move |partition, records| {
        arrivals.ring_for(&records);
        to_engine(partition, records);
    });
    let telemetry = Arc::clone(telemetry);
    let observe: Observe = Arc::new(move |transacted| telemetry.transacted(transacted));
    let shown = dir.display().to_string();
    let open = move || {
        let options = OpenOptions { observe: Some(observe), ..OpenOptions::default() };
        SqliteStore::open_with(&dir, keys, publish, options)
    };
    let opened = tokio::task::spawn_blocking(open).await?;
    Ok(Arc::new(opened.with_context(|| format!("cannot open the store in {shown}"))?))
}

/// The clock of a data directory: one that is moved goes on where it was left, and only a development server has one.
fn clock_of(data: &DataDir, dev: bool) -> anyhow::Result<Clock> {
    let ahead = data.clock_ahead()?;
    if dev {
        let dir = data.path().to_owned();
        return Ok(Clock::movable(ahead, Box::new(move |ahead| data_dir::keep_clock(&dir, ahead))));
    }
    ensure!(
        ahead == 0,
        "the clock of {} was moved with `tidings clock advance`, and what is in there goes by it; only `tidings dev` \
         serves it: choose another data directory",
        data.path().display()
    );
    Ok(Clock::new())
}

/// The limits of a node whose clock is moved by days: its leases outlast any one move, and not each move makes it renew
/// them and look at all logs. The data directory is its alone, so nobody waits for its leases, and nobody else writes.
fn far_sighted(config: NodeConfig) -> NodeConfig {
    const HOUR: u64 = 3_600 * 1_000_000;
    NodeConfig { lease_micros: 60 * 24 * HOUR, renew_micros: 24 * HOUR, poll_micros: HOUR, ..config }
}

/// The time and new ids for an operation.
pub fn fresh_source(clock: Clock) -> FreshSource {
    Arc::new(move || {
        let now = clock.wall();
        Fresh {
            now,
            uuid: ids::new_uuid_of(now),
            change: ChangeId(ids::new_uuid()),
            removal: ChangeId(ids::new_uuid()),
        }
    })
}

/// Handshakes by [`Outbound`], counted.
struct Handshakes {
    outbound: Arc<Outbound>,
    telemetry: Arc<Telemetry>,
}

#[async_trait]
impl Handshake for Handshakes {
    fn check(&self, url: &str) -> Result<(), HandshakeError> {
        let checked = self.outbound.check(url);
        if checked.is_err() {
            self.telemetry.shook_hands(&checked);
        }
        checked
    }

    async fn validate(&self, url: &str, tls: TlsVersion, request_id: &str) -> Result<(), HandshakeError> {
        let validated = self.outbound.validate(url, tls, request_id).await;
        self.telemetry.shook_hands(&validated);
        validated
    }

    async fn consent(&self, url: &str, ask: &Ask<'_>) -> Result<Consent, NoConsent> {
        let consent = self.outbound.consent(url, ask).await;
        // Counted as the handshakes of Graph are.
        self.telemetry.shook_hands(&match &consent {
            Ok(_) => Ok(()),
            Err(NoConsent::NotAsked(error)) => Err(error.clone()),
            Err(NoConsent::Status(status)) => Err(HandshakeError::Status(*status)),
            Err(NoConsent::OtherOrigin { .. }) => Err(HandshakeError::Body),
        });
        consent
    }
}

#[async_trait]
impl app::Engine for engine::Engine {
    async fn end_committed(&self, partition: Partition, subscription: SubscriptionId, position: Position) {
        engine::Engine::end_committed(self, partition, subscription, position).await;
    }

    async fn followed(&self, partition: Partition, position: Position) {
        engine::Engine::followed(self, partition, position).await;
    }

    async fn settled(&self) -> Option<Monotonic> {
        engine::Engine::settled(self).await
    }

    async fn stats(&self) -> Option<NodeStats> {
        engine::Engine::stats(self).await
    }

    async fn on_probation(&self, partition: Partition) -> Option<Vec<(SubscriptionId, Timestamp)>> {
        engine::Engine::on_probation(self, partition).await
    }

    async fn leased_until(&self) -> Option<Option<Monotonic>> {
        engine::Engine::leased_until(self).await
    }

    fn give_up(&self, partition: Partition, through: Position) {
        engine::Engine::give_up(self, partition, through);
    }

    fn faults(&self) -> &engine::Faults {
        engine::Engine::faults(self)
    }
}
