//! A small client for a running server and for `--forward-to`: one connection for each request, HTTP or
//! HTTPS, with the development CA trusted if there is one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(60);
/// For what may have to read a long log.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Makes requests.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    timeout: Duration,
}

/// What a request is answered with.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// What is sent.
pub struct Call<'a> {
    pub method: Method,
    pub url: &'a str,
    pub token: Option<&'a str>,
    /// Its content type and itself.
    pub body: Option<(&'a str, Bytes)>,
}

impl Client {
    /// Trusts the system's roots and `ca`.
    pub fn new(ca: Option<&Path>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = ca {
            for certificate in
                CertificateDer::pem_file_iter(file).with_context(|| format!("cannot read {}", file.display()))?
            {
                roots.add(certificate?)?;
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), timeout: TIMEOUT })
    }

    /// The same, which waits long for an answer.
    pub fn patient(self) -> Self {
        Self { timeout: PATIENCE, ..self }
    }

    pub async fn send(&self, call: Call<'_>) -> anyhow::Result<Answer> {
        let url = call.url.to_owned();
        let exchange = tokio::time::timeout(self.timeout, self.exchange(call));
        let hangs = |_| anyhow!("{url} does not answer within {} s", self.timeout.as_secs());
        exchange.await.map_err(hangs)?.with_context(|| format!("cannot reach {url}"))
    }

    async fn exchange(&self, call: Call<'_>) -> anyhow::Result<Answer> {
        let url = Url::parse(call.url).context("not an absolute URL")?;
        let host = url.host_str().context("the URL has no host")?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().context("the URL has no port")?;
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        match url.scheme() {
            "http" => speak(stream, &url, call).await,
            "https" => {
                let name = ServerName::try_from(host)?;
                speak(self.tls.connect(name, stream).await?, &url, call).await
            }
            other => bail!("the scheme {other} is not http or https"),
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Url,
    call: Call<'_>,
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(call.method)
        .uri(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .header(HOST, &url[url::Position::BeforeHost..url::Position::AfterPort]);
    if let Some(token) = call.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut body = Bytes::new();
    if let Some((content_type, content)) = call.body {
        request = request.header(CONTENT_TYPE, content_type);
        body = content;
    }
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow!(error))?.to_bytes();
    connection.abort();
    Ok(Answer { status, body })
}
