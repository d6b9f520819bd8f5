//! Measures what sealing costs a store with many subscriptions: what a node reads when it starts, and the start with
//! a new key. `cargo run --release -p tidings-store --example sealed_subscriptions [SUBSCRIPTIONS]`

use std::sync::Arc;
use std::time::Instant;

use graph::{Partition, UserId};
use notify::Subscription;
use tempfile::TempDir;
use tidings_store::Store;
use tidings_store::sqlite::SqliteStore;
use tokio::task::JoinSet;
use uuid::Uuid;

#[path = "../tests/support/mod.rs"]
mod support;
use support::{ROOMY, keys, settle, subscription, user};

const FOR_EACH_MAILBOX: u128 = 100;
/// Subscriptions that begin at a time.
const AT_A_TIME: usize = 1_000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let directory = TempDir::new().expect("a temporary directory");
    let open = |numbers| SqliteStore::open(directory.path(), keys(numbers), Arc::new(|_, _| {})).expect("it opens");
    let store = Arc::new(open(&[1]));
    fill(&store, count).await;

    let begun = Instant::now();
    let mut read = 0;
    for partition in Partition::all() {
        read += store.partition_state(partition).await.expect("a state").subscriptions.len();
    }
    println!("{read} subscriptions read in {:?}", begun.elapsed());

    let (keys, plain) = (keys(&[1]), serde_json::to_vec(&planted(0)).expect("JSON"));
    let begun = Instant::now();
    let sealed: Vec<_> = (0..count).map(|_| keys.seal("subscription.state", &[0; 16], &plain)).collect();
    println!("{count} values of {} bytes sealed in {:?}", plain.len(), begun.elapsed());
    let begun = Instant::now();
    let opened = sealed.iter().filter(|sealed| keys.open("subscription.state", &[0; 16], sealed).is_ok()).count();
    println!("{opened} values opened in {:?}", begun.elapsed());

    store.close().await;
    drop(store);
    let begun = Instant::now();
    drop(open(&[1]));
    println!("opened again in {:?}", begun.elapsed());
    let begun = Instant::now();
    drop(open(&[2, 1]));
    println!("opened with a new key in {:?}", begun.elapsed());
}

async fn fill(store: &Arc<SqliteStore>, count: u128) {
    settle(&**store).await;
    for number in 0..=count / FOR_EACH_MAILBOX {
        store.add_user(user(mailbox(number), &format!("user{number}@contoso.test"))).await.expect("a user");
    }
    let mut begins = JoinSet::new();
    for number in 0..count {
        let store = Arc::clone(store);
        begins
            .spawn(async move { store.begin_subscription(Arc::new(planted(number)), ROOMY).await.expect("it begins") });
        if begins.len() >= AT_A_TIME {
            begins.join_next().await;
        }
    }
    begins.join_all().await;
}

fn mailbox(number: u128) -> UserId {
    UserId(Uuid::from_u128(0x10_0000 + number))
}

/// Of usual size.
fn planted(number: u128) -> Subscription {
    Subscription {
        notification_url: format!("https://receiver.contoso.test/graph/notifications?code={number:048x}"),
        lifecycle_url: Some(format!("https://receiver.contoso.test/graph/lifecycle?code={number:048x}")),
        client_state: Some(format!("{number:064x}")),
        ..subscription(0x1000 + number, mailbox(number / FOR_EACH_MAILBOX))
    }
}
