use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const DAY: i64 = 24 * 3_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + second)
}

fn topic() -> Topic {
    Topic {
        id: TopicId(Uuid::from_u128(1)),
        tenant: TenantId::CONSUMERS,
        place: EventGridUrl {
            azure_subscription: Uuid::from_u128(2),
            resource_group: "rg".to_owned(),
            partner_topic: "mail-events".to_owned(),
            location: "westeurope".to_owned(),
        },
        apps: BTreeSet::new(),
        profile: Profile::Documented,
        activation: Activation::NeverActivated,
        created: at(0),
        description: String::new(),
        tags: Tags::new(),
        keys: ["first key", "second key"].map(|key| TopicKey(key.to_owned())),
        subscribed_until: None,
    }
}

fn queue() -> Queue {
    Queue { delivery_count_max: 2, time_to_live_seconds: 600, ..Queue::default() }
}

fn received(queue: &Queue, pending: Option<&Pending>, second: i64) -> Pending {
    match queue.receive(pending, at(0), at(second)) {
        Next::Received(pending) => pending,
        Next::Over(reason) => panic!("{reason:?}"),
    }
}

#[test]
fn a_topic_is_stored_without_loss_and_shows_no_key() {
    let topic = topic();
    let json = serde_json::to_string(&topic).unwrap();
    assert_eq!(serde_json::from_str::<Topic>(&json).unwrap(), topic);
    assert!(!format!("{topic:?}{:?}", LockKey([7; 32])).contains("key\""));
}

#[test]
fn the_node_is_given_events_without_their_data() {
    let event = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}"#;
    let event = CloudEvent::from_json(event).unwrap();
    let told = TopicEvent::new(topic().id, at(0), event);
    let given = for_the_node(Arc::new(Record::Event(Arc::new(told.clone()))));
    let Record::Event(given) = &*given else { panic!("{given:?}") };
    assert_eq!((given.topic, given.published, given.event.data()), (told.topic, told.published, None));
    assert_eq!(given.event.attributes(), told.event.attributes());
}

#[test]
fn a_topic_that_was_never_activated_is_not_deactivated() {
    let [never, active] = [Activation::NeverActivated, Activation::NeverActivated.activate()];
    assert_eq!((never.deactivate(), active.deactivate()), (never, Activation::Deactivated));
    assert_eq!(active.deactivate().activate(), active);
    let takes = [never, active, active.deactivate()].map(|activation| Topic { activation, ..topic() }.takes_events());
    assert_eq!(takes, [false, true, false]);
}

#[test]
fn an_old_topic_takes_no_new_subscription_but_may_be_managed() {
    let old = Topic { subscribed_until: Some(at(0)), ..topic() };
    let wanted = Topic { subscribed_until: Some(at(40 * DAY)), ..topic() };
    assert_eq!(old.opened_as(&wanted, at(30 * DAY)).map(|topic| topic.subscribed_until), Ok(Some(at(40 * DAY))));
    assert_eq!(old.opened_as(&wanted, at(30 * DAY + 1)), Err(TopicRefusal::TooOld));
    assert_eq!(old.opened_as(&topic(), at(99 * DAY)), Ok(old.clone()), "nobody subscribes");
}

#[test]
fn a_queue_keeps_event_grids_bounds() {
    let refused = |change: fn(&mut Queue)| {
        let mut queue = Queue::default();
        change(&mut queue);
        queue.check().err()
    };
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|queue| queue.receive_lock_seconds = 59), Some(InvalidQueue::ReceiveLock));
    assert_eq!(refused(|queue| queue.receive_lock_seconds = 301), Some(InvalidQueue::ReceiveLock));
    assert_eq!(refused(|queue| queue.delivery_count_max = 0), Some(InvalidQueue::DeliveryCount));
    assert_eq!(refused(|queue| queue.delivery_count_max = 11), Some(InvalidQueue::DeliveryCount));
    assert_eq!(refused(|queue| queue.time_to_live_seconds = 59), Some(InvalidQueue::TimeToLive));
    assert_eq!(refused(|queue| queue.time_to_live_seconds += 1), Some(InvalidQueue::TimeToLive));
    assert!(is_event_subscription_name("Mail-2") && !is_event_subscription_name("a_b"));
}

