//! Event subscriptions whose events are pushed: subscriptions of the node, which live and end with them.

use std::sync::Arc;

use graph::{AppId, Partition, SubscriptionId};
use notify::log::{EndReason, SubscriptionEvent};
use notify::topic::{Awaited, Destination, Endpoint, EventCounts, EventSubscription, Filter, Topic};
use notify::{Position, Record, Subscription};
use tidings_store::{
    App, EventSubscriptionError, EventSubscriptionKey, Namesake, PullError, Put, SubscriptionError, SubscriptionQuery,
};
use uuid::Uuid;

use crate::World;
use crate::support::*;

const APP: u128 = 0xa;

impl World {
    /// Topic 1, of an app.
    async fn topic_of_app(&self) -> Arc<Topic> {
        self.store.open_topic(opened_by(APP, 60, topic(1)), 10, at(0)).await.unwrap()
    }

    async fn put(&self, wanted: EventSubscription) -> Arc<EventSubscription> {
        self.put_again(wanted).await.stands
    }

    async fn put_again(&self, wanted: EventSubscription) -> Put {
        let before = namesake(&*self.store, &wanted).await;
        self.store.put_event_subscription(before, Arc::new(wanted), 10).await.unwrap()
    }

    /// What the log of the topic's partition tells of subscriptions.
    async fn lives(&self) -> Vec<(SubscriptionId, SubscriptionEvent)> {
        let log = self.store.read_log(Partition::of(topic(1).id), Position(0), 100).await.unwrap();
        let told = log.iter().filter_map(|(_, record)| match &**record {
            Record::Subscription { id, event } => Some((*id, event.clone())),
            _ => None,
        });
        told.collect()
    }
}

/// One whose endpoint has not consented yet.
fn awaiting(mut put: EventSubscription) -> EventSubscription {
    let Destination::Push(push) = &mut put.destination else { panic!("{put:?}") };
    let Endpoint::Webhook(webhook) = &mut push.to else { panic!("{push:?}") };
    webhook.awaits = Some(Awaited { code_hash: [1; 32], until: at(600) });
    put
}

fn began(topic: &Topic, subscription: &EventSubscription) -> (SubscriptionId, SubscriptionEvent) {
    let pushed = topic.pushed(subscription).unwrap();
    (pushed.id, SubscriptionEvent::Began(Box::new(pushed)))
}

fn ended(id: u128, reason: EndReason) -> (SubscriptionId, SubscriptionEvent) {
    (subscription_id(id), SubscriptionEvent::Ended(reason))
}

pub async fn what_pushes_events_is_a_subscription_for_the_node_and_none_of_its_app(world: World) {
    let app = App::new(AppId(Uuid::from_u128(APP)), TENANT, "app", MEGAN);
    world.store.add_app(app.clone()).await.unwrap();
    let topic = world.topic_of_app().await;
    world.store.publish(topic.id, vec![event(1)], at(0)).await.unwrap();
    let put = world.put(pushed_to(&topic, "push", "/a", 7)).await;
    assert_eq!(world.lives().await, [began(&topic, &put)]);
    let state = world.store.partition_state(topic.partition()).await.unwrap();
    let [span] = &state.subscriptions[..] else { panic!("{state:?}") };
    assert_eq!((&*span.subscription, span.began, span.ended), (&topic.pushed(&put).unwrap(), Position(2), None));
    assert_eq!(world.store.subscription(subscription_id(7)).await, Ok(Some(span.subscription.clone())));
    for app in [None, Some(app.id)] {
        let query = SubscriptionQuery { tenant: TENANT, app, creator: None, mailbox: None, after: None, limit: 10 };
        assert_eq!(world.store.subscriptions(query).await, Ok(vec![]));
    }
    world.store.remove_app(app.id).await.unwrap();
    assert!(world.store.subscription(subscription_id(7)).await.unwrap().is_some(), "topics outlive their apps");
}

