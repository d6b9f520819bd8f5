//! What one node commands for one subscriber: how many notifications go into a request, how long it may
//! take, what a failure leads to. The promises over all worlds are the simulator's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph::registry::{self, Happened, Ingested};
use graph::{
    AppId, Change, ChangeId, ChangeType, Content, FolderId, ItemId, Kind, Partition, Properties, SubmissionId,
    SubscriptionId, TenantId, Timestamp, UserId, WellKnown,
};
use protocol::envelope::EncryptedContent;
use tidings_notify::checkpoint::{LoadedParked, Parked, ParkedRef, PartitionState, StreamKind, SubscriptionSpan};
use tidings_notify::node::{Attempt, CheckpointAnswer, Lack, Outcome, Step};
use tidings_notify::notification::{NoToken, Sealing};
use tidings_notify::reauthorization::Standing;
use tidings_notify::subscription::{Extras, Target, TlsVersion, Watched};
use tidings_notify::{
    AbandonReason, Cause, Command, EndReason, Event, Interest, LedgerDelta, LifecycleEvent, Monotonic, Node,
    NodeConfig, Now, Position, Record, Stream, Submission, Subscription, SubscriptionEvent, notification,
    reauthorization,
};
use uuid::Uuid;

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;
const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200);
const MEGAN: UserId = UserId(Uuid::from_u128(2));
const EPOCH: u64 = 1;

fn subscription() -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(1)),
        tenant: TenantId(Uuid::from_u128(3)),
        app: AppId(Uuid::from_u128(4)),
        creator: MEGAN,
        resource: "me/messages".to_owned(),
        target: messages_in(None),
        change_types: ChangeType::ALL.into_iter().collect(),
        change_type: "created,updated,deleted".to_owned(),
        notification_url: "https://hook.example.net/n".to_owned(),
        lifecycle_url: Some("https://hook.example.net/l".to_owned()),
        client_state: None,
        tls_version: TlsVersion::V1_2,
        extras: None,
        immutable_ids: false,
        expires: NOW.plus_minutes(24 * 60),
        expires_tenths: 0,
        authorized: NOW,
        created: NOW,
    }
}

fn messages_in(folder: Option<FolderId>) -> Target {
    Target::Items { mailbox: MEGAN, kind: Kind::Message, folder }
}

/// The creation of the message of that number in a folder of Megan's.
fn created(number: u64, folder: FolderId) -> Change {
    Change {
        id: ChangeId(Uuid::from_u128(number.into())),
        tenant: TenantId(Uuid::from_u128(3)),
        mailbox: MEGAN,
        item: ItemId::new(folder.kind, Uuid::from_u128(number.into())),
        immutable: None,
        moved: None,
        folder,
        change: ChangeType::Created,
        at: NOW,
        created: NOW,
        after: Properties::new(),
        before: Properties::new(),
    }
}

fn span(subscription: Subscription, standing: Standing) -> SubscriptionSpan {
    SubscriptionSpan { subscription: Arc::new(subscription), began: Position(1), ended: None, standing }
}

/// A node that owns Megan's partition, and everything around it.
struct World {
    node: Node,
    micros: u64,
    head: u64,
    attempts: Vec<Attempt>,
    others: Vec<Command>,
}

impl World {
    fn new(subscription: Subscription) -> Self {
        Self::with([subscription])
    }

    fn with(subscriptions: impl IntoIterator<Item = Subscription>) -> Self {
        let spans = subscriptions.into_iter().map(|subscription| span(subscription, Standing::default()));
        Self::from(PartitionState {
            cursor: Position(1),
            head: Position(1),
            wall: NOW,
            subscriptions: spans.collect(),
            ..<_>::default()
        })
    }

    fn from(state: PartitionState) -> Self {
        let node = Node::new(NodeConfig::default());
        let mut world = Self { node, micros: 0, head: 1, attempts: Vec::new(), others: Vec::new() };
        let (partition, epoch) = (Partition::of(MEGAN), EPOCH);
        world.handle(Event::Tick);
        world.renew();
        world.head = state.head.0;
        world.handle(Event::State { partition, epoch, state: Some(state) });
        world.handle(Event::Log { partition, epoch, records: Some(Vec::new()) });
        world
    }

    fn handle(&mut self, event: Event) {
        let now = Now { wall: NOW.plus_micros(self.micros as i64), mono: Monotonic(self.micros) };
        let mut commands = Vec::new();
        self.node.handle(event, now, &mut commands);
        for command in commands {
            match command {
                Command::Attempt(attempt) => self.attempts.push(attempt),
                other => self.others.push(other),
            }
        }
    }

    fn renew(&mut self) {
        let held = vec![(Partition::of(MEGAN), EPOCH)];
        self.handle(Event::Leases { asked: Monotonic(self.micros), renewal: self.head > 1, held });
    }

    fn append(&mut self, records: impl IntoIterator<Item = Record>) {
        let numbered = records.into_iter().map(|record| {
            self.head += 1;
            (Position(self.head), Arc::new(record))
        });
        let records = numbered.collect();
        self.handle(Event::Published { partition: Partition::of(MEGAN), records });
    }

