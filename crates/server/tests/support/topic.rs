//! A partner topic of the process under test: how it comes to be, who publishes into it, and who pulls from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph::SubscriptionId;
use http::Request;
use notify::push_policy::PushPolicy;
use notify::topic::{
    Destination, Endpoint, EventSubscription, EventSubscriptionFilter, Filter, NatsJetStream, Push, Queue, Webhook,
};
use serde_json::{Value, json};
use store::sqlite::SqliteStore;
use store::{Namesake, Store, TopicQuery};
use tidings_server::data_dir::DataDir;
use tidings_server::{ids, key_file};

use super::{Client, process, request};

const NAME: &str = "mail-events";
const API: &str = "api-version=2024-06-01";
/// What makes it, as a subscription's `notificationUrl`.
pub const URL: &str = "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e&resourcegroup=rg1\
                       &partnertopic=mail-events&location=westeurope";
/// Where its events are bridged into.
pub const STREAM: &str = "killed";
/// Short, since a kill leaves locks whose events nobody has seen.
const LOCK_SECONDS: u32 = 5;
const PUBLISHED_EVERY: Duration = Duration::from_millis(20);

/// Where the server is now, and a token; `None` while it is down.
type Where = tokio::sync::watch::Receiver<Option<(String, String)>>;

/// What whoever publishes and pulls knows.
#[derive(Default)]
pub struct Topic {
    key: String,
    /// The ids of events whose publishing was acknowledged.
    published: Mutex<BTreeSet<String>>,
    /// What was received, acknowledged or not.
    pulled: Mutex<Vec<Value>>,
    stop: AtomicBool,
}

impl Topic {
    /// Gives the only topic of a store that no process has open a queue, pushes its events to a URL and bridges them into
    /// a stream of NATS.
    pub async fn with_event_subscriptions(home: &Path, url: String) -> Arc<Self> {
        let data = DataDir::open(&process::data_dir(home)).unwrap();
        let keys = key_file::keys_for(&data, &process::key_file(home)).unwrap();
        let store = SqliteStore::open(data.store(), keys, Arc::new(|_, _| {})).unwrap();
        let topics = store.topics(TopicQuery { limit: 2, ..TopicQuery::default() }).await.unwrap();
        let [topic] = &topics[..] else { panic!("{topics:?}") };
        let queue = Queue { receive_lock_seconds: LOCK_SECONDS, ..Queue::default() };
        let push = |to| Destination::Push(Box::new(Push { to, policy: PushPolicy::default(), dead_letters: None }));
        let bridge = NatsJetStream { stream: STREAM.to_owned(), subject: "graph.{tenant}.{kind}".to_owned() };
        for (name, destination) in [
            ("pulled", Destination::Queue(queue)),
            ("pushed", push(Endpoint::Webhook(Webhook::to(url)))),
            ("bridged", push(Endpoint::NatsJetStream(bridge))),
        ] {
            let subscription = EventSubscription {
                id: Some(SubscriptionId(ids::new_uuid())),
                topic: topic.id,
                name: name.to_owned(),
                filter: Filter::try_from(EventSubscriptionFilter::default()).unwrap(),
                destination,
                labels: Vec::new(),
                expires: None,
                created: topic.created,
                lock_key: ids::new_lock_key(),
            };
            store.put_event_subscription(Namesake::None, Arc::new(subscription), 10).await.unwrap();
        }
        store.close().await;
        Arc::new(Self { key: topic.keys[0].0.clone(), ..Self::default() })
    }

    async fn post(&self, client: &Client, url: &str, content_type: &str, body: &Value) -> Option<(u16, Value)> {
        let asked = Request::post(url).header("aeg-sas-key", &self.key).header("content-type", content_type);
        request(client, asked.body(body.to_string()).unwrap()).await.ok()
    }

    /// Publishes events one after the other, each until that is acknowledged.
    pub async fn publish(self: Arc<Self>, mut place: Where) {
        let (client, mut number) = (Client::new(), 0);
        let mut turn = tokio::time::interval(PUBLISHED_EVERY);
        while let Some(base) = self.base(&mut place).await {
            let id = format!("published-{number}");
            let event = json!({"specversion": "1.0", "id": id, "source": "/kill", "type": "Published", "subject": id});
            let url = format!("{base}/topics/{NAME}:publish?{API}");
            match self.post(&client, &url, "application/cloudevents+json", &event).await {
                Some((200, _)) => {
                    self.published.lock().unwrap().insert(id);
                    number += 1;
                }
                Some((503, _)) | None => {}
                Some(other) => panic!("publishing was answered with {other:?}"),
            }
            turn.tick().await;
        }
    }

    /// Receives, and acknowledges what it received.
    pub async fn pull(self: Arc<Self>, mut place: Where) {
        let client = Client::new();
        while let Some(base) = self.base(&mut place).await {
            let url = |verb: &str| format!("{base}/topics/{NAME}/eventsubscriptions/pulled:{verb}?{API}");
            let receive = format!("{}&maxEvents=50&maxWaitTime=10", url("receive"));
            let received = match self.post(&client, &receive, "application/json", &Value::Null).await {
                Some((200, body)) => body["value"].as_array().cloned().unwrap_or_default(),
                Some((503, _)) | None => continue,
                Some(other) => panic!("a receive was answered with {other:?}"),
            };
            let tokens: Vec<&Value> = received.iter().map(|one| &one["brokerProperties"]["lockToken"]).collect();
            self.pulled.lock().unwrap().extend(received.iter().map(|one| one["event"].clone()));
            // What is not acknowledged is received again.
            self.post(&client, &url("acknowledge"), "application/json", &json!({"lockTokens": tokens})).await;
        }
    }

    /// Where the server is, once it is somewhere; `None`: it is time to stop.
    async fn base(&self, place: &mut Where) -> Option<String> {
        while !self.stop.load(Ordering::Relaxed) {
            let now = place.borrow_and_update().clone();
            match now {
                Some((base, _)) => return Some(base),
                None => place.changed().await.ok()?,
            }
        }
        None
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn published(&self) -> BTreeSet<String> {
        self.published.lock().unwrap().clone()
    }

    /// What was received, in its order.
    pub fn received(&self) -> Vec<Value> {
        self.pulled.lock().unwrap().clone()
    }

    /// What was received, by subject: the ids of its events.
    pub fn pulled(&self) -> BTreeMap<String, BTreeSet<String>> {
        by_subject(&self.pulled.lock().unwrap())
    }

    pub fn pulled_count(&self) -> usize {
        self.pulled.lock().unwrap().len()
    }
}

/// The ids of events, by their subjects.
pub fn by_subject(events: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for event in events {
        found.entry(text(&event["subject"])).or_default().insert(text(&event["id"]));
    }
    found
}
