//! What every request handler works with, and the two parts of the server that they reach by trait:
//! the engine and the component that calls receivers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use graph::{Partition, SubscriptionId, Timestamp};
use notify::node::NodeStats;
use notify::subscription::TlsVersion;
use notify::{Monotonic, Position, Profile, retention};
use protocol::HandshakeError;
use protocol::event_grid::handshake::{Ask, Consent, NoConsent};
use protocol::event_grid::push::Origin;
use store::{Commit, CommitError, Committed, Store};

use crate::clock::Clock;
use crate::directory::Directory;
use crate::engine::Faults;
use crate::evidence::attempts::AttemptLog;
use crate::http::event_grid::{Arrivals, Callbacks};
use crate::http::graph::Throttling;
use crate::identity::{Issuers, Pending, Tokens};
use crate::sinks::Sinks;
use crate::telemetry::Telemetry;
use crate::telemetry::traces::{Span, Traces};

/// The node answers between two events, each of which takes little.
const NODE_ANSWERS_IN: Duration = Duration::from_secs(2);

/// Judges and proves the URLs that apps name, before a subscription may use them.
#[async_trait]
pub trait Handshake: Send + Sync + 'static {
    /// Whether the URL may be called at all, as far as its text tells. Asks nobody.
    fn check(&self, url: &str) -> Result<(), HandshakeError>;
    /// Asks the receiver to echo a token, and takes nothing else for an answer.
    async fn validate(&self, url: &str, tls: TlsVersion, request_id: &str) -> Result<(), HandshakeError>;
    /// Asks an endpoint whether it wants to be pushed to.
    async fn consent(&self, url: &str, ask: &Ask<'_>) -> Result<Consent, NoConsent>;
}

/// The running engine, as far as the API waits for it.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Returns once no attempt for this subscription begins any more on this node.
    async fn end_committed(&self, partition: Partition, subscription: SubscriptionId, position: Position);
    /// Returns once the node goes by what the log says up to there, if it has the partition and reads on within the time
    /// of the longest attempt.
    async fn followed(&self, partition: Partition, position: Position);
    /// When the first of the node's leases ends, if it holds any; `None` once it has stopped.
    async fn leased_until(&self) -> Option<Option<Monotonic>>;
    /// Waits until nothing is under way, or for a little longer than the longest attempt; then tells when time brings the next thing.
    async fn settled(&self) -> Option<Monotonic>;
    /// What the node holds now; `None` once it has stopped.
    async fn stats(&self) -> Option<NodeStats>;
    /// The event subscriptions of a partition that are on probation, with the end of that; `None` once it has stopped.
    async fn on_probation(&self, partition: Partition) -> Option<Vec<(SubscriptionId, Timestamp)>>;
    /// The log is to be cut up to this position: the node gives up what is parked there.
    fn give_up(&self, partition: Partition, through: Position);
    /// The faults that strike its attempts.
    fn faults(&self) -> &Faults;
}

/// One running server, shared by all requests.
pub struct AppState {
    pub store: Arc<dyn Store>,
    pub directory: Directory,
    pub clock: Clock,
    pub tokens: Arc<Tokens>,
    /// Whether tokens are given out, and those of `tokens` accepted.
    pub built_in_issuer: bool,
    /// Whose tokens are accepted besides.
    pub issuers: Issuers,
    /// Who may sign in, and which devices wait for it.
    pub pending: Pending,
    /// Whether this is a development server, whose page signs in whoever is chosen.
    pub dev: bool,
    pub profile: Profile,
    pub handshake: Arc<dyn Handshake>,
    pub engine: Arc<dyn Engine>,
    /// Who waits for events of topics.
    pub arrivals: Arc<Arrivals>,
    /// Who this server is to those that it pushes events to.
    pub push_origin: Origin,
    /// Which endpoints may consent while they are asked.
    pub callbacks: Callbacks,
    /// Where events go besides webhooks.
    pub sinks: Arc<Sinks>,
    pub telemetry: Arc<Telemetry>,
    pub traces: Traces,
    pub limits: Limits,
    /// What of the log is kept.
    pub retention: retention::Limits,
    /// What came of single attempts, if that is kept.
    pub attempts: Option<Arc<AttemptLog>>,
    /// `None`: nobody is ever told to ask less.
    pub throttling: Option<Throttling>,
}

impl AppState {
    /// What the node holds now; `None`: it has stopped, or does not answer in time.
    pub async fn node(&self) -> Option<NodeStats> {
        tokio::time::timeout(NODE_ANSWERS_IN, self.engine.stats()).await.ok().flatten()
    }

    /// The event subscriptions of a partition that are on probation, with the end of that, if the node answers in time.
    pub async fn on_probation(&self, partition: Partition) -> Vec<(SubscriptionId, Timestamp)> {
        let asked = tokio::time::timeout(NODE_ANSWERS_IN, self.engine.on_probation(partition)).await;
        asked.ok().flatten().unwrap_or_default()
    }

    /// Makes a commit durable that this request has made, if the log has room for it.
    pub async fn commit(&self, request: &Span, commit: Commit) -> Result<Committed, CommitError> {
        self.directory.room().for_writes(commit.mailbox)?;
        let span = self.traces.commit(request);
        let committed = self.store.commit(commit).await;
        span.committed(matches!(committed, Err(CommitError::Store(_))));
        committed
    }

    /// When the first of the node's leases ends, if it holds any; `None`: it has stopped, or does not answer in time.
    pub async fn leased_until(&self) -> Option<Option<Monotonic>> {
        tokio::time::timeout(NODE_ANSWERS_IN, self.engine.leased_until()).await.ok().flatten()
    }
}

/// Bounds on what one request may be. Bodies of mail are the largest that clients send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub body_bytes_max: usize,
    /// From the end of the headers to the end of the body.
    pub body_seconds_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes_max: 4 << 20, body_seconds_max: 30 }
    }
}
