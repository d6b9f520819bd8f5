//! Secrets at rest in the embedded store: nothing of them is in its files, and they open with the right keys only.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use graph::Partition;
use notify::checkpoint::ParkedRef;
use notify::log::{EndReason, LifecycleEvent};
use notify::subscription::Extras;
use notify::topic::{CloudEvent, EventSubscription, Topic, TopicKey};
use notify::{Checkpoint, LedgerDelta, Parked, Position, Stream, StreamKind, Subscription};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tidings_store::seal::Keys;
use tidings_store::sqlite::{OpenError, SqliteStore, keys_in_use};
use tidings_store::{Namesake, NodeId, Store, StoreError, SubscriptionLimits, SubscriptionQuery};
use tokio::task::JoinSet;
use uuid::Uuid;

use self::support::*;

mod support;

const CANARY: &str = "canary";
const NODE: NodeId = NodeId(Uuid::from_u128(0x40de));

fn open(directory: &TempDir, keys: Keys) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(directory.path(), keys, Heard::default().publish())
}

/// A subscription with a canary in each secret field.
fn planted(number: u128) -> Subscription {
    Subscription {
        notification_url: format!("https://receiver.test/hook?code={CANARY}-of-the-url-{number}"),
        lifecycle_url: Some(format!("https://receiver.test/life?code={CANARY}-of-the-lifecycle-url-{number}")),
        client_state: Some(format!("{CANARY}-of-the-state-{number}")),
        extras: Extras {
            encryption_certificate: Some(format!("{CANARY}-of-the-certificate-{number}")),
            encryption_certificate_id: Some(format!("{CANARY}-of-the-certificate-id-{number}")),
            notification_query_options: Some(format!("{CANARY}-of-the-query-{number}")),
            origin: Some(format!("https://{CANARY}-of-the-origin-{number}")),
            ..Extras::default()
        }
        .boxed(),
        ..subscription(number, MEGAN)
    }
}

/// How often a word is in the files of a directory, whatever they are.
fn found(directory: &Path, word: &str) -> usize {
    let files = fs::read_dir(directory).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.map(|bytes| String::from_utf8_lossy(&bytes).matches(word).count()).sum()
}

fn look(directory: &TempDir, sql: &str) -> String {
    let database = Connection::open(directory.path().join("tidings.db")).unwrap();
    database.query_row(sql, (), |row| row.get(0)).unwrap()
}

fn tamper(directory: &TempDir, sql: &str) {
    Connection::open(directory.path().join("tidings.db")).unwrap().execute_batch(sql).unwrap();
}

/// A store of Megan's with this many subscriptions, closed.
async fn left_behind(sealed_with: Keys, subscriptions: u128) -> TempDir {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(&directory, sealed_with).unwrap());
    settle(&*store).await;
    let limits = SubscriptionLimits { per_scope: 10_000, ..ROOMY };
    let mut begins = JoinSet::new();
    for number in 1..=subscriptions {
        let store = Arc::clone(&store);
        begins.spawn(async move { store.begin_subscription(Arc::new(planted(number)), limits).await.unwrap() });
    }
    begins.join_all().await;
    store.close().await;
    directory
}

/// All that the store tells of the subscriptions of `left_behind`.
async fn assert_whole(store: &SqliteStore, subscriptions: u128) {
    let expected: Vec<_> = (1..=subscriptions).map(|number| Arc::new(planted(number))).collect();
    let (tenant, app) = (expected[0].tenant, expected[0].app);
    let query = SubscriptionQuery { tenant, app: Some(app), creator: None, mailbox: None, after: None, limit: 10_000 };
    assert!(store.subscriptions(query).await.unwrap() == expected);
    let state = store.partition_state(Partition::of(MEGAN)).await.unwrap();
    assert_eq!(state.subscriptions.len(), expected.len());
    assert_eq!(store.read_log(Partition::of(MEGAN), Position(0), 10_000).await.unwrap().len(), expected.len());
}

