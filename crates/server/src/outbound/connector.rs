//! Opens connections, only to addresses that the policy has judged. The name in the URL stays the
//! name in SNI and Host.

use std::fs;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use notify::subscription::TlsVersion;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::dns::{Dns, DnsError};
use super::policy::Policy;
use super::stream::Stream;

/// A connection that is still not there after this is given up, even if nobody waits for it any more.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// An address that does not answer must leave time for the next one.
const ADDRESS_MAX: Duration = Duration::from_secs(1);
const ADDRESSES_TRIED: usize = 8;
const CA_FILE_BYTES_MAX: u64 = 4 << 20;

#[derive(Clone)]
pub struct Connector(Arc<Parts>);

struct Parts {
    policy: Arc<Policy>,
    dns: Arc<Dns>,
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
    #[error("no TLS connection was made: {0}")]
    Tls(io::Error),
    #[error("connecting took too long")]
    TimedOut,
}

/// The certificates that receivers are judged by could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("the CA file {path} cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the CA file {path} holds no usable certificate")]
    NoCertificate { path: PathBuf },
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Connector {
    pub fn new(policy: Arc<Policy>, dns: Arc<Dns>, tls: ClientConfig) -> Self {
        Self(Arc::new(Parts { policy, dns, tls: TlsConnector::from(Arc::new(tls)) }))
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
        let tcp = first_that_answers(&addresses, port).await.map_err(ConnectError::Tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        if !secure {
            return Ok(Stream::plain(TokioIo::new(tcp)));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::Url)?;
        let tls = self.tls.connect(name, tcp).await.map_err(ConnectError::Tls)?;
        Ok(Stream::tls(TokioIo::new(tls)))
    }
}

async fn first_that_answers(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let tried = &addresses[..addresses.len().min(ADDRESSES_TRIED)];
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    for (n, address) in tried.iter().enumerate() {
        let limit = if n + 1 == tried.len() { CONNECT_MAX } else { ADDRESS_MAX };
        match timeout(limit, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// What receivers' certificates are judged by: the system's roots and those in `ca_files` (PEM).
pub fn roots(ca_files: &[PathBuf]) -> Result<Arc<RootCertStore>, RootsError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a system root certificate was passed over");
    }
    roots.add_parsable_certificates(native.certs);
    for path in ca_files {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        tracing::warn!("no root certificates are known; no HTTPS receiver can be called");
    }
    Ok(Arc::new(roots))
}

/// TLS 1.2, and 1.3 only if that is the latest version that the receiver is said to speak.
pub fn tls_config(roots: Arc<RootCertStore>, latest: TlsVersion) -> Result<ClientConfig, RootsError> {
    let versions: &[_] = match latest {
        TlsVersion::V1_2 => &[&rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, path: &PathBuf) -> Result<(), RootsError> {
    let unreadable = |source| RootsError::Unreadable { path: path.clone(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > CA_FILE_BYTES_MAX {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let text = fs::read(path).map_err(unreadable)?;
    let no_certificate = || RootsError::NoCertificate { path: path.clone() };
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|_| no_certificate())?;
    if certificates.is_empty() {
        return Err(no_certificate());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|_| no_certificate())?;
    }
    Ok(())
}
