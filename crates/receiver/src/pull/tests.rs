use std::collections::VecDeque;

use protocol::event_grid::shared_access::Signature;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::event::Data;

/// A request, as it came.
#[derive(Clone, Debug)]
struct Asked {
    head: String,
    body: Vec<u8>,
    /// Of which connection, counted from 0.
    connection: usize,
}

impl Asked {
    fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }
}

/// A server that answers what it is told to, and closes a connection once it has nothing more to answer.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let server = Self { url, asked: Arc::default(), answers: Arc::default() };
        let (asked, answers) = (server.asked.clone(), server.answers.clone());
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, connection, asked.clone(), answers.clone()));
                connection += 1;
            }
        });
        server
    }

    fn answers(&self, status: &str, body: &Value) -> &Self {
        self.answers_raw(format!("HTTP/1.1 {status}"), &body.to_string())
    }

    fn answers_raw(&self, head: String, body: &str) -> &Self {
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        self.answers.lock().unwrap().push_back(answer);
        self
    }

    fn client(&self) -> PullClient {
        PullClient::new(&self.url, "mail", Credential::key("a2V5"), None).unwrap()
    }

    fn worker(&self) -> Worker {
        self.client().worker("worker").unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        asked.lock().unwrap().push(Asked { head, body, connection });
        let Some(answer) = answers.lock().unwrap().pop_front() else { return };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn locked(token: &str, event: Value) -> Value {
    json!({"brokerProperties": {"lockToken": token, "deliveryCount": 2}, "event": event})
}

fn event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/s", "type": "T", "subject": "x", "data": {"n": 1}})
}

#[tokio::test]
async fn events_are_received_with_their_locks_and_what_is_no_event_beside_them() {
    let server = Server::start().await;
    let value = json!({"value": [locked("a", event("1")), locked("b", json!({"id": "2"}))]});
    server.answers("200 OK", &value);
    let received = server.worker().receive(10, Duration::from_secs(20)).await.unwrap();
    let [Locked { event, lock_token, delivery_count }] = &received.events[..] else { panic!("{received:?}") };
    assert_eq!((event.id.as_str(), event.kind.as_str(), event.subject.as_deref()), ("1", "T", Some("x")));
    assert_eq!(
        (event.data.clone(), lock_token.as_str(), *delivery_count),
        (Some(Data::Json("{\"n\":1}".into())), "a", 2)
    );
    assert_eq!(received.unreadable[0].lock_token.as_str(), "b");
    assert_eq!(received.unreadable[0].error, InvalidEvent::Missing("specversion"));
    let asked = &server.asked()[0];
    let path = "/topics/mail/eventsubscriptions/worker:receive?api-version=2024-06-01&maxEvents=10&maxWaitTime=20";
    assert_eq!(asked.path(), path);
    assert!(asked.head.starts_with("POST ") && asked.has("authorization: SharedAccessKey a2V5"), "{asked:?}");
}

#[tokio::test]
async fn what_is_asked_for_beyond_the_limits_counts_as_the_nearest_within() {
    let server = Server::start().await;
    for (events, seconds, asked) in [(0, 1, "maxEvents=1&maxWaitTime=10"), (500, 600, "maxEvents=100&maxWaitTime=120")]
    {
        server.answers("200 OK", &json!({"value": []}));
        let received = server.worker().receive(events, Duration::from_secs(seconds)).await.unwrap();
        assert_eq!(received, Received::default());
        assert!(server.asked().last().unwrap().path().ends_with(asked));
    }
}

#[tokio::test]
async fn each_lock_token_has_a_result_of_its_own() {
    let server = Server::start().await;
    let fails = |token: &str, code: &str| json!({"lockToken": token, "error": {"code": code, "message": "why"}});
    let failed = [fails("b", "TokenLost"), fails("c", "BadToken"), fails("d", "New")];
    server.answers("200 OK", &json!({"succeededLockTokens": ["a"], "failedLockTokens": failed}));
    let settled = server.worker().acknowledge(["a", "b", "c", "d"]).await.unwrap();
    assert_eq!(settled.succeeded, [LockToken::new("a")]);
    let errors: Vec<TokenError> = settled.failed.into_iter().map(|failed| failed.error).collect();
    let other = TokenError::Other { code: "New".into(), message: "why".into() };
    assert_eq!(errors, [TokenError::Lost("why".into()), TokenError::Bad("why".into()), other]);
    assert_eq!(
        serde_json::from_slice::<Value>(&server.asked()[0].body).unwrap(),
        json!({"lockTokens": ["a", "b", "c", "d"]})
    );
}

