//! What new notifications come to while their endpoint is slow or dropping.

use tidings_notify::HealthLimits;

use super::*;

/// Few responses suffice, and two notifications of a window go at once.
const LIMITS: HealthLimits = HealthLimits { responses_min: 4, probes: 2, ..HealthLimits::documented() };

fn endpoint() -> EndpointId {
    EndpointId::of(subscription().app, &subscription().notification_url)
}

fn config(health: HealthLimits) -> NodeConfig {
    NodeConfig { health, batch_max: 1, ..NodeConfig::default() }
}

/// A world in which so much is stored of the endpoint.
fn beginning_with(stored: impl IntoIterator<Item = StoredHealth>) -> World {
    beginning_within(LIMITS, stored)
}

fn beginning_within(limits: HealthLimits, stored: impl IntoIterator<Item = StoredHealth>) -> World {
    let subscriptions = vec![span(subscription(), Standing::default())];
    let (cursor, head) = (Position(1), Position(1));
    let health = stored.into_iter().map(|stored| (endpoint(), stored)).collect();
    World::of(config(limits), PartitionState { cursor, head, wall: NOW, subscriptions, health, ..<_>::default() })
}

fn slow_until(minutes: i64) -> StoredHealth {
    StoredHealth { health: Health::Slow, is_closed: false, ends: NOW.plus_minutes(minutes) }
}

fn dropping_until(minutes: i64) -> StoredHealth {
    StoredHealth { health: Health::Dropping, is_closed: true, ends: NOW.plus_minutes(minutes) }
}

/// The next process takes the partition over, with what is stored of endpoints and nothing to deliver.
fn taken_over_from(world: &World) -> World {
    let subscriptions = vec![span(subscription(), Standing::default())];
    let (cursor, head) = (Position(world.head), Position(world.head));
    let (wall, health) = (NOW.plus_micros(world.micros as i64), world.health.clone());
    let state = PartitionState { cursor, head, wall, subscriptions, health, ..<_>::default() };
    World::at(world.micros, config(LIMITS), state)
}

/// A world whose endpoint has just answered the retries of four messages in so many seconds.
fn after_retries_of(seconds: u64, outcome: Outcome) -> World {
    retried(beginning_with([]), seconds, outcome)
}

fn retried(mut world: World, seconds: u64, outcome: Outcome) -> World {
    world.messages(4);
    for attempt in world.attempts() {
        world.answer(&attempt, Outcome::Unreachable);
    }
    let mut answered = 0;
    while answered < 4 {
        world.pass(seconds * SECOND);
        for attempt in world.attempts() {
            world.answer(&attempt, outcome);
            answered += 1;
        }
    }
    settle(&mut world);
    world
}

fn stats(world: &World) -> (usize, usize) {
    let stats = world.node.stats();
    (stats.endpoints_slow, stats.endpoints_dropping)
}

#[test]
fn to_a_slow_endpoint_new_notifications_go_ten_minutes_later_apart_from_a_few() {
    let mut world = after_retries_of(5, Outcome::Acknowledged);
    assert_eq!(stats(&world), (1, 0));
    world.messages(6);
    let probes = world.attempts();
    assert_eq!(probes.len(), 2, "a small portion");
    for attempt in probes {
        world.answer(&attempt, Outcome::Acknowledged);
    }
    settle(&mut world);
    world.pass(590 * SECOND);
    assert!(world.attempts().is_empty());
    let now = Now { wall: NOW.plus_micros(world.micros as i64), mono: Monotonic(world.micros) };
    assert_eq!(world.node.stats_at(now).oldest_due_micros, 0, "what is held on purpose is not due");
    world.pass(10 * SECOND);
    let held = world.attempts();
    assert_eq!(held.len(), 4, "after ten minutes");
    for attempt in held {
        assert_eq!(attempt.timeout_micros, 3 * SECOND, "it is their first attempt");
        world.answer(&attempt, Outcome::Acknowledged);
    }
    world.messages(4);
    assert_eq!((world.attempts().len(), stats(&world)), (4, (0, 0)), "what was tried was in time");
    assert_eq!(ledger(&mut world).abandoned, BTreeMap::new());
}

