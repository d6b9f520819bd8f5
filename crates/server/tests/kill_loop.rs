//! A real process, killed with SIGKILL again and again under load.
//!
//! Writers post messages for two mailboxes; subscriptions of a healthy and of a failing receiver hear of
//! them, and so does a partner topic, into which others publish as well, from which somebody pulls and whose events are
//! pushed and bridged into a stream of NATS, whose server lives on. Nothing that was answered with 201 may be lost, nothing
//! that a subscription must hear of, and the stream holds each event once. After each kill the ledgers, counted again from
//! the log, balance.
//! `TIDINGS_KILLS` sets how often the process is killed; 25 by default.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use serde_json::{Value, json};
use support::nats;
use support::process::{self, Process};
use support::receiver::Receiver;
use support::topic::{self, Topic};
use support::{Client, post};
use tidings_server::bench::nats::NatsServer;
use tokio::sync::watch;

const WRITERS: usize = 8;
const ADELE: &str = "adele@contoso.test";
const ALEX: &str = "alex@contoso.test";
/// How long everything may take to arrive after the last kill; retries wait up to minutes.
const SETTLE_MAX: Duration = Duration::from_secs(240);
/// How long some of everything may take between two kills.
const TURN_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the writers know.
#[derive(Default)]
struct Written {
    acknowledged: Mutex<BTreeSet<(String, String)>>,
    count: AtomicUsize,
    unanswered: AtomicUsize,
    stop: AtomicBool,
}

/// Where the server is now; `None` while it is down.
type Where = watch::Receiver<Option<(String, String)>>;

async fn write(user: &'static str, written: Arc<Written>, mut place: Where) {
    let client = Client::new();
    while !written.stop.load(Ordering::Relaxed) {
        let Some((base, token)) = place.borrow_and_update().clone() else {
            if place.changed().await.is_err() {
                return;
            }
            continue;
        };
        let message = json!({"subject": "killed", "toRecipients": []});
        match post(&client, &format!("{base}/v1.0/users/{user}/messages"), &token, &message).await {
            Ok((201, body)) => {
                let id = body["id"].as_str().expect("a created message has an id").to_owned();
                written.acknowledged.lock().unwrap().insert((user.to_owned(), id));
                written.count.fetch_add(1, Ordering::Relaxed);
            }
            Ok((503, _)) | Err(_) => {
                written.unanswered.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            Ok((status, body)) => panic!("a write was answered with {status}: {body}"),
        }
    }
}

/// `change_type` tells the subscriptions of one mailbox apart: equal ones are refused.
async fn subscribe(client: &Client, process: &Process, user: &str, (change_type, url): (&str, &str)) -> String {
    let body = json!({
        "changeType": change_type,
        "notificationUrl": url,
        "resource": format!("users/{user}/messages"),
        "expirationDateTime": support::in_hours(24),
        "clientState": format!("state of {user}"),
    });
    let (status, answer) =
        post(client, &format!("{}/v1.0/subscriptions", process.http()), process.app_token(), &body).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// The items that each subscription has heard of, with the ids of the notifications that told of them.
fn heard(receiver: &Receiver) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut heard: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for notification in receiver.acknowledged() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&notification["subscriptionId"]), text(&notification["resourceData"]["id"]));
        heard.entry(key).or_default().insert(text(&notification["id"]));
    }
    heard
}

/// How many events are in the stream.
async fn bridged_count(jet_stream: &Context) -> u64 {
    // It is made with the first.
    jet_stream.get_stream(topic::STREAM).await.map_or(0, |stream| stream.cached_info().state.messages)
}

async fn more_is_bridged(jet_stream: &Context, than: u64) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    let more = async {
        while bridged_count(jet_stream).await <= than {
            look.tick().await;
        }
    };
    tokio::time::timeout(TURN_MAX, more).await.expect("events are bridged");
}

/// The sources and ids of events, with how often each is there.
fn copies(events: &[Value]) -> BTreeMap<(String, String), usize> {
    let mut copies = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for event in events {
        *copies.entry((text(&event["source"]), text(&event["id"]))).or_default() += 1;
    }
    copies
}

