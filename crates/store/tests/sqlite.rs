//! What is special to the embedded store: the directory it lives in, and how it starts and stops.

use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};

use graph::mailbox::conversation_id;
use graph::query::Query;
use graph::{AppId, Folder, FolderId, Item, Kind, Mutation, Partition, Properties, UserId};
use notify::topic::Settlement;
use notify::{Position, Subscription};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tidings_store::sqlite::{OpenError, SCHEMA_VERSION, SqliteStore};
use tidings_store::{
    Commit, CommitError, CredentialKind, DeltaEntry, DeltaPlace, DeltaQuery, EventSubscriptionKey, ItemQuery,
    LockedEvent, Namesake, NodeId, Publish, Revision, Settle, Store, StoreError,
};
use uuid::Uuid;

use self::support::*;

mod support;

fn open(directory: &TempDir) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(directory.path(), keys(&[1]), Heard::default().publish())
}

async fn settled() -> (TempDir, SqliteStore) {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).unwrap();
    settle(&store).await;
    (directory, store)
}

/// Changes the database of a store that is closed.
fn tamper(directory: &TempDir, sql: &str) {
    Connection::open(directory.path().join("tidings.db")).unwrap().execute_batch(sql).unwrap();
}

fn refusal(directory: &TempDir) -> String {
    open(directory).err().expect("it is refused").to_string()
}

#[tokio::test]
async fn a_directory_in_use_is_refused_by_name() {
    let (directory, store) = settled().await;
    let refusal = refusal(&directory);
    assert_eq!(
        refusal,
        format!("the data directory {} is in use by another tidings process", directory.path().display())
    );
    drop(store);
    open(&directory).unwrap();
}

#[tokio::test]
async fn a_path_that_is_no_directory_is_refused() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refusal = SqliteStore::open(&file, keys(&[1]), Heard::default().publish()).err().expect("it is refused");
    assert_eq!(refusal.to_string(), format!("the data directory {} cannot be used", file.display()));
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_looks_into_a_new_directory() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = TempDir::new().unwrap();
    let made = directory.path().join("store");
    SqliteStore::open(&made, keys(&[1]), Heard::default().publish()).unwrap();
    assert_eq!(std::fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("tidings.db"), "not a database, but long enough to look at".repeat(40))
        .unwrap();
    let refusal = refusal(&directory);
    assert_eq!(refusal, format!("the database in {} cannot be opened", directory.path().display()));
}

#[tokio::test]
async fn data_of_a_newer_release_is_refused() {
    let (directory, store) = settled().await;
    drop(store);
    tamper(&directory, "UPDATE meta SET value = 99 WHERE name = 'schema_version'");
    assert!(matches!(open(&directory).err(), Some(OpenError::Newer { found: 99, known: SCHEMA_VERSION, .. })));
}

#[tokio::test]
async fn another_count_of_partitions_is_refused() {
    let (directory, store) = settled().await;
    drop(store);
    tamper(&directory, "UPDATE meta SET value = 64 WHERE name = 'partitions'");
    assert!(matches!(open(&directory).err(), Some(OpenError::Partitions { found: 64, expected: 256, .. })));
}

