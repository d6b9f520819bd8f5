//! Each verb of the store with its 1st, 2nd, 3rd… operation on the disk failing: whatever fails, afterwards all of it
//! is there or nothing, and what was answered is true.
//!
//! Of the later operations only some fail, unless `TIDINGS_FAULTS=all`.
#![cfg(unix)] // the simulated disk edits files at offsets

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use graph::query::Query;
use graph::registry::ResourceKind;
use graph::{
    AppId, Attachment, AttachmentId, ChangeType, FolderId, ImmutableId, Item, Kind, Mutation, NewAttachment, Partition,
    Properties, Scope, UserId,
};
use notify::log::{Cause, EndReason, LifecycleEvent};
use notify::retention::Mark;
use notify::topic::{Destination, EventSubscription, Queue, Settlement, Topic};
use notify::{
    Checkpoint, Incident, LedgerDelta, Parked, ParkedRef, Position, Record, Stream, StreamKind, Subscription,
};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tidings_store::seal::{KEY_BYTES, Key, Keys};
use tidings_store::sqlite::{OpenOptions, SqliteStore};
use tidings_store::{
    App, DeltaPlace, DeltaQuery, EventSubscriptionKey, Grant, Grantee, Ingest, ItemQuery, LedgerQuery, Namesake,
    NodeId, Redeemable, RedeemableHash, RedeemableKind, Revision, Settle, Store, SubscriptionQuery, Tenant, TopicQuery,
    User, Window,
};
use uuid::Uuid;

use self::fault_vfs::Disk;
use self::support::*;

#[path = "support/fault_vfs.rs"]
#[allow(dead_code)]
mod fault_vfs;
mod support;

const APP: AppId = AppId(Uuid::from_u128(0xa));
const NODE: NodeId = NodeId(Uuid::from_u128(1));
const SESSION: Uuid = Uuid::from_u128(0x5e);
/// So many first operations fail in any case, and of the others one in so many.
const EACH_UNTIL: u64 = 8;
const ONE_IN: u64 = 7;

/// What a verb has answered.
#[derive(Debug, PartialEq)]
enum Said {
    /// Its answer, or a refusal of the domain.
    Done(String),
    /// Nothing was written.
    Failed,
    Unknown,
}

fn said<T: Debug, E: Debug>(answer: Result<T, E>) -> Said {
    let text = format!("{answer:?}");
    match () {
        () if text.contains("Unknown(") => Said::Unknown,
        () if ["Unavailable(", "Full(", "ReadOnly(", "Damaged("].iter().any(|failed| text.contains(failed)) => {
            Said::Failed
        }
        () => Said::Done(text),
    }
}

type Run = fn(Arc<SqliteStore>) -> Pin<Box<dyn Future<Output = Said>>>;

/// Verbs by their names, each with a call.
macro_rules! verbs {
    ($($name:ident: $store:ident => $call:expr;)*) => {
        vec![$((stringify!($name), (|$store: Arc<SqliteStore>| Box::pin(async move { said($call.await) })) as Run)),*]
    };
}

fn app(name: &str) -> App {
    App::new(APP, TENANT, name, UserId(Uuid::from_u128(0xa5)))
}

fn grant() -> Grant {
    Grant { tenant: TENANT, app: APP, grantee: Grantee::App, permissions: BTreeSet::from(["Mail.Read".to_owned()]) }
}

fn redeemable(number: u8) -> Redeemable {
    Redeemable {
        hash: RedeemableHash([number; 32]),
        kind: RedeemableKind::RefreshToken,
        session: SESSION,
        tenant: TENANT,
        app: APP,
        user: ADELE,
        scopes: BTreeSet::new(),
        issued: at(i64::from(number)),
        expires: at(900),
    }
}

fn attachment(item: Uuid) -> NewAttachment {
    let id = AttachmentId { kind: Kind::Message, uuid: Uuid::from_u128(0xac) };
    let properties = json!({ "name": "notes.txt" }).as_object().cloned().unwrap();
    NewAttachment { item, attachment: Attachment { id, properties }, content: vec![7; 9_000] }
}

/// A message that moves to another id, and an attachment that it gets.
fn relocation() -> Mutation {
    let old = message(MEGAN, 1, 1);
    let new = Item { id: item_id(11), version: change_id(99), ..old.clone() };
    Mutation {
        expect: vec![(old.id, Some(old.version))],
        puts: vec![new.clone()],
        removes: vec![old.id],
        attachment_puts: vec![attachment(new.immutable)],
        changes: vec![graph::Change::created(TENANT, &new, at(9))],
        ..Mutation::default()
    }
}

