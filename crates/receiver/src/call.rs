//! HTTP/1.1 to a server that you name, over TLS: whom to believe that it is there, and one connection.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Uri;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Where requests of one connection go.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// Why a server is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    Url(String),
    NoCertificate,
    NoCa,
}

/// TLS that trusts the CAs of this machine, and those in `ca_pem`.
pub(crate) fn tls(ca_pem: Option<&str>, url: &Uri) -> Result<TlsConnector, Unusable> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = ca_pem {
        let given = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        if roots.add_parsable_certificates(given).0 == 0 {
            return Err(Unusable::NoCertificate);
        }
    }
    if roots.is_empty() && is_tls(url) {
        return Err(Unusable::NoCa);
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    // The provider has what the versions need.
    let config = versions.map_err(|_| Unusable::NoCa)?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A URL that may be called: what goes there is secret, or what comes from there is believed.
pub(crate) fn callable(url: &str) -> Result<Uri, Unusable> {
    let refused = || Unusable::Url(url.chars().take(200).collect());
    let uri: Uri = url.parse().map_err(|_| refused())?;
    let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    match uri.scheme_str() {
        _ if has_user => Err(refused()),
        Some("https") if uri.host().is_some() => Ok(uri),
        Some("http") if local => Ok(uri),
        _ => Err(refused()),
    }
}

fn is_tls(url: &Uri) -> bool {
    url.scheme_str() == Some("https")
}

/// A new connection to the host of a URL.
pub(crate) async fn connect(tls: &TlsConnector, url: &Uri) -> Result<Sender, String> {
    let told = |error: std::io::Error| error.to_string();
    let name = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = url.port_u16().unwrap_or(if is_tls(url) { 443 } else { 80 });
    let stream = TcpStream::connect((name, port)).await.map_err(told)?;
    if !is_tls(url) {
        return shake_hands(stream).await;
    }
    let server = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    shake_hands(tls.connect(server, stream).await.map_err(told)?).await
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Sender, String> {
    let begun = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = begun.map_err(|error| error.to_string())?;
    // Ends when the sender is dropped.
    tokio::spawn(connection);
    Ok(sender)
}

/// A whole body, unless it is too long.
pub(crate) async fn collect(body: Incoming, bytes_max: usize) -> Result<Bytes, String> {
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| error.to_string())?;
    Ok(body.to_bytes())
}