/// Takes away what the versions 3 to 14 of the schema add.
const BACK_TO_VERSION_2: &str = "
    DROP TABLE log_mark; DROP TABLE ledger_opening; DROP TABLE ledger_gone; DROP INDEX parked_by_first;
    DROP INDEX subscription_ended; ALTER TABLE partition DROP COLUMN floor;
    DROP INDEX subscription_of_app;
    ALTER TABLE subscription DROP COLUMN incident;
    DROP INDEX subscription_by_creator; ALTER TABLE subscription DROP COLUMN standing;
    DROP TABLE sealing_key; DROP INDEX log_sealed;
    ALTER TABLE item DROP COLUMN arrived;
    DROP TABLE removed_mailbox; DROP TABLE consent; DROP TABLE redeemable; DROP INDEX app_by_tenant;
    ALTER TABLE user DROP COLUMN enabled; ALTER TABLE user DROP COLUMN sessions_valid_from;
    ALTER TABLE app DROP COLUMN state;
    DROP TABLE tombstone; DROP TABLE delta_floor; DROP TABLE attachment; DROP TABLE upload; DROP TABLE upload_chunk;
    DROP INDEX item_by_immutable; DROP INDEX item_by_revision; DROP INDEX item_by_unread; DROP INDEX item_by_from;
    DROP INDEX item_by_subject; DROP INDEX item_by_message_id; DROP INDEX item_by_conversation; DROP INDEX item_by_end;
    ALTER TABLE folder DROP COLUMN properties; ALTER TABLE folder DROP COLUMN revision;
    ALTER TABLE item DROP COLUMN immutable; ALTER TABLE item DROP COLUMN revision;
    ALTER TABLE item DROP COLUMN from_address; ALTER TABLE item DROP COLUMN subject;
    ALTER TABLE item DROP COLUMN message_id_key; ALTER TABLE item DROP COLUMN conversation_key;
    ALTER TABLE item DROP COLUMN last_end; ALTER TABLE item DROP COLUMN place; ALTER TABLE folder DROP COLUMN place;
    DROP TABLE topic; DROP TABLE topic_app; DROP TABLE topic_event;
    DROP TABLE event_subscription; DROP TABLE event_pending;
    DROP TABLE health; ALTER TABLE parked DROP COLUMN bytes;
    UPDATE meta SET value = 2 WHERE name = 'schema_version';
";

#[tokio::test]
async fn data_of_an_older_release_is_brought_up() {
    let (directory, store) = settled().await;
    for number in 1..=3 {
        store.commit(create(&message(MEGAN, number, 1))).await.unwrap();
    }
    store.commit(delete(&message(MEGAN, 2, 1))).await.unwrap();
    let columns =
        "SELECT group_concat(item.id || from_address || subject || item.unread || item.place || folder.place, ',')
        FROM item JOIN folder ON folder.id = item.folder";
    drop(store);
    let filled = look(&directory, columns);
    tamper(&directory, BACK_TO_VERSION_2);
    tamper(&directory, "INSERT INTO app VALUES (zeroblob(16), zeroblob(16), 'an app', zeroblob(16), 'a hash')");
    let store = open(&directory).unwrap();
    let app = store.app(AppId(Uuid::nil())).await.unwrap().unwrap();
    let secret = CredentialKind::Secret { hint: String::new(), sha256: "a hash".to_owned() };
    assert_eq!((app.display_name.as_str(), &app.credentials[0].kind), ("an app", &secret));
    assert_eq!(store.user(MEGAN).await, Ok(Some(user(MEGAN, "Megan@contoso.test"))));
    let place = DeltaPlace::Items(Kind::Message, None);
    let query = DeltaQuery { mailbox: MEGAN, place, since: Revision(0), removals_since: Revision(0), limit: 1 };
    let first = store.delta(query).await.unwrap();
    assert!(first.more, "older items have revisions of their own");
    let newer = message(MEGAN, 4, 1);
    store.commit(create(&newer)).await.unwrap();
    let rest = store.delta(DeltaQuery { since: first.until, removals_since: first.now, limit: 10, ..query }).await;
    let items = rest.unwrap().entries.into_iter().map(|(_, entry)| match entry {
        DeltaEntry::Item { item, arrived } => (*item, arrived == Revision(0)),
        other => panic!("{other:?}"),
    });
    let known = [(message(MEGAN, 3, 1), true), (newer.clone(), false)];
    assert_eq!(items.collect::<Vec<_>>(), known, "of the older one it is not known when it came");
    store.commit(delete(&newer)).await.unwrap();
    drop(store);
    assert_eq!(look(&directory, columns), filled);
}

#[tokio::test]
async fn what_was_named_here_is_found_by_its_name_after_the_keys_of_names_lead_with_the_time() {
    let (directory, store) = settled().await;
    let name = "<01890a5d-ac96-774b-bcce-b302099a8057@contoso.test>";
    let named = edited(&message(MEGAN, 1, 1), "internetMessageId", json!(name));
    let named = edited(&named, "conversationId", json!(conversation_id(name)));
    store.commit(create(&named)).await.unwrap();
    drop(store);
    tamper(
        &directory,
        "UPDATE item SET message_id_key = 1, conversation_key = 2;
        UPDATE meta SET value = 13 WHERE name = 'schema_version'",
    );
    let store = open(&directory).unwrap();
    for filter in [format!("internetMessageId eq '{name}'"), format!("conversationId eq '{}'", conversation_id(name))] {
        let query = Query::read(Kind::Message, Some(&filter), None).unwrap();
        let query = ItemQuery { query, ..ItemQuery::newest(MEGAN, Kind::Message, None, 10) };
        assert_eq!(store.items(query).await.unwrap().items, std::slice::from_ref(&named), "{filter}");
    }
}

