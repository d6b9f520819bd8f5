//! Subscriptions that are told through partner topics.

use std::sync::Arc;
use std::time::Duration;

use graph::{ChangeId, SubscriptionId, TopicId};
use http::StatusCode;
use notify::topic::{Activation, Destination, EventSubscription, EventSubscriptionFilter, Filter, Queue, Settlement};
use notify::{EndReason, LifecycleEvent, Topic};
use serde_json::{Value, json};
use store::{EventSubscriptionKey, Namesake, PublishError, Settle, Store, TopicCounts, TopicQuery};
use tidings_server::server::Running;
use tidings_server::{ids, seed};
use uuid::Uuid;

use crate::delivery::{call, receiver, server};
use crate::world::{World, ok};

const SUBSCRIPTIONS: &str = "/v1.0/subscriptions";

fn url(topic: &str) -> String {
    format!(
        "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e&resourcegroup=rg1&partnertopic={topic}\
         &location=westeurope"
    )
}

async fn only_topic(store: &Arc<dyn Store>) -> Arc<Topic> {
    let topics = store.topics(TopicQuery { limit: 10, ..TopicQuery::default() }).await.unwrap();
    let [topic] = &topics[..] else { panic!("{topics:?}") };
    topic.clone()
}

/// An event subscription that pulls everything from the only topic.
async fn pulls(server: &Running) -> EventSubscriptionKey {
    let topic = only_topic(&server.state.store).await;
    let all = EventSubscription {
        id: None,
        topic: topic.id,
        name: "all".to_owned(),
        filter: Filter::try_from(EventSubscriptionFilter::default()).unwrap(),
        destination: Destination::Queue(Queue::default()),
        labels: Vec::new(),
        expires: None,
        created: topic.created,
        lock_key: ids::new_lock_key(),
    };
    server.state.store.put_event_subscription(Namesake::None, Arc::new(all), 10).await.unwrap();
    EventSubscriptionKey::new(topic.id, "all")
}

/// Waits for this many events, as JSON, however long that takes: what has come is acknowledged, and does not come again.
async fn pulled(server: &Running, key: &EventSubscriptionKey, count: usize) -> Vec<Value> {
    let (mut events, mut look) = (Vec::new(), tokio::time::interval(Duration::from_millis(5)));
    while events.len() < count {
        look.tick().await;
        let (store, now) = (&server.state.store, server.state.clock.wall());
        let received = store.receive(key.clone(), 100, now).await.unwrap();
        let tokens = received.events.iter().map(|one| one.lock_token.clone()).collect();
        store.settle(key.clone(), Settle { tokens, how: Settlement::Acknowledge, now }).await.unwrap();
        let json = |one: &store::LockedEvent| serde_json::to_value(&one.event.event).unwrap();
        events.extend(received.events.iter().map(json));
    }
    assert_eq!(events.len(), count, "{events:#?}");
    events
}

async fn subscribed(server: &Running, changes: Value) -> Value {
    let mut asked = json!({"changeType": "created,updated,deleted", "resource": "me/messages", "clientState": "s3cret",
                           "expirationDateTime": server.state.clock.wall().plus_minutes(60)});
    for (name, value) in changes.as_object().unwrap() {
        asked[name] = value.clone();
    }
    let (status, made) = call(server, "POST", SUBSCRIPTIONS, asked).await;
    assert_eq!(status, 201, "{made}");
    made
}

#[tokio::test]
async fn one_change_reaches_a_webhook_and_a_topic_each_under_its_own_id() {
    let (hook, mut heard) = receiver().await;
    let server = server().await;
    subscribed(&server, json!({"notificationUrl": hook, "changeType": "created"})).await;
    let grid = subscribed(&server, json!({"notificationUrl": url("mail-events")})).await;
    assert_eq!(grid["notificationUrl"], url("mail-events"), "it is shown as it was sent");
    let key = pulls(&server).await;
    let (_, message) = call(&server, "POST", "/v1.0/me/messages", json!({"subject": "Hello"})).await;
    let posted = heard.recv().await.unwrap()["value"][0].take();
    let event = pulled(&server, &key, 1).await.remove(0);
    assert_eq!((&event["type"], &event["specversion"]), (&json!("Microsoft.Graph.MessageCreated"), &json!("1.0")));
    assert_eq!(event["subject"], format!("Messages/{}", message["id"].as_str().unwrap()));
    let data = &event["data"];
    assert_eq!((&data["subscriptionId"], &data["clientState"]), (&grid["id"], &json!("s3cret")));
    let state = |of: &Value| (of["@odata.etag"].clone(), of.get("id").or(of.get("Id")).cloned());
    assert_eq!(state(&data["resourceData"]), state(&posted["resourceData"]), "the same item in the same state");
    assert_ne!(event["id"], posted["id"]);
    let base = format!("http://{}/api/beta/Users('", server.listen.http[0]);
    assert!(data["resource"].as_str().unwrap().starts_with(&base), "{data}");
}

