//! What apps are answered while the disk of the store is full, read-only or damaged, and after a restore.

use std::sync::Arc;

use graph::{Partition, Timestamp};
use http::StatusCode;
use notify::Incident;
use notify::retention::{Full, Limits};
use rusqlite::Connection;
use serde_json::json;
use store::sqlite::{OpenOptions, SqliteStore, begin_generation};
use store::{Generation, StoreError, StoreHealth};
use tempfile::TempDir;
use tidings_server::clock::Clock;
use tidings_server::retention::Retention;
use tidings_server::server::fresh_source;
use tidings_server::sources::delivery::Mailboxes;
use tidings_server::sources::{DeliverError, Delivered, Inbound, Mail};
use tidings_server::{key_file, seed};
use tokio_util::sync::CancellationToken;

use self::fault_vfs::Disk;
use crate::admin;
use crate::topics::event;
use crate::world::{World, ok};

#[path = "../../../store/tests/support/fault_vfs.rs"]
#[allow(dead_code)]
mod fault_vfs;

async fn on(disk: &Disk) -> World {
    let directory = TempDir::new().unwrap();
    let options = OpenOptions { vfs: Some(disk.vfs()), ..OpenOptions::default() };
    let store = SqliteStore::open_with(directory.path(), key_file::in_memory(), Arc::new(|_, _| {}), options);
    World::on(Arc::new(store.unwrap()), directory).await
}

#[tokio::test]
async fn a_full_disk_is_answered_with_503_until_there_is_space() {
    let disk = Disk::install();
    let world = on(disk).await;
    let id = world.megan().draft("before").await;
    disk.set_full(true);
    for _ in 0..3 {
        let refused = world.megan().post("/v1.0/me/messages", json!({"subject": "during"})).await;
        let why =
            "503 ServiceUnavailable: The server's disk is full. Nothing was written; its operator must free space.";
        assert_eq!((refused.refusal().as_str(), refused.header("retry-after")), (why, "30"));
    }
    assert_eq!(world.state.store.health(), StoreHealth::Full);
    ok(world.megan().get(&format!("/v1.0/me/messages/{id}")).await, StatusCode::OK);
    disk.set_full(false);
    world.megan().draft("after").await;
    assert_eq!(world.state.store.health(), StoreHealth::Writable);
    let listed = world.megan().get("/v1.0/me/mailFolders/drafts/messages?$select=subject").await;
    let subjects: Vec<_> = listed.json["value"].as_array().unwrap().iter().map(|one| &one["subject"]).collect();
    assert_eq!(subjects, ["after", "before"], "what was refused is not there");
}

#[tokio::test]
async fn a_write_that_may_have_happened_is_answered_with_503_and_not_to_be_repeated_blindly() {
    let disk = Disk::install();
    let world = on(disk).await;
    disk.set_read_only(true);
    let unknown = world.megan().post("/v1.0/me/messages", json!({"subject": "perhaps"})).await;
    let why = "503 ServiceUnavailable: The server does not know whether this was written; read before you try again.";
    assert_eq!((unknown.refusal().as_str(), unknown.header("retry-after")), (why, ""));
    let refused = world.megan().post("/v1.0/me/messages", json!({"subject": "during"})).await;
    let why =
        "503 ServiceUnavailable: The server's data cannot be written. Nothing was; its operator must make it writable.";
    assert_eq!((refused.refusal().as_str(), refused.header("retry-after")), (why, "30"));
    disk.set_read_only(false);
    world.megan().draft("after").await;
}