fn in_another_folder() -> Mutation {
    let folder = graph::Folder {
        id: FolderId::new(Kind::Message, Uuid::from_u128(0xf1)),
        mailbox: MEGAN,
        parent: Some(inbox(MEGAN)),
        display_name: "Projects".to_owned(),
        well_known: None,
        properties: Properties::new(),
    };
    Mutation { folder_puts: vec![folder], ..Mutation::default() }
}

fn ingest() -> Ingest {
    let changes = (1..=3).map(|number| (once(&number.to_string(), 0, 60), ingested(number, "users/1")));
    Ingest { scope: subscription_to(1, ResourceKind::User).scope(), changes: changes.collect() }
}

fn checkpoint() -> Checkpoint {
    let stream = Stream { subscription: subscription_id(1), kind: StreamKind::Changes };
    let refs = vec![ParkedRef { position: Position(3), change: Some(ChangeType::Created) }];
    // So many that their sums go to rows of their own.
    let ledger = (0..300).map(|number| {
        let parked = i64::from(number == 1);
        let sums = LedgerDelta { matched: 2, delivered: 2 - parked.unsigned_abs(), parked, ..LedgerDelta::default() };
        (subscription_id(number), sums)
    });
    Checkpoint {
        partition: Partition::of(MEGAN),
        epoch: 2,
        number: 2,
        cursor: Position(4),
        wall: at(5),
        unpark: vec![(stream, Position(2))],
        park: vec![parked_row(stream, refs)],
        ledger: ledger.collect::<BTreeMap<_, _>>(),
        incidents: BTreeMap::from([(subscription_id(1), Incident { opened: at(5) })]),
        health: BTreeMap::from([(endpoint(1), None), (endpoint(2), Some(dropping_until(20)))]),
    }
}

fn first_checkpoint() -> Checkpoint {
    let mut first = checkpoint();
    let row = first.park.remove(0);
    let refs = vec![ParkedRef { position: Position(2), change: Some(ChangeType::Created) }];
    let one = LedgerDelta { matched: 1, delivered: 0, parked: 1, ..LedgerDelta::default() };
    let ledger = BTreeMap::from([(subscription_id(1), one)]);
    Checkpoint {
        epoch: 1,
        number: 1,
        cursor: Position(2),
        unpark: Vec::new(),
        park: vec![Parked { refs, ..row }],
        ledger,
        health: BTreeMap::from([(endpoint(1), Some(slow_until(9)))]),
        ..first
    }
}

fn of_groups() -> Partition {
    Partition::of(Scope::of_resources(TENANT, ResourceKind::Group))
}

fn of_users() -> Partition {
    Partition::of(Scope::of_resources(TENANT, ResourceKind::User))
}

/// Everything of a partition with two records is accounted for, and its cursor is marked.
async fn mark(store: &SqliteStore, partition: Partition) {
    let one = LedgerDelta { matched: 1, delivered: 1, ..LedgerDelta::default() };
    let (unpark, park, ledger) = (Vec::new(), Vec::new(), BTreeMap::from([(subscription_id(5), one)]));
    let (cursor, wall) = (Position(2), at(5));
    let (epoch, number, incidents, health) = (1, 1, BTreeMap::new(), BTreeMap::new());
    let checkpoint = Checkpoint { partition, epoch, number, cursor, wall, unpark, park, ledger, incidents, health };
    store.checkpoint(checkpoint).await.unwrap();
    assert!(store.mark_log(partition, at(6), None).await.unwrap());
}

fn marked() -> Mark {
    Mark { position: Position(2), at: at(6) }
}

/// One log may be cut, of another so much is gone that an ended subscription is next, and of a third the floor may rise.
async fn cut(store: &SqliteStore) {
    for number in 1..=2 {
        store.commit(create(&message(ADELE, 30 + number, 1))).await.unwrap();
    }
    store.begin_subscription(Arc::new(subscription_to(5, ResourceKind::User)), ROOMY).await.unwrap();
    store.end_subscription(subscription_id(5), EndReason::Deleted, None).await.unwrap();
    let changes = (1..=2).map(|number| (once(&number.to_string(), 0, 60), ingested(number, "groups/1")));
    let scope = Scope::of_resources(TENANT, ResourceKind::Group);
    store.ingest(Ingest { scope, changes: changes.collect() }).await.unwrap();
    for partition in [Partition::of(ADELE), of_users(), of_groups()] {
        mark(store, partition).await;
    }
    for partition in [Partition::of(ADELE), of_users()] {
        assert!(store.raise_floor(partition, marked()).await.unwrap());
    }
    assert_eq!(store.cut_log(of_users(), 2).await.unwrap().records, 1);
}

