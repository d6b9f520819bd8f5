//! What is let go from memory, so that what is due can be read.

use tidings_notify::Parked;
use tidings_notify::push_policy::{GivenUp, Pushed, Undelivered};
use tidings_notify::topic::EventSubscription;

use super::parking::{REFUSED, STEP, Shelf};
use super::pushing::{begins_with, event, event_subscription, keeping, push, pushed_to};
use super::*;

/// Rows of the same stream, one for each of these positions, that have failed so often and are due then.
fn rows(
    stream: Stream,
    positions: std::ops::RangeInclusive<u64>,
    (attempts, due, pushed): (u32, Timestamp, Option<Pushed>),
) -> impl Iterator<Item = ((Stream, Position), Parked)> {
    let change = pushed.is_none().then_some(ChangeType::Created);
    positions.map(Position).map(move |position| {
        let refs = vec![ParkedRef { position, change }];
        let row = Parked { stream, refs, attempts, due, since: NOW, batch_max: 1, pushed, bytes: 200 };
        ((stream, position), row)
    })
}

/// Dead letters beyond what is read of their stream, which wait behind one that was tried, fill the memory.
#[test]
fn what_is_due_elsewhere_is_read_although_dead_letters_wait() {
    let letters = Stream { subscription: subscription().id, kind: StreamKind::DeadLetters };
    let other = Subscription { id: SubscriptionId(Uuid::from_u128(2)), ..subscription() };
    let changes = Stream { subscription: other.id, kind: StreamKind::Changes };
    let given_up = Undelivered { reason: GivenUp::NotRetried, at: NOW, attempts: 1, last: None };
    let mut shelf = Shelf::default();
    shelf.0.extend(rows(letters, 3..=6, (3, NOW.plus_minutes(5), Some(Pushed::GivenUp(given_up)))));
    shelf.0.extend(rows(changes, 7..=7, (1, NOW.plus_micros(20 * SECOND as i64), None)));
    let subscriptions = [pushed_to(event_subscription(keeping())), other];
    let config = NodeConfig { deliveries_max: 4, read_parked: 1, ..NodeConfig::default() };
    let mut world = World::of(
        config,
        PartitionState {
            cursor: Position(9),
            head: Position(9),
            wall: NOW,
            subscriptions: subscriptions.map(|one| span(one, Standing::default())).into(),
            parked: BTreeMap::from([(letters, 800), (changes, 200)]),
            ..<_>::default()
        },
    );
    let mut told = None;
    for second in 0..40 {
        if second == 5 {
            world.publish([1]);
        }
        let now = world.micros / SECOND;
        shelf.pass(&mut world, (STEP, SECOND), &mut |attempt| match attempt.purpose {
            Purpose::Push => Outcome::refused(400),
            Purpose::DeadLetter => Outcome::NotSent,
            Purpose::Notify => {
                told.get_or_insert(now);
                Outcome::Acknowledged
            }
        });
    }
    assert!(told.is_some_and(|told| (19..25).contains(&told)), "{told:?}");
}

/// Events that have failed are parked while a later one of their stream is under way, which is acknowledged before it needs a
/// row: nothing is recorded of their stream then.
#[test]
fn what_could_not_be_let_go_when_it_was_parked_makes_room_for_what_is_due_elsewhere() {
    let of = |number, subject| {
        let (id, filter) = (SubscriptionId(Uuid::from_u128(number)), begins_with(subject));
        let pushed = EventSubscription { id: Some(id), filter, ..event_subscription(push()) };
        Subscription { id, ..pushed_to(pushed) }
    };
    let other = Subscription { id: SubscriptionId(Uuid::from_u128(2)), ..subscription() };
    let subscriptions = [of(1, "Users/1"), other, of(3, "Users/3"), of(4, "Users/4")];
    let subscriptions = subscriptions.map(|one| span(one, Standing::default())).into();
    let config = NodeConfig { deliveries_max: 8, ..NodeConfig::default() };
    let (cursor, head) = (Position(1), Position(1));
    let mut world = World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() });
    let (mut shelf, mut tried) = (Shelf::default(), Vec::new());
    let mut pass = |world: &mut World, micros| {
        let now = world.micros / SECOND;
        shelf.pass(world, (STEP, micros), &mut |attempt| match attempt.purpose {
            Purpose::Notify => {
                tried.push(now);
                REFUSED
            }
            _ if attempt.notifications[0].subscription.id.0.as_u128() == 4 => Outcome::Acknowledged,
            _ => Outcome::refused(404),
        });
    };
    world.messages(1);
    for (first, subject) in [(1, "Users/1"), (5, "Users/3")] {
        world.append((first..first + 3).map(|number| event(number, subject, NOW)));
        pass(&mut world, 0);
        world.append([event(first + 3, subject, NOW)]);
        let under_way = world.attempt();
        pass(&mut world, 2 * STEP);
        assert_eq!(world.node.stats().streams_spilled, 1, "the other is let go");
        world.answer(&under_way, Outcome::Acknowledged);
        pass(&mut world, 4 * STEP);
    }
    assert_eq!(world.node.stats().deliveries_in_memory, 6, "three quarters");
    for number in 0..90 {
        // Something is to be recorded all the time.
        world.append([event(100 + number, "Users/4", NOW)]);
        pass(&mut world, 2 * STEP);
    }
    assert!(matches!(tried[..], [0, 5..=7, 14..=19]), "{tried:?}");
}

/// One request at a time goes to the many that hang, so that what else is due for them fills the memory.
#[test]
fn what_is_due_elsewhere_is_read_although_events_wait_for_their_turn() {
    const HANG: u128 = 30;
    let of = |number: u128| {
        let id = SubscriptionId(Uuid::from_u128(number));
        let pushed = EventSubscription { id: Some(id), ..event_subscription(push()) };
        Subscription { id, ..pushed_to(pushed) }
    };
    let other = SubscriptionId(Uuid::from_u128(HANG + 1));
    let elsewhere = "https://elsewhere.example.net/n".to_owned();
    let other = Subscription { id: other, notification_url: elsewhere, ..subscription() };
    let (in_twenty, mut shelf) = (NOW.plus_micros(20 * SECOND as i64), Shelf::default());
    let stream = |id| Stream { subscription: id, kind: StreamKind::Changes };
    for number in 1..=HANG {
        shelf.0.extend(rows(stream(of(number).id), 2..=2, (1, NOW, None)));
    }
    shelf.0.extend(rows(stream(other.id), 3..=3, (1, in_twenty, None)));
    let parked = shelf.0.keys().map(|(stream, _)| (*stream, 200)).collect();
    let subscriptions = (1..=HANG).map(of).chain([other]).map(|one| span(one, Standing::default())).collect();
    let config = NodeConfig { deliveries_max: 8, read_parked: 1, attempts_per_origin_max: 1, ..NodeConfig::default() };
    let (cursor, head) = (Position(9), Position(9));
    let mut world =
        World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, parked, ..<_>::default() });
    world.hanging = Some(Purpose::Push);
    let mut tried = None;
    for second in 0..120 {
        shelf.pass(&mut world, (STEP, SECOND), &mut |_| {
            tried.get_or_insert(second);
            Outcome::Acknowledged
        });
    }
    assert!(tried.is_some_and(|tried| (19..60).contains(&tried)), "{tried:?}");
}
