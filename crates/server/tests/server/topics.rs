//! Partner topics: made and managed in the shape of Azure's Resource Manager, published into, and pulled from.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Caller, Reply, World, ok};

const GROUP: &str =
    "/subscriptions/8d4f6d16-47a1-4b9c-9b4f-0c7e4fbd5d3a/resourceGroups/rg1/providers/Microsoft.EventGrid";
pub const VERSION: &str = "api-version=2025-02-15";

/// The path of a topic's management, or of what lies below it.
pub fn managed(below: &str) -> String {
    format!("{GROUP}/{below}?{VERSION}")
}

/// A topic that is activated, with an event subscription, and a caller who has its key.
pub struct Topic<'a> {
    pub world: &'a World,
    pub key: String,
}

impl World {
    /// The seeded app, with a token for the management of topics.
    pub fn manager(&self) -> Caller<'_> {
        self.app().saying("aud", "https://management.azure.com".into())
    }

    pub async fn topic(&self) -> Topic<'_> {
        let manager = self.manager();
        let wanted = json!({"location": "westeurope", "properties": {"activationState": "Activated"}});
        ok(manager.send("PUT", &managed("partnerTopics/mail"), wanted.to_string()).await, StatusCode::CREATED);
        let pulled = json!({"properties": {"deliveryConfiguration": {"deliveryMode": "Queue"}}});
        let path = managed("partnerTopics/mail/eventSubscriptions/worker");
        ok(manager.send("PUT", &path, pulled.to_string()).await, StatusCode::CREATED);
        let keys = ok(manager.post(&managed("partnerTopics/mail/listKeys"), json!({})).await, StatusCode::OK);
        Topic { world: self, key: keys.text("/key1") }
    }
}

impl Topic<'_> {
    pub fn caller(&self) -> Caller<'_> {
        self.world.bearer(&format!("SharedAccessKey {}", self.key))
    }

    pub async fn publish(&self, ids: &[&str]) {
        let events: Vec<Value> = ids.iter().map(|id| event(id)).collect();
        let caller = self.caller().with("content-type", "application/cloudevents-batch+json; charset=utf-8");
        let reply = caller.post("/topics/mail:publish?api-version=2024-06-01", json!(events)).await;
        assert_eq!(ok(reply, StatusCode::OK).json, json!({}));
    }

    pub async fn receive(&self, most: usize) -> Vec<(String, Value)> {
        let path = format!("/topics/mail/eventsubscriptions/worker:receive?api-version=2024-06-01&maxEvents={most}");
        locked(ok(self.caller().send("POST", &path, String::new()).await, StatusCode::OK))
    }

    pub async fn settle(&self, how: &str, tokens: &[&str]) -> Value {
        let path = format!("/topics/mail/eventsubscriptions/worker:{how}?api-version=2024-06-01");
        ok(self.caller().post(&path, json!({"lockTokens": tokens})).await, StatusCode::OK).json
    }
}

pub fn event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/tests", "type": "T", "data": {"n": 1}})
}

/// Each lock token, with what stands beside it.
fn locked(reply: Reply) -> Vec<(String, Value)> {
    let value = reply.json["value"].as_array().unwrap().clone();
    let token = |locked: &Value| locked["brokerProperties"]["lockToken"].as_str().unwrap().to_owned();
    value.into_iter().map(|locked| (token(&locked), locked)).collect()
}

