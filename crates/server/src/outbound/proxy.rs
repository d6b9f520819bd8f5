//! An egress proxy of the operator's: it is asked (HTTP CONNECT) for a connection to an address that has been vetted
//! here, never to a name. What goes through is end to end, TLS with the URL's own name included. The proxy's own address
//! is the operator's word, and no policy for receivers applies to it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::{Host, Url};

use super::dns::{Dns, DnsError};
use crate::key_file;

/// About how long a proxy's answer may be.
const HEAD_BYTES_MAX: usize = 16 << 10;
const CREDENTIALS_BYTES_MAX: u64 = 1024;

/// Where the proxy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyPlace {
    /// A name, or an address without brackets.
    host: String,
    port: u16,
}

/// The text is no place of a proxy. What the text says is not repeated: it may have a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProxy {
    #[error("give http://HOST:PORT and nothing behind it")]
    NoPlace,
    #[error("only http:// is spoken with a proxy; what goes through it is encrypted end to end")]
    Scheme,
    #[error(
        "it has a user name or password: keep them as USER:PASSWORD in a file, and name that file as \
             outbound.proxy_credentials_file"
    )]
    Credentials,
}

impl FromStr for ProxyPlace {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let url = Url::parse(text).map_err(|_| NoProxy::NoPlace)?;
        if url.scheme() != "http" {
            return Err(if text.contains("://") { NoProxy::Scheme } else { NoProxy::NoPlace });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoProxy::Credentials);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(NoProxy::NoPlace);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(NoProxy::NoPlace),
        };
        match url.port_or_known_default() {
            None | Some(0) => Err(NoProxy::NoPlace),
            Some(port) => Ok(Self { host, port }),
        }
    }
}

/// What an operator says of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    pub place: ProxyPlace,
    /// A file with `user:password`.
    pub credentials_file: Option<PathBuf>,
}

/// The file with the proxy's credentials cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the file {path} with the proxy's credentials cannot be used: {why}")]
pub struct CredentialsError {
    path: PathBuf,
    why: String,
}

pub struct Proxy {
    place: ProxyPlace,
    authorization: Option<HeaderValue>,
}

/// Why the proxy led nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ProxyFailure {
    #[error("the egress proxy was not found: {0}")]
    Name(DnsError),
    #[error("no connection to the egress proxy was made: {0}")]
    Tcp(io::Error),
    #[error("the egress proxy asks for credentials (407): name a file with them as outbound.proxy_credentials_file")]
    Unauthorized,
    #[error("the egress proxy does not know the credentials in the file of outbound.proxy_credentials_file (407)")]
    WrongCredentials,
    #[error("the egress proxy makes no connection to {0}: it answers with status {1}")]
    Refused(SocketAddr, StatusCode),
    #[error("the egress proxy does not answer as one: {0}")]
    Broken(String),
}

impl Proxy {
    pub fn new(config: &ProxyConfig) -> Result<Self, CredentialsError> {
        let authorization = config.credentials_file.as_deref().map(authorization).transpose()?;
        Ok(Self { place: config.place.clone(), authorization })
    }

    /// A connection to `target` and nowhere else. It has no time limit of its own.
    pub async fn reach(&self, dns: &Dns, target: SocketAddr) -> Result<TcpStream, ProxyFailure> {
        let addresses = dns.addresses(&self.place.host).await.map_err(ProxyFailure::Name)?;
        let places: Vec<SocketAddr> =
            addresses.into_iter().map(|address| SocketAddr::new(address, self.place.port)).collect();
        let tcp = TcpStream::connect(places.as_slice()).await.map_err(ProxyFailure::Tcp)?;
        self.tunnel(tcp, target).await
    }