#[tokio::test]
async fn what_lies_in_a_damaged_page_is_said_and_the_rest_is_served() {
    let directory = TempDir::new().unwrap();
    let keys = key_file::in_memory();
    let open = || Arc::new(SqliteStore::open(directory.path(), keys.clone(), Arc::new(|_, _| {})).unwrap());
    let store = open();
    store.close().await;
    drop(store);
    damage(&directory, "attachment_by_item");
    let store = open();
    let world = World::on(store, directory).await;
    let id = world.megan().draft("whole").await;
    let damaged = world.megan().get(&format!("/v1.0/me/messages/{id}/attachments")).await;
    let why = "500 InternalServerError: The server's data is damaged where this lies. Nothing was written; its operator \
               must restore a backup.";
    assert_eq!((damaged.refusal().as_str(), damaged.header("retry-after")), (why, ""));
    assert_eq!(world.state.store.health(), StoreHealth::Damaged);
    ok(world.megan().get(&format!("/v1.0/me/messages/{id}")).await, StatusCode::OK);
}

#[tokio::test]
async fn a_delta_token_of_before_a_restore_begins_anew() {
    let (directory, keys) = (TempDir::new().unwrap(), key_file::in_memory());
    let path = directory.path().to_owned();
    let open = || Arc::new(SqliteStore::open(&path, keys.clone(), Arc::new(|_, _| {})).unwrap());
    let store = open();
    let mut world = World::on(store.clone(), directory).await;
    let link = "@odata.deltaLink";
    let first = world.megan().get("/v1.0/me/mailFolders/drafts/messages/delta?$select=subject").await;
    let token = first.json[link].as_str().unwrap().strip_prefix("http://graph.test:8443").unwrap().to_owned();
    assert_eq!(world.megan().get(&token).await.status, 200);
    // It is put back as it was: its revisions are those of the token.
    store.close().await;
    let directory = world.directory.take().unwrap();
    drop((world, store));
    begin_generation(&path, &keys, Generation(7), Incident { opened: Timestamp::from_seconds(1) }).unwrap();
    let world = World::on(open(), directory).await;
    let late = world.megan().get(&token).await;
    assert_eq!((late.status, late.text("/error/code").as_str()), (410, "SyncStateNotFound"));
    assert!(late.header("location").ends_with("/messages/delta?$select=subject&$deltatoken="));
    let anew = world.megan().get("/v1.0/me/mailFolders/drafts/messages/delta").await;
    let token = anew.json[link].as_str().unwrap().strip_prefix("http://graph.test:8443").unwrap().to_owned();
    assert_eq!(world.megan().get(&token).await.status, 200, "its own tokens hold");
}

