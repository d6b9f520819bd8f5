//! Events that are pushed to event subscriptions.

use std::collections::BTreeMap;

use graph::TopicId;
use tidings_notify::push_policy::{GivenUp, LastOutcome, LastTry, PushPolicy, Pushed, Undelivered};
use tidings_notify::subscription::EarlierFilter;
use tidings_notify::topic::{
    Batching, CloudEvent, DeadLetterDestination, Destination, Endpoint, EventSubscription, EventSubscriptionFilter,
    Filter, LockKey, NatsJetStream, Push, Webhook,
};
use tidings_notify::{Parked, TopicEvent};

use super::parking::{STEP, Shelf};
use super::*;

const MINUTE: u64 = 60 * SECOND;

/// A topic that lies in Megan's partition.
fn topic() -> TopicId {
    let mut all = (1..).map(|number| TopicId(Uuid::from_u128(number)));
    all.find(|topic| Partition::of(*topic) == Partition::of(MEGAN)).expect("one of so many")
}

pub(super) fn begins_with(subject: &str) -> Filter {
    let written =
        EventSubscriptionFilter { subject_begins_with: Some(subject.to_owned()), ..EventSubscriptionFilter::default() };
    Filter::try_from(written).unwrap()
}

fn webhook(batch: Option<Batching>) -> Endpoint {
    Endpoint::Webhook(Webhook { batch, ..Webhook::to("https://hook.example.net/e?code=1".to_owned()) })
}

pub(super) fn push() -> Push {
    Push { to: webhook(None), policy: PushPolicy::default(), dead_letters: None }
}

pub(super) fn keeping() -> Push {
    let kept = DeadLetterDestination { resource_id: String::new(), container: "dead".to_owned() };
    Push { dead_letters: Some(kept), ..push() }
}

pub(super) fn event_subscription(push: Push) -> EventSubscription {
    EventSubscription {
        id: Some(SubscriptionId(Uuid::from_u128(1))),
        topic: topic(),
        name: "mine".to_owned(),
        filter: begins_with("Users/"),
        destination: Destination::Push(Box::new(push)),
        labels: Vec::new(),
        expires: None,
        created: NOW,
        lock_key: LockKey([7; 32]),
    }
}

/// What it is to the node.
pub(super) fn pushed_to(event_subscription: EventSubscription) -> Subscription {
    let push = event_subscription.push().expect("it pushes");
    let url = match &push.to {
        Endpoint::Webhook(webhook) => webhook.url.clone(),
        Endpoint::NatsJetStream(bridge) => format!("nats:{}", bridge.stream),
    };
    Subscription {
        resource: event_subscription.name.clone(),
        target: Target::Topic(Box::new(event_subscription)),
        change_types: <_>::default(),
        change_type: String::new(),
        notification_url: url,
        lifecycle_url: None,
        expires: NOW.plus_minutes(365 * 24 * 60),
        ..subscription()
    }
}

fn pushing(push: Push) -> World {
    World::new(pushed_to(event_subscription(push)))
}

pub(super) fn event(number: u64, subject: &str, published: Timestamp) -> Record {
    let json = format!(
        r#"{{"specversion":"1.0","id":"{number}","source":"/s","type":"t","subject":"{subject}","data":{{"n":{number}}}}}"#
    );
    let event = CloudEvent::from_json(json.as_bytes()).unwrap();
    Record::Event(Arc::new(TopicEvent::new(topic(), published, event)))
}

impl World {
    fn now(&self) -> Timestamp {
        NOW.plus_micros(self.micros as i64)
    }

    pub(super) fn publish(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let published = self.now();
        self.append(numbers.into_iter().map(|number| event(number, "Users/1", published)));
    }

    /// Fails every attempt that comes within so long; the seconds at which they came.
    fn fails(&mut self, micros: u64, outcome: Outcome) -> Vec<u64> {
        let (end, mut at) = (self.micros + micros, Vec::new());
        loop {
            for attempt in self.attempts() {
                at.push(self.micros / SECOND);
                self.answer(&attempt, outcome);
            }
            self.recorded();
            if self.micros >= end {
                return at;
            }
            let wakes = self.node.wakes_at().map_or(end, |wakes| wakes.0.max(self.micros + 1));
            self.pass(wakes.min(end) - self.micros);
        }
    }

