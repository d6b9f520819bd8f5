//! Event subscriptions whose events are pushed: what is asked for and answered, and the consent of their endpoints.

use std::sync::Arc;

use graph::Timestamp;
use http::StatusCode;
use notify::topic::{Destination, Endpoint, EventSubscription, Queue};
use protocol::HandshakeError;
use protocol::event_grid::handshake::{Consent, NoConsent};
use serde_json::{Value, json};
use store::{EventSubscriptionKey, Namesake, TopicQuery};
use tidings_server::seed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::delivery::{administer, asked_of_admin, server};
use crate::topics::managed;
use crate::world::{Reply, World, ok};

const URL: &str = "https://hook.example.net/x?code=s3cret";

fn hook() -> String {
    managed("partnerTopics/mail/eventSubscriptions/hook")
}

fn webhook(more: Value) -> Value {
    let mut properties = json!({ "endpointUrl": URL });
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"endpointType": "WebHook", "properties": properties})
}

async fn put(world: &World, destination: Value) -> Reply {
    let body = json!({"properties": {"destination": destination}});
    world.manager().send("PUT", &hook(), body.to_string()).await
}

/// The path and query of the URL by which the endpoint that was asked last can consent.
fn callback(world: &World) -> String {
    let url = world.receivers.callbacks.lock().unwrap().last().unwrap().clone();
    url.strip_prefix("http://graph.test:8443").unwrap_or_else(|| panic!("{url}")).to_owned()
}

async fn state(world: &World) -> String {
    ok(world.manager().get(&hook()).await, StatusCode::OK).text("/properties/provisioningState")
}

async fn stored(world: &World, name: &str) -> Arc<EventSubscription> {
    let query = TopicQuery { name: Some("mail".to_owned()), limit: 1, ..TopicQuery::default() };
    let topic = world.state.store.topics(query).await.unwrap().remove(0);
    let key = EventSubscriptionKey::new(topic.id, name);
    world.state.store.event_subscription(key).await.unwrap().unwrap().0
}

