//! What is counted again from the log alone, and held against ledgers.

use tidings_notify::recount::{About, Books, Counted, Discrepancy, Gap, Opening, Recount};

use super::*;

const FIRST: SubscriptionId = SubscriptionId(Uuid::from_u128(1));

fn life(event: SubscriptionEvent) -> Record {
    Record::Subscription { id: FIRST, event }
}

fn began() -> Record {
    life(SubscriptionEvent::Began(Box::new(subscription())))
}

fn counted(records: &[Record]) -> Recount {
    let mut recount = Recount::new(Opening::default());
    for (record, position) in records.iter().zip(1..) {
        recount.count(Position(position), record).unwrap();
    }
    recount
}

/// Books up to the end of `recount`, with this ledger and so many parked.
fn say(recount: &Recount, ledger: LedgerDelta, parked: u64) -> Books {
    let parked = BTreeMap::from([(FIRST, parked)]);
    Books { cursor: recount.position(), ledger: BTreeMap::from([(FIRST, ledger)]), parked, ..Books::default() }
}

#[test]
fn a_life_is_counted_from_its_beginning_to_its_end() {
    let missed = Record::Lifecycle {
        id: ChangeId(Uuid::from_u128(9)),
        subscription: FIRST,
        event: LifecycleEvent::Missed,
        cause: None,
    };
    let recount = counted(&[
        message(1),
        began(),
        message(2),
        missed,
        life(SubscriptionEvent::Paused),
        message(3),
        life(SubscriptionEvent::Resumed),
        message(4),
        life(SubscriptionEvent::Ended(EndReason::UserDisabled)),
        message(5),
    ]);
    // Two messages that are told, one that fell into the pause, and what tells of the life: missed, and the end.
    let abandoned = BTreeMap::from([(AbandonReason::Paused, 1)]);
    let ledger = LedgerDelta { matched: 5, delivered: 4, parked: 0, abandoned };
    assert_eq!(recount.compare(&say(&recount, ledger, 0)), []);
}

#[test]
fn what_a_node_counts_is_what_is_counted_again() {
    let mut world = World::from(PartitionState { wall: NOW, ..<_>::default() });
    let records = [began(), message(1), message(2), loses_access(), message(3)];
    world.head = 0;
    world.append(records.clone());
    world.pass(SECOND);
    for attempt in world.attempts() {
        world.answer(&attempt, Outcome::refused(500));
    }
    let recount = counted(&records);
    let ledger = ledger(&mut world);
    let parked = ledger.parked.unsigned_abs();
    let books = say(&recount, ledger, parked);
    assert_eq!((recount.compare(&books), books.discrepancies(), parked), (Vec::new(), Vec::new(), 4));
}

#[test]
fn each_number_that_is_wrong_is_named_with_what_it_should_be() {
    let recount = counted(&[began(), message(1), message(2)]);
    let ledger = LedgerDelta { matched: 3, delivered: 1, parked: -1, ..LedgerDelta::default() };
    let books = say(&recount, ledger, 1);
    let about = |about, expected, found| Discrepancy { subscription: FIRST, about, expected, found };
    assert_eq!(recount.compare(&books), [about(About::Matched, 2, 3)]);
    assert_eq!(books.discrepancies(), [about(About::Parked, 1, -1), about(About::Balance, 0, 3)]);
    let paused = BTreeMap::from([(AbandonReason::Paused, 2)]);
    let ledger = LedgerDelta { matched: 2, abandoned: paused, ..LedgerDelta::default() };
    assert_eq!(recount.compare(&say(&recount, ledger, 0)), [about(About::Paused, 0, 2)]);
}

#[test]
fn a_ledger_of_nobody_and_a_subscription_without_a_ledger_are_found() {
    let recount = counted(&[began(), message(1)]);
    let nobody = SubscriptionId(Uuid::from_u128(8));
    let ledger = LedgerDelta { matched: 7, delivered: 7, ..LedgerDelta::default() };
    let books = Books { cursor: Position(2), ledger: BTreeMap::from([(nobody, ledger)]), ..Books::default() };
    let found: Vec<_> = recount.compare(&books).into_iter().map(|one| (one.subscription, one.expected)).collect();
    assert_eq!(found, [(FIRST, 1), (nobody, 0)]);
}

#[test]
fn a_log_with_a_gap_is_not_counted_on() {
    let mut recount = counted(&[began()]);
    let gap = recount.count(Position(3), &message(1)).unwrap_err();
    assert_eq!(gap, Gap { expected: Position(2), found: Some(Position(3)) });
    assert_eq!(recount.position(), Position(1));
}

#[test]
fn a_log_that_was_cut_is_counted_on_from_its_opening() {
    let position = Position(10);
    let counted = BTreeMap::from([(FIRST, Counted { matched: 6, paused: 2 })]);
    let subscriptions = vec![span(subscription(), Standing::default())];
    let mut recount = Recount::new(Opening { position, subscriptions, counted });
    recount.count(Position(11), &message(1)).unwrap();
    let abandoned = BTreeMap::from([(AbandonReason::Paused, 2)]);
    let ledger = LedgerDelta { matched: 7, delivered: 5, parked: 0, abandoned };
    assert_eq!(recount.compare(&say(&recount, ledger, 0)), []);
}
