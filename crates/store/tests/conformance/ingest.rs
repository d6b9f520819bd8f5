//! Changes of resources outside of mailboxes.

use graph::registry::{Ingested, ResourceKind};
use graph::{Partition, Scope};
use notify::{Position, Record};
use tidings_store::{BeginError, Ingest, Makers, SubscriptionLimits};

use crate::World;
use crate::support::*;

fn users() -> Scope {
    Scope::of_resources(TENANT, ResourceKind::User)
}

/// A batch, each change with a key that is remembered from second `now` for a minute.
fn batch(now: i64, changes: &[(&str, Ingested)]) -> Ingest {
    let keyed = changes.iter().map(|(key, change)| (once(key, now, now + 60), change.clone()));
    Ingest { scope: users(), changes: keyed.collect() }
}

pub async fn a_batch_is_in_the_log_in_its_order_once_it_is_answered(world: World) {
    let changes = [("a", ingested(1, "users/1")), ("b", ingested(2, "users/2")), ("c", ingested(3, "users/1"))];
    assert_eq!(world.store.ingest(batch(0, &changes)).await.unwrap(), [true; 3]);
    let partition = Partition::of(users());
    let log = world.store.read_log(partition, Position(0), 10).await.unwrap();
    let told: Vec<Record> = log.iter().map(|(_, record)| Record::clone(record)).collect();
    assert_eq!(told, changes.map(|(_, change)| Record::Ingested(Box::new(change))));
    assert_eq!(world.heard.of(partition), log, "what is published is what is in the log");
}

pub async fn a_change_with_a_known_key_is_passed_over(world: World) {
    let ingest = async |now, changes: &[(&str, Ingested)]| world.store.ingest(batch(now, changes)).await.unwrap();
    let (one, two) = (ingested(1, "users/1"), ingested(2, "users/2"));
    let twice = [("a", one.clone()), ("a", two.clone()), ("b", two.clone())];
    assert_eq!(ingest(0, &twice).await, [true, false, true], "in one batch, too");
    assert_eq!(ingest(59, &[("a", two.clone()), ("b", one.clone())]).await, [false, false]);
    assert_eq!(ingest(60, &[("a", two)]).await, [true], "it is remembered for a time");
    let groups = Ingest {
        scope: Scope::of_resources(TENANT, ResourceKind::Group),
        changes: vec![(once("b", 0, 60), ingested(4, "groups/1"))],
    };
    assert_eq!(world.store.ingest(groups).await.unwrap(), [true], "each scope has keys of its own");
    let log = world.store.read_log(Partition::of(users()), Position(0), 10).await.unwrap();
    assert_eq!(log.len(), 3);
}

pub async fn a_subscription_to_resources_needs_no_mailbox_and_counts_in_its_scope(world: World) {
    let begin = async |number, kind, per_scope| {
        let limits = SubscriptionLimits { per_scope, refuse_duplicates: true, makers: Makers::default() };
        world.store.begin_subscription(subscription_to(number, kind).into(), limits).await.map(|begun| begun.partition)
    };
    assert_eq!(begin(1, ResourceKind::User, 1).await, Ok(Partition::of(users())));
    assert_eq!(begin(2, ResourceKind::User, 2).await, Err(BeginError::Duplicate(subscription_id(1))));
    let mut other = subscription_to(3, ResourceKind::User);
    other.app.0 = uuid::Uuid::from_u128(0xb);
    let limits = SubscriptionLimits { per_scope: 1, refuse_duplicates: true, makers: Makers::default() };
    assert_eq!(world.store.begin_subscription(other.into(), limits).await, Err(BeginError::TooMany(1)));
    assert!(begin(4, ResourceKind::Group, 1).await.is_ok(), "groups are counted apart");
    let state = world.store.partition_state(Partition::of(users())).await.unwrap();
    let held = state.subscriptions.iter().filter(|span| span.subscription.scope() == users());
    assert_eq!(held.map(|span| span.subscription.id).collect::<Vec<_>>(), [subscription_id(1)]);
}
