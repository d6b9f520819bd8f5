//! The log of a running server is cut, and nobody notices.

use std::time::Duration;

use graph::Timestamp;
use notify::retention::Limits;
use serde_json::{Value, json};
use store::Cut;
use tidings_server::config;
use tidings_server::retention::Retention;
use tidings_server::server::Running;
use tokio_util::sync::CancellationToken;

use crate::attempts::refusing;
use crate::delivery::{asked_of_admin, call, receiver, server};

/// What the admin API says.
async fn asked(server: &Running, path: &str) -> (u16, Value) {
    asked_of_admin(server, "GET", path, Value::Null).await
}

/// What a replay of a subscription comes to.
async fn replayed(server: &Running, subscription: &str, asked: Value) -> Value {
    asked_of_admin(server, "POST", &format!("/admin/subscriptions/{subscription}/replay"), asked).await.1
}

/// Waits until everything is accounted for, so that it does not matter when the next round comes.
async fn settled(server: &Running) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while server.state.store.log_extents().await.unwrap().iter().any(|extent| extent.cursor < extent.head) {
        look.tick().await;
    }
}

/// A round of who looks after the log, as if it were then.
async fn round(server: &Running, now: Timestamp) -> Cut {
    round_within(server, config::Retention::default().limits(), now).await
}

/// The same, with other limits.
async fn round_within(server: &Running, limits: Limits, now: Timestamp) -> Cut {
    let (store, engine) = (server.state.store.clone(), server.state.engine.clone());
    let stop = CancellationToken::new();
    let room = server.state.directory.room().clone();
    Retention { store, engine, room, limits, stop }.round(now).await.unwrap()
}

