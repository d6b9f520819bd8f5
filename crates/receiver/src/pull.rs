//! A client for topics of Event Grid: publish events, pull them, and say what became of each. It speaks to topics as Tidings
//! serves them and to the namespaces of Azure, which are alike. It needs a Tokio runtime.
//!
//! Whoever pulls needs no public URL, no certificate and no handshake. What is received is **locked** for a minute or so:
//! nobody else gets it meanwhile. [`acknowledge`](Worker::acknowledge) ends it; what is not acknowledged comes again. So an event may
//! come twice, and does what it does: make doing it twice harmless.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use tidings_receiver::Notification;
//! use tidings_receiver::pull::{Credential, PullClient};
//!
//! // `tidings dev` prints the file of its CA; Azure's needs none.
//! let ca = std::fs::read_to_string("/home/you/.local/share/tidings/ca.pem")?;
//! let key = Credential::key("one of the topic's two keys");
//! let worker = PullClient::new("https://localhost:8443", "mail-events", key, Some(&ca))?.worker("worker")?;
//! loop {
//!     let received = worker.receive(10, Duration::from_secs(60)).await?; // waits for the first event
//!     let mut done = Vec::new();
//!     for locked in received.events {
//!         if let Ok(Notification::Change(change)) = locked.event.notification() {
//!             println!("{}: {}", change.change_type, change.resource);
//!         }
//!         done.push(locked.lock_token);
//!     }
//!     worker.reject(received.unreadable.iter().map(|one| &one.lock_token)).await?; // they would only come again
//!     for failed in worker.acknowledge(&done).await?.failed {
//!         println!("comes again: {}", failed.error);
//!     }
//! }
//! # }
//! ```
//!
//! Take no more at once than you can do while the lock lasts, or [renew](Worker::renew_locks) it. Give what you cannot do now
//! [back](Worker::release), at once or for later. Whoever pulls alone asks again as soon as it is done: a receive waits
//! by itself.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode, Uri};
use protocol::cloud_event::{CloudEvent, EVENT_BYTES_MAX, EVENTS_CONTENT_TYPE, LONG_EVENT_BYTES_MAX};
use protocol::event_grid::pull::{API_VERSIONS, BrokerProperties, LOCK_TOKENS_MAX};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_rustls::TlsConnector;

use crate::call::{self, Sender, Unusable};
use crate::event::{Event, InvalidEvent};
use crate::validation_token::clipped;

/// How long an answer may take, besides the time that a receive waits.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The longest answer that is no event's, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The most connections that are kept while nothing is asked.
const IDLE_MAX: usize = 2;
/// What one receive may ask for.
const EVENTS_MAX: u32 = 100;
const WAIT_MIN: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(120);
/// No server has a client wait longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

type Problem = Box<dyn std::error::Error + Send + Sync>;
type Token = Pin<Box<dyn Future<Output = Result<String, Problem>> + Send>>;

/// What opens a topic.
#[derive(Clone)]
pub struct Credential(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(String),
    Token(Arc<dyn Fn() -> Token + Send + Sync>),
}

impl Credential {
    /// One of the topic's keys. Whoever has it may do everything with the topic.
    pub fn key(key: impl fmt::Display) -> Self {
        Self(Kind::Fixed(format!("SharedAccessKey {key}")))
    }

    /// A shared access signature, made with a key by somebody else: [`shared_access_signature`] makes one.
    pub fn signature(signature: impl fmt::Display) -> Self {
        Self(Kind::Fixed(format!("SharedAccessSignature {signature}")))
    }

