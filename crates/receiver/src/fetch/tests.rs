use std::future::Future as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use protocol::validation_token::{Claims, PUBLISHER_ID, Version};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;
use crate::issuer::{APP, Issuer, TENANT};
use crate::validation_token::AUTHORITY;

const CONFIGURATION: &str = "/common/v2.0/.well-known/openid-configuration";

/// A server that publishes what it is told to.
#[derive(Clone)]
struct Publisher {
    origin: String,
    reads: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    issuer: String,
    jwks_uri: String,
    keys: Arc<Mutex<String>>,
}

impl Publisher {
    /// `jwks_uri` begins with `ORIGIN` or is somewhere else. With a certificate it speaks TLS.
    async fn start(jwks_uri: &str, tls: Option<TlsAcceptor>) -> Self {
        Self::start_as("ORIGIN", jwks_uri, tls).await
    }

    /// One that says it is `issuer`.
    async fn start_as(issuer: &str, jwks_uri: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        let keys = json!({"keys": [Issuer::first().jwk()]}).to_string();
        let publisher = Self {
            jwks_uri: jwks_uri.replace("ORIGIN", &origin),
            issuer: issuer.replace("ORIGIN", &origin),
            origin,
            reads: Arc::default(),
            down: Arc::default(),
            keys: Arc::new(Mutex::new(keys)),
        };
        let serving = publisher.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serving.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serving.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        publisher
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let (status, body) = match head.split(' ').nth(1).unwrap_or_default() {
            _ if self.down.load(Ordering::SeqCst) => ("502 Bad Gateway", String::new()),
            CONFIGURATION => ("200 OK", self.configuration().to_string()),
            "/keys" => {
                self.reads.fetch_add(1, Ordering::SeqCst);
                ("200 OK", self.keys.lock().unwrap().clone())
            }
            "/endless" => ("200 OK", "x".repeat(BYTES_MAX + 1)),
            "/moved" => ("302 Found\r\nlocation: /keys", String::new()),
            _ => ("404 Not Found", String::new()),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    fn configuration(&self) -> Value {
        json!({"issuer": format!("{}/{{tenantid}}/v2.0", self.issuer), "jwks_uri": self.jwks_uri})
    }

    fn source(&self, ca_pem: Option<&str>) -> Source {
        Source::new(&self.origin, ca_pem).unwrap()
    }

    fn receiver(&self) -> FetchingReceiver {
        let builder = Receiver::builder().client_state("s").app_id(APP).authority(&self.origin);
        FetchingReceiver::new(builder, None).unwrap()
    }
}

/// An authority in PEM, and a server with a certificate of it for localhost.
fn authority() -> (String, TlsAcceptor) {
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (pem, TlsAcceptor::from(Arc::new(config)))
}

/// A body with one notification and this token.
fn body(token: &str) -> Vec<u8> {
    let item = json!({
        "subscriptionId": "s", "subscriptionExpirationDateTime": "", "changeType": "created", "resource": "r",
        "clientState": "s"
    });
    json!({"value": [item], "validationTokens": [token]}).to_string().into_bytes()
}

fn token(issuer: &Issuer, origin: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = Claims::new(TENANT, APP, Version::V2 { origin }, now, "uti");
    assert_eq!(claims.azp, PUBLISHER_ID);
    issuer.sign(&issuer.header(), &serde_json::to_string(&claims).unwrap())
}

#[tokio::test]
async fn keys_are_read_over_tls_from_an_authority_that_was_given() {
    let (ca, tls) = authority();
    let publisher = Publisher::start("ORIGIN/keys", Some(tls)).await;
    assert_eq!(publisher.source(Some(&ca)).read().await.unwrap().count(), 1);
    let (other, _) = authority();
    let error = publisher.source(Some(&other)).read().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn what_is_not_the_configuration_or_the_keys_is_refused_with_what_is_wrong() {
    for (jwks_uri, reason) in [
        ("ORIGIN/nothing", "status 404"),
        ("ORIGIN/moved", "status 302"),
        ("ORIGIN/endless", "length limit exceeded"),
        ("ORIGIN/common/v2.0/.well-known/openid-configuration", "no key set"),
        ("http://keys.example/keys", "is no https:// URL"),
        ("file:///etc/passwd", "is no https:// URL"),
        ("http://localhost:1/keys", "was not read"),
    ] {
        let publisher = Publisher::start(jwks_uri, None).await;
        let error = publisher.source(None).read().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{jwks_uri}: {error}");
    }
}

#[tokio::test]
async fn impostor_of_an_issuer_is_refused_by_its_configuration() {
    let publisher = Publisher::start_as(AUTHORITY, "ORIGIN/keys", None).await;
    let error = publisher.source(None).read().await.unwrap_err();
    let of = |name: &str| format!("{name}/{{tenantid}}/v2.0");
    let FetchError::Issuer { found, expected, .. } = error else { panic!("{error}") };
    assert_eq!((found, expected), (of(AUTHORITY), of(&publisher.origin)));
}

#[tokio::test]
async fn keys_that_were_read_at_the_start_are_not_waited_for() {
    let publisher = Publisher::start("ORIGIN/keys", None).await;
    let receiver = publisher.receiver();
    receiver.refresh().await.unwrap();
    receiver.refresh().await.unwrap();
    assert!(receiver.receive(&body(&token(Issuer::first(), &publisher.origin))).await.is_ok());
    assert_eq!(publisher.reads.load(Ordering::SeqCst), 1);
    publisher.down.store(true, Ordering::SeqCst);
    let refusal = publisher.receiver().refresh().await.unwrap_err();
    assert!(refusal.to_string().contains("status 502"), "{refusal}");
}

#[test]
fn a_runtime_that_ends_while_keys_are_read_leaves_nobody_waiting() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", silent.local_addr().unwrap());
    let builder = Receiver::builder().client_state("s").app_id(APP).authority(&origin);
    let receiver = FetchingReceiver::new(builder, None).unwrap();
    let body = body(&token(Issuer::first(), &origin));
    let ended = runtime();
    ended.block_on(async {
        let mut reading = std::pin::pin!(receiver.receive(&body));
        assert!(std::future::poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await.is_pending());
    });
    drop(ended);
    let refusal = runtime().block_on(receiver.receive(&body)).unwrap_err();
    assert!(refusal.to_string().contains("broken off"), "{refusal}");
}

#[test]
fn keys_are_read_in_clear_from_this_machine_only() {
    for good in [AUTHORITY, "http://localhost:8080/x", "http://127.0.0.1/x", "http://[::1]:1/x"] {
        assert!(callable(good).is_ok(), "{good}");
    }
    for bad in ["http://login.example/x", "http://localhost.example/", "ftp://localhost/", "/x", "", "https://"] {
        assert!(matches!(callable(bad), Err(SetupError::Url(_))), "{bad}");
    }
    assert_eq!(Source::new(AUTHORITY, Some("no certificate")).err(), Some(SetupError::NoCertificate));
}

#[tokio::test]
async fn keys_are_read_when_needed_and_again_for_a_key_that_is_new() {
    let publisher = Publisher::start("ORIGIN/keys", None).await;
    let receiver = publisher.receiver();
    let of_first = body(&token(Issuer::first(), &publisher.origin));
    let of_second = body(&token(Issuer::second(), &publisher.origin));
    let (one, two) = tokio::join!(receiver.receive(&of_first), receiver.receive(&of_first));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(publisher.reads.load(Ordering::SeqCst), 1, "once for both");
    *publisher.keys.lock().unwrap() = json!({"keys": [Issuer::first().jwk(), Issuer::second().jwk()]}).to_string();
    assert!(receiver.receive(&of_second).await.is_ok(), "its key was published meanwhile");
    let forged = body(&token(Issuer::first(), &publisher.origin).replacen("eyJ", "eyK", 1));
    assert!(receiver.receive(&forged).await.is_err());
    assert_eq!(publisher.reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_publisher_that_is_down_is_said_and_a_request_without_tokens_needs_none() {
    let publisher = Publisher::start("ORIGIN/keys", None).await;
    publisher.down.store(true, Ordering::SeqCst);
    let receiver = publisher.receiver();
    let refusal = receiver.receive(&body(&token(Issuer::first(), &publisher.origin))).await.unwrap_err();
    assert!(refusal.status() == 503 && refusal.to_string().contains("status 502"), "{refusal}");
    let without = String::from_utf8(body("x")).unwrap().replace(r#""x""#, "");
    assert_eq!(receiver.receive(without.as_bytes()).await.unwrap().notifications().count(), 1);
}
