//! What of the log is kept, and what goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{AppId, Partition};
use notify::log::{EndReason, LifecycleEvent};
use notify::reauthorization::Pause;
use notify::recount::Counted;
use notify::retention::{LogExtent, Mark};
use notify::{AbandonReason, Checkpoint, LedgerDelta, Position, StreamKind, Subscription};
use tidings_store::{Cut, LedgerQuery};
use uuid::Uuid;

use crate::World;
use crate::checkpoint::{parked, stream, worked_on};
use crate::support::*;

fn megans() -> Partition {
    Partition::of(MEGAN)
}

fn matched(count: u64) -> LedgerDelta {
    LedgerDelta { matched: count, delivered: count, ..LedgerDelta::default() }
}

impl World {
    async fn extent(&self) -> LogExtent {
        self.store.log_extents().await.unwrap()[usize::from(megans().0)]
    }

    /// Marks Megan's cursor.
    async fn mark(&self) -> Mark {
        assert!(self.store.mark_log(megans(), at(9), None).await.unwrap());
        self.extent().await.mark.unwrap()
    }

    /// Raises the floor to her cursor.
    async fn raise(&self) {
        let mark = self.mark().await;
        assert!(self.store.raise_floor(megans(), mark).await.unwrap());
    }

    async fn positions(&self, after: u64) -> Vec<u64> {
        let log = self.store.read_log(megans(), Position(after), 100).await.unwrap();
        log.into_iter().map(|(position, _)| position.0).collect()
    }
}

pub async fn who_reads_from_below_the_floor_hears_of_what_lies_above(world: World) {
    let mut checkpoint = worked_on(&world, 6).await;
    checkpoint.cursor = Position(4);
    world.store.checkpoint(checkpoint).await.unwrap();
    let mark = world.mark().await;
    assert_eq!(mark, Mark { position: Position(4), at: at(9) });
    assert_eq!(world.positions(0).await, [1, 2, 3, 4, 5, 6], "a mark takes nothing away");
    assert!(world.store.raise_floor(megans(), mark).await.unwrap());
    for after in [0, 3, 4] {
        assert_eq!(world.positions(after).await, [5, 6], "after {after}");
    }
    assert_eq!(world.positions(5).await, [6]);
    let extent = world.extent().await;
    assert_eq!((extent.floor, extent.first, extent.mark), (Position(4), Position(1), None));
    assert_eq!((extent.cursor, extent.head, extent.has_ended), (Position(4), Position(6), false));
    assert!(extent.bytes > 0);
}

pub async fn of_two_who_mark_or_raise_at_one_time_one_is_heard(world: World) {
    let checkpoint = worked_on(&world, 6).await;
    assert!(!world.store.mark_log(megans(), at(9), None).await.unwrap(), "nothing is accounted for");
    world.store.checkpoint(Checkpoint { cursor: Position(3), ..checkpoint.clone() }).await.unwrap();
    let first = world.mark().await;
    assert!(!world.store.mark_log(megans(), at(10), None).await.unwrap());
    world.store.checkpoint(Checkpoint { number: 2, ..checkpoint }).await.unwrap();
    assert!(world.store.mark_log(megans(), at(11), Some(first)).await.unwrap());
    assert!(!world.store.raise_floor(megans(), first).await.unwrap(), "that mark is no more");
    let second = world.extent().await.mark.unwrap();
    assert_eq!(second, Mark { position: Position(6), at: at(11) });
    assert!(world.store.raise_floor(megans(), second).await.unwrap());
    assert!(!world.store.raise_floor(megans(), second).await.unwrap());
    assert!(!world.store.mark_log(megans(), at(12), None).await.unwrap(), "the floor is there already");
    assert_eq!(world.extent().await.floor, Position(6));
}

pub async fn what_is_parked_holds_the_floor_back(world: World) {
    let mut checkpoint = worked_on(&world, 6).await;
    let rows = [parked(StreamKind::Changes, &[3, 5]), parked(StreamKind::Lifecycle, &[2])];
    checkpoint.park = rows.to_vec();
    checkpoint.cursor = Position(5);
    world.store.checkpoint(checkpoint.clone()).await.unwrap();
    let mark = world.mark().await;
    assert_eq!(world.extent().await.parked, Some(Position(2)));
    assert!(!world.store.raise_floor(megans(), mark).await.unwrap());
    let lifecycle = (stream(StreamKind::Lifecycle), Position(2));
    let (park, unpark) = (Vec::new(), vec![lifecycle]);
    world.store.checkpoint(Checkpoint { number: 2, park, unpark, ..checkpoint.clone() }).await.unwrap();
    assert_eq!(world.extent().await.parked, Some(Position(3)));
    assert!(!world.store.raise_floor(megans(), mark).await.unwrap());
    let changes = (stream(StreamKind::Changes), Position(3));
    let (park, unpark) = (Vec::new(), vec![changes]);
    world.store.checkpoint(Checkpoint { number: 3, park, unpark, ..checkpoint }).await.unwrap();
    assert!(world.store.raise_floor(megans(), mark).await.unwrap());
}