    /// An access token for `https://eventgrid.azure.net/.default`. It is asked for with each request: remember it as long
    /// as it holds.
    ///
    /// ```
    /// use tidings_receiver::pull::Credential;
    ///
    /// let credential = Credential::token(|| async { Ok(std::fs::read_to_string("token")?) });
    /// ```
    pub fn token<F>(token: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, Problem>> + Send + 'static,
    {
        Self(Kind::Token(Arc::new(move || Box::pin(token()))))
    }

    async fn header(&self) -> Result<HeaderValue, PullError> {
        let text = match &self.0 {
            Kind::Fixed(text) => text.clone(),
            Kind::Token(token) => format!("Bearer {}", token().await.map_err(PullError::Token)?.trim()),
        };
        let mut header = HeaderValue::from_str(&text).map_err(|_| PullError::Credential)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// A shared access signature, which opens `url` (a topic or an event subscription, such as
/// `https://localhost:8443/topics/mail-events`) and all below it until then. `key` is one of the topic's. `None`: it is no
/// base64, so no key.
pub fn shared_access_signature(url: &str, key: &str, expires: SystemTime) -> Option<String> {
    let seconds = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let signed = format!("r={}&e={}", encoded(url), encoded(&date_time(seconds)));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).ok()?);
    let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    Some(format!("{signed}&s={}", encoded(&signature)))
}

/// Seconds since 1970 as `2026-06-15T18:20:15Z`.
fn date_time(seconds: u64) -> String {
    // Of an era of 400 years that begins in March, so that a leap day is the last of its year.
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + years + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Why there is no such client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// It is no URL, or one that credentials must not be sent to.
    #[error("{0:?} is no https:// URL; http:// is good for localhost only")]
    Url(String),
    /// A topic and an event subscription have names of letters, digits and hyphens.
    #[error("{0:?} is no name of a topic or an event subscription")]
    Name(String),
    /// `ca_pem` holds no certificate.
    #[error("ca_pem holds no certificate in PEM")]
    NoCertificate,
    /// This machine trusts no CA, and none was given.
    #[error("this machine trusts no CA; give one")]
    NoCa,
}

impl From<Unusable> for SetupError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Url(url) => Self::Url(url),
            Unusable::NoCertificate => Self::NoCertificate,
            Unusable::NoCa => Self::NoCa,
        }
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// Your own callback gave no token.
    #[error("there is no access token")]
    Token(#[source] Problem),
    /// A key or token has characters that no header may have.
    #[error("the key or token cannot stand in a header")]
    Credential,
    /// An event that was to be published is none.
    #[error("event {place}, counted from 0, cannot be published")]
    Event {
        /// Which of them.
        place: usize,
        /// What it lacks.
        #[source]
        error: InvalidEvent,
    },
    /// The events are too much for one request.
    #[error("the events have {bytes} bytes together; publish {EVENT_BYTES_MAX} at most in one request")]
    TooLarge {
        /// What they have.
        bytes: usize,
    },
    /// More lock tokens than go into one request.
    #[error("{0} lock tokens are more than one request may have, {LOCK_TOKENS_MAX}")]
    TooManyTokens(usize),
    /// No connection came about, or it broke: perhaps it was done all the same.
    #[error("the server was not reached, or the connection broke: {0}")]
    Call(String),
    /// It took too long.
    #[error("the server has not answered in time")]
    TimedOut,
    /// The server says no.
    #[error("the server answered {status} {code}: {message}")]
    Refused {
        /// Its status.
        status: u16,
        /// Its word for it, such as `Unauthorized`; empty if it gave none.
        code: String,
        /// What it says.
        message: String,
        /// How long to wait before it is asked again, if it says.
        retry_after: Option<Duration>,
    },
    /// The answer is none that this client reads.
    #[error("the server's answer was not understood: {0}")]
    Answer(String),
}

impl PullError {
    /// Whether the same may go well later, without a change of yours.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Call(_) | Self::TimedOut | Self::Token(_) => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }
}

/// What locks one event for whoever received it. Show it to nobody: it is as good as the event.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LockToken(String);

impl LockToken {
    /// One that was kept as text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// To be kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for LockToken {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockToken(…)")
    }
}

/// What a receive gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// In the topic's order, but for those that come again.
    pub events: Vec<Locked>,
    /// What is no event that this client reads. Reject it: otherwise it comes again.
    pub unreadable: Vec<Unreadable>,
}