    fn parks(&mut self) -> Vec<Parked> {
        let mut rows = Vec::new();
        for _ in 0..4 {
            self.pass(SECOND);
            rows.extend(self.others.iter().filter_map(|command| match command {
                Command::Checkpoint(checkpoint) => Some(checkpoint.park.clone()),
                _ => None,
            }));
            self.recorded();
        }
        rows.concat()
    }
}

fn abandoned(world: &mut World) -> BTreeMap<AbandonReason, u64> {
    ledger(world).abandoned
}

#[test]
fn an_event_is_pushed_to_whom_its_filter_lets_in_and_its_data_is_not_kept() {
    let mut world = pushing(push());
    world.append([event(1, "Users/1", NOW), event(2, "Groups/1", NOW)]);
    let attempt = world.attempt();
    assert_eq!((attempt.purpose, &*attempt.url), (Purpose::Push, "https://hook.example.net/e?code=1"));
    assert_eq!((attempt.timeout_micros, attempt.notifications.len()), (30 * SECOND, 1));
    let Record::Event(told) = &*attempt.notifications[0].record else { panic!("an event") };
    assert_eq!((told.event.attributes().id.as_str(), told.event.data()), ("1", None));
    assert!(attempt.estimated_bytes > 80, "{}", attempt.estimated_bytes);
    world.answer(&attempt, Outcome::Acknowledged);
    let sums = ledger(&mut world);
    assert_eq!((sums.matched, sums.delivered), (1, 1));
}

#[test]
fn who_watches_another_topic_hears_nothing() {
    let other = EventSubscription { topic: TopicId(Uuid::from_u128(0xbad)), ..event_subscription(push()) };
    let mut world = World::new(pushed_to(other));
    world.publish([1]);
    assert_eq!(world.attempts().len(), 0);
}

#[test]
fn each_event_goes_alone_unless_batches_are_asked_for() {
    let mut world = pushing(push());
    world.publish(1..=4);
    let sizes = |attempts: Vec<Attempt>| attempts.iter().map(|one| one.notifications.len()).collect::<Vec<_>>();
    assert_eq!(sizes(world.attempts()), [1, 1, 1, 1], "at a time");
    let batch = Batching { events_max: 3, preferred_kib: 64 };
    let mut world = pushing(Push { to: webhook(Some(batch)), ..push() });
    world.publish(1..=4);
    assert_eq!(sizes(world.attempts()), [3, 1]);
    let bridge = NatsJetStream { stream: "EVENTS".to_owned(), subject: "mail".to_owned() };
    let mut world = pushing(Push { to: Endpoint::NatsJetStream(bridge), ..push() });
    world.publish(1..=250);
    let attempts = world.attempts();
    assert!(attempts.iter().all(|attempt| &*attempt.url == "nats:EVENTS"));
    assert_eq!(sizes(attempts), [100, 100, 50]);
}

#[test]
fn a_failed_event_is_tried_again_by_event_grids_schedule() {
    let mut world = pushing(push());
    world.publish([1]);
    let at = world.fails(2 * HOUR, Outcome::refused(500));
    let waits: Vec<u64> = at.windows(2).map(|two| two[1] - two[0]).collect();
    for (wait, least) in waits.iter().zip([10, 30, 60, 300, 600, 1_800, 3_600]) {
        assert!((least..=least + least / 10 + 1).contains(wait), "{waits:?}");
    }
    assert_eq!(waits.len(), 7);
}

#[test]
fn a_failed_event_keeps_no_later_one_waiting() {
    let mut world = pushing(push());
    world.publish([1]);
    let first = world.attempt();
    world.answer(&first, Outcome::refused(500));
    world.publish([2]);
    let second = world.attempt();
    assert_ne!(second.notifications[0].id, first.notifications[0].id);
    world.answer(&second, Outcome::Acknowledged);
    world.pass(9 * SECOND);
    assert_eq!(world.attempts().len(), 0, "that others are taken brings nothing forward");
    world.pass(3 * SECOND);
    assert_eq!(world.attempt().notifications[0].id, first.notifications[0].id);
}

