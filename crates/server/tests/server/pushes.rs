//! Events of a topic are pushed to a webhook, over real sockets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use graph::{SubscriptionId, Timestamp};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use notify::push_policy::PushPolicy;
use notify::topic::{
    Audience, Awaited, DeadLetterDestination, Destination, Endpoint, EventSubscription, EventSubscriptionFilter,
    Filter, NatsJetStream, Push, Queue, Webhook,
};
use notify::{AbandonReason, LedgerDelta, Topic};
use serde_json::{Value, json};
use store::{EventSubscriptionKey, Namesake, TopicQuery};
use tidings_server::clock::Clock;
use tidings_server::data_dir::DataDir;
use tidings_server::dead_letters::DeadLettersConfig;
use tidings_server::server::{Running, Settings, start};
use tidings_server::sinks::SinksConfig;
use tidings_server::{ids, key_file, seed};

use crate::attempts::own_attempts;
use crate::delivery::{asked_of_admin, call, settings};

const SUBSCRIPTIONS: &str = "/v1.0/subscriptions";
const TOPIC: &str = "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e&resourcegroup=rg1\
                     &partnertopic=mail-events&location=westeurope";
const SECOND: i64 = 1_000_000;
const CONTENT_TYPE: [(&str, &str); 1] = [("content-type", "text/plain; charset=utf-8")];

/// Receivers of all kinds, by path: what they were sent, and when by the server's clock.
#[derive(Clone, Default)]
struct Hooks(Arc<Shared>);

#[derive(Default)]
struct Shared {
    clock: OnceLock<Clock>,
    sent: Mutex<Vec<Sent>>,
    answers: Mutex<BTreeMap<String, u16>>,
    /// Whoever holds it keeps requests to `/held` from being answered.
    held: tokio::sync::Mutex<()>,
}

/// One request.
#[derive(Clone, Debug)]
struct Sent {
    at: Timestamp,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Sent {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

async fn hook(
    State(Hooks(shared)): State<Hooks>,
    request: Request,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "validationToken");
    if let Some((_, token)) = token {
        return (StatusCode::OK, CONTENT_TYPE, token.into_owned());
    }
    if request.method() == http::Method::OPTIONS {
        return (StatusCode::OK, [("webhook-allowed-origin", "*")], String::new());
    }
    let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let at = shared.clock.get().map(Clock::wall).unwrap_or_default();
    let answer = shared.answers.lock().unwrap().get(&path).copied().unwrap_or(204);
    let is_held = path == "/held";
    shared.sent.lock().unwrap().push(Sent { at, path, headers, body });
    if is_held {
        drop(shared.held.lock().await);
    }
    (StatusCode::from_u16(answer).unwrap(), CONTENT_TYPE, String::new())
}

/// A development server with a topic that tells of Megan's messages, and receivers.
struct World {
    server: Running,
    hooks: Hooks,
    base: String,
    topic: Arc<Topic>,
}

impl World {
    async fn new() -> Self {
        Self::with(settings()).await
    }

    async fn with(settings: Settings) -> Self {
        Self::after(settings, async |_, _| ()).await
    }

    /// The topic is subscribed into once something else was done with the server, which knows where the receivers are.
    async fn after(settings: Settings, first: impl AsyncFnOnce(&Running, &str)) -> Self {
        let hooks = Hooks::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, Router::new().fallback(hook).with_state(hooks.clone())).into_future());
        let server = start(settings).await.unwrap();
        hooks.0.clock.set(server.state.clock.clone()).unwrap();
        first(&server, &base).await;
        subscribed(&server, "created", TOPIC).await;
        let topics = server.state.store.topics(TopicQuery { limit: 2, ..TopicQuery::default() }).await.unwrap();
        let [topic] = &topics[..] else { panic!("{topics:?}") };
        Self { topic: topic.clone(), server, hooks, base }
    }

    fn webhook(&self, path: &str) -> Webhook {
        Webhook::to(format!("{}{path}", self.base))
    }

    async fn put(&self, name: &str, destination: Destination) -> Arc<EventSubscription> {
        put(&self.server, &self.topic, name, destination).await
    }

    async fn pushes_to(&self, path: &str) -> Arc<EventSubscription> {
        self.put("push", pushed(Endpoint::Webhook(self.webhook(path)))).await
    }

    async fn message(&self, subject: &str) -> Value {
        message(&self.server, subject).await
    }

    fn answer(&self, path: &str, status: u16) {
        self.hooks.0.answers.lock().unwrap().insert(path.to_owned(), status);
    }

    fn sent(&self, path: &str) -> Vec<Sent> {
        self.hooks.0.sent.lock().unwrap().iter().filter(|sent| sent.path.starts_with(path)).cloned().collect()
    }

    async fn advance(&self, by: &str) {
        let mut ask = json!({"by": by});
        loop {
            let (status, moved) = asked_of_admin(&self.server, "POST", "/admin/clock/advance", ask).await;
            assert_eq!(status, 200, "{moved}");
            if moved["arrived"] == true {
                return;
            }
            ask = json!({"to": moved["to"]});
        }
    }

    /// What a receive over HTTP gives, which waits for two minutes.
    async fn receive(&self, name: &str) -> Value {
        let path =
            format!("/topics/mail-events/eventsubscriptions/{name}:receive?api-version=2024-06-01&maxWaitTime=120");
        let request = http::Request::post(format!("http://{}{path}", self.server.listen.http[0]));
        let request = request.header("aeg-sas-key", &self.topic.keys[0].0).body(Full::<Bytes>::default()).unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    /// What became of an event subscription's events.
    async fn ledger(&self, of: &EventSubscription) -> LedgerDelta {
        self.server.state.store.ledger(of.id.unwrap()).await.unwrap()
    }
}