    fn messages(&mut self, count: u64) {
        let (first, inbox) = (self.head, WellKnown::Inbox.id_in(MEGAN));
        self.append((first..first + count).map(|number| Record::Change(created(number, inbox))));
    }

    /// Lets time pass, with the lease renewed and every timer run.
    fn pass(&mut self, micros: u64) {
        let end = self.micros + micros;
        while self.micros < end {
            let wakes = self.node.wakes_at().map_or(end, |at| at.0.max(self.micros + 1));
            self.micros = wakes.min(end);
            self.renew();
            self.handle(Event::Tick);
        }
    }

    /// Records the checkpoints that the node asked for; what they add to the ledger.
    fn recorded(&mut self) -> Vec<LedgerDelta> {
        let mut deltas = Vec::new();
        for command in std::mem::take(&mut self.others) {
            let Command::Checkpoint(checkpoint) = command else { continue };
            let (partition, epoch, number) = (checkpoint.partition, checkpoint.epoch, checkpoint.number);
            deltas.extend(checkpoint.ledger.into_values());
            self.handle(Event::Checkpointed { partition, epoch, number, answer: CheckpointAnswer::Recorded });
        }
        deltas
    }

    fn answer(&mut self, attempt: &Attempt, outcome: Outcome) {
        self.answer_lacking(attempt, outcome, &[]);
    }

    fn answer_lacking(&mut self, attempt: &Attempt, outcome: Outcome, lacks: &[(usize, Lack)]) {
        self.handle(Event::Attempted { attempt: attempt.id, outcome, lacks: lacks.to_vec() });
    }

    fn attempts(&mut self) -> Vec<Attempt> {
        std::mem::take(&mut self.attempts)
    }

    fn attempt(&mut self) -> Attempt {
        let mut attempts = self.attempts();
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        attempts.remove(0)
    }
}

#[test]
fn a_request_carries_a_hundred_notifications_at_most() {
    let mut world = World::new(subscription());
    world.messages(250);
    let counts: Vec<usize> = world.attempts().iter().map(|attempt| attempt.notifications.len()).collect();
    assert_eq!(counts, [100, 100, 50]);
    assert_eq!(NodeConfig::default().batch_bytes_max, 1 << 20);
}

/// Messages with so long a subject, to a subscription that asked for content.
fn with_content(chars: usize, count: u64) -> World {
    let mut world = World::new(rich());
    let after = Properties::from_iter([("subject".to_owned(), "x".repeat(chars).into())]);
    let change = |number| Change { after: after.clone(), ..created(number, WellKnown::Inbox.id_in(MEGAN)) };
    world.append((0..count).map(|number| Record::Change(change(number))));
    world
}

#[test]
fn requests_with_content_are_bounded_by_their_bytes() {
    let sizes = |world: &mut World| -> Vec<usize> {
        world.attempts().iter().map(|attempt| attempt.notifications.len()).collect()
    };
    let mut world = with_content(50_000, 40);
    assert_eq!(sizes(&mut world), [6, 6, 6, 6, 6, 6, 4], "6 of 150 kB each, as estimated, are about a mebibyte");
    assert_eq!(sizes(&mut with_content(2_000_000, 3)), [1, 1, 1], "what exceeds the limit by itself goes alone");
    let mut world = with_content(50_000, 40);
    for attempt in world.attempts() {
        world.answer(&attempt, Outcome::TimedOut);
    }
    world.micros += 10 * SECOND;
    world.renew();
    assert_eq!(sizes(&mut world), [6, 6, 6, 6, 6, 6, 4], "so are those that are tried again, which are all due by now");
}

#[test]
fn a_request_is_for_subscriptions_of_one_version_of_tls() {
    let newer = SubscriptionId(Uuid::from_u128(2));
    let newer = Subscription { id: newer, tls_version: TlsVersion::V1_3, ..subscription() };
    let mut world = World::with([subscription(), newer]);
    world.messages(2);
    let mut offered = Vec::new();
    for attempt in world.attempts() {
        offered.push((attempt.tls, attempt.notifications.len()));
        assert!(attempt.notifications.iter().all(|one| one.subscription.tls_version == attempt.tls));
    }
    assert_eq!(offered, [(TlsVersion::V1_2, 2), (TlsVersion::V1_3, 2)], "although URL and app are the same");
}

#[test]
fn a_request_with_content_is_for_who_knows_the_server_by_one_name() {
    let known_as = |number, origin: Option<&str>| {
        let extras =
            Extras { include_resource_data: origin.is_some(), origin: origin.map(str::to_owned), ..Extras::default() };
        Subscription { id: SubscriptionId(Uuid::from_u128(number)), extras: extras.boxed(), ..subscription() }
    };
    let (one, other) = (Some("https://one.test"), Some("https://other.test"));
    let subscriptions = [known_as(1, None), known_as(2, one), known_as(3, other), known_as(4, one)];
    let mut world = World::with(subscriptions);
    world.messages(1);
    let mut all = Vec::new();
    for attempt in world.attempts() {
        let origins: BTreeSet<_> = attempt.notifications.iter().filter_map(|told| told.subscription.origin()).collect();
        assert_eq!(origins.len(), 1, "their tokens have one issuer for each app");
        all.push(attempt.notifications.len());
    }
    all.sort_unstable();
    assert_eq!(all, [1, 3], "who is told of no content goes with either");
}

