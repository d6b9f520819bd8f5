//! Pushes events of a topic to where their event subscription says, and keeps those that were given up where it says.
//! The node has events without their data: they are read whole here, from the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use graph::Timestamp;
use notify::node::{Attempt, Lack, Notification, Outcome, Purpose};
use notify::push_policy::Undelivered;
use notify::topic::{Audience, Endpoint, Push, Webhook};
use notify::{EventSubscription, Position, Record, Subscription, TopicEvent};
use store::{Store, StoreError};

use super::attempt::{CameTo, Channels, NO_TIME, told_failed};
use crate::clock::Clock;
use crate::identity::{Addressee, Tokens, ValidationTokens};
use crate::outbound::{self, Answer, Failure};
use crate::sinks::Refused;
use crate::telemetry::outcome_name;

/// Makes the tokens that go with what is pushed.
pub(super) struct Bearers(ValidationTokens);

impl Bearers {
    pub(super) fn new(tokens: Arc<Tokens>) -> Self {
        Self(ValidationTokens::of_pushed_events(tokens))
    }

    /// The token for an audience. Receivers hold it against their own clocks.
    fn token(&self, subscription: &Subscription, to: &Audience, world: Timestamp) -> Option<String> {
        let audience = to.application.clone();
        let addressee = Addressee { tenant: subscription.tenant, audience, issuer_v2: None };
        let token = self.0.get(&addressee, world);
        token.inspect_err(|error| tracing::error!(%error, "a token for a webhook could not be signed")).ok()
    }
}

/// An event that is to be sent, and its place among the attempt's notifications.
type ToSend = (usize, Arc<TopicEvent>);

/// Sends the events of an attempt, all of one event subscription, within its time. Calls `sending` before anything goes
/// out.
pub(super) async fn push(attempt: &Attempt, channels: &Channels, clock: &Clock, sending: impl FnOnce()) -> CameTo {
    // An attempt takes the world's time, wherever the clock is moved meanwhile.
    let limit = Duration::from_micros(attempt.timeout_micros);
    let until = clock.elapsed() + limit;
    let read = match tokio::time::timeout(limit, events(&*channels.topics.store, &attempt.notifications)).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            tracing::warn!(%error, "events could not be read; they will be pushed again");
            return CameTo::not_sent("its events could not be read");
        }
        Err(_) => return CameTo::not_sent(NO_TIME),
    };
    let (events, lacks) = parted(read);
    let left = until.saturating_sub(clock.elapsed());
    let pushed = attempt.notifications.first().and_then(|first| first.subscription.target.event_subscription());
    let came_to = match pushed.and_then(|of| Some((of, of.push()?))) {
        Some((of, how)) if !events.is_empty() => {
            let work = Work { attempt, channels, clock, of, how, left };
            work.perform(&events, sending).await
        }
        _ => {
            tracing::error!(purpose = ?attempt.purpose, "events are to be sent that nobody keeps any more");
            nothing_to_send(attempt.purpose)
        }
    };
    let lacks = [&lacks[..], &came_to.lacks[..]].concat();
    came_to.lacking(lacks)
}

/// An attempt that has what it needs.
struct Work<'a> {
    attempt: &'a Attempt,
    channels: &'a Channels,
    clock: &'a Clock,
    of: &'a EventSubscription,
    how: &'a Push,
    left: Duration,
}