#[test]
fn what_is_refused_for_good_is_given_up_at_once_and_no_missed_is_owed() {
    for status in [400, 401, 403, 413] {
        let mut world = pushing(push());
        world.publish([1]);
        let attempt = world.attempt();
        world.answer(&attempt, Outcome::refused(status));
        assert_eq!(abandoned(&mut world), [(AbandonReason::NotRetried, 1)].into());
        world.pass(5 * HOUR);
        let told = world.others.iter().any(|command| matches!(command, Command::Step { .. }));
        assert!(!told && world.attempts().is_empty());
    }
}

#[test]
fn after_so_many_attempts_an_event_is_given_up() {
    let mut world = pushing(Push { policy: PushPolicy::new(3, 60).unwrap(), ..push() });
    world.publish([1]);
    assert_eq!(world.fails(HOUR, Outcome::TimedOut).len(), 3);
    let mut world = pushing(Push { policy: PushPolicy::new(1, 60).unwrap(), ..push() });
    world.publish([1]);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::NotSent);
    world.pass(12 * SECOND);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::Unreachable);
    assert_eq!(abandoned(&mut world), [(AbandonReason::AttemptsExceeded, 1)].into());
}

#[test]
fn time_to_live_is_looked_at_when_the_next_attempt_is_due() {
    let mut world = pushing(Push { policy: PushPolicy::new(30, 1).unwrap(), ..push() });
    world.publish([1]);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::refused(404));
    world.pass(4 * MINUTE);
    assert_eq!(abandoned(&mut world), BTreeMap::new());
    world.pass(2 * MINUTE);
    assert_eq!(world.attempts().len(), 0);
    assert_eq!(abandoned(&mut world), [(AbandonReason::TimeToLiveExceeded, 1)].into());
}

/// In development, a partition is looked at each hour; leases are taken all the time, and look at none.
#[test]
fn what_is_given_up_without_an_attempt_is_recorded_soon() {
    const HOUR: u64 = 60 * MINUTE;
    let subscription = pushed_to(event_subscription(Push { policy: PushPolicy::new(30, 1).unwrap(), ..push() }));
    let config =
        NodeConfig { lease_micros: 90 * HOUR, renew_micros: 24 * HOUR, poll_micros: HOUR, ..NodeConfig::default() };
    let (cursor, head, subscriptions) = (Position(1), Position(1), vec![span(subscription, Standing::default())]);
    let mut world = World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() });
    world.publish([1]);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::refused(404));
    world.pass(MINUTE);
    world.recorded();
    // 5 minutes, and up to a tenth more.
    world.ticks(5 * MINUTE);
    assert_eq!(world.attempts().len(), 0);
    assert_eq!(abandoned(&mut world), [(AbandonReason::TimeToLiveExceeded, 1)].into());
}

#[test]
fn an_event_that_is_too_large_for_where_it_goes_is_given_up_alone() {
    let batch = Some(Batching { events_max: 10, preferred_kib: 64 });
    let mut world = pushing(Push { to: webhook(batch), ..push() });
    world.publish([1, 2, 3]);
    let attempt = world.attempt();
    assert_eq!(attempt.notifications.len(), 3);
    let (attempt, outcome, lacks) = (attempt.id, Outcome::Acknowledged, vec![(1, Lack::TooLarge)]);
    world.handle(Event::Attempted { attempt, outcome, lacks });
    world.pass(MINUTE);
    let LedgerDelta { delivered, abandoned, .. } = ledger(&mut world);
    assert_eq!((delivered, abandoned), (2, [(AbandonReason::NotRetried, 1)].into()));
}

#[test]
fn who_asks_to_be_left_alone_with_429_is_for_as_long_as_it_asks() {
    let mut world = pushing(push());
    world.publish([1]);
    let attempt = world.attempt();
    let retry_after = Some(RetryAfter::from_seconds(3_600));
    world.answer(&attempt, Outcome::Refused { status: 429, retry_after });
    world.pass(HOUR - SECOND);
    assert_eq!(world.attempts().len(), 0);
    world.pass(HOUR / 10 + 2 * SECOND);
    world.attempt();
}