#[test]
fn what_a_mailbox_sends_is_delivered_in_the_order_in_which_it_was_sent() {
    let mut world = World::new(subscription());
    let submit = |number: u128, sender: UserId| {
        Record::Submit(Submission {
            id: SubmissionId(Uuid::from_u128(number)),
            tenant: TenantId(Uuid::from_u128(3)),
            app: None,
            sender,
            recipients: vec![UserId(Uuid::from_u128(9))],
            at: NOW,
            message: Properties::new(),
            meeting: None,
        })
    };
    let submitted = |world: &mut World| -> Vec<Position> {
        let commands = std::mem::take(&mut world.others).into_iter();
        let positions = commands.filter_map(|command| match command {
            Command::Submit { position, .. } => Some(position),
            _ => None,
        });
        positions.collect()
    };
    let done = |world: &mut World, position, done| {
        let (partition, epoch) = (Partition::of(MEGAN), EPOCH);
        world.handle(Event::Submitted { partition, epoch, position, done });
    };
    world.append([submit(1, MEGAN), submit(2, MEGAN), submit(3, UserId(Uuid::from_u128(8)))]);
    assert_eq!(submitted(&mut world), [Position(2), Position(4)], "another sender does not wait");
    done(&mut world, Position(2), false);
    assert_eq!(submitted(&mut world), []);
    world.pass(2 * SECOND);
    assert_eq!(submitted(&mut world), [Position(2)], "what failed is tried again before what follows");
    done(&mut world, Position(2), true);
    assert_eq!(submitted(&mut world), [Position(3)]);
    done(&mut world, Position(2), true);
    assert_eq!(submitted(&mut world), [], "an answer that comes twice starts nothing twice");
}

/// For who asks for no content.
struct Unsealed;

impl Sealing for Unsealed {
    fn content(&self, _: &Arc<Subscription>) -> Result<Arc<Content>, Lack> {
        unreachable!("nobody asked for content")
    }

    fn seal(&self, _: &Arc<Subscription>, _: &[u8]) -> Result<EncryptedContent, Lack> {
        unreachable!("nobody asked for content")
    }

    fn token(&self, _: &Arc<Subscription>) -> Result<String, NoToken> {
        unreachable!("nobody asked for content")
    }
}

fn body(attempt: &Attempt) -> String {
    let body = notification::body(&attempt.notifications, 0, &Unsealed).unwrap();
    String::from_utf8(body.bytes.unwrap()).unwrap()
}

#[test]
fn the_item_is_named_by_the_users_id_and_an_unset_state_is_null() {
    let mut world = World::new(subscription());
    world.messages(1);
    let body = body(&world.attempt());
    assert!(body.contains(&format!("\"resource\":\"Users/{MEGAN}/Messages/AAMk")), "{body}");
    assert!(body.contains("\"clientState\":null"), "{body}");
}

#[test]
fn the_first_attempt_gets_three_seconds_and_the_next_ten() {
    let mut world = World::new(subscription());
    world.messages(1);
    let first = world.attempt();
    assert_eq!((first.timeout_micros, &*first.url), (3 * SECOND, "https://hook.example.net/n"));
    world.answer(&first, Outcome::TimedOut);
    world.pass(10 * SECOND);
    let second = world.attempt();
    assert_eq!(second.timeout_micros, 10 * SECOND);
    assert_eq!(second.notifications[0].id, first.notifications[0].id, "the same id in every attempt");
}

#[test]
fn whatever_is_not_acknowledged_is_tried_again_and_no_status_ends_a_subscription() {
    let refused = [301, 400, 404, 410, 413, 429, 500, 503].map(|status| Outcome::Refused { status });
    for outcome in refused.into_iter().chain([Outcome::TimedOut, Outcome::Unreachable, Outcome::Forbidden]) {
        let mut world = World::new(subscription());
        world.messages(1);
        let first = world.attempt();
        world.answer(&first, outcome);
        world.pass(5 * SECOND - 1);
        assert!(world.attempts().is_empty(), "{outcome:?}: tried again too early");
        world.pass(SECOND * 5 / 4 + 2);
        let second = world.attempt();
        world.answer(&second, Outcome::Acknowledged);
        world.messages(1);
        assert_eq!(world.attempt().notifications.len(), 1, "{outcome:?}: it hears of the next change");
    }
}

#[test]
fn what_is_tried_again_is_sealed_for_the_certificate_that_counts_by_then() {
    let certified = |certificate: &str| {
        let extras = Extras {
            include_resource_data: true,
            encryption_certificate: Some(certificate.to_owned()),
            ..Extras::default()
        };
        Subscription { extras: extras.boxed(), ..subscription() }
    };
    let certificate = |attempt: &Attempt| {
        let extras = attempt.notifications[0].subscription.extras.clone();
        extras.and_then(|extras| extras.encryption_certificate).unwrap()
    };
    let mut world = World::new(certified("old"));
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::Refused { status: 503 });
    world.pass(2 * SECOND);
    assert!(
        world.others.iter().any(|one| matches!(one, Command::Checkpoint(checkpoint) if !checkpoint.park.is_empty()))
    );
    let id = subscription().id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Patched(Box::new(certified("new"))) }]);
    world.pass(10 * SECOND);
    let second = world.attempt();
    assert_eq!((certificate(&first), certificate(&second)), ("old".to_owned(), "new".to_owned()));
    assert_eq!(second.notifications[0].id, first.notifications[0].id);
}

