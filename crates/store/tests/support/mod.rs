//! People, mailboxes and messages for the tests of the store. Every id follows from a number.
#![allow(dead_code)] // each test binary uses its part

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use graph::registry::{self, Happened, Ingested, ResourceKind, ThingError};
use graph::{
    AppId, Change, ChangeId, ChangeType, FolderId, Item, ItemId, Kind, Mutation, Partition, Properties, SubscriptionId,
    TenantId, Timestamp, TopicId, UserId, WellKnown,
};
use notify::event_grid_url::EventGridUrl;
use notify::push_policy::PushPolicy;
use notify::subscription::{Target, TlsVersion, Watched};
use notify::topic::{
    Activation, CloudEvent, Destination, Endpoint, EventSubscription, EventSubscriptionFilter, Filter, LockKey,
    Profile, Push, Queue, Tags, Topic, TopicKey, Webhook,
};
use notify::{EndpointId, Health, Parked, ParkedRef, Position, Record, StoredHealth, Stream, Subscription};
use serde_json::json;
use tidings_store::seal::{KEY_BYTES, Key, Keys, Nonce};
use tidings_store::{
    Commit, EventSubscriptionKey, Makers, Namesake, Once, Publish, Store, SubscriptionLimits, Tenant, Upload, User,
};
use uuid::Uuid;

pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x7e));
pub const MEGAN: UserId = UserId(Uuid::from_u128(1));
pub const ADELE: UserId = UserId(Uuid::from_u128(2));
/// A mailbox in Megan's partition.
pub const NEIGHBOUR: UserId = UserId(Uuid::from_u128(0x19));
pub const NOBODY: UserId = UserId(Uuid::from_u128(0xdead));
pub const ROOMY: SubscriptionLimits =
    SubscriptionLimits { per_scope: 1_000, refuse_duplicates: false, makers: Makers { user: false, app: false } };

/// The keys that a store is opened with: the first seals.
pub fn keys(numbers: &[u8]) -> Keys {
    let key = |number: &u8| Key::new(&[*number; KEY_BYTES]);
    Keys::new(key(&numbers[0]), numbers[1..].iter().map(key).collect(), nonce)
}

fn nonce() -> Nonce {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(&LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    nonce
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + second)
}

pub fn user(id: UserId, upn: &str) -> User {
    User::new(id, TENANT, upn, upn)
}

pub fn item_id(number: u128) -> ItemId {
    ItemId::new(Kind::Message, Uuid::from_u128(number))
}

pub fn change_id(number: u128) -> ChangeId {
    ChangeId(Uuid::from_u128(number))
}

pub fn subscription_id(number: u128) -> SubscriptionId {
    SubscriptionId(Uuid::from_u128(number))
}

pub fn endpoint(number: u128) -> EndpointId {
    EndpointId(Uuid::from_u128(number))
}

pub fn slow_until(second: i64) -> StoredHealth {
    StoredHealth { health: Health::Slow, is_closed: false, ends: at(second) }
}

pub fn dropping_until(second: i64) -> StoredHealth {
    StoredHealth { health: Health::Dropping, is_closed: true, ends: at(second) }
}

pub fn inbox(mailbox: UserId) -> FolderId {
    WellKnown::Inbox.id_in(mailbox)
}

/// An unread message, received at second `received`.
pub fn message(mailbox: UserId, number: u128, received: i64) -> Item {
    let mut properties = Properties::new();
    properties.insert("subject".to_owned(), json!(format!("message {number}")));
    properties.insert("isRead".to_owned(), json!(false));
    properties.insert("receivedDateTime".to_owned(), json!(at(received)));
    Item {
        id: item_id(number),
        immutable: item_id(number).uuid,
        mailbox,
        folder: inbox(mailbox),
        created: at(received),
        modified: at(received),
        version: change_id(number << 64),
        properties: properties.into(),
    }
}

pub fn commit_of(mailbox: UserId, mutation: Mutation) -> Commit {
    Commit::of(TENANT, mailbox, mutation)
}