pub async fn a_cut_goes_in_parts_and_never_takes_the_last_record(world: World) {
    let checkpoint = worked_on(&world, 6).await;
    world.store.checkpoint(checkpoint).await.unwrap();
    assert_eq!(world.store.cut_log(megans(), 100).await, Ok(Cut::default()), "there is no floor");
    world.raise().await;
    let cut = async |most| world.store.cut_log(megans(), most).await.unwrap();
    assert_eq!(cut(2).await, Cut { records: 2, subscriptions: 0, more: true });
    assert_eq!(world.extent().await.first, Position(3));
    assert_eq!(cut(100).await, Cut { records: 3, subscriptions: 0, more: true });
    assert_eq!(cut(100).await, Cut::default());
    assert_eq!(world.store.counters().log_rows_cut, 5);
    let extent = world.extent().await;
    assert_eq!((extent.first, extent.head, extent.records()), (Position(6), Position(6), 1));
    assert_eq!(world.positions(0).await, [0u64; 0]);
    let next = world.store.commit(create(&message(MEGAN, 100, 1))).await.unwrap();
    assert_eq!(next.position, Position(7));
    assert_eq!(world.positions(0).await, [7]);
    assert_eq!(cut(100).await.records, 1, "what was the last record is not any more");
    assert_eq!(world.positions(0).await, [7]);
}

pub async fn a_node_that_takes_over_after_a_cut_has_all_that_it_needs(world: World) {
    let mut checkpoint = worked_on(&world, 8).await;
    checkpoint.cursor = Position(5);
    world.store.checkpoint(checkpoint.clone()).await.unwrap();
    let mark = world.mark().await;
    let row = parked(StreamKind::Changes, &[6, 7]);
    let (park, cursor) = (vec![row.clone()], Position(7));
    world.store.checkpoint(Checkpoint { number: 2, park, cursor, ..checkpoint.clone() }).await.unwrap();
    let before = world.store.partition_state(megans()).await.unwrap();
    assert!(world.store.raise_floor(megans(), mark).await.unwrap());
    while world.store.cut_log(megans(), 2).await.unwrap().more {}
    let after = world.store.partition_state(megans()).await.unwrap();
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    let loaded = world.store.parked(megans(), stream(StreamKind::Changes), Position(0), 10).await.unwrap();
    assert_eq!(loaded.len(), 1);
    let log = world.store.read_log(megans(), Position(5), 2).await.unwrap();
    assert_eq!(loaded[0].records, log.into_iter().map(|(_, record)| record).collect::<Vec<_>>());
    assert_eq!(loaded[0].row, row);
    assert_eq!(world.positions(after.cursor.0).await, [8]);
    world.store.checkpoint(Checkpoint { number: 3, cursor: Position(8), ..checkpoint }).await.unwrap();
}

pub async fn a_recount_begins_with_what_was_noted_at_the_floor(world: World) {
    let mut checkpoint = worked_on(&world, 4).await;
    let [first, second, third] = [1, 2, 3].map(subscription_id);
    for number in [2, 3] {
        let other = Subscription { id: subscription_id(number), ..subscription(1, MEGAN) };
        world.store.begin_subscription(Arc::new(other), ROOMY).await.unwrap();
    }
    let abandoned = BTreeMap::from([(AbandonReason::Paused, 2), (AbandonReason::Horizon, 1)]);
    let paused = LedgerDelta { matched: 3, abandoned, ..LedgerDelta::default() };
    checkpoint.ledger = BTreeMap::from([(first, matched(3)), (second, paused)]);
    checkpoint.cursor = Position(5);
    world.store.checkpoint(checkpoint.clone()).await.unwrap();
    let mark = world.mark().await;
    let ledger = BTreeMap::from([(first, matched(1)), (third, matched(1))]);
    world.store.checkpoint(Checkpoint { number: 2, ledger, cursor: Position(6), ..checkpoint }).await.unwrap();
    assert_eq!(world.store.books(megans()).await.unwrap().opening.counted, BTreeMap::new());
    assert!(world.store.raise_floor(megans(), mark).await.unwrap());
    let opening = world.store.books(megans()).await.unwrap().opening;
    assert_eq!(opening.position, Position(5));
    let counted = |matched, paused| Counted { matched, paused };
    assert_eq!(opening.counted, BTreeMap::from([(first, counted(3, 0)), (second, counted(3, 2))]));
    let there: Vec<_> = opening.subscriptions.iter().map(|span| span.subscription.id).collect();
    assert_eq!(there, [first, second], "the third had not begun");
    assert_eq!(world.store.ledger(first).await, Ok(matched(4)), "a ledger keeps its sums");
}

