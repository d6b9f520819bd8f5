//! Whatever is damaged in a store that is closed is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{ChangeType, Mutation, NewAttachment, Partition};
use notify::log::EndReason;
use notify::retention::Mark;
use notify::{Checkpoint, LedgerDelta, ParkedRef, Position, Stream, StreamKind};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tidings_store::sqlite::{Finding, OpenError, SqliteStore, examine};
use tidings_store::{EventSubscriptionKey, Namesake, NodeId, Store};
use uuid::Uuid;

use self::support::*;

mod support;

/// A closed store with a little of everything: two subscriptions of Megan's, of which one has ended and one has a
/// parked delivery, a message with an attachment, and a topic with two events of which one was received; they are pushed,
/// too.
async fn left_behind() -> TempDir {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(directory.path(), keys(&[1]), Heard::default().publish()).unwrap();
    settle(&store).await;
    for number in [1, 2] {
        store.begin_subscription(Arc::new(subscription(number, MEGAN)), ROOMY).await.unwrap();
    }
    store.end_subscription(subscription_id(2), EndReason::Deleted, None).await.unwrap();
    for number in 1..=3 {
        store.commit(create(&message(MEGAN, number, number as i64))).await.unwrap();
    }
    let id = graph::AttachmentId { kind: graph::Kind::Message, uuid: Uuid::from_u128(7) };
    let attachment = graph::Attachment { id, properties: json!({ "name": "a" }).as_object().cloned().unwrap() };
    let attachment = NewAttachment { item: item_id(1).uuid, attachment, content: b"a".to_vec() };
    let attach = Mutation { attachment_puts: vec![attachment], ..Mutation::default() };
    store.commit(commit_of(MEGAN, attach)).await.unwrap();
    store.acquire(NodeId(Uuid::from_u128(1)), at(0), at(30), 256).await.unwrap();
    store.checkpoint(checkpoint()).await.unwrap();
    store.open_topic(Arc::new(topic(2)), 10, at(0)).await.unwrap();
    store.put_event_subscription(Namesake::None, Arc::new(queue_of(&topic(2), "all")), 10).await.unwrap();
    store.put_event_subscription(Namesake::None, Arc::new(pushed_to(&topic(2), "pushed", "/a", 9)), 10).await.unwrap();
    store.publish(topic(2).id, vec![event(1), event(2)], at(0)).await.unwrap();
    store.receive(EventSubscriptionKey::new(topic(2).id, "all"), 1, at(0)).await.unwrap();
    store.close().await;
    directory
}

/// Of the first two of the three matches, one was delivered and one is parked.
fn checkpoint() -> Checkpoint {
    let stream = Stream { subscription: subscription_id(1), kind: StreamKind::Changes };
    let refs = vec![ParkedRef { position: Position(5), change: Some(ChangeType::Created) }];
    let ledger = LedgerDelta { matched: 2, delivered: 1, parked: 1, ..LedgerDelta::default() };
    Checkpoint {
        partition: Partition::of(MEGAN),
        epoch: 1,
        number: 1,
        cursor: Position(5),
        wall: at(5),
        unpark: Vec::new(),
        park: vec![parked_row(stream, refs)],
        ledger: BTreeMap::from([(subscription_id(1), ledger)]),
        incidents: BTreeMap::new(),
        health: BTreeMap::from([(endpoint(1), Some(slow_until(20)))]),
    }
}

fn found(directory: &TempDir) -> Vec<Finding> {
    let mut findings = Vec::new();
    examine(directory.path(), Some(&keys(&[1])), &mut |finding| findings.push(finding)).unwrap();
    findings
}

#[tokio::test]
async fn nothing_is_wrong_with_what_a_store_has_left() {
    let directory = left_behind().await;
    assert_eq!(found(&directory), []);
    let store = SqliteStore::open(directory.path(), keys(&[1]), Heard::default().publish()).unwrap();
    let in_use = examine(directory.path(), None, &mut |_| {});
    assert!(matches!(in_use, Err(OpenError::InUse(_))), "{in_use:?}");
    drop(store);
}

/// The files of a store, but for those that only say who uses it.
fn files(directory: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let names = ["tidings.db", "tidings.db-wal"].map(str::to_owned);
    names
        .into_iter()
        .filter_map(|name| Some((name.clone(), std::fs::read(directory.path().join(name)).ok()?)))
        .collect()
}

