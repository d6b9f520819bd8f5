//! Data of every version of the schema is brought up whole.
//!
//! `data/schema_N.sql` is a database into which a release with version N of the schema has written what [`plant`]
//! writes, as far as there was such a thing in its day. None of them is ever made again: what a release wrote does
//! not change. A new version of the schema needs its own; see CONTRIBUTING.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use graph::{
    AppId, Attachment, AttachmentId, ChangeType, Folder, FolderId, Item, Kind, Mutation, NewAttachment, Partition,
    Properties, Timestamp, UserId,
};
use notify::log::{EndReason, LifecycleEvent};
use notify::recount::Opening;
use notify::retention::Mark;
use notify::{
    Checkpoint, Incident, LedgerDelta, Parked, ParkedRef, Position, Record, Stream, StreamKind, Subscription,
};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tidings_store::sqlite::{OpenError, SCHEMA_VERSION, SqliteStore};
use tidings_store::{
    App, CommitError, Credential, CredentialKind, DeltaPlace, DeltaQuery, EventSubscriptionKey, Grant, Grantee,
    Namesake, NodeId, Redeemable, RedeemableHash, RedeemableKind, Revision, Store, StoreError, Tenant,
};
use uuid::Uuid;

use self::support::*;

mod support;

const APP: AppId = AppId(Uuid::from_u128(0xa));
const NODE: NodeId = NodeId(Uuid::from_u128(1));
const INCIDENT: Incident = Incident { opened: Timestamp::from_seconds(1_795_255_200) };
const REFRESH_TOKEN: RedeemableHash = RedeemableHash([7; 32]);

fn data_file(version: i64) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", &format!("schema_{version}.sql")].iter().collect()
}

/// A directory with what a release of that version of the schema has left.
fn left_by(version: i64) -> TempDir {
    let directory = TempDir::new().unwrap();
    let sql = fs::read_to_string(data_file(version)).unwrap();
    Connection::open(directory.path().join("tidings.db")).unwrap().execute_batch(&sql).unwrap();
    directory
}

fn open(directory: &TempDir) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(directory.path(), keys(&[1]), Heard::default().publish())
}

fn texted(number: u128) -> Item {
    let body = json!({ "contentType": "text", "content": format!("text of {number}") });
    edited(&message(MEGAN, number, number as i64), "body", body)
}

fn projects() -> Folder {
    Folder {
        id: FolderId::new(Kind::Message, Uuid::from_u128(0xf1)),
        mailbox: MEGAN,
        parent: Some(inbox(MEGAN)),
        display_name: "Projects".to_owned(),
        well_known: None,
        properties: Properties::new(),
    }
}

fn app() -> App {
    let mut app = App::new(APP, TENANT, "an app", UserId(Uuid::from_u128(0xa5)));
    app.credentials.push(Credential {
        id: APP.0,
        // Once they did not expire.
        expires: Timestamp::from_seconds(253_402_207_200),
        kind: CredentialKind::Secret { hint: String::new(), sha256: "a hash".to_owned() },
    });
    app
}

fn attachment() -> NewAttachment {
    let id = AttachmentId { kind: Kind::Message, uuid: Uuid::from_u128(0xac) };
    let properties = json!({ "name": "notes.txt" }).as_object().cloned().unwrap();
    let (item, content) = (item_id(1).uuid, b"attached".to_vec());
    NewAttachment { item, attachment: Attachment { id, properties }, content }
}

fn stream() -> Stream {
    Stream { subscription: subscription_id(1), kind: StreamKind::Changes }
}

fn parked() -> Parked {
    let refs = vec![ParkedRef { position: Position(4), change: Some(ChangeType::Created) }];
    Parked { stream: stream(), refs, attempts: 1, due: at(10), since: at(1), batch_max: 100, pushed: None, bytes: 700 }
}

