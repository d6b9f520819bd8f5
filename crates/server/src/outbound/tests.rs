//! Calls against receivers on loopback that answer well, badly, slowly or not at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use notify::node::Outcome;
use notify::retry::RetryAfter;
use protocol::HandshakeError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::address::Class;
use super::dns::Dns;
use super::*;

mod check;
mod hostile;
mod names;
mod proxy;
mod push;
mod tls;

const JSON: &str = "application/json; charset=utf-8";
const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(10);
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What a receiver does with one request.
enum Reply {
    Send(String),
    /// Sends this and then nothing more, with the connection open.
    Stall(&'static str),
    /// Sends the head, then the rest again and again, with a pause.
    Repeat(&'static str, Vec<u8>, Duration),
    Close,
}

struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    /// `answer` gets the number of the request, from 0, and its text.
    async fn start(answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, answer).await
    }

    async fn start_with(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let receiver = Self { port, requests: Arc::clone(&requests), connections: Arc::clone(&connections) };
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (tls, requests, answer) = (tls.clone(), Arc::clone(&requests), Arc::clone(&answer));
                tokio::spawn(async move {
                    match tls {
                        None => converse(socket, requests, answer).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                converse(socket, requests, answer).await;
                            }
                        }
                    }
                });
            }
        });
        receiver
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn converse<S, F>(mut socket: S, requests: Arc<Mutex<Vec<String>>>, answer: Arc<F>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(usize, &str) -> Reply,
{
    while let Some(request) = read_request(&mut socket).await {
        let number = {
            let mut requests = requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        match answer(number, &request) {
            Reply::Send(text) => socket.write_all(text.as_bytes()).await.unwrap_or_default(),
            Reply::Close => return,
            Reply::Stall(text) => {
                socket.write_all(text.as_bytes()).await.unwrap_or_default();
                std::future::pending::<()>().await;
            }
            Reply::Repeat(head, rest, pause) => {
                socket.write_all(head.as_bytes()).await.unwrap_or_default();
                while socket.write_all(&rest).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
                return;
            }
        }
    }
}

async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

fn dev() -> Outbound {
    outbound(Policy { dev: true, ..Policy::default() }, Vec::new())
}

/// Knows `hook.example` as loopback.
fn outbound(policy: Policy, ca_files: Vec<PathBuf>) -> Outbound {
    Outbound::with_dns(OutboundConfig { policy, ca_files, ..OutboundConfig::default() }, hosts()).unwrap()
}

fn hosts() -> Dns {
    Dns::with_hosts("127.0.0.1 hook.example\n1.1.1.1 public.example\n127.0.0.1 proxy.example\n")
}

async fn post(outbound: &Outbound, url: &str, limit: Duration) -> Result<Answer, Failure> {
    outbound.post((url, TlsVersion::V1_2), JSON, Bytes::from_static(b"{}"), limit).await
}

#[tokio::test]
async fn a_post_carries_what_it_should_and_reads_the_answer() {
    let text = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nbusy";
    let receiver = Receiver::start(move |_, _| Reply::Send(text.to_owned())).await;
    let answer = post(&dev(), &receiver.url("/n?k=1&z=%2F"), LONG).await;
    let retry_after = Some(RetryAfter::from_seconds(7));
    assert_eq!(outcome(&answer), Outcome::Refused { status: 429, retry_after });
    let answer = answer.unwrap();
    assert_eq!(answer.content_type.as_deref(), Some("text/x"));
    assert_eq!(answer.body, "busy");
    let request = receiver.requests()[0].replace(&receiver.port.to_string(), "PORT");
    let request = request.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace("\r\n", "\n");
    insta::assert_snapshot!(request, @r#"
    POST /n?k=1&z=%2F HTTP/1.1
    Content-Type: application/json; charset=utf-8
    User-Agent: tidings/VERSION
    Host: 127.0.0.1:PORT
    Content-Length: 2

    {}
    "#);
}

#[test]
fn any_2xx_acknowledges_and_nothing_else() {
    for status in 100..600u16 {
        let (content_type, retry_after, allowed_origin) = (None, None, None);
        let answer = Answer { status, content_type, retry_after, allowed_origin, body: Bytes::new() };
        let acknowledged = outcome(&Ok(answer)) == Outcome::Acknowledged;
        assert_eq!(acknowledged, (200..=299).contains(&status), "{status}");
    }
}

#[tokio::test]
async fn a_working_connection_is_used_again() {
    let receiver = Receiver::start(|_, _| Reply::Send(OK.to_owned())).await;
    let outbound = dev();
    for _ in 0..3 {
        assert_eq!(outcome(&post(&outbound, &receiver.url("/"), LONG).await), Outcome::Acknowledged);
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (3, 1));
}

#[test]
fn diversion_by_proxy_variables_fails_since_they_are_ignored() {
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, "http://127.0.0.1:1");
    }
    let ran = again.args(["--exact", "outbound::tests::a_working_connection_is_used_again"]).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn ssrf_by_a_redirect_fails_since_none_is_followed() {
    let other = Receiver::start(|_, _| Reply::Send(OK.to_owned())).await;
    let location = other.url("/elsewhere");
    let receiver = Receiver::start(move |_, _| {
        Reply::Send(format!("HTTP/1.1 307 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
    })
    .await;
    let result = post(&dev(), &receiver.url("/"), LONG).await;
    assert_eq!(outcome(&result), Outcome::refused(307));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn one_deadline_covers_silence_slow_headers_and_slow_bodies() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let receiver = Receiver::start(|_, request| match request.split(' ').nth(1) {
        Some("/silent") => Reply::Stall(""),
        Some("/headers") => Reply::Repeat("HTTP/1.1 200 OK\r\n", b"X-A: b\r\n".to_vec(), Duration::from_millis(5)),
        Some("/stall") => Reply::Stall(HEAD),
        _ => Reply::Repeat(HEAD, b"x".to_vec(), Duration::from_millis(5)),
    })
    .await;
    let outbound = dev();
    for path in ["/silent", "/headers", "/stall", "/trickle"] {
        let started = Instant::now();
        let result = post(&outbound, &receiver.url(path), SHORT).await;
        assert_eq!(result, Err(Failure::TimedOut), "{path}");
        assert_eq!(outcome(&result), Outcome::TimedOut);
        assert!(started.elapsed() >= SHORT, "{path}");
    }
}

#[tokio::test]
async fn an_endless_body_is_cut() {
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000)).into_bytes();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let receiver = Receiver::start(move |_, _| Reply::Repeat(head, chunk.clone(), Duration::ZERO)).await;
    let answer = post(&dev(), &receiver.url("/"), LONG).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, BODY_BYTES_MAX));
}

