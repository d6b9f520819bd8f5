//! Leases and epochs.

use graph::{PARTITIONS, Partition};
use tidings_store::NodeId;
use uuid::Uuid;

use crate::World;
use crate::support::*;

const FIRST: NodeId = NodeId(Uuid::from_u128(1));
const SECOND: NodeId = NodeId(Uuid::from_u128(2));
const ALL: usize = PARTITIONS as usize;

pub async fn a_partition_is_held_by_one_node(world: World) {
    let held = world.store.acquire(FIRST, at(0), at(30), 2).await.unwrap();
    assert_eq!(held, [(Partition(0), 1), (Partition(1), 1)]);
    let others = world.store.acquire(SECOND, at(29), at(60), ALL).await.unwrap();
    assert_eq!(others.len(), ALL - 2);
    assert!(others.iter().all(|(partition, epoch)| partition.0 >= 2 && *epoch == 1));
    assert_eq!(world.store.acquire(FIRST, at(29), at(60), ALL).await, Ok(held.clone()));
    assert_eq!(world.store.renew(FIRST, at(59), at(90)).await, Ok(held));
}

pub async fn a_lapsed_lease_is_taken_with_a_higher_epoch(world: World) {
    world.store.acquire(FIRST, at(0), at(30), 1).await.unwrap();
    assert_eq!(world.store.renew(FIRST, at(30), at(60)).await, Ok(vec![]));
    assert_eq!(world.store.acquire(SECOND, at(30), at(60), 1).await, Ok(vec![(Partition(0), 2)]));
    assert_eq!(world.store.acquire(SECOND, at(60), at(90), 1).await, Ok(vec![(Partition(0), 3)]));
}

pub async fn asking_again_gets_other_partitions_first(world: World) {
    world.store.acquire(FIRST, at(0), at(30), 2).await.unwrap();
    let more = world.store.acquire(FIRST, at(1), at(30), 2).await.unwrap();
    assert_eq!(more, [(Partition(2), 1), (Partition(3), 1)]);
    assert_eq!(world.store.renew(FIRST, at(2), at(30)).await.unwrap().len(), 4);
}

pub async fn leases_given_back_are_free(world: World) {
    world.store.acquire(FIRST, at(0), at(30), 1).await.unwrap();
    world.store.release(SECOND).await.unwrap();
    assert_eq!(world.store.renew(FIRST, at(1), at(30)).await.unwrap().len(), 1);
    world.store.release(FIRST).await.unwrap();
    assert_eq!(world.store.renew(FIRST, at(1), at(30)).await, Ok(vec![]));
    assert_eq!(world.store.acquire(SECOND, at(1), at(30), 1).await, Ok(vec![(Partition(0), 2)]));
}
