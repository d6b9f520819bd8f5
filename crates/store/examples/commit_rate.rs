//! Measures the embedded store on a real disk: commits of one new item and one change from many tasks,
//! then point reads. `cargo run --release -p tidings-store --example commit_rate [DIR]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use graph::mailbox::conversation_id;
use graph::{Item, UserId, WellKnown};
use serde_json::json;
use tidings_store::sqlite::SqliteStore;
use tidings_store::{ItemQuery, Store};
use uuid::Uuid;

#[path = "../tests/support/mod.rs"]
mod support;
use support::{create, edited, item_id, keys, message, settle, user};

const TASKS: u128 = 64;
const MADE_IN_A_MILLISECOND: u64 = 8;
/// Of each task: the trees of the database grow alike on every machine.
const ACTS: usize = 1_000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    for mailboxes in [5, 1_000] {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let directory = std::env::args().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
        let store = SqliteStore::open(directory.join(mailboxes.to_string()), keys(&[1]), Arc::new(|_, _| {}));
        let store = Arc::new(store.expect("a new store"));
        settle(&*store).await;
        for mailbox in 0..mailboxes {
            store.add_user(user(mailbox_id(mailbox), &format!("user{mailbox}@contoso.test"))).await.expect("a user");
        }
        println!("{mailboxes} mailboxes, {TASKS} tasks");
        let (before, cost_before) = (store.counters(), writer_cost());
        let shared = Arc::clone(&store);
        measure("commits", move |task, number| {
            let store = Arc::clone(&shared);
            async move {
                let mailbox = mailbox_id((number * TASKS + task) % mailboxes);
                let item = message(mailbox, made(task, number), i64::try_from(number).expect("small"));
                let item = like_mail(&item, scattered(task, number));
                store.commit(create(&item)).await.expect("a commit");
            }
        })
        .await;
        let counters = store.counters();
        println!("  {:.1} commits to a sync", counters.log_rows as f64 / (counters.commits - before.commits) as f64);
        if let Some(((micros, bytes), (micros_before, bytes_before))) = writer_cost().zip(cost_before) {
            let each = |sum: u64| sum as f64 / counters.log_rows as f64;
            let (micros, bytes) = (each(micros - micros_before), each(bytes - bytes_before));
            println!("  each took {micros:.0} us of the writer's CPU and wrote {:.1} KiB", bytes / 1024.0);
        }
        let shared = Arc::clone(&store);
        measure("point reads", move |task, number| {
            let store = Arc::clone(&shared);
            async move {
                let number = number % 500;
                let mailbox = mailbox_id((number * TASKS + task) % mailboxes);
                store.item(mailbox, item_id(made(task, number))).await.expect("a read");
            }
        })
        .await;
        let shared = Arc::clone(&store);
        measure("pages of 10", move |task, number| {
            let store = Arc::clone(&shared);
            async move {
                let mailbox = mailbox_id((number * TASKS + task) % mailboxes);
                let kind = WellKnown::Inbox.kind();
                let query = ItemQuery::newest(mailbox, kind, None, 10);
                store.items(query).await.expect("a read");
            }
        })
        .await;
        store.close().await;
    }
}

/// Microseconds of CPU that the writer's thread has used, and bytes that the process has written; Linux tells.
fn writer_cost() -> Option<(u64, u64)> {
    let mut threads = std::fs::read_dir("/proc/self/task").ok()?.filter_map(|thread| Some(thread.ok()?.path()));
    let named =
        |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("store-wri"));
    let schedule = std::fs::read_to_string(threads.find(named)?.join("schedstat")).ok()?;
    let nanos: u64 = schedule.split_whitespace().next()?.parse().ok()?;
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    let bytes = io.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse().ok()?;
    Some((nanos / 1_000, bytes))
}

fn mailbox_id(number: u128) -> UserId {
    UserId(Uuid::from_u128(0x1000 + number))
}

/// What lists find a message by, and some text.
fn like_mail(item: &Item, random: u128) -> Item {
    let from = json!({ "emailAddress": { "address": format!("person{}@contoso.test", random % 997) } });
    let mut item = edited(item, "bodyPreview", "x".repeat(600).into());
    item.properties.insert("from".to_owned(), from);
    item.properties.insert("subject".to_owned(), format!("Notes of the meeting on {}", random % 10_007).into());
    let message_id = format!("<{}@contoso.test>", item.id.uuid);
    item.properties.insert("conversationId".to_owned(), conversation_id(&message_id).into());
    item.properties.insert("internetMessageId".to_owned(), message_id.into());
    item
}

/// An id as the server makes them: it leads with the time.
fn made(task: u128, number: u128) -> u128 {
    let millis = 1_800_000_000_000 + u64::try_from(number * TASKS + task).unwrap_or_default() / MADE_IN_A_MILLISECOND;
    let random = scattered(task, number).to_be_bytes();
    let random = std::array::from_fn(|at| random[at]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_u128()
}

fn scattered(task: u128, number: u128) -> u128 {
    (number * TASKS + task + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

async fn measure<F>(what: &str, act: impl Fn(u128, u128) -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let act = act.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while latencies.len() < ACTS {
                    let from = Instant::now();
                    act(task, latencies.len() as u128).await;
                    latencies.push(from.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut acts = Vec::new();
    for task in tasks {
        acts.extend(task.await.expect("a task that ends"));
    }
    acts.sort();
    let rate = acts.len() as f64 / begun.elapsed().as_secs_f64();
    let quantile = |of: f64| acts[((acts.len() - 1) as f64 * of) as usize];
    println!("  {what}: {rate:.0}/s, p50 {:?}, p99 {:?}, most {:?}", quantile(0.5), quantile(0.99), quantile(1.0));
}