#[test]
fn a_topic_is_never_slow_since_what_takes_long_is_the_store() {
    let topic =
        "EventGrid:?azuresubscriptionid=8d4f6d16-47a1-4b9c-9b4f-0c7e4fbd5d3a&resourcegroup=rg1&partnertopic=mail";
    let told = Subscription { notification_url: format!("{topic}&location=westeurope"), ..subscription() };
    let subscriptions = vec![span(told, Standing::default())];
    let (cursor, head) = (Position(1), Position(1));
    let state = PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() };
    let mut world = retried(World::of(config(LIMITS), state), 5, Outcome::Acknowledged);
    assert_eq!(stats(&world), (0, 0));
    world.messages(3);
    assert_eq!(world.attempts().len(), 3);
}

#[test]
fn who_takes_over_holds_what_was_held() {
    let mut world = after_retries_of(5, Outcome::Acknowledged);
    world.messages(3);
    for attempt in world.attempts() {
        world.answer(&attempt, Outcome::Acknowledged);
    }
    let mut rows = Vec::new();
    for _ in 0..3 {
        world.pass(SECOND);
        let parked = world.others.iter().filter_map(|command| match command {
            Command::Checkpoint(checkpoint) => checkpoint.park.first(),
            _ => None,
        });
        rows.extend(parked.cloned());
        world.recorded();
    }
    let [row] = &rows[..] else { panic!("what is held is parked: {rows:?}") };
    let row = row.clone();
    let in_seconds = row.due.since(NOW) / SECOND as i64 - world.micros as i64 / SECOND as i64;
    assert_eq!((row.attempts, row.refs.len()), (0, 1));
    assert!((595..=601).contains(&in_seconds), "{in_seconds}");

    let (partition, epoch, stream) = (Partition::of(MEGAN), EPOCH, row.stream);
    let mut world = World::from(PartitionState {
        cursor: Position(9),
        head: Position(9),
        wall: NOW,
        subscriptions: vec![span(subscription(), Standing::default())],
        parked: BTreeMap::from([(stream, 700)]),
        ..<_>::default()
    });
    let (due, records) =
        (NOW.plus_minutes(9), vec![Arc::new(Record::Change(created(5, WellKnown::Inbox.id_in(MEGAN))))]);
    let row = Parked { due, since: NOW, ..row };
    world.handle(Event::Parked { partition, epoch, stream, rows: Some(vec![LoadedParked { row, records }]) });
    world.pass(9 * 60 * SECOND - 1);
    assert!(world.attempts().is_empty());
    world.pass(1);
    assert_eq!(world.attempt().timeout_micros, 3 * SECOND);
}

#[test]
fn what_is_held_goes_in_time_when_what_stood_before_it_was_given_up() {
    let (partition, epoch) = (Partition::of(MEGAN), EPOCH);
    let stream = Stream { subscription: subscription().id, kind: StreamKind::Changes };
    let mut world = World::from(PartitionState {
        cursor: Position(9),
        head: Position(9),
        wall: NOW,
        subscriptions: vec![span(subscription(), Standing::default())],
        parked: BTreeMap::from([(stream, 700)]),
        ..<_>::default()
    });
    let row = |position, (since, due)| {
        let refs = vec![ParkedRef { position: Position(position), change: Some(ChangeType::Created) }];
        let row = Parked { stream, refs, attempts: 0, due, since, batch_max: 1, pushed: None, bytes: 700 };
        let change = created(position, WellKnown::Inbox.id_in(MEGAN));
        LoadedParked { row, records: vec![Arc::new(Record::Change(change))] }
    };
    let long_ago = NOW.plus_minutes(-300);
    let rows = vec![row(4, (long_ago, long_ago)), row(5, (NOW, NOW.plus_minutes(9)))];
    world.handle(Event::Parked { partition, epoch, stream, rows: Some(rows) });
    assert!(world.attempts().is_empty());
    world.pass(9 * 60 * SECOND);
    assert_eq!(world.attempt().notifications.len(), 1);
}