#[test]
fn a_batch_that_was_too_large_is_halved() {
    let mut world = World::new(subscription());
    world.messages(8);
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let attempts = world.attempts();
        sizes.push(attempts[0].notifications.len());
        for attempt in &attempts {
            world.answer(attempt, Outcome::Refused { status: 413 });
        }
        world.pass(60 * SECOND);
    }
    assert_eq!(sizes, [8, 4, 2, 1]);
}

/// What the ledgers say in all, when all that was begun is recorded.
fn ledger(world: &mut World) -> LedgerDelta {
    let mut sum = LedgerDelta::default();
    for _ in 0..4 {
        world.pass(SECOND);
        world.recorded().iter().for_each(|delta| sum.add(delta));
    }
    assert!(sum.balances(), "{sum:?}");
    sum
}

#[test]
fn what_could_not_be_sealed_is_abandoned_whatever_the_request_comes_to() {
    for outcome in [Outcome::Acknowledged, Outcome::TimedOut, Outcome::NotSent] {
        let mut world = World::new(subscription());
        world.messages(3);
        let first = world.attempt();
        let lacks = [0, 2].map(|place| (place, Lack::CertificateUnusable));
        world.answer_lacking(&first, outcome, &lacks);
        let mut sum = ledger(&mut world);
        if outcome != Outcome::Acknowledged {
            world.pass(10 * SECOND);
            let again = world.attempt();
            assert_eq!(again.notifications.len(), 1, "{outcome:?}: only what was sent, or should have been");
            assert_eq!(again.notifications[0].id, first.notifications[1].id);
            world.answer(&again, Outcome::Acknowledged);
            sum.add(&ledger(&mut world));
        }
        assert_eq!(sum.abandoned, BTreeMap::from([(AbandonReason::CertificateUnusable, 2)]), "{outcome:?}");
        assert_eq!((sum.matched, sum.delivered, sum.parked), (3, 1, 0), "{outcome:?}");
        world.pass(60 * SECOND);
        assert!(world.attempts().is_empty(), "{outcome:?}: nothing is tried again");
    }
}

#[test]
fn what_is_too_large_counts_as_abandoned_once_the_rest_of_it_is_acknowledged() {
    let mut world = World::new(subscription());
    world.messages(2);
    let first = world.attempt();
    world.answer_lacking(&first, Outcome::Refused { status: 503 }, &[(1, Lack::TooLarge)]);
    world.pass(10 * SECOND);
    let again = world.attempt();
    assert_eq!(again.notifications.len(), 2, "what is too large is told all the same, and tried again like any other");
    world.answer_lacking(&again, Outcome::Acknowledged, &[(1, Lack::TooLarge)]);
    let sum = ledger(&mut world);
    assert_eq!(sum.abandoned, BTreeMap::from([(AbandonReason::TooLarge, 1)]));
    assert_eq!((sum.matched, sum.delivered, sum.parked), (2, 1, 0));
}

#[test]
fn what_comes_after_a_failure_waits_for_it() {
    let mut world = World::new(subscription());
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::Refused { status: 500 });
    world.messages(3);
    assert!(world.attempts().is_empty());
    world.pass(7 * SECOND);
    let again = world.attempt();
    assert_eq!(again.notifications.len(), 1);
    world.answer(&again, Outcome::Acknowledged);
    assert_eq!(world.attempt().notifications.len(), 3);
}

#[test]
fn after_four_hours_a_delivery_is_given_up() {
    let mut world = World::new(subscription());
    world.messages(1);
    let (mut tries, mut abandoned_at) = (0, None);
    while world.micros < 5 * HOUR {
        for attempt in world.attempts() {
            tries += 1;
            assert!(world.micros < 4 * HOUR, "tried after four hours");
            world.answer(&attempt, Outcome::Unreachable);
        }
        world.pass(20 * SECOND);
        let abandoned = world.recorded().into_iter().any(|delta| delta.abandoned.contains_key(&AbandonReason::Horizon));
        abandoned_at = abandoned_at.or(abandoned.then_some(world.micros));
    }
    assert!(tries > 20, "{tries} attempts");
    let abandoned_at = abandoned_at.expect("it is recorded as abandoned");
    assert!((4 * HOUR..4 * HOUR + 15 * 60 * SECOND).contains(&abandoned_at), "after {} s", abandoned_at / SECOND);
}