fn list() -> ItemQuery {
    let query = Query::read(Kind::Message, Some("contains(subject,'message')"), None).unwrap();
    ItemQuery { query, ..ItemQuery::newest(MEGAN, Kind::Message, None, 10) }
}

fn delta() -> DeltaQuery {
    let place = DeltaPlace::Items(Kind::Message, None);
    DeltaQuery { mailbox: MEGAN, place, since: Revision(0), removals_since: Revision(0), limit: 10 }
}

fn of_tenant() -> SubscriptionQuery {
    SubscriptionQuery { tenant: TENANT, app: None, creator: None, mailbox: None, after: None, limit: 10 }
}

fn first() -> Arc<Subscription> {
    Arc::new(subscription(1, MEGAN))
}

fn renewed() -> Arc<Subscription> {
    Arc::new(Subscription { expires: at(7_200), authorized: at(5), ..subscription(1, MEGAN) })
}

fn disabled(user: User) -> User {
    User { enabled: false, ..user }
}

fn calls() -> Vec<(&'static str, Run)> {
    let mut all = directory_calls();
    all.extend(mailbox_calls());
    all.extend(subscription_calls());
    all.extend(topic_calls());
    all
}

fn directory_calls() -> Vec<(&'static str, Run)> {
    verbs! {
        add_tenant: store => store.add_tenant(Tenant { id: graph::TenantId(Uuid::from_u128(9)), domain: "b.test".into() });
        tenants: store => store.tenants();
        add_user: store => store.add_user(user(UserId(Uuid::from_u128(77)), "new@contoso.test"));
        replace_user: store => {
            let adele = user(ADELE, "adele@contoso.test");
            store.replace_user(adele.clone(), disabled(adele))
        };
        remove_user: store => store.remove_user(NEIGHBOUR);
        users: store => store.users(TENANT);
        user: store => store.user(MEGAN);
        user_by_address: store => store.user_by_address("megan@contoso.test");
        add_app: store => store.add_app(App { id: AppId(Uuid::from_u128(0xb)), ..app("another") });
        replace_app: store => store.replace_app(app("an app"), app("a renamed app"));
        remove_app: store => store.remove_app(AppId(Uuid::from_u128(0xc)));
        apps: store => store.apps(TENANT);
        app: store => store.app(APP);
        grant: store => store.grant(Grant { permissions: ["Mail.Send".to_owned()].into(), ..grant() }, at(2));
        revoke: store => store.revoke(grant(), at(2));
        consents: store => store.consents(TENANT, APP);
        granted: store => store.granted(TENANT, APP, None);
        put_redeemable: store => store.put_redeemable(redeemable(8));
        redeem: store => store.redeem(APP, RedeemableHash([7; 32]), at(9), at(10));
        end_session: store => store.end_session(SESSION);
    }
}

fn mailbox_calls() -> Vec<(&'static str, Run)> {
    verbs! {
        commit: store => store.commit(create(&edited(&message(MEGAN, 9, 9), "body", json!("b".repeat(12_000)))));
        commit: store => store.commit(commit_of(MEGAN, relocation()));
        commit: store => store.commit(commit_of(MEGAN, in_another_folder()));
        commit: store => store.commit(delete(&message(MEGAN, 2, 2)));
        item: store => store.item(MEGAN, item_id(1));
        item_by_immutable: store => store.item_by_immutable(MEGAN, ImmutableId::new(Kind::Message, item_id(1).uuid));
        items: store => store.items(list());
        count_items: store => store.count_items(list());
        events_between: store => {
            let calendar = graph::WellKnown::Calendar.id_in(MEGAN);
            store.events_between(MEGAN, calendar, Window { from: at(0), until: at(9) }, None, 10)
        };
        delta: store => store.delta(delta());
        attachments: store => store.attachments(MEGAN, item_id(3).uuid);
        attachment: store => {
            let id = attachment(item_id(3).uuid).attachment.id;
            store.attachment(MEGAN, item_id(3).uuid, id)
        };
        folders: store => store.folders(MEGAN);
        folder: store => store.folder(MEGAN, inbox(MEGAN));
        ingest: store => store.ingest(ingest());
        begin_upload: store => store.begin_upload(upload(2, 900), at(0));
        upload: store => store.upload(MEGAN, Uuid::from_u128(1), at(0));
        append_upload: store => store.append_upload(MEGAN, Uuid::from_u128(1), 0, b"large".to_vec(), at(950));
        upload_content: store => store.upload_content(MEGAN, Uuid::from_u128(1));
        end_upload: store => store.end_upload(MEGAN, Uuid::from_u128(1));
    }
}

