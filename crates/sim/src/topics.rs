//! A topic whose events are pushed, in some worlds: who publishes into it, makes, changes and ends event subscriptions of
//! it, and what their receivers and the store of dead letters answer.
//!
//! What is drawn for it comes from a stream of its own, so that everything else in a world goes on as if there were none.

use std::sync::Arc;

use graph::{AppId, Partition, SubscriptionId, TopicId};
use notify::event_grid_url::EventGridUrl;
use notify::log::EndReason;
use notify::node::{Outcome, Purpose};
use notify::push_policy::PushPolicy;
use notify::retry::RetryAfter;
use notify::topic::{
    Activation, Batching, CloudEvent, DeadLetterDestination, Destination, Endpoint, EventSubscription,
    EventSubscriptionFilter, Filter, LockKey, NatsJetStream, Profile, Push, Tags, Webhook,
};
use notify::{Event, Position, Record, Subscription, Topic};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use store::{Makers, SubscriptionLimits};
use uuid::Uuid;

use crate::catalogue::Fault;
use crate::network::Flight;
use crate::storage::{TENANT, date};
use crate::world::{Happening, World};

const SECOND: u64 = 1_000_000;
const LIMITS: SubscriptionLimits =
    SubscriptionLimits { per_scope: 1_000, refuse_duplicates: false, makers: Makers { user: false, app: false } };
/// Where events go but to URLs: these have receivers, too.
pub const ELSEWHERE: [&str; 2] = ["nats:EVENTS", "dead-letters:dead"];

/// A filter of event subscriptions, and what it says.
type EventFilter = (fn() -> EventSubscriptionFilter, fn(&str, &str) -> bool);

/// The filters that event subscriptions have, and what each says of a subject and of the data's text.
pub const EVENT_FILTERS: [EventFilter; 3] = [
    (EventSubscriptionFilter::default, |_, _| true),
    (
        || EventSubscriptionFilter { subject_begins_with: Some("a/".to_owned()), ..<_>::default() },
        |subject, _| subject.starts_with("a/"),
    ),
    (
        || {
            serde_json::from_str(
                r#"{"advancedFilters":[{"operatorType":"StringIn","key":"data.kind","values":["x","z"]}]}"#,
            )
            .expect("a filter")
        },
        |_, data| data.contains(r#""kind":"x""#),
    ),
];

/// The topic of a world, and what its users know of it.
pub struct Topics {
    rng: StdRng,
    pub id: TopicId,
    partition: Partition,
    live: Vec<SubscriptionId>,
    most: usize,
    published: u64,
    /// How often what is sent there is answered with one of all statuses, and dead letters are not kept; in percent.
    refuses: u32,
    fails: u32,
}

/// The topic that a world of this seed has, if any.
pub fn topic_of(seed: u64) -> Option<TopicId> {
    let mut rng = rng(seed);
    rng.random_bool(0.3).then(|| TopicId(uuid(&mut rng)))
}

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed ^ 0x5eed_0f10_6500_0003)
}

