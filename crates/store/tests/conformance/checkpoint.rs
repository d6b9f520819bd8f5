//! Checkpoints, parked rows and the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{AppId, ChangeType, Partition};
use notify::log::EndReason;
use notify::recount::Books;
use notify::{AbandonReason, Checkpoint, LedgerDelta, Parked, ParkedRef, Position, Stream, StreamKind, Subscription};
use tidings_store::{CheckpointError, LedgerQuery, NodeId, SubscriptionLedger};
use uuid::Uuid;

use crate::World;
use crate::support::*;

const NODE: NodeId = NodeId(Uuid::from_u128(1));

/// Megan's partition, held, with a subscription and `records` records in all.
pub async fn worked_on(world: &World, records: u64) -> Checkpoint {
    world.store.begin_subscription(Arc::new(subscription(1, MEGAN)), ROOMY).await.unwrap();
    for number in 1..records {
        world.store.commit(create(&message(MEGAN, u128::from(number), 1))).await.unwrap();
    }
    world.store.acquire(NODE, at(0), at(30), 256).await.unwrap();
    Checkpoint {
        partition: Partition::of(MEGAN),
        epoch: 1,
        number: 1,
        cursor: Position(records),
        wall: at(5),
        unpark: Vec::new(),
        park: Vec::new(),
        ledger: BTreeMap::new(),
        incidents: BTreeMap::new(),
        health: BTreeMap::new(),
    }
}

pub fn stream(kind: StreamKind) -> Stream {
    Stream { subscription: subscription_id(1), kind }
}

pub fn parked(kind: StreamKind, positions: &[u64]) -> Parked {
    let refs = positions.iter().map(|p| ParkedRef { position: Position(*p), change: Some(ChangeType::Created) });
    let stream = stream(kind);
    Parked {
        stream,
        refs: refs.collect(),
        attempts: 1,
        due: at(10),
        since: at(1),
        batch_max: 100,
        pushed: None,
        bytes: 700,
    }
}

pub async fn a_checkpoint_needs_its_epoch_and_its_turn(world: World) {
    let first = worked_on(&world, 3).await;
    let wrong_epoch = Checkpoint { epoch: 2, ..first.clone() };
    assert_eq!(world.store.checkpoint(wrong_epoch).await, Err(CheckpointError::Fenced(first.partition)));
    let early = Checkpoint { number: 2, ..first.clone() };
    assert_eq!(world.store.checkpoint(early).await, Err(CheckpointError::OutOfTurn { last: 0 }));
    world.store.checkpoint(first.clone()).await.unwrap();
    assert_eq!(world.store.checkpoint(first.clone()).await, Err(CheckpointError::OutOfTurn { last: 1 }));
    let state = world.store.partition_state(first.partition).await.unwrap();
    assert_eq!((state.number, state.cursor, state.head, state.wall), (1, Position(3), Position(3), at(5)));
    assert_eq!(world.store.counters().checkpoints, 1);
    world.store.release(NODE).await.unwrap();
    world.store.acquire(NODE, at(0), at(30), 256).await.unwrap();
    let fenced = Checkpoint { number: 2, ..first.clone() };
    assert_eq!(world.store.checkpoint(fenced).await, Err(CheckpointError::Fenced(first.partition)));
    world.store.checkpoint(Checkpoint { number: 2, epoch: 2, wall: at(4), ..first.clone() }).await.unwrap();
    assert_eq!(world.store.partition_state(first.partition).await.unwrap().wall, at(5));
}

pub async fn parked_rows_come_back_with_their_records(world: World) {
    let mut first = worked_on(&world, 6).await;
    let rows =
        [parked(StreamKind::Changes, &[2, 3]), parked(StreamKind::Changes, &[5]), parked(StreamKind::Lifecycle, &[3])];
    first.park = rows.to_vec();
    world.store.checkpoint(first.clone()).await.unwrap();
    let state = world.store.partition_state(first.partition).await.unwrap();
    let bytes = [(stream(StreamKind::Changes), 1_400), (stream(StreamKind::Lifecycle), 700)];
    assert_eq!(state.parked, BTreeMap::from(bytes));
    let load = async |kind, after, limit| {
        world.store.parked(first.partition, stream(kind), Position(after), limit).await.unwrap()
    };
    let loaded = load(StreamKind::Changes, 0, 10).await;
    assert_eq!(loaded.iter().map(|one| one.row.clone()).collect::<Vec<_>>(), rows[..2]);
    let log = world.store.read_log(first.partition, Position(1), 2).await.unwrap();
    assert_eq!(loaded[0].records, log.into_iter().map(|(_, record)| record).collect::<Vec<_>>());
    let rows_of = async |deliveries| load(StreamKind::Changes, 0, deliveries).await.len();
    assert_eq!([rows_of(1).await, rows_of(2).await, rows_of(3).await], [1, 1, 2], "as many as it takes, and whole");
    assert_eq!(load(StreamKind::Changes, 2, 10).await[0].row, rows[1]);
    assert_eq!(load(StreamKind::Changes, 5, 10).await, []);
    assert_eq!(load(StreamKind::Lifecycle, 0, 10).await[0].row, rows[2]);
    assert_eq!(world.store.counters().parked_rows, 3);
}