async fn subscribed(server: &Running, url: &str, change_type: &str) -> String {
    let subscription = json!({"changeType": change_type, "notificationUrl": url, "resource": "me/messages",
                              "expirationDateTime": server.state.clock.wall().plus_minutes(60)});
    let (status, made) = call(server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_has_been_told_for_long_enough_goes_and_what_follows_is_told_as_ever() {
    let ((url, mut heard), (other_url, mut other_heard)) = (receiver().await, receiver().await);
    let server = server().await;
    let stays = subscribed(&server, &url, "created").await;
    let goes = subscribed(&server, &other_url, "created,deleted").await;
    let write = |subject| call(&server, "POST", "/v1.0/me/messages", json!({ "subject": subject }));
    for subject in ["A", "B", "C"] {
        write(subject).await;
        heard.recv().await.unwrap();
        other_heard.recv().await.unwrap();
    }
    assert_eq!(call(&server, "DELETE", &format!("/v1.0/subscriptions/{goes}"), json!({})).await.0, 204);
    settled(&server).await;
    let (now, week) = (server.state.clock.wall(), 7 * 24 * 60);
    assert_eq!(round(&server, now).await, Cut::default(), "a mark is made");
    assert_eq!(round(&server, now.plus_minutes(week - 1)).await, Cut::default(), "it is not old enough");
    let log = asked(&server, "/admin/status").await.1["log"].clone();
    assert_eq!((&log["records"], &log["floorLag"], &log["recordsCut"]), (&json!(6), &json!(6), &json!(0)), "{log}");
    assert!(log["bytesEstimated"].as_u64().unwrap() > 6 * 100, "{log}");
    assert!(log["oldestRecordDateTime"].as_str().unwrap() <= &*now.to_string(), "{log}");

    let cut = round(&server, now.plus_minutes(week)).await;
    assert_eq!((cut.records, cut.subscriptions), (5, 1), "all but the last record, and who had ended");
    let log = asked(&server, "/admin/status").await.1["log"].clone();
    assert_eq!((&log["records"], &log["floorLag"], &log["recordsCut"]), (&json!(1), &json!(0), &json!(5)), "{log}");
    assert_eq!(
        (&log["oldestRecordDateTime"], &log["partitionsHeld"], &log["days"]),
        (&json!(null), &json!(0), &json!(7))
    );
    assert_eq!(asked(&server, &format!("/admin/subscriptions/{goes}/ledger")).await.0, 404);
    let ledger = format!("/admin/subscriptions/{stays}/ledger");
    assert_eq!(asked(&server, &ledger).await.1["delivered"], 3, "who lives keeps the sums");
    let all = asked(&server, "/admin/ledger").await.1;
    assert_eq!((&all["subscriptions"], &all["gone"], &all["delivered"]), (&json!(1), &json!(1), &json!(6)), "{all}");

    write("D").await;
    let told = heard.recv().await.unwrap();
    assert_eq!(told["value"][0]["subscriptionId"], stays);
    settled(&server).await;
    assert_eq!(asked(&server, &ledger).await.1["delivered"], 4);
    let verified = asked(&server, "/admin/ledger/verify").await.1;
    assert_eq!((&verified["balances"], &verified["records"]), (&json!(true), &json!(1)), "{verified}");
    server.drain().await;
    assert!(other_heard.try_recv().is_err());
}

#[tokio::test]
async fn a_replay_says_where_the_log_is_gone() {
    let (url, _heard) = receiver().await;
    let server = server().await;
    let began = server.state.clock.wall();
    let subscription = subscribed(&server, &url, "created").await;
    let write = |subject| call(&server, "POST", "/v1.0/me/messages", json!({ "subject": subject }));
    for subject in ["A", "B"] {
        write(subject).await;
    }
    settled(&server).await;
    let all = json!({ "from": began });
    assert_eq!(replayed(&server, &subscription, all.clone()).await["gone"], Value::Null, "it is all there");
    settled(&server).await;
    let now = server.state.clock.wall();
    round(&server, now).await;
    assert_eq!(round(&server, now.plus_minutes(7 * 24 * 60)).await.records, 4, "the last record stays");

    let told = async |asked: Value| {
        let told = replayed(&server, &subscription, asked).await;
        (told["replayed"].clone(), told["gone"].clone())
    };
    assert_eq!(told(all.clone()).await, (json!(0), json!(5)), "nothing is left of it");
    assert_eq!(told(json!({ "position": 2 })).await, (json!(0), json!(5)));
    write("C").await;
    assert_eq!(told(all).await, (json!(1), json!(5)));
    assert_eq!(told(json!({ "position": 6 })).await, (json!(1), Value::Null));
    server.drain().await;
}

#[tokio::test]
async fn what_keeps_a_log_that_is_too_long_from_being_cut_is_given_up_and_counted() {
    let server = server().await;
    let subscription = subscribed(&server, &refusing().await, "created").await;
    for subject in ["A", "B", "C"] {
        call(&server, "POST", "/v1.0/me/messages", json!({ "subject": subject })).await;
    }
    settled(&server).await;
    let now = server.state.clock.wall();
    round(&server, now).await;
    let week = now.plus_minutes(7 * 24 * 60);
    assert_eq!(round(&server, week).await.records, 0, "its age is no reason");
    let ledger = format!("/admin/subscriptions/{subscription}/ledger");
    assert_eq!(asked(&server, &ledger).await.1["parked"], 3);

    let short = Limits { bytes_max: Some(1), ..config::Retention::default().limits() };
    assert_eq!(round_within(&server, short, now).await.records, 0, "the node is told first");
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while asked(&server, &ledger).await.1["parked"] != 0 {
        look.tick().await;
    }
    let given_up = asked(&server, &ledger).await.1["abandoned"].clone();
    assert_eq!(given_up, json!({ "retention": 3 }));
    assert_eq!(round_within(&server, short, now).await.records, 3, "the last record stays");
    let verified = asked(&server, "/admin/ledger/verify").await.1;
    assert_eq!(verified["balances"], true, "{verified}");
    server.drain().await;
}