pub async fn what_is_put_again_is_patched_if_it_is_another_and_keeps_its_id(world: World) {
    let topic = world.topic_of_app().await;
    let first = world.put(pushed_to(&topic, "push", "/a", 7)).await;
    assert_eq!(world.put(pushed_to(&topic, "PUSH", "/a", 7)).await.id, first.id);
    let renamed = topic.pushed(&EventSubscription { name: "PUSH".to_owned(), ..(*first).clone() }).unwrap();
    let second = world.put(EventSubscription { expires: Some(at(90)), ..pushed_to(&topic, "push", "/b", 8) }).await;
    assert_eq!(
        world.put(EventSubscription { expires: Some(at(90)), ..pushed_to(&topic, "push", "/b", 9) }).await,
        second
    );
    assert_eq!(second.id, first.id);
    let patched = |after: Subscription| (after.id, SubscriptionEvent::Patched(Box::new(after)));
    let after = topic.pushed(&second).unwrap();
    assert_eq!(after.notification_url, "https://receiver.test/b");
    assert_eq!(world.lives().await, [began(&topic, &first), patched(renamed), patched(after.clone())]);
    assert_eq!(world.store.subscription(subscription_id(7)).await, Ok(Some(Arc::new(after))));
}

pub async fn what_an_operator_has_pushed_is_its_first_apps_from_then_on(world: World) {
    let none = world.store.open_topic(Arc::new(topic(1)), 10, at(0)).await.unwrap();
    let (one, other) = (world.put(pushed_to(&none, "one", "/a", 8)).await, pushed_to(&none, "other", "/b", 7));
    let other = world.put(other).await;
    world.put(awaiting(pushed_to(&none, "asked", "/c", 9))).await;
    assert_eq!(world.lives().await, [began(&none, &one), began(&none, &other)]);
    let owned = world.topic_of_app().await;
    let pushed = [&other, &one].map(|put| owned.pushed(put).unwrap());
    assert!(pushed.iter().all(|pushed| pushed.app == AppId(Uuid::from_u128(APP))));
    let patched = pushed.clone().map(|after| (after.id, SubscriptionEvent::Patched(Box::new(after))));
    assert_eq!(world.lives().await[2..], patched);
    for after in pushed {
        assert_eq!(world.store.subscription(after.id).await, Ok(Some(Arc::new(after))));
    }
    world.topic_of_app().await;
    assert_eq!(world.lives().await.len(), 4, "and once");
}

pub async fn what_was_stopped_goes_on_when_it_is_put_again(world: World) {
    let topic = world.topic_of_app().await;
    let put = world.put(pushed_to(&topic, "push", "/a", 7)).await;
    world.store.pause_subscription(Arc::new(topic.pushed(&put).unwrap())).await.unwrap();
    let is_paused = || async {
        let state = world.store.partition_state(topic.partition()).await.unwrap();
        let standing = world.store.standing(subscription_id(7)).await.unwrap().unwrap();
        assert_eq!(state.subscriptions[0].standing, standing);
        standing.is_paused()
    };
    assert!(is_paused().await);
    assert_eq!(world.put(pushed_to(&topic, "push", "/a", 8)).await, put);
    assert!(!is_paused().await);
    let told = |event| (subscription_id(7), event);
    let (paused, resumed) = (told(SubscriptionEvent::Paused), told(SubscriptionEvent::Resumed));
    assert_eq!(world.lives().await, [began(&topic, &put), paused, resumed], "and once");
    world.put(pushed_to(&topic, "push", "/a", 9)).await;
    assert_eq!(world.lives().await.len(), 3);
    world.store.remove_topic(topic.id).await.unwrap();
    assert_eq!(world.store.standing(subscription_id(7)).await, Ok(None), "it lives no more");
}

pub async fn a_filter_that_is_changed_is_remembered_up_to_the_change(world: World) {
    let topic = world.topic_of_app().await;
    let first = world.put(pushed_to(&topic, "push", "/a", 7)).await;
    let mut written = first.filter.written().clone();
    written.included_event_types = Some(vec!["even".to_owned()]);
    let even = Filter::try_from(written).unwrap();
    let narrow = || EventSubscription { filter: even.clone(), ..pushed_to(&topic, "push", "/a", 8) };
    let second = world.put(narrow()).await;
    world.put(narrow()).await;
    let pushed = world.store.subscription(subscription_id(7)).await.unwrap().unwrap();
    assert_eq!(*pushed, topic.pushed(&second).unwrap().in_place_of(&topic.pushed(&first).unwrap(), Position(2)));
    assert_eq!(pushed.filter_at(Position(2)), Some(&first.filter));
    assert_eq!(pushed.filter_at(Position(3)), Some(&even));
    let patched = (pushed.id, SubscriptionEvent::Patched(Box::new((*pushed).clone())));
    assert_eq!(world.lives().await, [began(&topic, &first), patched], "the same is no change");
}

