//! How long what is due has waited for its attempt.

use super::*;

/// A world that has one attempt at a time, with one notification.
fn one_at_a_time() -> World {
    let config = NodeConfig { attempts_max: 1, batch_max: 1, ..NodeConfig::default() };
    let subscriptions = vec![span(subscription(), Standing::default())];
    let (cursor, head) = (Position(1), Position(1));
    World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() })
}

/// In seconds.
fn oldest_due(world: &World) -> u64 {
    let now = Now { wall: NOW.plus_micros(world.micros as i64), mono: Monotonic(world.micros) };
    world.node.stats_at(now).oldest_due_micros / SECOND
}

#[test]
fn what_waits_for_a_slot_is_due_since_it_matched() {
    let mut world = one_at_a_time();
    world.pass(10 * SECOND);
    assert_eq!(oldest_due(&world), 0, "there is nothing");
    world.messages(2);
    let hanging = world.attempt();
    world.pass(7 * SECOND);
    assert_eq!(oldest_due(&world), 7, "the second one has no slot");
    world.answer(&hanging, Outcome::Acknowledged);
    world.attempt();
    world.pass(SECOND);
    assert_eq!(oldest_due(&world), 0, "what is on its way waits no more");
}

#[test]
fn what_waits_for_its_next_try_is_due_from_then_on() {
    let mut world = World::new(subscription());
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::Unreachable);
    world.pass(7 * SECOND);
    assert_eq!(oldest_due(&world), 0, "it was tried again");
    assert_eq!(world.attempts().len(), 1);
}

#[test]
fn what_waits_behind_a_failed_delivery_is_due_once_that_is_over() {
    let mut world = one_at_a_time();
    world.messages(1);
    let first = world.attempt();
    world.answer(&first, Outcome::Unreachable);
    world.messages(2);
    world.pass(7 * SECOND);
    let again = world.attempt();
    assert_eq!(oldest_due(&world), 0, "order keeps it back");
    world.answer(&again, Outcome::Acknowledged);
    world.attempt();
    world.pass(3 * SECOND);
    assert_eq!(oldest_due(&world), 3, "the last one has no slot");
}

#[test]
fn what_is_taken_over_is_due_since_then() {
    let (stream, since) =
        (Stream { subscription: subscription().id, kind: StreamKind::Changes }, NOW.plus_minutes(-60));
    let config = NodeConfig { attempts_max: 0, ..NodeConfig::default() };
    let subscriptions = vec![span(subscription(), Standing::default())];
    let (cursor, head, parked) = (Position(9), Position(9), BTreeMap::from([(stream, 700)]));
    let mut world =
        World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, parked, ..<_>::default() });
    let refs = vec![ParkedRef { position: Position(5), change: Some(ChangeType::Created) }];
    let row = Parked { stream, refs, attempts: 0, due: since, since, batch_max: 1, pushed: None, bytes: 700 };
    let records = vec![Arc::new(Record::Change(created(5, WellKnown::Inbox.id_in(MEGAN))))];
    let rows = Some(vec![LoadedParked { row, records }]);
    world.handle(Event::Parked { partition: Partition::of(MEGAN), epoch: EPOCH, stream, rows });
    world.pass(2 * SECOND);
    assert_eq!(oldest_due(&world), 2, "not the hour for which nobody ran");
}