#[test]
fn what_is_new_to_a_dropping_endpoint_is_given_up_and_the_app_told_once_it_is_back() {
    let mut world = after_retries_of(10, Outcome::TimedOut);
    assert_eq!(stats(&world), (0, 1));
    let told = |world: &World| {
        let is_missed = |command: &&Command| matches!(command, Command::Step { step: Step::Missed { .. }, .. });
        world.others.iter().filter(is_missed).count()
    };
    world.messages(3);
    let dropped = ledger(&mut world);
    assert_eq!(dropped.abandoned, BTreeMap::from([(AbandonReason::EndpointDropping, 3)]));
    let mut answered = 0;
    while world.micros < 8 * 60 * SECOND {
        for attempt in world.attempts() {
            world.answer(&attempt, Outcome::Acknowledged);
            answered += 1;
        }
        world.pass(20 * SECOND);
        world.recorded();
    }
    assert_eq!((answered, told(&world)), (4, 0), "what was parked before is retried, and shows nothing");
    world.pass(10 * 60 * SECOND);
    world.messages(3);
    let probes = world.attempts();
    assert_eq!(probes.len(), 2, "a small portion");
    for attempt in probes {
        world.answer(&attempt, Outcome::Acknowledged);
    }
    settle(&mut world);
    assert_eq!((stats(&world), told(&world)), ((0, 0), 1), "it is back, and all four are told of by one");
}

#[test]
fn what_tells_of_a_subscriptions_life_is_neither_held_nor_dropped() {
    for (seconds, outcome) in [(5, Outcome::Acknowledged), (10, Outcome::TimedOut)] {
        let lifecycle_url = Some(subscription().notification_url);
        let mut world = after_retries_of(seconds, outcome);
        let event = SubscriptionEvent::Patched(Box::new(Subscription { lifecycle_url, ..subscription() }));
        world.append([Record::Subscription { id: subscription().id, event }]);
        world.messages(2);
        while let Some(attempt) = world.attempts.pop() {
            world.answer(&attempt, Outcome::Acknowledged);
        }
        for number in 0..3 {
            let (subscription, event) = (subscription().id, LifecycleEvent::ReauthorizationRequired);
            let id = ChangeId(Uuid::from_u128(0x11fe + number));
            world.append([Record::Lifecycle { id, subscription, event, cause: None }]);
            let told = world.attempt();
            assert_eq!(told.notifications.len(), 1, "{outcome:?}");
            world.answer(&told, Outcome::Acknowledged);
        }
    }
}

#[test]
fn who_cannot_be_reached_has_not_responded() {
    for outcome in [Outcome::Unreachable, Outcome::Forbidden, Outcome::NotSent] {
        let world = after_retries_of(10, outcome);
        assert_eq!(stats(&world), (0, 0), "{outcome:?}");
    }
}

#[test]
fn who_takes_over_while_an_endpoint_is_slow_holds_what_is_new() {
    let mut world = taken_over_from(&after_retries_of(5, Outcome::Acknowledged));
    assert_eq!(stats(&world), (1, 0));
    world.messages(6);
    let probes = world.attempts();
    assert_eq!(probes.len(), 2, "a small portion");
    for attempt in probes {
        world.answer(&attempt, Outcome::Acknowledged);
    }
    settle(&mut world);
    world.pass(590 * SECOND);
    assert!(world.attempts().is_empty());
    world.pass(10 * SECOND);
    assert_eq!(world.attempts().len(), 4, "after ten minutes");
}

