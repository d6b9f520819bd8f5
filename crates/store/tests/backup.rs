//! Copies of a store that is written meanwhile, and what a store that was put back has forgotten on purpose.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use graph::{Item, Partition, Timestamp};
use notify::{Checkpoint, Incident, Position};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tidings_store::sqlite::{Begun, CopyError, OpenError, SCHEMA_VERSION, SqliteStore, begin_generation, copy};
use tidings_store::{App, Generation, NodeId, Redeemable, RedeemableHash, RedeemableKind, Store};
use uuid::Uuid;

use self::support::*;

mod support;

/// Enough messages for a copy of several steps.
const MESSAGES: u128 = 120;
const INCIDENT: Incident = Incident { opened: Timestamp::from_seconds(1_800_000_000) };
const HASH: RedeemableHash = RedeemableHash([7; 32]);

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, keys(&[1]), Heard::default().publish()).unwrap()
}

/// A message of some 60 KB.
fn large_message(number: u128) -> Item {
    edited(&message(MEGAN, number, 1), "body", json!("b".repeat(60_000)))
}

/// A new directory with a copy of the store in another one.
fn copied(from: &Path, progress: impl FnMut(u64, u64)) -> TempDir {
    let to = TempDir::new().unwrap();
    let copied = copy(from, to.path().join("tidings.db"), progress).unwrap();
    assert_eq!((copied.schema, copied.partitions), (SCHEMA_VERSION, 256));
    assert_eq!(copied.keys, [keys(&[1]).first()].into());
    to
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_shows_one_moment_while_writes_go_on() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(directory.path()));
    settle(&*store).await;
    for number in 1..=MESSAGES {
        store.commit(create(&large_message(number))).await.unwrap();
    }
    let (from, writer, runtime) = (directory.path().to_owned(), store.clone(), tokio::runtime::Handle::current());
    let copying = tokio::task::spawn_blocking(move || {
        let mut during = Vec::new();
        let to = copied(&from, |_, _| {
            // Between any two steps a write is answered.
            let number = MESSAGES + 1 + during.len() as u128;
            runtime.block_on(writer.commit(create(&large_message(number)))).unwrap();
            during.push(number);
        });
        (to, during)
    });
    let (to, during) = copying.await.unwrap();
    assert!(during.len() > 1, "{during:?}");
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1, "it is one file");
    let copy = open(to.path());
    assert_eq!(copy.read_log(Partition::of(MEGAN), Position(0), 1_000).await.unwrap().len(), MESSAGES as usize);
    assert_eq!(copy.item(MEGAN, item_id(MESSAGES)).await, Ok(Some(large_message(MESSAGES))));
    for number in during {
        assert_eq!(copy.item(MEGAN, item_id(number)).await, Ok(None));
        assert_eq!(store.item(MEGAN, item_id(number)).await, Ok(Some(large_message(number))));
    }
}

#[tokio::test]
async fn a_damaged_store_is_not_copied_as_if_it_were_whole() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    store.close().await;
    drop(store);
    let file = directory.path().join("tidings.db");
    let database = Connection::open(&file).unwrap();
    let sql = "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = 'item'";
    let (page, bytes): (usize, usize) = database.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    drop(database);
    let mut content = fs::read(&file).unwrap();
    content[(page - 1) * bytes..page * bytes].fill(0xd5);
    fs::write(file, content).unwrap();
    let to = TempDir::new().unwrap();
    let damaged = copy(directory.path(), to.path().join("tidings.db"), |_, _| {});
    assert!(matches!(damaged, Err(CopyError::Damaged(_))), "{damaged:?}");
}

/// Says of an endpoint that it is dropping, for a long time.
fn dropping() -> Checkpoint {
    Checkpoint {
        partition: Partition::of(MEGAN),
        epoch: 1,
        number: 1,
        cursor: Position(1),
        wall: at(1),
        unpark: Vec::new(),
        park: Vec::new(),
        ledger: BTreeMap::new(),
        incidents: BTreeMap::new(),
        health: BTreeMap::from([(endpoint(1), Some(dropping_until(1_000_000_000)))]),
    }
}