fn pushed(to: Endpoint) -> Destination {
    Destination::Push(Box::new(Push { to, policy: PushPolicy::default(), dead_letters: None }))
}

async fn put(server: &Running, topic: &Topic, name: &str, destination: Destination) -> Arc<EventSubscription> {
    let subscription = EventSubscription {
        id: Some(SubscriptionId(ids::new_uuid())),
        topic: topic.id,
        name: name.to_owned(),
        filter: Filter::try_from(EventSubscriptionFilter::default()).unwrap(),
        destination,
        labels: Vec::new(),
        expires: None,
        created: server.state.clock.wall(),
        lock_key: ids::new_lock_key(),
    };
    let put = server.state.store.put_event_subscription(Namesake::None, Arc::new(subscription), 10);
    put.await.unwrap().stands
}

async fn subscribed(server: &Running, change_type: &str, url: &str) -> Value {
    let expires = server.state.clock.wall().plus_minutes(2 * 24 * 60);
    let asked = json!({"changeType": change_type, "resource": "me/messages", "clientState": "s3cret",
                       "notificationUrl": url, "expirationDateTime": expires});
    let (status, made) = call(server, "POST", SUBSCRIPTIONS, asked).await;
    assert_eq!(status, 201, "{made}");
    made
}

async fn message(server: &Running, subject: &str) -> Value {
    let (status, made) = call(server, "POST", "/v1.0/me/messages", json!({"subject": subject})).await;
    assert_eq!(status, 201, "{made}");
    made
}

#[tokio::test]
async fn a_message_is_pushed_as_one_event_under_the_id_of_its_notification() {
    let world = World::new().await;
    let (of, grid) =
        (world.pushes_to("/push?code=s3cret").await, call(&world.server, "GET", SUBSCRIPTIONS, json!({})).await.1);
    let made = world.message("Hello").await;
    world.advance("0s").await;
    let sent = world.sent("/push");
    let [sent] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(sent.header("content-type"), "application/cloudevents+json; charset=utf-8");
    let told = ["aeg-event-type", "aeg-subscription-name", "aeg-delivery-count"].map(|name| sent.header(name));
    assert_eq!(told, ["Notification", "PUSH", "0"]);
    let event = sent.json();
    assert_eq!((&event["type"], &event["specversion"]), (&json!("Microsoft.Graph.MessageCreated"), &json!("1.0")));
    assert_eq!(event["subject"], format!("Messages/{}", made["id"].as_str().unwrap()));
    let data = &event["data"];
    assert_eq!((&data["subscriptionId"], &data["clientState"]), (&grid["value"][0]["id"], &json!("s3cret")));
    let kept = world.server.state.store.topic_events(world.topic.id, notify::Position(0), 10).await.unwrap();
    assert_eq!(event["id"], kept[0].1.event.attributes().id, "it is the notification's");
    let ledger = world.ledger(&of).await;
    assert_eq!((ledger.matched, ledger.delivered), (1, 1), "{ledger:?}");
    let (_, attempts) = asked_of_admin(&world.server, "GET", "/admin/attempts", json!({})).await;
    assert!(!attempts.to_string().contains("code"), "{attempts}");
    world.server.drain().await;
}