#[tokio::test]
async fn a_removal_that_was_broken_off_is_finished() {
    let (directory, store) = settled().await;
    for number in 1..=3 {
        store.commit(create(&message(MEGAN, number, 1))).await.unwrap();
    }
    drop(store);
    let rows = "SELECT (SELECT COUNT(*) FROM item) || ' ' || (SELECT COUNT(DISTINCT mailbox) FROM folder)";
    assert_eq!(look(&directory, rows), "3 3");
    tamper(
        &directory,
        "DELETE FROM user WHERE upn LIKE 'megan%'; INSERT INTO removed_mailbox SELECT DISTINCT mailbox FROM item",
    );
    let store = open(&directory).unwrap();
    assert_eq!(store.add_user(user(MEGAN, "megan@contoso.test")).await, Ok(()));
    drop(store);
    assert_eq!(look(&directory, rows), "0 3");
}

fn look(directory: &TempDir, sql: &str) -> String {
    let database = Connection::open(directory.path().join("tidings.db")).unwrap();
    database.query_row(sql, (), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn revisions_go_on_after_a_restart() {
    let (directory, store) = settled().await;
    let place = DeltaPlace::Items(Kind::Message, None);
    let query = DeltaQuery { mailbox: MEGAN, place, since: Revision(0), removals_since: Revision(0), limit: 10 };
    let mut last = Revision(0);
    let item = message(MEGAN, 1, 1);
    let mut store = store;
    for commit in [create(&item), delete(&item), create(&item)] {
        store.commit(commit).await.unwrap();
        let now = store.delta(query).await.unwrap().now;
        assert!(now > last, "{now:?}");
        last = now;
        drop(store);
        store = open(&directory).unwrap();
        assert_eq!(store.delta(query).await.unwrap().now, last);
    }
}

#[tokio::test]
async fn opening_again_shows_everything_and_frees_the_leases() {
    let (directory, store) = settled().await;
    let item = message(MEGAN, 1, 1);
    store.commit(create(&item)).await.unwrap();
    let begun: Arc<Subscription> = Arc::new(subscription(1, MEGAN));
    store.begin_subscription(Arc::clone(&begun), ROOMY).await.unwrap();
    let (first, second) = (NodeId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)));
    store.acquire(first, at(0), at(30), 1).await.unwrap();
    store.close().await;
    drop(store);
    let store = open(&directory).unwrap();
    assert_eq!(store.item(MEGAN, item.id).await, Ok(Some(item)));
    assert_eq!(store.subscription(begun.id).await, Ok(Some(begun)));
    assert_eq!(store.renew(first, at(1), at(30)).await, Ok(vec![]));
    assert_eq!(store.acquire(second, at(1), at(30), 1).await, Ok(vec![(Partition(0), 2)]));
    let next = store.commit(create(&message(MEGAN, 2, 1))).await.unwrap();
    assert_eq!(next.position, Position(3));
}

#[tokio::test]
async fn what_is_queued_when_it_closes_is_written() {
    let (directory, store) = settled().await;
    let store = Arc::new(store);
    let writes = (1..=50).map(|number| {
        let store = Arc::clone(&store);
        async move { store.commit(create(&message(MEGAN, number, 1))).await }
    });
    let mut writes: Vec<_> = writes.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        // Each is queued, none is waited for.
        for write in &mut writes {
            let _ = write.as_mut().poll(context);
        }
        std::task::Poll::Ready(())
    })
    .await;
    drop(writes);
    store.close().await;
    let late = store.commit(create(&message(MEGAN, 51, 1))).await;
    assert!(matches!(late, Err(CommitError::Store(StoreError::Unavailable(_)))), "{late:?}");
    drop(store);
    let log = open(&directory).unwrap().read_log(Partition::of(MEGAN), Position(0), 100).await.unwrap();
    assert_eq!(log.len(), 50);
    let left = std::fs::metadata(directory.path().join("tidings.db-wal")).map(|wal| wal.len()).unwrap_or_default();
    assert_eq!(left, 0, "the write-ahead log was emptied");
}

