//! One request: from the first look at the URL to the last byte of the answer, under one deadline.

use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Error as ClientError;
use notify::node::Outcome;
use notify::retry::RetryAfter;
use notify::subscription::TlsVersion;
use protocol::event_grid::push::Request;

use super::Outbound;
use super::connector::ConnectError;
use super::dns::DnsError;
use super::policy::Refusal;
use super::retry_after::retry_after;
use super::stream::Proven;

/// What of an answer's body is read; the rest is dropped with its connection.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// Longer header values are as good as absent.
const HEADER_VALUE_BYTES_MAX: usize = 256;
/// What an error's chain of causes is followed to.
const CAUSES_MAX: usize = 8;
/// The longest text of a cause.
const CAUSE_CHARS_MAX: usize = 256;

/// What was answered. A body that was cut is exactly as long as was allowed: [`BODY_BYTES_MAX`] for a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub retry_after: Option<RetryAfter>,
    /// `WebHook-Allowed-Origin`, which matters in the answer to a handshake.
    pub allowed_origin: Option<String>,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Forbidden(#[from] Refusal),
    #[error("no complete answer in time")]
    TimedOut,
    #[error("the name {0} was not resolved: {1}")]
    Name(String, String),
    #[error("{0}")]
    Connect(String),
    #[error("{0}")]
    Tls(String),
    /// The connection broke, or what came was not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// What the attempt came to, as the node has it.
pub fn outcome(result: &Result<Answer, Failure>) -> Outcome {
    match result {
        Ok(answer) if (200..300).contains(&answer.status) => Outcome::Acknowledged,
        Ok(answer) => Outcome::Refused { status: answer.status, retry_after: answer.retry_after },
        Err(Failure::TimedOut) => Outcome::TimedOut,
        Err(Failure::Forbidden(_)) => Outcome::Forbidden,
        Err(Failure::Name(..)) => Outcome::Unresolved,
        Err(Failure::Connect(_) | Failure::Tls(_) | Failure::Broken(_)) => Outcome::Unreachable,
    }
}

/// What is asked, of whom, and how much of the answer is read. The URI has passed the policy.
#[derive(Clone)]
pub(super) struct Call {
    uri: Uri,
    /// The latest that is spoken.
    tls: TlsVersion,
    method: Asking,
    /// What goes with it beside what every call has.
    headers: HeaderMap,
    answer_bytes_max: usize,
}

#[derive(Clone)]
enum Asking {
    Get,
    Options,
    Post(HeaderValue, Bytes),
}

impl Call {
    pub fn post(target: (Uri, TlsVersion), content_type: &'static str, body: Bytes) -> Self {
        Self::of(target, Asking::Post(HeaderValue::from_static(content_type), body), HeaderMap::new())
    }

    pub fn options(target: (Uri, TlsVersion), headers: HeaderMap) -> Self {
        Self::of(target, Asking::Options, headers)
    }

    fn of((uri, tls): (Uri, TlsVersion), method: Asking, headers: HeaderMap) -> Self {
        Self { uri, tls, method, headers, answer_bytes_max: BODY_BYTES_MAX }
    }
}

impl Outbound {
    /// Posts `body` to exactly `url`, which speaks TLS up to `tls`. A redirect is an answer like any other.
    pub async fn post(
        &self,
        (url, tls): (&str, TlsVersion),
        content_type: &'static str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        self.post_with((url, tls), (content_type, body), HeaderMap::new(), limit).await
    }

    /// The same with more headers; those that every call has stand in their place.
    pub async fn post_with(
        &self,
        (url, tls): (&str, TlsVersion),
        (content_type, body): (&'static str, Bytes),
        headers: HeaderMap,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let uri = self.targets.get(&self.policy, url)?;
        let posted = Asking::Post(HeaderValue::from_static(content_type), body);
        self.exchange(Call::of((uri, tls), posted, headers), limit).await
    }

    /// Posts events as they are pushed to a webhook. `more` are headers beside those of the request, which stand in their
    /// place.
    pub async fn push(
        &self,
        (url, tls): (&str, TlsVersion),
        pushed: Request,
        mut more: HeaderMap,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let uri = self.targets.get(&self.policy, url)?;
        let (Ok(content_type), Some(headers)) =
            (HeaderValue::try_from(pushed.content_type), header_map(pushed.headers))
        else {
            return Err(Failure::Broken("a header of the request cannot be sent".to_owned()));
        };
        more.extend(headers);
        let posted = Asking::Post(content_type, Bytes::from(pushed.body));
        self.exchange(Call::of((uri, tls), posted, more), limit).await
    }

    /// Reads the JSON at exactly `url`, or what the answer has of it within `answer_bytes_max`.
    pub async fn get(&self, url: &str, answer_bytes_max: usize, limit: Duration) -> Result<Answer, Failure> {
        let uri = self.targets.get(&self.policy, url)?;
        let call = Call::of((uri, TlsVersion::V1_3), Asking::Get, HeaderMap::new());
        self.exchange(Call { answer_bytes_max, ..call }, limit).await
    }

    pub(super) async fn exchange(&self, call: Call, limit: Duration) -> Result<Answer, Failure> {
        let exchange = async {
            match self.exchange_once(call.clone()).await {
                // The receiver closed an idle connection while the request was on its way.
                Err(Interrupted { reused: true, .. }) => self.exchange_once(call).await,
                result => result,
            }
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(result) => result.map_err(|interrupted| interrupted.failure),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    async fn exchange_once(&self, call: Call) -> Result<Answer, Interrupted> {
        let bytes_max = call.answer_bytes_max;
        let response = match self.client(call.tls).request(request(call)).await {
            Ok(response) => response,
            Err(error) => return Err(Interrupted::of(&error)),
        };
        answer(response, bytes_max)
            .await
            .map_err(|error| Interrupted { reused: false, failure: Failure::Broken(told(&error)) })
    }
}

struct Interrupted {
    /// A connection that had worked before ended without an answer.
    reused: bool,
    failure: Failure,
}

impl Interrupted {
    fn of(error: &ClientError) -> Self {
        let mut extras = http::Extensions::new();
        if let Some(connected) = error.connect_info() {
            connected.get_extras(&mut extras);
        }
        let proven = extras.get::<Proven>().is_some_and(Proven::get);
        Self { reused: proven && causes(error).any(closed_early), failure: failure(error) }
    }
}

pub(super) fn request(call: Call) -> http::Request<Full<Bytes>> {
    let mut headers = call.headers;
    headers.reserve(5);
    let (method, body) = match call.method {
        Asking::Get => {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            (Method::GET, Bytes::new())
        }
        Asking::Options => (Method::OPTIONS, Bytes::new()),
        Asking::Post(content_type, body) => {
            headers.insert(CONTENT_TYPE, content_type);
            if body.is_empty() {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            (Method::POST, body)
        }
    };
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidings/", env!("CARGO_PKG_VERSION"))));
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = call.uri;
    *request.headers_mut() = headers;
    request
}

/// Headers as the client takes them; `None`: one of them cannot be sent. No log shows who is let in by them.
pub(super) fn header_map(headers: Vec<(String, String)>) -> Option<HeaderMap> {
    let headers = headers.into_iter().map(|(name, value)| {
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    });
    headers.collect()
}

pub(super) async fn answer(response: Response<Incoming>, bytes_max: usize) -> Result<Answer, hyper::Error> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    while !incoming.is_end_stream() && body.len() < bytes_max {
        let Some(frame) = incoming.frame().await else { break };
        if let Some(data) = frame?.data_ref() {
            body.extend_from_slice(&data[..data.len().min(bytes_max - body.len())]);
        }
    }
    if let Some(proven) = head.extensions.get::<Proven>() {
        proven.set();
    }
    Ok(Answer {
        status: head.status.as_u16(),
        content_type: header(&head.headers, CONTENT_TYPE),
        retry_after: retry_after(&head.headers),
        allowed_origin: header(&head.headers, HeaderName::from_static("webhook-allowed-origin")),
        body: body.freeze(),
    })
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    if value.len() > HEADER_VALUE_BYTES_MAX {
        return None;
    }
    value.to_str().ok().map(str::to_owned)
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source()).take(CAUSES_MAX)
}

fn closed_early(cause: &(dyn StdError + 'static)) -> bool {
    let ended =
        cause.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_incomplete_message() || error.is_canceled());
    let reset = cause.downcast_ref::<io::Error>().is_some_and(|error| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
        matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
    });
    ended || reset
}

pub(super) fn failure(error: &ClientError) -> Failure {
    let Some(connect) = causes(error).find_map(|cause| cause.downcast_ref::<ConnectError>()) else {
        return Failure::Broken(causes(error).last().map(|cause| told(&cause)).unwrap_or_default());
    };
    connect.into()
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Dns(DnsError::Refused(refusal)) => Failure::Forbidden(refusal.clone()),
            ConnectError::Dns(DnsError::Unresolved(name, reason)) => Failure::Name(told(name), told(reason)),
            ConnectError::Tls(_) => Failure::Tls(told(error)),
            ConnectError::TimedOut => Failure::TimedOut,
            ConnectError::Url | ConnectError::Tcp(_) | ConnectError::Proxy(_) => Failure::Connect(told(error)),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        (&error).into()
    }
}

/// A cause, which may repeat what a receiver said (the names in its certificate), as a line of a log holds it.
pub(super) fn told(cause: &dyn fmt::Display) -> String {
    let text = cause.to_string();
    let shown = text.chars().take(CAUSE_CHARS_MAX).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    let more = if text.chars().nth(CAUSE_CHARS_MAX).is_some() { "…" } else { "" };
    shown.chain(more.chars()).collect()
}