fn ids(received: &[(String, Value)]) -> Vec<&str> {
    received.iter().map(|(_, locked)| locked["event"]["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_published_is_received_and_acknowledged_once() {
    let world = World::new().await;
    let topic = world.topic().await;
    topic.publish(&["1", "2", "3"]).await;
    topic.publish(&["2"]).await;
    let received = topic.receive(2).await;
    assert_eq!(ids(&received), ["1", "2"]);
    assert_eq!(received[0].1["event"], event("1"), "the event is as it was sent");
    assert_eq!(received[0].1["brokerProperties"]["deliveryCount"], 1);
    assert_eq!(ids(&topic.receive(10).await), ["3"], "what is locked is nobody else's");
    let (first, second) = (received[0].0.as_str(), received[1].0.as_str());
    let settled = topic.settle("acknowledge", &[first, "forged", first]).await;
    assert_eq!(settled["succeededLockTokens"], json!([first]));
    let failed: Vec<&Value> =
        settled["failedLockTokens"].as_array().unwrap().iter().map(|failed| &failed["error"]["code"]).collect();
    assert_eq!(failed, ["BadToken", "TokenLost"], "forged, and doubled");
    assert_eq!(topic.settle("release", &[second]).await["succeededLockTokens"], json!([second]));
    let again = topic.receive(10).await;
    assert_eq!((ids(&again), &again[0].1["brokerProperties"]["deliveryCount"]), (vec!["2"], &json!(2)));
    assert_eq!(topic.settle("renewLock", &[second]).await["failedLockTokens"][0]["error"]["code"], "TokenLost");
    let token = again[0].0.as_str();
    assert_eq!(topic.settle("renewLock", &[token]).await["succeededLockTokens"], json!([token]));
    assert_eq!(topic.settle("reject", &[token]).await["succeededLockTokens"], json!([token]));
    let lost = topic.settle("acknowledge", &[token]).await;
    assert_eq!(lost["failedLockTokens"][0]["error"]["code"], "TokenLost");
}

#[tokio::test]
async fn an_event_comes_in_each_of_http_s_modes() {
    let world = World::new().await;
    let topic = world.topic().await;
    let path = "/topics/mail:publish?api-version=2023-11-01";
    let structured = topic.caller().with("content-type", "application/cloudevents+json");
    ok(structured.post(path, event("structured")).await, StatusCode::OK);
    let binary = topic.caller().with("ce-id", "binary").with("ce-source", "/tests").with("ce-type", "T");
    ok(binary.with("ce-specversion", "1.0").post(path, json!({"n": 1})).await, StatusCode::OK);
    let received = topic.receive(10).await;
    assert_eq!(ids(&received), ["structured", "binary"]);
    assert_eq!(received[1].1["event"]["data"], json!({"n": 1}));
    let plain = topic.caller().post(path, json!({"n": 1})).await;
    assert_eq!(plain.status, 400, "{}", plain.json);
}

#[tokio::test]
async fn whoever_waits_gets_an_event_as_soon_as_it_is_published() {
    let world = World::new().await;
    let topic = world.topic().await;
    let (received, ()) = tokio::join!(topic.receive(10), async {
        // The other one asks first, and finds nothing.
        tokio::task::yield_now().await;
        topic.publish(&["1"]).await;
    });
    assert_eq!(ids(&received), ["1"]);
}

#[tokio::test]
async fn what_is_released_goes_to_who_waits() {
    let world = World::new().await;
    let topic = world.topic().await;
    topic.publish(&["1"]).await;
    let token = topic.receive(1).await.remove(0).0;
    let (received, _) = tokio::join!(topic.receive(1), async {
        tokio::task::yield_now().await;
        topic.settle("release", &[&token]).await
    });
    assert_eq!(ids(&received), ["1"]);
}

#[tokio::test]
async fn whoever_waits_is_let_go_when_the_server_stops() {
    let world = World::new().await;
    let topic = world.topic().await;
    let (received, ()) = tokio::join!(topic.receive(1), async {
        tokio::task::yield_now().await;
        world.state.arrivals.close();
    });
    assert!(received.is_empty());
    assert!(tokio::time::timeout(Duration::from_secs(5), topic.receive(1)).await.unwrap().is_empty());
}

#[tokio::test]
async fn events_are_filtered_by_the_event_subscription() {
    let world = World::new().await;
    let topic = world.topic().await;
    let filtered = json!({"filter": {"advancedFilters": [{"operatorType": "StringIn", "key": "id", "values": ["2"]}]}});
    let path = managed("partnerTopics/mail/eventSubscriptions/worker");
    ok(world.manager().patch(&path, filtered).await, StatusCode::CREATED);
    topic.publish(&["1", "2", "3"]).await;
    assert_eq!(ids(&topic.receive(10).await), ["2"]);
}

#[tokio::test]
async fn a_topic_is_managed_as_azures_client_does_it() {
    let world = World::new().await;
    let manager = world.manager();
    let path = managed("partnerTopics/mail");
    let wanted = json!({"location": "westeurope", "properties": {"partnerTopicFriendlyDescription": "mail"}});
    let made = ok(manager.send("PUT", &path, wanted.to_string()).await, StatusCode::CREATED);
    assert_eq!(made.text("/properties/activationState"), "NeverActivated");
    assert_eq!(made.text("/properties/provisioningState"), "Succeeded");
    assert_eq!(made.text("/id"), format!("{GROUP}/partnerTopics/mail"));
    ok(manager.send("PUT", &path, wanted.to_string()).await, StatusCode::OK);
    let moved = json!({"location": "westus2"});
    let moved = manager.send("PUT", &path, moved.to_string()).await;
    assert_eq!((moved.status, moved.text("/error/code").as_str()), (409, "InvalidResourceLocation"));

    let activated = ok(manager.post(&managed("partnerTopics/MAIL/activate"), json!({})).await, StatusCode::OK);
    assert_eq!(activated.text("/properties/activationState"), "Activated");
    assert_eq!(activated.json["properties"].get("expirationTimeIfNotActivatedUtc"), None);
    ok(manager.post(&managed("partnerTopics/mail/deactivate"), json!({})).await, StatusCode::OK);
    let read = ok(manager.get(&path).await, StatusCode::OK);
    assert_eq!(read.text("/properties/activationState"), "Deactivated");
    for list in [managed("partnerTopics"), managed("partnerTopics").replace("/resourceGroups/rg1", "")] {
        assert_eq!(ok(manager.get(&list).await, StatusCode::OK).json["value"][0]["name"], "mail");
    }
    let elsewhere = managed("partnerTopics").replace("rg1", "rg2");
    assert_eq!(ok(manager.get(&elsewhere).await, StatusCode::OK).json, json!({"value": []}));

    ok(manager.delete(&path).await, StatusCode::OK);
    assert_eq!(manager.get(&path).await.status, 404);
    ok(manager.delete(&path).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_topic_has_the_tags_that_were_last_named() {
    let world = World::new().await;
    let manager = world.manager();
    let path = managed("partnerTopics/mail");
    let wanted = json!({"location": "westeurope", "tags": {"team": "mail", "stage": "test"}});
    let made = ok(manager.send("PUT", &path, wanted.to_string()).await, StatusCode::CREATED);
    assert_eq!(made.json["tags"], wanted["tags"]);
    let patched = ok(manager.patch(&path, json!({"tags": {"stage": "live"}})).await, StatusCode::OK);
    assert_eq!(patched.json["tags"], json!({"stage": "live"}), "those that were not named are gone");
    ok(manager.post(&managed("partnerTopics/mail/activate"), json!({})).await, StatusCode::OK);
    ok(manager.patch(&path, json!({})).await, StatusCode::OK);
    assert_eq!(ok(manager.get(&path).await, StatusCode::OK).json["tags"], json!({"stage": "live"}));
    let many: serde_json::Map<String, Value> = (0..51).map(|number| (number.to_string(), "x".into())).collect();
    for refused in [json!({"tags": many}), json!({"properties": {"activationState": "Activated"}})] {
        let reply = manager.patch(&path, refused).await;
        assert_eq!((reply.status, reply.text("/error/code").as_str()), (400, "InvalidRequest"));
    }
    let untagged = ok(manager.send("PUT", &path, json!({"location": "westeurope"}).to_string()).await, StatusCode::OK);
    assert_eq!(untagged.json.get("tags"), None, "a PUT says all of it");
    let stranger = world.stranger().patch(&path, json!({"tags": {"a": "b"}})).await;
    assert_eq!(stranger.status, 401);
}

#[tokio::test]
async fn an_event_subscription_is_made_changed_listed_and_removed() {
    let world = World::new().await;
    let topic = world.topic().await;
    let manager = world.manager();
    let path = managed("partnerTopics/mail/eventSubscriptions/typed");
    let own =
        json!({"endpointType": "NamespaceTopic", "properties": {"resourceId": format!("{GROUP}/partnerTopics/mail")}});
    let made = json!({"properties": {"destination": own, "labels": ["a"]}});
    let made = ok(manager.send("PUT", &path, made.to_string()).await, StatusCode::CREATED);
    assert_eq!(made.text("/properties/deliveryConfiguration/deliveryMode"), "Queue");
    let queue = json!({"deliveryConfiguration": {"deliveryMode": "Queue", "queue": {"maxDeliveryCount": 3}}});
    ok(manager.patch(&path, queue).await, StatusCode::CREATED);
    let read = ok(manager.get(&path).await, StatusCode::OK);
    assert_eq!(read.json["properties"]["deliveryConfiguration"]["queue"]["maxDeliveryCount"], 3);
    assert_eq!(read.json["properties"]["labels"], json!(["a"]), "what was not named stays");
    let list = ok(manager.get(&managed("partnerTopics/mail/eventSubscriptions")).await, StatusCode::OK);
    let names: Vec<&Value> = list.json["value"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
    assert_eq!(names, ["typed", "worker"]);
    let attributes = managed("partnerTopics/mail/eventSubscriptions/typed/getDeliveryAttributes");
    assert_eq!(ok(manager.post(&attributes, json!({})).await, StatusCode::OK).json, json!({"value": []}));
    ok(manager.delete(&path).await, StatusCode::OK);
    ok(manager.delete(&path).await, StatusCode::NO_CONTENT);
    let pulled = "/topics/mail/eventsubscriptions/typed:receive?api-version=2024-06-01";
    assert_eq!(topic.caller().send("POST", pulled, String::new()).await.status, 404);
}

#[tokio::test]
async fn the_one_partner_is_authorized_in_every_resource_group() {
    let world = World::new().await;
    let manager = world.manager();
    let path = managed("partnerConfigurations/default");
    let read = ok(manager.get(&path).await, StatusCode::OK);
    let partner = &read.json["properties"]["partnerAuthorization"]["authorizedPartnersList"][0];
    assert_eq!(partner["partnerName"], "MicrosoftGraphAPI");
    let authorize = managed("partnerConfigurations/default/authorizePartner");
    ok(manager.post(&authorize, partner.clone()).await, StatusCode::OK);
    assert_eq!(manager.post(&authorize, json!({"partnerName": "Contoso"})).await.status, 400);
    assert_eq!(manager.delete(&path).await.status, 405);
}

#[tokio::test]
async fn refusals_of_topics_have_azures_shape_and_say_what_to_change() {
    let world = World::new().await;
    let topic = world.topic().await;
    let (manager, caller) = (world.manager(), topic.caller().with("content-type", "application/cloudevents+json"));
    let receive = "/topics/mail/eventsubscriptions/worker:receive";
    let worker = managed("partnerTopics/mail/eventSubscriptions/worker");
    let webhook = r#"{"properties":{"destination":{"endpointType":"WebHook","properties":{}}}}"#;
    let queue = |queue: &str| {
        format!(r#"{{"properties":{{"deliveryConfiguration":{{"deliveryMode":"Queue","queue":{queue}}}}}}}"#)
    };
    let large = format!("\"{}\"", "x".repeat(300 * 1024));
    let replies = [
        caller.send("POST", receive, String::new()).await,
        caller.send("POST", &format!("{receive}?api-version=2018-01-01"), String::new()).await,
        caller.send("GET", &format!("{receive}?api-version=2024-06-01"), String::new()).await,
        caller.send("POST", &format!("{receive}?api-version=2024-06-01&maxEvents=101"), String::new()).await,
        caller
            .send("POST", &format!("{}?api-version=2024-06-01", receive.replace("worker", "nobody")), String::new())
            .await,
        caller.send("POST", "/topics/mail:publish?api-version=2024-06-01", "{}".to_owned()).await,
        caller.send("POST", "/topics/mail:publish?api-version=2024-06-01", large).await,
        caller
            .send("POST", &format!("{}?api-version=2024-06-01", receive.replace("receive", "release")), "{}".to_owned())
            .await,
        manager.get(&managed("partnerTopics/mail").replace(VERSION, "")).await,
        manager.get(&managed("partnerTopics/other")).await,
        manager.get(&managed("domains")).await,
        manager.send("PUT", &managed("partnerTopics/a_b"), r#"{"location":"westus2"}"#.to_owned()).await,
        manager.send("PUT", &managed("partnerTopics/new"), "{}".to_owned()).await,
        manager.send("PUT", &worker, webhook.to_owned()).await,
        manager.send("PUT", &worker.replace("worker", "a_b"), queue("{}")).await,
        manager.send("PUT", &worker, queue(r#"{"receiveLockDurationInSeconds":10}"#)).await,
        manager.post(&managed("partnerTopics/mail/eventSubscriptions/worker/getFullUrl"), json!({})).await,
        manager.post(&managed("partnerTopics/mail/regenerateKey"), json!({"keyName": "key3"})).await,
    ];
    let told: Vec<String> = replies.iter().map(Reply::refusal).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_clients_request_id_comes_back() {
    let world = World::new().await;
    let topic = world.topic().await;
    let asked = topic.caller().with("x-ms-client-request-id", "abc-1").with("ce-id", "1");
    let reply = asked.post("/topics/mail:publish?api-version=2024-06-01", json!({})).await;
    assert_eq!(reply.header("x-ms-client-request-id"), "abc-1");
    assert!(!reply.header("x-ms-request-id").is_empty());
}
