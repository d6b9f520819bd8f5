//! Who may do what with a partner topic, and what a stranger learns of it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::json;
use store::App;
use tidings_server::identity::Grant;
use tidings_server::seed;
use url::form_urlencoded::byte_serialize;

use crate::topics::{event, managed};
use crate::world::{Reply, World, ok};

const PUBLISH: &str = "/topics/mail:publish?api-version=2024-06-01";

async fn publish(caller: crate::world::Caller<'_>) -> Reply {
    caller.with("content-type", "application/cloudevents+json").post(PUBLISH, event("1")).await
}

#[tokio::test]
async fn a_topics_key_is_taken_wherever_clients_put_it() {
    let world = World::new().await;
    let topic = world.topic().await;
    ok(publish(world.bearer(&format!("SharedAccessKey {}", topic.key))).await, StatusCode::OK);
    ok(publish(world.stranger().with("aeg-sas-key", topic.key.clone())).await, StatusCode::OK);
    let encoded: String = byte_serialize(topic.key.as_bytes()).collect();
    let path = format!("{PUBLISH}&aeg-sas-key={encoded}");
    let caller = world.stranger().with("content-type", "application/cloudevents+json");
    ok(caller.post(&path, event("1")).await, StatusCode::OK);
}

#[tokio::test]
async fn guess_of_a_topic_key_learns_not_even_whether_there_is_a_topic() {
    let world = World::new().await;
    let topic = world.topic().await;
    assert_eq!(publish(world.stranger()).await.status, 401);
    let wrong = publish(world.bearer("SharedAccessKey AAAA")).await;
    let elsewhere = world.bearer(&format!("SharedAccessKey {}", topic.key));
    let elsewhere = elsewhere.post("/topics/other:publish?api-version=2024-06-01", event("1")).await;
    assert_eq!((wrong.status, wrong.refusal()), (401, elsewhere.refusal()));
    assert!(!wrong.header("www-authenticate").is_empty());
}

#[tokio::test]
async fn a_key_that_was_replaced_opens_nothing_and_the_other_still_does() {
    let world = World::new().await;
    let topic = world.topic().await;
    let path = managed("partnerTopics/mail/regenerateKey");
    let keys = ok(world.manager().post(&path, json!({"keyName": "key1"})).await, StatusCode::OK);
    assert_ne!(keys.text("/key1"), topic.key);
    assert_eq!(publish(topic.caller()).await.status, 401);
    for key in ["/key1", "/key2"] {
        ok(publish(world.bearer(&format!("SharedAccessKey {}", keys.text(key)))).await, StatusCode::OK);
    }
}

fn signature(key: &str, resource: &str, expires: &str) -> String {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let signed = format!("r={}&e={}", encoded(resource), encoded(expires));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}&s={}", encoded(&signature))
}

#[tokio::test]
async fn replay_of_a_signature_opens_one_url_until_its_time_and_nothing_else() {
    let world = World::new().await;
    let topic = world.topic().await;
    let (here, later) = ("https://graph.test:8443/topics/mail", "12/31/2099 11:00:00 PM");
    let signed = |resource: &str, expires: &str| signature(&topic.key, resource, expires);
    ok(publish(world.stranger().with("aeg-sas-token", signed(here, later))).await, StatusCode::OK);
    ok(publish(world.bearer(&format!("SharedAccessSignature {}", signed(here, later)))).await, StatusCode::OK);
    for (refused, why) in [
        (signed(here, "2020-01-01T00:00:00Z"), "The shared access signature has expired."),
        (signed(&format!("{here}2"), later), "The shared access signature is for another URL."),
        (
            signed(&format!("{here}/eventsubscriptions/worker"), later),
            "The shared access signature is for another URL.",
        ),
        (
            signature("AAAA", here, later),
            "The shared access signature was made with none of the topic's keys, or for something else.",
        ),
    ] {
        let reply = publish(world.stranger().with("aeg-sas-token", refused)).await;
        assert_eq!(reply.refusal(), format!("401 Unauthorized: {why}"));
    }
    let replayed = world.stranger().with("aeg-sas-token", signed(here, later));
    let other = replayed.post("/topics/other:publish?api-version=2024-06-01", event("1")).await;
    assert_eq!(other.status, 401, "of one topic it is none of another");
}

