//! Partner topics: who has them, what is published into them, and what is pulled.

use std::sync::Arc;

use graph::{Partition, TopicId};
use notify::retention::Mark;
use notify::topic::{
    Activation, CloudEvent, DeadLetterReason, Destination, EventCounts, EventSubscription, Filter, Queue, Settlement,
    Topic, TopicRefusal,
};
use notify::{Checkpoint, Position, Record};
use tidings_store::{
    EventSubscriptionError, EventSubscriptionKey, LockedEvent, Namesake, NodeId, PublishError, PullError, Received,
    Settle, TokenFailure, TopicCounts, TopicError, TopicQuery,
};
use uuid::Uuid;

use crate::World;
use crate::support::*;

const LIMIT: u64 = 10;

impl World {
    async fn open(&self, topic: Topic) -> Arc<Topic> {
        self.store.open_topic(Arc::new(topic), LIMIT, at(0)).await.unwrap()
    }

    /// Topic 1 with the queue `all`.
    async fn queue(&self, queue: Queue) -> EventSubscriptionKey {
        let topic = self.open(topic(1)).await;
        let subscription = EventSubscription { destination: Destination::Queue(queue), ..queue_of(&topic, "all") };
        self.store.put_event_subscription(Namesake::None, Arc::new(subscription), LIMIT).await.unwrap();
        EventSubscriptionKey::new(topic.id, "all")
    }

    async fn publish(&self, events: impl IntoIterator<Item = u128>, second: i64) -> Vec<Option<Position>> {
        let events = events.into_iter().map(event).collect();
        self.store.publish(topic(1).id, events, at(second)).await.unwrap()
    }

    async fn receive(&self, key: &EventSubscriptionKey, most: usize, second: i64) -> Received {
        self.store.receive(key.clone(), most, at(second)).await.unwrap()
    }

    /// The only event there is to receive.
    async fn receive_one(&self, key: &EventSubscriptionKey, second: i64) -> LockedEvent {
        let received = self.receive(key, 10, second).await;
        let [one] = &received.events[..] else { panic!("{received:?}") };
        one.clone()
    }

    async fn settle(
        &self,
        key: &EventSubscriptionKey,
        how: Settlement,
        tokens: &[&str],
        second: i64,
    ) -> Vec<Result<(), TokenFailure>> {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        self.store.settle(key.clone(), Settle { tokens, how, now: at(second) }).await.unwrap()
    }

    async fn counts(&self, key: &EventSubscriptionKey) -> EventCounts {
        self.store.event_subscription(key.clone()).await.unwrap().unwrap().1
    }
}

fn ids(received: &Received) -> Vec<&str> {
    received.events.iter().map(|one| one.event.event.attributes().id.as_str()).collect()
}

fn counts(received: &Received) -> Vec<u32> {
    received.events.iter().map(|one| one.delivery_count).collect()
}

pub async fn a_topic_is_made_once_and_found_by_whoever_names_it(world: World) {
    let open = async |app, until, topic| world.store.open_topic(opened_by(app, until, topic), LIMIT, at(0)).await;
    let first = open(1, 60, topic(1)).await.unwrap();
    assert_eq!(*first, *opened_by(1, 60, topic(1)));
    let mut renamed = Topic { id: TopicId(Uuid::from_u128(9)), ..topic(1) };
    renamed.place.partner_topic = "TOPIC-1".to_owned();
    let again = open(1, 90, renamed.clone()).await.unwrap();
    assert_eq!(*again, *opened_by(1, 90, topic(1)));
    assert_eq!(open(1, 30, renamed.clone()).await.unwrap(), again, "a shorter subscription changes nothing");
    assert_eq!(world.store.topic(first.id).await.unwrap(), Some(again.clone()));
    assert_eq!(world.store.topic(renamed.id).await.unwrap(), None);
    let query = TopicQuery { name: Some("topic-1".to_owned()), limit: 10, ..TopicQuery::default() };
    assert_eq!(world.store.topics(query).await.unwrap(), [again]);
    let query = TopicQuery { resource_group: Some("another".to_owned()), limit: 10, ..TopicQuery::default() };
    assert_eq!(world.store.topics(query).await.unwrap(), []);
}

