//! The one component that calls others: receivers, and issuers for their keys.
//!
//! A call passes the *policy* (pure rules on the URL's text), then *dns* (every address of the host must
//! be allowed), then the *connector* (connects to those addresses and no others, through the operator's *proxy* if there
//! is one); a pooled connection has passed all of them. Nothing here follows a redirect or reads a proxy variable; every
//! call has one deadline over name, connection, TLS, headers and body, and reads a bounded answer.
//!
//! It decides nothing about retries beyond one: when a connection that had worked before ends while a
//! request is on it, the request is sent once more at once, within the same deadline.

pub mod address;
mod attempt;
mod capped;
mod check;
mod connector;
mod dns;
mod handshake;
mod object;
pub mod policy;
mod proxy;
mod retry_after;
mod stream;
mod targets;
#[cfg(test)]
mod tests;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use notify::subscription::TlsVersion;

pub use attempt::{Answer, BODY_BYTES_MAX, Failure, outcome};
pub use check::Checked;
pub use object::Asked;
pub use policy::{Allowed, Policy, Refusal};
pub use proxy::{NoProxy, ProxyConfig, ProxyPlace};
pub use tls::ClientCertificate;

use connector::Connector;
use dns::Dns;
use proxy::Proxy;
use targets::Targets;

/// Below the 5 s after which common receivers close an idle connection.
const IDLE_MAX: Duration = Duration::from_secs(4);
const IDLE_PER_HOST_MAX: usize = 256;
/// About how long all headers of an answer may be together. Their number is limited to 100 by the client's parser.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What an operator sets.
#[derive(Clone, Debug, Default)]
pub struct OutboundConfig {
    pub policy: Policy,
    /// PEM files of certificate authorities that receivers may have beside the system's.
    pub ca_files: Vec<PathBuf>,
    /// What receivers that ask for a certificate are shown.
    pub client_certificate: Option<ClientCertificate>,
    /// Where every connection goes through.
    pub proxy: Option<ProxyConfig>,
}

/// Calls receivers. Share it behind an `Arc`.
pub struct Outbound {
    /// They share no connection: one that speaks TLS 1.3 does not serve who asked for 1.2.
    up_to_tls12: Client<Connector, Full<Bytes>>,
    up_to_tls13: Client<Connector, Full<Bytes>>,
    /// That of `up_to_tls12`.
    connector: Connector,
    policy: Arc<Policy>,
    targets: Targets,
}

/// Outbound calls could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error(transparent)]
    Proxy(#[from] proxy::CredentialsError),
    #[error("the resolver cannot be set up")]
    Dns(#[from] hickory_resolver::net::NetError),
}

impl Outbound {
    pub fn new(config: OutboundConfig) -> Result<Self, OutboundError> {
        Self::with_dns(config, Dns::from_system()?)
    }

    fn with_dns(config: OutboundConfig, dns: Dns) -> Result<Self, OutboundError> {
        let roots = tls::roots(&config.ca_files)?;
        let own = config.client_certificate.as_ref().map(ClientCertificate::read).transpose()?;
        let proxy = config.proxy.as_ref().map(Proxy::new).transpose()?.map(Arc::new);
        let (policy, dns) = (Arc::new(config.policy), Arc::new(dns));
        let connector = |latest| -> Result<_, OutboundError> {
            let tls = tls::config(Arc::clone(&roots), own.clone(), latest)?;
            Ok(Connector::new(Arc::clone(&policy), Arc::clone(&dns), proxy.clone(), tls))
        };
        let (up_to_tls12, up_to_tls13) = (connector(TlsVersion::V1_2)?, pooled(connector(TlsVersion::V1_3)?));
        let (connector, up_to_tls12) = (up_to_tls12.clone(), pooled(up_to_tls12));
        Ok(Self { up_to_tls12, up_to_tls13, connector, policy, targets: Targets::default() })
    }

    fn client(&self, latest: TlsVersion) -> &Client<Connector, Full<Bytes>> {
        match latest {
            TlsVersion::V1_2 => &self.up_to_tls12,
            TlsVersion::V1_3 => &self.up_to_tls13,
        }
    }
}

fn pooled(connector: Connector) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(HEAD_BYTES_MAX)
        .http1_title_case_headers(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .build(connector)
}
