//! Deliveries go wrong on purpose, with what follows from it in life.

use serde_json::{Value, json};
use tidings_server::server::{Settings, start};

use crate::clock::World;
use crate::delivery::{administer, asked_of_admin, settings};

async fn fault(world: &World, fault: Value) {
    administer(&world.server, "POST", "/admin/faults", fault).await;
}

/// Waits until the node is at rest.
async fn settle(world: &World) {
    world.advance("PT0S").await;
}

fn ids(world: &World, path: &str) -> Vec<Value> {
    world.app.told(path).iter().flat_map(|told| &told.items).map(|item| item["id"].clone()).collect()
}

#[tokio::test]
async fn what_is_dropped_is_told_by_one_missed_and_shown_by_a_delta_query() {
    let world = World::new().await;
    let made = world.subscribe(24 * 60).await;
    let delta = "/v1.0/me/mailFolders('Drafts')/messages/delta";
    let (_, page) = world.call("GET", delta, Value::Null).await;
    let link = page["@odata.deltaLink"].as_str().unwrap().to_owned();
    fault(&world, json!({"action": "drop", "times": 2})).await;
    let dropped = [world.message("First").await, world.message("Second").await];
    settle(&world).await;
    assert!(world.app.told("/n").is_empty() && world.app.told("/l").is_empty());
    world.message("Third").await;
    world.advance("10s").await;

    assert_eq!(world.app.told("/n").len(), 1);
    let events: Vec<String> = world.app.events("/l").into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, ["missed"]);
    let ledger = world.ledger(&made).await;
    assert_eq!((&ledger["delivered"], &ledger["abandoned"]), (&json!(2), &json!({"injected": 2})), "{ledger}");
    let path = link.split_once("/v1.0").unwrap().1;
    let (_, page) = world.call("GET", &format!("/v1.0{path}"), Value::Null).await;
    let shown: Vec<&Value> = page["value"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert!(shown.len() == 3 && dropped.iter().all(|message| shown.contains(&&message["id"])), "{page}");
    let (_, list) = asked_of_admin(&world.server, "GET", "/admin/faults", Value::Null).await;
    assert_eq!((&list["value"][0]["struck"], &list["value"][0]["seen"]), (&json!(2), &json!(2)), "{list}");
    world.server.drain().await;
}

#[tokio::test]
async fn what_comes_twice_has_one_id() {
    let world = World::new().await;
    let made = world.subscribe(24 * 60).await;
    fault(&world, json!({"action": "duplicate", "times": 1})).await;
    world.message("Twice").await;
    settle(&world).await;
    let ids = ids(&world, "/n");
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert_eq!(world.ledger(&made).await["delivered"], 1);
    world.server.drain().await;
}

#[tokio::test]
async fn what_fails_three_times_is_delivered_by_the_fourth_with_its_back_off() {
    let world = World::new().await;
    let made = world.subscribe(24 * 60).await;
    fault(&world, json!({"action": "fail", "with": "500", "times": 3})).await;
    let began = world.now();
    world.message("In the end").await;
    world.advance("PT2M").await;
    let told = world.app.told("/n");
    assert_eq!(told.len(), 1, "what fails on purpose is not sent");
    let waited = told[0].at.since(began) / 1_000_000;
    assert!((5 + 10 + 20..=(5 + 10 + 20) * 5 / 4 + 5).contains(&waited), "{waited} s");
    assert_eq!(world.ledger(&made).await["delivered"], 1);
    world.server.drain().await;
}

#[tokio::test]
async fn what_fails_until_the_horizon_is_given_up_and_told_by_a_missed() {
    let world = World::new().await;
    let made = world.subscribe(24 * 60).await;
    fault(&world, json!({"action": "fail", "with": "timeout", "kind": "changes"})).await;
    world.message("Never").await;
    world.advance("PT9H").await;
    assert!(world.app.told("/n").is_empty());
    let events: Vec<String> = world.app.events("/l").into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, ["missed"]);
    let ledger = world.ledger(&made).await;
    assert_eq!((&ledger["parked"], &ledger["abandoned"]), (&json!(0), &json!({"horizon": 1})), "{ledger}");
    world.server.drain().await;
}

#[tokio::test]
async fn what_is_delayed_goes_when_the_time_has_passed() {
    let world = World::new().await;
    world.subscribe(24 * 60).await;
    fault(&world, json!({"action": "delay", "by": "PT5M"})).await;
    let began = world.now();
    world.message("Later").await;
    world.advance("PT4M").await;
    assert!(world.app.told("/n").is_empty());
    world.advance("PT2M").await;
    let told = world.app.told("/n");
    assert_eq!(told.len(), 1);
    assert!(told[0].at.since(began) >= 300_000_000);
    world.server.drain().await;
}

#[tokio::test]
async fn a_request_is_turned_round() {
    let world = World::new().await;
    world.subscribe(24 * 60).await;
    // What waits for one time goes in one request.
    fault(&world, json!({"action": "fail", "with": "refused", "times": 1})).await;
    fault(&world, json!({"action": "reorder"})).await;
    let mut made = vec![world.message("0").await];
    settle(&world).await;
    for number in 1..5 {
        made.push(world.message(&number.to_string()).await);
    }
    world.advance("30s").await;
    let told = world.app.told("/n");
    let longest = told.iter().max_by_key(|told| told.items.len()).unwrap();
    let order: Vec<&Value> = longest.items.iter().map(|item| &item["resourceData"]["id"]).collect();
    let expected: Vec<&Value> = made[1..].iter().rev().map(|message| &message["id"]).collect();
    assert_eq!(order, expected);
    world.server.drain().await;
}

#[tokio::test]
async fn rules_are_removed_one_by_one_and_all_together() {
    let world = World::new().await;
    fault(&world, json!({"action": "drop"})).await;
    fault(&world, json!({"action": "duplicate"})).await;
    administer(&world.server, "DELETE", "/admin/faults/1", Value::Null).await;
    assert_eq!(asked_of_admin(&world.server, "DELETE", "/admin/faults/1", Value::Null).await.0, 404);
    let numbers = async || {
        let (_, list) = asked_of_admin(&world.server, "GET", "/admin/faults", Value::Null).await;
        list["value"].as_array().unwrap().iter().map(|fault| fault["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers().await, [2]);
    administer(&world.server, "DELETE", "/admin/faults", Value::Null).await;
    assert_eq!(numbers().await, Vec::<u64>::new());
    let (status, refusal) =
        asked_of_admin(&world.server, "POST", "/admin/faults", json!({"action": "fail", "with": "200"})).await;
    assert_eq!(status, 400, "{refusal}");
    world.server.drain().await;
}

#[tokio::test]
async fn a_server_for_production_makes_no_faults() {
    let server = start(Settings { dev: false, ..settings() }).await.unwrap();
    for (method, path) in [
        ("GET", "/admin/faults"),
        ("POST", "/admin/faults"),
        ("DELETE", "/admin/faults"),
        ("DELETE", "/admin/faults/1"),
    ] {
        let (status, refusal) = asked_of_admin(&server, method, path, json!({"action": "drop"})).await;
        assert_eq!((status, &refusal["error"]), (403, &json!("only `tidings dev` makes faults on purpose")), "{path}");
    }
    server.drain().await;
}