pub async fn a_topic_belongs_to_the_app_that_asked_first(world: World) {
    let open = async |app, number| world.store.open_topic(opened_by(app, 60, topic(number)), LIMIT, at(0)).await;
    world.open(topic(1)).await;
    let owned = open(1, 1).await.unwrap();
    assert_eq!(open(2, 1).await, Err(TopicRefusal::OfAnotherApp.into()));
    assert_eq!(world.store.topic(owned.id).await.unwrap(), Some(owned), "who was refused has changed nothing");
}

pub async fn a_name_that_somebody_else_has_is_refused(world: World) {
    world.open(topic(1)).await;
    let refused = async |change: fn(&mut Topic)| {
        let mut wanted = topic(1);
        change(&mut wanted);
        match world.store.open_topic(Arc::new(wanted), LIMIT, at(0)).await {
            Err(TopicError::Refused(refusal)) => Some(refusal),
            other => panic!("{other:?}"),
        }
    };
    let another_tenant = refused(|wanted| wanted.tenant = graph::TenantId::CONSUMERS).await;
    assert_eq!(another_tenant, Some(TopicRefusal::Taken));
    let another_group = refused(|wanted| wanted.place.resource_group = "other".to_owned()).await;
    assert_eq!(another_group, Some(TopicRefusal::Taken));
    let another_region = refused(|wanted| wanted.place.location = "northeurope".to_owned()).await;
    assert_eq!(another_region, Some(TopicRefusal::InAnotherRegion));
}

pub async fn an_app_has_so_many_topics_and_no_more(world: World) {
    let open = async |number| world.store.open_topic(opened_by(1, 60, topic(number)), 2, at(0)).await;
    open(1).await.unwrap();
    open(2).await.unwrap();
    assert_eq!(open(3).await, Err(TopicError::TooMany(2)));
    open(2).await.unwrap();
    world.store.remove_topic(topic(1).id).await.unwrap();
    open(3).await.unwrap();
}

pub async fn a_topic_is_used_again_until_a_month_after_its_last_subscription(world: World) {
    let (day, until) = (86_400, 60);
    let open = async |now| world.store.open_topic(opened_by(1, now + until, topic(1)), LIMIT, at(now)).await;
    open(0).await.unwrap();
    open(30 * day).await.unwrap();
    assert_eq!(open(60 * day + until + 1).await, Err(TopicRefusal::TooOld.into()));
    world.store.remove_topic(topic(1).id).await.unwrap();
    open(60 * day + until + 1).await.unwrap();
}

