//! Opens connections, only to addresses that the policy has judged. The name in the URL stays the
//! name in SNI and Host.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::capped::Capped;
use super::dns::{Dns, DnsError};
use super::policy::Policy;
use super::proxy::{Proxy, ProxyFailure};
use super::stream::Stream;

/// A connection that is still not there after this is given up, even if nobody waits for it any more.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// An address that does not answer must leave time for the next one.
const ADDRESS_MAX: Duration = Duration::from_secs(1);
const ADDRESSES_TRIED: usize = 8;

#[derive(Clone)]
pub struct Connector(Arc<Parts>);

struct Parts {
    policy: Arc<Policy>,
    dns: Arc<Dns>,
    proxy: Option<Arc<Proxy>>,
    tls: TlsConnector,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Dns(#[from] DnsError),
    #[error("the URL cannot be called")]
    Url,
    #[error("no connection was made: {0}")]
    Tcp(io::Error),
    #[error(transparent)]
    Proxy(#[from] ProxyFailure),
    #[error("no TLS connection was made: {0}")]
    Tls(io::Error),
    #[error("connecting took too long")]
    TimedOut,
}

/// Where a URL leads by its text.
pub struct Place<'a> {
    /// A name, or an address without brackets.
    pub host: &'a str,
    pub port: u16,
    pub secure: bool,
}

impl<'a> Place<'a> {
    pub fn of(uri: &'a Uri) -> Result<Self, ConnectError> {
        let host = uri.host().ok_or(ConnectError::Url)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let secure = uri.scheme_str() == Some("https");
        Ok(Self { host, port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }), secure })
    }
}

impl Connector {
    pub fn new(policy: Arc<Policy>, dns: Arc<Dns>, proxy: Option<Arc<Proxy>>, tls: ClientConfig) -> Self {
        Self(Arc::new(Parts { policy, dns, proxy, tls: TlsConnector::from(Arc::new(tls)) }))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(
            async move { timeout(CONNECT_MAX, connector.connect(&uri)).await.unwrap_or(Err(ConnectError::TimedOut)) },
        )
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let place = Place::of(uri)?;
        let addresses = self.vetted(&place).await?;
        let tcp = self.first_that_answers(&addresses, place.port).await?;
        if place.secure { self.secured(&place, tcp).await } else { Ok(Stream::over(tcp)) }
    }

    /// The addresses that may be called.
    pub async fn vetted(&self, place: &Place<'_>) -> Result<Vec<IpAddr>, ConnectError> {
        Ok(self.0.dns.vetted(&self.0.policy, place.host).await?)
    }

    /// All addresses, whether they may be called or not.
    pub async fn addresses(&self, place: &Place<'_>) -> Result<Vec<IpAddr>, ConnectError> {
        Ok(self.0.dns.addresses(place.host).await?)
    }

    /// A connection to one of the addresses, which have been vetted.
    pub async fn first_that_answers(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, ConnectError> {
        let tried = &addresses[..addresses.len().min(ADDRESSES_TRIED)];
        let mut last = ConnectError::Tcp(io::Error::new(io::ErrorKind::NotFound, "no address"));
        for (n, address) in tried.iter().enumerate() {
            let limit = if n + 1 == tried.len() { CONNECT_MAX } else { ADDRESS_MAX };
            match timeout(limit, self.reach(SocketAddr::new(*address, port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = ConnectError::Tcp(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(last)
    }

    async fn reach(&self, address: SocketAddr) -> Result<TcpStream, ConnectError> {
        let tcp = match &self.0.proxy {
            Some(proxy) => proxy.reach(&self.0.dns, address).await?,
            None => TcpStream::connect(address).await.map_err(ConnectError::Tcp)?,
        };
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        Ok(tcp)
    }

    /// TLS with who has the URL's name, whatever address the connection goes to.
    pub async fn secured(&self, place: &Place<'_>, tcp: TcpStream) -> Result<Stream, ConnectError> {
        let name = ServerName::try_from(place.host.to_owned()).map_err(|_| ConnectError::Url)?;
        let tls = self.0.tls.connect(name, Capped::new(tcp)).await.map_err(ConnectError::Tls)?;
        Ok(Stream::tls(TokioIo::new(tls)))
    }

    /// In words, where a connection goes.
    pub fn reached(&self, tcp: &TcpStream) -> String {
        let peer = tcp.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
        if self.0.proxy.is_some() { format!("through the egress proxy {peer}") } else { peer }
    }
}
