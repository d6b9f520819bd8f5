use std::fs;
use std::sync::Arc;

use graph::{SubscriptionId, Timestamp};
use notify::event_grid_url::EventGridUrl;
use notify::push_policy::{GivenUp, LastOutcome, LastTry, PushPolicy, Undelivered};
use notify::topic::{
    Activation, CloudEvent, DeadLetterDestination, Destination, Endpoint, EventSubscription, Filter, NatsJetStream,
    Profile, Push, Queue, Tags,
};
use notify::{Position, Record, TopicEvent};
use protocol::cloud_event::Attributes;
use protocol::event_grid::EventSubscriptionFilter;
use protocol::event_grid::dead_letter::Told;
use serde_json::json;
use store::memory::MemoryStore;
use store::{EventSubscriptionKey, Namesake, Store};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{ids, seed};

const URL: &str = "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e&resourcegroup=rg\
                   &partnertopic=Mail-Events&location=westeurope";

fn topic() -> Topic {
    Topic {
        id: graph::TopicId(Uuid::from_u128(1)),
        tenant: seed::TENANT,
        place: EventGridUrl::parse(URL).unwrap(),
        apps: [].into(),
        profile: Profile::default(),
        activation: Activation::Activated,
        created: graph::Timestamp::from_seconds(1_800_000_000),
        description: String::new(),
        tags: Tags::new(),
        keys: [ids::new_topic_key(), ids::new_topic_key()],
        subscribed_until: None,
    }
}

fn shelf() -> Shelf {
    Shelf::new("letters", &topic(), "Worker").unwrap()
}

const SOURCE: &str = "/tenants/84bd8158-6d4d-4958-8b9f-9d6445542f95/applications/925bff9f-f6e2-4a69-b858-f71ea2b9b6d0";

fn letter(id: &str, published: &str) -> DeadLetter {
    let attributes = Attributes {
        id: id.to_owned(),
        source: SOURCE.to_owned(),
        event_type: "t".to_owned(),
        ..Attributes::default()
    };
    DeadLetter {
        event: CloudEvent::new(attributes, None).unwrap(),
        told: Told {
            dead_letter_reason: "MaxDeliveryAttemptsExceeded".to_owned(),
            delivery_attempts: 30,
            last_delivery_outcome: "Busy".to_owned(),
            publish_time: published.to_owned(),
            last_http_status_code: Some(503),
            resent_time: None,
        },
    }
}

fn in_directory() -> (TempDir, DeadLetters) {
    let root = TempDir::new().unwrap();
    let config = DeadLettersConfig::Directory(root.path().to_owned());
    let dead_letters = DeadLetters::new(config, Clock::new()).unwrap();
    (root, dead_letters)
}