/// A checkpoint that parks the delivery of one record, or takes it out again.
fn checkpoint(number: u64, position: Position, stays: bool) -> Checkpoint {
    let stream = Stream { subscription: subscription_id(1), kind: StreamKind::Changes };
    let parked = Parked {
        stream,
        refs: vec![ParkedRef { position, change: Some(graph::ChangeType::Created) }],
        attempts: 1,
        due: at(60),
        since: at(0),
        batch_max: 1,
        pushed: None,
        bytes: 700,
    };
    let parks = i64::from(stays);
    let ledger = LedgerDelta {
        matched: u64::from(stays),
        delivered: u64::from(!stays),
        parked: 2 * parks - 1,
        ..LedgerDelta::default()
    };
    Checkpoint {
        partition: Partition::of(MEGAN),
        epoch: 1,
        number,
        cursor: position,
        wall: at(1),
        unpark: if stays { vec![] } else { vec![(stream, position)] },
        park: if stays { vec![parked] } else { vec![] },
        ledger: [(stream.subscription, ledger)].into(),
        incidents: [].into(),
        health: [].into(),
    }
}

#[tokio::test]
async fn secrets_are_sealed() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory, keys(&[1])).unwrap();
    settle(&store).await;
    let begun = Arc::new(planted(1));
    store.begin_subscription(Arc::clone(&begun), ROOMY).await.unwrap();
    assert_eq!(found(directory.path(), CANARY), 0, "after it began");

    let patched = Arc::new(Subscription { client_state: Some(format!("{CANARY}-of-the-patch")), ..(*begun).clone() });
    store.patch_subscription(begun, Arc::clone(&patched)).await.unwrap();
    let change = store.commit(create(&message(MEGAN, 1, 1))).await.unwrap().position;
    store.append_lifecycle(patched.id, change_id(9), LifecycleEvent::Missed).await.unwrap();
    store.acquire(NODE, at(0), at(30), 256).await.unwrap();
    store.checkpoint(checkpoint(1, change, true)).await.unwrap();
    assert_eq!(found(directory.path(), CANARY), 0, "after a patch, a lifecycle record and a parked delivery");
    store.checkpoint(checkpoint(2, change, false)).await.unwrap();
    store.close().await;
    drop(store);
    assert_eq!(found(directory.path(), CANARY), 0, "after it was closed");

    let store = open(&directory, keys(&[1])).unwrap();
    assert_eq!(store.subscription(patched.id).await, Ok(Some(Arc::clone(&patched))));
    store.end_subscription(patched.id, EndReason::Deleted, None).await.unwrap();
    assert_eq!(found(directory.path(), CANARY), 0, "after a restart and its end");
    assert!(found(directory.path(), "message 1") > 0, "mail is not sealed, so the search finds what is there");
    let log = store.read_log(Partition::of(MEGAN), Position(0), 10).await.unwrap();
    assert_eq!(log.len(), 5);
}

#[tokio::test]
async fn the_wrong_keys_are_found_at_the_start() {
    let directory = left_behind(keys(&[1]), 1).await;
    let right = keys(&[1]).first();
    let refusal = open(&directory, keys(&[2])).err().unwrap();
    assert_eq!(
        refusal.to_string(),
        format!("secrets in {} are sealed with the key {right}, which is not at hand", directory.path().display())
    );
    assert_eq!(keys_in_use(directory.path()).unwrap(), [right].into(), "nothing was written");
    assert_whole(&open(&directory, keys(&[1])).unwrap(), 1).await;
}

#[tokio::test]
async fn a_store_that_is_not_there_needs_no_key() {
    let directory = TempDir::new().unwrap();
    assert!(keys_in_use(directory.path().join("store")).unwrap().is_empty());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "to ask makes nothing");
}

/// More than one transaction of it.
#[tokio::test]
async fn a_new_first_key_seals_everything_and_the_old_one_can_go() {
    let directory = left_behind(keys(&[1]), 1_001).await;
    let store = open(&directory, keys(&[2, 1])).unwrap();
    assert_whole(&store, 1_001).await;
    assert_eq!(keys_in_use(directory.path()).unwrap(), [keys(&[2]).first()].into());
    store.close().await;
    drop(store);
    assert_whole(&open(&directory, keys(&[2])).unwrap(), 1_001).await;
}