#[test]
fn after_ten_failures_in_a_row_new_events_wait_too_and_none_is_dropped() {
    let mut world = pushing(Push { policy: PushPolicy::new(1, 60).unwrap(), ..push() });
    world.publish(1..=10);
    for attempt in world.attempts() {
        world.answer(&attempt, Outcome::Unreachable);
    }
    world.recorded();
    world.publish([11]);
    world.pass(29 * SECOND);
    assert_eq!(world.attempts().len(), 0);
    world.pass(2 * SECOND);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::Acknowledged);
    world.publish([12]);
    world.attempt();
    assert_eq!(abandoned(&mut world), [(AbandonReason::AttemptsExceeded, 10)].into());
}

#[test]
fn a_receiver_that_is_slow_gets_its_events_all_the_same() {
    let mut world = pushing(push());
    for number in 0..300 {
        world.publish([number]);
        world.pass(100_000);
        for attempt in world.attempts() {
            world.pass(20 * SECOND);
            world.answer(&attempt, Outcome::Acknowledged);
        }
        world.recorded();
    }
    assert_eq!(world.health, BTreeMap::new());
    assert_eq!(ledger(&mut world).abandoned, BTreeMap::new());
}

#[test]
fn who_answers_410_gets_no_more_events_until_its_event_subscription_is_changed() {
    let mut world = pushing(push());
    world.publish([1]);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::refused(410));
    let stops = world.others.iter().any(|command| matches!(command, Command::Step { step: Step::Pause, .. }));
    assert!(stops, "{:?}", world.others);
    let id = subscription().id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Paused }]);
    world.publish([2, 3]);
    assert_eq!(world.attempts().len(), 0);
    assert_eq!(abandoned(&mut world), [(AbandonReason::Stopped, 3)].into());
    world.append([Record::Subscription { id, event: SubscriptionEvent::Resumed }]);
    world.publish([4]);
    world.attempt();
}

#[test]
fn an_event_that_is_given_up_is_kept_with_what_became_of_it() {
    let mut world = pushing(Push { policy: PushPolicy::new(2, 60).unwrap(), ..keeping() });
    world.publish([1]);
    world.fails(MINUTE / 6, Outcome::refused(503));
    world.pass(40 * SECOND);
    let second = world.attempt();
    world.answer(&second, Outcome::refused(500));
    let letter = world.attempt();
    assert_eq!((letter.purpose, &*letter.url, letter.failed), (Purpose::DeadLetter, "dead-letters:dead", 0));
    let last = LastTry { at: world.now().whole_seconds(), outcome: LastOutcome::Status(500) };
    let expected = Undelivered { reason: GivenUp::AttemptsExceeded, at: last.at, attempts: 2, last: Some(last) };
    assert_eq!(letter.notifications[0].given_up, Some(expected));
    assert_eq!(letter.notifications[0].id, second.notifications[0].id);
    assert_eq!(abandoned(&mut world), BTreeMap::new(), "it has not ended before it is kept");
    world.answer(&letter, Outcome::Acknowledged);
    assert_eq!(abandoned(&mut world), [(AbandonReason::AttemptsExceeded, 1)].into());
}

#[test]
fn an_event_that_is_dropped_on_purpose_is_a_dead_letter_if_these_are_kept_and_injected_in_the_books() {
    let batch = Some(Batching { events_max: 3, preferred_kib: 64 });
    let mut world = pushing(Push { to: webhook(batch), ..keeping() });
    world.publish([1, 2]);
    let attempt = world.attempt();
    world.answer_lacking(&attempt, Outcome::Acknowledged, &[(1, Lack::Injected)]);
    let letter = world.attempt();
    let last = LastTry { at: world.now().whole_seconds(), outcome: LastOutcome::NotSent };
    let expected = Undelivered { reason: GivenUp::Injected, at: last.at, attempts: 1, last: Some(last) };
    assert_eq!((letter.purpose, letter.notifications[0].given_up), (Purpose::DeadLetter, Some(expected)));
    assert_eq!(letter.notifications[0].id, attempt.notifications[1].id);
    world.answer(&letter, Outcome::Acknowledged);
    let sums = ledger(&mut world);
    assert_eq!((sums.delivered, sums.abandoned), (1, [(AbandonReason::Injected, 1)].into()));

    let mut world = pushing(push());
    world.publish([1]);
    let attempt = world.attempt();
    world.answer_lacking(&attempt, Outcome::NotSent, &[(0, Lack::Injected)]);
    assert_eq!(world.attempts().len(), 0);
    assert_eq!(abandoned(&mut world), [(AbandonReason::Injected, 1)].into());
    world.pass(5 * HOUR);
    let is_missed = |command: &Command| matches!(command, Command::Step { step: Step::Missed { .. }, .. });
    assert!(!world.others.iter().any(is_missed), "nobody is owed a missed for an event");
}