#[tokio::test]
async fn one_change_reaches_a_webhook_a_puller_and_a_pushed_one() {
    let world = World::new().await;
    // Equal ones are refused.
    subscribed(&world.server, "created,deleted", &format!("{}/webhook", world.base)).await;
    world.put("pull", Destination::Queue(Queue::default())).await;
    world.pushes_to("/push").await;
    let made = world.message("Hello").await;
    world.advance("0s").await;
    let webhook = world.sent("/webhook")[0].json()["value"][0].take();
    let push = world.sent("/push")[0].json();
    let key = EventSubscriptionKey::new(world.topic.id, "pull");
    let pulled = world.server.state.store.receive(key, 10, world.server.state.clock.wall()).await.unwrap();
    let pulled = serde_json::to_value(&pulled.events[0].event.event).unwrap();
    assert_eq!(pulled, push);
    assert_ne!(webhook["id"], push["id"], "they are two subscriptions");
    assert_eq!(webhook["resourceData"]["id"], made["id"]);
    assert_eq!(push["data"]["resourceData"]["@odata.etag"], webhook["resourceData"]["@odata.etag"]);
    world.server.drain().await;
}

#[tokio::test]
async fn whoever_waits_gets_an_event_whose_lock_runs_out_when_the_clock_is_moved() {
    let world = World::new().await;
    world.put("pull", Destination::Queue(Queue::default())).await;
    world.message("Hello").await;
    world.advance("0s").await;
    let key = EventSubscriptionKey::new(world.topic.id, "pull");
    let locked = world.server.state.store.receive(key, 1, world.server.state.clock.wall()).await.unwrap().events;
    let (received, ()) = tokio::join!(world.receive("pull"), world.advance("PT1M"));
    let [again] = &received["value"].as_array().unwrap()[..] else { panic!("{received}") };
    assert_eq!(again["event"]["id"], locked[0].event.event.attributes().id);
    assert_eq!(again["brokerProperties"]["deliveryCount"], 2);
    world.server.drain().await;
}

#[tokio::test]
async fn what_a_receiver_refuses_comes_again_by_event_grids_schedule() {
    let world = World::new().await;
    let of = world.pushes_to("/push").await;
    world.answer("/push", 500);
    world.message("Hello").await;
    world.advance("PT2M").await;
    world.answer("/push", 200);
    world.advance("PT6M").await;
    let sent = world.sent("/push");
    let waits: Vec<i64> = sent.windows(2).map(|pair| pair[1].at.since(pair[0].at) / SECOND).collect();
    assert_eq!(waits.len(), 4, "{waits:?}");
    for (wait, least) in waits.iter().zip([10, 30, 60, 300]) {
        assert!((least..=least * 11 / 10 + 2).contains(wait), "{waits:?}");
    }
    assert!(sent.iter().all(|one| one.body == sent[0].body));
    let counts: Vec<&str> = sent.iter().map(|one| one.header("aeg-delivery-count")).collect();
    assert_eq!(counts, ["0", "1", "2", "3", "4"]);
    let ledger = world.ledger(&of).await;
    assert_eq!((ledger.matched, ledger.delivered, ledger.parked), (1, 1, 0), "{ledger:?}");
    world.server.drain().await;
}

#[tokio::test]
async fn an_answer_that_no_attempt_would_change_ends_one_event_and_410_all() {
    let world = World::new().await;
    let of = world.pushes_to("/push").await;
    for (status, count) in [(400, 1), (203, 2), (410, 3)] {
        world.answer("/push", status);
        world.message("Hello").await;
        world.advance("PT1M").await;
        assert_eq!(world.sent("/push").len(), count, "{status}");
    }
    world.answer("/push", 200);
    world.message("Never told").await;
    world.advance("P1D").await;
    assert_eq!(world.sent("/push").len(), 3);
    let ledger = world.ledger(&of).await;
    assert_eq!((ledger.matched, ledger.delivered, ledger.parked), (4, 1, 0), "{ledger:?}");
    assert_eq!(ledger.abandoned[&AbandonReason::NotRetried], 1, "{ledger:?}");
    world.server.drain().await;
}

