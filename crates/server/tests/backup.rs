//! The procedure of docs/backup.md with the real program: a backup of a server under load, the loss of its data, and
//! a server that goes on with what was restored.

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use support::process::{Process, data_dir, key_file};
use support::receiver::Receiver;
use support::{Client, post};

const USER: &str = "adele@contoso.test";
const WRITERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// The ids of the messages whose creation was answered with 201.
type Written = Arc<Mutex<Vec<String>>>;

async fn write(client: &Client, process: &Process) -> String {
    let url = format!("{}/v1.0/users/{USER}/messages", process.http());
    let (status, answer) = post(client, &url, process.app_token(), &json!({"subject": "kept"})).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// Writers that go on until `stop` is set.
fn load(process: &Process, written: &Written, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
    let (url, token) = (format!("{}/v1.0/users/{USER}/messages", process.http()), process.app_token().to_owned());
    let writer = |_| {
        let (url, token, written, stop) = (url.clone(), token.clone(), Arc::clone(written), Arc::clone(stop));
        tokio::spawn(async move {
            let client = Client::new();
            while !stop.load(Ordering::Relaxed) {
                let (status, answer) = post(&client, &url, &token, &json!({"subject": "kept"})).await.unwrap();
                assert_eq!(status, 201, "{answer}");
                written.lock().unwrap().push(answer["id"].as_str().unwrap().to_owned());
            }
        })
    };
    (0..WRITERS).map(writer).collect()
}

async fn subscribe(client: &Client, process: &Process, receiver: &Receiver) -> String {
    let body = json!({
        "changeType": "created",
        "notificationUrl": receiver.url("changes"),
        "lifecycleNotificationUrl": receiver.url("life"),
        "resource": format!("users/{USER}/messages"),
        "expirationDateTime": support::in_hours(24),
    });
    let url = format!("{}/v1.0/subscriptions", process.http());
    let (status, answer) = post(client, &url, process.app_token(), &body).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

fn tidings(arguments: &[&str], directories: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(arguments);
    for (option, directory) in directories {
        command.arg(option).arg(directory);
    }
    command.output().unwrap()
}

fn assert_success(output: &Output) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

fn has_heard(receiver: &Receiver, item: &str) -> bool {
    receiver.acknowledged().iter().any(|heard| heard["resourceData"]["id"] == *item)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_backed_up_under_load_goes_on_where_it_was_restored() {
    let (lost, home, backups) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (backup, receiver, client) = (backups.path().join("backup"), Receiver::start().await, Client::new());
    let mut process = Process::start(lost.path());
    let subscription = subscribe(&client, &process, &receiver).await;
    let (written, stop) = (Written::default(), Arc::new(AtomicBool::new(false)));
    let writers = load(&process, &written, &stop);
    let count = || written.lock().unwrap().len();
    support::until("there is something to back up", PATIENCE, || count() >= 50).await;
    let before = written.lock().unwrap().clone();
    let to = backup.clone();
    let data = data_dir(lost.path());
    let made = tokio::task::spawn_blocking(move || tidings(&["backup"], &[("--data-dir", &data), ("--to", &to)]));
    let said = assert_success(&made.await.unwrap());
    assert!(said.contains("the key file") && said.contains("is NOT in the backup"), "{said}");
    support::until("the server goes on", PATIENCE, || count() >= before.len() + 20).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    process.kill();

    std::fs::copy(key_file(lost.path()), key_file(home.path())).unwrap();
    let directories =
        [("--from", &*backup), ("--data-dir", &*data_dir(home.path())), ("--key-file", &*key_file(home.path()))];
    assert_success(&tidings(&["restore"], &directories));
    let process = Process::start(home.path());
    for id in &before {
        let url = format!("{}/v1.0/users/{USER}/messages/{id}", process.http());
        let (status, answer) = support::get(&client, &url, process.app_token()).await.unwrap();
        assert_eq!(status, 200, "what was acknowledged before the backup is in it: {answer}");
    }
    let new = write(&client, &process).await;
    let all_heard = || before.iter().chain([&new]).all(|id| has_heard(&receiver, id));
    support::until("all of it is heard, and what is new", PATIENCE, all_heard).await;
    let is_missed = |heard: &Value| heard["lifecycleEvent"] == "missed" && heard["subscriptionId"] == *subscription;
    let missed = || receiver.acknowledged().iter().filter(|heard| is_missed(heard)).count();
    support::until("the app is told that it has missed something", PATIENCE, || missed() > 0).await;
    let counted = tokio::time::timeout(PATIENCE, counted(&client, &process, &subscription)).await;
    assert!(balances(&counted.unwrap()));
    assert_eq!(missed(), 1);
    process.stop();
    let said = assert_success(&tidings(&["doctor", "data"], &[("--data-dir", &data_dir(home.path()))]));
    assert!(said.starts_with("nothing is wrong"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_have_missed_something_is_told_so_although_nothing_changes() {
    let (lost, home, backups) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (backup, receiver, client) = (backups.path().join("backup"), Receiver::start().await, Client::new());
    let process = Process::start(lost.path());
    let subscription = subscribe(&client, &process, &receiver).await;
    process.stop();
    assert_success(&tidings(&["backup"], &[("--data-dir", &data_dir(lost.path())), ("--to", &backup)]));
    std::fs::copy(key_file(lost.path()), key_file(home.path())).unwrap();
    let directories =
        [("--from", &*backup), ("--data-dir", &*data_dir(home.path())), ("--key-file", &*key_file(home.path()))];
    assert_success(&tidings(&["restore"], &directories));
    let process = Process::start(home.path());
    let is_missed = |heard: &Value| heard["lifecycleEvent"] == "missed" && heard["subscriptionId"] == *subscription;
    let is_told = || receiver.acknowledged().iter().any(is_missed);
    support::until("the app is told that it has missed something", PATIENCE, is_told).await;
    process.stop();
}

async fn ledger(client: &Client, process: &Process, subscription: &str) -> Value {
    let (admin, token) = (process.ready()["admin"].as_str().unwrap(), process.ready()["adminToken"].as_str().unwrap());
    let url = format!("{admin}/admin/subscriptions/{subscription}/ledger");
    let (status, ledger) = support::get(client, &url, token).await.unwrap();
    assert_eq!(status, 200, "{ledger}");
    ledger
}

/// The ledger once a checkpoint has counted something.
async fn counted(client: &Client, process: &Process, subscription: &str) -> Value {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    loop {
        look.tick().await;
        let ledger = ledger(client, process, subscription).await;
        if ledger["matched"] != 0 {
            return ledger;
        }
    }
}

fn balances(ledger: &Value) -> bool {
    let abandoned = ledger["abandoned"].as_object().into_iter().flat_map(|reasons| reasons.values());
    let abandoned: i64 = abandoned.filter_map(Value::as_i64).sum();
    let of = |member: &str| ledger[member].as_i64().unwrap();
    of("matched") == of("delivered") + of("parked") + abandoned
}