#[test]
fn a_subscription_that_expires_ends_in_silence() {
    let mut world = World::new(Subscription { expires: NOW.plus_minutes(45), ..subscription() });
    let ends = |world: &World| {
        world.others.iter().filter(|command| matches!(command, Command::Step { step: Step::End, .. })).count()
    };
    for minutes in [15, 30] {
        world.pass(15 * 60 * SECOND);
        world.append([asks(minutes)]);
        let attempt = world.attempt();
        world.answer(&attempt, Outcome::Acknowledged);
    }
    world.pass(15 * 60 * SECOND - 1);
    assert_eq!(ends(&world), 0);
    world.pass(1);
    assert_eq!(ends(&world), 1);
    let id = subscription().id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::Expired) }]);
    world.messages(1);
    world.pass(60 * SECOND);
    assert!(world.attempts().is_empty(), "neither a change nor a lifecycle notification is sent");
}

/// The times of the cadence for which the node asks, with when it does so, in seconds since `NOW`.
fn asked(world: &World) -> Vec<i64> {
    let times = world.others.iter().filter_map(|command| match command {
        Command::Step { step: Step::Ask { due, .. }, .. } => Some(due.since(NOW) / SECOND as i64),
        _ => None,
    });
    times.collect()
}

fn asks(due_minutes: i64) -> Record {
    let (subscription, due) = (subscription().id, NOW.plus_minutes(due_minutes));
    let (id, event) = (reauthorization::question_id(subscription, due), LifecycleEvent::ReauthorizationRequired);
    Record::Lifecycle { id, subscription, event, cause: Some(Cause::RunsOut { due }) }
}

#[test]
fn an_app_is_asked_to_reauthorize_before_its_subscription_runs_out() {
    let mut world = World::new(Subscription { expires: NOW.plus_minutes(45), ..subscription() });
    world.pass(15 * 60 * SECOND - 1);
    assert_eq!(asked(&world), [] as [i64; 0]);
    world.pass(1);
    assert_eq!(asked(&world), [15 * 60]);
    world.append([asks(15)]);
    let attempt = world.attempt();
    assert_eq!(&*attempt.url, "https://hook.example.net/l");
    assert!(body(&attempt).contains("reauthorizationRequired"));
    world.answer(&attempt, Outcome::Acknowledged);
    world.pass(15 * 60 * SECOND);
    assert_eq!(asked(&world), [15 * 60, 30 * 60]);
}

#[test]
fn who_has_no_lifecycle_url_is_not_asked() {
    let expires = NOW.plus_minutes(45);
    let mut world = World::new(Subscription { expires, lifecycle_url: None, ..subscription() });
    world.pass(44 * 60 * SECOND);
    assert_eq!(asked(&world), [] as [i64; 0]);
}

#[test]
fn a_renewal_puts_the_next_question_off() {
    let first = Subscription { expires: NOW.plus_minutes(45), ..subscription() };
    let mut world = World::new(first.clone());
    world.pass(10 * 60 * SECOND);
    let renewed = Subscription { authorized: NOW.plus_minutes(10), expires: NOW.plus_minutes(55), ..first };
    let event = SubscriptionEvent::Patched(Box::new(renewed));
    world.append([Record::Subscription { id: subscription().id, event }]);
    world.pass(14 * 60 * SECOND);
    assert_eq!(asked(&world), [] as [i64; 0]);
    world.pass(60 * SECOND);
    assert_eq!(asked(&world), [25 * 60]);
}

#[test]
fn what_could_not_be_asked_is_asked_again_for_the_same_time() {
    let mut world = World::new(Subscription { expires: NOW.plus_minutes(45), ..subscription() });
    world.pass(15 * 60 * SECOND);
    let (partition, subscription) = (Partition::of(MEGAN), subscription().id);
    world.handle(Event::Stepped { partition, subscription, done: false });
    world.pass(2 * SECOND);
    assert_eq!(asked(&world), [15 * 60, 15 * 60]);
}

/// How often the node pauses.
fn pauses(world: &World) -> usize {
    let is_pause = |command: &&Command| matches!(command, Command::Step { step: Step::Pause, .. });
    world.others.iter().filter(is_pause).count()
}

fn loses_access() -> Record {
    let (subscription, event) = (subscription().id, LifecycleEvent::ReauthorizationRequired);
    let cause = Some(Cause::AccessLost { at: NOW });
    Record::Lifecycle { id: ChangeId(Uuid::from_u128(0xacce55)), subscription, event, cause }
}

#[test]
fn lost_access_that_is_not_regained_pauses_after_a_quarter_of_an_hour() {
    let mut world = World::new(subscription());
    world.append([loses_access()]);
    world.pass(15 * 60 * SECOND - 1);
    assert_eq!(pauses(&world), 0);
    world.pass(1);
    assert_eq!(pauses(&world), 1);
    let mut world = World::new(subscription());
    world.append([loses_access()]);
    let again = Subscription { authorized: NOW.plus_minutes(1), ..subscription() };
    let event = SubscriptionEvent::Patched(Box::new(again));
    world.append([Record::Subscription { id: subscription().id, event }]);
    world.pass(HOUR);
    assert_eq!(pauses(&world), 0, "the app has shown that it may be told");
}

#[test]
fn where_the_end_of_a_token_counts_its_app_is_asked_before_and_paused_then() {
    let quarter = 15 * 60 * SECOND;
    let mut world = World::new(subscription().authorized_at(NOW, Some(NOW.plus_minutes(45))));
    for due in [15, 30] {
        world.pass(quarter);
        world.append([asks(due)]);
    }
    world.pass(quarter - 1);
    assert_eq!((asked(&world).as_slice(), pauses(&world)), (&[15 * 60, 30 * 60][..], 0));
    world.pass(1);
    assert_eq!(pauses(&world), 1);
}

