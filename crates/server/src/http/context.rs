//! What is known of a request before anybody asks what it wants: its ids, its time, and the URL under
//! which the caller sees this server.

use std::sync::OnceLock;

use graph::Timestamp;
use http::request::Parts;
use http::{HeaderMap, header};
use uuid::Uuid;

use super::listener::Arrival;
use crate::clock::Times;
use crate::ids;
use crate::telemetry::traces::Span;

/// One request's surroundings.
#[derive(Clone, Debug)]
pub struct Context {
    pub request_id: Uuid,
    /// The caller's own id, or ours if it sent none.
    pub client_request_id: String,
    pub now: Timestamp,
    /// The time that the rest of the world has: what tokens are held against.
    pub world: Timestamp,
    /// Scheme, host and port as the caller used them: `https://localhost:8443`.
    pub origin: String,
    /// Whether tokens are given out there.
    pub gives_tokens: bool,
    /// What is traced of it.
    pub span: Span,
    /// The template of what is asked for, once that is known.
    pub(super) route: OnceLock<&'static str>,
}

impl Context {
    pub fn new(parts: &Parts, times: Times, gives_tokens: bool) -> Self {
        let request_id = ids::new_uuid();
        let client_request_id = client_request_id(&parts.headers).unwrap_or_else(|| request_id.to_string());
        let (now, world, route) = (times.here, times.world, OnceLock::new());
        let (origin, span) = (origin(parts), Span::default());
        Self { request_id, client_request_id, now, world, origin, gives_tokens, span, route }
    }

    /// Says what is asked for. What a request contains says it, too, and does not count.
    pub fn is_for(&self, route: &'static str) {
        let _ = self.route.set(route);
    }

    pub fn route(&self) -> &'static str {
        self.route.get().copied().unwrap_or("other")
    }

    /// Whether the request came by TLS.
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// The time as Graph's errors give it: to the second, without a zone.
    pub fn date(&self) -> String {
        self.now.whole_seconds().to_string().trim_end_matches('Z').to_owned()
    }
}

/// The caller's id, if it can stand in a header and is not absurdly long.
fn client_request_id(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get("client-request-id")?.to_str().ok()?;
    (!sent.is_empty() && sent.len() <= 128).then(|| sent.to_owned())
}

fn origin(parts: &Parts) -> String {
    let arrival = parts.extensions.get::<Arrival>();
    let scheme = if arrival.is_some_and(|arrival| arrival.tls) { "https" } else { "http" };
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    // HTTP/2 has the authority in the URI; HTTP/1.0 may name no host at all.
    let host = parts.uri.authority().map(|authority| authority.to_string()).or(host);
    match (host, arrival) {
        (Some(host), _) => format!("{scheme}://{host}"),
        (None, Some(arrival)) => format!("{scheme}://{}", arrival.local),
        (None, None) => format!("{scheme}://localhost"),
    }
}