/// An event that is yours until its lock expires.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locked {
    /// What happened.
    pub event: Event,
    /// With this you say what becomes of it.
    pub lock_token: LockToken,
    /// How often it was received, this time included.
    pub delivery_count: u32,
}

/// An event that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// With this you say what becomes of it.
    pub lock_token: LockToken,
    /// How often it was received, this time included.
    pub delivery_count: u32,
    /// What is wrong with it.
    pub error: InvalidEvent,
}

/// What came of each lock token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// Of these it is done.
    pub succeeded: Vec<LockToken>,
    /// Of these it is not.
    pub failed: Vec<Failed>,
}

/// A lock token that did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed {
    /// Which.
    pub lock_token: LockToken,
    /// Why.
    pub error: TokenError,
}

/// Why a lock token did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// `TokenLost`: the lock has expired, or something was done with it before. The event comes again, unless it was
    /// acknowledged.
    #[error("{0}")]
    Lost(String),
    /// `BadToken`: it is none of this event subscription.
    #[error("{0}")]
    Bad(String),
    /// A word that this crate does not know.
    #[error("{code}: {message}")]
    Other {
        /// The word.
        code: String,
        /// What the server says.
        message: String,
    },
}

/// How long an event that is given back is kept from everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Delay {
    /// Not at all.
    #[default]
    None,
    /// Ten seconds.
    TenSeconds,
    /// A minute.
    OneMinute,
    /// Ten minutes.
    TenMinutes,
    /// An hour.
    OneHour,
}

impl Delay {
    /// In seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::None => 0,
            Self::TenSeconds => 10,
            Self::OneMinute => 60,
            Self::TenMinutes => 600,
            Self::OneHour => 3_600,
        }
    }
}

/// Speaks to one topic. Cloning it is cheap; all clones share a few connections.
#[derive(Clone)]
pub struct PullClient(Arc<Topic>);

struct Topic {
    /// Where the server is, without a slash at the end.
    url: Uri,
    /// The path of the topic.
    path: String,
    credential: Credential,
    tls: TlsConnector,
    idle: Mutex<Vec<Sender>>,
}

/// Pulls what one event subscription of the topic is told. Cloning it is cheap.
#[derive(Clone)]
pub struct Worker {
    topic: Arc<Topic>,
    path: String,
}

impl fmt::Debug for PullClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PullClient({}{})", self.0.url, self.0.path)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Worker({}{})", self.topic.url, self.path)
    }
}

impl PullClient {
    /// For a topic of the server at `endpoint`: `https://localhost:8443` of `tidings dev`, or `https://` and the host of a
    /// namespace.
    /// Whom to believe that it is there say the CAs that this machine trusts, and those of `ca_pem`: certificates in PEM, one
    /// after the other. Asks nobody yet.
    pub fn new(endpoint: &str, topic: &str, credential: Credential, ca_pem: Option<&str>) -> Result<Self, SetupError> {
        let url = call::callable(endpoint.trim_end_matches('/'))?;
        let tls = call::tls(ca_pem, &url)?;
        let path = format!("{}/topics/{}", url.path().trim_end_matches('/'), name(topic)?);
        Ok(Self(Arc::new(Topic { url, path, credential, tls, idle: Mutex::default() })))
    }

    /// Who pulls for this event subscription of the topic.
    pub fn worker(&self, event_subscription: &str) -> Result<Worker, SetupError> {
        let path = format!("{}/eventsubscriptions/{}", self.0.path, name(event_subscription)?);
        Ok(Worker { topic: self.0.clone(), path })
    }

