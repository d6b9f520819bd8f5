//! Operators look at dead letters and send them again.

use std::sync::Arc;

use graph::{SubscriptionId, TopicId};
use notify::Topic;
use notify::push_policy::PushPolicy;
use notify::topic::{
    CloudEvent, DeadLetterDestination, Destination, Endpoint, EventSubscription, Filter, NatsJetStream, Push,
};
use protocol::cloud_event::Attributes;
use protocol::event_grid::EventSubscriptionFilter;
use protocol::event_grid::dead_letter::{DeadLetter, Told};
use serde_json::{Value, json};
use store::Namesake;
use tidings_server::dead_letters::Shelf;
use tidings_server::ids;

use crate::admin::call;
use crate::world::World;

/// A topic with an event subscription `worker` that pushes and keeps dead letters, and one `puller` that is pulled from.
async fn topic(world: &World) -> Arc<Topic> {
    let body = json!({ "name": "mail-events", "location": "westeurope", "resourceGroup": "rg" });
    let (status, made) = call(world, "hush", "POST", "/admin/topics", &body.to_string()).await;
    assert_eq!(status, 201, "{made}");
    let puller = json!({ "name": "puller" }).to_string();
    let path = "/admin/topics/mail-events/event-subscriptions";
    assert_eq!(call(world, "hush", "POST", path, &puller).await.0, 201);
    let id = TopicId(made["id"].as_str().unwrap().parse().unwrap());
    let worker = EventSubscription {
        id: Some(SubscriptionId(ids::new_uuid())),
        topic: id,
        name: "worker".to_owned(),
        filter: Filter::try_from(EventSubscriptionFilter::default()).unwrap(),
        destination: Destination::Push(Box::new(Push {
            to: Endpoint::NatsJetStream(NatsJetStream {
                stream: "s".to_owned(),
                subject: "graph.{tenant}.a".to_owned(),
            }),
            policy: PushPolicy::default(),
            dead_letters: Some(DeadLetterDestination {
                resource_id: "any".to_owned(),
                container: "letters".to_owned(),
            }),
        })),
        labels: Vec::new(),
        expires: None,
        created: world.state.clock.wall(),
        lock_key: ids::new_lock_key(),
    };
    world.state.store.put_event_subscription(Namesake::None, Arc::new(worker), 10).await.unwrap();
    world.state.store.topic(id).await.unwrap().unwrap()
}

async fn keep(world: &World, topic: &Topic, id: &str, reason: &str) {
    let attributes = Attributes {
        id: id.to_owned(),
        source: "/s".to_owned(),
        event_type: "com.example.t".to_owned(),
        ..Attributes::default()
    };
    let letter = DeadLetter {
        event: CloudEvent::new(attributes, None).unwrap(),
        told: Told {
            dead_letter_reason: reason.to_owned(),
            delivery_attempts: 30,
            last_delivery_outcome: "Busy".to_owned(),
            publish_time: "2026-01-04T09:00:00Z".to_owned(),
            last_http_status_code: Some(503),
            resent_time: None,
        },
    };
    let shelf = Shelf::new("letters", topic, "worker").unwrap();
    world.state.sinks.dead_letters.as_ref().unwrap().keep(&shelf, &letter).await.unwrap();
}

async fn listed(world: &World, query: &str) -> Vec<String> {
    let path = format!("/admin/topics/mail-events/event-subscriptions/worker/dead-letters{query}");
    let (status, body) = call(world, "hush", "GET", &path, "").await;
    assert_eq!(status, 200, "{body}");
    let mut ids: Vec<String> =
        body["value"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn replay(world: &World, name: &str, asked: Value) -> (u16, Value) {
    let path = format!("/admin/topics/mail-events/event-subscriptions/{name}/dead-letters/replay");
    let (status, body) = call(world, "hush", "POST", &path, &asked.to_string()).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn an_operator_lists_dead_letters_and_sends_chosen_ones_or_all_again() {
    let world = World::keeping_dead_letters().await;
    let topic = topic(&world).await;
    for (id, reason) in [("1", "TimeToLiveExceeded"), ("2", "MaxDeliveryAttemptsExceeded"), ("3", "TimeToLiveExceeded")]
    {
        keep(&world, &topic, id, reason).await;
    }
    assert_eq!(listed(&world, "").await, ["1", "2", "3"]);
    assert_eq!(listed(&world, "?reason=TimeToLiveExceeded").await, ["1", "3"]);
    assert!(listed(&world, "?from=2026-01-05T00:00:00Z").await.is_empty());
    let (status, done) = replay(&world, "worker", json!({ "ids": ["2", "9"] })).await;
    assert_eq!((status, &done["replayed"], &done["ids"]), (200, &json!(1), &json!(["2"])));
    assert_eq!(listed(&world, "").await, ["1", "3"]);
    let (_, done) = replay(&world, "worker", json!({})).await;
    assert_eq!((&done["replayed"], &done["more"]), (&json!(2), &json!(false)));
    assert!(listed(&world, "").await.is_empty());
}

#[tokio::test]
async fn who_keeps_no_dead_letters_is_told_so() {
    let world = World::keeping_dead_letters().await;
    topic(&world).await;
    let (status, refused) = replay(&world, "puller", json!({})).await;
    assert_eq!(status, 409);
    assert!(refused["error"].as_str().unwrap().contains("without deadLetterDestination"), "{refused}");
    assert_eq!(replay(&world, "nobody", json!({})).await.0, 404);
    assert_eq!(replay(&world, "worker", json!({ "ids": vec!["x"; 1_001] })).await.0, 400);
    let without = World::new().await;
    topic(&without).await;
    let (status, refused) = replay(&without, "worker", json!({})).await;
    assert_eq!(status, 409);
    assert!(refused["error"].as_str().unwrap().contains("section dead_letters"), "{refused}");
}
