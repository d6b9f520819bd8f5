//! Measures reads of one large mailbox: pages of lists by what they are filtered and ordered by, counts, and
//! deltas. `cargo run --release -p tidings-store --example large_mailbox [MESSAGES]...`

use std::sync::Arc;
use std::time::{Duration, Instant};

use graph::query::Query;
use graph::{Item, Kind, Mutation, WellKnown};
use serde_json::json;
use tempfile::TempDir;
use tidings_store::sqlite::SqliteStore;
use tidings_store::{Commit, DeltaPlace, DeltaQuery, ItemQuery, Revision, Store};

#[path = "../tests/support/mod.rs"]
mod support;
use support::{MEGAN, commit_of, edited, keys, message, settle, update};

const TIMES: u32 = 100;
/// Of those that look at every message.
const TIMES_WHOLE: u32 = 5;
const PAGE: u64 = 10;
const COMMIT_ITEMS: u128 = 500;

/// Filters with orders, of which each names what it finds messages by.
const LISTS: [(&str, &str); 12] = [
    ("", ""),
    ("receivedDateTime ge 2027-01-15T10:00:00Z", "receivedDateTime"),
    ("isRead eq false", ""),
    ("isRead eq true and receivedDateTime ge 2027-01-15T08:00:00Z", ""),
    ("from/emailAddress/address eq 'person7@contoso.test'", ""),
    ("startswith(subject,'notes 77')", "subject"),
    ("", "subject desc"),
    ("", "from/emailAddress/address"),
    ("", "isRead"),
    ("internetMessageId eq '<777@mail.contoso.test>'", ""),
    ("conversationId eq 'conversation 77'", ""),
    ("conversationId eq 'conversation 77' and receivedDateTime ge 2027-01-15T08:00:00Z", ""),
];

/// What no index finds.
const WHOLE: [(&str, &str); 3] =
    [("importance eq 'high' and contains(subject,'nowhere')", ""), ("", "importance"), ("", "sentDateTime desc")];

#[tokio::main(worker_threads = 2)]
async fn main() {
    let asked: Vec<u128> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![1_000, 10_000, 100_000] } else { asked };
    println!("| messages | read | p50 ms | p95 ms |\n| ---: | --- | ---: | ---: |");
    for size in sizes {
        let directory = TempDir::new().expect("a temporary directory");
        let store = SqliteStore::open(directory.path(), keys(&[1]), Arc::new(|_, _| {})).expect("a new store");
        settle(&store).await;
        fill(&store, size).await;
        let before = resident_mib();
        for (filter, order) in LISTS {
            page(&store, size, (filter, order), TIMES).await;
        }
        let query = ItemQuery { query: read(("isRead eq false", "")), ..newest() };
        let count = async || assert!(store.count_items(query.clone()).await.is_ok(), "a count");
        report(size, "count of isRead eq false", measure(TIMES_WHOLE, count).await);
        for (filter, order) in WHOLE {
            page(&store, size, (filter, order), TIMES_WHOLE).await;
        }
        deltas(&store, size).await;
        println!("| {size} | resident memory: {before} MiB before the reads, {} MiB after | | |", resident_mib());
        store.close().await;
    }
}

/// A message of about 3 KiB; one in five lies in the Archive.
fn mail(number: u128) -> Item {
    let mut item = message(MEGAN, number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835), number as i64);
    if number.is_multiple_of(5) {
        item.folder = WellKnown::Archive.id_in(MEGAN);
    }
    let importance = if number.is_multiple_of(100) { "high" } else { "normal" };
    let properties = [
        ("isRead", json!(!number.is_multiple_of(10))),
        ("subject", json!(format!("Notes {} of the meeting", number % 9_973))),
        ("from", json!({ "emailAddress": { "address": format!("person{}@contoso.test", number % 997) } })),
        ("internetMessageId", json!(format!("<{number}@mail.contoso.test>"))),
        ("conversationId", json!(format!("conversation {}", number / 7))),
        ("importance", json!(importance)),
        ("sentDateTime", item.properties["receivedDateTime"].clone()),
        ("bodyPreview", json!("p".repeat(255))),
        ("body", json!({ "contentType": "html", "content": "b".repeat(2_000) })),
    ];
    item.properties.extend(properties.map(|(name, value)| (name.to_owned(), value)));
    item
}

async fn fill(store: &SqliteStore, size: u128) {
    for first in (0..size).step_by(COMMIT_ITEMS as usize) {
        let puts = (first..size.min(first + COMMIT_ITEMS)).map(mail).collect();
        let commit = commit_of(MEGAN, Mutation { puts, ..Mutation::default() });
        store.commit(Commit { quiet: true, ..commit }).await.expect("a commit");
    }
}

fn newest() -> ItemQuery {
    ItemQuery::newest(MEGAN, Kind::Message, None, PAGE)
}

fn read((filter, order): (&str, &str)) -> Query {
    let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
    Query::read(Kind::Message, given(filter), given(order)).expect("a query")
}

async fn page(store: &SqliteStore, size: u128, asked: (&str, &str), times: u32) {
    let query = ItemQuery { query: read(asked), ..newest() };
    let page = async || drop(store.items(query.clone()).await.expect("a page"));
    let what = match asked {
        ("", "") => "newest".to_owned(),
        (filter, "") => filter.to_owned(),
        ("", order) => format!("by {order}"),
        (filter, order) => format!("{filter}, by {order}"),
    };
    report(size, &what, measure(times, page).await);
}

/// Ten messages change, then what has changed is read.
async fn deltas(store: &SqliteStore, size: u128) {
    for (name, folder) in [("in the Inbox", Some(WellKnown::Inbox.id_in(MEGAN))), ("in the mailbox", None)] {
        let place = DeltaPlace::Items(Kind::Message, folder);
        let begun = DeltaQuery { mailbox: MEGAN, place, since: Revision(0), removals_since: Revision(0), limit: 1 };
        let mut since = store.delta(begun).await.expect("a delta").now;
        let mut times = Vec::new();
        for round in 0..TIMES {
            for number in 1..=10 {
                let number = (u128::from(round) * 131 + number * 5 + 1) % size;
                let old = store.item(MEGAN, mail(number).id).await.expect("a read").expect("a message");
                store.commit(update(&old, &edited(&old, "flag", json!(round)))).await.expect("a commit");
            }
            let from = Instant::now();
            let delta = store.delta(DeltaQuery { since, removals_since: since, limit: 100, ..begun }).await;
            times.push(from.elapsed());
            since = delta.expect("a delta").until;
        }
        report(size, &format!("delta of 10 changes {name}"), times);
    }
}

async fn measure(times: u32, act: impl AsyncFn()) -> Vec<Duration> {
    let mut taken = Vec::new();
    for _ in 0..times {
        let from = Instant::now();
        act().await;
        taken.push(from.elapsed());
    }
    taken
}

fn report(size: u128, what: &str, mut times: Vec<Duration>) {
    times.sort();
    let quantile = |of: f64| times[((times.len() - 1) as f64 * of) as usize].as_secs_f64() * 1_000.0;
    println!("| {size} | {what} | {:.2} | {:.2} |", quantile(0.5), quantile(0.95));
}

/// Linux tells; 0 elsewhere.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1_024
}