    /// Publishes events, all or none. When this resolves to `Ok` they are durable. What is published again with the same
    /// `id` and `source` is there once in Tidings; Azure does not look.
    pub async fn publish(&self, events: &[Event]) -> Result<(), PullError> {
        let checked =
            |(place, event): (usize, &Event)| event.checked().map_err(|error| PullError::Event { place, error });
        let events: Vec<CloudEvent> = events.iter().enumerate().map(checked).collect::<Result<_, _>>()?;
        if events.is_empty() {
            return Ok(());
        }
        let body = CloudEvent::batch_to_json(&events);
        if body.len() > EVENT_BYTES_MAX {
            return Err(PullError::TooLarge { bytes: body.len() });
        }
        let path = format!("{}:publish?api-version={}", self.0.path, API_VERSIONS[0]);
        self.0.ask(path, Some((EVENTS_CONTENT_TYPE, body)), (ANSWER_MAX, ANSWER_BYTES_MAX)).await.map(drop)
    }
}

impl Worker {
    /// Up to so many events (1 to 100): at once if there are any, else as soon as the first comes, within `wait` (10 seconds
    /// to two minutes). Nothing if none came. What is beyond these limits counts as the nearest within.
    pub async fn receive(&self, events_max: u32, wait: Duration) -> Result<Received, PullError> {
        let (events_max, wait) = (events_max.clamp(1, EVENTS_MAX), wait.clamp(WAIT_MIN, WAIT_MAX));
        let path = format!(
            "{}:receive?api-version={}&maxEvents={events_max}&maxWaitTime={}",
            self.path,
            API_VERSIONS[0],
            wait.as_secs()
        );
        let bytes_max = (events_max as usize + 1) * (LONG_EVENT_BYTES_MAX + ANSWER_BYTES_MAX / 16);
        let answer = self.topic.ask(path, None, (wait + ANSWER_MAX, bytes_max)).await?;
        received(&answer)
    }

    /// They are done and come no more.
    pub async fn acknowledge<T: AsRef<str>>(&self, tokens: impl IntoIterator<Item = T>) -> Result<Settled, PullError> {
        self.settle("acknowledge", "", tokens).await
    }

    /// They are given back, and come again when the delay is over.
    pub async fn release<T: AsRef<str>>(
        &self,
        tokens: impl IntoIterator<Item = T>,
        delay: Delay,
    ) -> Result<Settled, PullError> {
        self.settle("release", &format!("&releaseDelayInSeconds={}", delay.seconds()), tokens).await
    }

    /// They can never be done, and come no more: they are dead letters if there is a place for these.
    pub async fn reject<T: AsRef<str>>(&self, tokens: impl IntoIterator<Item = T>) -> Result<Settled, PullError> {
        self.settle("reject", "", tokens).await
    }

    /// Their locks begin anew. That ends an hour after the event was received first.
    pub async fn renew_locks<T: AsRef<str>>(&self, tokens: impl IntoIterator<Item = T>) -> Result<Settled, PullError> {
        self.settle("renewLock", "", tokens).await
    }

    async fn settle<T: AsRef<str>>(
        &self,
        how: &str,
        option: &str,
        tokens: impl IntoIterator<Item = T>,
    ) -> Result<Settled, PullError> {
        let tokens: Vec<String> = tokens.into_iter().map(|token| token.as_ref().to_owned()).collect();
        match tokens.len() {
            0 => return Ok(Settled::default()),
            1..=LOCK_TOKENS_MAX => {}
            many => return Err(PullError::TooManyTokens(many)),
        }
        let path = format!("{}:{how}?api-version={}{option}", self.path, API_VERSIONS[0]);
        let body = serde_json::json!({ "lockTokens": tokens }).to_string().into_bytes();
        let answer = self.topic.ask(path, Some(("application/json", body)), (ANSWER_MAX, ANSWER_BYTES_MAX)).await?;
        settled(&answer)
    }
}