#[tokio::test]
async fn a_webhook_that_is_replaced_gets_nothing_once_that_is_answered() {
    let world = World::new().await;
    let webhook = async |path: &str| {
        let hook = json!({"name": "push", "url": format!("{}{path}", world.base)});
        let (status, put) = asked_of_admin(&world.server, "POST", "/admin/topics/mail-events/webhooks", hook).await;
        assert_eq!(status, 201, "{put}");
    };
    webhook("/one").await;
    world.answer("/one", 503);
    world.message("Hello").await;
    world.advance("0s").await;
    assert_eq!(world.sent("/one").len(), 1);
    webhook("/two").await;
    world.advance("PT2M").await;
    assert_eq!((world.sent("/one").len(), world.sent("/two").len()), (1, 1), "it goes on with what it has");
    let pulled = json!({"name": "push"});
    let path = "/admin/topics/mail-events/event-subscriptions";
    let (status, refused) = asked_of_admin(&world.server, "POST", path, pulled).await;
    assert_eq!(status, 409, "what waits would be given up: {refused}");
    let replaced = json!({"name": "push", "replace": true});
    assert_eq!(asked_of_admin(&world.server, "POST", path, replaced).await.0, 201);
    world.message("Hello again").await;
    world.advance("PT2M").await;
    assert_eq!((world.sent("/one").len(), world.sent("/two").len()), (1, 1));
    world.server.drain().await;
}

#[tokio::test]
async fn a_restart_in_between_loses_nothing() {
    let (place, keys) = (tempfile::tempdir().unwrap(), key_file::in_memory());
    let again = || Settings { data: DataDir::open(place.path()).unwrap(), keys: keys.clone(), ..settings() };
    let world = World::with(again()).await;
    world.pushes_to("/push").await;
    world.answer("/push", 503);
    let made = world.message("Hello").await;
    world.advance("0s").await;
    let World { server, hooks, .. } = world;
    server.drain().await;
    let before = hooks.0.sent.lock().unwrap().len();
    assert!(before >= 1);
    hooks.0.answers.lock().unwrap().clear();
    let server = start(again()).await.unwrap();
    message(&server, "after").await;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(5));
    let mut asked = json!({"by": "PT2M"});
    loop {
        let (_, moved) = asked_of_admin(&server, "POST", "/admin/clock/advance", asked).await;
        let sent: Vec<Value> = hooks.0.sent.lock().unwrap()[before..].iter().map(Sent::json).collect();
        if sent.len() >= 2 {
            assert!(
                sent.iter().any(|event| event["subject"].as_str().unwrap().ends_with(made["id"].as_str().unwrap()))
            );
            break;
        }
        asked = if moved["arrived"] == true { json!({"by": "PT2M"}) } else { json!({"to": moved["to"]}) };
        look.tick().await;
    }
    server.drain().await;
}

#[tokio::test]
async fn a_webhook_with_an_audience_gets_a_token_for_it() {
    let world = World::new().await;
    let audience = Some(Audience { tenant: "t".to_owned(), application: "api://my-app".to_owned() });
    world.put("push", pushed(Endpoint::Webhook(Webhook { audience, ..world.webhook("/push") }))).await;
    world.message("Hello").await;
    world.advance("0s").await;
    let sent = world.sent("/push").remove(0);
    let token = sent.header("authorization").strip_prefix("Bearer ").unwrap();
    let key = world.server.state.tokens.ring().signing().decoding();
    let claims: Value = receiver::jwt::open(token, &key, &[jsonwebtoken::Algorithm::RS256]).unwrap();
    assert_eq!(
        (&claims["aud"], &claims["appid"]),
        (&json!("api://my-app"), &json!(protocol::event_grid::push::PUSHER_ID))
    );
    assert!(world.server.state.tokens.check(token, world.server.state.clock.wall()).is_err(), "it opens nothing here");
    world.server.drain().await;
}

#[tokio::test]
async fn no_graph_app_meets_what_pushes_events_and_nobody_pulls_from_it() {
    let world = World::new().await;
    let of = world.pushes_to("/push").await;
    let (_, listed) = call(&world.server, "GET", SUBSCRIPTIONS, json!({})).await;
    assert_eq!(listed["value"].as_array().unwrap().len(), 1, "{listed}");
    let path = format!("{SUBSCRIPTIONS}/{}", of.id.unwrap());
    for (method, body) in [
        ("GET", json!({})),
        ("PATCH", json!({"expirationDateTime": world.server.state.clock.wall().plus_minutes(60)})),
        ("DELETE", json!({})),
    ] {
        assert_eq!(call(&world.server, method, &path, body).await.0, 404, "{method}");
    }
    let provoked = json!({"event": "missed"});
    let path = format!("/admin/subscriptions/{}/lifecycle", of.id.unwrap());
    assert_eq!(asked_of_admin(&world.server, "POST", &path, provoked).await.0, 404);
    let key = EventSubscriptionKey::new(world.topic.id, "push");
    let pulled = world.server.state.store.receive(key, 10, world.server.state.clock.wall()).await;
    assert_eq!(pulled, Err(store::PullError::NotAQueue));
    assert!(world.server.state.store.subscription(of.id.unwrap()).await.unwrap().is_some());
    world.server.drain().await;
}