#[test]
fn who_takes_over_while_an_endpoint_is_dropping_gives_up_what_is_new_until_some_is_to_be_tried() {
    let mut world = taken_over_from(&after_retries_of(10, Outcome::TimedOut));
    assert_eq!(stats(&world), (0, 1));
    world.messages(3);
    assert_eq!(ledger(&mut world).abandoned, BTreeMap::from([(AbandonReason::EndpointDropping, 3)]));
    assert!(world.attempts().is_empty());
    world.pass(600 * SECOND);
    world.messages(4);
    let probes = world.attempts();
    assert_eq!(probes.len(), 2, "a small portion");
    for attempt in probes {
        world.answer(&attempt, Outcome::Acknowledged);
    }
    assert_eq!(stats(&world), (0, 0));
    settle(&mut world);
    assert_eq!(world.health, BTreeMap::new());
}

#[test]
fn the_health_of_an_endpoint_stays_while_one_is_told_there_though_another_that_came_to_its_app_has_ended() {
    let foreign = Subscription { id: SubscriptionId(Uuid::from_u128(0xf0)), app: AppId(Uuid::nil()), ..subscription() };
    let adopted = Subscription { app: subscription().app, ..foreign.clone() };
    let subscriptions = [subscription(), foreign].map(|one| span(one, Standing::default())).into();
    let (cursor, head, health) = (Position(1), Position(1), [(endpoint(), slow_until(10))].into());
    let state = PartitionState { cursor, head, wall: NOW, subscriptions, health, ..<_>::default() };
    let mut world = World::of(config(LIMITS), state);
    let (id, ended) = (adopted.id, SubscriptionEvent::Ended(EndReason::Deleted));
    world.append([Record::Subscription { id, event: SubscriptionEvent::Patched(Box::new(adopted)) }]);
    world.append([Record::Subscription { id, event: ended }]);
    settle(&mut world);
    assert_eq!(world.health, [(endpoint(), slow_until(10))].into());
}

#[test]
fn health_whose_time_passed_while_nobody_ran_is_over_and_goes_from_the_store() {
    for over in [slow_until(0), dropping_until(-10)] {
        let mut world = beginning_with([over]);
        world.messages(6);
        assert_eq!(world.attempts().len(), 6, "{over:?}");
        settle(&mut world);
        assert_eq!(world.health, BTreeMap::new(), "{over:?}");
    }
    let mut world = beginning_with([dropping_until(-4)]);
    world.messages(6);
    assert_eq!(world.attempts().len(), 2, "it has been time to try some for four minutes");
    settle(&mut world);
    let tried = StoredHealth { is_closed: false, ..dropping_until(6) };
    assert_eq!(world.health, BTreeMap::from([(endpoint(), tried)]));
    let mut world = beginning_with([dropping_until(-4)]);
    world.pass(6 * 60 * SECOND);
    world.messages(6);
    assert_eq!(world.attempts().len(), 6, "nothing was heard of it in its window");
}

#[test]
fn where_no_endpoint_is_ever_slow_or_dropping_what_is_stored_counts_for_nothing_and_goes() {
    for stored in [slow_until(9), dropping_until(9)] {
        let mut world = beginning_within(LIMITS.none(), [stored]);
        world.messages(6);
        assert_eq!(world.attempts().len(), 6, "{stored:?}");
        settle(&mut world);
        assert_eq!(world.health, BTreeMap::new());
    }
}

/// The wall clock was a day ahead when this was stored, or has gone back by one since.
#[test]
fn a_wall_clock_that_jumped_makes_no_endpoint_slow_or_dropping_for_longer_than_its_window() {
    let day = 24 * 60;
    let mut world = beginning_with([slow_until(day)]);
    settle(&mut world);
    assert_eq!(world.health, BTreeMap::from([(endpoint(), slow_until(10))]), "it is put right at once");
    world.pass(600 * SECOND);
    world.messages(6);
    assert_eq!(world.attempts().len(), 6);
    let mut world = beginning_with([dropping_until(day)]);
    world.messages(1);
    assert!(world.attempts().is_empty());
    world.pass(600 * SECOND);
    world.messages(6);
    assert_eq!(world.attempts().len(), 2);
}