pub async fn an_opening_knows_who_was_paused_and_who_had_not_ended(world: World) {
    let checkpoint = worked_on(&world, 1).await;
    for number in 2..=4 {
        let other = Subscription { id: subscription_id(number), ..subscription(1, MEGAN) };
        world.store.begin_subscription(Arc::new(other), ROOMY).await.unwrap();
    }
    let found = async |number| world.store.subscription(subscription_id(number)).await.unwrap().unwrap();
    let end = async |number| {
        world.store.end_subscription(subscription_id(number), EndReason::Deleted, None).await.unwrap();
    };
    world.store.pause_subscription(found(1).await).await.unwrap();
    end(4).await;
    // What follows stands above the cursor: at the floor it has not happened.
    let before = found(1).await;
    let after = Arc::new(Subscription { authorized: at(99), ..Subscription::clone(&before) });
    world.store.patch_subscription(before, after).await.unwrap();
    world.store.pause_subscription(found(2).await).await.unwrap();
    end(3).await;
    world.store.checkpoint(Checkpoint { cursor: Position(6), ..checkpoint }).await.unwrap();
    world.raise().await;
    let opening = world.store.books(megans()).await.unwrap().opening;
    let there: Vec<_> = opening.subscriptions.iter().map(|span| (span.subscription.id, span.ended)).collect();
    assert_eq!(there, [1, 2, 3].map(|number| (subscription_id(number), None)));
    let pauses: Vec<_> = opening.subscriptions.iter().map(|span| span.standing.pauses.clone()).collect();
    assert_eq!(pauses, [vec![Pause { from: Position(6), to: None }], vec![], vec![]]);
}

pub async fn ended_subscriptions_go_with_their_ledgers_when_the_floor_has_passed_their_end(world: World) {
    let mut checkpoint = worked_on(&world, 2).await;
    for number in [2, 3] {
        let other = Subscription { id: subscription_id(number), ..subscription(1, MEGAN) };
        world.store.begin_subscription(Arc::new(other), ROOMY).await.unwrap();
    }
    let [first, second, third] = [1, 2, 3].map(subscription_id);
    world.store.end_subscription(first, EndReason::Deleted, None).await.unwrap();
    world.store.append_lifecycle(third, change_id(9), LifecycleEvent::Missed).await.unwrap();
    world.store.end_subscription(second, EndReason::Expired, None).await.unwrap();
    checkpoint.ledger = BTreeMap::from([(first, matched(3)), (second, matched(2)), (third, matched(1))]);
    checkpoint.cursor = Position(6);
    world.store.checkpoint(checkpoint).await.unwrap();
    world.raise().await;
    let known = async || {
        let state = world.store.partition_state(megans()).await.unwrap();
        state.subscriptions.into_iter().map(|span| span.subscription.id).collect::<Vec<_>>()
    };
    assert_eq!(world.store.cut_log(megans(), 100).await.unwrap().records, 6);
    assert_eq!(known().await, [first, second, third]);
    assert!(world.extent().await.has_ended);
    let cut = world.store.cut_log(megans(), 100).await.unwrap();
    assert_eq!(cut, Cut { records: 0, subscriptions: 1, more: false });
    assert_eq!(known().await, [second, third], "the second ended above the floor");
    assert!(!world.extent().await.has_ended);
    assert_eq!(world.store.ledger(first).await, Ok(LedgerDelta::default()));
    assert_eq!(world.store.ledger(second).await, Ok(matched(2)));
    world.store.begin_subscription(Arc::new(subscription(1, MEGAN)), ROOMY).await.unwrap();
}

pub async fn the_sums_of_an_app_have_those_of_subscriptions_that_are_gone(world: World) {
    let mut checkpoint = worked_on(&world, 1).await;
    let of_app = |number, app| {
        let app = AppId(Uuid::from_u128(app));
        Subscription { id: subscription_id(number), app, ..subscription(1, MEGAN) }
    };
    for (number, app) in [(2, 0xa), (3, 0xb)] {
        world.store.begin_subscription(Arc::new(of_app(number, app)), ROOMY).await.unwrap();
    }
    for number in 1..=3 {
        world.store.end_subscription(subscription_id(number), EndReason::Deleted, None).await.unwrap();
    }
    checkpoint.ledger = (1..=3).map(|number| (subscription_id(number), matched(1 << number))).collect();
    checkpoint.cursor = Position(6);
    world.store.checkpoint(checkpoint).await.unwrap();
    let ledgers = async |app: Option<u128>| {
        let app = app.map(|app| AppId(Uuid::from_u128(app)));
        let found = world.store.ledgers(LedgerQuery { app, after: None, limit: 9 }).await.unwrap();
        (found.subscriptions, found.gone, found.page.len(), found.sums.matched)
    };
    assert_eq!(ledgers(Some(0xa)).await, (2, 0, 2, 6));
    world.raise().await;
    while world.store.cut_log(megans(), 100).await.unwrap().more {}
    assert_eq!(ledgers(Some(0xa)).await, (0, 2, 0, 6));
    assert_eq!(ledgers(Some(0xb)).await, (0, 1, 0, 8));
    assert_eq!(ledgers(Some(0xc)).await, (0, 0, 0, 0));
    assert_eq!(ledgers(None).await, (0, 3, 0, 14));
    assert_eq!(world.store.books(megans()).await.unwrap().ledger, BTreeMap::new());
}