#[tokio::test]
async fn a_webhook_is_asked_then_made_read_changed_and_removed() {
    let world = World::new().await;
    world.topic().await;
    let manager = world.manager();
    let more = json!({"maxEventsPerBatch": 10, "deliveryAttributeMappings": [
        {"name": "X-Secret", "type": "Static", "properties": {"value": "t0p", "isSecret": true}},
        {"name": "X-Change", "type": "Dynamic", "properties": {"sourceField": "data.changeType"}}]});
    let made = ok(put(&world, webhook(more)).await, StatusCode::CREATED);
    assert_eq!(*world.receivers.asked.lock().unwrap(), [URL]);
    assert_eq!(made.text("/properties/provisioningState"), "Succeeded");
    let read = ok(manager.get(&hook()).await, StatusCode::OK);
    assert_eq!(made.json, read.json);
    insta::assert_json_snapshot!(read.json["properties"]["destination"], @r#"
    {
      "endpointType": "WebHook",
      "properties": {
        "contentMode": "Structured",
        "deliveryAttributeMappings": [
          {
            "name": "X-Secret",
            "properties": {
              "isSecret": true,
              "value": null
            },
            "type": "Static"
          },
          {
            "name": "X-Change",
            "properties": {
              "sourceField": "data.changeType"
            },
            "type": "Dynamic"
          }
        ],
        "endpointBaseUrl": "https://hook.example.net/x",
        "maxEventsPerBatch": 10,
        "minimumTlsVersionAllowed": "1.2",
        "preferredBatchSizeInKilobytes": 64
      }
    }
    "#);
    let below = |action: &str| managed(&format!("partnerTopics/mail/eventSubscriptions/hook/{action}"));
    let full = ok(manager.post(&below("getFullUrl"), json!({})).await, StatusCode::OK);
    assert_eq!(full.json, json!({ "endpointUrl": URL }));
    let attributes = ok(manager.post(&below("getDeliveryAttributes"), json!({})).await, StatusCode::OK);
    let shown = &read.json["properties"]["destination"]["properties"]["deliveryAttributeMappings"];
    assert_eq!(&attributes.json["value"], shown);

    let patched = json!({"destination": {"endpointType": "WebHook", "properties": {"contentMode": "Structured",
        "deliveryAttributeMappings": [{"name": "X-Secret", "type": "Static", "properties": {"isSecret": true}}]}},
        "retryPolicy": {"maxDeliveryAttempts": 3}});
    let patched = ok(manager.patch(&hook(), patched).await, StatusCode::CREATED);
    assert_eq!(
        patched.json["properties"]["retryPolicy"],
        json!({"maxDeliveryAttempts": 3, "eventTimeToLiveInMinutes": 1440})
    );
    assert_eq!(
        patched.json["properties"]["destination"]["properties"]["maxEventsPerBatch"], 10,
        "what was not named stays"
    );
    assert_eq!(world.receivers.asked.lock().unwrap().len(), 1, "it has consented to this URL");
    let Destination::Push(push) = &stored(&world, "hook").await.destination else { panic!("it is pushed") };
    let kept = format!("{:?}", push.webhook().unwrap().mappings());
    assert!(kept.contains("X-Secret"), "{kept}");

    let moved = json!({"destination": {"endpointType": "WebHook", "properties": {"endpointUrl": "https://hook.example.net/y"}}});
    ok(manager.patch(&hook(), moved).await, StatusCode::CREATED);
    assert_eq!(*world.receivers.asked.lock().unwrap(), [URL, "https://hook.example.net/y"]);
    let pulled = json!({"deliveryConfiguration": {"deliveryMode": "Queue"}});
    let pulled = ok(manager.patch(&hook(), pulled).await, StatusCode::CREATED);
    assert_eq!(pulled.text("/properties/destination/endpointType"), "NamespaceTopic");
    ok(manager.delete(&hook()).await, StatusCode::OK);
}

#[tokio::test]
async fn a_removal_is_answered_once_nothing_is_pushed_any_more() {
    let world = World::new().await;
    world.topic().await;
    let (manager, ends) = (world.manager(), || world.engine.0.lock().unwrap().clone());
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let first = stored(&world, "hook").await.id.unwrap();
    ok(manager.delete(&hook()).await, StatusCode::OK);
    assert_eq!(ends(), [first]);
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let second = stored(&world, "hook").await.id.unwrap();
    ok(manager.delete(&managed("partnerTopics/mail")).await, StatusCode::OK);
    assert_eq!(ends(), [first, second]);
}

#[tokio::test]
async fn a_put_is_answered_once_nothing_is_pushed_any_more_to_where_it_was_pushed_before() {
    let world = World::new().await;
    world.topic().await;
    let followed = || world.engine.1.lock().unwrap().len();
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let first = stored(&world, "hook").await.id.unwrap();
    ok(put(&world, webhook(json!({"maxEventsPerBatch": 10}))).await, StatusCode::CREATED);
    ok(put(&world, webhook(json!({"endpointUrl": "https://hook.example.net/y"}))).await, StatusCode::CREATED);
    assert_eq!(followed(), 2);
    let labels = json!({"labels": ["a"]});
    ok(world.manager().patch(&hook(), labels).await, StatusCode::CREATED);
    assert_eq!(followed(), 2, "they go where they went");
    assert_eq!(*world.engine.0.lock().unwrap(), []);
    let pulled = json!({"properties": {"deliveryConfiguration": {"deliveryMode": "Queue"}}});
    ok(world.manager().send("PUT", &hook(), pulled.to_string()).await, StatusCode::CREATED);
    assert_eq!(*world.engine.0.lock().unwrap(), [first]);
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let second = stored(&world, "hook").await.id.unwrap();
    world.receivers.says("https://hook.example.net/y", Ok(Consent::Withheld));
    ok(put(&world, webhook(json!({"endpointUrl": "https://hook.example.net/y"}))).await, StatusCode::CREATED);
    assert_eq!(*world.engine.0.lock().unwrap(), [first, second], "and the new endpoint has not consented");
}

#[tokio::test]
async fn a_consent_that_is_given_while_a_patch_asks_again_stays() {
    let world = Arc::new(World::new().await);
    world.topic().await;
    world.receivers.says(URL, Ok(Consent::Withheld));
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let (there, callback) = (world.clone(), callback(&world));
    world.receivers.meanwhile(async move {
        ok(there.stranger().get(&callback).await, StatusCode::OK);
    });
    let patch = json!({"destination": {"endpointType": "WebHook", "properties": {"maxEventsPerBatch": 10}}});
    let patched = ok(world.manager().patch(&hook(), patch).await, StatusCode::CREATED);
    assert_eq!(patched.text("/properties/provisioningState"), "Succeeded");
    assert_eq!(patched.json["properties"]["destination"]["properties"]["maxEventsPerBatch"], 10);
    assert_eq!(world.receivers.asked.lock().unwrap().len(), 2, "who decides again does not ask again");
}

#[tokio::test]
async fn what_is_removed_while_its_endpoint_is_asked_is_not_there_for_a_patch() {
    let world = Arc::new(World::new().await);
    world.topic().await;
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let there = world.clone();
    world.receivers.meanwhile(async move {
        ok(there.manager().delete(&hook()).await, StatusCode::OK);
    });
    let moved = json!({"destination": webhook(json!({"endpointUrl": "https://hook.example.net/y"}))});
    assert_eq!(world.manager().patch(&hook(), moved).await.status, 404);
    assert_eq!(world.manager().get(&hook()).await.status, 404);
}

#[tokio::test]
async fn what_somebody_puts_meanwhile_in_place_of_what_is_over_is_not_removed() {
    let world = Arc::new(World::new().await);
    world.topic().await;
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let over = json!({"expirationTimeUtc": "2020-01-01T00:00:00Z"});
    ok(world.manager().patch(&hook(), over).await, StatusCode::CREATED);
    let (there, (tell, told)) = (world.clone(), tokio::sync::oneshot::channel());
    world.receivers.meanwhile(async move {
        let pulled = json!({"properties": {"deliveryConfiguration": {"deliveryMode": "Queue"}}});
        ok(there.manager().send("PUT", &hook(), pulled.to_string()).await, StatusCode::CREATED);
        tell.send(stored(&there, "hook").await).unwrap();
    });
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let (meanwhile, stands) = (told.await.unwrap(), stored(&world, "hook").await);
    assert!(stands.push().is_some(), "it was put last");
    assert_eq!(stands.lock_key, meanwhile.lock_key, "and goes on with what the other had");
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_not_pushed_to() {
    let world = World::new().await;
    world.topic().await;
    world.receivers.says(URL, Err(NoConsent::Status(405)));
    let refused = put(&world, webhook(json!({}))).await;
    insta::assert_snapshot!(refused.refusal(), @r#"
    400 Url validation: Webhook validation handshake failed for https://hook.example.net/x: the endpoint answered the OPTIONS request with 405 MethodNotAllowed; it must answer 200 with the header WebHook-Allowed-Origin.
    "#);
    world.receivers.says(URL, Err(NoConsent::NotAsked(HandshakeError::LocalAddress)));
    let refused = put(&world, webhook(json!({}))).await.refusal();
    assert!(refused.contains("an address that this server does not call") && !refused.contains("s3cret"), "{refused}");
    assert_eq!(world.manager().get(&hook()).await.status, 404);
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_consents_once_by_the_url_that_it_was_told() {
    let world = World::new().await;
    world.topic().await;
    world.receivers.says(URL, Ok(Consent::Withheld));
    let made = ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    assert_eq!(made.text("/properties/provisioningState"), "AwaitingManualAction");
    let labels = ok(world.manager().patch(&hook(), json!({"labels": ["a"]})).await, StatusCode::CREATED);
    assert_eq!(labels.text("/properties/provisioningState"), "AwaitingManualAction", "it waits still");
    let callback = callback(&world);
    ok(world.stranger().get(&callback).await, StatusCode::OK);
    assert_eq!(state(&world).await, "Succeeded");
    assert_eq!(world.stranger().get(&callback).await.status, 404, "it counts once");
}

#[tokio::test]
async fn an_endpoint_may_consent_before_it_has_answered() {
    let world = Arc::new(World::new().await);
    world.topic().await;
    world.receivers.says(URL, Ok(Consent::Withheld));
    let there = world.clone();
    world.receivers.meanwhile(async move {
        ok(there.stranger().post(&callback(&there), json!({})).await, StatusCode::OK);
    });
    let made = ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    assert_eq!(made.text("/properties/provisioningState"), "Succeeded");
    assert_eq!(state(&world).await, "Succeeded");
}

#[tokio::test]
async fn guess_of_a_callback_validates_nothing_nor_does_an_old_or_a_late_one() {
    let world = World::new().await;
    world.topic().await;
    world.receivers.says(URL, Ok(Consent::Withheld));
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let first = callback(&world);
    let (path, _) = first.split_once('?').unwrap();
    let elsewhere = first.replace("/hook?", "/worker?");
    for guess in [path.to_owned(), format!("{path}?code="), format!("{path}?code={}", "A".repeat(43)), elsewhere] {
        assert_eq!(world.stranger().get(&guess).await.status, 404, "{guess}");
    }
    ok(put(&world, webhook(json!({}))).await, StatusCode::CREATED);
    let second = callback(&world);
    assert_eq!(world.stranger().get(&first).await.status, 404, "it was asked anew");
    assert_eq!(world.stranger().delete(&second).await.status, 405);

    let asked = stored(&world, "hook").await;
    let mut late = EventSubscription::clone(&asked);
    let Destination::Push(push) = &mut late.destination else { panic!("it is pushed") };
    let Endpoint::Webhook(webhook) = &mut push.to else { panic!("to a webhook") };
    webhook.awaits.as_mut().unwrap().until = Timestamp::from_seconds(0);
    world.state.store.put_event_subscription(Namesake::Standing(asked), Arc::new(late), 10).await.unwrap();
    assert_eq!(world.stranger().get(&second).await.status, 404, "its time is over");
    assert_eq!(state(&world).await, "Failed");
}

#[tokio::test]
async fn token_for_another_app_is_not_to_be_had_and_one_for_its_own_goes_with_the_handshake() {
    let world = World::new().await;
    world.topic().await;
    let audience = |tenant: String, application: String| {
        let tenant =
            json!({"azureActiveDirectoryTenantId": tenant, "azureActiveDirectoryApplicationIdOrUri": application});
        webhook(tenant)
    };
    let tenant = seed::TENANT.to_string();
    let other = "00000003-0000-0000-c000-000000000000".to_owned();
    for (tenant, application) in [
        (tenant.clone(), other.clone()),
        (tenant.clone(), "https://graph.microsoft.com".to_owned()),
        (tenant.clone(), format!("api://{other}/{}", seed::APP)),
        (other, seed::APP.to_string()),
    ] {
        assert_eq!(put(&world, audience(tenant, application)).await.status, 400);
    }
    assert!(world.receivers.asked.lock().unwrap().is_empty());
    ok(put(&world, audience(tenant, format!("api://{}", seed::APP))).await, StatusCode::CREATED);
    let bearer = world.receivers.bearers.lock().unwrap()[0].clone().unwrap();
    assert_eq!(
        world.bearer(&format!("Bearer {bearer}")).get("/v1.0/me/messages").await.status,
        401,
        "it opens nothing"
    );
}

#[tokio::test]
async fn what_this_server_has_no_place_for_is_refused_with_what_to_change() {
    let world = World::new().await;
    world.topic().await;
    let dead_letters = json!({"properties": {"destination": webhook(json!({})), "deadLetterDestination":
        {"endpointType": "StorageBlob", "properties": {"resourceId": "r", "blobContainerName": "dead"}}}});
    let bridge = json!({"endpointType": "NatsJetStream", "properties": {"stream": "GRAPH", "subject": "graph.{kind}"}});
    let header = |name: &str, value: &str| {
        webhook(
            json!({"deliveryAttributeMappings": [{"name": name, "type": "Static", "properties": {"value": value}}]}),
        )
    };
    let told = [
        world.manager().send("PUT", &hook(), dead_letters.to_string()).await,
        put(&world, bridge).await,
        put(&world, header("Host", "evil.example")).await,
        put(&world, header("X-A", "a\r\nHost: evil.example")).await,
        put(&world, webhook(json!({"maxEventsPerBatch": 5001}))).await,
        put(&world, webhook(json!({"contentMode": "Binary", "maxEventsPerBatch": 2}))).await,
    ];
    let told: Vec<_> = told.iter().map(Reply::refusal).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    400 InvalidRequest: This server keeps no dead letters; its operator names a place in the section dead_letters of the configuration, or leave deadLetterDestination out.
    400 InvalidRequest: This server has no NATS server to publish to; its operator names one as nats.url in the configuration.
    400 InvalidRequest: deliveryAttributeMappings: the header 'Host' is set by the server or by what carries the request; name another.
    400 InvalidRequest: deliveryAttributeMappings: the header 'X-A' has a value with other characters than the printable ones of ASCII; encode it.
    400 InvalidRequest: maxEventsPerBatch must be from 1 to 5000.
    400 InvalidRequest: contentMode Binary goes with one event in each request; set maxEventsPerBatch to 1.
    "#);
    assert!(world.receivers.asked.lock().unwrap().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_misspelt_name_is_refused_with_the_one_that_was_meant() {
    let world = World::new().await;
    world.topic().await;
    let filtered = |filter: Value| {
        json!({"properties": {"deliveryConfiguration": {"deliveryMode": "Queue"}, "filter": filter}}).to_string()
    };
    let told = [
        put(&world, json!({"endpointType": "Webhook", "properties": {"endpointUrl": URL}})).await,
        put(&world, webhook(json!({"maxEventPerBatch": 3}))).await,
        world.manager().send("PUT", &hook(), filtered(json!({"subjectBeginWith": "Messages/"}))).await,
        world
            .manager()
            .send(
                "PUT",
                &hook(),
                filtered(json!({"advancedFilters": [{"operatorType": "stringin", "key": "subject"}]})),
            )
            .await,
        world.manager().patch(&hook(), json!({})).await,
    ];
    let meant = |reply: &Reply| {
        let refusal = reply.refusal();
        refusal.split_once(" Did you mean ").map(|(_, meant)| meant.to_owned()).unwrap_or(refusal)
    };
    let meant: Vec<_> = told.iter().map(meant).collect();
    assert_eq!(meant[..4], ["'WebHook'?", "'maxEventsPerBatch'?", "'subjectBeginsWith'?", "'StringIn'?"]);
    assert!(meant[4].starts_with("404"), "{}", meant[4]);
}

#[tokio::test]
async fn leak_of_a_webhooks_secrets_happens_in_no_answer_but_that_to_who_asks_for_its_url() {
    let world = World::new().await;
    world.topic().await;
    let secret = json!({"deliveryAttributeMappings": [
        {"name": "Authorization", "type": "Static", "properties": {"value": "t0p-s3cret", "isSecret": true}}]});
    world.receivers.says(URL, Ok(Consent::Withheld));
    let made = ok(put(&world, webhook(secret)).await, StatusCode::CREATED);
    let manager = world.manager();
    let list = ok(manager.get(&managed("partnerTopics/mail/eventSubscriptions")).await, StatusCode::OK);
    let read = ok(manager.get(&hook()).await, StatusCode::OK);
    let below = managed("partnerTopics/mail/eventSubscriptions/hook/getDeliveryAttributes");
    let attributes = ok(manager.post(&below, json!({})).await, StatusCode::OK);
    let code = callback(&world).split_once("?code=").unwrap().1.to_owned();
    for answer in [made, list, read, attributes] {
        let answer = String::from_utf8(answer.body).unwrap();
        assert!(!answer.contains("s3cret") && !answer.contains(&code), "{answer}");
    }
    let kept = format!("{:?}", stored(&world, "hook").await.destination);
    assert!(!kept.contains("t0p-s3cret"), "{kept}");
}

#[tokio::test]
async fn an_event_subscription_that_is_over_begins_anew_when_it_is_put_again() {
    let world = World::new().await;
    let topic = world.topic().await;
    topic.publish(&["1"]).await;
    assert_eq!(topic.receive(10).await.len(), 1, "and it is not settled");
    let worker = managed("partnerTopics/mail/eventSubscriptions/worker");
    let over = json!({"expirationTimeUtc": "2020-01-01T00:00:00Z"});
    ok(world.manager().patch(&worker, over).await, StatusCode::CREATED);
    topic.publish(&["2"]).await;
    let pulled = json!({"properties": {"deliveryConfiguration": {"deliveryMode": "Queue"}}});
    ok(world.manager().send("PUT", &worker, pulled.to_string()).await, StatusCode::CREATED);
    topic.publish(&["3"]).await;
    let received = topic.receive(10).await;
    let ids: Vec<_> = received.iter().map(|(_, locked)| locked["event"]["id"].clone()).collect();
    assert_eq!(ids, [json!("3")]);
}

/// An endpoint that answers whatever it is asked with this.
async fn endpoint(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            if socket.read(&mut asked).await.is_ok() {
                socket.write_all(answer.as_bytes()).await.unwrap_or_default();
            }
        }
    });
    url
}

#[tokio::test]
async fn an_operator_changes_an_event_subscription_without_how_it_is_delivered() {
    let server = server().await;
    administer(
        &server,
        "POST",
        "/admin/topics",
        json!({"name": "mail", "location": "westus2", "resourceGroup": "rg1"}),
    )
    .await;
    let subscribe = "/admin/topics/mail/event-subscriptions";
    administer(&server, "POST", subscribe, json!({"name": "worker"})).await;
    let query = TopicQuery { name: Some("mail".to_owned()), limit: 1, ..TopicQuery::default() };
    let store = &server.state.store;
    let topic = store.topics(query).await.unwrap().remove(0).id;
    let stored =
        async |name| store.event_subscription(EventSubscriptionKey::new(topic, name)).await.unwrap().unwrap().0;
    let queue = Queue { delivery_count_max: 3, ..Queue::default() };
    let before = stored("worker").await;
    let (destination, labels) = (Destination::Queue(queue), vec!["a".to_owned()]);
    let worker = EventSubscription { destination, labels, ..EventSubscription::clone(&before) };
    store.put_event_subscription(Namesake::Standing(before), Arc::new(worker), 10).await.unwrap();
    administer(&server, "POST", subscribe, json!({"name": "worker", "subjectBeginsWith": "Messages/"})).await;
    let worker = stored("worker").await;
    assert_eq!((worker.queue(), worker.labels.as_slice()), (Some(&queue), &["a".to_owned()][..]));
    assert_eq!(worker.filter.written().subject_begins_with.as_deref(), Some("Messages/"));

    administer(&server, "POST", subscribe, json!({"name": "worker"})).await;
    let worker = stored("worker").await;
    assert_eq!(worker.filter.written().subject_begins_with.as_deref(), Some("Messages/"), "nothing else is named");

    let push = async |url: String| {
        asked_of_admin(&server, "POST", "/admin/topics/mail/webhooks", json!({"name": "hook", "url": url})).await
    };
    let silent = endpoint("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let (status, asked) = push(silent).await;
    assert_eq!((status, &asked["eventSubscriptions"][0]["state"]), (201, &json!("awaitingConsent")), "{asked}");
    let refusing = endpoint("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n").await;
    let (status, refused) = push(refusing).await;
    assert_eq!(status, 400);
    assert!(refused["error"].as_str().unwrap().contains("with 405"), "{refused}");
    let willing = endpoint("HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\nContent-Length: 0\r\n\r\n").await;
    let (status, pushed) = push(willing.clone()).await;
    let names: Vec<_> = pushed["eventSubscriptions"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!((status, names), (201, vec![&json!("hook"), &json!("worker")]));
    let hook = stored("hook").await;
    let webhook = hook.push().and_then(|push| push.webhook()).unwrap();
    assert_eq!((webhook.url.as_str(), &webhook.awaits), (willing.as_str(), &None));
}