pub async fn an_endpoint_that_has_not_consented_is_pushed_nothing_yet(world: World) {
    let topic = world.topic_of_app().await;
    world.put(awaiting(pushed_to(&topic, "push", "/a", 7))).await;
    assert_eq!(world.lives().await, []);
    let key = EventSubscriptionKey::new(topic.id, "push");
    assert_eq!(world.store.receive(key, 1, at(0)).await, Err(PullError::NotAQueue));
    let put = world.put(pushed_to(&topic, "push", "/a", 8)).await;
    assert_eq!(world.lives().await, [began(&topic, &put)]);
}

pub async fn what_has_expired_begins_anew_under_another_id(world: World) {
    let topic = world.topic_of_app().await;
    let soon = |id| EventSubscription { expires: Some(at(9)), ..pushed_to(&topic, "push", "/a", id) };
    let first = world.put(soon(7)).await;
    let expired =
        async |expires| world.store.end_subscription(subscription_id(7), EndReason::Expired, Some(at(expires))).await;
    assert_eq!(expired(8).await, Err(SubscriptionError::Changed));
    expired(9).await.unwrap();
    let before = Namesake::Standing(first.clone());
    let again = async |id| world.store.put_event_subscription(before.clone(), Arc::new(soon(id)), 10).await;
    assert_eq!(again(7).await, Err(EventSubscriptionError::Changed), "ids do not come back");
    let second = again(8).await.unwrap();
    assert_eq!((second.stands.id, second.is_new), (Some(subscription_id(8)), false));
    let second = second.stands;
    let told = [began(&topic, &first), ended(7, EndReason::Expired), began(&topic, &second)];
    assert_eq!(world.lives().await, told);
}

pub async fn who_puts_hears_what_pushes_no_more_and_what_goes_on_as_another(world: World) {
    let topic = world.topic_of_app().await;
    let heard = async |wanted| {
        let put = world.put_again(wanted).await;
        (put.ended, put.patched)
    };
    assert_eq!(heard(pushed_to(&topic, "push", "/a", 7)).await, (None, None));
    assert_eq!(heard(pushed_to(&topic, "push", "/b", 8)).await, (None, Some(Position(2))));
    assert_eq!(heard(pushed_to(&topic, "push", "/b", 8)).await, (None, None));
    assert_eq!(heard(queue_of(&topic, "push")).await, (Some((subscription_id(7), Position(3))), None));
    assert_eq!(heard(pushed_to(&topic, "push", "/a", 8)).await, (None, None));
}

pub async fn what_was_removed_meanwhile_does_not_come_back_when_its_endpoint_consents(world: World) {
    let topic = world.topic_of_app().await;
    let asked = world.put(awaiting(pushed_to(&topic, "push", "/a", 7))).await;
    let key = EventSubscriptionKey::new(topic.id, "push");
    world.store.remove_event_subscription(key.clone()).await.unwrap();
    let consented = Arc::new(pushed_to(&topic, "push", "/a", 8));
    let put = world.store.put_event_subscription(Namesake::Standing(asked), consented, 10).await;
    assert_eq!(put, Err(EventSubscriptionError::Changed));
    assert_eq!(world.store.event_subscription(key).await, Ok(None));
    assert_eq!(world.lives().await, []);
}

pub async fn a_consent_that_was_given_meanwhile_is_not_taken_back(world: World) {
    let topic = world.topic_of_app().await;
    let asked = world.put(awaiting(pushed_to(&topic, "push", "/a", 7))).await;
    let consented = world.put(pushed_to(&topic, "push", "/a", 8)).await;
    let labelled = Arc::new(EventSubscription { labels: vec!["a".to_owned()], ..EventSubscription::clone(&asked) });
    let put = world.store.put_event_subscription(Namesake::Standing(asked), labelled, 10).await;
    assert_eq!(put, Err(EventSubscriptionError::Changed));
    let stands = world.store.event_subscription(EventSubscriptionKey::new(topic.id, "push")).await.unwrap();
    assert_eq!(stands.unwrap().0, consented);
}