#[tokio::test]
async fn all_nine_types_and_the_steps_of_a_subscriptions_life_reach_the_topic() {
    let server = server().await;
    let lifecycle = json!({"notificationUrl": url("events"), "lifecycleNotificationUrl": url("events")});
    let messages = subscribed(&server, lifecycle).await;
    for resource in ["me/events", "me/contacts"] {
        subscribed(&server, json!({"notificationUrl": url("events"), "resource": resource})).await;
    }
    let key = pulls(&server).await;
    let mut expected = Vec::new();
    for (path, kind, body) in [
        ("messages", "Message", json!({"subject": "Hello"})),
        (
            "events",
            "Event",
            json!({"subject": "Party", "start": {"dateTime": "2026-12-01T10:00:00", "timeZone": "UTC"},
                                   "end": {"dateTime": "2026-12-01T11:00:00", "timeZone": "UTC"}}),
        ),
        ("contacts", "Contact", json!({"givenName": "Adele"})),
    ] {
        let (status, made) = call(&server, "POST", &format!("/v1.0/me/{path}"), body).await;
        assert_eq!(status, 201, "{made}");
        let path = format!("/v1.0/me/{path}/{}", made["id"].as_str().unwrap());
        let change = if kind == "Contact" { json!({"givenName": "Megan"}) } else { json!({"importance": "high"}) };
        assert_eq!(call(&server, "PATCH", &path, change).await.0, 200);
        assert_eq!(call(&server, "DELETE", &path, json!({})).await.0, 204);
        expected.extend(["Created", "Updated", "Deleted"].map(|change| format!("Microsoft.Graph.{kind}{change}")));
    }
    // The message that was deleted was created anew in Deleted Items.
    expected.push("Microsoft.Graph.MessageCreated".to_owned());
    let mut events = pulled(&server, &key, expected.len()).await;
    let id = SubscriptionId(messages["id"].as_str().unwrap().parse().unwrap());
    for (number, event) in [LifecycleEvent::Missed, LifecycleEvent::ReauthorizationRequired].into_iter().enumerate() {
        let record = ChangeId(Uuid::from_u128(number as u128));
        server.state.store.append_lifecycle(id, record, event).await.unwrap();
    }
    // What is still to be told of a subscription when it ends is given up, so all of it is waited for before.
    events.extend(pulled(&server, &key, 2).await);
    server.state.store.end_subscription(id, EndReason::UserRemoved, None).await.unwrap();
    events.extend(pulled(&server, &key, 1).await);
    let lives = ["Missed", "SubscriptionReauthorizationRequired", "SubscriptionRemoved"];
    expected.extend(lives.map(|life| format!("Microsoft.Graph.{life}")));
    let mut types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    types.sort_unstable();
    expected.sort_unstable();
    assert_eq!(types, expected);
    let removed = events.iter().find(|event| event["type"] == "Microsoft.Graph.SubscriptionRemoved").unwrap();
    assert_eq!(removed["data"]["subscriptionId"], messages["id"]);
}

