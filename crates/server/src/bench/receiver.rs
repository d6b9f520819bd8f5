//! A receiver that costs little: HTTP/1.1 on threads of its own. It echoes handshakes, counts everything else, and
//! acknowledges that or not, as is its manner.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::runtime;
use tokio_util::sync::CancellationToken;

/// The names of a receiver's threads start with this, so that their CPU time can be told apart.
pub const THREAD_NAME: &str = "bench-receiver";

const BODY_BYTES_MAX: usize = 16 << 20;

/// Called with each body that arrives, on a receiver's thread. It must be quick.
pub type OnBody = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// What a receiver does with what it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Acknowledges,
    /// It answers 503.
    Refuses,
    /// It takes requests and never answers.
    Hangs,
    /// It refuses until it is told to [`Receiver::recover`].
    IsDown,
}

/// Runs until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    posts: Arc<AtomicU64>,
    recovered: Arc<AtomicBool>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    manner: Manner,
    posts: Arc<AtomicU64>,
    recovered: Arc<AtomicBool>,
    on_body: Option<OnBody>,
    stop: CancellationToken,
}

impl Receiver {
    /// One that acknowledges, with `threads` threads.
    pub fn start(threads: usize, on_body: Option<OnBody>) -> io::Result<Self> {
        Self::of(Manner::Acknowledges, threads, on_body)
    }

    /// Listens on a free loopback port, which is an origin of its own, with `threads` threads, each with a runtime.
    pub fn of(manner: Manner, threads: usize, on_body: Option<OnBody>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let shared = Shared {
            manner,
            posts: Arc::default(),
            recovered: Arc::default(),
            on_body,
            stop: CancellationToken::new(),
        };
        let mut receiver = Self {
            address: listener.local_addr()?,
            posts: Arc::clone(&shared.posts),
            recovered: Arc::clone(&shared.recovered),
            stop: shared.stop.clone(),
            threads: Vec::new(),
        };
        for n in 0..threads.max(1) {
            let (listener, shared) = (listener.try_clone()?, shared.clone());
            let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
            let name = format!("{THREAD_NAME}{n}");
            let run = move || runtime.block_on(shared.run(listener));
            receiver.threads.push(thread::Builder::new().name(name).spawn(run)?);
        }
        Ok(receiver)
    }

    /// A URL of this receiver. `path` starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// One that is down acknowledges from now on.
    pub fn recover(&self) {
        self.recovered.store(true, Ordering::Relaxed);
    }

    /// How many POSTs were read, handshakes apart.
    pub fn posts(&self) -> u64 {
        self.posts.load(Ordering::Relaxed)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // It panicked only if `on_body` did, which has been reported.
            let _ = thread.join();
        }
    }
}

impl Shared {
    async fn run(self, listener: TcpListener) {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let accept = async {
            loop {
                // Out of file descriptors or the like: the connection is lost, the next may work.
                let Ok((socket, _)) = listener.accept().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let _ = socket.set_nodelay(true);
                let shared = self.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| shared.answer(request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        };
        self.stop.run_until_cancelled(accept).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if let Some(token) = request.uri().query().and_then(validation_token) {
            let mut response = Response::new(Full::from(token));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            return Ok(response);
        }
        let mut response = Response::new(Full::default());
        match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
            Ok(body) => {
                if let Some(on_body) = &self.on_body {
                    on_body(&body.to_bytes());
                }
                self.posts.fetch_add(1, Ordering::Relaxed);
                *response.status_mut() = match self.manner {
                    Manner::Acknowledges => StatusCode::ACCEPTED,
                    Manner::IsDown if self.recovered.load(Ordering::Relaxed) => StatusCode::ACCEPTED,
                    Manner::Refuses | Manner::IsDown => StatusCode::SERVICE_UNAVAILABLE,
                    Manner::Hangs => std::future::pending().await,
                };
            }
            Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
        }
        Ok(response)
    }
}

fn validation_token(query: &str) -> Option<String> {
    let encoded = query.split('&').find_map(|pair| pair.strip_prefix("validationToken="))?;
    Some(percent_encoding::percent_decode_str(encoded).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use notify::subscription::TlsVersion;

    use super::*;
    use crate::outbound::{Failure, Outbound, OutboundConfig, Policy};

    #[tokio::test]
    async fn it_answers_handshakes_and_records_what_arrives() {
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let recorded = Arc::clone(&bodies);
        let on_body: OnBody = Arc::new(move |body| recorded.lock().unwrap().push(body.to_vec()));
        let receiver = Receiver::start(2, Some(on_body)).unwrap();
        let policy = Policy { dev: true, ..Policy::default() };
        let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        let url = receiver.url("/n?k=1");
        assert_eq!(outbound.validate(&url, TlsVersion::V1_2, "b0a10000-0000-4000-8000-000000000001").await, Ok(()));
        assert_eq!(receiver.posts(), 0);
        let (small, large) = (b"{}".to_vec(), vec![b'x'; 1 << 20]);
        for body in [&small, &large] {
            let body = Bytes::from(body.clone());
            let answer = outbound
                .post((&url, TlsVersion::V1_2), "application/json", body, Duration::from_secs(10))
                .await
                .unwrap();
            assert_eq!(answer.status, 202);
        }
        assert_eq!(receiver.posts(), 2);
        assert!(*bodies.lock().unwrap() == [small, large]);
    }

    #[tokio::test]
    async fn it_refuses_or_hangs_if_that_is_its_manner() {
        let policy = Policy { dev: true, ..Policy::default() };
        let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
        let post = async |receiver: &Receiver| {
            let (url, soon) = (receiver.url("/"), Duration::from_millis(100));
            outbound.post((&url, TlsVersion::V1_2), "application/json", Bytes::from_static(b"{}"), soon).await
        };
        let refuses = Receiver::of(Manner::Refuses, 1, None).unwrap();
        assert_eq!(post(&refuses).await.unwrap().status, 503);
        let hangs = Receiver::of(Manner::Hangs, 1, None).unwrap();
        assert_eq!(post(&hangs).await, Err(Failure::TimedOut));
        assert_eq!((refuses.posts(), hangs.posts()), (1, 1));
    }
}