/// A copy of a store with a live subscription of Megan's, an ended one, an endpoint that is dropping, a lease and a refresh
/// token.
async fn kept() -> TempDir {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    settle(&store).await;
    let app = App::new(subscription(1, MEGAN).app, TENANT, "an app", MEGAN);
    store.add_app(app.clone()).await.unwrap();
    for number in [1, 2] {
        store.begin_subscription(Arc::new(subscription(number, MEGAN)), ROOMY).await.unwrap();
    }
    store.end_subscription(subscription_id(2), notify::log::EndReason::Deleted, None).await.unwrap();
    let refresh_token = Redeemable {
        hash: HASH,
        kind: RedeemableKind::RefreshToken,
        session: Uuid::from_u128(1),
        tenant: TENANT,
        app: app.id,
        user: MEGAN,
        scopes: ["Mail.Read".to_owned()].into(),
        issued: at(1),
        expires: at(900),
    };
    store.put_redeemable(refresh_token).await.unwrap();
    store.acquire(NodeId(Uuid::from_u128(1)), at(0), at(9_000), 256).await.unwrap();
    store.checkpoint(dropping()).await.unwrap();
    copied(directory.path(), |_, _| {})
}

#[tokio::test]
async fn what_was_put_back_is_of_another_generation_owes_missed_and_lets_nothing_be_redeemed() {
    let copy = kept().await;
    let begun = begin_generation(copy.path(), &keys(&[1]), Generation(7), INCIDENT).unwrap();
    assert_eq!(begun, Begun { subscriptions: 1, redeemables: 1 });
    let store = open(copy.path());
    assert_eq!(store.generation(), Generation(7));
    let app = subscription(1, MEGAN).app;
    assert_eq!(store.redeem(app, HASH, at(2), at(3)).await, Ok(None));
    assert_eq!(store.subscription(subscription_id(1)).await, Ok(Some(Arc::new(subscription(1, MEGAN)))));
    let state = store.partition_state(Partition::of(MEGAN)).await.unwrap();
    let owed: Vec<_> = state.subscriptions.iter().map(|span| span.incident).collect();
    assert_eq!(owed, [Some(INCIDENT), None], "the second has ended");
    let leases = store.acquire(NodeId(Uuid::from_u128(2)), at(1), at(2), 1).await.unwrap();
    assert_eq!(leases, [(Partition(0), 2)], "nobody holds anything");
}

#[tokio::test]
async fn how_endpoints_answered_is_in_a_copy_and_does_not_count_once_it_was_put_back() {
    let copy = kept().await;
    let health = async || open(copy.path()).partition_state(Partition::of(MEGAN)).await.unwrap().health;
    assert_eq!(health().await, BTreeMap::from([(endpoint(1), dropping_until(1_000_000_000))]));
    begin_generation(copy.path(), &keys(&[1]), Generation(7), INCIDENT).unwrap();
    assert_eq!(health().await, BTreeMap::new());
}

/// An incident's notification is named after its opening.
#[tokio::test]
async fn an_incident_that_was_open_is_not_told_under_its_old_id_after_it_was_put_back() {
    let copy = kept().await;
    let old = Incident { opened: at(1) };
    let database = Connection::open(copy.path().join("tidings.db")).unwrap();
    database
        .execute("UPDATE subscription SET incident = ?1 WHERE ended IS NULL", [serde_json::to_vec(&old).unwrap()])
        .unwrap();
    drop(database);
    begin_generation(copy.path(), &keys(&[1]), Generation(7), INCIDENT).unwrap();
    let state = open(copy.path()).partition_state(Partition::of(MEGAN)).await.unwrap();
    assert_eq!(state.subscriptions[0].incident, Some(INCIDENT));
}

#[tokio::test]
async fn what_was_put_back_needs_its_key() {
    let copy = kept().await;
    let refused = begin_generation(copy.path(), &keys(&[2]), Generation(7), INCIDENT).unwrap_err();
    assert!(matches!(refused, OpenError::NoKey { key, .. } if key == keys(&[1]).first()), "{refused}");
    let database = Connection::open(copy.path().join("tidings.db")).unwrap();
    database.execute("UPDATE subscription SET state = zeroblob(60)", ()).unwrap();
    drop(database);
    let refused = begin_generation(copy.path(), &keys(&[1]), Generation(7), INCIDENT).unwrap_err();
    assert!(matches!(refused, OpenError::Sealed { .. }), "{refused}");
}