#[tokio::test]
async fn an_examination_leaves_the_database_and_the_log_of_a_crash_as_they_are() {
    let running = TempDir::new().unwrap();
    let store = SqliteStore::open(running.path(), keys(&[1]), Heard::default().publish()).unwrap();
    settle(&store).await;
    store.commit(create(&message(MEGAN, 1, 1))).await.unwrap();
    let crashed = TempDir::new().unwrap();
    for (name, content) in files(&running) {
        std::fs::write(crashed.path().join(name), content).unwrap();
    }
    store.close().await;
    let before = files(&crashed);
    assert!(before["tidings.db-wal"].len() > 4_096, "something lies in the log");
    assert_eq!(found(&crashed), []);
    assert!(files(&crashed) == before);
    let copied = SqliteStore::open(crashed.path(), keys(&[1]), Heard::default().publish()).unwrap();
    assert!(copied.item(MEGAN, item_id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn an_examination_leaves_a_copy_as_it_was_made() {
    let directory = left_behind().await;
    let copy = TempDir::new().unwrap();
    tidings_store::sqlite::copy(directory.path(), copy.path().join("tidings.db"), |_, _| {}).unwrap();
    let before = files(&copy);
    assert_eq!(found(&copy), []);
    assert!(files(&copy) == before && before.len() == 1);
}

#[tokio::test]
async fn what_is_left_of_a_database_is_named_and_where_there_is_none_none_is_made() {
    let directory = left_behind().await;
    let file = directory.path().join("tidings.db");
    let content = std::fs::read(&file).unwrap();
    for bytes in [100, 5_000, 100_000] {
        std::fs::write(&file, &content[..bytes]).unwrap();
        let findings = found(&directory);
        assert!(findings.iter().any(|finding| finding.todo.contains("tidings restore")), "{bytes}: {findings:?}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(examine(directory.path(), None, &mut |_| {}).is_err());
    assert!(!file.exists());
}

#[tokio::test]
async fn a_log_that_was_cut_is_whole() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(directory.path(), keys(&[1]), Heard::default().publish()).unwrap();
    settle(&store).await;
    for number in [1, 2] {
        store.begin_subscription(Arc::new(subscription(number, MEGAN)), ROOMY).await.unwrap();
    }
    store.end_subscription(subscription_id(2), EndReason::Deleted, None).await.unwrap();
    store.acquire(NodeId(Uuid::from_u128(1)), at(0), at(30), 256).await.unwrap();
    let all = Checkpoint { cursor: Position(3), park: Vec::new(), ledger: BTreeMap::new(), ..checkpoint() };
    store.checkpoint(all).await.unwrap();
    let partition = Partition::of(MEGAN);
    assert!(store.mark_log(partition, at(1), None).await.unwrap());
    assert!(store.raise_floor(partition, Mark { position: Position(3), at: at(1) }).await.unwrap());
    // Of what ended nothing is left but the record of its end, which is the log's last.
    while store.cut_log(partition, 1).await.unwrap().more {}
    store.close().await;
    drop(store);
    assert_eq!(found(&directory), []);
}

#[tokio::test]
async fn each_damage_is_named() {
    let megans = Partition::of(MEGAN).0;
    let below = format!("(key >> 48) = {megans} AND (key & 0xffffffffffff)");
    let first = "X'00000000000000000000000000000001'";
    let damages = [
        (format!("DELETE FROM log WHERE {below} = 4"), "positions 4 to 4 are missing"),
        (format!("DELETE FROM log WHERE {below} = 2"), "it began at position 2"),
        (format!("DELETE FROM log WHERE {below} = 5"), "position 5 is parked and not in the log"),
        (
            format!("UPDATE log SET record = CAST('{{' AS BLOB) WHERE {below} = 6"),
            "column record of row 6 in table log",
        ),
        ("UPDATE meta SET value = 128 WHERE name = 'partitions'".to_owned(), "was made with 128 partitions"),
        (format!("UPDATE partition SET cursor = 9 WHERE partition = {megans}"), "its cursor is 9, beyond"),
        (format!("UPDATE partition SET cursor = 4 WHERE partition = {megans}"), "beyond the cursor 4"),
        (format!("UPDATE partition SET unfolded = X'00' WHERE partition = {megans}"), "it is not a packed ledger"),
        ("DELETE FROM partition WHERE partition = 200".to_owned(), "it has 255 rows and not 256"),
        ("DELETE FROM parked".to_owned(), "it has 1 parked, and 0 are"),
        ("UPDATE parked SET row = CAST('{}' AS BLOB)".to_owned(), "the row cannot be read"),
        ("UPDATE parked SET first = 4".to_owned(), "the row does not hold what its key says"),
        (format!("DELETE FROM subscription WHERE id = {first}"), "it has no row"),
        (format!("UPDATE subscription SET began = 2 WHERE id = {first}"), "its row says 2"),
        ("UPDATE subscription SET ended = NULL".to_owned(), "its row does not say so"),
        (format!("UPDATE subscription SET state = X'0102' WHERE id = {first}"), "column state of row"),
        ("INSERT INTO ledger VALUES (0, zeroblob(16), X'00000000')".to_owned(), "there is no such subscription"),
        ("UPDATE health SET health = 7".to_owned(), "unknown health 7"),
        ("UPDATE health SET endpoint = X'01'".to_owned(), "column endpoint of row"),
        ("UPDATE health SET partition = 256".to_owned(), "there is no partition 256"),
        ("UPDATE folder SET total = total + 1 WHERE total > 0".to_owned(), "it says that it holds 4 items"),
        ("DELETE FROM folder WHERE total > 0".to_owned(), "3 items lie in it, and it is not there"),
        ("UPDATE folder SET parent = id WHERE total > 0".to_owned(), "it lies below itself"),
        ("UPDATE folder SET parent = zeroblob(17) WHERE total > 0".to_owned(), "which is not there"),
        ("DELETE FROM folder WHERE mailbox = X'00000000000000000000000000000001'".to_owned(), "items and no folders"),
        ("DELETE FROM user WHERE upn LIKE 'megan%'".to_owned(), "there is no such user"),
        ("UPDATE item SET properties = CAST('[' AS BLOB)".to_owned(), "column properties of row"),
        ("DELETE FROM item WHERE number = 1".to_owned(), "there is no such item, and 1 attachments of it"),
        ("UPDATE topic SET state = X'0102'".to_owned(), "column state of row"),
        ("DELETE FROM topic".to_owned(), "there is no such topic"),
        ("UPDATE topic_event SET position = position + 9".to_owned(), "the log does not have it there"),
        (
            "UPDATE topic_event SET key = zeroblob(16) WHERE position = (SELECT MIN(position) FROM topic_event)"
                .to_owned(),
            "the log does not have it there",
        ),
        ("UPDATE event_subscription SET acknowledged = 1".to_owned(), "by its counts 0 are pending, and 1 are"),
        ("UPDATE event_subscription SET state = X'0102'".to_owned(), "column state of row"),
        ("UPDATE event_subscription SET cursor = 0".to_owned(), "it was not considered yet"),
        ("DELETE FROM topic_event".to_owned(), "nobody keeps the event"),
        ("DELETE FROM event_subscription WHERE name = 'pushed'".to_owned(), "the events of no event subscription"),
        ("UPDATE sealing_key SET id = X'0102030405060708'".to_owned(), "sealed with the key 0102030405060708"),
        ("UPDATE meta SET value = 99 WHERE name = 'schema_version'".to_owned(), "written by a newer release"),
    ];
    let whole = left_behind().await;
    let database = std::fs::read(whole.path().join("tidings.db")).unwrap();
    for (damage, named) in damages {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("tidings.db");
        std::fs::write(&file, &database).unwrap();
        let changed = Connection::open(&file).unwrap().execute(&damage, ()).unwrap();
        assert!(changed > 0, "{damage}");
        let findings = found(&directory);
        assert!(findings.iter().any(|finding| finding.what.contains(named)), "{damage}: {named}: {findings:#?}");
        assert!(findings.iter().all(|finding| !finding.todo.is_empty()));
    }
}

#[tokio::test]
async fn with_the_wrong_key_nothing_sealed_is_taken_for_damaged() {
    let directory = left_behind().await;
    let mut findings = Vec::new();
    examine(directory.path(), Some(&keys(&[2])), &mut |finding| findings.push(finding)).unwrap();
    let [one] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(one.place, "table sealing_key");
    assert!(one.todo.starts_with("put the key back"), "{}", one.todo);
}

#[tokio::test]
async fn a_damaged_page_is_named_and_the_rest_is_examined_all_the_same() {
    let directory = left_behind().await;
    let file = directory.path().join("tidings.db");
    let database = Connection::open(&file).unwrap();
    let sql = "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = 'parked'";
    let (page, bytes): (usize, usize) = database.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    database.execute("UPDATE partition SET cursor = 90 WHERE partition = 200", ()).unwrap();
    drop(database);
    let mut content = std::fs::read(&file).unwrap();
    content[(page - 1) * bytes..page * bytes].fill(0xd5);
    std::fs::write(&file, content).unwrap();
    let findings = found(&directory);
    let about = |place: &str| findings.iter().any(|finding| finding.place == place);
    assert!(about("tidings.db") && about("parked deliveries") && about("partition 200"), "{findings:#?}");
}

#[tokio::test]
async fn what_is_wrong_throughout_is_told_a_few_times_and_counted() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(directory.path(), keys(&[1]), Heard::default().publish()).unwrap();
    settle(&store).await;
    for number in 1..=50 {
        store.commit(create(&message(MEGAN, number, 1))).await.unwrap();
    }
    store.close().await;
    drop(store);
    let database = Connection::open(directory.path().join("tidings.db")).unwrap();
    database.execute("UPDATE item SET properties = CAST('[' AS BLOB)", ()).unwrap();
    drop(database);
    let findings = found(&directory);
    assert_eq!((findings.len(), findings[20].what.as_str()), (21, "30 more that are not told one by one"));
}