pub fn once(key: &str, now: i64, until: i64) -> Once {
    Once { key: key.to_owned(), now: at(now), until: at(until) }
}

/// A new message.
pub fn create(item: &Item) -> Commit {
    let mutation = Mutation {
        expect: vec![(item.id, None)],
        puts: vec![item.clone()],
        changes: vec![Change::created(TENANT, item, item.created)],
        ..Mutation::default()
    };
    commit_of(item.mailbox, mutation)
}

/// `old` becomes `new`.
pub fn update(old: &Item, new: &Item) -> Commit {
    let mutation = Mutation {
        expect: vec![(old.id, Some(old.version))],
        puts: vec![new.clone()],
        changes: vec![Change::updated(TENANT, old, new, new.modified)],
        ..Mutation::default()
    };
    commit_of(old.mailbox, mutation)
}

pub fn delete(item: &Item) -> Commit {
    let id = change_id(item.version.0.as_u128() + 1);
    let mutation = Mutation {
        expect: vec![(item.id, Some(item.version))],
        removes: vec![item.id],
        changes: vec![Change::deleted(TENANT, item, id, item.modified)],
        ..Mutation::default()
    };
    commit_of(item.mailbox, mutation)
}

/// The item with another version and a property more.
pub fn edited(item: &Item, property: &str, value: serde_json::Value) -> Item {
    let mut item = item.clone();
    item.version = change_id(item.version.0.as_u128() + 1);
    item.properties.insert(property.to_owned(), value);
    item
}

/// An app's subscription to new messages in a mailbox.
pub fn subscription(number: u128, mailbox: UserId) -> Subscription {
    Subscription {
        id: subscription_id(number),
        tenant: TENANT,
        app: AppId(Uuid::from_u128(0xa)),
        creator: mailbox,
        resource: "me/messages".to_owned(),
        target: Target::Items { mailbox, kind: Kind::Message, folder: None },
        change_types: [ChangeType::Created].into_iter().collect(),
        change_type: "created".to_owned(),
        notification_url: "https://receiver.test/hook".to_owned(),
        lifecycle_url: None,
        client_state: Some("secret".to_owned()),
        tls_version: TlsVersion::V1_2,
        extras: None,
        immutable_ids: false,
        expires: at(3_600),
        expires_tenths: 0,
        authorized: at(0),
        created: at(0),
    }
}

/// An app's subscription to the users of the tenant, or to its groups.
pub fn subscription_to(number: u128, resource: ResourceKind) -> Subscription {
    let place = if resource == ResourceKind::Group { "groups" } else { "users" };
    let watched = Watched { resource, owner: None, places: vec![place.to_owned()] };
    let target = Target::Resource(Box::new(watched));
    Subscription { resource: place.to_owned(), target, ..subscription(number, MEGAN) }
}

/// A change of what lies at a path.
pub fn ingested(number: u128, path: &str) -> Ingested {
    Ingested {
        id: change_id(number),
        tenant: TENANT,
        thing: registry::thing(path, |_| Ok::<_, ThingError>(MEGAN)).unwrap(),
        happened: Happened::Updated,
        at: at(0),
        before: None,
        after: json!({ "displayName": format!("name {number}") }).as_object().cloned(),
    }
}

/// An upload of nine bytes for Megan's message 1, of which none has come.
pub fn upload(number: u128, expires: i64) -> Upload {
    Upload {
        id: Uuid::from_u128(number),
        mailbox: MEGAN,
        item: message(MEGAN, 1, 1).immutable_id(),
        properties: Properties::from_iter([("name".to_owned(), json!("large.bin"))]),
        size: 9,
        received: 0,
        expires: at(expires),
    }
}

/// A topic that Megan's partition has if it is number 1, activated, known to no app.
pub fn topic(number: u128) -> Topic {
    Topic {
        id: TopicId(Uuid::from_u128(number)),
        tenant: TENANT,
        place: EventGridUrl {
            azure_subscription: Uuid::from_u128(0xaa),
            resource_group: "Group".to_owned(),
            partner_topic: format!("Topic-{number}"),
            location: "westeurope".to_owned(),
        },
        apps: [].into(),
        profile: Profile::default(),
        activation: Activation::Activated,
        created: at(0),
        description: String::new(),
        tags: Tags::new(),
        keys: ["one", "two"].map(|key| TopicKey(key.to_owned())),
        subscribed_until: None,
    }
}

