//! What new notifications come to while their endpoint is slow or dropping.

use tidings_notify::HealthLimits;

use super::*;

/// Few responses suffice, and two notifications of a window go at once.
const LIMITS: HealthLimits = HealthLimits { responses_min: 4, probes: 2, ..HealthLimits::documented() };

/// A world whose endpoint has just answered the retries of four messages in so many seconds.
fn after_retries_of(seconds: u64, outcome: Outcome) -> World {
    let config = NodeConfig { health: LIMITS, batch_max: 1, ..NodeConfig::default() };
    let subscriptions = vec![span(subscription(), Standing::default())];
    let (cursor, head) = (Position(1), Position(1));
    let mut world = World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() });
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
        let row = Parked { stream, refs, attempts: 0, due, since, batch_max: 1, bytes: 700 };
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