/// Every file below a directory, by its path from there.
fn files(root: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => found.push(path.strip_prefix(root).unwrap().display().to_string()),
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_dead_letter_is_a_file_that_is_read_as_it_was_kept_until_it_is_removed() {
    let (root, dead_letters) = in_directory();
    let kept = letter("00d8a100-2e92-4bfa-86e1-0056dacd0fce", "2026-01-04T09:00:00Z");
    dead_letters.keep(&shelf(), &kept).await.unwrap();
    let folder = "letters/mail-events-00000000-0000-0000-0000-000000000001/worker/2026/1/4/9";
    let expected = format!("{folder}/00d8a100-2e92-4bfa-86e1-0056dacd0fce-20260104090000.json");
    assert_eq!(files(root.path()), std::slice::from_ref(&expected));
    assert_eq!(dead_letters.keys(&shelf(), None, 10).await.unwrap(), std::slice::from_ref(&expected));
    assert_eq!(dead_letters.read(&expected).await.unwrap(), Some(kept));
    dead_letters.remove(&expected).await.unwrap();
    dead_letters.remove(&expected).await.unwrap();
    assert_eq!(dead_letters.read(&expected).await.unwrap(), None);
    assert!(dead_letters.keys(&shelf(), None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_dead_letter_that_is_kept_again_replaces_itself() {
    let (root, dead_letters) = in_directory();
    let mut kept = letter("one", "2026-01-04T09:00:00Z");
    dead_letters.keep(&shelf(), &kept).await.unwrap();
    kept.told.delivery_attempts = 31;
    dead_letters.keep(&shelf(), &kept).await.unwrap();
    let keys = dead_letters.keys(&shelf(), None, 10).await.unwrap();
    assert_eq!((keys.len(), files(root.path()).len()), (1, 1));
    assert_eq!(dead_letters.read(&keys[0]).await.unwrap(), Some(kept));
}

#[tokio::test]
async fn dead_letters_are_listed_in_pages_by_the_time_of_their_events() {
    let (root, dead_letters) = in_directory();
    let times = ["2025-12-31T23:00:00Z", "2026-02-01T00:00:00Z", "2026-10-01T00:00:00Z", "2026-10-01T09:00:00Z"];
    let ids = ["30000000-0000-4000-8000-000000000000", "10000000-0000-4000-8000-000000000000"];
    for time in times.iter().rev() {
        for id in ids {
            dead_letters.keep(&shelf(), &letter(id, time)).await.unwrap();
        }
    }
    let other = Shelf::new("letters", &topic(), "other").unwrap();
    dead_letters.keep(&other, &letter("x", times[0])).await.unwrap();
    let folder = root.path().join(shelf().folder());
    fs::write(folder.join("2026/10/1/9/.writing-abc"), "torn").unwrap();
    fs::write(folder.join("README"), "not ours").unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = dead_letters.keys(&shelf(), after.as_deref(), 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        all.extend(page);
    }
    let mut seen = Vec::new();
    for key in &all {
        let letter = dead_letters.read(key).await.unwrap().unwrap();
        seen.push((letter.told.publish_time, letter.event.attributes().id.clone()));
    }
    let expected = times.iter().flat_map(|time| [ids[1], ids[0]].map(|id| ((*time).to_owned(), id.to_owned())));
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_written_is_an_error_and_leaves_what_was_there() {
    let (root, dead_letters) = in_directory();
    let kept = letter("one", "2026-01-04T09:00:00Z");
    dead_letters.keep(&shelf(), &kept).await.unwrap();
    let before = files(root.path());
    // Where the month's directory would be, something else is.
    fs::write(root.path().join(shelf().folder()).join("2026/2"), "").unwrap();
    let error = dead_letters.keep(&shelf(), &letter("two", "2026-02-04T09:00:00Z")).await.unwrap_err().to_string();
    assert!(error.contains("2026/2/4/9"), "{error}");
    fs::remove_file(root.path().join(shelf().folder()).join("2026/2")).unwrap();
    assert_eq!(files(root.path()), before);
}

#[tokio::test]
async fn a_check_leaves_nothing_behind_and_a_missing_directory_is_said() {
    let (root, dead_letters) = in_directory();
    dead_letters.check().await.unwrap();
    assert!(files(root.path()).is_empty());
    let missing = DeadLettersConfig::Directory(root.path().join("missing"));
    let refusal = format!("{:#}", DeadLetters::new(missing, Clock::new()).unwrap_err());
    assert!(refusal.contains("dead_letters.directory") && refusal.contains("missing"), "{refusal}");
}

#[cfg(unix)]
#[tokio::test]
async fn theft_of_dead_letters_needs_the_rights_of_the_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let (root, dead_letters) = in_directory();
    dead_letters.keep(&shelf(), &letter("one", "2026-01-04T09:00:00Z")).await.unwrap();
    let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o077;
    assert_eq!((mode("letters"), mode(&files(root.path())[0])), (0, 0));
}

#[test]
fn containers_that_azure_refuses_are_refused() {
    assert_eq!(Shelf::new("../up", &topic(), "worker"), Err(NoContainer));
    assert!(Shelf::new("dead-letters", &topic(), "worker").is_ok());
}

/// A topic with an event subscription that pushes and keeps dead letters, as a store has them.
async fn pushing() -> (Arc<dyn Store>, Topic, EventSubscription) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(|_, _| {})));
    let topic = topic();
    store.open_topic(Arc::new(topic.clone()), 1, topic.created).await.unwrap();
    let push = Push {
        to: Endpoint::NatsJetStream(NatsJetStream { stream: "s".to_owned(), subject: "graph.{tenant}.a".to_owned() }),
        policy: PushPolicy::default(),
        dead_letters: Some(DeadLetterDestination { resource_id: "any".to_owned(), container: "letters".to_owned() }),
    };
    let event_subscription = EventSubscription {
        id: Some(SubscriptionId(ids::new_uuid())),
        topic: topic.id,
        name: "Worker".to_owned(),
        filter: Filter::try_from(EventSubscriptionFilter::default()).unwrap(),
        destination: Destination::Push(Box::new(push)),
        labels: Vec::new(),
        expires: None,
        created: topic.created,
        lock_key: ids::new_lock_key(),
    };
    store.put_event_subscription(Namesake::None, Arc::new(event_subscription.clone()), 1).await.unwrap();
    (store, topic, event_subscription)
}

/// The events that were sent again.
async fn sent_again(store: &Arc<dyn Store>, topic: &Topic) -> Vec<Arc<TopicEvent>> {
    let log = store.read_log(topic.partition(), Position(0), 100).await.unwrap();
    let told = log.iter().filter_map(|(_, record)| match &**record {
        Record::Replayed { record, change: None, .. } => match &**record {
            Record::Event(event) => Some(Arc::clone(event)),
            _ => None,
        },
        _ => None,
    });
    told.collect()
}

#[tokio::test]
async fn dead_letters_are_sent_again_to_their_event_subscription_and_go() {
    let ((root, dead_letters), (store, topic, worker)) = (in_directory(), pushing().await);
    for (id, published) in [("1", "2026-01-04T09:00:00Z"), ("2", "2026-01-05T09:00:00Z"), ("3", "2026-01-06T09:00:00Z")]
    {
        dead_letters.keep(&shelf(), &letter(id, published)).await.unwrap();
    }
    let now = Timestamp::from_seconds(1_800_000_900);
    let again = async |chosen: Chosen| {
        let stores = (store.as_ref(), &dead_letters);
        replay(stores, &topic, &worker, &chosen, (None, now)).await.map(|done| serde_json::to_value(done).unwrap())
    };
    let by_id = again(Chosen { ids: vec!["2".to_owned(), "9".to_owned()], ..Chosen::default() }).await.unwrap();
    assert_eq!((&by_id["replayed"], &by_id["ids"]), (&json!(1), &json!(["2"])));
    let from = Some("2026-01-06T00:00:00Z".parse().unwrap());
    assert_eq!(again(Chosen { from, ..Chosen::default() }).await.unwrap()["ids"], json!(["3"]));
    let other = Chosen { reason: Some("TimeToLiveExceeded".to_owned()), ..Chosen::default() };
    assert_eq!(again(other).await.unwrap()["replayed"], 0);
    assert_eq!(files(root.path()).len(), 1);
    let rest = again(Chosen::default()).await.unwrap();
    assert_eq!((&rest["ids"], &rest["more"], files(root.path()).len()), (&json!(["1"]), &json!(false), 0));
    let sent = sent_again(&store, &topic).await;
    let sent: Vec<_> = sent.iter().map(|sent| (sent.event.attributes().id.as_str(), sent.published)).collect();
    assert_eq!(sent, ["2", "3", "1"].map(|id| (id, now)));
}

#[tokio::test]
async fn a_dead_letter_that_comes_back_keeps_when_its_event_was_published_and_counts_on() {
    let ((root, dead_letters), (store, topic, worker)) = (in_directory(), pushing().await);
    dead_letters.keep(&shelf(), &letter("1", "2026-01-04T09:00:00Z")).await.unwrap();
    let now = Timestamp::from_seconds(1_800_000_900);
    let again = async |chosen: Chosen, now| {
        let done = replay((store.as_ref(), &dead_letters), &topic, &worker, &chosen, (None, now)).await.unwrap();
        serde_json::to_value(done).unwrap()["replayed"].take()
    };
    assert_eq!(again(Chosen::default(), now).await, 1);
    let sent = sent_again(&store, &topic).await.remove(0);
    let given_up = Undelivered { reason: GivenUp::NotRetried, at: now, attempts: 2, last: None };
    let back = super::letter(&sent, &given_up);
    assert_eq!(
        (&*back.told.publish_time, back.told.delivery_attempts, back.told.resent_time.clone()),
        ("2026-01-04T09:00:00Z", 32, Some(now.to_string()))
    );
    dead_letters.keep(&shelf(), &back).await.unwrap();
    assert!(files(root.path())[0].contains("/2026/1/4/9/"), "it lies by when it was published");
    let published = Chosen { to: Some("2026-01-05T00:00:00Z".parse().unwrap()), ..Chosen::default() };
    let meanwhile = Chosen { until: Some(now), ..published.clone() };
    assert_eq!(again(meanwhile, now.plus_minutes(1)).await, 0, "whoever is at it does not send it once more");
    assert_eq!(again(published, now.plus_minutes(1)).await, 1);
}

#[tokio::test]
async fn many_dead_letters_are_sent_again_in_parts_that_say_where_to_go_on() {
    let ((root, dead_letters), (store, topic, worker)) = (in_directory(), pushing().await);
    for n in 0..230 {
        dead_letters.keep(&shelf(), &letter(&n.to_string(), "2026-01-04T09:00:00Z")).await.unwrap();
    }
    let folder = root.path().join(shelf().folder()).join("2026/1/4/9");
    fs::write(folder.join("zz.json"), "torn").unwrap();
    let (mut sent, mut unreadable, mut after, mut parts) = (0, Vec::new(), None, 0);
    loop {
        let (stores, at) = ((store.as_ref(), &dead_letters), (after, topic.created));
        let done = replay(stores, &topic, &worker, &Chosen::default(), at).await.unwrap();
        let done = serde_json::to_value(done).unwrap();
        sent += done["replayed"].as_u64().unwrap();
        unreadable.extend(done["unreadable"].as_array().unwrap().clone());
        after = done["after"].as_str().map(str::to_owned);
        parts += 1;
        if done["more"] != true {
            break;
        }
    }
    assert_eq!((sent, parts, unreadable.len(), files(root.path()).len()), (230, 3, 1, 1));
}

#[tokio::test]
async fn who_is_not_pushed_to_is_sent_nothing_and_keeps_its_dead_letters() {
    let ((root, dead_letters), (store, topic, worker)) = (in_directory(), pushing().await);
    dead_letters.keep(&shelf(), &letter("1", "2026-01-04T09:00:00Z")).await.unwrap();
    let again = async |worker: &EventSubscription| {
        let stores = (store.as_ref(), &dead_letters);
        replay(stores, &topic, worker, &Chosen::default(), (None, topic.created)).await.unwrap_err().to_string()
    };
    let pulled = EventSubscription { destination: Destination::Queue(Queue::default()), ..worker.clone() };
    assert!(again(&pulled).await.contains("keeps no dead letters"));
    store.pause_subscription(Arc::new(topic.pushed(&worker).unwrap())).await.unwrap();
    assert!(again(&worker).await.contains("has answered 410"));
    store.remove_event_subscription(EventSubscriptionKey::new(topic.id, "worker")).await.unwrap();
    assert!(again(&worker).await.contains("not pushed to"));
    assert_eq!(files(root.path()).len(), 1);
}

#[test]
fn a_dead_letter_tells_in_event_grids_words_what_became_of_its_event() {
    let at = Timestamp::from_seconds(1_800_000_000);
    let told = |reason, outcome: Option<LastOutcome>| {
        let last = outcome.map(|outcome| LastTry { at, outcome });
        let event = TopicEvent::new(topic().id, at, letter("1", "").event);
        let told = super::letter(&event, &Undelivered { reason, at, attempts: 3, last }).told;
        let status = told.last_http_status_code.map(|status| status.to_string()).unwrap_or_default();
        format!("{} {} {status}", told.dead_letter_reason, told.last_delivery_outcome)
    };
    let statuses = [400, 401, 403, 404, 408, 410, 413, 429, 500, 503, 507].map(LastOutcome::Status);
    let others = [
        LastOutcome::TimedOut,
        LastOutcome::Unreachable,
        LastOutcome::Unresolved,
        LastOutcome::Forbidden,
        LastOutcome::NotSent,
    ];
    let mut lines: Vec<String> =
        statuses.into_iter().chain(others).map(|outcome| told(GivenUp::AttemptsExceeded, Some(outcome))).collect();
    lines.push(told(GivenUp::TimeToLiveExceeded, None));
    lines.extend([GivenUp::NotRetried, GivenUp::Stopped].map(|reason| told(reason, Some(LastOutcome::Status(400)))));
    insta::assert_snapshot!(lines.join("\n"));
}

/// A bucket of the object store that `tests/dead_letters/run.sh` has started.
fn in_bucket(bucket: &str) -> (TempDir, DeadLetters) {
    use std::os::unix::fs::PermissionsExt as _;
    let endpoint = std::env::var("TIDINGS_S3_ENDPOINT").expect("tests/dead_letters/run.sh says where the store is");
    let files = TempDir::new().unwrap();
    let path = files.path().join("credentials");
    fs::write(&path, "tidings:hush").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let config = S3Config {
        endpoint: endpoint.parse().unwrap(),
        bucket: bucket.to_owned(),
        region: "us-east-1".to_owned(),
        credentials_file: path,
        path_style: true,
        ca_files: Vec::new(),
    };
    (files, DeadLetters::new(DeadLettersConfig::S3(Box::new(config)), Clock::new()).unwrap())
}

#[tokio::test]
#[ignore = "needs an object store, which tests/dead_letters/run.sh starts"]
async fn a_bucket_keeps_dead_letters_as_a_directory_does() {
    let (_files, dead_letters) = in_bucket("letters");
    dead_letters.check().await.unwrap();
    let mut kept = letter("00d8a100-2e92-4bfa-86e1-0056dacd0fce", "2026-01-04T09:00:00Z");
    dead_letters.keep(&shelf(), &kept).await.unwrap();
    kept.told.delivery_attempts = 31;
    dead_letters.keep(&shelf(), &kept).await.unwrap();
    let other = letter("odd/../id %?&+", "2026-01-05T09:00:00Z");
    dead_letters.keep(&shelf(), &other).await.unwrap();
    let first = dead_letters.keys(&shelf(), None, 1).await.unwrap();
    let rest = dead_letters.keys(&shelf(), Some(&first[0]), 10).await.unwrap();
    assert_eq!((first.len(), rest.len()), (1, 1));
    assert_eq!(dead_letters.read(&first[0]).await.unwrap(), Some(kept));
    assert_eq!(dead_letters.read(&rest[0]).await.unwrap(), Some(other));
    for key in [&first[0], &rest[0], &first[0]] {
        dead_letters.remove(key).await.unwrap();
        assert_eq!(dead_letters.read(key).await.unwrap(), None);
    }
    assert!(dead_letters.keys(&shelf(), None, 10).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs an object store, which tests/dead_letters/run.sh starts"]
async fn an_object_store_that_refuses_is_an_error_that_says_why() {
    let (_files, dead_letters) = in_bucket("missing");
    let refused = dead_letters.keep(&shelf(), &letter("one", "2026-01-04T09:00:00Z")).await.unwrap_err().to_string();
    assert_eq!(refused, "the object store answers 404 (NoSuchBucket)");
}