#[test]
fn a_fresh_token_puts_the_pause_off() {
    let untold = Subscription { lifecycle_url: None, ..subscription() };
    let of_token = |minutes| untold.clone().authorized_at(NOW, Some(NOW.plus_minutes(minutes)));
    let mut world = World::new(of_token(45));
    world.pass(10 * 60 * SECOND);
    let event = SubscriptionEvent::Patched(Box::new(of_token(120)));
    world.append([Record::Subscription { id: subscription().id, event }]);
    world.pass(2 * HOUR - 10 * 60 * SECOND - 1);
    assert_eq!(pauses(&world), 0);
    world.pass(1);
    assert_eq!(pauses(&world), 1);
}

#[test]
fn what_falls_into_a_pause_is_not_told_but_what_came_before_is() {
    let mut world = World::new(subscription());
    let id = subscription().id;
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::TimedOut);
    world.append([Record::Subscription { id, event: SubscriptionEvent::Paused }]);
    world.messages(3);
    world.pass(60 * SECOND);
    let again = world.attempt();
    assert_eq!(again.notifications.len(), 1, "what came before the pause");
    world.answer(&again, Outcome::Acknowledged);
    let resumed = Subscription { authorized: NOW.plus_minutes(1), ..subscription() };
    let patched = SubscriptionEvent::Patched(Box::new(resumed));
    let events = [patched, SubscriptionEvent::Resumed].map(|event| Record::Subscription { id, event });
    world.append(events);
    world.messages(1);
    assert_eq!(world.attempt().notifications.len(), 1, "what came after the pause");
    let mut paused = 0;
    for _ in 0..4 {
        world.pass(SECOND);
        let deltas = world.recorded();
        paused += deltas.iter().filter_map(|delta| delta.abandoned.get(&AbandonReason::Paused)).sum::<u64>();
    }
    assert_eq!(paused, 3);
}

#[test]
fn an_end_that_the_app_did_not_bring_about_is_told_until_it_is_heard() {
    let mut world = World::new(subscription());
    let id = subscription().id;
    world.messages(1);
    let change = world.attempt();
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::SessionsEnded) }]);
    let told = world.attempt();
    assert_eq!(&*told.url, "https://hook.example.net/l");
    assert!(body(&told).contains("subscriptionRemoved"));
    world.answer(&change, Outcome::TimedOut);
    world.answer(&told, Outcome::TimedOut);
    world.messages(1);
    world.pass(60 * SECOND);
    let again = world.attempt();
    assert_eq!((again.url, again.notifications[0].id), (told.url, told.notifications[0].id));
}

#[test]
fn a_folder_is_watched_without_its_children_and_a_mailbox_with_all() {
    let (inbox, archive) = (WellKnown::Inbox.id_in(MEGAN), WellKnown::Archive.id_in(MEGAN));
    let of = |folder| Subscription { target: messages_in(folder), ..subscription() };
    let child = FolderId::new(Kind::Message, Uuid::from_u128(77));
    for (folder, heard) in [(None, [true, true, true]), (Some(inbox), [true, false, false])] {
        let sees =
            [inbox, child, archive].map(|place| Interest::of(&of(folder)).unwrap().sees(&created(1, place)).is_some());
        assert_eq!(sees, heard, "{folder:?}");
    }
    let calendar = WellKnown::Calendar.id_in(MEGAN);
    assert_eq!(Interest::of(&of(None)).unwrap().sees(&created(1, calendar)), None, "messages are no events");
}

/// The two halves of a move.
fn moved(from: FolderId, to: FolderId) -> [Change; 2] {
    let mut gone = created(1, from);
    gone.change = ChangeType::Deleted;
    gone.moved = Some(to);
    let mut here = created(2, to);
    here.immutable = Some(gone.item.uuid);
    here.moved = Some(from);
    [gone, here]
}

#[test]
fn a_move_is_one_update_to_who_watches_both_ends_by_immutable_ids() {
    let (inbox, archive) = (WellKnown::Inbox.id_in(MEGAN), WellKnown::Archive.id_in(MEGAN));
    let of = |folder, immutable_ids| Subscription {
        target: messages_in(folder),
        change_types: ChangeType::ALL.into_iter().collect(),
        immutable_ids,
        ..subscription()
    };
    let halves = moved(inbox, archive);
    let sees = |of: Subscription| [0, 1].map(|half| Interest::of(&of).unwrap().sees(&halves[half]));
    let (deleted, created) = (Some(ChangeType::Deleted), Some(ChangeType::Created));
    assert_eq!(sees(of(None, false)), [deleted, created]);
    assert_eq!(sees(of(None, true)), [None, Some(ChangeType::Updated)]);
    for immutable_ids in [false, true] {
        assert_eq!(sees(of(Some(inbox), immutable_ids)), [deleted, None]);
        assert_eq!(sees(of(Some(archive), immutable_ids)), [None, created]);
    }
    let keys = |of: Subscription| [of.item_key(&halves[0]), of.item_key(&halves[1])];
    let [before, after] = keys(of(None, true));
    assert_eq!(before, after, "the immutable id stays");
    let [before, after] = keys(of(None, false));
    assert_ne!(before, after);
}

