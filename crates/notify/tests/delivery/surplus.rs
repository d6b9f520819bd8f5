//! What of the parked deliveries is given up for want of room.

use super::parking::{REFUSED, STEP, Shelf, watched_by};
use super::*;

/// A node of that configuration with one subscription.
fn watched(config: NodeConfig) -> World {
    let (cursor, head) = (Position(1), Position(1));
    let subscriptions = vec![span(subscription(), Standing::default())];
    World::of(config, PartitionState { cursor, head, wall: NOW, subscriptions, ..<_>::default() })
}

/// The positions that lie on the shelf, in order.
fn shelved(shelf: &Shelf) -> Vec<u64> {
    let mut positions: Vec<u64> = shelf.0.values().flat_map(|row| &row.refs).map(|one| one.position.0).collect();
    positions.sort_unstable();
    positions
}

/// Of a few notifications that one stream may have parked; each takes as much.
fn roomy_for(deliveries: u64) -> NodeConfig {
    let each = taken_by_one();
    NodeConfig { parked_bytes_max: each * deliveries, ..NodeConfig::default() }
}

fn taken_by_one() -> u64 {
    let mut world = World::new(subscription());
    let mut shelf = Shelf::default();
    world.messages(1);
    shelf.pass(&mut world, (STEP, SECOND), &mut |_| REFUSED);
    shelf.0.values().map(|row| row.bytes).sum()
}

#[test]
fn a_parked_row_says_how_much_it_takes_wherever_its_deliveries_were() {
    let each = taken_by_one();
    assert!((700..1_000).contains(&each), "{each}");
    // Beyond four deliveries a stream's go straight into the store.
    let config = NodeConfig { stream_share_max: 4, ..NodeConfig::default() };
    let mut world = watched(config);
    let mut shelf = Shelf::default();
    world.messages(20);
    shelf.pass(&mut world, (STEP, 30 * SECOND), &mut |_| REFUSED);
    for row in shelf.0.values() {
        assert_eq!(row.bytes, each * row.refs.len() as u64, "{row:?}");
    }
    assert_eq!(shelved(&shelf).len(), 20);
}

#[test]
fn the_oldest_that_a_stream_has_parked_are_given_up_when_they_are_too_much() {
    for (share, many) in [(2_048, 65_536), (4, 65_536), (4, 8)] {
        let config = NodeConfig { stream_share_max: share, deliveries_max: many, ..roomy_for(10) };
        let mut world = watched(config);
        let mut shelf = Shelf::default();
        for count in 1..=30 {
            world.messages(1);
            shelf.pass(&mut world, (STEP, 12 * SECOND), &mut |_| REFUSED);
            let newest: Vec<u64> = (world.head + 1 - count.min(10)..=world.head).collect();
            assert_eq!(shelved(&shelf), newest, "{share} {many}");
        }
    }
}

#[test]
fn what_was_given_up_for_room_is_counted_and_told_once_the_endpoint_is_back() {
    let mut world = watched(roomy_for(10));
    world.messages(30);
    let mut sum = LedgerDelta::default();
    for _ in 0..60 {
        world.pass(SECOND);
        world.recorded().iter().for_each(|delta| sum.add(delta));
        for attempt in world.attempts() {
            world.answer(&attempt, REFUSED);
        }
    }
    assert_eq!((sum.matched, sum.parked, sum.balances()), (30, 10, true), "{sum:?}");
    assert_eq!(sum.abandoned, BTreeMap::from([(AbandonReason::Overflow, 20)]));
    let is_missed = |command: &Command| matches!(command, Command::Step { step: Step::Missed { .. }, .. });
    assert!(!world.others.iter().any(is_missed));
    world.pass(120 * SECOND);
    let attempt = world.attempt();
    world.answer(&attempt, Outcome::Acknowledged);
    assert_eq!(world.others.iter().filter(|command| is_missed(command)).count(), 1);
}

#[test]
fn what_an_attempt_holds_is_not_given_up_and_nothing_newer_before_it() {
    let mut world = watched(roomy_for(10));
    let mut shelf = Shelf::default();
    world.messages(5);
    let attempt = world.attempt();
    world.messages(20);
    let mut nothing = |_: &Attempt| Outcome::TimedOut;
    shelf.pass(&mut world, (STEP, 2 * SECOND), &mut nothing);
    assert_eq!(shelved(&shelf).len(), 25, "five are under way");
    world.answer(&attempt, REFUSED);
    shelf.pass(&mut world, (STEP, SECOND), &mut |_| REFUSED);
    assert_eq!(shelved(&shelf), (17..=26).collect::<Vec<u64>>());
}

