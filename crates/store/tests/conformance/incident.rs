//! Incidents: opened by checkpoints, told of once.

use std::sync::Arc;

use graph::{Partition, SubscriptionId};
use notify::log::EndReason;
use notify::{Checkpoint, Incident, Position};
use tidings_store::{NodeId, SubscriptionError};
use uuid::Uuid;

use crate::World;
use crate::support::*;

fn opened(seconds: i64) -> Incident {
    Incident { opened: at(seconds) }
}

/// Megan's partition, held, with two subscriptions.
async fn watched(world: &World) {
    for number in [1, 2] {
        world.store.begin_subscription(Arc::new(subscription(number, MEGAN)), ROOMY).await.unwrap();
    }
    world.store.acquire(NodeId(Uuid::from_u128(1)), at(0), at(30), 256).await.unwrap();
}

/// Records the checkpoint of that number, which opens an incident of the first subscription.
async fn open(world: &World, number: u64, incident: Incident) {
    let (unpark, park, ledger) = (Vec::new(), Vec::new(), [].into());
    let (partition, cursor, wall) = (Partition::of(MEGAN), Position(2), incident.opened);
    let (incidents, health) = ([(subscription_id(1), incident)].into(), [].into());
    let checkpoint = Checkpoint { partition, epoch: 1, number, cursor, wall, unpark, park, ledger, incidents, health };
    world.store.checkpoint(checkpoint).await.unwrap();
}

async fn incident_of(world: &World, id: SubscriptionId) -> Option<Incident> {
    let state = world.store.partition_state(Partition::of(MEGAN)).await.unwrap();
    state.subscriptions.iter().find(|span| span.subscription.id == id).unwrap().incident
}

pub async fn an_incident_is_told_of_once(world: World) {
    watched(&world).await;
    let id = subscription_id(1);
    assert_eq!(world.store.append_missed(id, opened(9)).await, Err(SubscriptionError::Changed), "none is open");
    open(&world, 1, opened(5)).await;
    assert_eq!(incident_of(&world, id).await, Some(opened(5)));
    assert_eq!(incident_of(&world, subscription_id(2)).await, None);
    let told = world.store.append_missed(id, opened(5)).await.unwrap();
    assert_eq!(world.store.append_missed(id, opened(5)).await, Err(SubscriptionError::Changed));
    assert_eq!(incident_of(&world, id).await, None);
    let log = world.store.read_log(told.partition, Position(2), 9).await.unwrap();
    assert_eq!(log, [(Position(3), Arc::new(opened(5).missed(id)))]);
    assert_eq!(world.heard.of(told.partition)[2..], log);
}

pub async fn what_is_abandoned_before_the_app_has_heard_joins(world: World) {
    watched(&world).await;
    let id = subscription_id(1);
    open(&world, 1, opened(5)).await;
    open(&world, 2, opened(6)).await;
    assert_eq!(incident_of(&world, id).await, Some(opened(5)));
    let told = world.store.append_missed(id, opened(6)).await.unwrap();
    let log = world.store.read_log(told.partition, Position(2), 9).await.unwrap();
    assert_eq!(log, [(Position(3), Arc::new(opened(5).missed(id)))], "the record is that of the one that was open");
    open(&world, 3, opened(7)).await;
    assert_eq!(incident_of(&world, id).await, Some(opened(7)));
}

pub async fn what_opened_later_than_was_asked_for_stays_open(world: World) {
    watched(&world).await;
    let id = subscription_id(1);
    open(&world, 1, opened(6)).await;
    assert_eq!(world.store.append_missed(id, opened(5)).await, Err(SubscriptionError::Changed));
    assert_eq!(incident_of(&world, id).await, Some(opened(6)));
}

pub async fn an_ended_subscription_has_no_incident(world: World) {
    watched(&world).await;
    let id = subscription_id(1);
    open(&world, 1, opened(5)).await;
    world.store.end_subscription(id, EndReason::Deleted, None).await.unwrap();
    assert_eq!(incident_of(&world, id).await, None);
    open(&world, 2, opened(6)).await;
    assert_eq!(incident_of(&world, id).await, None);
    assert_eq!(world.store.append_missed(id, opened(6)).await, Err(SubscriptionError::NotFound));
}