/// Has the node take over another partition, in which Adele's subscription names the same endpoint.
fn take_over_another(world: &mut World, stored: Option<StoredHealth>) -> Partition {
    let adele = UserId(Uuid::from_u128(0xade1e));
    let (partition, epoch) = (Partition::of(adele), EPOCH);
    assert_ne!(partition, Partition::of(MEGAN));
    let (id, target) = (SubscriptionId(Uuid::from_u128(9)), messages_in_mailbox_of(adele));
    let notification_url = format!("{}?of=adele", subscription().notification_url);
    let subscription = Subscription { id, target, notification_url, ..subscription() };
    let subscriptions = vec![span(subscription, Standing::default())];
    let health = stored.into_iter().map(|stored| (endpoint(), stored)).collect();
    let (cursor, head) = (Position(1), Position(1));
    let state = PartitionState { cursor, head, wall: NOW, subscriptions, health, ..<_>::default() };
    world.held.push(partition);
    let held = vec![(Partition::of(MEGAN), EPOCH), (partition, epoch)];
    world.handle(Event::Leases { asked: Monotonic(world.micros), renewal: false, held });
    world.handle(Event::State { partition, epoch, state: Some(state) });
    partition
}

fn messages_in_mailbox_of(mailbox: UserId) -> Target {
    Target::Items { mailbox, kind: Kind::Message, folder: None }
}

#[test]
fn of_what_two_partitions_have_stored_of_an_endpoint_the_worse_counts() {
    let mut world = beginning_with([slow_until(9)]);
    take_over_another(&mut world, Some(dropping_until(5)));
    assert_eq!(stats(&world), (0, 1));
    world.messages(2);
    assert_eq!(ledger(&mut world).abandoned, BTreeMap::from([(AbandonReason::EndpointDropping, 2)]));
    let mut world = beginning_with([dropping_until(5)]);
    take_over_another(&mut world, Some(slow_until(9)));
    assert_eq!(stats(&world), (0, 1));
    let mut world = beginning_with([slow_until(3)]);
    take_over_another(&mut world, Some(slow_until(9)));
    world.pass(5 * 60 * SECOND);
    world.messages(4);
    assert_eq!((world.attempts().len(), stats(&world)), (2, (1, 0)), "of two alike that which lasts longer");
}

#[test]
fn what_an_endpoint_has_become_is_stored_with_each_partition_that_names_it() {
    let mut world = beginning_with([]);
    let another = take_over_another(&mut world, None);
    let mut world = retried(world, 5, Outcome::Acknowledged);
    let said: BTreeSet<Partition> = std::mem::take(&mut world.said);
    assert_eq!(said, BTreeSet::from([another, Partition::of(MEGAN)]));
}

#[test]
fn of_an_endpoint_that_answers_in_time_nothing_is_stored() {
    let mut world = beginning_with([]);
    world.messages(6);
    for attempt in world.attempts() {
        world.answer(&attempt, Outcome::Acknowledged);
    }
    settle(&mut world);
    assert_eq!(world.said, BTreeSet::new());
}

#[test]
fn what_is_stored_of_an_endpoint_goes_with_the_last_subscription_that_names_it() {
    let mut world = after_retries_of(5, Outcome::Acknowledged);
    let [stored] = world.health.values().collect::<Vec<_>>()[..] else { panic!("{:?}", world.health) };
    assert_eq!((stored.health, stored.is_closed), (Health::Slow, false));
    let left = stored.ends.since(NOW) - world.micros as i64;
    assert!((590..=600).contains(&(left / SECOND as i64)), "{left}");
    world.append([Record::Subscription { id: subscription().id, event: SubscriptionEvent::Ended(EndReason::Deleted) }]);
    settle(&mut world);
    assert_eq!(world.health, BTreeMap::new());
}
