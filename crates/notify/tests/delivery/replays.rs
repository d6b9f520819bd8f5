//! What is told again.

use tidings_notify::recount::{Opening, Recount, Retelling};

use super::*;

const OTHER: SubscriptionId = SubscriptionId(Uuid::from_u128(2));

/// Tells the first subscription again of a message.
fn replayed(number: u64) -> Record {
    let (subscription, record) = (subscription().id, Arc::new(message(number)));
    Record::Replayed { subscription, change: Some(ChangeType::Created), record }
}

/// The ids of the notifications that the attempts tell of, by subscription.
fn told<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Vec<(SubscriptionId, Uuid)> {
    let notifications = attempts.into_iter().flat_map(|attempt| &attempt.notifications);
    notifications.map(|notification| (notification.subscription.id, notification.id)).collect()
}

#[test]
fn a_replay_is_told_to_its_subscription_alone_under_the_id_that_it_had() {
    let other = Subscription { id: OTHER, ..subscription() };
    let mut world = World::with([subscription(), other]);
    world.append([message(1)]);
    let first = world.attempt();
    assert_eq!(first.notifications.len(), 2);
    world.answer(&first, Outcome::Acknowledged);
    world.append([replayed(1)]);
    let again = world.attempt();
    let mine: Vec<_> = told([&first]).into_iter().filter(|(id, _)| *id == subscription().id).collect();
    assert_eq!(told([&again]), mine);
    let shown = |attempt: &Attempt| {
        let body: serde_json::Value = serde_json::from_str(&body(attempt)).unwrap();
        let all = body["value"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["subscriptionId"] == subscription().id.to_string()).unwrap()
    };
    assert_eq!(shown(&again), shown(&first), "it says what it said");
    world.answer(&again, Outcome::Acknowledged);
    let sums = ledger(&mut world);
    assert_eq!((sums.matched, sums.delivered), (3, 3), "it counts once more");
}

#[test]
fn a_replay_waits_for_what_is_under_way_of_its_item() {
    let mut world = World::new(subscription());
    world.append([message(1), replayed(1)]);
    let first = world.attempt();
    assert_eq!(first.notifications.len(), 1);
    world.answer(&first, Outcome::Acknowledged);
    assert_eq!(told([&world.attempt()]), told([&first]));
}

#[test]
fn a_replay_into_a_pause_or_after_the_end_is_not_told() {
    let mut world = World::new(subscription());
    let life = |event| Record::Subscription { id: subscription().id, event };
    world.append([life(SubscriptionEvent::Paused), replayed(1)]);
    world.append([life(SubscriptionEvent::Ended(EndReason::Deleted)), replayed(2)]);
    world.pass(SECOND);
    assert_eq!(told(&world.attempts()), []);
    let sums = ledger(&mut world);
    assert_eq!((sums.matched, &sums.abandoned), (1, &BTreeMap::from([(AbandonReason::Paused, 1)])));
}

#[test]
fn a_replay_is_counted_again_as_the_node_counts_it() {
    let began = SubscriptionEvent::Began(Box::new(subscription()));
    let records = [Record::Subscription { id: subscription().id, event: began }, message(1), replayed(1), replayed(1)];
    let mut recount = Recount::new(Opening::default());
    for (record, position) in records.iter().zip(1..) {
        recount.count(Position(position), record).unwrap();
    }
    let ledger = LedgerDelta { matched: 3, delivered: 3, ..LedgerDelta::default() };
    let ledger = BTreeMap::from([(subscription().id, ledger)]);
    let books = tidings_notify::recount::Books { cursor: Position(4), ledger, ..<_>::default() };
    assert_eq!(recount.compare(&books), []);
}

#[test]
fn what_was_to_be_heard_is_found_again_but_no_replay_and_no_word_of_its_life() {
    let archived = Record::Change(created(2, WellKnown::Archive.id_in(MEGAN)));
    let of = Subscription { target: messages_in(Some(WellKnown::Inbox.id_in(MEGAN))), ..subscription() };
    let ended = SubscriptionSpan { began: Position(3), ended: Some(Position(9)), ..span(of, Standing::default()) };
    let retelling = Retelling::of(ended);
    let heard = |record: &Record, position| retelling.heard(record, Position(position));
    assert_eq!(heard(&message(1), 5), Some(ChangeType::Created));
    assert_eq!((heard(&message(1), 2), heard(&message(1), 10)), (None, None), "it did not live then");
    assert_eq!(heard(&archived, 5), None);
    assert_eq!((heard(&replayed(1), 5), heard(&loses_access(), 5)), (None, None));
}