#[tokio::test]
async fn what_becomes_of_events_is_said_at_the_paths_that_event_grid_has_over_one_connection() {
    let server = Server::start().await;
    let worker = server.worker();
    let tokens = [LockToken::new("a")];
    for _ in 0..4 {
        server.answers("200 OK", &json!({"succeededLockTokens": ["a"], "failedLockTokens": []}));
    }
    worker.acknowledge(&tokens).await.unwrap();
    worker.release(&tokens, Delay::TenMinutes).await.unwrap();
    worker.reject(&tokens).await.unwrap();
    worker.renew_locks(&tokens).await.unwrap();
    let asked = server.asked();
    let operation =
        |asked: &Asked| asked.path().strip_prefix("/topics/mail/eventsubscriptions/worker:").unwrap().to_owned();
    assert_eq!(
        asked.iter().map(operation).collect::<Vec<_>>(),
        [
            "acknowledge?api-version=2024-06-01",
            "release?api-version=2024-06-01&releaseDelayInSeconds=600",
            "reject?api-version=2024-06-01",
            "renewLock?api-version=2024-06-01",
        ]
    );
    assert!(asked.iter().all(|asked| asked.connection == 0));
    assert_eq!(worker.acknowledge(&[] as &[LockToken]).await.unwrap(), Settled::default(), "nobody is asked");
    assert_eq!(server.asked().len(), 4);
    let many = worker.reject(vec!["a"; LOCK_TOKENS_MAX + 1]).await;
    assert!(matches!(many, Err(PullError::TooManyTokens(1_001))), "{many:?}");
}

#[tokio::test]
async fn a_connection_that_has_ended_meanwhile_is_replaced() {
    let server = Server::start().await;
    let worker = server.worker();
    let nothing = json!({"value": []});
    // The server closes after this one.
    server.answers_raw("HTTP/1.1 200 OK\r\nconnection: close".to_owned(), &nothing.to_string());
    worker.receive(1, WAIT_MIN).await.unwrap();
    server.answers("200 OK", &nothing);
    worker.receive(1, WAIT_MIN).await.unwrap();
    assert_eq!(server.asked().iter().map(|asked| asked.connection).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn an_event_that_is_longer_in_base64_than_it_was_is_received() {
    let server = Server::start().await;
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "T",
                       "data_base64": STANDARD.encode(vec![0; EVENT_BYTES_MAX])});
    server.answers("200 OK", &json!({"value": [locked("a", event)]}));
    let received = server.worker().receive(1, WAIT_MIN).await.unwrap();
    assert_eq!((received.events.len(), received.unreadable.len()), (1, 0));
    assert_eq!(received.events[0].event.data, Some(Data::Binary(vec![0; EVENT_BYTES_MAX])));
}

#[tokio::test]
async fn events_are_published_as_a_batch_once_all_of_them_are_valid() {
    let server = Server::start().await;
    let client = server.client();
    let events = [Event::new("1", "/s", "T").with_json(&json!({"n": 1})).unwrap(), Event::new("2", "/s", "T")];
    server.answers("200 OK", &json!({}));
    client.publish(&events).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.path(), "/topics/mail:publish?api-version=2024-06-01");
    assert!(asked.has("content-type: application/cloudevents-batch+json; charset=utf-8"));
    let sent: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!((&sent[0]["data"]["n"], &sent[1]["id"]), (&json!(1), &json!("2")));
    let invalid = client.publish(&[events[0].clone(), Event::new("2", "no URI", "T")]).await;
    assert!(matches!(invalid, Err(PullError::Event { place: 1, error: InvalidEvent::Source })), "{invalid:?}");
    let large = events[0].clone().with_json(&"x".repeat(EVENT_BYTES_MAX)).unwrap();
    assert!(matches!(client.publish(&[large]).await, Err(PullError::TooLarge { .. })));
    client.publish(&[]).await.unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_refusal_says_what_the_server_says_and_whether_to_come_again() {
    let server = Server::start().await;
    let worker = server.worker();
    let refuse = |status: &str, code: &str| {
        let body = json!({"error": {"code": code, "message": "why"}}).to_string();
        server.answers_raw(format!("HTTP/1.1 {status}\r\nretry-after: 30"), &body);
    };
    for (status, number, is_temporary) in
        [("401 No", 401, false), ("404 No", 404, false), ("429 No", 429, true), ("503 No", 503, true)]
    {
        refuse(status, "Word");
        let error = worker.receive(1, WAIT_MIN).await.unwrap_err();
        assert_eq!(error.is_temporary(), is_temporary, "{status}");
        let PullError::Refused { status, code, message, retry_after } = error else { panic!("{error:?}") };
        let wait = Some(Duration::from_secs(30));
        assert_eq!((status, code.as_str(), message.as_str(), retry_after), (number, "Word", "why", wait));
    }
    server.answers_raw("HTTP/1.1 302 Found\r\nlocation: http://elsewhere".to_owned(), "<html>");
    let error = worker.receive(1, WAIT_MIN).await.unwrap_err();
    assert!(matches!(&error, PullError::Refused { status: 302, code, .. } if code.is_empty()), "{error:?}");
    server.answers("200 OK", &json!({"value": 1}));
    assert!(matches!(worker.receive(1, WAIT_MIN).await, Err(PullError::Answer(_))));
    let broken = worker.receive(1, WAIT_MIN).await.unwrap_err();
    assert!(matches!(broken, PullError::Call(_)) && broken.is_temporary(), "{broken:?}");
}

