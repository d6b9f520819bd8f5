//! Accepts connections, with TLS or without, HTTP/1.1 and HTTP/2, and lets them finish when told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

const CONNECTIONS_MAX: usize = 4_096;
const HEADER_BYTES_MAX: usize = 64 * 1024;
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
const STREAMS_MAX: u32 = 128;
/// After a failed accept (no file descriptors left), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a request came in; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub tls: bool,
    /// The listener's own address.
    pub local: SocketAddr,
}

/// One bound address.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls: tls.map(TlsAcceptor::from) })
    }

    /// The address with its real port.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop`, then only what is under way. Connections run as tasks of `tracker`.
    pub async fn serve(self, router: Router, stop: CancellationToken, tracker: TaskTracker) -> io::Result<()> {
        let local = self.address()?;
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accept = async {
                let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
                self.socket.accept().await.map(|(stream, _)| (stream, slot))
            };
            let (stream, slot) = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                accepted = accept => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let arrival = Arrival { tls: self.tls.is_some(), local };
            let (tls, router, stop) = (self.tls.clone(), router.clone(), stop.clone());
            tracker.spawn(async move {
                connection(stream, tls, Service { router, arrival, patience: HEADER_TIMEOUT }, stop).await;
                drop(slot);
            });
        }
    }
}

struct Service {
    router: Router,
    arrival: Arrival,
    /// How long the headers of a request may take, and the first one to come.
    patience: Duration,
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, service: Service, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let Some(tls) = tls else { return speak(stream, service, stop).await };
    match timeout(TLS_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, service, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Service,
    stop: CancellationToken,
) {
    let Service { router, arrival, patience } = service;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(HEADER_BYTES_MAX);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    // A peer that is gone without a word gives its place back.
    builder.http2().max_header_list_size(HEADER_BYTES_MAX as u32).keep_alive_interval(patience);
    let asked = CancellationToken::new();
    let first = asked.clone();
    let answer = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        first.cancel();
        request.extensions_mut().insert(arrival);
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = silent(&asked, patience) => return tracing::debug!("a connection asked for nothing"),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended with an error");
    }
}

/// Resolves if no request came in time. The parser's own limit begins only when it knows the version.
async fn silent(asked: &CancellationToken, patience: Duration) {
    if timeout(patience, asked.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What the server answers to `sent` before it closes the connection.
    async fn answer_to(sent: &[u8]) -> String {
        let (mut client, server) = tokio::io::duplex(1024);
        let router = Router::new().fallback(async || "hello");
        let arrival = Arrival { tls: false, local: SocketAddr::from(([127, 0, 0, 1], 80)) };
        let service = Service { router, arrival, patience: Duration::from_millis(50) };
        let speaking = tokio::spawn(speak(server, service, CancellationToken::new()));
        client.write_all(sent).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        speaking.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn slow_client_that_asks_for_nothing_is_closed() {
        for silence in [b"".as_slice(), b"PRI * HTTP/2", b"GET / HTTP/1.1\r\n"] {
            assert_eq!(answer_to(silence).await, "", "{silence:?}");
        }
    }

    #[tokio::test]
    async fn a_request_is_answered_and_then_an_idle_connection_closed() {
        let answer = answer_to(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\ndate: "), "{answer}");
    }
}