#[test]
fn an_event_that_is_gone_from_the_log_is_given_up_without_a_dead_letter() {
    let mut world = pushing(keeping());
    world.publish([1]);
    let attempt = world.attempt();
    world.answer_lacking(&attempt, Outcome::refused(400), &[(0, Lack::Gone)]);
    assert_eq!(world.attempts().len(), 0);
    assert_eq!(abandoned(&mut world), [(AbandonReason::Retention, 1)].into());
}

#[test]
fn a_dead_letter_that_cannot_be_kept_is_tried_for_four_hours() {
    let mut world = pushing(keeping());
    world.publish([1]);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::refused(400));
    let at = world.fails(5 * HOUR, Outcome::NotSent);
    let waits: Vec<u64> = at.windows(2).map(|two| two[1] - two[0]).collect();
    assert!((10..=12).contains(&waits[0]) && (60..=67).contains(&waits[1]), "{waits:?}");
    assert!(waits[2..].iter().all(|wait| (300..=331).contains(wait)), "{waits:?}");
    assert!((3 * 3_600 + 3_300..=4 * 3_600).contains(at.last().unwrap()), "{at:?}");
}

#[test]
fn a_dead_letter_survives_a_restart_with_its_reason() {
    let mut world = pushing(keeping());
    world.publish([1]);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::refused(403));
    let letter = world.attempt();
    world.answer(&letter, Outcome::NotSent);
    let rows: Vec<Parked> = world.parks();
    let row = rows.last().unwrap().clone();
    assert!(matches!(row.pushed, Some(Pushed::GivenUp(_))) && row.stream.kind == StreamKind::DeadLetters, "{rows:?}");
    let (partition, epoch, stream) = (Partition::of(MEGAN), EPOCH, row.stream);
    let mut next = World::at(
        2 * MINUTE,
        NodeConfig::default(),
        PartitionState {
            cursor: Position(2),
            head: Position(2),
            wall: NOW,
            subscriptions: vec![span(pushed_to(event_subscription(keeping())), Standing::default())],
            parked: BTreeMap::from([(stream, row.bytes)]),
            ..<_>::default()
        },
    );
    let records = vec![Arc::new(event(1, "Users/1", NOW))];
    let loaded = LoadedParked { row, records };
    next.handle(Event::Parked { partition, epoch, stream, rows: Some(vec![loaded]) });
    next.pass(SECOND);
    let again = next.attempt();
    assert_eq!(again.purpose, Purpose::DeadLetter);
    assert_eq!(again.notifications[0].given_up, letter.notifications[0].given_up);
    assert_eq!(again.failed, 1);
}

#[test]
fn with_its_event_subscription_everything_ends_and_nothing_more_is_kept() {
    let mut world = pushing(keeping());
    world.publish([1, 2]);
    let [first, second] = &world.attempts()[..] else { panic!("two") };
    world.answer(first, Outcome::refused(400));
    world.answer(second, Outcome::refused(500));
    let letter = world.attempt();
    let id = subscription().id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::Deleted) }]);
    world.answer(&letter, Outcome::NotSent);
    world.pass(HOUR);
    assert_eq!(world.attempts().len(), 0);
}