pub async fn what_is_published_is_in_the_log_once(world: World) {
    world.open(topic(1)).await;
    let first = world.publish([1, 2, 1], 0).await;
    assert_eq!(first, [Some(Position(1)), Some(Position(2)), Some(Position(1))]);
    assert_eq!(world.publish([3, 2], 1).await, [Some(Position(3)), Some(Position(2))]);
    let partition = Partition::of(topic(1).id);
    let log = world.store.read_log(partition, Position(0), 10).await.unwrap();
    let told = |record: &Record| match record {
        Record::Event(event) => event.event.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(log.iter().map(|(_, record)| told(record)).collect::<Vec<_>>(), [1, 2, 3].map(event));
    assert_eq!(world.heard.of(partition), log, "what is published is what is in the log");
    let kept = world.store.topic_events(topic(1).id, Position(1), 10).await.unwrap();
    assert_eq!(kept.iter().map(|(position, _)| position.0).collect::<Vec<_>>(), [2, 3]);
    let counted = world.store.topic_counts(topic(1).id).await.unwrap();
    assert_eq!(counted, Some(TopicCounts { events: 3, dropped: 0 }));
}

pub async fn what_is_published_before_the_activation_is_dropped_and_counted(world: World) {
    let asleep = world.open(Topic { activation: Activation::NeverActivated, ..topic(1) }).await;
    assert_eq!(world.publish([1, 2], 0).await, [None, None]);
    let counted = world.store.topic_counts(asleep.id).await.unwrap();
    assert_eq!(counted, Some(TopicCounts { events: 0, dropped: 2 }));
    let awake = Arc::new(Topic { activation: asleep.activation.activate(), ..Topic::clone(&asleep) });
    world.store.replace_topic(asleep.clone(), awake.clone()).await.unwrap();
    assert_eq!(world.store.replace_topic(asleep, awake.clone()).await, Err(TopicError::Changed));
    assert_eq!(world.publish([1], 1).await, [Some(Position(1))]);
    let query = TopicQuery { limit: 10, ..TopicQuery::default() };
    assert_eq!(world.store.topics(query).await.unwrap(), [awake]);
}

pub async fn a_removed_topic_takes_what_belongs_to_it_along(world: World) {
    let key = world.queue(Queue::default()).await;
    world.publish([1, 2], 0).await;
    world.receive(&key, 1, 0).await;
    world.store.remove_topic(key.topic).await.unwrap();
    assert_eq!(world.store.remove_topic(key.topic).await, Err(TopicError::NotFound));
    assert_eq!(world.store.topic_events(key.topic, Position(0), 10).await.unwrap(), []);
    assert_eq!(world.store.receive(key.clone(), 1, at(0)).await, Err(PullError::NotFound));
    assert_eq!(world.store.publish(key.topic, vec![event(3)], at(0)).await, Err(PublishError::NoTopic));
    let another = Arc::new(queue_of(&topic(1), "all"));
    assert_eq!(
        world.store.put_event_subscription(Namesake::None, another, LIMIT).await,
        Err(EventSubscriptionError::NoTopic)
    );
    world.queue(Queue::default()).await;
    assert_eq!(world.receive(&key, 10, 0).await, Received::default(), "its successor begins anew");
    assert_eq!(world.publish([1], 0).await, [Some(Position(3))]);
}

pub async fn a_topic_that_was_removed_meanwhile_is_not_kept_for_longer(world: World) {
    let topic = world.store.open_topic(opened_by(1, 60, topic(1)), LIMIT, at(0)).await.unwrap();
    world.store.remove_topic(topic.id).await.unwrap();
    let longer = Arc::new(Topic { subscribed_until: Some(at(90)), ..Topic::clone(&topic) });
    assert_eq!(world.store.replace_topic(topic.clone(), longer).await, Err(TopicError::NotFound));
    assert_eq!(world.store.topic(topic.id).await, Ok(None));
}

pub async fn an_event_subscription_is_put_again_and_keeps_what_is_pending(world: World) {
    let key = world.queue(Queue::default()).await;
    world.publish([1], 0).await;
    let one = world.receive_one(&key, 0).await;
    let renewed = EventSubscription { name: "ALL".to_owned(), created: at(9), ..queue_of(&topic(1), "another key") };
    let before = Namesake::Standing(Arc::new(queue_of(&topic(1), "all")));
    let put = world.store.put_event_subscription(before, Arc::new(renewed.clone()), LIMIT).await.unwrap();
    let (kept, before) = (put.stands, queue_of(&topic(1), "all"));
    assert_eq!((&kept.lock_key, kept.created, put.is_new), (&before.lock_key, at(0), false));
    assert_eq!(world.store.event_subscriptions(key.topic).await.unwrap(), [kept]);
    assert_eq!(world.settle(&key, Settlement::Acknowledge, &[&one.lock_token], 1).await, [Ok(())]);
    let second = Arc::new(queue_of(&topic(1), "second"));
    assert_eq!(
        world.store.put_event_subscription(Namesake::None, second, 1).await,
        Err(EventSubscriptionError::TooMany(1))
    );
    assert_eq!(world.store.remove_event_subscription(key.clone()).await, Ok(Some(None)));
    assert_eq!(world.store.remove_event_subscription(key).await, Ok(None));
}

pub async fn who_subscribes_hears_of_what_is_published_from_then_on_as_far_as_the_filter_lets_it_in(world: World) {
    world.open(topic(1)).await;
    world.publish([2], 0).await;
    let mut written = queue_of(&topic(1), "even").filter.written().clone();
    written.included_event_types = Some(vec!["even".to_owned()]);
    let even = EventSubscription { filter: Filter::try_from(written).unwrap(), ..queue_of(&topic(1), "even") };
    world.store.put_event_subscription(Namesake::None, Arc::new(even), LIMIT).await.unwrap();
    let key = EventSubscriptionKey::new(topic(1).id, "EVEN");
    world.publish(3..=8, 0).await;
    let received = world.receive(&key, 2, 0).await;
    assert_eq!((ids(&received), received.more), (vec!["4", "6"], true));
    let received = world.receive(&key, 2, 0).await;
    assert_eq!((ids(&received), received.more), (vec!["8"], false));
    assert_eq!(world.counts(&key).await, EventCounts { matched: 3, ..EventCounts::default() });
}

pub async fn an_event_that_is_longer_in_base64_than_it_was_is_read_back(world: World) {
    let key = world.queue(Queue::default()).await;
    let large = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"{}"}}"#,
        "AAAA".repeat(349_000)
    );
    let large = CloudEvent::from_long_json(large.as_bytes()).unwrap();
    world.store.publish(key.topic, vec![large.clone(), event(2)], at(0)).await.unwrap();
    let received = world.receive(&key, 10, 0).await;
    assert_eq!(ids(&received), ["1", "2"]);
    assert_eq!(received.events[0].event.event, large);
    let log = world.store.read_log(Partition::of(key.topic), Position(0), 10).await.unwrap();
    assert_eq!(log.len(), 2);
}