#[tokio::test]
async fn a_token_is_asked_for_with_each_request() {
    let server = Server::start().await;
    let count = Arc::new(Mutex::new(0));
    let token = Credential::token(move || {
        let mut count = count.lock().unwrap();
        *count += 1;
        let answer = if *count < 3 { Ok(format!("t{count}\n")) } else { Err("signed out".into()) };
        async move { answer }
    });
    let worker = PullClient::new(&server.url, "mail", token, None).unwrap().worker("worker").unwrap();
    for _ in 0..2 {
        server.answers("200 OK", &json!({"value": []}));
        worker.receive(1, WAIT_MIN).await.unwrap();
    }
    let asked = server.asked();
    assert!(asked[0].has("authorization: Bearer t1") && asked[1].has("authorization: Bearer t2"), "{asked:?}");
    assert!(matches!(worker.receive(1, WAIT_MIN).await, Err(PullError::Token(_))));
    let split = PullClient::new(&server.url, "mail", Credential::key("a\r\nb"), None).unwrap();
    let refused = split.worker("worker").unwrap().receive(1, WAIT_MIN).await;
    assert!(matches!(refused, Err(PullError::Credential)), "{refused:?}");
}

#[test]
fn a_signature_is_one_that_opens_the_topic_until_its_time() {
    let key = STANDARD.encode([7; 32]);
    let expires = UNIX_EPOCH + Duration::from_secs(1_781_547_615);
    let text = shared_access_signature("https://localhost:8443/topics/mail", &key, expires).unwrap();
    let signature = Signature::parse(&text).unwrap();
    let opens = |path, now| signature.opens("localhost:8443", path, [key.as_str()], now);
    assert_eq!(opens("/topics/mail:publish", 1_781_547_614), Ok(()));
    assert!(opens("/topics/mail:publish", 1_781_547_615).is_err());
    assert!(opens("/topics/other:publish", 0).is_err());
    assert_eq!(shared_access_signature("https://x", "no base64!", expires), None);
}

#[test]
fn times_are_written_as_dates() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_772_323_199, "2026-02-28T23:59:59Z"),
        (1_781_547_615, "2026-06-15T18:20:15Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(date_time(seconds), text);
    }
}

#[test]
fn credentials_go_over_tls_or_stay_on_this_machine() {
    let client = |url, topic| PullClient::new(url, topic, Credential::key("k"), None).map(drop);
    for url in ["http://tidings.example", "localhost:8443", "ftp://localhost", ""] {
        assert_eq!(client(url, "mail"), Err(SetupError::Url(url.to_owned())), "{url}");
    }
    for topic in ["", "a/b", "a b", "a%2f", "..", "ü"] {
        assert_eq!(client("http://localhost:1", topic), Err(SetupError::Name(topic.to_owned())), "{topic}");
    }
    let nonsense = PullClient::new("https://localhost", "mail", Credential::key("k"), Some("no PEM"));
    assert_eq!(nonsense.map(drop), Err(SetupError::NoCertificate));
}

#[test]
fn secrets_are_not_shown() {
    let client = PullClient::new("http://localhost:1/", "mail", Credential::key("s3cret"), None).unwrap();
    let shown = format!("{client:?} {:?} {:?}", client.0.credential, LockToken::new("s3cret"));
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.starts_with("PullClient(http://localhost:1//topics/mail) ") || shown.contains("/topics/mail"));
}
