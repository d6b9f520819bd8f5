//! The bridge to NATS JetStream: events as messages of a stream, in CloudEvents' binary mode, each done when JetStream
//! has acknowledged it.
//!
//! An event has one message id, however often it is published, so a stream holds it once as long as its duplicate
//! window is: a day, as long as events are tried. The connection is made when it is first needed and then keeps itself
//! up. While the server is away each attempt fails at once, as with a receiver that answers 503; nothing is queued here.
//!
//! The server is the operator's choice, so no policy judges its address. Streams and subjects are chosen by whoever makes
//! an event subscription: `check` keeps them below the operator's prefix, and every message names the stream that it is
//! for, so that it ends nowhere else.

mod stream;

use std::collections::HashSet;
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{ContextBuilder, PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::{ConnectErrorKind, ConnectOptions, HeaderMap};
use graph::TenantId;
use notify::node::Outcome;
use notify::topic::{CloudEvent, InvalidBridge, NatsJetStream, SubjectTemplate, check_bridge};
use protocol::cloud_event::has_unique_id;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::key_file;

/// Messages that are sent and not acknowledged, over all attempts.
const UNACKNOWLEDGED_MAX: u32 = 1_000;
/// So many of one attempt at a time, so that others get on as well.
const CHUNK_MAX: usize = 250;
/// What those messages hold in memory, in KiB.
const UNACKNOWLEDGED_KIB_MAX: u32 = 64 << 10;
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// JetStream's answer to one message or question.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const CREDENTIALS_BYTES_MAX: u64 = 64 << 10;
/// Streams that are known to be there; emptied when full.
const STREAMS_MAX: usize = 4_096;

/// Which NATS server, and what may be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsConfig {
    /// `nats://` or `tls://`, a host and a port.
    pub url: String,
    pub credentials: NatsCredentials,
    /// PEM files of certificate authorities that the server may have instead of the system's.
    pub ca_files: Vec<PathBuf>,
    /// All subjects are below it.
    pub subject_prefix: SubjectTemplate,
    pub stream: StreamLimits,
}

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsCredentials {
    None,
    /// A file with a JWT and the seed of its key, as `nsc` makes it.
    File(PathBuf),
    /// A file with `USER:PASSWORD` on one line.
    User(PathBuf),
}

/// The limits of streams that are made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    pub bytes_max: i64,
    pub days: u32,
    pub replicas: usize,
}

/// What an attempt came to, and why, if it was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridged {
    pub outcome: Outcome,
    pub cause: Option<String>,
    /// If it was acknowledged: those by their places that are larger than the server takes, and are not in the stream.
    pub too_large: Vec<usize>,
}

pub struct Bridge {
    config: NatsConfig,
    /// Once there it reconnects by itself.
    connected: tokio::sync::Mutex<Option<Context>>,
    /// How often no connection was made.
    failures: AtomicU64,
    /// Streams that take all subjects of a template.
    known: Mutex<HashSet<(String, String)>>,
    slots: Semaphore,
    kib: Semaphore,
}

/// Why events were not published.
#[derive(Debug, thiserror::Error)]
enum BridgeError {
    #[error("no connection to the NATS server was made: {0}")]
    Connect(String),
    #[error("the NATS server refuses these credentials; see nats.credentials_file and nats.user_file")]
    Credentials,
    #[error("the connection to the NATS server is lost; it is made again as soon as that is possible")]
    Disconnected,
    #[error("an event is larger than a message of this NATS server may be (max_payload)")]
    TooLarge,
    #[error("no stream takes this subject")]
    NoStream,
    #[error("JetStream does not acknowledge in time")]
    TimedOut,
    #[error("the stream {0} cannot be used: {1}")]
    Stream(String, String),
    #[error("JetStream refuses the event: {0}")]
    Refused(String),
    #[error(transparent)]
    Invalid(#[from] InvalidBridge),
    #[error("the credentials file {0} cannot be used: {1}")]
    File(PathBuf, String),
}

impl BridgeError {
    fn outcome(&self) -> Outcome {
        let status = match self {
            BridgeError::TimedOut => return Outcome::TimedOut,
            // Nothing will do but another event subscription.
            BridgeError::Invalid(_) => 400,
            _ => 503,
        };
        Outcome::Refused { status, retry_after: None }
    }
}

impl Bridge {
    /// Reads the files that the configuration names. It connects when it must.
    pub fn new(config: NatsConfig) -> anyhow::Result<Self> {
        options(&config).map_err(|error| anyhow::anyhow!("nats: {error}"))?;
        for file in &config.ca_files {
            let shown = || format!("nats.ca_files has {}, which cannot be used", file.display());
            let found = CertificateDer::pem_file_iter(file).with_context(shown)?;
            let found = found.collect::<Result<Vec<_>, _>>().with_context(shown)?;
            ensure!(!found.is_empty(), "{}: it has no certificate", shown());
        }
        Ok(Self {
            config,
            connected: tokio::sync::Mutex::default(),
            failures: AtomicU64::default(),
            known: Mutex::default(),
            slots: Semaphore::new(UNACKNOWLEDGED_MAX as usize),
            kib: Semaphore::new(UNACKNOWLEDGED_KIB_MAX as usize),
        })
    }

