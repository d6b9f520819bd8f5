//! What an operator is told of a URL: the verdict that it gets at create, at the handshake and at delivery, what would
//! change it, and, if asked for, the handshake step by step. It goes the way that calls go, on a connection of its own.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use notify::subscription::TlsVersion;
use protocol::handshake::{CONTENT_TYPE, TIMEOUT_SECONDS, validation_token, validation_url, verdict};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::address::classify;
use super::attempt::{self, BODY_BYTES_MAX, Call, Failure};
use super::connector::Place;
use super::policy::Refusal;
use super::stream::Stream;
use super::{HEAD_BYTES_MAX, Outbound, targets};
use crate::clock::Clock;

/// More addresses are judged and not shown.
const SHOWN_MAX: usize = 32;

/// What is known of a URL.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Whether it may be called, at create, at the handshake and at delivery alike.
    pub allowed: bool,
    /// Why it may not, or why that is not known.
    pub reason: Option<String>,
    /// What in the configuration would open it.
    pub opens: Option<String>,
    /// Where its host leads, at most 32 of them.
    pub addresses: Vec<Judged>,
    /// What came of a handshake, if one was asked for and the URL may be called.
    pub handshake: Option<Tried>,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    pub address: String,
    /// What makes it special; absent: an ordinary public address.
    pub class: Option<String>,
    pub allowed: bool,
}

/// A handshake with a receiver.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// Whether it has echoed the token, so that a subscription could be made.
    pub passed: bool,
    /// What an app that subscribes would be told.
    pub told: Option<String>,
    pub steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// dns, connect, tls, headers or body.
    pub name: &'static str,
    pub milliseconds: f64,
    pub passed: bool,
    pub detail: String,
}

impl Outbound {
    /// `request_id`: make a handshake under this id.
    pub async fn examine(&self, url: &str, request_id: Option<&str>) -> Checked {
        self.examine_within(url, request_id, Duration::from_secs(TIMEOUT_SECONDS)).await
    }

    pub(super) async fn examine_within(&self, url: &str, request_id: Option<&str>, limit: Duration) -> Checked {
        let (refusal, addresses) = match self.policy.check_url(url).and_then(targets::uri) {
            Ok(uri) => match timeout(limit, self.judged(&uri)).await {
                Ok(judged) => judged,
                Err(_) => (Some(Failure::TimedOut), Vec::new()),
            },
            Err(refusal) => (Some(Failure::Forbidden(refusal)), Vec::new()),
        };
        let opens = match &refusal {
            Some(Failure::Forbidden(refusal)) => refusal.opening(),
            _ => None,
        };
        let allowed = refusal.is_none();
        let handshake = match request_id.filter(|_| allowed) {
            Some(request_id) => Some(self.tried(url, request_id, limit).await),
            None => None,
        };
        Checked { allowed, reason: refusal.map(|refusal| refusal.to_string()), opens, addresses, handshake }
    }

    /// The verdict on where a URL leads, and on each address.
    async fn judged(&self, uri: &Uri) -> (Option<Failure>, Vec<Judged>) {
        let place = match Place::of(uri) {
            Ok(place) => place,
            Err(error) => return (Some(error.into()), Vec::new()),
        };
        let verdict = self.connector.vetted(&place).await;
        let found = self.connector.addresses(&place).await.unwrap_or_default();
        let judged = found.into_iter().take(SHOWN_MAX).map(|address| Judged {
            address: address.to_string(),
            class: classify(address).map(|class| class.to_string()),
            allowed: self.policy.check_address(place.host, address).is_ok(),
        });
        (verdict.err().map(Failure::from), judged.collect())
    }

    async fn tried(&self, url: &str, request_id: &str, limit: Duration) -> Tried {
        let mut steps = Steps { clock: Clock::new(), limit, taken: Vec::new() };
        let result = self.handshake_in(&mut steps, url, request_id).await;
        let told = result.err().map(|failure| match failure {
            Told::Failure(failure) => super::handshake::failed(url, failure).to_string(),
            Told::Verdict(error) => error.to_string(),
        });
        Tried { passed: told.is_none(), told, steps: steps.taken }
    }