/// Something of everything.
async fn plant(store: &SqliteStore) {
    settle(store).await;
    store.add_app(app()).await.unwrap();
    let begin = async |number, mailbox| {
        store.begin_subscription(Arc::new(subscription(number, mailbox)), ROOMY).await.unwrap();
    };
    begin(1, MEGAN).await;
    for number in 1..=3 {
        store.commit(create(&texted(number))).await.unwrap();
    }
    store.commit(update(&texted(1), &edited(&texted(1), "isRead", json!(true)))).await.unwrap();
    store.commit(delete(&texted(2))).await.unwrap();
    let folders = Mutation { folder_puts: vec![projects()], ..Mutation::default() };
    store.commit(commit_of(MEGAN, folders)).await.unwrap();
    store.commit(create(&Item { folder: projects().id, ..message(MEGAN, 4, 4) })).await.unwrap();
    begin(2, MEGAN).await;
    store.end_subscription(subscription_id(2), EndReason::Deleted, None).await.unwrap();
    let before = subscription(1, MEGAN);
    let after = Subscription { expires: at(7_200), ..before.clone() };
    store.patch_subscription(Arc::new(before), Arc::new(after)).await.unwrap();
    store.commit(create(&message(NEIGHBOUR, 20, 1))).await.unwrap();
    begin(3, ADELE).await;
    let mut arrives = create(&message(ADELE, 10, 1));
    arrives.once = Some(once("once", 0, 60));
    store.commit(arrives).await.unwrap();
    store.append_lifecycle(subscription_id(3), change_id(0x1f), LifecycleEvent::Missed).await.unwrap();
    store.acquire(NODE, at(0), at(30), 256).await.unwrap();
    let ledger = LedgerDelta { matched: 3, delivered: 2, parked: 1, ..LedgerDelta::default() };
    let incidents = BTreeMap::from([(subscription_id(1), INCIDENT)]);
    let health = BTreeMap::from([(endpoint(1), Some(slow_until(600)))]);
    let checkpoint = Checkpoint { park: vec![parked()], incidents, health, ..checkpoint(1, Position(4), ledger) };
    store.checkpoint(checkpoint).await.unwrap();
    let attachments = Mutation { attachment_puts: vec![attachment()], ..Mutation::default() };
    store.commit(commit_of(MEGAN, attachments)).await.unwrap();
    let permissions = ["Mail.Read".to_owned()];
    let grant = Grant { tenant: TENANT, app: APP, grantee: Grantee::App, permissions: permissions.clone().into() };
    store.grant(grant, at(1)).await.unwrap();
    let refresh_token = Redeemable {
        hash: REFRESH_TOKEN,
        kind: RedeemableKind::RefreshToken,
        session: Uuid::from_u128(0x5e),
        tenant: TENANT,
        app: APP,
        user: MEGAN,
        scopes: permissions.into(),
        issued: at(1),
        expires: at(9_000),
    };
    store.put_redeemable(refresh_token).await.unwrap();
    let third = store.subscription(subscription_id(3)).await.unwrap().unwrap();
    store.pause_subscription(third).await.unwrap();
    assert!(store.mark_log(Partition::of(MEGAN), at(7), None).await.unwrap());
    store.open_topic(opened_by(0xa, 60, topic(7)), 10, at(0)).await.unwrap();
    store.put_event_subscription(Namesake::None, Arc::new(queue_of(&topic(7), "all")), 10).await.unwrap();
    store.publish(topic(7).id, vec![event(1), event(2)], at(0)).await.unwrap();
    store.receive(queue_key(), 1, at(0)).await.unwrap();
}

fn queue_key() -> EventSubscriptionKey {
    EventSubscriptionKey::new(topic(7).id, "all")
}

fn checkpoint(number: u64, cursor: Position, ledger: LedgerDelta) -> Checkpoint {
    Checkpoint {
        partition: Partition::of(MEGAN),
        epoch: number,
        number,
        cursor,
        wall: at(5),
        unpark: Vec::new(),
        park: Vec::new(),
        ledger: BTreeMap::from([(subscription_id(1), ledger)]),
        incidents: BTreeMap::new(),
        health: BTreeMap::new(),
    }
}

