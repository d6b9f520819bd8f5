//! The log: dense, ordered, published as it is.

use std::sync::Arc;

use graph::Partition;
use notify::Position;

use crate::World;
use crate::support::*;

pub async fn positions_are_dense_and_published_in_order(world: World) {
    let writers: Vec<_> = (0..16u128)
        .map(|writer| {
            let store = Arc::clone(&world.store);
            tokio::spawn(async move {
                let mut positions = Vec::new();
                for number in 0..8 {
                    let mailbox = if writer % 2 == 0 { MEGAN } else { NEIGHBOUR };
                    let item = message(mailbox, writer * 100 + number, 1);
                    positions.push(store.commit(create(&item)).await.unwrap().position);
                }
                assert!(positions.is_sorted());
                positions
            })
        })
        .collect();
    let mut positions = Vec::new();
    for writer in writers {
        positions.extend(writer.await.unwrap());
    }
    positions.sort();
    let dense: Vec<Position> = (1..=128).map(Position).collect();
    assert_eq!(positions, dense);
    let heard = world.heard.of(Partition::of(MEGAN));
    assert_eq!(heard.iter().map(|(position, _)| *position).collect::<Vec<_>>(), dense);
    assert_eq!(world.store.read_log(Partition::of(MEGAN), Position(0), 1_000).await, Ok(heard));
}

pub async fn the_log_is_read_in_slices(world: World) {
    for number in 1..=5 {
        world.store.commit(create(&message(MEGAN, number, 1))).await.unwrap();
    }
    let slice = async |after, limit| {
        let records = world.store.read_log(Partition::of(MEGAN), Position(after), limit).await.unwrap();
        records.into_iter().map(|(position, _)| position.0).collect::<Vec<_>>()
    };
    assert_eq!(slice(0, 2).await, [1, 2]);
    assert_eq!(slice(2, 2).await, [3, 4]);
    assert_eq!(slice(4, 2).await, [5]);
    assert_eq!(slice(5, 2).await, [0u64; 0]);
    assert_eq!(slice(0, 0).await, [0u64; 0]);
    assert_eq!(slice(u64::MAX, usize::MAX).await, [0u64; 0]);
}

pub async fn partitions_have_logs_of_their_own(world: World) {
    world.store.commit(create(&message(MEGAN, 1, 1))).await.unwrap();
    let adeles = world.store.commit(create(&message(ADELE, 2, 1))).await.unwrap();
    assert_eq!((adeles.partition, adeles.position), (Partition::of(ADELE), Position(1)));
    for partition in Partition::all() {
        let here = [MEGAN, ADELE].into_iter().filter(|user| Partition::of(*user) == partition).count();
        assert_eq!(world.store.read_log(partition, Position(0), 10).await.unwrap().len(), here);
    }
}