    async fn handshake_in(&self, steps: &mut Steps, url: &str, request_id: &str) -> Result<(), Told> {
        let token = validation_token(request_id);
        let extended = self.policy.check_extended_url(&validation_url(url, &token));
        let uri = extended.and_then(targets::uri).map_err(Failure::from)?;
        let place = Place::of(&uri).map_err(Failure::from)?;
        let connector = &self.connector;
        let addresses =
            steps.take("dns", connector.vetted(&place), |all| format!("{} may be called", count(all.len())));
        let addresses = addresses.await?;
        let reached = connector.first_that_answers(&addresses, place.port);
        let tcp = steps.take("connect", reached, |tcp| connector.reached(tcp)).await?;
        let stream = match place.secure {
            true => steps.take("tls", connector.secured(&place, tcp), Stream::spoken).await?,
            false => Stream::over(tcp),
        };
        let asked = asked(stream, uri.clone());
        let answer = steps.take("headers", asked, |answer| format!("status {}", answer.status().as_u16())).await?;
        let read = async { attempt::answer(answer, BODY_BYTES_MAX).await.map_err(|error| broken(&error)) };
        let answer = steps.take("body", read, |answer| format!("{} bytes", answer.body.len())).await?;
        let passed = verdict(&token, answer.status, answer.content_type.as_deref(), &answer.body);
        if let (Err(error), Some(body)) = (&passed, steps.taken.last_mut()) {
            body.passed = false;
            body.detail = format!("{}: {error}", body.detail);
        }
        passed.map_err(Told::Verdict)
    }
}

enum Told {
    Failure(Failure),
    Verdict(protocol::HandshakeError),
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

struct Steps {
    /// Runs from the first of them; all of them have `limit` together.
    clock: Clock,
    limit: Duration,
    taken: Vec<Step>,
}

impl Steps {
    async fn take<T, E: Into<Failure>>(
        &mut self,
        name: &'static str,
        step: impl Future<Output = Result<T, E>>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let started = self.clock.elapsed();
        let result = match timeout(self.limit.saturating_sub(started), step).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(Failure::TimedOut),
        };
        let detail = match &result {
            Ok(value) => detail(value),
            Err(failure) => failure.to_string(),
        };
        let took = self.clock.elapsed().saturating_sub(started);
        let milliseconds = (took.as_secs_f64() * 10_000.0).round() / 10.0;
        self.taken.push(Step { name, milliseconds, passed: result.is_ok(), detail });
        result
    }
}

/// Sends the request of a handshake as a pooled connection would, and reads the head of the answer.
async fn asked(stream: Stream, uri: Uri) -> Result<Response<Incoming>, Failure> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).title_case_headers(true).ignore_invalid_headers_in_responses(true);
    let (mut sender, connection) = builder.handshake::<_, Full<Bytes>>(stream).await.map_err(|error| broken(&error))?;
    tokio::spawn(connection);
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    let path = uri.path_and_query().map(|path| path.as_str()).unwrap_or("/").parse();
    let mut request = attempt::request(Call::post((uri, TlsVersion::V1_2), CONTENT_TYPE, Bytes::new()));
    if let (Ok(path), Ok(host)) = (path, host.parse()) {
        *request.uri_mut() = path;
        request.headers_mut().insert(HOST, host);
    }
    sender.send_request(request).await.map_err(|error| broken(&error))
}

fn broken(error: &hyper::Error) -> Failure {
    Failure::Broken(attempt::told(error))
}

fn count(addresses: usize) -> String {
    match addresses {
        1 => "1 address".to_owned(),
        _ => format!("{addresses} addresses"),
    }
}

impl Refusal {
    /// What in the configuration would open what was refused. Spelling and plain HTTP are opened by nothing.
    fn opening(&self) -> Option<String> {
        use super::address::Class;
        let (host, address, class) = match self {
            Refusal::Url(_) | Refusal::Scheme(_) => return None,
            Refusal::Address { host, class } => (host.clone(), host.clone(), *class),
            Refusal::Resolved { host, address, class } => (host.clone(), address.to_string(), *class),
        };
        let named = |place: &str| format!("outbound.allow = [\"{place}\"]");
        Some(match class {
            Class::Metadata => format!("{}, if receivers may have this machine's credentials", named(&address)),
            Class::Private => format!("outbound.allow_private = true, or {}", named(&host)),
            _ => named(&host),
        })
    }
}