/// All that was planted is there; `version` had not yet all of it.
async fn assert_whole(store: &SqliteStore, version: i64) {
    assert_directory(store, version).await;
    assert_mail(store, version).await;
    assert_subscriptions(store, version).await;
    assert_log(store, version).await;
    assert_kept(store, version).await;
    if version >= 13 {
        assert_topics(store).await;
    }
}

/// Of two events one is received and locked.
async fn assert_topics(store: &SqliteStore) {
    assert_eq!(store.topic(topic(7).id).await.unwrap(), Some(opened_by(0xa, 60, topic(7))));
    let events = store.topic_events(topic(7).id, Position(0), 10).await.unwrap();
    assert_eq!(events.iter().map(|(_, kept)| kept.event.clone()).collect::<Vec<_>>(), [event(1), event(2)]);
    let (kept, counts) = store.event_subscription(queue_key()).await.unwrap().unwrap();
    assert_eq!((&*kept, counts.matched, counts.pending()), (&queue_of(&topic(7), "all"), 1, 1));
}

async fn assert_directory(store: &SqliteStore, version: i64) {
    assert_eq!(store.tenants().await, Ok(vec![Tenant { id: TENANT, domain: "contoso.test".to_owned() }]));
    let people = [user(ADELE, "adele@contoso.test"), user(MEGAN, "Megan@contoso.test")];
    for person in people.into_iter().chain([user(NEIGHBOUR, "neighbour@contoso.test")]) {
        assert_eq!(store.user_by_address(&person.upn).await, Ok(Some(person)));
    }
    assert_eq!(store.app(APP).await, Ok(Some(app())));
    if version >= 4 {
        assert_eq!(store.granted(TENANT, APP, None).await, Ok(["Mail.Read".to_owned()].into()));
        assert!(store.redeem(APP, REFRESH_TOKEN, at(2), at(9_000)).await.unwrap().is_some());
    }
}

async fn assert_mail(store: &SqliteStore, version: i64) {
    let filed = Item { folder: projects().id, ..message(MEGAN, 4, 4) };
    for item in [edited(&texted(1), "isRead", json!(true)), texted(3), filed] {
        assert_eq!(store.item(MEGAN, item.id).await, Ok(Some(item.clone())));
        assert_eq!(store.item_by_immutable(MEGAN, item.immutable_id()).await, Ok(Some(item)));
    }
    assert_eq!(store.item(MEGAN, item_id(2)).await, Ok(None));
    for item in [message(NEIGHBOUR, 20, 1), message(ADELE, 10, 1)] {
        assert_eq!(store.item(item.mailbox, item.id).await, Ok(Some(item)));
    }
    let counts = async |folder| {
        let found = store.folder(MEGAN, folder).await.unwrap().unwrap();
        (found.total, found.unread, found.children)
    };
    assert_eq!((counts(inbox(MEGAN)).await, counts(projects().id).await), ((2, 1, 1), (1, 1, 0)));
    assert_eq!(store.folder(MEGAN, projects().id).await.unwrap().unwrap().folder, projects());
    let mut again = create(&message(ADELE, 11, 1));
    again.once = Some(once("once", 1, 60));
    assert_eq!(store.commit(again).await, Err(CommitError::AlreadyDone));
    if version >= 3 {
        let NewAttachment { item, attachment, content } = attachment();
        assert_eq!(store.attachment(MEGAN, item, attachment.id).await, Ok(Some((attachment, content))));
    }
}

async fn assert_subscriptions(store: &SqliteStore, version: i64) {
    let patched = Subscription { expires: at(7_200), ..subscription(1, MEGAN) };
    for planted in [patched, subscription(3, ADELE)] {
        let found = store.subscription(planted.id).await.unwrap().unwrap();
        // When an app last showed that it may be told was not always kept.
        assert_eq!(*found, Subscription { authorized: found.authorized, ..planted });
    }
    assert_eq!(store.subscription(subscription_id(2)).await, Ok(None));
    let state = store.partition_state(Partition::of(ADELE)).await.unwrap();
    assert_eq!(state.subscriptions[0].standing.is_paused(), version >= 7);
    let state = store.partition_state(Partition::of(MEGAN)).await.unwrap();
    assert_eq!(state.subscriptions[0].incident, Some(INCIDENT).filter(|_| version >= 9));
    let health = (version >= 12).then_some((endpoint(1), slow_until(600)));
    assert_eq!(state.health, health.into_iter().collect());
    let ledger = store.ledger(subscription_id(1)).await.unwrap();
    assert_eq!((ledger.matched, ledger.delivered, ledger.parked, ledger.balances()), (3, 2, 1, true));
}