#[test]
fn an_item_that_comes_back_is_told_of_in_order_by_its_immutable_id() {
    let (inbox, archive) = (WellKnown::Inbox.id_in(MEGAN), WellKnown::Archive.id_in(MEGAN));
    let target = messages_in(Some(inbox));
    let change_types = ChangeType::ALL.into_iter().collect();
    let mut world = World::new(Subscription { target, change_types, immutable_ids: true, ..subscription() });
    let [gone, _] = moved(inbox, archive);
    let [_, mut back] = moved(archive, inbox);
    back.immutable = Some(gone.item.uuid);
    world.append([Record::Change(gone), Record::Change(back)]);
    world.pass(SECOND);
    let sizes: Vec<usize> = world.attempts().iter().map(|attempt| attempt.notifications.len()).collect();
    assert_eq!(sizes, [1], "the return waits until the departure was acknowledged");
}

/// A node that has taken over a subscription of that standing with a parked delivery, which is due then.
fn taken_over(subscription: Subscription, standing: Standing, due: Timestamp) -> World {
    let (partition, epoch) = (Partition::of(MEGAN), EPOCH);
    let stream = Stream { subscription: subscription.id, kind: StreamKind::Changes };
    let mut world = World::from(PartitionState {
        cursor: Position(9),
        head: Position(9),
        wall: NOW,
        subscriptions: vec![span(subscription, standing)],
        parked: vec![stream],
        ..<_>::default()
    });
    let reference = ParkedRef { position: Position(5), change: Some(ChangeType::Created) };
    let row = Parked { stream, refs: vec![reference], attempts: 4, due, since: NOW, batch_max: 1 };
    let records = vec![Arc::new(Record::Change(created(5, WellKnown::Inbox.id_in(MEGAN))))];
    world.handle(Event::Parked { partition, epoch, stream, rows: Some(vec![LoadedParked { row, records }]) });
    world
}

#[test]
fn what_is_loaded_from_parked_rows_takes_no_room_from_new_matches() {
    let world = taken_over(subscription(), Standing::default(), NOW.plus_minutes(5));
    let stats = world.node.stats();
    assert_eq!((stats.deliveries_in_memory, stats.deliveries_unparked), (1, 0));
}

fn rich() -> Subscription {
    let extras = Extras { include_resource_data: true, ..Extras::default() };
    Subscription { extras: extras.boxed(), ..subscription() }
}

/// Its app has shown that it may be told, a minute after it lost access.
fn regains_access() -> Record {
    let again = Subscription { authorized: NOW.plus_minutes(1), ..rich() };
    Record::Subscription { id: again.id, event: SubscriptionEvent::Patched(Box::new(again)) }
}

/// Of each notification, whether it goes without content because access is lost; nothing is sealed for those.
fn withheld(attempt: &Attempt) -> Vec<bool> {
    let withheld: Vec<_> = attempt.notifications.iter().map(|one| one.access_lost).collect();
    if withheld.iter().all(|withheld| *withheld) {
        let body = body(attempt);
        assert!(body.contains("#microsoft.graph.message") && !body.contains("encryptedContent"), "{body}");
    }
    withheld
}

#[test]
fn who_has_lost_access_is_told_of_no_content_until_it_has_it_again() {
    let mut world = World::new(Subscription { lifecycle_url: None, ..rich() });
    world.messages(1);
    let before = world.attempt();
    assert_eq!(withheld(&before), [false]);
    world.answer(&before, Outcome::Refused { status: 503 });
    world.append([loses_access()]);
    world.pass(10 * SECOND);
    let again = world.attempt();
    assert_eq!((again.notifications[0].id, withheld(&again)), (before.notifications[0].id, vec![true]));
    world.answer_lacking(&again, Outcome::Acknowledged, &[(0, Lack::AccessLost)]);
    world.messages(1);
    let new = world.attempt();
    assert_eq!(withheld(&new), [true]);
    world.answer_lacking(&new, Outcome::Refused { status: 503 }, &[(0, Lack::AccessLost)]);
    world.append([regains_access()]);
    world.messages(1);
    world.pass(10 * SECOND);
    let again = world.attempt();
    assert_eq!((again.notifications[0].id, withheld(&again)), (new.notifications[0].id, vec![false]));
    world.answer(&again, Outcome::Acknowledged);
    let last = world.attempt();
    assert_eq!(withheld(&last), [false]);
    world.answer(&last, Outcome::Acknowledged);
    let sum = ledger(&mut world);
    assert_eq!(sum.abandoned, BTreeMap::from([(AbandonReason::AccessLost, 1)]));
    assert_eq!((sum.matched, sum.delivered, sum.parked), (3, 2, 0));
}