impl Topic {
    /// Posts, and gives the body of what was answered with 200.
    async fn ask(
        &self,
        path: String,
        body: Option<(&'static str, Vec<u8>)>,
        (within, bytes_max): (Duration, usize),
    ) -> Result<Bytes, PullError> {
        let host = self.url.authority().map_or("", |authority| authority.as_str());
        let authorization = self.credential.header().await?;
        let mut request = Request::post(path).header(HOST, host).header(AUTHORIZATION, authorization);
        if let Some((content_type, _)) = body {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let body = Full::from(body.map(|(_, body)| body).unwrap_or_default());
        let request = request.body(body).map_err(|error| PullError::Call(error.to_string()))?;
        let exchange = tokio::time::timeout(within, self.exchange(request, bytes_max));
        let (head, body) = exchange.await.map_err(|_| PullError::TimedOut)?.map_err(PullError::Call)?;
        if head.status() == StatusCode::OK { Ok(body) } else { Err(refused(&head, &body)) }
    }

    /// On a connection that is there already if one is. A request that did not leave is sent on another one.
    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<(Response<()>, Bytes), String> {
        while let Some(mut sender) = self.kept() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return self.read(sender, response, bytes_max).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().to_string()),
                },
            }
        }
        let mut sender = call::connect(&self.tls, &self.url).await?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        self.read(sender, response, bytes_max).await
    }

    async fn read(
        &self,
        sender: Sender,
        response: Response<hyper::body::Incoming>,
        bytes_max: usize,
    ) -> Result<(Response<()>, Bytes), String> {
        let (head, body) = response.into_parts();
        let body = call::collect(body, bytes_max).await?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(sender);
        }
        Ok((Response::from_parts(head, ()), body))
    }

    fn kept(&self) -> Option<Sender> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// A name that can stand in a path as it is.
fn name(text: &str) -> Result<&str, SetupError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_name = (1..=100).contains(&text.len()) && text.bytes().all(is_plain);
    if is_name { Ok(text) } else { Err(SetupError::Name(clipped(text))) }
}

fn unread(error: &serde_json::Error) -> PullError {
    PullError::Answer(format!("see line {}, column {}", error.line(), error.column()))
}

fn received(answer: &[u8]) -> Result<Received, PullError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        value: Vec<One<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct One<'a> {
        broker_properties: BrokerProperties,
        #[serde(borrow)]
        event: &'a RawValue,
    }
    let answer: Answer<'_> = serde_json::from_slice(answer).map_err(|error| unread(&error))?;
    let mut received = Received::default();
    for One { broker_properties: BrokerProperties { lock_token, delivery_count }, event } in answer.value {
        let lock_token = LockToken(lock_token);
        match CloudEvent::from_long_json(event.get().as_bytes()) {
            Ok(event) => received.events.push(Locked { event: event.into(), lock_token, delivery_count }),
            Err(error) => received.unreadable.push(Unreadable { lock_token, delivery_count, error }),
        }
    }
    Ok(received)
}

fn settled(answer: &[u8]) -> Result<Settled, PullError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        #[serde(default)]
        failed_lock_tokens: Vec<One>,
        #[serde(default)]
        succeeded_lock_tokens: Vec<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct One {
        lock_token: String,
        error: Said,
    }
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| unread(&error))?;
    let failed = answer.failed_lock_tokens.into_iter().map(|one| {
        let Said { code, message } = one.error;
        let (code, message) = (clipped(&code), clipped(&message));
        let error = match code.as_str() {
            "TokenLost" => TokenError::Lost(message),
            "BadToken" => TokenError::Bad(message),
            _ => TokenError::Other { code, message },
        };
        Failed { lock_token: LockToken(one.lock_token), error }
    });
    let failed = failed.collect();
    Ok(Settled { succeeded: answer.succeeded_lock_tokens.into_iter().map(LockToken).collect(), failed })
}

/// What a server says of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    code: String,
    message: String,
}

fn refused(head: &Response<()>, body: &[u8]) -> PullError {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        error: Said,
    }
    let Answer { error: Said { code, message } } = serde_json::from_slice(body).unwrap_or_default();
    let seconds = head.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    let (code, message) = (clipped(&code), message.chars().take(1_000).collect());
    PullError::Refused { status: head.status().as_u16(), code, message, retry_after }
}

#[cfg(test)]
mod tests;
