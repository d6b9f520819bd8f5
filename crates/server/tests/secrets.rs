//! Canaries in every secret field: none may appear in a log line, an error, a list or an admin answer.

mod support;

use std::fs::{self, File};
use std::time::Duration;

use serde_json::{Value, json};
use support::process::Process;
use support::receiver::Receiver;
use support::{Client, get, post};

/// In `clientState`, in the query of each URL, and in a client secret that is wrong.
const CANARIES: [&str; 4] =
    ["canary-of-the-client-state", "canary-of-the-url", "canary-of-the-lifecycle-url", "canary-of-the-app"];

fn assert_silent(what: &str, text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{what} tells {canary}: {text}");
    }
}

/// A subscription request with a canary in each secret field.
fn planted(receiver: &Receiver) -> Value {
    json!({
        "changeType": "created",
        "notificationUrl": receiver.url(&format!("n?code={}", CANARIES[1])),
        "lifecycleNotificationUrl": receiver.url(&format!("l?code={}", CANARIES[2])),
        "resource": "users/adele@contoso.test/messages",
        "expirationDateTime": support::in_hours(1),
        "clientState": CANARIES[0],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_do_not_leak() {
    let data = tempfile::tempdir().unwrap();
    let log = data.path().join("log");
    let process = Process::start_logging(data.path(), File::create(&log).unwrap());
    let (client, receiver, token) = (Client::new(), Receiver::start().await, process.app_token().to_owned());
    let subscriptions = format!("{}/v1.0/subscriptions", process.http());
    let (status, created) = post(&client, &subscriptions, &token, &planted(&receiver)).await.unwrap();
    assert_eq!(status, 201, "{created}");

    // Attempts fail and are logged.
    receiver.refuse("n", 1);
    let messages = format!("{}/v1.0/users/adele@contoso.test/messages", process.http());
    post(&client, &messages, &token, &json!({"subject": "hello"})).await.unwrap();
    support::until("an attempt has failed", Duration::from_secs(20), || receiver.posts("n") > 0).await;

    // Refusals name the field, not what is in it.
    let with = |name: &str, value: Value| {
        let mut request = planted(&receiver);
        request[name] = value;
        request
    };
    let bad = [
        with("clientState", json!(CANARIES[0].repeat(10))),
        with("clientState", json!([CANARIES[0]])),
        with("notificationUrl", json!(format!("ftp://localhost/?code={}", CANARIES[1]))),
        with("notificationUrl", json!(format!("http://localhost:1/?code={}", CANARIES[1]))),
        with("lifecycleNotificationUrl", json!(format!("http://localhost:1/?code={}", CANARIES[2]))),
        with("expirationDateTime", json!("never")),
    ];
    for request in bad {
        let (status, refusal) = post(&client, &subscriptions, &token, &request).await.unwrap();
        assert_eq!(status, 400, "{refusal}");
        assert_silent("a refusal", &refusal.to_string());
    }
    let (_, list) = get(&client, &subscriptions, &token).await.unwrap();
    assert!(!list.to_string().contains(CANARIES[0]), "{list}");
    let admin_token = process.ready()["adminToken"].as_str().unwrap().to_owned();
    let admin = process.ready()["admin"].as_str().unwrap().to_owned();
    for path in ["/admin/subscriptions", "/admin/status"] {
        let (status, answer) = get(&client, &format!("{admin}{path}"), &admin_token).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        assert_silent(path, &answer.to_string());
    }
    let endpoint = format!("{}/contoso.test/oauth2/v2.0/token", process.http());
    let form = format!(
        "grant_type=client_credentials&client_id=507c3b9a-67b8-463d-88a2-15a8cefb2111&client_secret={}",
        CANARIES[3]
    );
    assert_silent("the token endpoint", &support::post_form(&client, &endpoint, form).await.unwrap());

    let app_token_tail = token.rsplit('.').next().unwrap().to_owned();
    process.stop();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("attempt failed"), "the failed attempt was logged: {log}");
    assert_silent("the log", &log);
    assert!(!log.contains(&app_token_tail) && !log.contains(&admin_token), "the log tells a token");
}