async fn assert_log(store: &SqliteStore, version: i64) {
    let partition = Partition::of(MEGAN);
    let log = store.read_log(partition, Position(0), 100).await.unwrap();
    let told = log.iter().map(|(position, record)| match &**record {
        Record::Change(change) => (position.0, change.item.uuid.as_u128()),
        Record::Subscription { id, .. } => (position.0, id.0.as_u128() << 8),
        other => panic!("{other:?}"),
    });
    let begun = [(1, 0x100), (2, 1), (3, 2), (4, 3), (5, 1), (6, 2), (7, 4)];
    assert_eq!(told.collect::<Vec<_>>(), [&begun[..], &[(8, 0x200), (9, 0x200), (10, 0x100), (11, 20)]].concat());
    let state = store.partition_state(partition).await.unwrap();
    assert_eq!((state.number, state.cursor, state.head), (1, Position(4), Position(11)));
    let spans = state.subscriptions.iter().map(|span| (span.subscription.id, span.began.0, span.ended.map(|at| at.0)));
    assert_eq!(spans.collect::<Vec<_>>(), [(subscription_id(1), 1, None), (subscription_id(2), 8, Some(9))]);
    // What is parked was not always measured.
    let bytes = if version >= 11 { parked().bytes } else { 1_024 };
    assert_eq!(state.parked, BTreeMap::from([(stream(), bytes)]));
    let loaded = store.parked(partition, stream(), Position(0), 10).await.unwrap();
    assert_eq!((&loaded[0].row, &loaded[0].records[0]), (&Parked { bytes, ..parked() }, &log[3].1));
}

/// The log is whole, and knows where its floor may rise to.
async fn assert_kept(store: &SqliteStore, version: i64) {
    let extent = store.log_extents().await.unwrap()[usize::from(Partition::of(MEGAN).0)];
    assert_eq!((extent.floor, extent.first, extent.parked), (Position(0), Position(1), Some(Position(4))));
    let mark = Mark { position: Position(4), at: at(7) };
    assert_eq!(extent.mark, (version >= 10).then_some(mark));
    assert_eq!(store.books(extent.partition).await.unwrap().opening, Opening::default());
}

/// What is there can be worked on.
async fn work_on(store: &SqliteStore) {
    let new = message(MEGAN, 5, 5);
    assert_eq!(store.commit(create(&new)).await.unwrap().position, Position(12));
    let query = DeltaQuery {
        mailbox: MEGAN,
        place: DeltaPlace::Items(Kind::Message, None),
        since: Revision(0),
        removals_since: Revision(0),
        limit: 10,
    };
    let delta = store.delta(query).await.unwrap();
    assert_eq!((delta.entries.len(), delta.more), (4, false));
    let leases = store.acquire(NODE, at(40), at(70), 256).await.unwrap();
    assert!(leases.contains(&(Partition::of(MEGAN), 2)));
    let told = LedgerDelta { matched: 1, delivered: 2, parked: -1, ..LedgerDelta::default() };
    let unpark = vec![(stream(), Position(4))];
    store.checkpoint(Checkpoint { unpark, ..checkpoint(2, Position(12), told) }).await.unwrap();
    let ledger = store.ledger(subscription_id(1)).await.unwrap();
    assert_eq!((ledger.matched, ledger.delivered, ledger.parked), (4, 4, 0));
}

