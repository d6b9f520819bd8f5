//! Operators tell subscriptions again.

use std::sync::Arc;

use graph::{Partition, SubscriptionId, Timestamp};
use notify::{Position, Record};
use serde_json::{Value, json};
use tidings_server::seed;

use crate::admin::call;
use crate::delivery;
use crate::world::World;

async fn subscribed(world: &World) -> SubscriptionId {
    let body = json!({
        "changeType": "created",
        "notificationUrl": "https://hook.example.net/graph",
        "resource": "me/messages",
        "expirationDateTime": world.state.clock.wall().plus_minutes(60),
    });
    world.megan().post("/v1.0/subscriptions", body).await.text("/id").parse().unwrap()
}

/// Megan's log from a position on.
async fn log(world: &World, after: u64) -> Vec<Arc<Record>> {
    let partition = Partition::of(seed::users()[0].id);
    let log = world.state.store.read_log(partition, Position(after), 5_000).await.unwrap();
    log.into_iter().map(|(_, record)| record).collect()
}

async fn draft(world: &World) {
    assert_eq!(world.megan().post("/v1.0/me/messages", json!({ "subject": "one" })).await.status, 201);
}

async fn replay(world: &World, id: &str, asked: Value) -> (u16, Value) {
    let path = format!("/admin/subscriptions/{id}/replay");
    let (status, body) = call(world, "hush", "POST", &path, &asked.to_string()).await;
    (status.as_u16(), body)
}

fn long_ago() -> Timestamp {
    Timestamp::from_seconds(0)
}

#[tokio::test]
async fn what_happened_in_a_stretch_of_time_is_told_again_once() {
    let world = World::new().await;
    draft(&world).await;
    let id = subscribed(&world).await;
    for _ in 0..3 {
        draft(&world).await;
    }
    let before = log(&world, 0).await;
    let asked = json!({ "from": long_ago() });
    let asked_at = world.state.clock.wall();
    let (status, done) = replay(&world, &id.to_string(), asked.clone()).await;
    assert_eq!((status, &done["replayed"], &done["after"], &done["more"]), (200, &json!(3), &json!(5), &json!(false)));
    let until: Timestamp = done["to"].as_str().unwrap().parse().unwrap();
    assert!((asked_at..=world.state.clock.wall()).contains(&until), "until now, by the server's clock: {done}");
    let replayed: Vec<Arc<Record>> = log(&world, 5).await;
    for (again, first) in replayed.iter().zip(&before[2..]) {
        let Record::Replayed { subscription, record, .. } = &**again else { panic!("{again:?}") };
        assert_eq!((*subscription, record), (id, first));
        let named = |record| notify::notification::id(id, record, Some(graph::ChangeType::Created));
        assert_eq!(named(again), named(first));
    }
    let (_, again) = replay(&world, &id.to_string(), asked).await;
    assert_eq!((replayed.len(), &again["replayed"]), (3, &json!(3)), "replays are not told again");
    let later = json!({ "from": world.state.clock.wall().plus_minutes(1) });
    assert_eq!(replay(&world, &id.to_string(), later).await.1["replayed"], 0);
}

#[tokio::test]
async fn what_went_to_a_topic_is_not_told_to_it_again() {
    let world = World::new().await;
    let azure = "EventGrid:?azuresubscriptionid=8a9c3b1e-0000-4000-8000-000000000001&resourcegroup=rg";
    let body = json!({
        "changeType": "created",
        "notificationUrl": format!("{azure}&partnertopic=mail-events&location=westeurope"),
        "resource": "me/messages",
        "expirationDateTime": world.state.clock.wall().plus_minutes(60),
    });
    let id = world.megan().post("/v1.0/subscriptions", body).await.text("/id");
    let (status, answer) = replay(&world, &id, json!({ "from": long_ago() })).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer.to_string().contains("takes an event once"), "{answer}");
}

