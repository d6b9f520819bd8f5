//! Megan's mailbox holds long items: pages end early, and the next ones go on.

use graph::mailbox::{self, Fresh, Owner};
use graph::{ChangeId, FolderId, Partition, WellKnown};
use http::StatusCode;
use notify::{Position, Record};
use serde_json::{Value, json};
use store::{Commit, READ_BYTES_MAX};
use tidings_server::seed;
use uuid::Uuid;

use crate::world::{Reply, World, ok};

/// Puts an item with a body that is too long for one request into Megan's mailbox: four of its kind are more
/// than one page holds.
async fn put(world: &World, number: u128, folder: FolderId, mut body: Value) -> String {
    let user = &seed::users()[0];
    let owner = Owner { tenant: user.tenant, id: user.id, address: user.upn.clone(), name: user.display_name.clone() };
    let uuid = |part| Uuid::from_u128((number << 8) + part);
    let now = world.state.clock.wall();
    let fresh = Fresh { now, uuid: uuid(0), change: ChangeId(uuid(1)), removal: ChangeId(uuid(2)) };
    body["body"] = json!({"contentType": "text", "content": "x".repeat(READ_BYTES_MAX / 4)});
    let written = mailbox::create(&owner, &fresh, folder, body).unwrap();
    world.state.store.commit(Commit::of(owner.tenant, owner.id, written.mutation)).await.unwrap();
    written.item.id.to_string()
}

async fn put_messages(world: &World, folder: FolderId) {
    for number in 1..=6 {
        put(world, number, folder, json!({"subject": format!("m{number}")})).await;
    }
}

fn known(folder: WellKnown) -> FolderId {
    folder.id_in(seed::users()[0].id)
}

/// What a page shows, and the path of the next one.
async fn page(world: &World, path: &str) -> (Vec<Value>, Option<String>) {
    let page: Reply = ok(world.megan().with("prefer", "odata.maxpagesize=100").get(path).await, StatusCode::OK);
    let next = page.json["@odata.nextLink"].as_str();
    let next = next.map(|next| next.strip_prefix("http://graph.test:8443").unwrap().to_owned());
    (page.json["value"].as_array().unwrap().clone(), next)
}

#[tokio::test]
async fn a_page_of_long_messages_ends_early_and_the_next_goes_on() {
    let world = World::new().await;
    put_messages(&world, known(WellKnown::Inbox)).await;
    for path in
        ["/v1.0/me/messages?$top=100&$select=subject", "/v1.0/me/mailFolders/inbox/messages/delta?$select=subject"]
    {
        let (first, next) = page(&world, path).await;
        let (second, last) = page(&world, &next.unwrap()).await;
        assert_eq!((first.len(), second.len(), last), (4, 2, None), "{path}");
    }
}

#[tokio::test]
async fn a_folder_of_long_messages_is_copied_and_removed_whole() {
    let world = World::new().await;
    let megan = world.megan();
    let made = ok(megan.post("/v1.0/me/mailFolders", json!({"displayName": "Work"})).await, StatusCode::CREATED);
    let path = format!("/v1.0/me/mailFolders/{}", made.text("/id"));
    put_messages(&world, made.text("/id").parse().unwrap()).await;
    let copied = megan.post(&format!("{path}/copy"), json!({"destinationId": "archive"})).await;
    assert_eq!(ok(copied, StatusCode::OK).json["totalItemCount"], 6);
    ok(megan.post(&format!("{path}/permanentDelete"), json!({})).await, StatusCode::NO_CONTENT);
    let log = world.state.store.read_log(Partition::of(seed::users()[0].id), Position(0), 100).await.unwrap();
    let is_deletion = |record: &Record| match record {
        Record::Change(change) => change.change.as_str() == "deleted",
        _ => false,
    };
    assert_eq!(log.iter().filter(|(_, record)| is_deletion(record)).count(), 6);
}

const VIEW: &str = "/v1.0/me/calendarView/delta?startDateTime=2026-01-01T00:00:00Z&endDateTime=2026-02-01T00:00:00Z";

/// Every day at nine from 5 January 2026, ten times.
async fn put_series(world: &World, number: u128) -> String {
    let at = |time: &str| json!({"dateTime": time, "timeZone": "UTC"});
    let body = json!({
        "subject": "Plan", "start": at("2026-01-05T09:00:00"), "end": at("2026-01-05T10:00:00"),
        "recurrence": {
            "pattern": {"type": "daily", "interval": 1},
            "range": {"type": "numbered", "startDate": "2026-01-05", "numberOfOccurrences": 10},
        },
    });
    put(world, number, known(WellKnown::Calendar), body).await
}

#[tokio::test]
async fn a_page_of_long_series_ends_after_the_one_that_fills_it() {
    let world = World::new().await;
    let megan = world.megan();
    let (one, two) = (put_series(&world, 1).await, put_series(&world, 2).await);
    let window = "startDateTime=2026-01-01&endDateTime=2026-02-01";
    for master in [&one, &two] {
        let found = megan.get(&format!("/v1.0/me/events/{master}/instances?{window}&$select=subject&$top=8")).await;
        for occurrence in ok(found, StatusCode::OK).json["value"].as_array().unwrap() {
            let path = format!("/v1.0/me/events/{}", occurrence["id"].as_str().unwrap());
            ok(megan.patch(&path, json!({"subject": "Other"})).await, StatusCode::OK);
        }
    }
    let (first, next) = page(&world, VIEW).await;
    let (second, last) = page(&world, &next.unwrap()).await;
    assert_eq!((first.len(), second.len(), last), (11, 11, None), "a master and ten occurrences each");
    for (told, master) in [(first, one), (second, two)] {
        assert_eq!(told[0]["id"], *master);
        let exceptions: Vec<&Value> = told.iter().filter(|event| event["type"] == "exception").collect();
        assert!(exceptions.iter().all(|event| event["subject"] == "Other"));
        let whole = exceptions.iter().filter(|event| event.get("body").is_some()).count();
        assert_eq!((exceptions.len(), whole), (8, 3), "the others have what differs of them");
    }
}