#[tokio::test]
async fn both_keys_are_needed_while_not_everything_is_sealed_with_the_new_one() {
    let directory = left_behind(keys(&[1]), 3).await;
    drop(open(&directory, keys(&[2, 1])).unwrap());
    let (old, new) = (keys(&[1]).first(), keys(&[2]).first());
    // The process ended before it had struck the old key out.
    tamper(&directory, &format!("INSERT INTO sealing_key VALUES (x'{old}')"));
    assert_eq!(keys_in_use(directory.path()).unwrap(), [old, new].into());
    assert!(matches!(open(&directory, keys(&[2])).err(), Some(OpenError::NoKey { key, .. }) if key == old));
    assert_whole(&open(&directory, keys(&[2, 1])).unwrap(), 3).await;
    assert_eq!(keys_in_use(directory.path()).unwrap(), [new].into());
}

/// Makes of a closed store what a release without keys left behind.
fn without_seals(directory: &TempDir, subscriptions: u128) {
    let database = Connection::open(directory.path().join("tidings.db")).unwrap();
    // Deleted plain text stays in free pages and gaps.
    database.execute_batch("PRAGMA secure_delete = off; BEGIN").unwrap();
    for number in 1..=subscriptions {
        let planted = planted(number);
        let state = serde_json::to_vec(&planted).unwrap();
        let record = serde_json::to_vec(&json!({"subscription": {"id": planted.id, "event": {"began": planted}}}));
        let sql = "UPDATE subscription SET state = ?2 WHERE id = ?1";
        database.execute(sql, (planted.id.0.as_bytes(), state)).unwrap();
        let sql = "UPDATE log SET record = ?2 WHERE key = (SELECT MIN(key) FROM log) + ?1 - 1";
        database.execute(sql, (number as i64, record.unwrap())).unwrap();
    }
    database
        .execute_batch(
            "COMMIT; CREATE TABLE gone AS SELECT state FROM subscription; DROP TABLE gone; DROP TABLE health;
            DROP TABLE topic; DROP TABLE topic_app; DROP TABLE topic_event;
            DROP TABLE event_subscription; DROP TABLE event_pending;
            DROP TABLE log_mark; DROP TABLE ledger_opening; DROP TABLE ledger_gone; DROP INDEX parked_by_first;
            DROP INDEX subscription_ended; ALTER TABLE partition DROP COLUMN floor;
            ALTER TABLE parked DROP COLUMN bytes;
            DROP INDEX subscription_of_app;
            ALTER TABLE subscription DROP COLUMN incident;
            DROP INDEX subscription_by_creator; ALTER TABLE subscription DROP COLUMN standing;
            DROP TABLE sealing_key; DROP INDEX log_sealed;
            UPDATE meta SET value = 5 WHERE name = 'schema_version';",
        )
        .unwrap();
}

#[tokio::test]
async fn what_an_older_release_left_plain_is_sealed_without_a_trace() {
    let directory = left_behind(keys(&[1]), 1_001).await;
    without_seals(&directory, 1_001);
    assert!(found(directory.path(), CANARY) > 3 * 2 * 1_001, "in rows, and in free pages");
    assert!(keys_in_use(directory.path()).unwrap().is_empty());
    let store = open(&directory, keys(&[1])).unwrap();
    assert_eq!(found(directory.path(), CANARY), 0);
    assert_whole(&store, 1_001).await;
    assert_eq!(keys_in_use(directory.path()).unwrap(), [keys(&[1]).first()].into());
}

#[tokio::test]
async fn an_upgrade_that_was_broken_off_goes_on() {
    let directory = left_behind(keys(&[1]), 3).await;
    let sealed = look(&directory, "SELECT hex(state) FROM subscription WHERE number = 1");
    without_seals(&directory, 3);
    // As the upgrade leaves it in the middle.
    let key = keys(&[1]).first();
    tamper(
        &directory,
        &format!(
            "CREATE TABLE sealing_key (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
            INSERT INTO sealing_key VALUES (x''), (x'{key}');
            CREATE INDEX log_sealed ON log (key) WHERE substr(record, 1, 1) = x'01';
            UPDATE subscription SET state = x'{sealed}' WHERE number = 1;
            UPDATE meta SET value = 6 WHERE name = 'schema_version';"
        ),
    );
    let store = open(&directory, keys(&[1])).unwrap();
    assert_eq!(found(directory.path(), CANARY), 0);
    assert_whole(&store, 3).await;
}