#[tokio::test]
async fn one_position_is_told_again_if_it_was_to_be_heard() {
    let world = World::new().await;
    let id = subscribed(&world).await.to_string();
    for _ in 0..2 {
        draft(&world).await;
    }
    let asked = async |position: u64| replay(&world, &id, json!({ "position": position })).await.1["replayed"].clone();
    assert_eq!((asked(2).await, asked(1).await, asked(99).await), (json!(1), json!(0), json!(0)));
    let Record::Replayed { record, .. } = &*log(&world, 3).await[0] else { panic!("a replay") };
    assert_eq!(*record, log(&world, 1).await[0]);
}

#[tokio::test]
async fn a_long_stretch_is_told_again_in_parts() {
    let world = World::new().await;
    let id = subscribed(&world).await;
    let subscription = world.state.store.subscription(id).await.unwrap().unwrap();
    draft(&world).await;
    let Record::Change(change) = &*log(&world, 1).await[0] else { panic!("a change") };
    let mailbox = change.mailbox;
    for number in 0..1_001_u128 {
        let changed = graph::Change { id: graph::ChangeId(uuid::Uuid::from_u128(number)), ..change.clone() };
        let mutation = graph::Mutation { changes: vec![changed], ..graph::Mutation::default() };
        world.state.store.commit(store::Commit::of(subscription.tenant, mailbox, mutation)).await.unwrap();
    }
    let ask = async |after: &Value| {
        let asked = json!({ "from": long_ago(), "to": change.at.plus_micros(1), "after": after });
        replay(&world, &id.to_string(), asked).await.1
    };
    let first = ask(&Value::Null).await;
    assert_eq!((&first["replayed"], &first["more"]), (&json!(1_000), &json!(true)));
    let rest = ask(&first["after"]).await;
    assert_eq!((&rest["replayed"], &rest["more"]), (&json!(2), &json!(false)));
}

#[tokio::test]
async fn what_cannot_be_told_again_is_refused_with_the_reason() {
    let world = World::new().await;
    let id = subscribed(&world).await;
    let refused = async |id: &str, asked: Value| {
        let (status, body) = replay(&world, id, asked).await;
        (status, body["error"].as_str().unwrap_or_default().to_owned())
    };
    let turned_round = json!({ "from": "2026-11-30T16:40:00Z", "to": "2026-11-30T16:28:00Z" });
    for asked in [json!({}), json!({ "position": 0 }), json!({ "position": 1, "from": long_ago() }), turned_round] {
        let (status, why) = refused(&id.to_string(), asked).await;
        assert_eq!(status, 400, "{why}");
    }
    let from = json!({ "from": long_ago() });
    let subscription = world.state.store.subscription(id).await.unwrap().unwrap();
    world.state.store.pause_subscription(subscription).await.unwrap();
    let (status, why) = refused(&id.to_string(), from.clone()).await;
    assert_eq!((status, why.contains("is paused")), (409, true), "{why}");
    assert_eq!(world.megan().delete(&format!("/v1.0/subscriptions/{id}")).await.status, 204);
    let (status, why) = refused(&id.to_string(), from.clone()).await;
    assert_eq!((status, why.contains("has ended")), (404, true), "{why}");
    assert_eq!(refused("nobody", from).await.0, 404);
}

#[tokio::test]
async fn a_receiver_hears_again_under_the_same_id() {
    let (url, mut notifications) = delivery::receiver().await;
    let server = delivery::server().await;
    let expires = server.state.clock.wall().plus_minutes(60);
    let body = json!({ "changeType": "created", "notificationUrl": url, "resource": "me/messages",
                       "expirationDateTime": expires });
    let (status, made) = delivery::call(&server, "POST", "/v1.0/subscriptions", body).await;
    assert_eq!(status, 201, "{made}");
    delivery::call(&server, "POST", "/v1.0/me/messages", json!({ "subject": "Hello" })).await;
    let first = notifications.recv().await.unwrap();
    let id: SubscriptionId = made["id"].as_str().unwrap().parse().unwrap();
    let stretch = tidings_server::evidence::replay::Stretch::At(Position(2));
    let store = server.state.store.as_ref();
    tidings_server::evidence::replay::replay(store, id, stretch, Position(0)).await.unwrap();
    assert_eq!(notifications.recv().await.unwrap(), first);
    server.drain().await;
}
