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
        let parts = Arc::clone(&self.0);
        Box::pin(async move { timeout(CONNECT_MAX, parts.connect(&uri)).await.unwrap_or(Err(ConnectError::TimedOut)) })
    }
}

impl Parts {
    async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let host = uri.host().ok_or(ConnectError::Url)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses = self.dns.vetted(&self.policy, host).await?;
        let tcp = Capped::new(self.first_that_answers(&addresses, port).await?);
        if !secure {
            return Ok(Stream::plain(TokioIo::new(tcp)));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::Url)?;
        let tls = self.tls.connect(name, tcp).await.map_err(ConnectError::Tls)?;
        Ok(Stream::tls(TokioIo::new(tls)))
    }

    async fn first_that_answers(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, ConnectError> {
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
        let tcp = match &self.proxy {
            Some(proxy) => proxy.reach(&self.dns, address).await?,
            None => TcpStream::connect(address).await.map_err(ConnectError::Tcp)?,
        };
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        Ok(tcp)
    }
}