pub async fn a_lock_that_runs_out_lets_the_event_be_received_again(world: World) {
    let key = world.queue(Queue { delivery_count_max: 2, ..Queue::default() }).await;
    world.publish([1, 2], 0).await;
    let first = world.receive(&key, 1, 0).await;
    let second = world.receive(&key, 10, 5).await;
    assert_eq!((ids(&first), ids(&second), first.due), (vec!["1"], vec!["2"], Some(at(60))));
    assert_eq!(world.receive(&key, 10, 59).await.events, []);
    let again = world.receive(&key, 10, 65).await;
    assert_eq!((ids(&again), counts(&again)), (vec!["1", "2"], vec![2, 2]), "the one that waits longest first");
    let lost = world.settle(&key, Settlement::Acknowledge, &[&first.events[0].lock_token], 66).await;
    assert_eq!(lost, [Err(TokenFailure::Lost)], "the lock is another's now");
    let settled = world.settle(&key, Settlement::Acknowledge, &[&again.events[0].lock_token], 66).await;
    assert_eq!(settled, [Ok(())]);
    assert_eq!(world.receive(&key, 10, 999).await.events, [], "nothing is received a third time");
    let counted = EventCounts { matched: 2, acknowledged: 1, dropped: 1, ..EventCounts::default() };
    assert_eq!(world.counts(&key).await, counted);
}

pub async fn a_slow_puller_keeps_no_other_waiting_and_gets_what_it_did_not_finish_in_time_again(world: World) {
    let quick = world.queue(Queue::default()).await;
    world.store.put_event_subscription(Namesake::None, Arc::new(queue_of(&topic(1), "slow")), LIMIT).await.unwrap();
    let slow = EventSubscriptionKey::new(quick.topic, "slow");
    world.publish([1, 2, 3], 0).await;
    let unfinished = world.receive(&slow, 2, 0).await;
    let taken = world.receive(&quick, 10, 1).await;
    let tokens: Vec<&str> = taken.events.iter().map(|one| one.lock_token.as_str()).collect();
    assert_eq!(world.settle(&quick, Settlement::Acknowledge, &tokens, 2).await, [Ok(()); 3]);
    world.publish([4], 3).await;
    assert_eq!(ids(&world.receive(&quick, 10, 4).await), ["4"]);
    let [first, second] = &unfinished.events[..] else { panic!("{unfinished:?}") };
    assert_eq!(world.settle(&slow, Settlement::Acknowledge, &[&first.lock_token], 59).await, [Ok(())]);
    let late = world.settle(&slow, Settlement::Acknowledge, &[&second.lock_token], 60).await;
    assert_eq!(late, [Err(TokenFailure::Lost)], "its lock has run out, though nobody else has received it");
    let again = world.receive(&slow, 10, 60).await;
    assert_eq!((ids(&again), counts(&again)), (vec!["2", "3", "4"], vec![2, 1, 1]));
}

