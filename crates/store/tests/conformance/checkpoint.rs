//! Checkpoints, parked rows and the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{ChangeType, Partition};
use notify::{AbandonReason, Checkpoint, LedgerDelta, Parked, ParkedRef, Position, Stream, StreamKind, Subscription};
use tidings_store::{CheckpointError, NodeId};
use uuid::Uuid;

use crate::World;
use crate::support::*;

const NODE: NodeId = NodeId(Uuid::from_u128(1));

/// Megan's partition, held, with a subscription and `records` records in all.
async fn worked_on(world: &World, records: u64) -> Checkpoint {
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
    }
}

fn stream(kind: StreamKind) -> Stream {
    Stream { subscription: subscription_id(1), kind }
}

fn parked(kind: StreamKind, positions: &[u64]) -> Parked {
    let refs = positions.iter().map(|p| ParkedRef { position: Position(*p), change: Some(ChangeType::Created) });
    let stream = stream(kind);
    Parked { stream, refs: refs.collect(), attempts: 1, due: at(10), since: at(1), batch_max: 100 }
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
    assert_eq!(state.parked, [stream(StreamKind::Changes), stream(StreamKind::Lifecycle)]);
    let load = async |kind, after, limit| {
        world.store.parked(first.partition, stream(kind), Position(after), limit).await.unwrap()
    };
    let loaded = load(StreamKind::Changes, 0, 10).await;
    assert_eq!(loaded.iter().map(|one| one.row.clone()).collect::<Vec<_>>(), rows[..2]);
    let log = world.store.read_log(first.partition, Position(1), 2).await.unwrap();
    assert_eq!(loaded[0].records, log.into_iter().map(|(_, record)| record).collect::<Vec<_>>());
    assert_eq!(load(StreamKind::Changes, 0, 1).await.len(), 1);
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
    assert_eq!(world.store.partition_state(first.partition).await.unwrap().parked, []);
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
