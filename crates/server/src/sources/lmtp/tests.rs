//! Conversations with the listener, over a real socket and a recording `Inbound`.

use std::sync::Mutex;

use async_trait::async_trait;
use graph::{Properties, TenantId, UserId};
use store::{StoreError, User};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::sources::{DeliverError, Delivered, Mail};

#[derive(Default)]
struct Recorder {
    delivered: Mutex<Vec<(String, Properties, String)>>,
}

#[async_trait]
impl Inbound for Recorder {
    async fn recipient(&self, address: &str) -> Result<Option<User>, StoreError> {
        match address.split('@').next().unwrap_or_default() {
            "nobody" => Ok(None),
            "broken" => Err(StoreError::Unavailable("closed".to_owned())),
            name => {
                let (id, tenant) = (UserId(Uuid::from_u128(7)), TenantId(Uuid::from_u128(1)));
                Ok(Some(User::new(id, tenant, address, name)))
            }
        }
    }

    async fn deliver(&self, user: &User, mail: Mail, key: String) -> Result<Delivered, DeliverError> {
        match user.display_name.as_str() {
            "full" => return Err(DeliverError::Temporary("the disk is full".to_owned())),
            "crowded" => return Err(DeliverError::NoRoom(StoreError::LogTooLong)),
            "gone" => return Err(DeliverError::NoMailbox),
            "picky" => return Err(DeliverError::Refused("not\r\nthis".to_owned())),
            _ => {}
        }
        let mut delivered = self.delivered.lock().unwrap();
        if delivered.iter().any(|(_, _, known)| *known == key) {
            return Ok(Delivered::Duplicate);
        }
        delivered.push((user.upn.clone(), mail.properties, key));
        Ok(Delivered::New)
    }
}

struct Server {
    address: SocketAddr,
    inbound: Arc<Recorder>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (inbound, shutdown) = (Arc::new(Recorder::default()), CancellationToken::new());
        let task = tokio::spawn(serve(listener, inbound.clone(), limits, shutdown.clone()));
        Self { address, inbound, shutdown, task }
    }

    async fn connect(&self) -> Client {
        let mut client = Client { stream: BufReader::new(TcpStream::connect(self.address).await.unwrap()) };
        assert!(client.line().await.starts_with("220 "));
        client
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    async fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends text and reads as many answers, each by its last line.
    async fn ask(&mut self, text: &str, answers: usize) -> Vec<String> {
        self.send(text).await;
        let mut found = Vec::new();
        while found.len() < answers {
            let line = self.line().await;
            if line.get(3..4) != Some("-") {
                found.push(line);
            }
        }
        found
    }
}

fn codes(answers: &[String]) -> Vec<&str> {
    answers.iter().map(|answer| &answer[..3]).collect()
}

const HEAD: &str = "LHLO mx.test\r\nMAIL FROM:<a@x.test> SIZE=100 BODY=8BITMIME\r\n";
const MESSAGE: &str = "Subject: hi\r\n\r\n..dots\r\nbody\r\n.\r\n";