pub async fn a_checkpoint_replaces_what_it_unparks(world: World) {
    let mut first = worked_on(&world, 6).await;
    first.park = vec![parked(StreamKind::Changes, &[2, 3])];
    world.store.checkpoint(first.clone()).await.unwrap();
    let again = Parked { attempts: 2, due: at(40), ..parked(StreamKind::Changes, &[2]) };
    let second = Checkpoint {
        number: 2,
        unpark: vec![(stream(StreamKind::Changes), Position(2))],
        park: vec![again.clone()],
        ..first.clone()
    };
    world.store.checkpoint(second.clone()).await.unwrap();
    let rows = world.store.parked(first.partition, stream(StreamKind::Changes), Position(0), 10).await.unwrap();
    assert_eq!(rows.into_iter().map(|one| one.row).collect::<Vec<_>>(), [again]);
    let third = Checkpoint { number: 3, park: Vec::new(), ..second };
    world.store.checkpoint(third).await.unwrap();
    assert_eq!(world.store.partition_state(first.partition).await.unwrap().parked, BTreeMap::new());
}

pub async fn the_health_of_endpoints_is_kept_with_the_partition_until_a_checkpoint_says_otherwise(world: World) {
    let mut first = worked_on(&world, 1).await;
    let kept = async |partition| world.store.partition_state(partition).await.unwrap().health;
    first.health = BTreeMap::from([(endpoint(1), Some(slow_until(600))), (endpoint(2), Some(dropping_until(900)))]);
    world.store.checkpoint(first.clone()).await.unwrap();
    let both = BTreeMap::from([(endpoint(1), slow_until(600)), (endpoint(2), dropping_until(900))]);
    assert_eq!(kept(first.partition).await, both);
    assert_eq!(kept(Partition::of(ADELE)).await, BTreeMap::new(), "it is that partition's");
    let nothing_new = Checkpoint { number: 2, health: BTreeMap::new(), ..first.clone() };
    world.store.checkpoint(nothing_new).await.unwrap();
    assert_eq!(kept(first.partition).await, both);
    let health = BTreeMap::from([(endpoint(1), None), (endpoint(2), Some(slow_until(950))), (endpoint(3), None)]);
    let fenced = Checkpoint { number: 3, epoch: 9, health, ..first.clone() };
    assert!(world.store.checkpoint(fenced.clone()).await.is_err());
    assert_eq!(kept(first.partition).await, both);
    world.store.checkpoint(Checkpoint { epoch: 1, ..fenced }).await.unwrap();
    assert_eq!(kept(first.partition).await, BTreeMap::from([(endpoint(2), slow_until(950))]));
}

pub async fn the_ledger_adds_up_over_many_subscriptions(world: World) {
    let mut checkpoint = worked_on(&world, 1).await;
    for number in 2..=300 {
        let other = Subscription { id: subscription_id(number), ..subscription(1, MEGAN) };
        world.store.begin_subscription(Arc::new(other), ROOMY).await.unwrap();
    }
    checkpoint.cursor = Position(300);
    let abandoned = BTreeMap::from([(AbandonReason::Horizon, 1)]);
    let delta = LedgerDelta { matched: 5, delivered: 3, parked: 1, abandoned };
    let all = |numbers: std::ops::RangeInclusive<u128>| numbers.map(|n| (subscription_id(n), delta.clone())).collect();
    for (number, ledger) in [(1, all(1..=200)), (2, all(100..=300)), (3, all(1..=1))] {
        world.store.checkpoint(Checkpoint { number, ledger, ..checkpoint.clone() }).await.unwrap();
    }
    for (number, times) in [(1, 2), (50, 1), (150, 2), (250, 1)] {
        let sums = world.store.ledger(subscription_id(number)).await.unwrap();
        assert!(sums.balances());
        assert_eq!((sums.matched, sums.parked), (5 * times, times as i64), "subscription {number}");
    }
    assert_eq!(world.store.ledger(subscription_id(999)).await, Ok(LedgerDelta::default()));
}

