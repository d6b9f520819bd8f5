//! Calls through an egress proxy that leads on, refuses, lies or says nothing.

use std::fs;

use tokio::net::TcpStream;

use super::tls::{Authority, Leaf, opened};
use super::*;

/// A proxy that answers each CONNECT with this, and then leads to `target` if there is one.
async fn start(answer: &'static str, target: Option<u16>) -> (ProxyConfig, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://proxy.example:{}", listener.local_addr().unwrap().port());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let config = ProxyConfig { place: place.parse().unwrap(), credentials_file: None };
    let asked = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let asked = Arc::clone(&asked);
            tokio::spawn(async move {
                let Some(request) = read_request(&mut socket).await else { return };
                asked.lock().unwrap().push(request);
                socket.write_all(answer.as_bytes()).await.unwrap();
                match target {
                    Some(port) => {
                        let mut to = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut socket, &mut to).await;
                    }
                    None => std::future::pending().await,
                }
            });
        }
    });
    (config, requests)
}

const LEADS_ON: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn through(proxy: ProxyConfig, policy: Policy, ca_files: Vec<PathBuf>) -> Outbound {
    let config = OutboundConfig { policy, ca_files, proxy: Some(proxy), ..OutboundConfig::default() };
    Outbound::with_dns(config, hosts()).unwrap()
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_vetted_address_and_tls_goes_through_it_end_to_end() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&Leaf::default(), rustls::ALL_VERSIONS);
    let receiver = Receiver::start_with(Some(acceptor), |_, _| Reply::Send(OK.to_owned())).await;
    let (proxy, asked) = start(LEADS_ON, Some(receiver.port)).await;
    let outbound = through(proxy, opened(), vec![authority.file.clone()]);
    for _ in 0..2 {
        let result = post(&outbound, "https://hook.example/n?code=secret", LONG).await;
        assert_eq!(outcome(&result), Outcome::Acknowledged, "{result:?}");
    }
    assert!(receiver.requests()[0].contains("\r\nHost: hook.example\r\n"), "{:?}", receiver.requests());
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "the connection is used again");
    insta::assert_snapshot!(asked[0].replace("\r\n", "\n"), @r"
    CONNECT 127.0.0.1:443 HTTP/1.1
    host: 127.0.0.1:443
    ");
}

#[tokio::test]
async fn what_is_called_in_plain_http_goes_through_the_proxy_in_the_same_way() {
    let receiver = Receiver::start(|_, _| Reply::Send(OK.to_owned())).await;
    let (proxy, asked) = start(LEADS_ON, Some(receiver.port)).await;
    let outbound = through(proxy, Policy { dev: true, ..Policy::default() }, Vec::new());
    assert_eq!(outcome(&post(&outbound, "http://[::1]:81/n", LONG).await), Outcome::Acknowledged);
    assert!(asked.lock().unwrap()[0].starts_with("CONNECT [::1]:81 HTTP/1.1\r\n"));
    assert!(receiver.requests()[0].starts_with("POST /n HTTP/1.1\r\n"));
}

#[tokio::test]
async fn ssrf_through_the_proxy_is_refused_before_the_proxy_is_asked() {
    let (proxy, asked) = start(LEADS_ON, None).await;
    let outbound = through(proxy, Policy::default(), Vec::new());
    for url in ["https://hook.example/", "https://169.254.169.254/", "https://localhost/", "https://proxy.example/"] {
        assert_eq!(outcome(&post(&outbound, url, LONG).await), Outcome::Forbidden, "{url}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_proxy_is_shown_its_credentials() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    fs::write(&file, "tidings:hush\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let unauthorized = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let (proxy, asked) = start(unauthorized, None).await;
    let said = async |credentials_file| {
        let outbound = through(ProxyConfig { credentials_file, ..proxy.clone() }, opened(), Vec::new());
        post(&outbound, "https://hook.example/", LONG).await.unwrap_err().to_string()
    };
    let unknown = said(Some(file)).await;
    assert!(asked.lock().unwrap()[0].contains("proxy-authorization: Basic dGlkaW5nczpodXNo\r\n"));
    assert!(unknown.contains("does not know the credentials") && !unknown.contains("hush"), "{unknown}");
    let none = said(None).await;
    assert!(none.contains("name a file with them as outbound.proxy_credentials_file"), "{none}");
}

#[tokio::test]
async fn hostile_proxy_is_bounded_as_a_receiver_is() {
    let long: &'static str = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(64 << 10)).leak();
    let many: &'static str = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(200)).leak();
    for (answer, why) in [
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "status 502"),
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "status 302"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "does not answer as one"),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "before the receiver can"),
        (long, "does not answer as one"),
        (many, "does not answer as one"),
    ] {
        let (proxy, _) = start(answer, None).await;
        let outbound = through(proxy, Policy { dev: true, ..Policy::default() }, Vec::new());
        let result = post(&outbound, "http://127.0.0.1/", LONG).await;
        assert_eq!(outcome(&result), Outcome::Unreachable);
        let failure = result.unwrap_err().to_string();
        assert!(failure.contains(why), "{failure}: {why}");
    }
}

#[tokio::test]
async fn hostile_proxy_that_says_nothing_is_within_the_one_deadline() {
    for answer in ["", "HTTP/1.1 200 OK\r\n", LEADS_ON] {
        let (proxy, _) = start(answer, None).await;
        let outbound = through(proxy, opened(), Vec::new());
        let result = post(&outbound, "https://hook.example/", SHORT).await;
        assert_eq!(result, Err(Failure::TimedOut), "{answer:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_said_to_be_the_reason() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (host, why) in
        [("proxy.example", "no connection to the egress proxy was made"), ("unknown.example", "was not found")]
    {
        let place = format!("http://{host}:{port}").parse().unwrap();
        let outbound = through(ProxyConfig { place, credentials_file: None }, opened(), Vec::new());
        let result = post(&outbound, "https://hook.example/", LONG).await;
        assert!(matches!(&result, Err(Failure::Connect(text)) if text.contains(why)), "{result:?}");
    }
}