#[tokio::test]
async fn what_no_bridge_and_no_store_of_dead_letters_takes_waits_for_them() {
    let world = World::new().await;
    let stream = NatsJetStream { stream: "mail".to_owned(), subject: "graph.{tenant}".to_owned() };
    let bridged = world.put("bridge", pushed(Endpoint::NatsJetStream(stream))).await;
    let dead_letters = DeadLetterDestination { resource_id: "r".to_owned(), container: "letters".to_owned() };
    let (to, policy) = (Endpoint::Webhook(world.webhook("/push")), PushPolicy::default());
    let push = Push { to, policy, dead_letters: Some(dead_letters) };
    let lettered = world.put("lettered", Destination::Push(Box::new(push))).await;
    world.answer("/push", 400);
    world.message("Hello").await;
    world.advance("PT2M").await;
    assert_eq!(world.sent("/push").len(), 1);
    for of in [bridged, lettered] {
        let ledger = world.ledger(&of).await;
        assert_eq!((ledger.matched, ledger.parked), (1, 1), "{}: {ledger:?}", of.name);
    }
    let (_, attempts) = asked_of_admin(&world.server, "GET", "/admin/attempts", json!({})).await;
    let urls: Vec<&str> =
        attempts["value"].as_array().unwrap().iter().map(|one| one["url"].as_str().unwrap()).collect();
    assert!(urls.contains(&"nats:mail") && urls.contains(&"dead-letters:letters"), "{urls:?}");
    world.server.drain().await;
}

#[tokio::test]
async fn an_app_sees_what_came_of_pushes_that_an_operator_asked_for_before_it_came() {
    let world = World::after(settings(), async |server, base| {
        let topic = json!({"name": "mail-events", "location": "westeurope", "resourceGroup": "rg1",
                           "azureSubscription": "8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e"});
        assert_eq!(asked_of_admin(server, "POST", "/admin/topics", topic).await.0, 201);
        let hook = json!({"name": "push", "url": format!("{base}/push")});
        assert_eq!(asked_of_admin(server, "POST", "/admin/topics/mail-events/webhooks", hook).await.0, 201);
    });
    let world = world.await;
    world.message("Hello").await;
    world.advance("0s").await;
    assert_eq!(world.sent("/push").len(), 1);
    let (_, told) = own_attempts(&world.server, &seed::app(), "").await;
    let pushed: Vec<&Value> =
        told["value"].as_array().unwrap().iter().filter(|one| one["eventSubscription"]["name"] == "push").collect();
    assert_eq!((pushed.len(), &pushed[0]["app"]), (1, &json!(seed::APP)), "{told}");
    world.server.drain().await;
}

#[tokio::test]
async fn a_topic_that_an_operator_removes_is_gone_with_what_it_pushes_and_the_attempt_log_says_so() {
    let world = World::new().await;
    world.pushes_to("/held").await;
    world.answer("/held", 503);
    let held = world.hooks.0.held.lock().await;
    world.message("Hello").await;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(5));
    while world.sent("/held").is_empty() {
        look.tick().await;
    }
    let topic = |method| asked_of_admin(&world.server, method, "/admin/topics/mail-events", json!({}));
    let (_, shown) = topic("GET").await;
    assert_eq!((&shown["events"], &shown["eventSubscriptions"][0]["name"]), (&json!(1), &json!("push")), "{shown}");
    assert_eq!(topic("DELETE").await.0, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(topic(method).await.0, 404);
    }
    drop(held);
    world.message("Told to nobody").await;
    world.advance("0s").await;
    assert_eq!(world.sent("/held").len(), 1);
    let (_, attempts) = asked_of_admin(&world.server, "GET", "/admin/attempts?outcome=refused", json!({})).await;
    let attempts = attempts["value"].as_array().unwrap();
    let pushed = attempts.iter().find(|one| one["eventSubscription"]["name"] == "push").unwrap();
    assert_eq!((&pushed["status"], &pushed["abandoned"]), (&json!(503), &json!(["subscription_ended"])));
    assert!(attempts.iter().any(|one| one["cause"] == "the topic was removed"), "{attempts:?}");
    world.server.drain().await;
}