#[tokio::test]
async fn a_writer_that_dies_after_its_commit_leaves_the_outcome_unknown() {
    let (directory, store) = settled().await;
    drop(store);
    let dies: Publish = Arc::new(|_, _| panic!("the publisher fails"));
    let store = SqliteStore::open(directory.path(), keys(&[1]), dies).unwrap();
    let item = message(MEGAN, 1, 1);
    let committed = store.commit(create(&item)).await;
    assert!(matches!(committed, Err(CommitError::Store(StoreError::Unknown(_)))), "{committed:?}");
    store.ended().await;
    assert_eq!(store.item(MEGAN, item.id).await, Ok(Some(item)));
}

#[tokio::test]
async fn once_keys_whose_time_is_over_are_removed() {
    let (directory, store) = settled().await;
    for number in 1..=20 {
        let mut commit = create(&message(MEGAN, number, 1));
        commit.once = Some(once(&number.to_string(), number as i64, number as i64 + 5));
        store.commit(commit).await.unwrap();
    }
    drop(store);
    let database = Connection::open(directory.path().join("tidings.db")).unwrap();
    let kept: i64 = database.query_row("SELECT COUNT(*) FROM once", (), |row| row.get(0)).unwrap();
    assert_eq!(kept, 5);
}

#[tokio::test]
async fn a_corrupt_row_is_named() {
    let (directory, store) = settled().await;
    store.commit(create(&message(MEGAN, 1, 1))).await.unwrap();
    drop(store);
    tamper(&directory, "UPDATE log SET record = CAST('{\"change\":' AS BLOB)");
    let store = open(&directory).unwrap();
    let error = store.read_log(Partition::of(MEGAN), Position(0), 10).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "column record of row 1 in table log is corrupt: EOF while parsing a value at line 1 column 10"
    );
}

#[tokio::test]
async fn a_refused_write_leaves_its_group_alone() {
    let (_directory, store) = settled().await;
    let nobody: UserId = NOBODY;
    let (written, refused, also) = tokio::join!(
        store.commit(create(&message(MEGAN, 1, 1))),
        store.commit(create(&message(nobody, 2, 1))),
        store.commit(create(&message(MEGAN, 3, 1))),
    );
    assert_eq!(refused, Err(CommitError::NoMailbox(nobody)));
    assert_eq!([written.unwrap().position, also.unwrap().position], [Position(1), Position(2)]);
}

type Write<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

/// A store whose writer waits with its first transaction until the sender is dropped.
async fn gated() -> (TempDir, SqliteStore, mpsc::Sender<()>) {
    let directory = TempDir::new().unwrap();
    let (all_queued, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let publish: Publish = Arc::new(move |_, _| {
        let _ = gate.lock().unwrap().recv();
    });
    let store = SqliteStore::open(directory.path(), keys(&[1]), publish).unwrap();
    settle(&store).await;
    (directory, store, all_queued)
}

/// What becomes of writes of which all but the first share a transaction.
async fn shared(gate: mpsc::Sender<()>, mut writes: Vec<Write<'_>>) -> Vec<Result<(), String>> {
    std::future::poll_fn(|context| {
        for write in &mut writes {
            assert!(write.as_mut().poll(context).is_pending());
        }
        std::task::Poll::Ready(())
    })
    .await;
    drop(gate);
    let mut said = Vec::new();
    for write in writes {
        said.push(write.await);
    }
    said
}

fn committed(store: &SqliteStore, commit: Commit) -> Write<'_> {
    Box::pin(async { store.commit(commit).await.map(drop).map_err(|error| error.to_string()) })
}

#[tokio::test]
async fn a_folder_that_an_earlier_commit_of_a_transaction_has_removed_is_gone_for_later_ones() {
    let (_directory, store, gate) = gated().await;
    let folder = Folder {
        id: FolderId::new(Kind::Message, Uuid::from_u128(0xf1)),
        mailbox: MEGAN,
        parent: Some(inbox(MEGAN)),
        display_name: "Projects".to_owned(),
        well_known: None,
        properties: Properties::new(),
    };
    let within = |number| Item { folder: folder.id, ..message(MEGAN, number, 1) };
    let make = commit_of(MEGAN, Mutation { folder_puts: vec![folder.clone()], ..Mutation::default() });
    let take_away = Mutation { removes: vec![within(2).id], folder_removes: vec![folder.id], ..Mutation::default() };
    let commits =
        [create(&message(MEGAN, 1, 1)), make, create(&within(2)), commit_of(MEGAN, take_away), create(&within(3))];
    let said = shared(gate, commits.map(|commit| committed(&store, commit)).into()).await;
    assert_eq!(said[..4], [const { Ok(()) }; 4]);
    assert_eq!(said[4], Err(CommitError::FolderGone(folder.id).to_string()));
}