impl Work<'_> {
    async fn perform(&self, events: &[ToSend], sending: impl FnOnce()) -> CameTo {
        let (sinks, store) = (&self.channels.sinks, &*self.channels.topics.store);
        match (self.attempt.purpose, &self.how.to) {
            (Purpose::DeadLetter, _) => {
                // It was to have none any more when it was put last.
                let Some(to) = &self.how.dead_letters else { return CameTo::of(Outcome::Acknowledged) };
                let letters: Vec<_> = events.iter().filter_map(|event| self.letter(event)).collect();
                sending();
                let kept = self.in_time(sinks.keep(store, (to, self.of), &letters)).await;
                kept.map_or_else(CameTo::refused, |()| CameTo::of(Outcome::Acknowledged))
            }
            (_, Endpoint::NatsJetStream(to)) => {
                let whole: Vec<_> = events.iter().map(|(_, event)| Arc::clone(event)).collect();
                sending();
                let too_large = match sinks.publish(store, (to, self.of), &whole, self.left).await {
                    Ok(too_large) => too_large,
                    Err(refused) => return CameTo::refused(refused),
                };
                let lacks = too_large.into_iter().map(|place| (events[place].0, Lack::TooLarge)).collect();
                CameTo::of(Outcome::Acknowledged).lacking(lacks)
            }
            (_, Endpoint::Webhook(webhook)) => self.post(webhook, events, sending).await,
        }
    }

    async fn in_time(&self, kept: impl Future<Output = Result<(), Refused>>) -> Result<(), Refused> {
        let late = Refused { outcome: Outcome::TimedOut, cause: "the dead letter could not be kept in time" };
        tokio::time::timeout(self.left, kept).await.unwrap_or(Err(late))
    }

    fn letter(&self, (place, event): &ToSend) -> Option<(Arc<TopicEvent>, Undelivered)> {
        Some((Arc::clone(event), self.attempt.notifications[*place].given_up?))
    }

    async fn post(&self, webhook: &Webhook, events: &[ToSend], sending: impl FnOnce()) -> CameTo {
        let Attempt { url, tls, failed, notifications, .. } = self.attempt;
        let bearer = match &webhook.audience {
            Some(audience) => {
                let subscription = &notifications[0].subscription;
                let token = self.channels.bearers.token(subscription, audience, self.clock.world());
                let Some(token) = token else { return CameTo::not_sent("its token could not be signed") };
                Some(token)
            }
            None => None,
        };
        if self.left.is_zero() {
            return CameTo::not_sent(NO_TIME);
        }
        let pushed: Vec<_> = events.iter().map(|(_, event)| &event.event).collect();
        let name = (&self.channels.push_origin, &*self.of.name);
        let request = webhook.request(name, &pushed, *failed, bearer.as_deref());
        sending();
        let span = self.channels.traces.attempt(url, events.len(), *failed);
        let result = self.channels.outbound.push((url, *tls), request, span.headers(), self.left).await;
        let outcome = outcome_of(&result);
        span.attempted(result.as_ref().ok().map(|answer| answer.status), outcome_name(outcome));
        told_failed(url, outcome, &result, events.len());
        CameTo { result: Some(result), ..CameTo::of(outcome) }
    }
}

/// A receiver takes an event by a status from 200 to 204 alone.
fn outcome_of(result: &Result<Answer, Failure>) -> Outcome {
    match result {
        Ok(answer) if (205..300).contains(&answer.status) => Outcome::refused(answer.status),
        _ => outbound::outcome(result),
    }
}

/// What ends events of which there is nothing any more.
fn nothing_to_send(purpose: Purpose) -> CameTo {
    let outcome = match purpose {
        Purpose::DeadLetter => Outcome::Acknowledged,
        // Trying again would not help.
        Purpose::Push | Purpose::Notify => Outcome::refused(400),
    };
    CameTo::refused(Refused { outcome, cause: "nothing of it is kept any more" })
}

/// What there is to send, and what is not told since it is gone.
fn parted(read: Vec<Option<Arc<TopicEvent>>>) -> (Vec<ToSend>, Vec<(usize, Lack)>) {
    let (mut events, mut lacks) = (Vec::with_capacity(read.len()), Vec::new());
    for (place, event) in read.into_iter().enumerate() {
        match event {
            Some(event) => events.push((place, event)),
            None => lacks.push((place, Lack::Gone)),
        }
    }
    (events, lacks)
}