/// Overwrites the first page of a table or index.
fn damage(directory: &TempDir, of: &str) {
    let file = directory.path().join("tidings.db");
    let database = Connection::open(&file).unwrap();
    let sql = "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?1";
    let (page, bytes): (usize, usize) = database.query_row(sql, [of], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    drop(database);
    let mut content = std::fs::read(&file).unwrap();
    content[(page - 1) * bytes..page * bytes].fill(0xd5);
    std::fs::write(file, content).unwrap();
}

const LOG_FULL: &str = "503 ServiceUnavailable: The server's log is full: it has more to tell than it may keep. Nothing was \
                        written; try again later.";

/// A look at the log, of which so many bytes may be kept.
async fn look_after_log(world: &World, bytes_max: u64) {
    let (store, engine) = (world.state.store.clone(), world.state.engine.clone());
    let room = world.state.directory.room().clone();
    let limits = Limits { bytes_max: Some(bytes_max), ..world.state.retention };
    let retention = Retention { store, engine, room, limits, stop: CancellationToken::new() };
    retention.round(world.state.clock.wall()).await.unwrap();
}

/// Nothing can be written to Megan's mailbox, nor published into topics that lie in the same partition as one of these.
fn close(world: &World, full: Full) {
    world.state.directory.room().set(full);
}

fn megans() -> Full {
    Full { writes: [Partition::of(seed::users()[0].id)].into(), ..Full::default() }
}

#[tokio::test]
async fn writes_are_refused_while_more_is_to_be_told_than_the_log_may_keep() {
    let world = World::new().await;
    // No node accounts for what is written here.
    for _ in 0..20 {
        world.megan().draft("before").await;
    }
    look_after_log(&world, 1 << 30).await;
    let id = world.megan().draft("it has room").await;
    look_after_log(&world, 1).await;
    let refused = world.megan().post("/v1.0/me/messages", json!({"subject": "during"})).await;
    assert_eq!((refused.refusal().as_str(), refused.header("retry-after")), (LOG_FULL, "30"));
    let patched = world.megan().patch(&format!("/v1.0/me/messages/{id}"), json!({"isRead": true})).await;
    assert_eq!(patched.refusal(), LOG_FULL);
    ok(world.megan().get(&format!("/v1.0/me/messages/{id}")).await, StatusCode::OK);
    world.adele().draft("hers has nothing to tell").await;
    assert_eq!(world.state.store.health(), StoreHealth::Writable);
    look_after_log(&world, 1 << 30).await;
    world.megan().draft("after").await;
}

#[tokio::test]
async fn a_subscription_can_be_ended_while_the_log_is_full() {
    let world = World::new().await;
    let expires = world.state.clock.wall().plus_minutes(60);
    let wanted = json!({"changeType": "created", "notificationUrl": "https://hook.example.net/graph",
                        "resource": "me/messages", "expirationDateTime": expires});
    let id = world.megan().post("/v1.0/subscriptions", wanted).await.text("/id");
    close(&world, megans());
    ok(world.megan().delete(&format!("/v1.0/subscriptions/{id}")).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn mail_from_outside_waits_while_the_log_is_full_and_what_was_taken_is_delivered() {
    let world = World::new().await;
    close(&world, megans());
    let mail =
        |subject: &str| Mail { properties: json!({"subject": subject}).as_object().cloned().unwrap(), meeting: None };
    let mailboxes = || Mailboxes::new(world.state.store.clone(), fresh_source(Clock::new()));
    let (outside, node) = (mailboxes().within(world.state.directory.room().clone()), mailboxes());
    let megan = &seed::users()[0];
    let refused = Inbound::deliver(&outside, megan, mail("new"), "1".to_owned()).await;
    assert_eq!(refused, Err(DeliverError::NoRoom(StoreError::LogTooLong)));
    assert_eq!(Inbound::deliver(&node, megan, mail("sent"), "2".to_owned()).await, Ok(Delivered::New));
    close(&world, Full::default());
    assert_eq!(Inbound::deliver(&outside, megan, mail("new"), "1".to_owned()).await, Ok(Delivered::New));
}

#[tokio::test]
async fn changes_from_other_systems_wait_while_the_log_is_full() {
    let world = World::new().await;
    let told =
        json!({"changes": [{"key": "1", "tenant": "contoso.test", "resource": "groups/1", "changeType": "updated"}]});
    let ingest = async || admin::call(&world, "hush", "POST", "/admin/ingest/changes", &told.to_string()).await;
    close(&world, Full { writes: Partition::all().collect(), ..Full::default() });
    assert_eq!(ingest().await.0, 503);
    let ready = world.megan().get("/readyz").await;
    assert_eq!((ready.status, ready.text("/failing/0/check").as_str()), (503, "log"));
    close(&world, Full::default());
    assert_eq!(ingest().await.1, json!({"accepted": 1, "duplicates": 0, "refused": []}));
}

#[tokio::test]
async fn flood_of_events_into_a_topic_meets_the_bound_of_the_log_and_they_are_given_out() {
    let world = World::new().await;
    let topic = world.topic().await;
    topic.publish(&["1", "2"]).await;
    look_after_log(&world, 1).await;
    let publish = async |id: &str| {
        let caller = topic.caller().with("content-type", "application/cloudevents+json");
        caller.post("/topics/mail:publish?api-version=2024-06-01", event(id)).await
    };
    let refused = publish("3").await;
    assert_eq!((refused.refusal().as_str(), refused.header("retry-after")), (LOG_FULL, "30"));
    let received = topic.receive(10).await;
    assert_eq!(received.len(), 2);
    let settled = topic.settle("acknowledge", &[&received[0].0]).await;
    assert_eq!(settled["succeededLockTokens"], json!([received[0].0]));
    look_after_log(&world, 1 << 30).await;
    ok(publish("3").await, StatusCode::OK);
}