/// The topic as an app opens it that has subscribed into it for so many seconds.
pub fn opened_by(app: u128, until: i64, topic: Topic) -> Arc<Topic> {
    Arc::new(Topic { apps: [AppId(Uuid::from_u128(app))].into(), subscribed_until: Some(at(until)), ..topic })
}

pub fn event(number: u128) -> CloudEvent {
    let kind = if number.is_multiple_of(2) { "even" } else { "odd" };
    let event = json!({ "specversion": "1.0", "id": format!("{number}"), "source": "/tests", "type": kind });
    CloudEvent::from_json(event.to_string().as_bytes()).unwrap()
}

/// A queue of a topic that wants all events.
pub fn queue_of(topic: &Topic, name: &str) -> EventSubscription {
    EventSubscription {
        id: None,
        topic: topic.id,
        name: name.to_owned(),
        filter: Filter::try_from(EventSubscriptionFilter::default()).unwrap(),
        destination: Destination::Queue(Queue::default()),
        labels: Vec::new(),
        expires: None,
        created: at(0),
        lock_key: LockKey([name.len() as u8; 32]),
    }
}

/// The same with its events pushed to a path of a receiver, by a subscription of this number.
pub fn pushed_to(topic: &Topic, name: &str, path: &str, number: u128) -> EventSubscription {
    let webhook = Webhook::to(format!("https://receiver.test{path}"));
    let push = Push { to: Endpoint::Webhook(webhook), policy: PushPolicy::default(), dead_letters: None };
    let destination = Destination::Push(Box::new(push));
    EventSubscription { id: Some(subscription_id(number)), destination, ..queue_of(topic, name) }
}

/// What has the name of an event subscription.
pub async fn namesake(store: &dyn Store, of: &EventSubscription) -> Namesake {
    let found = store.event_subscription(EventSubscriptionKey::new(of.topic, &of.name)).await.unwrap();
    found.map_or(Namesake::None, |(found, _)| Namesake::Standing(found))
}

/// A parked row of these deliveries.
pub fn parked_row(stream: Stream, refs: Vec<ParkedRef>) -> Parked {
    let (attempts, due, since, batch_max) = (1, at(10), at(1), 10);
    Parked { stream, refs, attempts, due, since, batch_max, pushed: None, bytes: 700 }
}

/// What a store has published.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<HeardRecord>>>);

type HeardRecord = (Partition, Position, Arc<Record>);

impl Heard {
    pub fn publish(&self) -> Publish {
        let heard = Arc::clone(&self.0);
        Arc::new(move |partition, records| {
            let mut heard = heard.lock().unwrap();
            heard.extend(records.into_iter().map(|(position, record)| (partition, position, record)));
        })
    }

    /// What was published of a partition, in the order in which it was heard.
    pub fn of(&self, partition: Partition) -> Vec<(Position, Arc<Record>)> {
        let heard = self.0.lock().unwrap();
        let here = heard.iter().filter(|(of, ..)| *of == partition);
        here.map(|(_, position, record)| (*position, Arc::clone(record))).collect()
    }
}

/// Adds the tenant, Megan, Adele and the neighbour.
pub async fn settle(store: &dyn Store) {
    assert_eq!(Partition::of(MEGAN), Partition::of(NEIGHBOUR));
    store.add_tenant(Tenant { id: TENANT, domain: "contoso.test".to_owned() }).await.unwrap();
    store.add_user(user(MEGAN, "Megan@contoso.test")).await.unwrap();
    store.add_user(user(ADELE, "adele@contoso.test")).await.unwrap();
    store.add_user(user(NEIGHBOUR, "neighbour@contoso.test")).await.unwrap();
}