/// The events of notifications whole, in their order; `None` in the place of one that is not in the log any more.
async fn events(store: &dyn Store, notifications: &[Notification]) -> Result<Vec<Option<Arc<TopicEvent>>>, StoreError> {
    let Some(partition) = notifications.first().map(|one| one.subscription.partition()) else { return Ok(Vec::new()) };
    let mut found: BTreeMap<Position, Option<Arc<TopicEvent>>> =
        notifications.iter().map(|one| (one.position, None)).collect();
    let positions: Vec<Position> = found.keys().copied().collect();
    for run in positions.chunk_by(|one, other| one.next() == *other) {
        let (mut after, last) = (Position(run[0].0.saturating_sub(1)), run[run.len() - 1]);
        while after < last {
            let page = store.read_log(partition, after, usize::try_from(last.0 - after.0).unwrap_or(1)).await?;
            let Some((end, _)) = page.last() else { break };
            after = *end;
            for (position, record) in &page {
                if let (Some(place), Record::Event(event)) = (found.get_mut(position), record.original()) {
                    *place = Some(Arc::clone(event));
                }
            }
        }
    }
    Ok(notifications.iter().map(|one| found.get(&one.position).cloned().flatten()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use graph::{SubscriptionId, TopicId};
    use notify::event_grid_url::EventGridUrl;
    use notify::push_policy::{GivenUp, PushPolicy, Undelivered};
    use notify::subscription::TlsVersion;
    use notify::topic::{
        Activation, CloudEvent, DeadLetterDestination, Destination, EventSubscriptionFilter, Filter, NatsJetStream,
        Profile, Tags, Topic,
    };
    use protocol::event_grid::push::Origin;
    use serde_json::{Value, json};
    use store::memory::MemoryStore;
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::bench::Receiver;
    use crate::dead_letters::{DeadLettersConfig, Shelf};
    use crate::engine::publish::Topics;
    use crate::identity::Key;
    use crate::outbound::{Outbound, OutboundConfig, Policy};
    use crate::sinks::{Sinks, SinksConfig};
    use crate::telemetry::traces::Traces;
    use crate::{ids, seed};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn topic() -> Topic {
        Topic {
            id: TopicId(Uuid::from_u128(1)),
            tenant: seed::TENANT,
            place: EventGridUrl {
                azure_subscription: Uuid::from_u128(1),
                resource_group: "rg".to_owned(),
                partner_topic: "mail".to_owned(),
                location: "westeurope".to_owned(),
            },
            apps: [].into(),
            profile: Profile::default(),
            activation: Activation::Activated,
            created: NOW,
            description: String::new(),
            tags: Tags::new(),
            keys: [ids::new_topic_key(), ids::new_topic_key()],
            subscribed_until: None,
        }
    }

    fn event(id: u32) -> CloudEvent {
        let json = json!({"specversion": "1.0", "id": id.to_string(), "source": "/s", "type": "t", "data": {"n": id}});
        CloudEvent::from_json(json.to_string().as_bytes()).unwrap()
    }

    struct World {
        channels: Channels,
        subscription: Arc<Subscription>,
    }

    impl World {
        /// Events 1, 2, 4 and 5 of a topic stand at positions 1 to 4 of its log.
        async fn new(to: Endpoint, sinks: Sinks) -> Self {
            let store = Arc::new(MemoryStore::new(Arc::new(|_, _| {})));
            let topic = store.open_topic(Arc::new(topic()), 1, NOW).await.unwrap();
            store.publish(topic.id, [1, 2, 4, 5].map(event).into(), NOW).await.unwrap();
            let letters = DeadLetterDestination { resource_id: "r".to_owned(), container: "letters".to_owned() };
            let push = Push { to, policy: PushPolicy::default(), dead_letters: Some(letters) };
            let subscription = topic.pushed(&EventSubscription {
                id: Some(SubscriptionId(Uuid::from_u128(7))),
                topic: topic.id,
                name: "push".to_owned(),
                filter: Filter::try_from(EventSubscriptionFilter::default()).unwrap(),
                destination: Destination::Push(Box::new(push)),
                labels: Vec::new(),
                expires: None,
                created: NOW,
                lock_key: ids::new_lock_key(),
            });
            let policy = Policy { dev: true, ..Policy::default() };
            let outbound = Outbound::new(OutboundConfig { policy, ..OutboundConfig::default() }).unwrap();
            let channels = Channels {
                outbound: Arc::new(outbound),
                traces: Traces::default(),
                topics: Topics { store, room: Arc::default() },
                push_origin: Origin::default(),
                bearers: Bearers::new(Arc::new(Tokens::of(Key::generate(NOW).unwrap()))),
                sinks: Arc::new(sinks),
            };
            Self { channels, subscription: Arc::new(subscription.unwrap()) }
        }

        fn attempt(&self, purpose: Purpose, positions: &[u64]) -> Attempt {
            let given_up = Undelivered { reason: GivenUp::AttemptsExceeded, at: NOW, attempts: 1, last: None };
            let given_up = (purpose == Purpose::DeadLetter).then_some(given_up);
            let notification = |position: &u64| {
                let (topic, event) = (topic().id, event(0));
                Notification {
                    id: ids::new_uuid(),
                    subscription: Arc::clone(&self.subscription),
                    record: Arc::new(Record::Event(Arc::new(TopicEvent::new(topic, NOW, event)))),
                    position: Position(*position),
                    change: None,
                    access_lost: false,
                    given_up,
                }
            };
            Attempt {
                id: 1,
                purpose,
                url: self.subscription.notification_url.as_str().into(),
                tls: TlsVersion::default(),
                timeout_micros: 10_000_000,
                notifications: positions.iter().map(notification).collect(),
                estimated_bytes: 1_000,
                failed: 0,
            }
        }

        async fn push(&self, purpose: Purpose, positions: &[u64]) -> CameTo {
            push(&self.attempt(purpose, positions), &self.channels, &Clock::new(), || ()).await
        }
    }

    /// A receiver, and the bodies that it was sent.
    fn recording() -> (Receiver, Arc<Mutex<Vec<Value>>>) {
        let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
        let record = Arc::clone(&bodies);
        let on_body = move |body: &[u8]| record.lock().unwrap().push(serde_json::from_slice(body).unwrap());
        (Receiver::start(1, Some(Arc::new(on_body))).unwrap(), bodies)
    }

    fn kept_in(directory: &TempDir) -> Sinks {
        let dead_letters = Some(DeadLettersConfig::Directory(directory.path().to_owned()));
        Sinks::new(SinksConfig { nats: None, dead_letters }, Clock::new()).unwrap()
    }

    #[tokio::test]
    async fn events_are_read_whole_and_stay_in_the_order_of_the_attempt() {
        let world = World::new(Endpoint::Webhook(Webhook::to("https://h/".to_owned())), Sinks::default()).await;
        let attempt = world.attempt(Purpose::Push, &[4, 1, 2, 9]);
        let read = events(&*world.channels.topics.store, &attempt.notifications).await.unwrap();
        let read: Vec<_> = read.into_iter().map(|event| event.map(|event| event.event.clone())).collect();
        assert_eq!(read, [Some(event(5)), Some(event(1)), Some(event(2)), None]);
    }

    #[tokio::test]
    async fn events_are_posted_whole_and_their_dead_letters_say_why_they_were_given_up() {
        let ((receiver, bodies), letters) = (recording(), tempfile::tempdir().unwrap());
        let world = World::new(Endpoint::Webhook(Webhook::to(receiver.url("/push"))), kept_in(&letters)).await;
        assert_eq!(world.push(Purpose::Push, &[3]).await.outcome, Outcome::Acknowledged);
        assert_eq!(bodies.lock().unwrap()[0]["data"], json!({"n": 4}));
        assert_eq!(world.push(Purpose::DeadLetter, &[2]).await.outcome, Outcome::Acknowledged);
        let topic = world.channels.topics.store.topic(topic().id).await.unwrap().unwrap();
        let shelf = Shelf::new("letters", &topic, "push").unwrap();
        let kept = world.channels.sinks.dead_letters.as_ref().unwrap();
        let keys = kept.keys(&shelf, None, 10).await.unwrap();
        let letter = kept.read(&keys[0]).await.unwrap().unwrap();
        assert_eq!((keys.len(), letter.event.attributes().id.as_str()), (1, "2"));
        assert_eq!(letter.told.dead_letter_reason, "MaxDeliveryAttemptsExceeded");
    }

    #[tokio::test]
    async fn what_is_gone_from_the_log_is_not_sent_and_not_tried_again() {
        let ((receiver, bodies), letters) = (recording(), tempfile::tempdir().unwrap());
        let world = World::new(Endpoint::Webhook(Webhook::to(receiver.url("/push"))), kept_in(&letters)).await;
        let some = world.push(Purpose::Push, &[9, 1]).await;
        assert_eq!((some.outcome, some.lacks), (Outcome::Acknowledged, vec![(0, Lack::Gone)]));
        assert_eq!(world.push(Purpose::Push, &[9]).await.outcome, Outcome::refused(400));
        assert_eq!(world.push(Purpose::DeadLetter, &[9]).await.outcome, Outcome::Acknowledged);
        assert_eq!(bodies.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_sink_that_is_missing_is_as_a_receiver_that_is_not_available() {
        let bridge = NatsJetStream { stream: "mail".to_owned(), subject: "mail".to_owned() };
        let world = World::new(Endpoint::NatsJetStream(bridge), Sinks::default()).await;
        for purpose in [Purpose::Push, Purpose::DeadLetter] {
            assert_eq!(world.push(purpose, &[1]).await.outcome, Outcome::refused(503));
        }
    }

    #[test]
    fn a_status_from_200_to_204_takes_an_event_and_no_other() {
        let answer = |status| {
            let body = bytes::Bytes::new();
            Ok(Answer { status, content_type: None, retry_after: None, allowed_origin: None, body })
        };
        for status in 200..=204 {
            assert_eq!(outcome_of(&answer(status)), Outcome::Acknowledged, "{status}");
        }
        for status in [205, 206, 299, 302, 404] {
            assert_eq!(outcome_of(&answer(status)), Outcome::refused(status), "{status}");
        }
    }
}