    async fn tunnel(&self, tcp: TcpStream, target: SocketAddr) -> Result<TcpStream, ProxyFailure> {
        let broken = |error: hyper::Error| ProxyFailure::Broken(error.to_string());
        let connection = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(tcp)).await;
        let (mut sender, connection) = connection.map_err(broken)?;
        let request = self.request(target).map_err(|error| ProxyFailure::Broken(error.to_string()))?;
        let ask = async move {
            let answer = sender.send_request(request).await.map_err(broken)?;
            match answer.status() {
                status if status.is_success() => hyper::upgrade::on(answer).await.map_err(broken),
                StatusCode::PROXY_AUTHENTICATION_REQUIRED if self.authorization.is_some() => {
                    Err(ProxyFailure::WrongCredentials)
                }
                StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(ProxyFailure::Unauthorized),
                status => Err(ProxyFailure::Refused(target, status)),
            }
        };
        // Driven here, so that nothing goes on when nobody waits any more.
        let drive = async {
            let _ = connection.with_upgrades().await;
            std::future::pending().await
        };
        let upgraded = tokio::select! { asked = ask => asked?, never = drive => never };
        let parts = upgraded.downcast::<TokioIo<TcpStream>>();
        let parts = parts.map_err(|_| ProxyFailure::Broken("the connection was lost".to_owned()))?;
        if !parts.read_buf.is_empty() {
            return Err(ProxyFailure::Broken("it says something before the receiver can".to_owned()));
        }
        Ok(parts.io.into_inner())
    }

    fn request(&self, target: SocketAddr) -> Result<Request<Empty<Bytes>>, http::Error> {
        let target = target.to_string();
        let mut request = Request::connect(Uri::try_from(&target)?).header(HOST, target);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        request.body(Empty::new())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The header for what the file says.
fn authorization(path: &Path) -> Result<HeaderValue, CredentialsError> {
    let refused = |why: String| CredentialsError { path: path.to_owned(), why };
    let text = key_file::read_private("credentials file", path, CREDENTIALS_BYTES_MAX)
        .map_err(|error| refused(format!("{error:#}")))?;
    let credentials = text.trim_end_matches(['\r', '\n']);
    if !credentials.contains(':') || credentials.contains(char::is_control) {
        return Err(refused("it must be one line, USER:PASSWORD".to_owned()));
    }
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(credentials)))
        .map_err(|error| refused(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_proxy_is_named_by_host_and_port() {
        let read = |text: &str| text.parse::<ProxyPlace>().map(|place| (place.host, place.port));
        assert_eq!(read("http://proxy.internal:3128"), Ok(("proxy.internal".to_owned(), 3128)));
        assert_eq!(read("http://proxy.internal:3128/"), Ok(("proxy.internal".to_owned(), 3128)));
        assert_eq!(read("http://10.0.0.1"), Ok(("10.0.0.1".to_owned(), 80)));
        assert_eq!(read("http://[fd00::1]:3128"), Ok(("fd00::1".to_owned(), 3128)));
        assert_eq!(read("https://proxy.internal:3128"), Err(NoProxy::Scheme));
        assert_eq!(read("socks5://proxy.internal:1080"), Err(NoProxy::Scheme));
        assert_eq!(read("http://u:p@proxy.internal:3128"), Err(NoProxy::Credentials));
        for text in ["", "proxy.internal:3128", "http://", "http://proxy.internal:0", "http://proxy.internal/path"] {
            assert_eq!(read(text), Err(NoProxy::NoPlace), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn credentials_come_from_a_private_file_with_one_line() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        let written = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            authorization(&path).map_err(|error| error.to_string())
        };
        assert_eq!(written("tidings:a:b\n", 0o600).unwrap(), "Basic dGlkaW5nczphOmI=");
        assert!(!format!("{:?}", written("tidings:secret", 0o600)).contains("secret"));
        assert!(written("tidings:a", 0o644).unwrap_err().contains("chmod 600"));
        for text in ["", "tidings", "a:b\nc:d"] {
            assert!(written(text, 0o600).unwrap_err().ends_with("it must be one line, USER:PASSWORD"), "{text:?}");
        }
        assert!(written(&"a:".repeat(CREDENTIALS_BYTES_MAX as usize), 0o600).unwrap_err().contains("longer than"));
        let absent = authorization(&directory.path().join("absent")).unwrap_err().to_string();
        assert!(absent.contains("cannot be used"), "{absent}");
    }
}