fn subscription_calls() -> Vec<(&'static str, Run)> {
    verbs! {
        begin_subscription: store => store.begin_subscription(Arc::new(subscription(9, MEGAN)), ROOMY);
        patch_subscription: store => store.patch_subscription(first(), renewed());
        end_subscription: store => store.end_subscription(subscription_id(1), EndReason::Deleted, None);
        require_reauthorization: store => {
            store.require_reauthorization(first(), change_id(0xaa), Cause::RunsOut { due: at(3) })
        };
        pause_subscription: store => store.pause_subscription(first());
        append_lifecycle: store => store.append_lifecycle(subscription_id(1), change_id(0xab), LifecycleEvent::Missed);
        append_missed: store => store.append_missed(subscription_id(1), Incident { opened: at(5) });
        replay: store => {
            let told = message(MEGAN, 1, 1);
            let record = Record::Change(graph::Change::created(TENANT, &told, told.created));
            store.replay(first(), vec![(Some(ChangeType::Created), Arc::new(record))])
        };
        subscription: store => store.subscription(subscription_id(1));
        standing: store => store.standing(subscription_id(1));
        subscriptions: store => store.subscriptions(of_tenant());
        ledger: store => store.ledger(subscription_id(1));
        ledgers: store => store.ledgers(LedgerQuery { app: None, after: None, limit: 10 });
        books: store => store.books(Partition::of(MEGAN));
        read_log: store => store.read_log(Partition::of(MEGAN), Position(0), 100);
        acquire: store => store.acquire(NodeId(Uuid::from_u128(2)), at(60), at(90), 256);
        renew: store => store.renew(NODE, at(20), at(50));
        release: store => store.release(NODE);
        partition_state: store => store.partition_state(Partition::of(MEGAN));
        checkpoint: store => store.checkpoint(checkpoint());
        parked: store => {
            let stream = Stream { subscription: subscription_id(1), kind: StreamKind::Changes };
            store.parked(Partition::of(MEGAN), stream, Position(0), 10)
        };
        log_extents: store => store.log_extents();
        mark_log: store => store.mark_log(Partition::of(MEGAN), at(6), None);
        raise_floor: store => store.raise_floor(of_groups(), marked());
        cut_log: store => store.cut_log(Partition::of(ADELE), 2);
        cut_log: store => store.cut_log(of_users(), 2);
    }
}

/// Of the event that was received and is not settled.
static TOKEN: OnceLock<String> = OnceLock::new();

fn key() -> EventSubscriptionKey {
    EventSubscriptionKey::new(topic(1).id, "all")
}

fn all() -> Arc<EventSubscription> {
    let queue = Queue { keeps_dead_letters: true, ..Queue::default() };
    Arc::new(EventSubscription { destination: Destination::Queue(queue), ..queue_of(&topic(1), "all") })
}

fn pushed() -> Arc<EventSubscription> {
    Arc::new(pushed_to(&topic(1), "pushed", "/a", 0x90))
}

/// Topic 1 has four events, of which its queue has received two and rejected one of them; they are pushed, too. Topic 3 is
/// an operator's, and pushes.
async fn publish(store: &SqliteStore) {
    store.open_topic(opened_by(1, 60, topic(1)), 10, at(0)).await.unwrap();
    store.put_event_subscription(Namesake::None, all(), 10).await.unwrap();
    store.put_event_subscription(Namesake::None, pushed(), 10).await.unwrap();
    store.open_topic(Arc::new(topic(3)), 10, at(0)).await.unwrap();
    let of_an_operator = Arc::new(pushed_to(&topic(3), "pushed", "/a", 0x92));
    store.put_event_subscription(Namesake::None, of_an_operator, 10).await.unwrap();
    store.publish(topic(1).id, (1..=4).map(event).collect(), at(0)).await.unwrap();
    let received = store.receive(key(), 2, at(0)).await.unwrap();
    TOKEN.get_or_init(|| received.events[1].lock_token.clone());
    let tokens = vec![received.events[0].lock_token.clone()];
    store.settle(key(), Settle { tokens, how: Settlement::Reject, now: at(1) }).await.unwrap();
}