pub async fn each_token_gets_its_own_answer(world: World) {
    let key = world.queue(Queue::default()).await;
    world.store.put_event_subscription(Namesake::None, Arc::new(queue_of(&topic(1), "other")), LIMIT).await.unwrap();
    let other = EventSubscriptionKey::new(key.topic, "other");
    world.publish([1], 0).await;
    let (mine, others) = (world.receive_one(&key, 0).await, world.receive_one(&other, 0).await);
    let mut forged = mine.lock_token.clone();
    forged.replace_range(0..1, if forged.starts_with('A') { "B" } else { "A" });
    let tokens = [&mine.lock_token[..], &mine.lock_token, &others.lock_token, &forged, "", "no token"];
    let answers = world.settle(&key, Settlement::Acknowledge, &tokens, 1).await;
    let bad = Err(TokenFailure::Bad);
    assert_eq!(answers, [Ok(()), Err(TokenFailure::Lost), bad, bad, bad, bad]);
    assert_eq!(world.settle(&other, Settlement::Acknowledge, &[&others.lock_token], 1).await, [Ok(())]);
}

pub async fn what_is_released_comes_again_when_its_delay_is_over(world: World) {
    let key = world.queue(Queue { time_to_live_seconds: 600, ..Queue::default() }).await;
    world.publish([1], 0).await;
    let one = world.receive_one(&key, 0).await;
    let release = |delay_seconds| Settlement::Release { delay_seconds };
    assert_eq!(world.settle(&key, release(10), &[&one.lock_token], 1).await, [Ok(())]);
    assert_eq!(world.settle(&key, release(0), &[&one.lock_token], 1).await, [Err(TokenFailure::Lost)]);
    let early = world.receive(&key, 10, 10).await;
    assert_eq!((early.events, early.due), (vec![], Some(at(11))));
    let again = world.receive_one(&key, 11).await;
    assert_eq!(again.delivery_count, 2);
    assert_eq!(world.settle(&key, release(3_600), &[&again.lock_token], 12).await, [Ok(())]);
    let dead = world.receive(&key, 10, 600).await;
    assert_eq!((dead.events, dead.due), (vec![], None), "it does not outlive its time");
}

pub async fn a_lock_is_renewed_for_an_hour(world: World) {
    let key = world.queue(Queue { receive_lock_seconds: 300, ..Queue::default() }).await;
    world.publish([1], 0).await;
    let one = world.receive_one(&key, 0).await;
    for second in (250..3_600).step_by(250) {
        assert_eq!(world.settle(&key, Settlement::RenewLock, &[&one.lock_token], second).await, [Ok(())]);
    }
    let lost = world.settle(&key, Settlement::RenewLock, &[&one.lock_token], 3_600).await;
    assert_eq!(lost, [Err(TokenFailure::Lost)]);
    assert_eq!(world.settle(&key, Settlement::Acknowledge, &[&one.lock_token], 3_700).await, [Ok(())]);
}

