//! Canaries in every secret field, and in what resource data tells: none may appear in a log line, an error, a list
//! or an admin answer, nor, apart from mail itself, in any file of the data directory.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use support::process::{self, Process};
use support::receiver::Receiver;
use support::{Client, get, post};

/// In `clientState`, in the query of each URL, and in a client secret that is wrong.
const CANARIES: [&str; 4] =
    ["canary-of-the-client-state", "canary-of-the-url", "canary-of-the-lifecycle-url", "canary-of-the-app"];

/// In a subject, a body, the name of an attendee and that of a contact.
const DATA_CANARIES: [&str; 4] =
    ["canary-of-the-subject", "canary-of-the-body", "canary-of-the-attendee", "canary-of-the-contact"];

const CERTIFICATE: &str = include_str!("../../protocol/tests/data/throwaway_certificate_2048.pem");
const PRIVATE_KEY: &str = include_str!("../../protocol/tests/data/throwaway_key_2048.pem");

/// A line from the middle of a PEM text.
fn line_of(pem: &str) -> &str {
    pem.lines().nth(5).unwrap()
}

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
        "resource": "users/adele@contoso.test/messages?$select=subject,bodyPreview",
        "expirationDateTime": support::in_hours(1),
        "clientState": CANARIES[0],
        "includeResourceData": true,
        "encryptionCertificate": CERTIFICATE,
        "encryptionCertificateId": "throwaway",
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
        with("encryptionCertificate", json!(PRIVATE_KEY)),
    ];
    for request in bad {
        let (status, refusal) = post(&client, &subscriptions, &token, &request).await.unwrap();
        assert_eq!(status, 400, "{refusal}");
        assert_silent("a refusal", &refusal.to_string());
        assert!(!refusal.to_string().contains(line_of(PRIVATE_KEY)), "{refusal}");
    }
    let (_, list) = get(&client, &subscriptions, &token).await.unwrap();
    assert!(!list.to_string().contains(CANARIES[0]), "{list}");
    let admin_token = process.ready()["adminToken"].as_str().unwrap().to_owned();
    let admin = process.ready()["admin"].as_str().unwrap().to_owned();
    for path in ["/admin/subscriptions", "/admin/status", "/admin/attempts"] {
        let (status, answer) = get(&client, &format!("{admin}{path}"), &admin_token).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        assert_silent(path, &answer.to_string());
    }
    let metrics = support::text(&client, &format!("{admin}/metrics"), &admin_token).await.unwrap();
    assert!(metrics.contains(r#"tidings_attempt_duration_seconds_count{outcome="refused"} "#), "{metrics}");
    assert_silent("/metrics", &metrics);
    for secret in ["contoso.test", "adele", &admin_token, &token] {
        assert!(!metrics.contains(secret), "/metrics tells {secret}: {metrics}");
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
    assert!(!log.contains(line_of(PRIVATE_KEY)), "the log tells a private key that an app sent by mistake");
    assert!(!log.contains(&app_token_tail) && !log.contains(&admin_token), "the log tells a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topic_keys_and_events_do_not_leak() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let process = Process::start_logging(home.path(), File::create(&log).unwrap());
    let (client, http) = (Client::new(), process.http().to_owned());
    let form = "grant_type=client_credentials&client_id=507c3b9a-67b8-463d-88a2-15a8cefb2111&client_secret=secret\
                &scope=https%3A%2F%2Fmanagement.azure.com%2F.default";
    let issuer = format!("{http}/contoso.test/oauth2/v2.0/token");
    let given = support::post_form(&client, &issuer, form.to_owned()).await.unwrap();
    let given: Value = serde_json::from_str(&given).unwrap();
    let token = given["access_token"].as_str().unwrap_or_else(|| panic!("{given}"));
    let topic = format!(
        "{http}/subscriptions/8d4f6d16-47a1-4b9c-9b4f-0c7e4fbd5d3a/resourceGroups/rg1/providers/Microsoft.EventGrid\
         /partnerTopics/mail"
    );
    let managed = |below: &str| format!("{topic}{below}?api-version=2025-02-15");
    let wanted = json!({"location": "westeurope", "properties": {"activationState": "Activated"}});
    let (status, made) = client.send(Method::PUT, &managed(""), token, Some(&wanted)).await.unwrap();
    assert_eq!(status, 201, "{made}");
    let (_, keys) = post(&client, &managed("/listKeys"), token, &json!({})).await.unwrap();
    let keys = ["key1", "key2"].map(|name| keys[name].as_str().unwrap().to_owned());

    let encoded = keys[0].replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let publish = format!("{http}/topics/mail:publish?api-version=2024-06-01&aeg-sas-key={encoded}");
    let request = |body: Value| {
        http::Request::post(&publish)
            .header("content-type", "application/cloudevents+json")
            .body(body.to_string())
            .unwrap()
    };
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "T", "data": DATA_CANARIES[1]});
    for (body, status) in [(json!({"no": "event"}), 400), (event, 200)] {
        let answered = support::request(&client, request(body)).await.unwrap();
        assert_eq!(answered.0, status, "{}", answered.1);
        assert!(keys.iter().all(|key| !answered.1.to_string().contains(key)), "{}", answered.1);
    }
    let admin_token = process.ready()["adminToken"].as_str().unwrap().to_owned();
    let admin = process.ready()["admin"].as_str().unwrap().to_owned();
    let (_, listed) = get(&client, &format!("{admin}/admin/topics"), &admin_token).await.unwrap();
    assert_eq!(listed["value"][0]["events"], 1, "{listed}");
    let metrics = support::text(&client, &format!("{admin}/metrics"), &admin_token).await.unwrap();
    process.stop();
    let log = fs::read_to_string(log).unwrap();
    for key in &keys {
        assert!(!listed.to_string().contains(key) && !metrics.contains(key), "an answer tells a key");
        assert!(!log.contains(key) && !log.contains(&encoded), "the log tells a key: {log}");
    }
    assert!(!log.contains(DATA_CANARIES[1]), "the log tells what is in an event");
    for (path, bytes) in files(&process::data_dir(home.path())) {
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!keys.iter().any(|key| holds(key)), "{} holds a topic's key", path.display());
    }
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
        for canary in CANARIES.into_iter().chain(["pkcs8", line_of(CERTIFICATE)]) {
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
async fn theft_of_the_data_directory_tells_no_secret() {
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

/// The keys that content was sealed with in the bodies that a receiver was sent.
fn content_keys(bodies: &[Value]) -> Vec<Vec<u8>> {
    let private = PrivatePkcs8KeyDer::from_pem_slice(PRIVATE_KEY.as_bytes()).unwrap();
    let private = PrivateDecryptingKey::from_pkcs8(private.secret_pkcs8_der()).unwrap();
    let private = OaepPrivateDecryptingKey::new(private).unwrap();
    let items = bodies.iter().flat_map(|body| body["value"].as_array().unwrap());
    let keys = items.filter_map(|item| item["encryptedContent"]["dataKey"].as_str()).map(|sealed| {
        let (sealed, mut key) = (STANDARD.decode(sealed).unwrap(), vec![0; private.min_output_size()]);
        private.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut key, None).unwrap().to_vec()
    });
    keys.collect()
}

/// A key in each form in which something might write it down.
fn spellings(key: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let texts = [STANDARD.encode(key), URL_SAFE_NO_PAD.encode(key), hex.to_uppercase(), hex, format!("{key:?}")];
    texts.into_iter().map(String::into_bytes).chain([key.to_vec()]).collect()
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// The tables of a store that have a word in a value of any column, and how many tables were looked through.
fn tables_with(data: &Path, words: &[&str]) -> (BTreeSet<String>, usize) {
    let path = files(data).into_iter().find(|(path, _)| path.ends_with("tidings.db")).expect("there is a store").0;
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let has_one = |table: &String| {
        let mut rows = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query(()).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let holds = |column| match row.get_ref(column).unwrap() {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    words.iter().any(|word| contains(bytes, word.as_bytes()))
                }
                _ => false,
            };
            if (0..columns).any(holds) {
                return true;
            }
        }
        false
    };
    (tables.iter().filter(|table| has_one(table)).cloned().collect(), tables.len())
}

/// Makes, changes and deletes an item of each kind, with canaries in what is told of it.
async fn tell_canaries(client: &Client, process: &Process) {
    let (token, user) = (process.app_token(), format!("{}/v1.0/users/adele@contoso.test", process.http()));
    let attendee = json!({"emailAddress": {"name": DATA_CANARIES[2], "address": "a@example.org"}});
    let at = |hour| json!({"dateTime": format!("2026-03-02T{hour}:00:00"), "timeZone": "UTC"});
    let items = [
        (
            "messages",
            json!({"subject": DATA_CANARIES[0], "body": {"contentType": "text", "content": DATA_CANARIES[1]}}),
        ),
        ("events", json!({"subject": "e", "start": at("09"), "end": at("10"), "attendees": [attendee]})),
        ("contacts", json!({"displayName": DATA_CANARIES[3]})),
    ];
    for (kind, item) in items {
        let (status, made) = post(client, &format!("{user}/{kind}"), token, &item).await.unwrap();
        assert_eq!(status, 201, "{made}");
        let (_, other) = post(client, &format!("{user}/{kind}"), token, &item).await.unwrap();
        let path = |item: &Value| format!("{user}/{kind}/{}", item["id"].as_str().unwrap());
        let update = json!({"categories": ["Blue"]});
        let (status, _) = client.send(Method::PATCH, &path(&made), token, Some(&update)).await.unwrap();
        assert_eq!(status, 200);
        let (status, _) = client.send(Method::DELETE, &path(&other), token, None).await.unwrap();
        assert_eq!(status, 204);
    }
}

/// What the admin API answers, and the Graph API to somebody else than the app itself.
async fn told_to_others(client: &Client, process: &Process) -> Vec<String> {
    let ready = |name: &str| process.ready()[name].as_str().unwrap();
    let (admin, admin_token) = (ready("admin"), ready("adminToken"));
    let (_, listed) = get(client, &format!("{admin}/admin/subscriptions"), admin_token).await.unwrap();
    let mut told = vec![listed.to_string()];
    for subscription in listed["subscriptions"].as_array().unwrap() {
        let url = format!("{admin}/admin/subscriptions/{}/ledger", subscription["id"].as_str().unwrap());
        told.push(get(client, &url, admin_token).await.unwrap().1.to_string());
    }
    told.push(get(client, &format!("{admin}/admin/status"), admin_token).await.unwrap().1.to_string());
    let attempts = get(client, &format!("{admin}/admin/attempts?$top=1000"), admin_token).await.unwrap().1.to_string();
    assert!(attempts.contains(r#""outcome":"refused""#), "the failed attempt is told: {attempts}");
    told.push(attempts);
    let subscriptions = format!("{}/v1.0/subscriptions", process.http());
    told.push(get(client, &subscriptions, ready("token")).await.unwrap().1.to_string());
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_in_logs_or_answers_is_not_found_nor_are_its_keys_anywhere() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let mut process = Process::start_logging(home.path(), File::create(&log).unwrap());
    let (client, receiver, token) = (Client::new(), Receiver::start().await, process.app_token().to_owned());
    let subscriptions = format!("{}/v1.0/subscriptions", process.http());
    // Messages are refused by a receiver that sends back what it was sent; the rest arrives.
    receiver.refuse("n", 1);
    for (kind, path) in [
        ("messages?$select=subject,bodyPreview", "n"),
        ("events?$select=subject,attendees", "ok"),
        ("contacts?$select=displayName", "ok"),
    ] {
        let mut request = planted(&receiver);
        request["changeType"] = json!("created,updated,deleted");
        request["resource"] = json!(format!("users/adele@contoso.test/{kind}"));
        request["notificationUrl"] = json!(receiver.url(path));
        let (status, created) = post(&client, &subscriptions, &token, &request).await.unwrap();
        assert_eq!(status, 201, "{created}");
    }
    tell_canaries(&client, &process).await;
    let arrived = || receiver.acknowledged_count() >= 8 && receiver.posts("n") >= 2;
    support::until("changes were told and refused", Duration::from_secs(30), arrived).await;

    let mut told = told_to_others(&client, &process).await;
    let bodies = receiver.bodies();
    process.kill();

    let keys: Vec<_> = content_keys(&bodies).iter().flat_map(|key| spellings(key)).collect();
    assert!(keys.len() >= 8 * 6, "each item has its key");
    told.push(fs::read_to_string(log).unwrap());
    assert!(told.last().unwrap().contains("attempt failed"), "the failed attempt was logged");
    let tokens = bodies.iter().flat_map(|body| body["validationTokens"].as_array().into_iter().flatten());
    let marks = tokens.map(|token| token.as_str().unwrap().rsplit('.').next().unwrap());
    let canaries = DATA_CANARIES.into_iter().chain(CANARIES).chain(marks).map(str::as_bytes);
    let secrets: Vec<&[u8]> = canaries.chain(keys.iter().map(Vec::as_slice)).collect();
    for text in &told {
        for secret in &secrets {
            let shown = String::from_utf8_lossy(secret);
            assert!(!contains(text.as_bytes(), secret), "{shown} is told in {text}");
        }
    }
    let data = process::data_dir(home.path());
    for (path, bytes) in files(&data) {
        for key in &keys {
            assert!(!contains(&bytes, key), "{} has a key", path.display());
        }
    }
    let (tables, looked_through) = tables_with(&data, &DATA_CANARIES);
    assert_eq!(tables, ["item", "log"].map(str::to_owned).into());
    assert!(looked_through > 10, "all tables were looked through");
    assert_eq!(tables_with(&data, &CANARIES).0, BTreeSet::new());
}