fn topic_calls() -> Vec<(&'static str, Run)> {
    verbs! {
        open_topic: store => store.open_topic(opened_by(2, 90, topic(1)), 10, at(0));
        open_topic: store => store.open_topic(opened_by(1, 90, topic(2)), 10, at(0));
        open_topic: store => store.open_topic(opened_by(1, 90, topic(3)), 10, at(0));
        topic: store => store.topic(topic(1).id);
        topics: store => store.topics(TopicQuery { limit: 10, ..TopicQuery::default() });
        replace_topic: store => {
            let before = opened_by(1, 60, topic(1));
            let after = Topic { description: "d".repeat(9_000), ..Topic::clone(&before) };
            store.replace_topic(before, Arc::new(after))
        };
        remove_topic: store => store.remove_topic(topic(1).id);
        topic_counts: store => store.topic_counts(topic(1).id);
        publish: store => store.publish(topic(1).id, vec![event(4), event(5), event(6)], at(2));
        topic_events: store => store.topic_events(topic(1).id, Position(0), 10);
        forget_events: store => store.forget_events(topic(1).id, at(1), 3);
        put_event_subscription: store => {
            let after = Arc::new(queue_of(&topic(1), "all"));
            store.put_event_subscription(Namesake::Standing(all()), after, 10)
        };
        put_event_subscription: store =>
            store.put_event_subscription(Namesake::None, Arc::new(queue_of(&topic(1), "new")), 10);
        put_event_subscription: store => {
            let after = Arc::new(pushed_to(&topic(1), "all", "/a", 0x91));
            store.put_event_subscription(Namesake::Standing(all()), after, 10)
        };
        put_event_subscription: store => {
            let after = Arc::new(pushed_to(&topic(1), "pushed", "/b", 0x91));
            store.put_event_subscription(Namesake::Standing(pushed()), after, 10)
        };
        put_event_subscription: store => {
            let after = Arc::new(queue_of(&topic(1), "pushed"));
            store.put_event_subscription(Namesake::Standing(pushed()), after, 10)
        };
        put_event_subscription: store => {
            let after = Arc::new(pushed_to(&topic(1), "pushed", "/b", 0x91));
            store.put_event_subscription(Namesake::Over(pushed()), after, 10)
        };
        event_subscription: store => store.event_subscription(key());
        event_subscriptions: store => store.event_subscriptions(topic(1).id);
        remove_event_subscription: store => store.remove_event_subscription(key());
        remove_event_subscription: store =>
            store.remove_event_subscription(EventSubscriptionKey::new(topic(1).id, "pushed"));
        receive: store => store.receive(key(), 10, at(60));
        settle: store => {
            let tokens = vec![TOKEN.get().unwrap().clone()];
            store.settle(key(), Settle { tokens, how: Settlement::Release { delay_seconds: 10 }, now: at(2) })
        };
        dead_letters: store => store.dead_letters(key(), Position(0), 10);
    }
}

/// One nonce for all: what is sealed is the same in each run.
fn same_keys() -> Keys {
    Keys::new(Key::new(&[1; KEY_BYTES]), Vec::new(), || [7; 12])
}

/// The database that all calls begin with.
async fn prepared() -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(directory.path(), same_keys(), Heard::default().publish()).unwrap();
    settle(&store).await;
    store.add_app(app("an app")).await.unwrap();
    store.add_app(App { id: AppId(Uuid::from_u128(0xc)), ..app("an app that goes") }).await.unwrap();
    store.grant(grant(), at(1)).await.unwrap();
    store.put_redeemable(redeemable(7)).await.unwrap();
    store.begin_subscription(first(), ROOMY).await.unwrap();
    for number in 1..=3 {
        store.commit(create(&message(MEGAN, number, number as i64))).await.unwrap();
        store.commit(create(&message(NEIGHBOUR, 20 + number, 1))).await.unwrap();
    }
    let attach = Mutation { attachment_puts: vec![attachment(item_id(3).uuid)], ..Mutation::default() };
    store.commit(commit_of(MEGAN, attach)).await.unwrap();
    store.begin_upload(upload(1, 900), at(0)).await.unwrap();
    store.acquire(NODE, at(0), at(30), 256).await.unwrap();
    store.checkpoint(first_checkpoint()).await.unwrap();
    cut(&store).await;
    publish(&store).await;
    store.close().await;
    drop(store);
    fs::read(directory.path().join("tidings.db")).unwrap()
}