#[tokio::test]
async fn tampering_with_sealed_values_makes_a_corrupt_row() {
    let directory = left_behind(keys(&[1]), 2).await;
    let state = |number| look(&directory, &format!("SELECT hex(state) FROM subscription WHERE number = {number}"));
    let (first, plain) = (state(1), "CAST('{}' AS BLOB)");
    let (id, key) = (subscription_id(2), keys(&[1]).first());
    let altered = format!("it was altered since it was sealed with the key {key}, or belongs elsewhere");
    let other = keys(&[2]).first();
    let strange = format!("x'01{other}{}'", "00".repeat(60));
    let unknown = format!("it is sealed with the key {other}, which is not at hand");
    for (value, cause) in [
        (format!("x'{first}'"), altered.as_str()),
        (plain.to_owned(), "it is not sealed"),
        (strange, &unknown),
        ("x''".to_owned(), "it is not sealed"),
    ] {
        tamper(&directory, &format!("UPDATE subscription SET state = {value} WHERE number = 2"));
        let store = open(&directory, keys(&[1])).unwrap();
        let error = store.subscription(id).await.unwrap_err();
        assert_eq!(error.to_string(), format!("column state of row {id} in table subscription is corrupt: {cause}"));
        assert!(matches!(store.partition_state(Partition::of(MEGAN)).await, Err(StoreError::Corrupt(_))));
        assert_eq!(store.subscription(subscription_id(1)).await, Ok(Some(Arc::new(planted(1)))));
    }
}

#[tokio::test]
async fn a_record_of_a_subscription_that_is_not_sealed_is_corrupt() {
    let directory = left_behind(keys(&[1]), 1).await;
    let planted = planted(1);
    let forged = json!({"subscription": {"id": planted.id, "event": {"patched": planted}}}).to_string();
    tamper(&directory, &format!("UPDATE log SET record = CAST('{forged}' AS BLOB)"));
    let store = open(&directory, keys(&[1])).unwrap();
    let error = store.read_log(Partition::of(MEGAN), Position(0), 10).await.unwrap_err();
    assert_eq!(error.to_string(), "column record of row 1 in table log is corrupt: it is not sealed");
}

#[tokio::test]
async fn the_keys_and_the_events_of_topics_are_sealed_and_open_with_another_first_key() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory, keys(&[1])).unwrap();
    settle(&store).await;
    let topic = Topic { keys: ["1", "2"].map(|key| TopicKey(format!("{CANARY}-{key}"))), ..topic(1) };
    store.open_topic(Arc::new(topic.clone()), 10, at(0)).await.unwrap();
    let labelled = EventSubscription { labels: vec![CANARY.to_owned()], ..queue_of(&topic, "all") };
    store.put_event_subscription(Namesake::None, Arc::new(labelled.clone()), 10).await.unwrap();
    let pushed = pushed_to(&topic, "push", &format!("/a?code={CANARY}"), 7);
    store.put_event_subscription(Namesake::None, Arc::new(pushed.clone()), 10).await.unwrap();
    let said = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"clientState": CANARY}});
    let said = CloudEvent::from_json(said.to_string().as_bytes()).unwrap();
    store.publish(topic.id, vec![said.clone()], at(0)).await.unwrap();
    store.close().await;
    drop(store);
    assert_eq!(found(directory.path(), CANARY), 0);
    let store = open(&directory, keys(&[2, 1])).unwrap();
    assert_eq!(store.topic(topic.id).await.unwrap().as_deref(), Some(&topic));
    drop(store);
    let store = open(&directory, keys(&[2])).unwrap();
    let events = store.topic_events(topic.id, Position(0), 10).await.unwrap();
    assert_eq!(events.iter().map(|(_, kept)| &kept.event).collect::<Vec<_>>(), [&said]);
    let kept = store.event_subscriptions(topic.id).await.unwrap();
    assert_eq!(kept.iter().map(|kept| &**kept).collect::<Vec<_>>(), [&labelled, &pushed]);
    assert_eq!(store.subscription(subscription_id(7)).await.unwrap().as_deref(), topic.pushed(&pushed).as_ref());
}
