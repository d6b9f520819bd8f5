//! The handshakes with a receiver before its subscription exists: Graph's with a token, and that of CloudEvents' webhooks.

use std::time::Duration;

use bytes::Bytes;
use notify::subscription::TlsVersion;
use protocol::HandshakeError;
use protocol::event_grid::handshake::{self, Ask, Consent, NoConsent};
use protocol::handshake::{CONTENT_TYPE, TIMEOUT_SECONDS, validation_token, validation_url, verdict};

use super::Outbound;
use super::attempt::{Call, Failure, header_map};
use super::policy::Refusal;
use super::targets;

impl Outbound {
    /// Whether `url` may be called at all, as far as its text tells. Cheap; asks nobody.
    pub fn check(&self, url: &str) -> Result<(), HandshakeError> {
        self.policy.check_url(url).and_then(targets::uri).map(drop).map_err(|refusal| refused(url, refusal))
    }

    /// Asks the receiver at `url`, which speaks TLS up to `tls`, to echo a token, and takes nothing else for
    /// an answer.
    pub async fn validate(&self, url: &str, tls: TlsVersion, request_id: &str) -> Result<(), HandshakeError> {
        self.validate_within((url, tls), request_id, Duration::from_secs(TIMEOUT_SECONDS)).await
    }

    /// Asks the endpoint at exactly `url` whether it wants to be pushed to.
    pub async fn consent(&self, url: &str, ask: &Ask<'_>) -> Result<Consent, NoConsent> {
        self.consent_within(url, ask, Duration::from_secs(handshake::TIMEOUT_SECONDS)).await
    }

    pub(super) async fn consent_within(&self, url: &str, ask: &Ask<'_>, limit: Duration) -> Result<Consent, NoConsent> {
        let uri = self.policy.check_url(url).and_then(targets::uri);
        let uri = uri.map_err(|refusal| NoConsent::NotAsked(refused(url, refusal)))?;
        // All of them are ours, apart from the host that the caller used.
        let headers = header_map(ask.headers()).ok_or(NoConsent::NotAsked(HandshakeError::Broken))?;
        let call = Call::options((uri, TlsVersion::V1_3), headers);
        let answer = self.exchange(call, limit).await.map_err(|failure| NoConsent::NotAsked(failed(url, failure)))?;
        handshake::verdict(ask.origin, answer.status, answer.allowed_origin.as_deref())
    }

    pub(super) async fn validate_within(
        &self,
        (url, tls): (&str, TlsVersion),
        request_id: &str,
        limit: Duration,
    ) -> Result<(), HandshakeError> {
        self.check(url)?;
        let token = validation_token(request_id);
        let extended = self.policy.check_extended_url(&validation_url(url, &token));
        let uri = extended.and_then(targets::uri).map_err(|refusal| refused(url, refusal))?;
        let call = Call::post((uri, tls), CONTENT_TYPE, Bytes::new());
        let answer = self.exchange(call, limit).await.map_err(|failure| failed(url, failure))?;
        verdict(&token, answer.status, answer.content_type.as_deref(), &answer.body)
    }
}

fn refused(url: &str, refusal: Refusal) -> HandshakeError {
    // Graph's texts do not say which rule it was.
    tracing::info!(%refusal, "a notification URL was refused");
    match refusal {
        Refusal::Url(reason) => HandshakeError::url(url, reason),
        Refusal::Scheme(scheme) => HandshakeError::Scheme(scheme),
        Refusal::Address { .. } | Refusal::Resolved { .. } => HandshakeError::LocalAddress,
    }
}

pub(super) fn failed(url: &str, failure: Failure) -> HandshakeError {
    tracing::info!(%failure, "a handshake failed");
    match failure {
        Failure::Forbidden(refusal) => refused(url, refusal),
        Failure::TimedOut => HandshakeError::TimedOut,
        Failure::Name(host, _) => HandshakeError::Name(host),
        Failure::Connect(_) => HandshakeError::Connect,
        Failure::Tls(_) => HandshakeError::Tls,
        Failure::Broken(_) => HandshakeError::Broken,
    }
}
