//! A queue with very many events that were received and that nobody acknowledges: rows, and not memory, and none is lost.
//! Alone in this file, since it looks at what the process holds. `TIDINGS_PENDING` sets how many; 10,000 by default.

use std::collections::BTreeSet;
use std::sync::Arc;

use notify::topic::{CloudEvent, EventCounts, Settlement};
use serde_json::json;
use tempfile::TempDir;
use tidings_store::sqlite::SqliteStore;
use tidings_store::{EventSubscriptionKey, Namesake, Received, Settle, Store, TokenFailure};

use self::support::*;

mod support;

const PUBLISHED_AT_A_TIME: usize = 1_000;
const RECEIVED_AT_A_TIME: usize = 100;
const DATA_BYTES: usize = 1_024;
/// What the process may hold more when all events are locked than when a tenth is: a part of what they have, and what a
/// cache of pages takes.
const GROWTH_SHARE: usize = 4;
const GROWTH_BYTES_LEAST: usize = 4 << 20;
/// Until locks run out.
const LOCK: i64 = 60;

/// Resident memory, where the kernel tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

/// The queue, and the tokens of what was received from it.
struct Pulled {
    store: SqliteStore,
    key: EventSubscriptionKey,
    tokens: Vec<String>,
    ids: BTreeSet<String>,
}

impl Pulled {
    async fn publish(&self, events: usize) {
        let numbers: Vec<usize> = (0..events).collect();
        for chunk in numbers.chunks(PUBLISHED_AT_A_TIME) {
            let event = |number: &usize| {
                let event = json!({"specversion": "1.0", "id": number.to_string(), "source": "/tests", "type": "t",
                                   "data": "x".repeat(DATA_BYTES)});
                CloudEvent::from_json(event.to_string().as_bytes()).unwrap()
            };
            self.store.publish(self.key.topic, chunk.iter().map(event).collect(), at(0)).await.unwrap();
        }
    }

    async fn receive(&mut self, second: i64) -> Received {
        let received = self.store.receive(self.key.clone(), RECEIVED_AT_A_TIME, at(second)).await.unwrap();
        for locked in &received.events {
            self.tokens.push(locked.lock_token.clone());
            assert!(self.ids.insert(locked.event.event.attributes().id.clone()), "it is locked by who received it");
        }
        received
    }

    /// Receives until so many are locked.
    async fn receive_to(&mut self, events: usize, second: i64) {
        while self.tokens.len() < events {
            assert!(!self.receive(second).await.events.is_empty(), "{} of {events}", self.tokens.len());
        }
    }

    async fn acknowledge(&self, tokens: &[String], second: i64) -> Vec<Result<(), TokenFailure>> {
        let settle = Settle { tokens: tokens.to_vec(), how: Settlement::Acknowledge, now: at(second) };
        self.store.settle(self.key.clone(), settle).await.unwrap()
    }

    async fn counts(&self) -> EventCounts {
        self.store.event_subscription(self.key.clone()).await.unwrap().unwrap().1
    }
}

#[tokio::test]
async fn a_queue_full_of_unacknowledged_events_takes_little_memory_and_loses_none() {
    let all: usize = std::env::var("TIDINGS_PENDING").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(directory.path(), keys(&[1]), Heard::default().publish()).unwrap();
    let topic = store.open_topic(Arc::new(topic(1)), 1, at(0)).await.unwrap();
    store.put_event_subscription(Namesake::None, Arc::new(queue_of(&topic, "all")), 1).await.unwrap();
    let key = EventSubscriptionKey::new(topic.id, "all");
    let mut pulled = Pulled { store, key, tokens: Vec::new(), ids: BTreeSet::new() };
    pulled.publish(all).await;

    pulled.receive_to(all / 10, 0).await;
    let before = resident_bytes();
    pulled.receive_to(all, 0).await;
    if let Some((before, after)) = before.zip(resident_bytes()) {
        println!("{all} events are locked: {} KiB more than with a tenth", after.saturating_sub(before) / 1_024);
        let most = GROWTH_BYTES_LEAST.max(all * DATA_BYTES / GROWTH_SHARE) as u64;
        assert!(after.saturating_sub(before) <= most, "{before} bytes became {after}");
    }
    assert_eq!(pulled.counts().await, EventCounts { matched: all as u64, ..EventCounts::default() });
    let nothing = pulled.receive(LOCK - 1).await;
    assert_eq!((nothing.events.len(), nothing.more, nothing.due), (0, false, Some(at(LOCK))));
    let (first, last) = (pulled.tokens[0].clone(), pulled.tokens[all - 1].clone());
    assert_eq!(pulled.acknowledge(&[first.clone(), last], LOCK - 1).await, [Ok(()), Ok(())]);

    let late = std::mem::take(&mut pulled.tokens);
    pulled.ids.clear();
    pulled.receive_to(all - 2, LOCK).await;
    assert_eq!(pulled.receive(LOCK).await.events, []);
    let lost = pulled.acknowledge(&[first, late[1].clone()], LOCK).await;
    assert_eq!(lost, [Err(TokenFailure::Lost), Err(TokenFailure::Lost)]);
    for tokens in pulled.tokens.chunks(PUBLISHED_AT_A_TIME) {
        assert!(pulled.acknowledge(tokens, LOCK).await.iter().all(Result::is_ok));
    }
    let all = all as u64;
    assert_eq!(pulled.counts().await, EventCounts { matched: all, acknowledged: all, ..EventCounts::default() });
    pulled.store.close().await;
}