async fn asked(world: &World, changes: Value) -> Value {
    let mut body = json!({"changeType": "created", "notificationUrl": url("mail-events"), "resource": "me/messages",
                          "expirationDateTime": world.state.clock.wall().plus_minutes(60)});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn refusal(world: &World, changes: Value) -> String {
    world.megan().post(SUBSCRIPTIONS, asked(world, changes).await).await.refusal()
}

#[tokio::test]
async fn a_topic_is_made_when_it_is_named_first_and_nobody_is_called() {
    let world = World::new().await;
    ok(world.megan().post(SUBSCRIPTIONS, asked(&world, json!({})).await).await, StatusCode::CREATED);
    let topic = only_topic(&world.state.store).await;
    assert_eq!((topic.tenant, topic.apps.clone()), (seed::TENANT, [seed::APP].into()));
    assert_eq!(topic.activation, Activation::Activated, "a development server activates it");
    let later = json!({"resource": "me/events", "expirationDateTime": world.state.clock.wall().plus_minutes(90)});
    let again = ok(world.megan().post(SUBSCRIPTIONS, asked(&world, later.clone()).await).await, StatusCode::CREATED);
    let renewed = only_topic(&world.state.store).await;
    assert!(renewed.subscribed_until > topic.subscribed_until && renewed.id == topic.id);
    let path = format!("{SUBSCRIPTIONS}/{}", again.text("/id"));
    let later = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(120)});
    ok(world.megan().patch(&path, later).await, StatusCode::OK);
    assert!(only_topic(&world.state.store).await.subscribed_until > renewed.subscribed_until);
    assert_eq!(*world.receivers.asked.lock().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_topic_of_no_development_server_drops_what_comes_before_it_is_activated() {
    let world = World::closed().await;
    ok(world.megan().post(SUBSCRIPTIONS, asked(&world, json!({})).await).await, StatusCode::CREATED);
    let topic = only_topic(&world.state.store).await;
    assert_eq!(topic.activation, Activation::NeverActivated);
    let counted = world.state.store.topic_counts(topic.id).await.unwrap();
    assert_eq!(counted, Some(TopicCounts::default()));
    let unknown = world.state.store.publish(TopicId(Uuid::nil()), Vec::new(), topic.created).await;
    assert_eq!(unknown, Err(PublishError::NoTopic));
}

#[tokio::test]
async fn what_a_partner_topic_cannot_be_is_refused_with_words() {
    let world = World::new().await;
    let made = ok(world.megan().post(SUBSCRIPTIONS, asked(&world, json!({})).await).await, StatusCode::CREATED);
    let elsewhere = url("mail-events").replace("rg1", "rg2");
    let mut seen = Vec::new();
    for changes in [
        json!({"notificationUrl": "EventGrid:?azuresubscriptionid=1"}),
        json!({"notificationUrl": elsewhere}),
        json!({"lifecycleNotificationUrl": url("other-events")}),
        json!({"resource": "users", "changeType": "updated"}),
        json!({"includeResourceData": true, "encryptionCertificate": crate::world::CERTIFICATE,
               "encryptionCertificateId": "1", "resource": "me/messages?$select=subject"}),
    ] {
        seen.push(refusal(&world, changes).await);
    }
    let path = format!("{SUBSCRIPTIONS}/{}", made.text("/id"));
    for changes in [
        json!({"notificationUrl": url("other-events")}),
        json!({"notificationUrl": "https://hook.example.net/"}),
        json!({"lifecycleNotificationUrl": url("mail-events")}),
    ] {
        seen.push(world.megan().patch(&path, changes).await.refusal());
    }
    for number in 2..=10 {
        let changes = json!({"notificationUrl": url(&format!("topic-{number}")), "resource": "me/events"});
        let one = world.megan().post(SUBSCRIPTIONS, asked(&world, changes).await).await;
        // The events of one mailbox are watched once by an app; its topics are made all the same.
        assert!([201, 409].contains(&one.status), "{}", one.refusal());
    }
    seen.push(refusal(&world, json!({"notificationUrl": url("topic-11"), "resource": "me/contacts"})).await);
    insta::assert_snapshot!(seen.join("\n"), @"
    400 InvalidRequest: Invalid 'notificationUrl' attribute: 'resourcegroup' is missing; write it into the query.
    400 InvalidRequest: Invalid 'notificationUrl' attribute: a partner topic of this name exists in this region, in another resource group or tenant.
    400 InvalidRequest: notificationUrl and lifecycleNotificationUrl must name the same partner topic.
    400 InvalidRequest: EventGrid is not supported by this server: only messages, events and contacts are told of as events.
    400 InvalidRequest: includeResourceData is not supported by this server: the events of a partner topic carry no content.
    400 InvalidRequest: The property 'notificationUrl' of a subscription cannot be changed; delete the subscription and create a new one.
    400 InvalidRequest: The property 'notificationUrl' of a subscription cannot be changed; delete the subscription and create a new one.
    400 InvalidRequest: Subscription must contain either the 'expirationDateTime' or 'notificationUrl' property and its value.
    403 ExtensionError: Operation: Create; Exception: [Status Code: Forbidden; Reason: Maximum number of partner topics has been reached: 10 for each app in a tenant]
    ");
}