/// What is in the stream, once it is all that was pushed and pulled.
async fn bridged(jet_stream: &Context, others: impl Fn() -> Vec<Value>) -> Vec<Value> {
    let stream = jet_stream.get_stream(topic::STREAM).await.unwrap();
    let mut look = tokio::time::interval(LOOK_EVERY);
    let all = async {
        loop {
            look.tick().await;
            let events = nats::events(&stream).await;
            let events: Vec<Value> =
                events.iter().map(|event| serde_json::from_slice(&event.to_json()).unwrap()).collect();
            if copies(&events).keys().eq(copies(&others()).keys()) {
                return events;
            }
        }
    };
    tokio::time::timeout(SETTLE_MAX, all).await.expect("the stream holds what was pushed and pulled, and nothing else")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_process_is_killed_under_load() {
    let kills: usize = std::env::var("TIDINGS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(25);
    let receiver = Receiver::start().await;
    let home = tempfile::tempdir().unwrap();
    let mut process = Process::start(home.path());
    let client = Client::new();
    let mut hears: Vec<(String, &str)> = Vec::new();
    for user in [ADELE, ALEX] {
        for (change_type, path) in [("created", "healthy"), ("created,updated", "failing")] {
            let id = subscribe(&client, &process, user, (change_type, &receiver.url(path))).await;
            hears.push((id, user));
        }
    }
    // Equal ones are refused.
    subscribe(&client, &process, ADELE, ("created,deleted", topic::URL)).await;
    process.stop();
    let grid = Topic::with_event_subscriptions(home.path(), receiver.url("pushed")).await;
    let nats_server = NatsServer::start(nats::program(), &[]).await.unwrap();
    let (jet_stream, nats_url) = (nats_server.jet_stream().await.unwrap(), nats_server.url());
    let start = || Process::start_with(home.path(), &["--nats", &nats_url]);
    process = start();
    // One POST in three to the failing receiver is refused, and a few of what is pushed.
    receiver.refuse("failing", 3);
    receiver.refuse("pushed", 40);

    let written = Arc::new(Written::default());
    let (place, places) = watch::channel(Some((process.http().to_owned(), process.app_token().to_owned())));
    let writers: Vec<_> =
        (0..WRITERS).map(|n| tokio::spawn(write([ADELE, ALEX][n % 2], Arc::clone(&written), places.clone()))).collect();
    let pulling = [tokio::spawn(grid.clone().publish(places.clone())), tokio::spawn(grid.clone().pull(places.clone()))];
    for kill in 0..kills {
        // All of them are running when it is killed.
        let writes = written.count.load(Ordering::Relaxed) + 40 + (kill * 37) % 160;
        let deliveries = receiver.acknowledged_count() + 40 + (kill * 53) % 160;
        let (pulls, pushes) = (grid.pulled_count() + 1, receiver.events().len() + 1);
        let bridged = bridged_count(&jet_stream).await;
        support::until("writes and deliveries are acknowledged", TURN_MAX, || {
            written.count.load(Ordering::Relaxed) >= writes
                && receiver.acknowledged_count() >= deliveries
                && grid.pulled_count() >= pulls
                && receiver.events().len() >= pushes
        })
        .await;
        more_is_bridged(&jet_stream, bridged).await;
        if kill == 0 {
            // Beside a server at work, too.
            process::verify_ledger(home.path());
        }
        process.kill();
        place.send_replace(None);
        process::verify_ledger(home.path());
        if (kill + 1) % 100 == 0 {
            println!("{} of {kills} kills", kill + 1);
        }
        process = start();
        place.send_replace(Some((process.http().to_owned(), process.app_token().to_owned())));
    }
    written.stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    receiver.refuse("failing", 0);
    receiver.refuse("pushed", 0);

    let settled = Instant::now();
    let acknowledged = written.acknowledged.lock().unwrap().clone();
    for (user, item) in &acknowledged {
        let url = format!("{}/v1.0/users/{user}/messages/{item}", process.http());
        let (status, body) = support::get(&client, &url, process.app_token()).await.unwrap();
        assert_eq!(status, 200, "an acknowledged message is gone: {body}");
    }
    let missing = || {
        let heard = heard(&receiver);
        let owed = hears.iter().flat_map(|(id, user)| {
            acknowledged
                .iter()
                .filter(move |(mailbox, _)| mailbox == user)
                .map(move |(_, item)| (id.clone(), item.clone()))
        });
        owed.filter(|key| !heard.contains_key(key)).count()
    };
    support::until("every notification has arrived", SETTLE_MAX, || missing() == 0).await;
    let subjects = |(user, item): &(String, String)| (user == ADELE).then(|| format!("Messages/{item}"));
    let told: BTreeSet<String> = acknowledged.iter().filter_map(subjects).chain(grid.published()).collect();
    let lacks = |heard: BTreeMap<String, BTreeSet<String>>| told.iter().any(|subject| !heard.contains_key(subject));
    support::until("every event was pulled", SETTLE_MAX, || !lacks(grid.pulled())).await;
    support::until("every event was pushed", SETTLE_MAX, || !lacks(topic::by_subject(&receiver.events()))).await;
    grid.stop();
    for one in pulling {
        one.await.unwrap();
    }
    let bridged = bridged(&jet_stream, || [receiver.events(), grid.received()].concat()).await;
    let doubled: Vec<_> = copies(&bridged).into_iter().filter(|(_, copies)| *copies != 1).collect();
    assert!(doubled.is_empty(), "the stream holds an event more than once: {doubled:?}");
    assert!(!lacks(topic::by_subject(&bridged)), "an event is in the stream that was published");
    for heard in [grid.pulled(), topic::by_subject(&receiver.events()), topic::by_subject(&bridged)] {
        let ambiguous: Vec<_> = heard.iter().filter(|(_, ids)| ids.len() != 1).collect();
        assert!(ambiguous.is_empty(), "an event has several ids: {ambiguous:?}");
    }

    let heard = heard(&receiver);
    let ambiguous: Vec<_> = heard.iter().filter(|(_, ids)| ids.len() != 1).collect();
    assert!(ambiguous.is_empty(), "a match was told with several ids: {ambiguous:?}");
    let (acknowledgements, matches) = (receiver.acknowledged_count(), heard.len());
    println!(
        "{} events published, {} pulled, {} pushed, {} bridged",
        told.len(),
        grid.pulled_count(),
        receiver.events().len(),
        bridged.len(),
    );
    println!(
        "{kills} kills, {} writes acknowledged, {} unanswered, {matches} matches heard, {} duplicates with equal ids, \
         {} requests refused, settled in {:.1} s",
        acknowledged.len(),
        written.unanswered.load(Ordering::Relaxed),
        acknowledgements - matches,
        receiver.refused_count(),
        settled.elapsed().as_secs_f32(),
    );
    process.stop();
    process::verify_ledger(home.path());
}
