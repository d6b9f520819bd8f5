//! From a host to the addresses that may be called: all of its addresses are judged, and one that is
//! forbidden refuses the host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::policy::{Policy, Refusal, is_localhost};

/// A record is believed for at least and at most this long, whatever its own TTL.
const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(300);
/// Failures are remembered only briefly, so that a repaired name works soon.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(5);
const NAMES_CACHED: u64 = 4096;

pub struct Dns {
    resolver: TokioResolver,
}

/// Why a host has no address to call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the name {0} was not resolved: {1}")]
    Unresolved(String, String),
}

impl Dns {
    /// Asks the system's name servers. Without a readable configuration (a machine that is offline, a
    /// bare container) only address literals, `localhost` and the hosts file are known.
    pub fn from_system() -> Result<Self, NetError> {
        Self::built(match TokioResolver::builder_tokio() {
            Ok(builder) => builder,
            Err(error) => {
                tracing::warn!(%error, "no name servers are configured; only the hosts file is used");
                Self::offline()
            }
        })
    }

    fn built(mut builder: hickory_resolver::ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, NetError> {
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = NAMES_CACHED;
        options.positive_min_ttl = Some(TTL_MIN);
        options.positive_max_ttl = Some(TTL_MAX);
        options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
        Ok(Self { resolver: builder.build()? })
    }

    fn offline() -> hickory_resolver::ResolverBuilder<TokioRuntimeProvider> {
        TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
    }

    /// Asks this name server and no other.
    #[cfg(test)]
    pub fn asking(server: std::net::SocketAddr) -> Self {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
        let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
        (udp.port, tcp.port) = (server.port(), server.port());
        let server = NameServerConfig::new(server.ip(), true, vec![udp, tcp]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Self::built(builder).unwrap()
    }

    /// Knows what this hosts file says and nothing else.
    #[cfg(test)]
    pub fn with_hosts(text: &str) -> Self {
        let mut builder = Self::offline();
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let mut resolver = builder.build().unwrap();
        let mut hosts = hickory_resolver::Hosts::default();
        hosts.read_hosts_conf(text.as_bytes()).unwrap();
        resolver.set_hosts(std::sync::Arc::new(hosts));
        Self { resolver }
    }

    /// The addresses of `host`, a name or an address literal without brackets; at least one.
    pub async fn vetted(&self, policy: &Policy, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        if is_localhost(host) {
            let addresses = policy.localhost(host);
            if addresses.is_empty() {
                policy.check_address(host, IpAddr::from([127, 0, 0, 1]))?;
            }
            return Ok(addresses);
        }
        let addresses = self.addresses(host).await?;
        for address in &addresses {
            policy.check_address(host, *address)?;
        }
        Ok(addresses)
    }

    /// Where `host` leads, whether that may be called or not; at least one address.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        if is_localhost(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let unresolved = |reason: String| DnsError::Unresolved(host.to_owned(), reason);
        let answer = self.resolver.lookup_ip(host).await.map_err(|error| unresolved(error.to_string()))?;
        let addresses: Vec<IpAddr> = answer.iter().collect();
        if addresses.is_empty() {
            return Err(unresolved("it has no addresses".to_owned()));
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Class;
    use super::*;

    fn dns() -> Dns {
        Dns::with_hosts("203.0.113.9 doc.example\n1.1.1.1 good.example\n1.1.1.1 mixed.example\n::1 mixed.example\n")
    }

    #[tokio::test]
    async fn ssrf_by_a_name_with_one_forbidden_answer_of_many_is_refused() {
        let (dns, policy) = (dns(), Policy::default());
        assert_eq!(dns.vetted(&policy, "good.example").await, Ok(vec![IpAddr::from([1, 1, 1, 1])]));
        let verdict = dns.vetted(&policy, "mixed.example").await;
        assert!(
            matches!(verdict, Err(DnsError::Refused(Refusal::Resolved { class: Class::Loopback, .. }))),
            "{verdict:?}"
        );
    }

    #[tokio::test]
    async fn literals_and_localhost_are_judged_without_a_name_server() {
        let (dns, serve) = (dns(), Policy::default());
        let dev = Policy { dev: true, ..Policy::default() };
        for host in ["127.0.0.1", "::1", "::ffff:10.0.0.1", "localhost", "a.localhost."] {
            assert!(matches!(dns.vetted(&serve, host).await, Err(DnsError::Refused(_))), "{host}");
            assert!(!dns.vetted(&dev, host).await.unwrap().is_empty(), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_an_error() {
        let verdict = dns().vetted(&Policy::default(), "unknown.example").await;
        assert!(matches!(verdict, Err(DnsError::Unresolved(..))), "{verdict:?}");
    }
}