#[test]
fn a_changed_filter_counts_for_later_events_and_a_restart_finds_the_earlier_one() {
    let before = pushed_to(event_subscription(push()));
    let changed = EventSubscription { filter: begins_with("Groups/"), ..event_subscription(push()) };
    let after = pushed_to(changed).in_place_of(&before, Position(3));
    let extras = after.extras.clone().unwrap();
    assert_eq!(extras.earlier_filters, [EarlierFilter { filter: begins_with("Users/"), through: Position(3) }]);
    let patched = SubscriptionEvent::Patched(Box::new(after.clone()));
    let records = [
        event(1, "Users/1", NOW),
        Record::Subscription { id: subscription().id, event: patched },
        event(2, "Users/1", NOW),
        event(3, "Groups/1", NOW),
    ];
    let pushed = |world: &mut World| {
        let told = world.attempts().into_iter().flat_map(|attempt| attempt.notifications);
        told.map(|one| one.position.0).collect::<Vec<_>>()
    };
    let mut world = World::new(before);
    world.append(records.clone());
    assert_eq!(pushed(&mut world), [2, 5]);
    let mut next = World::from(PartitionState {
        cursor: Position(1),
        head: Position(5),
        wall: NOW,
        subscriptions: vec![span(after, Standing::default())],
        ..<_>::default()
    });
    let records = records.into_iter().zip(2..).map(|(record, position)| (Position(position), Arc::new(record)));
    let records = Some(records.collect());
    next.handle(Event::Published { partition: Partition::of(MEGAN), records: Option::unwrap_or_default(records) });
    assert_eq!(pushed(&mut next), [2, 5]);
}

#[test]
fn what_waits_goes_to_the_new_url() {
    let mut world = pushing(push());
    world.publish([1]);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::refused(500));
    let moved = Subscription {
        notification_url: "https://other.example.net/".to_owned(),
        ..pushed_to(event_subscription(push()))
    };
    let patched = SubscriptionEvent::Patched(Box::new(moved));
    world.append([Record::Subscription { id: subscription().id, event: patched }]);
    world.pass(12 * SECOND);
    assert_eq!(&*world.attempt().url, "https://other.example.net/");
}

/// The event subscription gets another URL.
fn moved() -> Record {
    let url = "https://other.example.net/".to_owned();
    let moved = Subscription { notification_url: url, ..pushed_to(event_subscription(push())) };
    Record::Subscription { id: subscription().id, event: SubscriptionEvent::Patched(Box::new(moved)) }
}

#[test]
fn a_node_has_followed_a_change_once_it_goes_by_it() {
    let mut world = pushing(push());
    let partition = Partition::of(MEGAN);
    let change = Position(world.head + 1);
    assert!(!world.node.has_followed(partition, change));
    world.append([moved()]);
    assert!(world.node.has_followed(partition, change) && !world.node.has_followed(partition, change.next()));
    let other = Partition::all().find(|other| *other != partition).unwrap();
    assert!(world.node.has_followed(other, change), "it begins nothing there");
}

#[test]
fn who_answers_410_at_an_earlier_url_stops_nothing_at_the_new_one() {
    let mut world = pushing(push());
    world.publish([1]);
    let attempt = world.attempt();
    world.append([moved()]);
    world.answer(&attempt, Outcome::refused(410));
    assert!(!world.others.iter().any(|command| matches!(command, Command::Step { .. })), "{:?}", world.others);
    world.publish([2]);
    assert_eq!(&*world.attempt().url, "https://other.example.net/");
}

#[test]
fn a_new_url_is_not_held_back_for_the_failures_of_the_earlier_one() {
    let mut world = pushing(Push { policy: PushPolicy::new(1, 60).unwrap(), ..push() });
    world.publish(1..=11);
    let attempts = world.attempts();
    let (last, failing) = attempts.split_last().unwrap();
    for attempt in failing {
        world.answer(attempt, Outcome::Unresolved);
    }
    world.append([moved()]);
    world.answer(last, Outcome::Unresolved);
    world.publish([12]);
    assert_eq!(&*world.attempt().url, "https://other.example.net/");
}