#[tokio::test]
async fn each_accepted_recipient_gets_its_own_answer() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let recipients = ["megan", "nobody", "full", "broken", "gone", "picky"];
    let rcpt: String = recipients.iter().map(|name| format!("RCPT TO:<{name}@contoso.test>\r\n")).collect();
    let answers = client.ask(&format!("{HEAD}{rcpt}DATA\r\n"), 9).await;
    assert_eq!(codes(&answers), ["250", "250", "250", "550", "250", "451", "250", "250", "354"]);
    let answers = client.ask(MESSAGE, 4).await;
    assert_eq!(answers[0], "250 2.0.0 stored");
    assert_eq!(codes(&answers), ["250", "451", "550", "554"]);
    assert_eq!(codes(&client.ask("QUIT\r\n", 1).await), ["221"]);
    {
        let delivered = server.inbound.delivered.lock().unwrap();
        assert_eq!(delivered.len(), 1);
        assert_eq!(delivered[0].0, "megan@contoso.test");
        assert_eq!(delivered[0].1["body"]["content"], ".dots\r\nbody\r\n");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_message_sent_again_after_a_lost_answer_is_a_duplicate() {
    let server = Server::start(Limits::default()).await;
    for (hop, answer) in [("first", "250 2.0.0 stored"), ("second", "250 2.0.0 duplicate, already stored")] {
        let mut client = server.connect().await;
        let text = format!("{HEAD}RCPT TO:<megan@contoso.test>\r\nDATA\r\nReceived: from {hop}\r\n{MESSAGE}");
        assert_eq!(client.ask(&text, 5).await[4], answer);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_connection_goes_on() {
    let limits = Limits { message_bytes_max: 1_000, ..Limits::default() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    assert_eq!(codes(&client.ask("LHLO x\r\nMAIL FROM:<a@x.test> SIZE=1001\r\n", 2).await), ["250", "552"]);
    let large = format!("Subject: s\r\n\r\n{}.\r\n", "line\r\n".repeat(50_000));
    let text = format!("{HEAD}RCPT TO:<a@c>\r\nRCPT TO:<b@c>\r\nDATA\r\n{large}NOOP\r\n");
    let answers = client.ask(&text, 8).await;
    assert_eq!(codes(&answers), ["250", "250", "250", "250", "354", "552", "552", "250"]);
    server.stop().await;
}

#[tokio::test]
async fn commands_out_of_order_or_unknown_are_refused() {
    let server = Server::start(Limits { recipients_max: 1, ..Limits::default() }).await;
    let mut client = server.connect().await;
    for (command, code) in [
        ("MAIL FROM:<a@x.test>", "503"),
        ("EHLO x", "500"),
        ("LHLO x", "250"),
        ("RCPT TO:<a@c>", "503"),
        ("DATA", "503"),
        ("MAIL FROM:<>", "250"),
        ("MAIL FROM:<a@x.test>", "503"),
        ("DATA", "503"),
        ("RCPT TO:<megan@contoso.test>", "250"),
        ("RCPT TO:<adele@contoso.test>", "452"),
        ("VRFY megan", "252"),
        ("RSET", "250"),
        ("RCPT TO:<a@c>", "503"),
        ("NOOP", "250"),
        ("BDAT 3 LAST", "500"),
        ("RCPT TO a", "501"),
        ("FROBNICATE", "500"),
    ] {
        let answers = client.ask(&format!("{command}\r\n"), 1).await;
        assert_eq!(codes(&answers), [code], "{command}: {answers:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_greeting_names_the_extensions() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("LHLO x\r\n").await;
    let mut lines = Vec::new();
    for _ in 0..6 {
        lines.push(client.line().await);
    }
    let expected = ["250-localhost", "250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8", "250-ENHANCEDSTATUSCODES"];
    assert_eq!(lines[..5], expected);
    assert_eq!(lines[5], format!("250 SIZE {}", 25 * 1024 * 1024));
    server.stop().await;
}

#[tokio::test]
async fn flood_by_lmtp_of_long_lines_and_errors_ends_the_connection() {
    let server = Server::start(Limits { errors_max: 3, ..Limits::default() }).await;
    let mut client = server.connect().await;
    let answers = client.ask(&format!("NOOP {}", "x".repeat(5_000)), 1).await;
    assert_eq!(codes(&answers), ["500"]);
    assert_eq!(client.line().await, "");
    let mut client = server.connect().await;
    assert_eq!(codes(&client.ask("A\r\nB\r\nC\r\n", 4).await), ["500", "500", "500", "421"]);
    assert_eq!(client.line().await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_ended() {
    let server = Server::start(Limits { idle: Duration::from_millis(20), ..Limits::default() }).await;
    assert_eq!(server.connect().await.line().await, "421 4.4.2 idle for too long");
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away_and_slots_return() {
    let server = Server::start(Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = server.connect().await;
    let mut second = Client { stream: BufReader::new(TcpStream::connect(server.address).await.unwrap()) };
    assert_eq!(codes(&[second.line().await]), ["421"]);
    assert_eq!(codes(&first.ask("QUIT\r\n", 1).await), ["221"]);
    assert_eq!(first.line().await, "");
    loop {
        let mut third = Client { stream: BufReader::new(TcpStream::connect(server.address).await.unwrap()) };
        if third.line().await.starts_with("220") {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_message_is_refused_for_good() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let text = format!("{HEAD}RCPT TO:<megan@contoso.test>\r\nDATA\r\nno header at all\r\n.\r\n");
    let answers = client.ask(&text, 5).await;
    assert_eq!(answers[4], "554 5.6.0 this is not a message: it has no header");
    server.stop().await;
}

#[tokio::test]
async fn shutdown_tells_idle_clients_and_ends() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    server.shutdown.cancel();
    assert_eq!(client.line().await, "421 4.3.2 shutting down");
    server.task.await.unwrap();
}

#[tokio::test]
async fn mail_for_which_the_log_has_no_room_is_to_come_again() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let rcpt = "RCPT TO:<crowded@contoso.test>\r\nRCPT TO:<megan@contoso.test>\r\n";
    client.ask(&format!("{HEAD}{rcpt}DATA\r\n"), 5).await;
    let answers = client.ask(MESSAGE, 2).await;
    assert_eq!(answers, ["452 4.3.1 the system has no room now, try again later", "250 2.0.0 stored"]);
}