pub async fn what_is_over_makes_room_unless_something_else_has_its_name_meanwhile(world: World) {
    let topic = world.topic_of_app().await;
    let soon = world.put(EventSubscription { expires: Some(at(9)), ..pushed_to(&topic, "push", "/a", 7) }).await;
    let over = Namesake::Over(soon.clone());
    let anew = async |id| {
        let wanted = Arc::new(pushed_to(&topic, "PUSH", "/b", id));
        world.store.put_event_subscription(over.clone(), wanted, 1).await
    };
    assert_eq!(anew(7).await, Err(EventSubscriptionError::Changed), "ids do not come back");
    let put = anew(8).await.unwrap();
    assert_eq!((put.ended, put.is_new), (Some((subscription_id(7), Position(2))), false));
    assert_eq!(world.lives().await, [began(&topic, &soon), ended(7, EndReason::Deleted), began(&topic, &put.stands)]);
    assert_eq!(anew(9).await, Err(EventSubscriptionError::Changed), "somebody was faster");
    assert_eq!(world.store.event_subscriptions(topic.id).await.unwrap(), [put.stands]);
}

pub async fn what_comes_to_be_pushed_is_pulled_no_more_and_what_was_pending_is_counted(world: World) {
    let topic = world.topic_of_app().await;
    let key = EventSubscriptionKey::new(topic.id, "all");
    let counts = async || world.store.event_subscription(key.clone()).await.unwrap().unwrap().1;
    let publish = async |event_| world.store.publish(topic.id, vec![event(event_)], at(5)).await.unwrap();
    world.put(queue_of(&topic, "all")).await;
    world.store.publish(topic.id, [1, 2, 3].map(event).into(), at(0)).await.unwrap();
    world.store.receive(key.clone(), 1, at(0)).await.unwrap();
    let pushed = world.put(pushed_to(&topic, "all", "/a", 7)).await;
    let counted = EventCounts { matched: 1, dropped: 1, unread: 2, ..EventCounts::default() };
    assert_eq!(counts().await, counted);
    assert_eq!(world.store.receive(key.clone(), 1, at(99)).await, Err(PullError::NotAQueue));
    publish(4).await;
    world.store.forget_events(topic.id, at(9), 100).await.unwrap();
    assert_eq!(counts().await, counted, "what was pushed is nobody's to pull");
    publish(5).await;
    let pulled = world.put(EventSubscription { id: Some(subscription_id(8)), ..queue_of(&topic, "all") }).await;
    assert_eq!((pulled.queue().is_some(), &pulled.lock_key), (true, &pushed.lock_key));
    assert_eq!(world.lives().await, [began(&topic, &pushed), ended(7, EndReason::Deleted)]);
    publish(6).await;
    let received = world.store.receive(key.clone(), 9, at(99)).await.unwrap();
    assert_eq!(received.events.iter().map(|one| one.event.event.clone()).collect::<Vec<_>>(), [event(6)]);
    let again = world.put(pushed_to(&topic, "all", "/a", 8)).await;
    assert_eq!(world.lives().await[2..], [began(&topic, &again)]);
}

pub async fn what_pushes_ends_with_its_event_subscription_and_with_its_topic(world: World) {
    let topic = world.topic_of_app().await;
    for (name, id) in [("one", 7), ("two", 9), ("three", 8)] {
        world.put(pushed_to(&topic, name, "/a", id)).await;
    }
    let key = EventSubscriptionKey::new(topic.id, "ONE");
    assert_eq!(
        world.store.remove_event_subscription(key.clone()).await,
        Ok(Some(Some((subscription_id(7), Position(4)))))
    );
    assert_eq!(world.store.remove_event_subscription(key).await, Ok(None));
    assert_eq!(world.lives().await[3..], [ended(7, EndReason::Deleted)]);
    let others = vec![(subscription_id(8), Position(5)), (subscription_id(9), Position(6))];
    assert_eq!(world.store.remove_topic(topic.id).await, Ok(others));
    let told = [7, 8, 9].map(|id| ended(id, EndReason::Deleted));
    assert_eq!(world.lives().await[3..], told);
    assert_eq!(world.heard.of(topic.partition()).len(), 6);
    let state = world.store.partition_state(topic.partition()).await.unwrap();
    let ends: Vec<_> = state.subscriptions.iter().map(|span| span.ended).collect();
    assert_eq!(ends, [4, 5, 6].map(|at| Some(Position(at))));
}
