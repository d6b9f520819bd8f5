//! Apps whose receivers turn hostile once they have proved themselves, beside one that does not, on a server that makes
//! one attempt at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use notify::{HealthLimits, NodeConfig, Profile};
use serde_json::json;
use tidings_server::identity::{Grant, SCOPES};
use tidings_server::seed;
use tidings_server::server::{Running, Settings, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::delivery::{call_with, receiver, settings};

/// What each says to a notification; those with nothing to say keep the connection open.
const SAID: [(&str, &str); 7] = [
    ("/silent", ""),
    ("/half", "HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nhalf"),
    ("/closed", "HTTP/1.1 202 Accepted\r\n"),
    ("/garbage", "\0\0\0\0\r\n\r\n"),
    ("/redirect", "HTTP/1.1 307 Go\r\nLocation: /silent\r\nContent-Length: 0\r\n\r\n"),
    ("/interim", "HTTP/1.1 102 Processing\r\n\r\n"),
    ("/chunks", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
];

/// Answers handshakes as it should, tells of each notification by its path, and then does as its path says.
async fn hostile() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (called, calls) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(turn_hostile(socket, called.clone()));
        }
    });
    (base, calls)
}

async fn turn_hostile(mut socket: TcpStream, called: mpsc::UnboundedSender<String>) {
    let (mut head, mut buffer) = (String::new(), [0; 4096]);
    while !head.contains("\r\n\r\n") {
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => head.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
    }
    let url = url::Url::parse(&format!("http://h{}", head.split(' ').nth(1).unwrap())).unwrap();
    if let Some((_, token)) = url.query_pairs().find(|(name, _)| name == "validationToken") {
        let length = token.len();
        let echo = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{token}");
        socket.write_all(echo.as_bytes()).await.unwrap();
        return;
    }
    called.send(url.path().to_owned()).unwrap();
    let (_, said) = SAID.iter().find(|(path, _)| *path == url.path()).unwrap();
    let _ = socket.write_all(said.as_bytes()).await;
    if url.path() != "/closed" {
        while socket.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    }
}

/// Megan's app, with a subscription to her messages.
async fn subscribe(server: &Running, token: &str, url: &str) {
    let subscription = json!({"changeType": "created", "notificationUrl": url, "resource": "me/messages",
                              "expirationDateTime": server.state.clock.wall().plus_minutes(60)});
    let (status, made) = call_with(token, server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!(status, 201, "{made}");
}

#[tokio::test]
async fn starvation_by_hostile_receivers_fails_since_each_attempt_gives_its_slot_back() {
    let delivery = NodeConfig {
        attempts_max: 1,
        attempts_per_origin_max: 1,
        health: HealthLimits {
            first_timeout_micros: 50_000,
            retry_timeout_micros: 50_000,
            ..HealthLimits::documented()
        },
        ..NodeConfig::default()
    };
    let profile = Profile { refuse_duplicates: false, ..Profile::documented() };
    let server = start(Settings { delivery, profile, ..settings() }).await.unwrap();
    let grant = Grant::Delegated(&seed::users()[0], SCOPES);
    let token = server.state.tokens.issue(&seed::app(), grant, server.state.clock.wall(), 60).unwrap();
    let (hostile, mut calls) = hostile().await;
    for (path, _) in SAID {
        subscribe(&server, &token, &format!("{hostile}{path}")).await;
    }
    let (honest, mut notifications) = receiver().await;
    subscribe(&server, &token, &honest).await;

    let mut messages = BTreeSet::new();
    for n in 0..2 {
        let message = json!({"subject": n.to_string()});
        let (status, made) = call_with(&token, &server, "POST", "/v1.0/me/messages", message).await;
        assert_eq!(status, 201, "{made}");
        messages.insert(made["id"].as_str().unwrap().to_owned());
    }
    let all = async {
        while !messages.is_empty() {
            let heard = notifications.recv().await.unwrap();
            for item in heard["value"].as_array().unwrap() {
                messages.remove(item["resourceData"]["id"].as_str().unwrap());
            }
        }
        let mut called = BTreeSet::new();
        while called.len() < SAID.len() {
            called.insert(calls.recv().await.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .expect("everybody is called, and the honest one hears all");
    server.drain().await;
}