#[test]
fn who_takes_over_knows_who_has_lost_access() {
    let lost = Standing { lost: Some(NOW), ..Standing::default() };
    let parked = taken_over(rich(), lost.clone(), NOW).attempt();
    assert_eq!(withheld(&parked), [true], "what waited in the store");
    let mut world = taken_over(rich(), lost, NOW);
    let first = world.attempt();
    world.answer_lacking(&first, Outcome::TimedOut, &[(0, Lack::AccessLost)]);
    world.append([regains_access()]);
    world.pass(HOUR);
    assert_eq!(withheld(&world.attempt()), [false]);
    assert_eq!(withheld(&taken_over(rich(), Standing::default(), NOW).attempt()), [false]);
}

const TENANT: TenantId = TenantId(Uuid::from_u128(3));

fn watching(resource: &str) -> Subscription {
    let place = registry::place(resource).unwrap();
    let asked = registry::Asked::read(&place, Some(MEGAN)).unwrap();
    let watched = Watched { resource: place.kind, owner: place.user.map(|_| MEGAN), places: asked.places };
    let id = SubscriptionId(Uuid::new_v5(&Uuid::nil(), resource.as_bytes()));
    Subscription { id, resource: resource.to_owned(), target: Target::Resource(Box::new(watched)), ..subscription() }
}

/// A change of what lies at a path, with its state after.
fn ingested(number: u64, path: &str, after: serde_json::Value) -> Record {
    let thing = registry::thing(path, |_| Ok::<_, registry::ThingError>(MEGAN)).unwrap();
    Record::Ingested(Box::new(Ingested {
        id: ChangeId(Uuid::from_u128(number.into())),
        tenant: TENANT,
        thing,
        happened: Happened::Updated,
        at: NOW,
        before: None,
        after: after.as_object().cloned(),
    }))
}

/// The resources that the attempts so far tell of, by the resource that was subscribed to.
fn told(world: &mut World) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for notification in world.attempts().into_iter().flat_map(|attempt| attempt.notifications) {
        let Record::Ingested(change) = &*notification.record else { panic!("a change of a resource") };
        told.entry(notification.subscription.resource.clone()).or_default().push(change.thing.text());
    }
    told
}

#[test]
fn a_change_of_a_resource_is_heard_where_the_table_says_and_nowhere_else() {
    let chats = ["chats/a/messages", "chats/b/messages", "chats/getAllMessages", "teams/getAllMessages", "users"];
    let mut world = World::with(chats.map(watching));
    let nothing = || serde_json::json!({});
    world.append([
        ingested(1, "chats/a/messages/1", nothing()),
        ingested(2, "chats/c/messages/2", nothing()),
        ingested(3, "users/7", nothing()),
        ingested(4, "groups/7", nothing()),
    ]);
    world.pass(SECOND);
    let told = told(&mut world);
    assert_eq!(told["chats/a/messages"], ["chats/a/messages/1"]);
    assert_eq!(told["chats/getAllMessages"], ["chats/a/messages/1", "chats/c/messages/2"]);
    assert_eq!(told["users"], [format!("users/{MEGAN}")]);
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn the_resources_of_another_tenant_are_not_heard() {
    let other = Subscription { tenant: TenantId(Uuid::from_u128(9)), ..watching("users") };
    let mut world = World::new(other);
    world.append([ingested(1, "users/7", serde_json::json!({}))]);
    world.pass(SECOND);
    assert!(world.attempts().is_empty());
}

#[test]
fn changes_of_one_resource_go_one_after_the_other() {
    let mut world = World::new(watching("groups"));
    world.append(["groups/1", "groups/1/members", "groups/2"].map(|path| ingested(1, path, serde_json::json!({}))));
    world.pass(SECOND);
    let attempt = world.attempt();
    let paths = |attempt: &Attempt| -> Vec<String> {
        let texts = attempt.notifications.iter().map(|notification| match &*notification.record {
            Record::Ingested(change) => change.thing.text(),
            _ => String::new(),
        });
        texts.collect()
    };
    assert_eq!(paths(&attempt), ["groups/1", "groups/2"], "the members of a group are the group's");
    world.answer(&attempt, Outcome::Acknowledged);
    world.pass(SECOND);
    assert_eq!(paths(&world.attempt()), ["groups/1/members"]);
}

#[test]
fn an_ended_subscription_to_resources_hears_nothing() {
    let mut world = World::new(watching("users"));
    let id = watching("users").id;
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::Deleted) }]);
    world.append([ingested(1, "users/7", serde_json::json!({}))]);
    world.pass(60 * SECOND);
    assert!(world.attempts().is_empty());
    world.recorded();
    world.append([ingested(2, "users/7", serde_json::json!({}))]);
    world.pass(60 * SECOND);
    assert!(world.attempts().is_empty(), "nor once it is forgotten");
}

#[test]
fn apps_hear_of_the_lives_of_subscriptions_to_every_resource() {
    let of_users = Subscription { expires: NOW.plus_minutes(45), ..watching("users") };
    let id = of_users.id;
    let mut world = World::new(of_users);
    world.pass(15 * 60 * SECOND);
    assert_eq!(asked(&world), [15 * 60]);
    world.append([Record::Subscription { id, event: SubscriptionEvent::Ended(EndReason::AppRemoved) }]);
    let told = world.attempt();
    assert!(body(&told).contains("subscriptionRemoved"));
}