#[tokio::test]
async fn token_of_another_api_opens_nothing_here_and_those_of_here_nothing_of_graph() {
    let world = World::new().await;
    let _topic = world.topic().await;
    let [data, management] = ["https://eventgrid.azure.net", "https://management.azure.com"];
    ok(publish(world.app().saying("aud", data.into())).await, StatusCode::OK);
    assert_eq!(publish(world.app()).await.status, 401, "a token for Graph");
    assert_eq!(publish(world.app().saying("aud", management.into())).await.status, 401);
    let path = managed("partnerTopics/mail");
    assert_eq!(world.app().get(&path).await.status, 401);
    assert_eq!(world.app().saying("aud", data.into()).get(&path).await.status, 401);
    for other in [data, management] {
        assert_eq!(world.app().saying("aud", other.into()).get("/v1.0/users").await.status, 401);
    }
}

#[tokio::test]
async fn events_of_another_app_are_neither_seen_nor_pulled_but_by_administrators() {
    let world = World::new().await;
    let _topic = world.topic().await;
    let other = App { id: "00000000-0000-4000-8000-00000000a001".parse().unwrap(), ..seed::app() };
    let put = other.clone();
    world.state.directory.change(|store| async move { store.add_app(put).await }).await.unwrap();
    let now = world.state.clock.wall();
    let issue = |grant: Grant<'_>, app: &App| {
        let token = world.state.tokens.issue(app, grant, now, 60).unwrap();
        world.bearer(&format!("Bearer {token}"))
    };
    let megan = seed::users().remove(0);
    let path = managed("partnerTopics/mail");
    for (api, asks) in [("https://management.azure.com", true), ("https://eventgrid.azure.net", false)] {
        let denied = async |caller: crate::world::Caller<'_>| {
            let caller = caller.saying("aud", api.into());
            let reply = if asks { caller.get(&path).await } else { publish(caller).await };
            reply.status
        };
        assert_eq!(denied(issue(Grant::Application(seed::TENANT, &[]), &other)).await, 403, "another app");
        assert_eq!(denied(issue(Grant::Delegated(&megan, "Mail.Read"), &seed::app())).await, 403, "a user of the app");
        let admin = issue(Grant::Delegated(&megan, "Mail.Read"), &seed::app());
        let admin = admin.saying("wids", json!(["62e90394-69f5-4237-9190-012177145e10"]));
        assert_eq!(denied(admin).await, 200, "an administrator");
    }
    let others =
        issue(Grant::Application(seed::TENANT, &[]), &other).saying("aud", "https://management.azure.com".into());
    let list = ok(others.get(&managed("partnerTopics")).await, StatusCode::OK);
    assert_eq!(list.json, json!({"value": []}), "and does not list it");
}

#[tokio::test]
async fn leak_of_a_topic_key_happens_in_no_answer_but_that_to_who_asks_for_it() {
    let world = World::new().await;
    let topic = world.topic().await;
    let manager = world.manager();
    for path in ["partnerTopics", "partnerTopics/mail", "partnerTopics/mail/eventSubscriptions"] {
        let reply = ok(manager.get(&managed(path)).await, StatusCode::OK);
        assert!(!String::from_utf8_lossy(&reply.body).contains(&topic.key), "{path}");
    }
    let activated = manager.post(&managed("partnerTopics/mail/activate"), json!({})).await;
    assert!(!String::from_utf8_lossy(&activated.body).contains(&topic.key));
}

#[tokio::test]
async fn forged_lock_token_settles_nothing_nor_does_one_of_another_event_subscription() {
    let world = World::new().await;
    let topic = world.topic().await;
    let pulled = json!({"properties": {"deliveryConfiguration": {"deliveryMode": "Queue"}}});
    let other = managed("partnerTopics/mail/eventSubscriptions/other");
    ok(world.manager().send("PUT", &other, pulled.to_string()).await, StatusCode::CREATED);
    topic.publish(&["1"]).await;
    let token = topic.receive(1).await.remove(0).0;
    let path = "/topics/mail/eventsubscriptions/other:acknowledge?api-version=2024-06-01";
    let elsewhere = ok(topic.caller().post(path, json!({"lockTokens": [token]})).await, StatusCode::OK);
    assert_eq!(elsewhere.text("/failedLockTokens/0/error/code"), "BadToken");
    let flipped = |place: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let forged: Vec<String> = (0..token.len()).map(flipped).chain([token[1..].to_owned(), String::new()]).collect();
    let forged: Vec<&str> = forged.iter().map(String::as_str).collect();
    let settled = topic.settle("acknowledge", &forged).await;
    assert_eq!(settled["succeededLockTokens"], json!([]));
    assert!(settled["failedLockTokens"].as_array().unwrap().iter().all(|each| each["error"]["code"] == "BadToken"));
    assert_eq!(topic.settle("acknowledge", &[&token]).await["succeededLockTokens"], json!([token]));
}