#[tokio::test]
async fn data_of_every_release_is_brought_up_whole() {
    for version in 1..=SCHEMA_VERSION {
        println!("from version {version}");
        let directory = left_by(version);
        let store = open(&directory).unwrap();
        assert_whole(&store, version).await;
        work_on(&store).await;
        store.close().await;
        drop(store);
        assert_eq!(open(&directory).unwrap().item(MEGAN, item_id(5)).await, Ok(Some(message(MEGAN, 5, 5))));
    }
}

/// The tables and indexes of a store that is closed.
fn schema(directory: &TempDir) -> Vec<(String, String)> {
    let database = Connection::open(directory.path().join("tidings.db")).unwrap();
    let mut read = database.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let rows = read.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_was_brought_up_has_the_tables_of_a_new_store() {
    let new = TempDir::new().unwrap();
    open(&new).unwrap();
    for version in 1..=SCHEMA_VERSION {
        let old = left_by(version);
        open(&old).unwrap();
        assert_eq!(schema(&old), schema(&new), "from version {version}");
    }
}

/// With `TIDINGS_SCHEMA_DATA=write` it makes what is missing of this release's version.
#[tokio::test]
async fn every_version_of_the_schema_has_its_data() {
    let of_this_release = data_file(SCHEMA_VERSION);
    if !of_this_release.exists() && std::env::var("TIDINGS_SCHEMA_DATA").is_ok_and(|value| value == "write") {
        let directory = TempDir::new().unwrap();
        let store = open(&directory).unwrap();
        plant(&store).await;
        store.close().await;
        fs::write(&of_this_release, dump(&directory)).unwrap();
    }
    let missing: Vec<_> = (1..=SCHEMA_VERSION).map(data_file).filter(|file| !file.exists()).collect();
    let make = "make what is missing with TIDINGS_SCHEMA_DATA=write cargo test -p tidings-store --test upgrades";
    assert!(missing.is_empty(), "a new version of the schema needs data that it wrote: {missing:?}; {make}");
}

#[tokio::test]
async fn what_is_planted_today_is_what_older_releases_planted() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).unwrap();
    plant(&store).await;
    assert_whole(&store, SCHEMA_VERSION).await;
    store.close().await;
    drop(store);
    let again = TempDir::new().unwrap();
    Connection::open(again.path().join("tidings.db")).unwrap().execute_batch(&dump(&directory)).unwrap();
    assert_whole(&open(&again).unwrap(), SCHEMA_VERSION).await;
}

/// The database as SQL that makes it again.
fn dump(directory: &TempDir) -> String {
    let database = Connection::open(directory.path().join("tidings.db")).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut read = database.prepare(sql).unwrap();
        let rows = read.query_map((), |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let mut sql = "BEGIN;\n".to_owned();
    for table in texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY name") {
        let made = texts(&format!("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{table}'"));
        sql.push_str(&format!("{};\n", made[0]));
        let columns = texts(&format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')"));
        let values = columns.join(" || ',' || ");
        for row in texts(&format!("SELECT {values} FROM {table}")) {
            sql.push_str(&format!("INSERT INTO {table} VALUES({row});\n"));
        }
    }
    for made in texts("SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name") {
        sql.push_str(&format!("{made};\n"));
    }
    sql.push_str("COMMIT;\n");
    sql
}

/// Version 11 of the schema reads each of them. What it cannot read is told of where somebody asks for it.
#[tokio::test]
async fn a_parked_row_that_cannot_be_read_does_not_keep_a_store_from_being_brought_up() {
    for row in ["X'00FF'", "X'7B7D'", "X'5B317D'"] {
        let directory = left_by(10);
        let database = Connection::open(directory.path().join("tidings.db")).unwrap();
        assert_eq!(database.execute(&format!("UPDATE parked SET row = {row}"), ()).unwrap(), 1);
        drop(database);
        let store = open(&directory).unwrap();
        let read = store.parked(Partition::of(MEGAN), stream(), Position(0), 10).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{row}: {read:?}");
        assert_eq!(store.item(MEGAN, item_id(1)).await.map(|item| item.is_some()), Ok(true));
    }
}
