//! One POST: from the first look at the URL to the last byte of the answer, under one deadline.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Error as ClientError;
use notify::node::Outcome;
use notify::subscription::TlsVersion;

use super::Outbound;
use super::connector::ConnectError;
use super::dns::DnsError;
use super::policy::Refusal;
use super::stream::Proven;

/// What of an answer's body is read; the rest is dropped with its connection.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// Longer header values are as good as absent.
const HEADER_VALUE_BYTES_MAX: usize = 256;
/// What an error's chain of causes is followed to.
const CAUSES_MAX: usize = 8;

/// What a receiver answered. A body that was cut is exactly [`BODY_BYTES_MAX`] long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    /// As sent, at most 256 bytes; still to be parsed and bounded.
    pub retry_after: Option<String>,
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
        Ok(answer) => Outcome::Refused { status: answer.status },
        Err(Failure::TimedOut) => Outcome::TimedOut,
        Err(Failure::Forbidden(_)) => Outcome::Forbidden,
        Err(Failure::Name(..) | Failure::Connect(_) | Failure::Tls(_) | Failure::Broken(_)) => Outcome::Unreachable,
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
        let uri = self.targets.get(&self.policy, url)?;
        self.exchange((uri, tls), content_type, body, limit).await
    }

    /// The URI has passed the policy.
    pub(super) async fn exchange(
        &self,
        (uri, tls): (Uri, TlsVersion),
        content_type: &'static str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let exchange = async {
            let once = |body| self.exchange_once((&uri, tls), content_type, body);
            match once(body.clone()).await {
                // The receiver closed an idle connection while the request was on its way.
                Err(Interrupted { reused: true, .. }) => once(body).await,
                result => result,
            }
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(result) => result.map_err(|interrupted| interrupted.failure),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    async fn exchange_once(
        &self,
        (uri, tls): (&Uri, TlsVersion),
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Answer, Interrupted> {
        let response = match self.client(tls).request(request(uri.clone(), content_type, body)).await {
            Ok(response) => response,
            Err(error) => return Err(Interrupted::of(&error)),
        };
        answer(response)
            .await
            .map_err(|error| Interrupted { reused: false, failure: Failure::Broken(error.to_string()) })
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

fn request(uri: Uri, content_type: &'static str, body: Bytes) -> Request<Full<Bytes>> {
    let empty = body.is_empty();
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.reserve(5);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidings/", env!("CARGO_PKG_VERSION"))));
    if empty {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    request
}

async fn answer(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    while !incoming.is_end_stream() && body.len() < BODY_BYTES_MAX {
        let Some(frame) = incoming.frame().await else { break };
        if let Some(data) = frame?.data_ref() {
            body.extend_from_slice(&data[..data.len().min(BODY_BYTES_MAX - body.len())]);
        }
    }
    if let Some(proven) = head.extensions.get::<Proven>() {
        proven.set();
    }
    Ok(Answer {
        status: head.status.as_u16(),
        content_type: header(&head.headers, CONTENT_TYPE),
        retry_after: header(&head.headers, RETRY_AFTER),
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

fn failure(error: &ClientError) -> Failure {
    let Some(connect) = causes(error).find_map(|cause| cause.downcast_ref::<ConnectError>()) else {
        return Failure::Broken(causes(error).last().map(ToString::to_string).unwrap_or_default());
    };
    match connect {
        ConnectError::Dns(DnsError::Refused(refusal)) => Failure::Forbidden(refusal.clone()),
        ConnectError::Dns(DnsError::Unresolved(name, reason)) => Failure::Name(name.clone(), reason.clone()),
        ConnectError::Tls(_) => Failure::Tls(connect.to_string()),
        ConnectError::TimedOut => Failure::TimedOut,
        ConnectError::Url | ConnectError::Tcp(_) => Failure::Connect(connect.to_string()),
    }
}