fn uuid(rng: &mut StdRng) -> Uuid {
    Uuid::from_u128(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
}

impl World {
    /// Has the world use its topic, if it has one.
    pub fn use_topic(&mut self, seed: u64) {
        let Some(id) = self.plan.topic else { return };
        let mut rng = rng(seed.wrapping_add(1));
        let place = EventGridUrl {
            azure_subscription: Uuid::from_u128(1),
            resource_group: "rg".to_owned(),
            partner_topic: "events".to_owned(),
            location: "westeurope".to_owned(),
        };
        let keys = ["one", "two"].map(|key| notify::topic::TopicKey(key.to_owned()));
        let topic = Topic {
            id,
            tenant: TENANT,
            place,
            apps: [AppId(Uuid::from_u128(0xa99))].into(),
            profile: Profile::Documented,
            activation: Activation::Activated,
            created: date(0),
            description: String::new(),
            tags: Tags::new(),
            keys,
            subscribed_until: None,
        };
        self.storage.model.open_topic(Arc::new(topic), 10, date(0)).ok();
        for _ in 0..rng.random_range(10..=80) {
            let at = rng.random_range(0..self.plan.quiet_micros);
            self.agenda.add(at, Happening::UseTopic);
        }
        let (refuses, fails) =
            (*[0, 10, 50, 90].choose(&mut rng).unwrap_or(&0), *[0, 30, 90].choose(&mut rng).unwrap_or(&0));
        let (most, partition) = (rng.random_range(1..=4), Partition::of(id));
        self.topics = Some(Topics { rng, id, partition, live: Vec::new(), most, published: 0, refuses, fails });
    }

    /// Does one thing with the topic.
    pub fn act_on_topic(&mut self) {
        let Some(topics) = &mut self.topics else { return };
        if topics.live.len() < topics.most && topics.rng.random_bool(0.4) {
            return self.subscribe_to_topic();
        }
        match topics.rng.random_range(0..100) {
            0..74 => self.publish_events(),
            74..88 => self.patch_event_subscription(),
            88..91 => self.end_event_subscription(),
            91..95 => self.replay_event(),
            _ => self.forget_events(),
        }
    }

    fn publish_events(&mut self) {
        let Some(topics) = &mut self.topics else { return };
        let count = if topics.rng.random_bool(0.2) { topics.rng.random_range(2..=20) } else { 1 };
        let mut events = Vec::new();
        for _ in 0..count {
            topics.published += 1;
            let (n, subject) = (topics.published, *["a/1", "b/1"].choose(&mut topics.rng).unwrap_or(&"a/1"));
            let kind = ["x", "y"].choose(&mut topics.rng).copied().unwrap_or("x");
            let json = format!(
                r#"{{"specversion":"1.0","id":"{n}","source":"/s","type":"t","subject":"{subject}","data":{{"kind":"{kind}"}}}}"#
            );
            events.extend(CloudEvent::from_json(json.as_bytes()));
        }
        self.storage.model.publish(topics.id, events, date(self.at)).ok();
        self.appended();
    }

    fn subscribe_to_topic(&mut self) {
        let Some(topics) = &mut self.topics else { return };
        let id = SubscriptionId(uuid(&mut topics.rng));
        let soon = topics.rng.random_bool(0.2).then(|| date(self.at + topics.rng.random_range(5..100) * SECOND));
        let filter = topics.a_filter();
        let kept = DeadLetterDestination { resource_id: String::new(), container: "dead".to_owned() };
        let dead_letters = topics.rng.random_bool(0.6).then_some(kept);
        let to = topics.a_destination(&self.plan.urls);
        let policy = topics.a_policy();
        let event_subscription = EventSubscription {
            id: Some(id),
            topic: topics.id,
            name: format!("es{}", topics.published),
            filter,
            destination: Destination::Push(Box::new(Push { to, policy, dead_letters })),
            labels: Vec::new(),
            expires: soon,
            created: date(self.at),
            lock_key: LockKey([7; 32]),
        };
        topics.live.push(id);
        let Some(subscription) = self.pushed(&event_subscription) else { return };
        self.storage.model.begin_subscription(Arc::new(subscription), LIMITS).ok();
        self.appended();
    }

    /// What an event subscription is to the nodes.
    fn pushed(&self, event_subscription: &EventSubscription) -> Option<Subscription> {
        let topic = self.storage.model.topic(event_subscription.topic).ok()??;
        topic.pushed(event_subscription)
    }

    fn an_event_subscription(&mut self) -> Option<(Arc<Subscription>, EventSubscription)> {
        let topics = self.topics.as_mut()?;
        let id = topics.live.choose(&mut topics.rng).copied()?;
        let found = self.storage.model.subscription(id).ok().flatten();
        if found.is_none() {
            topics.live.retain(|live| *live != id);
        }
        let subscription = found?;
        let notify::subscription::Target::Topic(pushed) = &subscription.target else { return None };
        let pushed = EventSubscription::clone(pushed);
        Some((subscription, pushed))
    }

    fn patch_event_subscription(&mut self) {
        let Some((before, mut pushed)) = self.an_event_subscription() else { return };
        let Some(topics) = &mut self.topics else { return };
        let (filter, to, policy) = (topics.a_filter(), topics.a_destination(&self.plan.urls), topics.a_policy());
        let changes = [0.5, 0.5, 0.3, 0.2].map(|share| topics.rng.random_bool(share));
        let soon = date(self.at + topics.rng.random_range(5..100) * SECOND);
        let Destination::Push(push) = &mut pushed.destination else { return };
        if changes[0] {
            pushed.filter = filter;
        }
        if changes[1] {
            push.to = to;
        }
        if changes[2] {
            push.policy = policy;
        }
        if changes[3] {
            pushed.expires = Some(soon);
        }
        let partition = topics.partition;
        let next = self.storage.model.progress(partition).2.next();
        let Some(after) = self.pushed(&pushed) else { return };
        let after = after.in_place_of(&before, next);
        let filter_changed = after.extras != before.extras;
        if self.storage.model.patch_subscription(before, Arc::new(after)).is_ok() && filter_changed {
            self.strike(Fault::FilterPatched);
        }
        self.appended();
    }

    fn end_event_subscription(&mut self) {
        let Some((before, _)) = self.an_event_subscription() else { return };
        let ended = self.storage.model.end_subscription(before.id, EndReason::Deleted, None);
        self.appended();
        let (Ok(ended), Some(topics)) = (ended, &mut self.topics) else { return };
        topics.live.retain(|live| *live != before.id);
        let event =
            Event::EndCommitted { partition: topics.partition, subscription: before.id, position: ended.position };
        let life = self.processes[topics.rng.random_range(0..2)].life;
        self.agenda.add(self.at + 1_000, Happening::Deliver(life, Box::new(event.into())));
    }

    /// An operator has an event pushed again to one event subscription, as from a dead letter.
    fn replay_event(&mut self) {
        let Some((before, _)) = self.an_event_subscription() else { return };
        let Some(topics) = &mut self.topics else { return };
        let heard = self.watch.truth.span(before.id).map(|span| span.matches.keys().copied().collect::<Vec<_>>());
        let position = heard.unwrap_or_default().choose(&mut topics.rng).copied();
        let Some(position) = position else { return };
        let log = self.storage.read_log(topics.partition, Position(position.0 - 1), 1).unwrap_or_default();
        let Some((_, record)) = log.into_iter().next().filter(|(at, _)| *at == position) else { return };
        if !matches!(&*record, Record::Event(_)) {
            return;
        }
        if self.storage.model.replay(before, vec![(None, record)]).is_ok() {
            self.strike(Fault::EventReplayed);
        }
        self.appended();
    }

    /// Events that are too old for who pulls are forgotten, so that the log can be cut.
    fn forget_events(&mut self) {
        let Some(topics) = &mut self.topics else { return };
        let age = topics.rng.random_range(1..60) * SECOND;
        self.storage.model.forget_events(topics.id, date(self.at.saturating_sub(age)), 100).ok();
    }

    /// What an attempt to push, or to keep dead letters, comes to instead.
    pub fn answer_of_topic(&mut self, flight: &Flight, outcome: Outcome) -> Outcome {
        let quiet = self.quiet;
        let Some(topics) = &mut self.topics else { return outcome };
        let outcome = match (flight.purpose, outcome) {
            _ if quiet => return outcome,
            (Purpose::Push, Outcome::Acknowledged | Outcome::Refused { .. })
                if topics.rng.random_ratio(topics.refuses, 100) =>
            {
                topics.a_refusal()
            }
            (Purpose::DeadLetter, _) if topics.rng.random_ratio(topics.fails, 100) => {
                let fails = [Outcome::NotSent, Outcome::TimedOut, Outcome::refused(503)];
                fails.choose(&mut topics.rng).copied().unwrap_or(Outcome::NotSent)
            }
            (_, outcome) => outcome,
        };
        let fault = match (flight.purpose, outcome) {
            (Purpose::Push, Outcome::Refused { status: 410, .. }) => Fault::EventGone,
            (Purpose::Push, Outcome::Refused { status: 400 | 401 | 403 | 413, .. }) => Fault::EventRefused,
            (Purpose::DeadLetter, outcome) if outcome != Outcome::Acknowledged => Fault::DeadLetterNotKept,
            _ => return outcome,
        };
        self.strike(fault);
        outcome
    }
}

impl Topics {
    fn a_filter(&mut self) -> Filter {
        let written = EVENT_FILTERS.choose(&mut self.rng).map(|(written, _)| written()).unwrap_or_default();
        Filter::try_from(written).expect("a filter")
    }

    fn a_policy(&mut self) -> PushPolicy {
        let attempts = [1, 2, 3, 5].choose(&mut self.rng).copied().unwrap_or(1);
        let minutes = [1, 2, 10].choose(&mut self.rng).copied().unwrap_or(1);
        PushPolicy::new(attempts, minutes).expect("within bounds")
    }

    fn a_destination(&mut self, urls: &[String]) -> Endpoint {
        if self.rng.random_bool(0.2) {
            let (stream, subject) = ("EVENTS".to_owned(), "mail".to_owned());
            return Endpoint::NatsJetStream(NatsJetStream { stream, subject });
        }
        let batch = Batching { events_max: self.rng.random_range(1..=5), preferred_kib: 1 };
        let batch = self.rng.random_bool(0.3).then_some(batch);
        let url = urls.choose(&mut self.rng).cloned().unwrap_or_default();
        Endpoint::Webhook(Webhook { batch, ..Webhook::to(url) })
    }

    /// Any status; seldom the one that stops everything.
    fn a_refusal(&mut self) -> Outcome {
        let some = [206, 400, 401, 403, 404, 408, 413, 429, 429, 500, 500, 503, 503];
        let status = if self.rng.random_bool(0.05) { 410 } else { *some.choose(&mut self.rng).unwrap_or(&500) };
        let asks = status == 429 && self.rng.random_bool(0.7);
        Outcome::Refused { status, retry_after: asks.then(|| RetryAfter::from_seconds(self.rng.random_range(0..200))) }
    }
}

/// Whether an event subscription is told of an event: the rules once more, in the plainest form.
pub fn hears(event_subscription: &EventSubscription, event: &CloudEvent) -> bool {
    let written = event_subscription.filter.written();
    let (_, lets_in) = EVENT_FILTERS.iter().find(|(filter, _)| filter() == *written).expect("one of these");
    let data = event.data().map(|data| String::from_utf8_lossy(data.bytes()).into_owned()).unwrap_or_default();
    lets_in(event.attributes().subject.as_deref().unwrap_or_default(), &data)
}