#[test]
fn events_that_have_failed_keep_none_from_being_tried_that_lies_beyond_their_share() {
    let config = NodeConfig { stream_share_max: 4, ..NodeConfig::default() };
    let subscriptions = vec![span(pushed_to(event_subscription(push())), Standing::default())];
    let (cursor, head) = (Position(1), Position(1));
    let mut world = World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() });
    let (mut shelf, mut tried) = (Shelf::default(), BTreeSet::new());
    for numbers in [1..=4, 5..=7] {
        world.publish(numbers);
        shelf.pass(&mut world, (STEP, 4 * SECOND), &mut |attempt| {
            tried.extend(attempt.notifications.iter().map(|one| one.position.0));
            Outcome::refused(500)
        });
    }
    assert_eq!(tried, (2..=8).collect());
}

#[test]
fn a_parked_event_is_charged_little_for_its_data_and_still_needs_its_body() {
    let event = |number| {
        let data = "x".repeat(100 << 10);
        let json = format!(
            r#"{{"specversion":"1.0","id":"{number}","source":"/s","type":"t","subject":"Users/1","data":"{data}"}}"#
        );
        let event = CloudEvent::from_json(json.as_bytes()).unwrap();
        Record::Event(Arc::new(TopicEvent::new(topic(), NOW, event)))
    };
    let mut world = pushing(push());
    world.append([event(1)]);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::refused(500));
    let row = world.parks().first().unwrap().clone();
    // 100,000 of these fit into what a stream may have parked.
    assert!(row.bytes * 100_000 < NodeConfig::default().parked_bytes_max, "{}", row.bytes);
    let (partition, epoch, stream) = (Partition::of(MEGAN), EPOCH, row.stream);
    let subscriptions = vec![span(pushed_to(event_subscription(push())), Standing::default())];
    let (cursor, head, parked) = (Position(2), Position(2), BTreeMap::from([(stream, row.bytes)]));
    let state = PartitionState { cursor, head, wall: NOW, subscriptions, parked, ..<_>::default() };
    let mut next = World::at(MINUTE, NodeConfig::default(), state);
    let loaded = LoadedParked { row, records: vec![Arc::new(event(1))] };
    next.handle(Event::Parked { partition, epoch, stream, rows: Some(vec![loaded]) });
    next.pass(SECOND);
    assert!(next.attempt().estimated_bytes >= 100 << 10);
}

#[test]
fn a_dead_letter_has_waited_since_its_event_was_given_up() {
    let config = NodeConfig { attempts_max: 1, ..NodeConfig::default() };
    let subscriptions = vec![span(pushed_to(event_subscription(keeping())), Standing::default())];
    let (cursor, head) = (Position(1), Position(1));
    let mut world = World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() });
    world.publish([1]);
    world.fails(HOUR, Outcome::refused(500));
    while world.attempts.is_empty() {
        world.pass(MINUTE);
    }
    let attempt = world.attempt();
    world.publish([2]);
    world.answer(&attempt, Outcome::refused(400));
    assert_eq!(world.attempt().purpose, Purpose::Push, "the dead letter waits");
    world.pass(SECOND);
    let now = Now { wall: world.now(), mono: Monotonic(world.micros) };
    assert_eq!(world.node.stats_at(now).oldest_due_micros, SECOND);
}

#[test]
fn what_never_expires_has_no_timer() {
    let never =
        Subscription { expires: Timestamp::from_seconds(253_402_300_799), ..pushed_to(event_subscription(push())) };
    let mut world = World::new(never.clone());
    let patched = SubscriptionEvent::Patched(Box::new(never));
    world.append([Record::Subscription { id: subscription().id, event: patched }]);
    assert_eq!(world.node.due_at(), None);
    let mut world = pushing(push());
    world.append([moved()]);
    assert!(world.node.due_at().is_some());
}

#[test]
fn an_event_that_is_told_again_lives_anew() {
    let mut world = pushing(Push { policy: PushPolicy::new(30, 1).unwrap(), ..push() });
    world.pass(HOUR);
    let (subscription, record) = (subscription().id, Arc::new(event(1, "Users/1", NOW)));
    world.append([Record::Replayed { subscription, change: None, record }]);
    let attempt = world.attempt();
    let Record::Event(told) = attempt.notifications[0].record.original() else { panic!("an event") };
    assert_eq!(told.event.data(), None);
}