struct World {
    disk: &'static Disk,
    database: Vec<u8>,
}

/// What a call came to.
struct Outcome {
    said: Said,
    /// The operation that should fail came.
    struck: bool,
    /// All rows, once what a verb may leave to the next start is done.
    rows: String,
}

impl World {
    /// Runs a call, or none, on a store of its own. The `nth` operation fails; 0: none.
    async fn outcome(&self, run: Option<Run>, nth: u64) -> Outcome {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("tidings.db"), &self.database).unwrap();
        let options = OpenOptions { vfs: Some(self.disk.vfs()), ..OpenOptions::default() };
        let store = SqliteStore::open_with(directory.path(), same_keys(), Heard::default().publish(), options).unwrap();
        let store = Arc::new(store);
        store.acquire(NODE, at(1), at(40), 256).await.unwrap();
        self.disk.fail_operation(nth);
        let said = match run {
            Some(run) => run(Arc::clone(&store)).await,
            None => Said::Done(String::new()),
        };
        let struck = nth > 0 && !self.disk.waits_to_fail();
        self.disk.fail_operation(0);
        store.close().await;
        drop(store);
        let database = Connection::open(directory.path().join("tidings.db")).unwrap();
        let left = "SELECT EXISTS(SELECT 1 FROM removed_mailbox)";
        let left: bool = database.query_row(left, (), |row| row.get(0)).unwrap();
        drop(database);
        if left {
            SqliteStore::open(directory.path(), same_keys(), Heard::default().publish()).unwrap();
        }
        Outcome { said, struck, rows: rows(&directory) }
    }

    async fn check(&self, name: &str, run: Run, all: bool) -> u64 {
        let before = self.outcome(None, 0).await.rows;
        let whole = self.outcome(Some(run), 0).await;
        assert!(matches!(whole.said, Said::Done(_)), "{name}: {:?}", whole.said);
        let mut count = 0;
        for nth in 1.. {
            if !all && nth > EACH_UNTIL && nth % ONE_IN != 0 {
                continue;
            }
            let Outcome { said, struck, rows } = self.outcome(Some(run), nth).await;
            // The first of its transactions stands, and the rest is done at the next start, which takes the leases.
            let in_parts = name == "remove_user";
            let equal = |one: &str| if in_parts { unleased(one) == unleased(&rows) } else { one == rows };
            let (is_before, is_after) = (equal(&before), equal(&whole.rows));
            let right = match &said {
                Said::Done(_) => said == whole.said && is_after,
                Said::Failed if in_parts => is_before || is_after,
                Said::Failed => is_before,
                Said::Unknown => is_before || is_after,
            };
            assert!(
                right,
                "{name}, operation {nth}: {said:?}, and the rows are before: {is_before}, after: {is_after}"
            );
            if !struck {
                return count;
            }
            count += 1;
        }
        unreachable!("it ends when nothing is left to fail")
    }
}

/// All rows of a closed store, a table after the other.
fn rows(directory: &TempDir) -> String {
    let database = Connection::open(directory.path().join("tidings.db")).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut read = database.prepare(sql).unwrap();
        let rows = read.query_map((), |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let mut all = Vec::new();
    for table in texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY name") {
        let columns = texts(&format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')"));
        let mut rows = texts(&format!("SELECT '{table} ' || {} FROM {table}", columns.join(" || ',' || ")));
        rows.sort();
        all.extend(rows);
    }
    all.join("\n")
}

/// The rows without those of partitions.
fn unleased(rows: &str) -> Vec<&str> {
    rows.lines().filter(|row| !row.starts_with("partition ")).collect()
}

#[tokio::test]
async fn whatever_operation_fails_a_verb_is_done_whole_or_not_at_all() {
    let world = World { disk: Disk::install(), database: prepared().await };
    let all = std::env::var("TIDINGS_FAULTS").is_ok_and(|value| value == "all");
    let mut failures = 0;
    for (name, run) in calls() {
        failures += world.check(name, run, all).await;
    }
    println!("{failures} operations failed, of {} calls", calls().len());
    assert!(failures > 100, "{failures}");
}

#[test]
fn every_verb_of_the_store_is_called() {
    let source = include_str!("../src/lib.rs");
    let verbs = source.split("    async fn ").skip(1).map(|verb| verb.split(['(', '<']).next().unwrap());
    let called: BTreeSet<_> = calls().into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = verbs.filter(|verb| !called.contains(verb)).collect();
    assert!(missing.is_empty(), "add a call of {missing:?} to `calls`");
}