#[test]
fn a_lock_is_held_until_its_time_and_not_at_it() {
    let queue = queue();
    let locked = received(&queue, None, 0);
    let settle = |second| queue.settle(&locked, 1, Settlement::Acknowledge, at(0), at(second));
    assert_eq!((settle(59), settle(60)), (Ok(Settled::Acknowledged), Err(Lost)));
    let again = received(&queue, Some(&locked), 60);
    assert_eq!((again.delivery_count, again.first_received), (2, at(0)));
    assert_eq!(queue.settle(&again, 1, Settlement::Acknowledge, at(0), at(61)), Err(Lost), "that is the lock before");
}

#[test]
fn an_event_is_received_so_often_and_so_long_and_no_more() {
    let queue = queue();
    let first = received(&queue, None, 0);
    let second = received(&queue, Some(&first), 60);
    let over = Next::Over(DeadLetterReason::MaxDeliveryAttemptsExceeded);
    assert_eq!(queue.receive(Some(&second), at(0), at(120)), over);
    let release = queue.settle(&second, 2, Settlement::Release { delay_seconds: 0 }, at(0), at(61));
    assert_eq!(release, Ok(Settled::Over(DeadLetterReason::MaxDeliveryAttemptsExceeded)));
    assert_eq!(queue.receive(None, at(0), at(600)), Next::Over(DeadLetterReason::TimeToLiveExceeded));
    assert_eq!(queue.laid_aside(None, DeadLetterReason::Rejected, at(1)), None, "nobody wants it kept");
}

#[test]
fn a_lock_is_renewed_within_an_hour_of_the_first_receive() {
    let queue = Queue { receive_lock_seconds: 300, ..Queue::default() };
    let mut pending = received(&queue, None, 0);
    for second in (200..3_600).step_by(200) {
        match queue.settle(&pending, 1, Settlement::RenewLock, at(0), at(second)) {
            Ok(Settled::Pending(renewed)) => pending = renewed,
            other => panic!("{second}: {other:?}"),
        }
    }
    assert_eq!(pending.due(), Some(at(3_700)));
    assert_eq!(queue.settle(&pending, 1, Settlement::RenewLock, at(0), at(3_600)), Err(Lost));
}

proptest! {
    /// Whatever is done with an event, it is received no more often than allowed, and one lock at a time holds it.
    #[test]
    fn an_event_has_one_lock_at_a_time(steps in proptest::collection::vec((0..6u8, 0..100i64), 1..40)) {
        let queue = queue();
        let (mut pending, mut now): (Option<Pending>, i64) = (None, 0);
        let mut locks = Vec::new();
        for (step, wait) in steps {
            now += wait;
            let how = match step {
                0 | 1 => {
                    if pending.is_none_or(|pending| pending.due().is_some_and(|due| due <= at(now))) {
                        match queue.receive(pending.as_ref(), at(0), at(now)) {
                            Next::Received(after) => {
                                locks.push(after.delivery_count);
                                pending = Some(after);
                            }
                            Next::Over(_) => break,
                        }
                    }
                    continue;
                }
                2 => Settlement::Acknowledge,
                3 => Settlement::Release { delay_seconds: 10 },
                4 => Settlement::Reject,
                _ => Settlement::RenewLock,
            };
            let Some(before) = pending else { continue };
            let settled: Vec<_> = locks.iter().filter_map(|lock| queue.settle(&before, *lock, how, at(0), at(now)).ok()).collect();
            prop_assert!(settled.len() <= 1);
            match settled.first() {
                Some(Settled::Pending(after)) => pending = Some(*after),
                Some(Settled::Acknowledged | Settled::Over(_)) => break,
                None => {}
            }
        }
        prop_assert!(locks.len() <= 2 && locks.is_sorted());
    }
}
