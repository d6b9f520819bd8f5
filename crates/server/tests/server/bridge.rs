//! Events bridged into a private NATS server.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, Stream};
use graph::{SubscriptionId, TopicId};
use notify::Topic;
use notify::event_grid_url::EventGridUrl;
use notify::node::Outcome;
use notify::push_policy::PushPolicy;
use notify::topic::{
    Activation, CloudEvent, DeadLetterDestination, Destination, Endpoint, EventSubscription, EventSubscriptionFilter,
    Filter, NatsJetStream, Profile, Push, Tags,
};
use protocol::cloud_event::{Attributes, Data, Json};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use store::Namesake;
use tempfile::TempDir;
use tidings_server::bench::nats::NatsServer;
use tidings_server::bridge::{Bridge, Bridged, NatsConfig, NatsCredentials, StreamLimits};
use tidings_server::dead_letters::{Chosen, DeadLettersConfig, replay, shelf};
use tidings_server::server::{Running, Settings, start};
use tidings_server::sinks::SinksConfig;
use tidings_server::{ids, seed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::delivery::{asked_of_admin, settings};
use crate::nats;

const LIMIT: Duration = Duration::from_secs(10);
const ID: &str = "00d8a100-2e92-4bfa-86e1-0056dacd0fce";
const UNAVAILABLE: Outcome = Outcome::Refused { status: 503, retry_after: None };

/// A server of its own, which ends with the test.
struct Nats(NatsServer);

impl Nats {
    async fn start(options: &[&str]) -> Self {
        let options: Vec<OsString> = options.iter().map(OsString::from).collect();
        Self(NatsServer::start(nats::program(), &options).await.unwrap())
    }

    async fn run(&mut self) {
        self.0.run().await.unwrap();
    }

    fn stop(&mut self) {
        self.0.stop();
    }

    fn config(&self) -> NatsConfig {
        NatsConfig { stream: StreamLimits { bytes_max: 8 << 20, days: 2, replicas: 1 }, ..self.0.config().unwrap() }
    }

    fn bridge(&self) -> Bridge {
        Bridge::new(self.config()).unwrap()
    }

    async fn client(&self) -> Context {
        self.0.jet_stream().await.unwrap()
    }

    async fn stream(&self) -> Stream {
        self.client().await.get_stream("graph").await.unwrap()
    }
}

fn to() -> NatsJetStream {
    to_subject("graph.{tenant}.users.{user}.{kind}.{change}")
}

fn to_subject(subject: &str) -> NatsJetStream {
    NatsJetStream { stream: "graph".to_owned(), subject: subject.to_owned() }
}

const SOURCE: &str = "/tenants/84bd8158-6d4d-4958-8b9f-9d6445542f95/applications/925bff9f-f6e2-4a69-b858-f71ea2b9b6d0";

fn event(id: &str, source: &str, data: Data) -> CloudEvent {
    let attributes = Attributes {
        id: id.to_owned(),
        source: source.to_owned(),
        event_type: "Microsoft.Graph.MessageCreated".to_owned(),
        subject: Some("Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMk grün=".to_owned()),
        data_content_type: matches!(data, Data::Json(_)).then(|| "application/json".to_owned()),
        ..Attributes::default()
    };
    CloudEvent::new(attributes, Some(data)).unwrap()
}

fn small(id: &str) -> CloudEvent {
    event(id, SOURCE, Data::Json(Json::parse(br#"{"a":1}"#).unwrap()))
}

/// Looks until something holds that nobody tells of.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let looks = async {
        while !holds().await {
            look.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looks).await.expect(what);
}

async fn publish(bridge: &Bridge, events: &[CloudEvent]) -> Bridged {
    bridge.publish(&to(), seed::TENANT, &events.iter().collect::<Vec<_>>(), LIMIT).await
}

async fn acknowledged(bridge: &Bridge, events: &[CloudEvent]) {
    assert_eq!(
        publish(bridge, events).await,
        Bridged { outcome: Outcome::Acknowledged, cause: None, too_large: vec![] }
    );
}

#[tokio::test]
async fn an_event_arrives_in_binary_mode_in_a_stream_that_was_missing() {
    let nats = Nats::start(&[]).await;
    let sent = small(ID);
    acknowledged(&nats.bridge(), std::slice::from_ref(&sent)).await;
    let stream = nats.stream().await;
    let config = &stream.cached_info().config;
    assert_eq!(config.duplicate_window, Duration::from_secs(24 * 3_600));
    assert_eq!((config.subjects.join(" "), config.max_bytes), (format!("graph.{}.users.*.*.*", seed::TENANT), 8 << 20));
    let message = stream.get_raw_message(1).await.unwrap();
    let subject = format!("graph.{}.users.622eaaff-0683-4862-9de4-f2ec83c2bd98.messages.created", seed::TENANT);
    assert_eq!(message.subject.as_str(), subject);
    let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header("Nats-Msg-Id").as_deref(), Some(ID));
    assert_eq!(header("ce-datacontenttype").as_deref(), Some("application/json"));
    assert_eq!(nats::event(&message), sent);
}

#[tokio::test]
async fn an_event_that_is_published_again_stands_in_the_stream_once() {
    let nats = Nats::start(&[]).await;
    let null = || Data::Json(Json::parse(b"null").unwrap());
    let events = [small(ID), event("1", "/s", null()), event("1", "/other", null())];
    let bridge = nats.bridge();
    acknowledged(&bridge, &events).await;
    acknowledged(&bridge, &events).await;
    acknowledged(&nats.bridge(), &events).await;
    assert_eq!(nats::events(&nats.stream().await).await, events);
}

#[tokio::test]
async fn more_events_than_may_be_unacknowledged_are_published_all_the_same() {
    let nats = Nats::start(&[]).await;
    let events: Vec<CloudEvent> = (0..2_500).map(|n| small(&n.to_string())).collect();
    acknowledged(&nats.bridge(), &events).await;
    assert_eq!(nats.stream().await.cached_info().state.messages, 2_500);
}

#[tokio::test]
async fn bridge_that_is_down_fails_attempts_and_loses_and_doubles_nothing() {
    let mut nats = Nats::start(&[]).await;
    let bridge = nats.bridge();
    acknowledged(&bridge, &[small("1")]).await;
    nats.stop();
    let soon = Duration::from_millis(500);
    let meanwhile = bridge.publish(&to(), seed::TENANT, &[&small("1"), &small("2")], soon).await.outcome;
    assert!(meanwhile == UNAVAILABLE || meanwhile == Outcome::TimedOut, "{meanwhile:?}");
    let cause = publish(&bridge, &[small("2")]).await;
    assert_eq!(cause.outcome, UNAVAILABLE);
    assert!(cause.cause.unwrap().contains("connection to the NATS server"));
    nats.run().await;
    let taken = async || publish(&bridge, &[small("1"), small("2")]).await.outcome == Outcome::Acknowledged;
    until("both are taken", taken).await;
    assert_eq!(nats.stream().await.cached_info().state.messages, 2);
}

#[tokio::test]
async fn a_server_that_was_away_from_the_start_is_used_when_it_is_there() {
    let mut nats = Nats::start(&[]).await;
    nats.stop();
    let bridge = nats.bridge();
    assert_eq!(publish(&bridge, &[small("1")]).await.outcome, UNAVAILABLE);
    nats.run().await;
    acknowledged(&bridge, &[small("1")]).await;
}

#[tokio::test]
async fn wrong_credentials_are_said_and_right_ones_let_in() {
    let nats = Nats::start(&["--user", "tidings", "--pass", "hush"]).await;
    let files = TempDir::new().unwrap();
    let with = |line: &str| {
        let path = files.path().join("user");
        std::fs::write(&path, line).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Bridge::new(NatsConfig { credentials: NatsCredentials::User(path), ..nats.config() })
    };
    for bridge in [nats.bridge(), with("tidings:wrong\n").unwrap()] {
        let refused = publish(&bridge, &[small("1")]).await;
        assert_eq!(refused.outcome, UNAVAILABLE);
        let cause = refused.cause.unwrap();
        assert!(cause.contains("refuses these credentials") && !cause.contains("wrong"), "{cause}");
        assert!(bridge.connects().await.is_err());
    }
    let bridge = with("tidings:hush\n").unwrap();
    bridge.connects().await.unwrap();
    acknowledged(&bridge, &[small("1")]).await;
    let refusal = with("tidings hush").unwrap_err().to_string();
    assert!(refusal.contains("USER:PASSWORD") && !refusal.contains("hush"), "{refusal}");
}

#[tokio::test]
async fn an_event_larger_than_the_server_takes_is_refused_alone() {
    let nats = Nats::start(&[]).await;
    let large = event("1", "/s", Data::Binary(vec![0; 1 << 20]));
    let published = publish(&nats.bridge(), &[large, small("2")]).await;
    assert_eq!((published.outcome, published.too_large), (Outcome::Acknowledged, vec![0]));
    assert!(published.cause.unwrap().contains("max_payload"));
    assert_eq!(nats.stream().await.cached_info().state.messages, 1, "the other one is there");
}

#[tokio::test]
async fn a_stream_of_the_operator_is_used_as_it_is() {
    let nats = Nats::start(&[]).await;
    let config = |subject: &str| Config {
        name: "graph".to_owned(),
        subjects: vec![subject.to_owned()],
        duplicate_window: Duration::from_secs(60),
        ..Config::default()
    };
    let client = nats.client().await;
    client.create_stream(config("graph.other.>")).await.unwrap();
    let bridge = nats.bridge();
    let refused = publish(&bridge, &[small("1")]).await;
    assert_eq!(refused.outcome, UNAVAILABLE);
    assert!(refused.cause.unwrap().contains("does not take the subjects graph."));
    client.update_stream(config("graph.>")).await.unwrap();
    acknowledged(&bridge, &[small("1")]).await;
    let found = nats.stream().await.cached_info().config.clone();
    assert_eq!((found.subjects.join(" "), found.duplicate_window), ("graph.>".to_owned(), Duration::from_secs(60)));
}

#[tokio::test]
async fn a_stream_that_was_made_here_takes_the_subjects_of_another_event_subscription_too() {
    let nats = Nats::start(&[]).await;
    let bridge = nats.bridge();
    acknowledged(&bridge, &[small("1")]).await;
    let other = to_subject("graph.{tenant}.all");
    let published = bridge.publish(&other, seed::TENANT, &[&small("2")], LIMIT).await;
    assert_eq!(published.outcome, Outcome::Acknowledged, "{:?}", published.cause);
    let stream = nats.stream().await;
    assert_eq!(
        stream.cached_info().config.subjects,
        [format!("graph.{}.users.*.*.*", seed::TENANT), format!("graph.{}.all", seed::TENANT)]
    );
    assert_eq!(stream.cached_info().state.messages, 2);
}

#[tokio::test]
async fn a_stream_that_is_gone_is_made_again() {
    let nats = Nats::start(&[]).await;
    let bridge = nats.bridge();
    acknowledged(&bridge, &[small("1")]).await;
    nats.client().await.delete_stream("graph").await.unwrap();
    assert_eq!(publish(&bridge, &[small("1")]).await.outcome, UNAVAILABLE);
    acknowledged(&bridge, &[small("1")]).await;
}

/// A topic on a running server, with an event subscription that leads into the stream.
async fn bridged(server: &Running, policy: PushPolicy) -> Topic {
    let (store, now) = (&server.state.store, server.state.clock.wall());
    let url = "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e&resourcegroup=rg\
               &partnertopic=mail-events&location=westeurope";
    let topic = Topic {
        id: TopicId(ids::new_uuid()),
        tenant: seed::TENANT,
        place: EventGridUrl::parse(url).unwrap(),
        apps: [].into(),
        profile: Profile::default(),
        activation: Activation::Activated,
        created: now,
        description: String::new(),
        tags: Tags::new(),
        keys: [ids::new_topic_key(), ids::new_topic_key()],
        subscribed_until: None,
    };
    store.open_topic(Arc::new(topic.clone()), 1, now).await.unwrap();
    let event_subscription = EventSubscription {
        id: Some(SubscriptionId(ids::new_uuid())),
        topic: topic.id,
        name: "worker".to_owned(),
        filter: Filter::try_from(EventSubscriptionFilter::default()).unwrap(),
        destination: Destination::Push(Box::new(Push {
            to: Endpoint::NatsJetStream(to()),
            policy,
            dead_letters: Some(DeadLetterDestination {
                resource_id: "any".to_owned(),
                container: "letters".to_owned(),
            }),
        })),
        labels: Vec::new(),
        expires: None,
        created: now,
        lock_key: ids::new_lock_key(),
    };
    store.put_event_subscription(Namesake::None, Arc::new(event_subscription), 1).await.unwrap();
    topic
}

#[tokio::test]
async fn what_is_published_into_a_topic_is_bridged_or_kept_as_a_dead_letter_and_sent_again() {
    let (mut nats, letters) = (Nats::start(&[]).await, TempDir::new().unwrap());
    let dead_letters = Some(DeadLettersConfig::Directory(letters.path().to_owned()));
    let sinks = SinksConfig { nats: Some(nats.config()), dead_letters };
    let server = start(Settings { sinks, ..settings() }).await.unwrap();
    let topic = bridged(&server, PushPolicy::new(1, 60).unwrap()).await;
    let (store, clock) = (&server.state.store, &server.state.clock);
    store.publish(topic.id, vec![small("1")], clock.wall()).await.unwrap();
    let messages = async || match nats.client().await.get_stream("graph").await {
        Ok(stream) => stream.cached_info().state.messages,
        Err(_) => 0,
    };
    until("it is bridged", async || messages().await == 1).await;
    nats.stop();
    let event_subscription = store.event_subscriptions(topic.id).await.unwrap().remove(0);
    let (shelf, kept) = (shelf(&topic, &event_subscription).unwrap(), server.state.sinks.dead_letters.clone().unwrap());
    store.publish(topic.id, vec![small("2")], clock.wall()).await.unwrap();
    until("it is a dead letter", async || !kept.keys(&shelf, None, 10).await.unwrap().is_empty()).await;
    let key = kept.keys(&shelf, None, 10).await.unwrap().remove(0);
    let told = kept.read(&key).await.unwrap().unwrap();
    assert_eq!((told.event, told.told.dead_letter_reason.as_str()), (small("2"), "MaxDeliveryAttemptsExceeded"));
    nats.run().await;
    let bridge = server.state.sinks.bridge.as_ref().unwrap();
    until("the connection is there again", async || bridge.connects().await.is_ok()).await;
    let at = (None, clock.wall());
    let stores = (store.as_ref(), kept.as_ref());
    replay(stores, &topic, &event_subscription, &Chosen::default(), at).await.unwrap();
    let messages = async || nats.stream().await.cached_info().state.messages;
    until("it is bridged, too", async || messages().await == 2).await;
    assert!(kept.keys(&shelf, None, 10).await.unwrap().is_empty());
    server.drain().await;
}

#[tokio::test]
async fn a_bridge_that_is_down_for_an_hour_loses_and_doubles_nothing() {
    let mut nats = Nats::start(&[]).await;
    let sinks = SinksConfig { nats: Some(nats.config()), dead_letters: None };
    let server = start(Settings { sinks, ..settings() }).await.unwrap();
    let topic = bridged(&server, PushPolicy::default()).await;
    let (store, clock) = (&server.state.store, &server.state.clock);
    let bridge = server.state.sinks.bridge.as_ref().unwrap();
    store.publish(topic.id, vec![small("1")], clock.wall()).await.unwrap();
    advance(&server, "0s").await;
    nats.stop();
    until("the connection is gone", async || bridge.connects().await.is_err()).await;
    store.publish(topic.id, vec![small("2"), small("3")], clock.wall()).await.unwrap();
    advance(&server, "PT1H").await;
    let of = store.event_subscriptions(topic.id).await.unwrap().remove(0).id.unwrap();
    let ledger = store.ledger(of).await.unwrap();
    assert_eq!((ledger.matched, ledger.delivered, ledger.parked), (3, 1, 2), "{ledger:?}");
    nats.run().await;
    until("the connection is there again", async || bridge.connects().await.is_ok()).await;
    advance(&server, "PT2H").await;
    let ledger = store.ledger(of).await.unwrap();
    assert_eq!((ledger.matched, ledger.delivered, ledger.parked), (3, 3, 0), "{ledger:?}");
    let mut bridged = nats::events(&nats.stream().await).await;
    bridged.sort_by(|one, other| one.attributes().id.cmp(&other.attributes().id));
    assert_eq!(bridged, [small("1"), small("2"), small("3")]);
    server.drain().await;
}

/// Moves the clock, and lets everything happen that is due meanwhile.
async fn advance(server: &Running, by: &str) {
    let mut ask = json!({"by": by});
    loop {
        let (status, moved) = asked_of_admin(server, "POST", "/admin/clock/advance", ask).await;
        assert_eq!(status, 200, "{moved}");
        if moved["arrived"] == true {
            return;
        }
        ask = json!({"to": moved["to"]});
    }
}

/// A root of a test's own, and what a server shows that is at 127.0.0.1.
struct Root {
    directory: TempDir,
}

impl Root {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        let root_of = Self { directory: TempDir::new().unwrap() };
        for (name, pem) in [("root.pem", root.pem()), ("leaf.pem", leaf.pem()), ("key.pem", key.serialize_pem())] {
            std::fs::write(root_of.file(name), pem).unwrap();
        }
        root_of
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

#[tokio::test]
async fn a_server_is_bridged_to_over_tls_if_its_certificate_leads_to_a_root_that_is_named() {
    let (root, other) = (Root::new(), Root::new());
    let [leaf, key] = ["leaf.pem", "key.pem"].map(|name| root.file(name).to_str().unwrap().to_owned());
    let nats = Nats::start(&["--tls", "--tlscert", &leaf, "--tlskey", &key]).await;
    let tls = nats.config().url.replace("nats:", "tls:");
    let with =
        |url: &str, ca_files| Bridge::new(NatsConfig { url: url.to_owned(), ca_files, ..nats.config() }).unwrap();
    // The server asks for TLS, so it is spoken whatever the URL says.
    for url in [&tls, &nats.config().url] {
        let bridge = with(url, vec![root.file("root.pem")]);
        bridge.connects().await.unwrap();
        acknowledged(&bridge, &[small("1")]).await;
        for ca_files in [vec![], vec![other.file("root.pem")]] {
            let refused = publish(&with(url, ca_files), &[small("2")]).await;
            assert_eq!(refused.outcome, UNAVAILABLE);
            assert!(refused.cause.unwrap().contains("certificate"));
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked() {
    let nats = Nats::start(&[]).await;
    let bridge = Bridge::new(NatsConfig { url: nats.config().url.replace("nats:", "tls:"), ..nats.config() }).unwrap();
    assert_eq!(publish(&bridge, &[small("1")]).await.outcome, UNAVAILABLE);
    assert!(bridge.connects().await.is_err());
    acknowledged(&nats.bridge(), &[small("2")]).await;
    assert_eq!(nats::events(&nats.stream().await).await, [small("2")]);
}

/// The versions that a ClientHello offers in its extension for them, which all have who speak TLS 1.3.
fn offered(hello: &[u8]) -> Vec<u16> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    // Its kind and length, a version, and the random value.
    let mut rest = &hello[4 + 2 + 32..];
    // The session, the suites and the compressions, each after its length.
    for width in [1, 2, 1] {
        rest = &rest[width + number(&rest[..width])..];
    }
    rest = &rest[2..];
    while !rest.is_empty() {
        let (kind, length) = (number(&rest[..2]), number(&rest[2..4]));
        if kind == 43 {
            return rest[5..4 + length].chunks(2).map(|version| number(version) as u16).collect();
        }
        rest = &rest[4 + length..];
    }
    Vec::new()
}

#[tokio::test]
async fn no_tls_older_than_1_2_is_offered_to_a_nats_server_and_nothing_sent_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tls://{}", listener.local_addr().unwrap());
    let nats = Nats::start(&[]).await;
    let bridge = Bridge::new(NatsConfig { url, ..nats.config() }).unwrap();
    let hello = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"INFO {\"max_payload\":1048576}\r\n").await.unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head[0], 22, "the first that it sends is a handshake of TLS");
        let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut hello).await.unwrap();
        hello
    };
    let (connected, hello) = tokio::join!(bridge.connects(), hello);
    assert!(connected.is_err());
    assert_eq!(offered(&hello), [0x0304, 0x0303], "1.3 and 1.2");
}