    /// Whether an event subscription may be made that leads there.
    pub fn check(&self, to: &NatsJetStream) -> Result<(), InvalidBridge> {
        check_bridge(to, &self.config.subject_prefix).map(drop)
    }

    /// Whether the server lets us in and has JetStream.
    pub async fn connects(&self) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Told {
            error: Option<Why>,
        }
        #[derive(Deserialize)]
        struct Why {
            description: String,
        }
        let context = self.context().await?;
        let no_jet_stream =
            "the NATS server has no JetStream for us; start it with JetStream, or let this account use it";
        let answer = context.client().request("$JS.API.INFO", Default::default()).await.context(no_jet_stream)?;
        let told: Told = serde_json::from_slice(&answer.payload).context(no_jet_stream)?;
        match told.error {
            Some(why) => bail!("{no_jet_stream}: {}", why.description),
            None => Ok(()),
        }
    }

    /// Publishes the events of a topic of this tenant. Acknowledged: each of them is in the stream, once.
    pub async fn publish(
        &self,
        to: &NatsJetStream,
        tenant: TenantId,
        events: &[&CloudEvent],
        limit: Duration,
    ) -> Bridged {
        let published = tokio::time::timeout(limit, self.try_publish(to, tenant, events)).await;
        match published.unwrap_or(Err(BridgeError::TimedOut)) {
            Ok(too_large) => {
                let cause = (!too_large.is_empty()).then(|| BridgeError::TooLarge.to_string());
                Bridged { outcome: Outcome::Acknowledged, cause, too_large }
            }
            Err(error) => Bridged { outcome: error.outcome(), cause: Some(error.to_string()), too_large: Vec::new() },
        }
    }

    /// Tells which of them are too large, by their places; the others are in the stream.
    async fn try_publish(
        &self,
        to: &NatsJetStream,
        tenant: TenantId,
        events: &[&CloudEvent],
    ) -> Result<Vec<usize>, BridgeError> {
        let template = check_bridge(to, &self.config.subject_prefix)?;
        let context = self.context().await?;
        self.ensure(&context, to, (&template, tenant)).await?;
        let mut too_large = Vec::new();
        for (number, chunk) in events.chunks(CHUNK_MAX).enumerate() {
            let messages = chunk.iter().map(|event| (template.expand(event, tenant), message(to, event)));
            let messages: Vec<_> = messages.collect();
            let bytes = chunk.iter().map(|event| size(event)).sum();
            let _room = self.room(messages.len(), bytes).await;
            let mut sent = Vec::with_capacity(messages.len());
            for (place, (subject, message)) in messages.into_iter().enumerate() {
                match context.send_publish(subject, message).await.map_err(|error| self.failed(to, &error)) {
                    Ok(ack) => sent.push(ack),
                    // The others arrive all the same.
                    Err(BridgeError::TooLarge) => too_large.push(number * CHUNK_MAX + place),
                    Err(error) => return Err(error),
                }
            }
            self.acknowledged(to, sent).await?;
        }
        Ok(too_large)
    }

    async fn acknowledged(&self, to: &NatsJetStream, sent: Vec<PublishAckFuture>) -> Result<(), BridgeError> {
        for ack in sent {
            ack.await.map_err(|error| self.failed(to, &error))?;
        }
        Ok(())
    }