#[tokio::test]
async fn a_reused_connection_that_ends_early_is_retried_once_at_once() {
    let receiver = Receiver::start(|n, _| if n == 1 { Reply::Close } else { Reply::Send(OK.to_owned()) }).await;
    let outbound = dev();
    for _ in 0..2 {
        assert_eq!(outcome(&post(&outbound, &receiver.url("/"), LONG).await), Outcome::Acknowledged);
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (3, 2));
}

#[tokio::test]
async fn nobody_at_the_port_and_an_unknown_name_are_unreachable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let result = post(&dev(), &format!("http://127.0.0.1:{port}/"), LONG).await;
    assert!(matches!(result, Err(Failure::Connect(_))), "{result:?}");
    let result = post(&dev(), "http://unknown.example/", LONG).await;
    assert!(matches!(result, Err(Failure::Name(..))), "{result:?}");
    assert_eq!(outcome(&result), Outcome::Unresolved);
}

#[tokio::test]
async fn ssrf_by_a_name_that_leads_to_a_forbidden_address_is_refused_when_connecting() {
    let receiver = Receiver::start(|_, _| Reply::Send(OK.to_owned())).await;
    let url = format!("https://hook.example:{}/", receiver.port);
    let serve = outbound(Policy::default(), Vec::new());
    assert_eq!(serve.check(&url), Ok(()));
    let result = post(&serve, &url, LONG).await;
    assert!(matches!(&result, Err(Failure::Forbidden(Refusal::Resolved { class: Class::Loopback, .. }))), "{result:?}");
    assert_eq!(outcome(&result), Outcome::Forbidden);
    assert_eq!(serve.validate(&url, TlsVersion::V1_2, "id").await, Err(HandshakeError::LocalAddress));
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn secrets_in_logs_are_not_in_the_failures_that_are_logged() {
    let plain = Receiver::start(|_, request| match request.contains("/hang") {
        true => Reply::Stall(""),
        false => Reply::Close,
    })
    .await;
    let outbound = dev();
    let (port, nobody) = (plain.port, std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    for place in [
        "https://169.254.169.254/PATH".to_owned(),
        "ftp://hook.example/PATH".to_owned(),
        "http://canary:canary@hook.example/PATH".to_owned(),
        "http://hook.example:0/PATH".to_owned(),
        "http://unknown.example/PATH".to_owned(),
        format!("http://127.0.0.1:{nobody}/PATH"),
        format!("https://127.0.0.1:{nobody}/PATH"),
        format!("http://127.0.0.1:{port}/PATH"),
        format!("http://127.0.0.1:{port}/hang/PATH"),
    ] {
        let url = place.replace("PATH", "canary?code=canary");
        let failure = post(&outbound, &url, SHORT).await.unwrap_err();
        assert!(!format!("{failure} {failure:?}").contains("canary"), "{failure:?}");
        if let Err(error) = outbound.check(&url) {
            assert!(!error.to_string().contains("code=canary"), "{error}");
        }
    }
}

#[tokio::test]
async fn local_literals_and_plain_http_are_refused_in_graphs_words() {
    let serve = outbound(Policy::default(), Vec::new());
    let cases = [
        ("http://hook.example/", "NotificationUrl scheme='http' is not supported."),
        ("https://[::ffff:127.0.0.1]/", "NotificationUrl references a local address"),
        ("https://localhost/", "NotificationUrl references a local address"),
        ("https://u:p@hook.example/", "Invalid notification url='https://…@hook.example/'."),
    ];
    for (url, text) in cases {
        assert_eq!(serve.validate(url, TlsVersion::V1_2, "id").await.unwrap_err().to_string(), text, "{url}");
        assert_eq!(outcome(&post(&serve, url, LONG).await), Outcome::Forbidden, "{url}");
    }
}

fn echo(request: &str, status: &str, content_type: &str, change: impl Fn(String) -> String) -> Reply {
    let line = request.lines().next().unwrap_or_default();
    let url = url::Url::parse(&format!("http://h{}", line.split(' ').nth(1).unwrap_or_default())).unwrap();
    let token = url.query_pairs().find(|(name, _)| name == "validationToken").unwrap().1.into_owned();
    let body = change(token);
    let length = body.len();
    Reply::Send(format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

#[tokio::test]
async fn a_receiver_that_echoes_the_token_is_accepted() {
    let receiver = Receiver::start(|_, request| echo(request, "200 OK", "text/plain", |token| token)).await;
    let verdict =
        dev().validate(&receiver.url("/n?k=1"), TlsVersion::V1_2, "b0a10000-0000-4000-8000-000000000001").await;
    assert_eq!(verdict, Ok(()));
    let request = receiver.requests()[0].replace(&receiver.port.to_string(), "PORT");
    let request = request.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace("\r\n", "\n");
    insta::assert_snapshot!(request, @r#"
    POST /n?k=1&validationToken=Validation%3A%20Testing%20client%20application%20reachability%20for%20subscription%20Request-Id%3A%20b0a10000-0000-4000-8000-000000000001 HTTP/1.1
    Content-Type: text/plain; charset=utf-8
    Content-Length: 0
    User-Agent: tidings/VERSION
    Host: 127.0.0.1:PORT
    "#);
}

#[tokio::test]
async fn a_url_gets_one_verdict_at_create_at_the_handshake_and_at_delivery() {
    let receiver = Receiver::start(|_, request| echo(request, "200 OK", "text/plain", |token| token)).await;
    let outbound = dev();
    let longest = format!("http://127.1:{}/{}", receiver.port, "n".repeat(policy::URL_BYTES_MAX));
    let port = receiver.port;
    for (url, called) in [
        (longest[..policy::URL_BYTES_MAX].to_owned(), true),
        (longest[..=policy::URL_BYTES_MAX].to_owned(), false),
        (format!("HTTP://0x7f.1:{port}/n?k=[{{}}]&validationToken=x"), true),
        (format!("http://u@127.0.0.1:{port}/"), false),
        ("http://169.254.169.254/".to_owned(), false),
        ("http://[::ffff:a9fe:a9fe]/".to_owned(), false),
    ] {
        assert_eq!(outbound.check(&url).is_ok(), called, "{url}");
        if !called {
            let refusal = outbound.check(&url).unwrap_err();
            assert_eq!(refusal.code(), "InvalidRequest", "{url}");
            assert_eq!(outbound.validate(&url, TlsVersion::V1_2, "id").await, Err(refusal), "{url}");
            assert_eq!(outcome(&post(&outbound, &url, LONG).await), Outcome::Forbidden, "{url}");
        }
    }
    let verdict = outbound.validate(&longest[..policy::URL_BYTES_MAX], TlsVersion::V1_2, "id").await;
    assert_eq!(verdict, Ok(()), "the token is not counted");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_url_that_was_kept_before_its_spelling_mattered_is_still_called() {
    let text = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    let receiver = Receiver::start(move |_, _| Reply::Send(text.to_owned())).await;
    let (outbound, port) = (dev(), receiver.port);
    let urls = ["http:127.0.0.1:P/", "http:///127.0.0.1:P/", "http://@127.0.0.1:P/", "http://127.0.0.1:P/#n"];
    for (calls, url) in urls.iter().chain(&["http://localhost.:P/"]).enumerate() {
        let url = url.replace('P', &port.to_string());
        let refusal = outbound.check(&url).unwrap_err();
        assert_eq!(outbound.validate(&url, TlsVersion::V1_2, "id").await, Err(refusal), "{url}");
        assert_eq!(receiver.requests().len(), calls, "{url}");
        assert_eq!(outcome(&post(&outbound, &url, LONG).await), Outcome::Acknowledged, "{url}");
        assert!(receiver.requests()[calls].starts_with("POST / HTTP/1.1"), "{url}");
    }
    let serve = self::outbound(Policy::default(), Vec::new());
    for url in ["https:127.0.0.1/", "https://@10.0.0.1/", "https://localhost./", "https://169.254.169.254/#n"] {
        assert_eq!(outcome(&post(&serve, url, LONG).await), Outcome::Forbidden, "{url}");
    }
}

#[tokio::test]
async fn flood_of_a_third_party_fails_at_the_handshake_by_any_other_answer() {
    let receiver = Receiver::start(|_, request| match request.split(['/', '?']).nth(1) {
        Some("202") => echo(request, "202 Accepted", "text/plain", |token| token),
        Some("403") => echo(request, "403 No", "text/plain", |token| token),
        Some("moved") => Reply::Send("HTTP/1.1 307 Go\r\nLocation: /200\r\nContent-Length: 0\r\n\r\n".to_owned()),
        Some("200") => echo(request, "200 OK", "text/plain", |token| token),
        Some("newline") => echo(request, "200 OK", "text/plain", |token| token + "\n"),
        Some("quoted") => echo(request, "200 OK", "text/plain", |token| format!("\"{token}\"")),
        Some("json") => echo(request, "200 OK", "application/json", |token| format!("\"{token}\"")),
        Some("encoded") => echo(request, "200 OK", "text/plain", |token| token.replace(' ', "%20")),
        Some("long") => echo(request, "200 OK", "text/plain", |token| token + &"x".repeat(BODY_BYTES_MAX)),
        _ => Reply::Stall("HTTP/1.1 200 OK\r\n"),
    })
    .await;
    let outbound = dev();
    let cases = [
        ("/202", HandshakeError::Status(202)),
        ("/403", HandshakeError::Status(403)),
        ("/moved", HandshakeError::Status(307)),
        ("/newline", HandshakeError::Body),
        ("/quoted", HandshakeError::Body),
        ("/json", HandshakeError::ContentType),
        ("/encoded", HandshakeError::Body),
        ("/long", HandshakeError::Body),
    ];
    for (path, error) in cases {
        assert_eq!(outbound.validate(&receiver.url(path), TlsVersion::V1_2, "id").await, Err(error), "{path}");
    }
    assert_eq!(outbound.validate(&receiver.url("/200"), TlsVersion::V1_2, "id").await, Ok(()));
    let slow = outbound.validate_within((&receiver.url("/slow"), TlsVersion::V1_2), "id", SHORT).await;
    assert_eq!(slow.unwrap_err().to_string(), "Subscription validation request timed out.");
}
