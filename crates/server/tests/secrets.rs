//! Canaries in every secret field: none may appear in a log line, an error, a list or an admin answer, nor in
//! any file of the data directory.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::process::{self, Process};
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
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let process = Process::start_logging(home.path(), File::create(&log).unwrap());
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

/// Every file below a directory, with its content.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![(path.clone(), fs::read(&path).unwrap())],
    };
    paths.flat_map(below).collect()
}

/// That no canary is in the data directory, though it is searched where the mail lies.
fn assert_sealed(when: &str, home: &Path) {
    let files = files(&process::data_dir(home));
    let texts: Vec<_> = files.iter().map(|(path, bytes)| (path, String::from_utf8_lossy(bytes))).collect();
    assert!(texts.iter().any(|(_, text)| text.contains("subject of the mail")), "{when}: the mail is found");
    for (path, text) in texts {
        // Under the last name the private keys that sign tokens are kept.
        for canary in CANARIES.into_iter().chain(["pkcs8"]) {
            assert!(!text.contains(canary), "{when}: {} has {canary}", path.display());
        }
    }
}

fn key_file(home: &Path, action: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let output = command.args(["key-file", action, "--data-dir"]).arg(process::data_dir(home)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server in whose data a subscription with canaries has a delivery parked; with the subscription's path.
async fn with_a_parked_delivery(home: &Path, client: &Client, receiver: &Receiver) -> (Process, String) {
    let process = Process::start(home);
    let token = process.app_token();
    receiver.refuse("n", 1);
    let subscriptions = format!("{}/v1.0/subscriptions", process.http());
    let (status, created) = post(client, &subscriptions, token, &planted(receiver)).await.unwrap();
    assert_eq!(status, 201, "{created}");
    let path = format!("/v1.0/subscriptions/{}", created["id"].as_str().unwrap());
    let patch = json!({"notificationUrl": receiver.url(&format!("n?code={}&patched", CANARIES[1]))});
    let url = format!("{}{path}", process.http());
    assert_eq!(client.send(Method::PATCH, &url, token, Some(&patch)).await.unwrap().0, 200);
    let messages = format!("{}/v1.0/users/adele@contoso.test/messages", process.http());
    post(client, &messages, token, &json!({"subject": "subject of the mail"})).await.unwrap();
    let admin = format!("{}/admin/subscriptions", process.ready()["admin"].as_str().unwrap());
    let admin_token = process.ready()["adminToken"].as_str().unwrap();
    let parked = tokio::time::timeout(Duration::from_secs(20), async {
        let is_parked = |list: Value| list["subscriptions"][0]["ledger"]["parked"] == 1;
        while !is_parked(get(client, &admin, admin_token).await.unwrap().1) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    parked.await.expect("the delivery is parked");
    (process, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sealed() {
    let (directory, client, receiver) = (tempfile::tempdir().unwrap(), Client::new(), Receiver::start().await);
    let home = directory.path();
    let (mut process, path) = with_a_parked_delivery(home, &client, &receiver).await;
    assert_sealed("a delivery is parked", home);
    process.kill();
    assert_sealed("the process was killed", home);

    receiver.refuse("n", 0);
    let process = Process::start(home);
    support::until("the delivery arrives", Duration::from_secs(60), || receiver.acknowledged_count() > 0).await;
    assert_eq!(receiver.acknowledged()[0]["clientState"], CANARIES[0]);
    assert_sealed("it has started again", home);
    process.stop();
    assert_sealed("it has ended", home);

    let before = fs::read(process::key_file(home)).unwrap();
    key_file(home, "rotate");
    let process = Process::start(home);
    assert!(key_file(home, "prune").starts_with("dropped the key "));
    assert_sealed("it has a new key", home);
    process.stop();
    let process = Process::start(home);
    let url = format!("{}{path}", process.http());
    let (_, shown) = get(&client, &url, process.app_token()).await.unwrap();
    assert_eq!(shown["clientState"], CANARIES[0]);
    process.stop();

    fs::write(process::key_file(home), before).unwrap();
    let refusal = Process::refusal(home);
    assert!(refusal.contains("which the key file") && refusal.contains("--key-file FILE"), "{refusal}");
    fs::remove_file(process::key_file(home)).unwrap();
    let refusal = Process::refusal(home);
    assert!(refusal.contains("there is no key file") && refusal.contains("--key-file FILE"), "{refusal}");
    assert!(!process::key_file(home).exists());
}