    /// Waits until others are done. Each takes all that it needs, in this order, so that nobody waits for one who waits.
    async fn room(&self, messages: usize, bytes: usize) -> (SemaphorePermit<'_>, SemaphorePermit<'_>) {
        let kib = u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX).min(UNACKNOWLEDGED_KIB_MAX);
        let slots = self.slots.acquire_many(messages as u32).await.expect("nobody closes it");
        (slots, self.kib.acquire_many(kib).await.expect("nobody closes it"))
    }

    fn failed(&self, to: &NatsJetStream, error: &PublishError) -> BridgeError {
        match error.kind() {
            PublishErrorKind::StreamNotFound => {
                // It was there and is gone; the next attempt makes it.
                self.known().retain(|(stream, _)| *stream != to.stream);
                BridgeError::NoStream
            }
            PublishErrorKind::TimedOut => BridgeError::TimedOut,
            PublishErrorKind::MaxPayloadExceeded => BridgeError::TooLarge,
            PublishErrorKind::BrokenPipe => BridgeError::Disconnected,
            _ => BridgeError::Refused(told(error)),
        }
    }

    /// Makes the stream if it is missing, the first time.
    async fn ensure(
        &self,
        context: &Context,
        to: &NatsJetStream,
        (template, tenant): (&SubjectTemplate, TenantId),
    ) -> Result<(), BridgeError> {
        let key = (to.stream.clone(), template.wildcard(tenant));
        if self.known().contains(&key) {
            return Ok(());
        }
        let ensured = stream::ensure(context, (&key.0, tenant), &key.1, self.config.stream).await;
        ensured.map_err(|why| BridgeError::Stream(to.stream.clone(), why))?;
        let mut known = self.known();
        if known.len() >= STREAMS_MAX {
            known.clear();
        }
        known.insert(key);
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<(String, String)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn context(&self) -> Result<Context, BridgeError> {
        let failures = self.failures.load(Ordering::Relaxed);
        let mut connected = self.connected.lock().await;
        if let Some(context) = &*connected {
            // What was handed over now would wait in the client and go out later, when somebody has given it up.
            return match context.client().connection_state() {
                State::Connected => Ok(context.clone()),
                _ => Err(BridgeError::Disconnected),
            };
        }
        // One tries, and its failure is that of all who have waited for it.
        if self.failures.load(Ordering::Relaxed) != failures {
            return Err(BridgeError::Disconnected);
        }
        let client = options(&self.config)?.connect(&self.config.url).await.map_err(|error| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => BridgeError::Credentials,
                _ => BridgeError::Connect(told(&error)),
            }
        })?;
        let context = ContextBuilder::new()
            .timeout(ANSWER_MAX)
            .ack_timeout(ANSWER_MAX)
            // Those that somebody has stopped waiting for count for a while, too.
            .max_ack_inflight(2 * UNACKNOWLEDGED_MAX as usize)
            .build(client);
        Ok(connected.insert(context).clone())
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("url", &self.config.url).finish_non_exhaustive()
    }
}

fn options(config: &NatsConfig) -> Result<ConnectOptions, BridgeError> {
    let mut options = ConnectOptions::new()
        .name("tidings")
        .connection_timeout(CONNECT_MAX)
        .request_timeout(Some(ANSWER_MAX))
        .require_tls(config.url.starts_with("tls:"))
        .event_callback(async |event| tracing::info!(%event, "NATS"));
    for file in &config.ca_files {
        options = options.add_root_certificates(file.clone());
    }
    match &config.credentials {
        NatsCredentials::None => Ok(options),
        NatsCredentials::File(path) => {
            let refused = |why: String| BridgeError::File(path.clone(), why);
            // What stands there is repeated nowhere.
            options.credentials(&private(path)?).map_err(|_| refused("it has no JWT with its seed".to_owned()))
        }
        NatsCredentials::User(path) => {
            let text = private(path)?;
            let line = text.trim_end_matches(['\r', '\n']);
            match line.split_once(':') {
                Some((user, password)) if !user.is_empty() && !line.contains(char::is_control) => {
                    Ok(options.user_and_password(user.to_owned(), password.to_owned()))
                }
                _ => Err(BridgeError::File(path.clone(), "it must be one line, USER:PASSWORD".to_owned())),
            }
        }
    }
}

fn private(path: &Path) -> Result<String, BridgeError> {
    let read = key_file::read_private("credentials file", path, CREDENTIALS_BYTES_MAX);
    read.map_err(|error| BridgeError::File(path.to_owned(), format!("{error:#}")))
}

/// In binary mode. A message id that is equal for equal events and no others.
fn message(to: &NatsJetStream, event: &CloudEvent) -> PublishMessage {
    let message = event.to_nats();
    let mut headers = HeaderMap::new();
    let mut id = String::new();
    for (name, value) in message.headers {
        match name.as_str() {
            "ce-id" => id.push_str(&value),
            "ce-source" if !has_unique_id(event) => id.insert_str(0, &format!("{value}|")),
            _ => {}
        }
        headers.insert(name, value);
    }
    PublishMessage::build().payload(message.payload.into()).headers(headers).message_id(id).expected_stream(&to.stream)
}

/// About what a message holds.
fn size(event: &CloudEvent) -> usize {
    event.data().map_or(0, |data| data.bytes().len()) + 1_024
}

/// An error with its causes, as a line of a log holds it.
fn told<'a>(error: &'a (dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source()).take(4);
    let mut text = String::new();
    for cause in causes.map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).take(300).collect()
}