fn delivered(count: u64) -> LedgerDelta {
    LedgerDelta { matched: count, delivered: count, ..LedgerDelta::default() }
}

pub async fn the_ledgers_of_an_app_add_up_and_are_read_in_pages(world: World) {
    let (mine, other) = (subscription(1, MEGAN).app, AppId(Uuid::from_u128(0xb)));
    let mut checkpoint = worked_on(&world, 1).await;
    for (number, app) in [(2, mine), (3, other), (4, mine)] {
        let another = Subscription { id: subscription_id(number), app, ..subscription(1, MEGAN) };
        world.store.begin_subscription(Arc::new(another), ROOMY).await.unwrap();
    }
    world.store.end_subscription(subscription_id(2), EndReason::Deleted, None).await.unwrap();
    checkpoint.cursor = Position(5);
    checkpoint.ledger = (1..=4).map(|n| (subscription_id(n), delivered(1 << n))).collect();
    // So many that the first go to rows of their own.
    checkpoint.ledger.extend((1_000..1_300).map(|n| (subscription_id(n), delivered(1))));
    world.store.checkpoint(checkpoint.clone()).await.unwrap();
    let ledger = BTreeMap::from([(subscription_id(4), delivered(100))]);
    world.store.checkpoint(Checkpoint { number: 2, ledger, ..checkpoint }).await.unwrap();

    let read = async |app, after: Option<u128>, limit| {
        world.store.ledgers(LedgerQuery { app, after: after.map(subscription_id), limit }).await.unwrap()
    };
    let one = |number, live, count| SubscriptionLedger { id: subscription_id(number), live, sums: delivered(count) };
    let first = read(Some(mine), None, 2).await;
    assert_eq!((first.subscriptions, first.sums.matched, first.more), (3, 2 + 4 + 116, true));
    assert_eq!(first.page, [one(1, true, 2), one(2, false, 4)]);
    let last = read(Some(mine), Some(2), 2).await;
    assert_eq!((last.subscriptions, &last.sums, last.more), (3, &first.sums, false));
    assert_eq!(last.page, [one(4, true, 116)]);
    let all = read(None, None, 0).await;
    assert_eq!((all.subscriptions, all.sums.matched, all.page.len()), (4, 2 + 4 + 8 + 116, 0));
    assert_eq!(read(Some(AppId(Uuid::from_u128(0xc))), None, 9).await, Default::default());
}

pub async fn books_say_what_checkpoints_have_recorded(world: World) {
    let mut checkpoint = worked_on(&world, 6).await;
    checkpoint.cursor = Position(5);
    checkpoint.park = vec![parked(StreamKind::Changes, &[2, 3]), parked(StreamKind::Lifecycle, &[3])];
    let id = subscription_id(1);
    let ledger = LedgerDelta { matched: 7, delivered: 4, parked: 3, ..LedgerDelta::default() };
    checkpoint.ledger = BTreeMap::from([(id, ledger.clone())]);
    world.store.checkpoint(checkpoint.clone()).await.unwrap();
    let books = world.store.books(checkpoint.partition).await.unwrap();
    let parked = BTreeMap::from([(id, 3)]);
    assert_eq!(
        books,
        Books { cursor: Position(5), ledger: BTreeMap::from([(id, ledger)]), parked, ..Books::default() }
    );
    // Folded and not yet folded sums come together.
    let many = (1_000..1_300).map(|n| (subscription_id(n), delivered(1)));
    let ledger = many.chain([(id, delivered(1))]).collect();
    world.store.checkpoint(Checkpoint { number: 2, park: Vec::new(), ledger, ..checkpoint.clone() }).await.unwrap();
    let ledger = BTreeMap::from([(id, delivered(1))]);
    world.store.checkpoint(Checkpoint { number: 3, park: Vec::new(), ledger, ..checkpoint.clone() }).await.unwrap();
    let books = world.store.books(checkpoint.partition).await.unwrap();
    assert_eq!((books.ledger[&id].matched, books.ledger.len()), (9, 301));
    assert_eq!(world.store.books(Partition::of(ADELE)).await, Ok(Books::default()));
}