#[tokio::test]
async fn an_event_that_is_dropped_on_purpose_is_given_up_with_a_dead_letter_if_these_are_kept() {
    let letters = tempfile::tempdir().unwrap();
    let dead_letters = Some(DeadLettersConfig::Directory(letters.path().to_owned()));
    let sinks = SinksConfig { dead_letters, ..SinksConfig::default() };
    let world = World::with(Settings { sinks, ..settings() }).await;
    let kept = DeadLetterDestination { resource_id: "r".to_owned(), container: "letters".to_owned() };
    let (to, policy) = (Endpoint::Webhook(world.webhook("/kept")), PushPolicy::default());
    let kept = world.put("kept", Destination::Push(Box::new(Push { to, policy, dead_letters: Some(kept) }))).await;
    let dropped = world.pushes_to("/dropped").await;
    let fault = json!({"action": "drop", "url": world.base});
    assert_eq!(asked_of_admin(&world.server, "POST", "/admin/faults", fault).await.0, 201);
    world.message("Never told").await;
    world.advance("PT5H").await;
    assert_eq!(world.sent("/").len(), 0);
    for of in [&kept, &dropped] {
        let ledger = world.ledger(of).await;
        assert_eq!(ledger.abandoned, [(AbandonReason::Injected, 1)].into(), "{}: {ledger:?}", of.name);
    }
    let path = "/admin/topics/mail-events/event-subscriptions/kept/dead-letters";
    let (_, listed) = asked_of_admin(&world.server, "GET", path, json!({})).await;
    let [letter] = &listed["value"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!((&letter["reason"], &letter["lastOutcome"]), (&json!("Injected"), &json!("Aborted")));
    let (_, attempts) = asked_of_admin(&world.server, "GET", "/admin/attempts?outcome=not_sent", json!({})).await;
    let attempts = attempts["value"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    for attempt in attempts {
        assert_eq!((&attempt["abandoned"], &attempt["cause"]), (&json!(["injected"]), &json!("a fault on purpose")));
    }
    world.server.drain().await;
}

#[tokio::test]
async fn an_operator_sees_how_each_event_subscription_stands_and_no_secret() {
    let world = World::new().await;
    let of = world.pushes_to("/push?code=s3cret").await;
    let awaits = Some(Awaited { code_hash: [1; 32], until: world.server.state.clock.wall().plus_minutes(10) });
    world.put("asked", pushed(Endpoint::Webhook(Webhook { awaits, ..world.webhook("/asked?code=s3cret") }))).await;
    world.put("pull", Destination::Queue(Queue::default())).await;
    let listed = async || {
        let (_, listed) = asked_of_admin(&world.server, "GET", "/admin/topics", json!({})).await;
        assert!(!listed.to_string().contains("s3cret"), "{listed}");
        let of_topic = listed["value"][0]["eventSubscriptions"].as_array().unwrap().clone();
        let told = |one: &Value| {
            let told = ["name", "delivery", "to", "state", "pending"].map(|member| one[member].to_string());
            told.join(" ").replace('"', "").replace(&world.base, "http://hook")
        };
        (of_topic.iter().map(told).collect::<Vec<_>>(), of_topic[2]["time"].clone())
    };
    let (told, _) = listed().await;
    let expected = [
        "asked webhook http://hook awaitingConsent 0",
        "pull pull null delivering 0",
        "push webhook http://hook delivering 0",
    ];
    assert_eq!(told, expected);

    world.answer("/push", 500);
    for subject in 0..10 {
        world.message(&subject.to_string()).await;
    }
    world.advance("0s").await;
    let key = EventSubscriptionKey::new(world.topic.id, "pull");
    world.server.state.store.receive(key, 3, world.server.state.clock.wall()).await.unwrap();
    let (told, until) = listed().await;
    assert_eq!(told[1..], ["pull pull null delivering 3", "push webhook http://hook onProbation 10"]);
    assert!(until.as_str().is_some_and(|until| until.parse::<Timestamp>().is_ok()), "{until}");

    world.answer("/push", 410);
    world.advance("P1D").await;
    let (told, _) = listed().await;
    assert_eq!(told[2], "push webhook http://hook stopped 0");
    assert_eq!(world.ledger(&of).await.matched, 10);
    world.server.drain().await;
}