pub async fn dead_letters_are_kept_if_that_is_wanted(world: World) {
    let queue =
        Queue { delivery_count_max: 1, time_to_live_seconds: 600, keeps_dead_letters: true, ..Queue::default() };
    let key = world.queue(queue).await;
    world.publish([1, 2, 3], 0).await;
    let received = world.receive(&key, 2, 0).await;
    let tokens: Vec<&str> = received.events.iter().map(|one| one.lock_token.as_str()).collect();
    assert_eq!(world.settle(&key, Settlement::Reject, &tokens[..1], 1).await, [Ok(())]);
    assert_eq!(world.settle(&key, Settlement::Release { delay_seconds: 0 }, &tokens[1..], 2).await, [Ok(())]);
    assert_eq!(world.receive(&key, 10, 600).await.events, []);
    let letters = world.store.dead_letters(key.clone(), Position(0), 10).await.unwrap();
    let told = letters.iter().map(|letter| (letter.position.0, letter.reason, letter.delivery_count, letter.at));
    let expected = [
        (1, DeadLetterReason::Rejected, 1, at(1)),
        (2, DeadLetterReason::MaxDeliveryAttemptsExceeded, 1, at(2)),
        (3, DeadLetterReason::TimeToLiveExceeded, 0, at(600)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(letters[0].event.event, event(1));
    assert_eq!(world.store.dead_letters(key.clone(), Position(2), 10).await.unwrap(), letters[2..]);
    let counted = world.counts(&key).await;
    assert_eq!((counted.matched, counted.dead_lettered, counted.pending()), (3, 3, 0));
}

pub async fn an_event_subscription_that_is_over_is_not_there(world: World) {
    let topic = world.open(topic(1)).await;
    let over = EventSubscription { expires: Some(at(9)), ..queue_of(&topic, "over") };
    world.store.put_event_subscription(Namesake::None, Arc::new(over), LIMIT).await.unwrap();
    let key = EventSubscriptionKey::new(topic.id, "over");
    assert_eq!(world.store.receive(key.clone(), 1, at(8)).await, Ok(Received::default()));
    assert_eq!(world.store.receive(key, 1, at(9)).await, Err(PullError::NotFound));
}

pub async fn what_a_topic_keeps_holds_the_floor_back_and_goes_when_it_is_old(world: World) {
    let key = world.queue(Queue::default()).await;
    let late = EventSubscriptionKey::new(key.topic, "late");
    world.store.put_event_subscription(Namesake::None, Arc::new(queue_of(&topic(1), "late")), LIMIT).await.unwrap();
    world.publish([1], 0).await;
    world.publish([2], 9).await;
    world.receive(&key, 1, 9).await;
    let partition = Partition::of(key.topic);
    world.store.acquire(NodeId(Uuid::from_u128(1)), at(9), at(30), 256).await.unwrap();
    let (unpark, park, ledger, incidents) = (vec![], vec![], [].into(), [].into());
    let (cursor, wall) = (Position(2), at(9));
    let checkpoint =
        Checkpoint { partition, epoch: 1, number: 1, cursor, wall, unpark, park, ledger, incidents, health: [].into() };
    world.store.checkpoint(checkpoint).await.unwrap();
    assert!(world.store.mark_log(partition, at(9), None).await.unwrap());
    let mark = Mark { position: Position(2), at: at(9) };
    let held = async || world.store.log_extents().await.unwrap()[usize::from(partition.0)].event;
    assert_eq!(held().await, Some(Position(1)));
    assert_eq!(world.store.raise_floor(partition, mark).await, Ok(false));
    assert_eq!(world.store.forget_events(key.topic, at(9), 10).await, Ok(1), "the second is not old enough");
    assert_eq!((held().await, world.store.raise_floor(partition, mark).await), (Some(Position(2)), Ok(false)));
    let counted = EventCounts { matched: 1, dropped: 1, ..EventCounts::default() };
    assert_eq!(world.counts(&key).await, counted, "it was received and not settled");
    assert_eq!(world.counts(&late).await, EventCounts { unread: 1, ..EventCounts::default() });
    let received = world.receive(&key, 10, 9).await;
    assert_eq!((ids(&received), ids(&world.receive(&late, 10, 9).await)), (vec!["2"], vec!["2"]));
    assert_eq!(world.store.forget_events(key.topic, at(10), 10).await, Ok(1));
    assert_eq!(world.store.raise_floor(partition, mark).await, Ok(true));
    let lost = world.settle(&key, Settlement::Acknowledge, &[&received.events[0].lock_token], 10).await;
    assert_eq!(lost, [Err(TokenFailure::Lost)]);
    assert_eq!(world.publish([1], 10).await, [Some(Position(3))], "of what is gone nobody knows that it was");
}