#[test]
fn who_takes_over_more_than_a_stream_may_have_parked_gives_the_oldest_up() {
    let mut world = World::new(subscription());
    let mut shelf = Shelf::default();
    world.messages(120);
    shelf.pass(&mut world, (STEP, 5 * SECOND), &mut |_| REFUSED);
    assert_eq!(shelved(&shelf).len(), 120);
    let parked = shelf.0.values().map(|row| (row.stream, shelf.0.values().map(|row| row.bytes).sum())).collect();
    let (cursor, head) = (Position(121), Position(121));
    let subscriptions = vec![span(subscription(), Standing::default())];
    let state = PartitionState { cursor, head, wall: NOW, subscriptions, parked, ..<_>::default() };
    let mut world = World::of(NodeConfig { read_parked: 10, ..roomy_for(7) }, state);
    shelf.pass(&mut world, (STEP, 5 * SECOND), &mut |_| REFUSED);
    assert_eq!(shelved(&shelf), (115..=121).collect::<Vec<u64>>());
}

#[test]
fn what_tells_of_a_subscriptions_life_is_not_given_up_for_room() {
    let mut world = watched(NodeConfig { parked_bytes_max: 1, ..NodeConfig::default() });
    world.append([loses_access()]);
    let mut shelf = Shelf::default();
    shelf.pass(&mut world, (STEP, 5 * SECOND), &mut |_| REFUSED);
    assert_eq!(shelved(&shelf), [2]);
}

/// The log is to be cut up to a position.
fn give_up(world: &mut World, through: u64) {
    world.handle(Event::GiveUp { partition: Partition::of(MEGAN), through: Position(through) });
}

#[test]
fn what_keeps_a_log_that_is_too_long_from_being_cut_is_given_up_wherever_it_lies() {
    for (share, many) in [(2_048, 65_536), (4, 65_536), (4, 8)] {
        let config = NodeConfig { stream_share_max: share, deliveries_max: many, ..NodeConfig::default() };
        let mut world = watched(config);
        let mut shelf = Shelf::default();
        world.append([loses_access()]);
        world.messages(30);
        shelf.pass(&mut world, (STEP, 60 * SECOND), &mut |_| REFUSED);
        assert_eq!(shelved(&shelf).len(), 31);
        give_up(&mut world, 12);
        shelf.pass(&mut world, (STEP, SECOND), &mut |_| REFUSED);
        assert_eq!(shelved(&shelf), (13..=32).collect::<Vec<u64>>(), "{share} {many}: what tells of its life, too");
    }
}

#[test]
fn what_was_given_up_for_the_log_is_counted_and_told_once_the_endpoint_is_back() {
    let mut world = World::new(subscription());
    world.messages(5);
    let attempt = world.attempt();
    world.answer(&attempt, REFUSED);
    let parked = ledger(&mut world);
    assert_eq!((parked.matched, parked.parked), (5, 5));
    give_up(&mut world, 4);
    world.pass(SECOND);
    let [given_up] = &world.recorded()[..] else { panic!("one checkpoint counts it") };
    assert_eq!((given_up.parked, &given_up.abandoned), (-3, &BTreeMap::from([(AbandonReason::Retention, 3)])));
    world.pass(60 * SECOND);
    let attempt = world.attempt();
    assert_eq!(attempt.notifications.len(), 2);
    world.answer(&attempt, Outcome::Acknowledged);
    let is_missed = |command: &Command| matches!(command, Command::Step { step: Step::Missed { .. }, .. });
    assert_eq!(world.others.iter().filter(|command| is_missed(command)).count(), 1);
}

#[test]
fn what_an_attempt_holds_is_given_up_for_the_log_once_that_has_failed() {
    let mut world = World::new(subscription());
    world.messages(1);
    let attempt = world.attempt();
    world.pass(SECOND);
    world.recorded();
    give_up(&mut world, 2);
    world.pass(SECOND);
    assert!(world.recorded().is_empty(), "it may still be acknowledged");
    world.answer(&attempt, REFUSED);
    assert_eq!(ledger_of_end(&mut world), BTreeMap::from([(AbandonReason::Retention, 1)]));
}

fn ledger_of_end(world: &mut World) -> BTreeMap<AbandonReason, u64> {
    world.pass(SECOND);
    world.recorded().pop().map(|delta| delta.abandoned).unwrap_or_default()
}

/// How often what is parked is read in ten minutes in which endpoints take nothing, after the log was to be cut up to a
/// position.
fn reads_after_giving_up(through: Option<u64>) -> usize {
    let config = NodeConfig { deliveries_max: 8, ..NodeConfig::default() };
    let mut world = watched_by(8, config, |number| format!("https://hook{number}.example.net/n"));
    let mut shelf = Shelf::default();
    world.messages(1);
    shelf.pass(&mut world, (STEP, 3 * SECOND), &mut |_| Outcome::Acknowledged);
    world.messages(1);
    shelf.pass(&mut world, (STEP, 60 * SECOND), &mut |_| REFUSED);
    assert!(world.node.stats().streams_spilled > 0, "memory is short");
    let before = shelf.1;
    through.into_iter().for_each(|through| give_up(&mut world, through));
    shelf.pass(&mut world, (STEP, 600 * SECOND), &mut |_| REFUSED);
    assert_eq!(shelved(&shelf), [3; 8], "nothing that is parked lay there");
    shelf.1 - before
}

#[test]
fn what_was_let_go_is_not_read_in_vain_once_the_log_was_too_long() {
    assert_eq!(reads_after_giving_up(Some(2)), reads_after_giving_up(None));
}