#[tokio::test]
async fn a_mailbox_that_was_removed_earlier_in_a_transaction_is_gone_for_later_commits() {
    let (_directory, store, gate) = gated().await;
    let removal: Write<'_> =
        Box::pin(async { store.remove_user(ADELE).await.map(drop).map_err(|error| error.to_string()) });
    let [first, known, late] = [(MEGAN, 1), (ADELE, 2), (ADELE, 3)]
        .map(|(mailbox, number)| committed(&store, create(&message(mailbox, number, 1))));
    let said = shared(gate, vec![first, known, removal, late]).await;
    assert_eq!(said[..3], [const { Ok(()) }; 3]);
    assert_eq!(said[3], Err(CommitError::NoMailbox(ADELE).to_string()));
}

#[tokio::test]
async fn the_counts_of_a_folder_hold_where_commits_share_a_transaction() {
    let (_directory, store, gate) = gated().await;
    let before = store.counters().commits;
    let [first, second, third] = [1, 2, 3].map(|number| message(MEGAN, number, 1));
    let read = edited(&second, "isRead", true.into());
    let commits = [create(&first), create(&second), create(&third), update(&second, &read), delete(&first)];
    let said = shared(gate, commits.map(|commit| committed(&store, commit)).into()).await;
    assert_eq!(said, [const { Ok(()) }; 5]);
    assert!(store.counters().commits - before <= 2, "they share");
    let counted = store.folder(MEGAN, inbox(MEGAN)).await.unwrap().unwrap();
    assert_eq!((counted.total, counted.unread), (2, 1));
    let (place, since) = (DeltaPlace::Folders(Kind::Message), Revision(0));
    let query = DeltaQuery { mailbox: MEGAN, place, since, removals_since: since, limit: 100 };
    let last = store.delta(query).await.unwrap().now;
    let changed = store.delta(DeltaQuery { since: Revision(last.0 - 1), ..query }).await.unwrap().entries;
    assert_eq!(changed.len(), 1, "it changed with the last commit that altered its counts: {changed:?}");
}

/// What a process that is killed leaves is what it has written, whether it lies in the database or in its log.
#[tokio::test]
async fn a_kill_keeps_locks_and_delivery_counts() {
    let (running, store) = settled().await;
    let topic = topic(1);
    let key = EventSubscriptionKey::new(topic.id, "all");
    store.open_topic(Arc::new(topic.clone()), 10, at(0)).await.unwrap();
    store.put_event_subscription(Namesake::None, Arc::new(queue_of(&topic, "all")), 10).await.unwrap();
    store.publish(topic.id, vec![event(1), event(2)], at(0)).await.unwrap();
    let received = store.receive(key.clone(), 2, at(0)).await.unwrap();
    let [first, second] = &received.events[..] else { panic!("{received:?}") };
    let settle = |one: &LockedEvent, how, second| Settle { tokens: vec![one.lock_token.clone()], how, now: at(second) };
    let release = Settlement::Release { delay_seconds: 10 };
    assert_eq!(store.settle(key.clone(), settle(first, release, 1)).await, Ok(vec![Ok(())]));
    let killed = TempDir::new().unwrap();
    for name in ["tidings.db", "tidings.db-wal"] {
        std::fs::copy(running.path().join(name), killed.path().join(name)).unwrap();
    }
    let store = open(&killed).unwrap();
    assert_eq!(store.receive(key.clone(), 10, at(10)).await.unwrap().events, [], "one is locked, one waits");
    let again = store.receive(key.clone(), 10, at(11)).await.unwrap();
    assert_eq!(again.events.iter().map(|one| one.delivery_count).collect::<Vec<_>>(), [2]);
    assert_eq!(store.settle(key, settle(second, Settlement::Acknowledge, 12)).await, Ok(vec![Ok(())]));
}
