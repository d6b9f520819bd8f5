//! Publishes what goes to a partner topic. It counts as acknowledged when it is durable there, or dropped by a topic that
//! is not activated.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Timestamp, TopicId};
use notify::node::{Notification, Outcome};
use notify::topic::{CloudEvent, event_of};
use store::{PublishError, Store, StoreError};

use crate::room::Room;
use crate::sinks::Refused;

/// As if the topic were a receiver, and answered so.
const NOT_FOUND: Refused = Refused { outcome: Outcome::refused(404), cause: "the topic was removed" };
const UNPROCESSABLE: Refused = Refused { outcome: Outcome::refused(422), cause: "it has no valid event" };
const UNAVAILABLE: Refused = Refused { outcome: Outcome::refused(503), cause: "the topic takes nothing now" };

/// Where events are published, and whether there is room for them.
pub(super) struct Topics {
    pub store: Arc<dyn Store>,
    pub room: Arc<Room>,
}

/// Publishes the events of notifications, in their order, each once however often that is tried.
pub(super) async fn publish(topics: &Topics, notifications: &[Notification], now: Timestamp) -> Result<(), Refused> {
    let mut by_topic: BTreeMap<Option<TopicId>, Vec<&Notification>> = BTreeMap::new();
    for notification in notifications {
        by_topic.entry(notification.subscription.topic()).or_default().push(notification);
    }
    for (topic, notifications) in by_topic {
        publish_into(topics, topic.ok_or(NOT_FOUND)?, &notifications, now).await?;
    }
    Ok(())
}

async fn publish_into(
    topics: &Topics,
    topic: TopicId,
    notifications: &[&Notification],
    now: Timestamp,
) -> Result<(), Refused> {
    let Topics { store, room } = topics;
    room.for_events(topic).map_err(|error| unavailable(&error))?;
    let found = store.topic(topic).await.map_err(|error| unavailable(&error))?.ok_or(NOT_FOUND)?;
    let events = notifications.iter().filter_map(|one| event_of(one, found.profile, now));
    let events: Vec<CloudEvent> = events.collect::<Result<_, _>>().map_err(|error| {
        tracing::error!(%topic, %error, "a notification has no valid event");
        UNPROCESSABLE
    })?;
    match store.publish(topic, events, now).await {
        Ok(_) => Ok(()),
        Err(PublishError::NoTopic) => Err(NOT_FOUND),
        Err(PublishError::Store(error)) => Err(unavailable(&error)),
    }
}

fn unavailable(error: &StoreError) -> Refused {
    tracing::warn!(%error, "events could not be published; it will be tried again");
    UNAVAILABLE
}

#[cfg(test)]
mod tests {
    use graph::Partition;
    use notify::event_grid_url::EventGridUrl;
    use notify::retention::Full;
    use notify::subscription::Extras;
    use notify::topic::{Activation, Profile, Tags};
    use notify::{Position, Subscription, Topic};
    use store::TopicCounts;
    use store::memory::MemoryStore;
    use uuid::Uuid;

    use super::*;
    use crate::engine::bodies::tests::notification;
    use crate::{ids, seed};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const URL: &str = "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e&resourcegroup=rg\
                       &partnertopic=mail-events&location=westeurope";

    async fn store(activation: Activation) -> (Topics, TopicId) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(|_, _| {})));
        let topic = Topic {
            id: TopicId(Uuid::from_u128(1)),
            tenant: seed::TENANT,
            place: EventGridUrl::parse(URL).unwrap(),
            apps: [].into(),
            profile: Profile::default(),
            activation,
            created: NOW,
            description: String::new(),
            tags: Tags::new(),
            keys: [ids::new_topic_key(), ids::new_topic_key()],
            subscribed_until: None,
        };
        let topic = store.open_topic(Arc::new(topic), 1, NOW).await.unwrap().id;
        (Topics { store, room: Arc::default() }, topic)
    }

    fn told_through(topic: TopicId) -> Notification {
        let told = notification();
        let extras = Extras { topic: Some(topic), ..Extras::default() };
        let subscription = Subscription { extras: extras.boxed(), ..Subscription::clone(&told.subscription) };
        Notification { subscription: Arc::new(subscription), ..told }
    }

    #[tokio::test]
    async fn what_is_published_again_is_in_the_topic_once() {
        let (topics, topic) = store(Activation::Activated).await;
        let notifications = [told_through(topic), told_through(topic)];
        assert_eq!(publish(&topics, &notifications, NOW).await, Ok(()));
        assert_eq!(publish(&topics, &notifications, NOW.plus_minutes(5)).await, Ok(()));
        let kept = topics.store.topic_events(topic, Position(0), 10).await.unwrap();
        let ids: Vec<_> = kept.iter().map(|(_, kept)| kept.event.attributes().id.clone()).collect();
        assert_eq!(ids, notifications.map(|one| one.id.to_string()));
    }

    #[tokio::test]
    async fn what_a_topic_that_is_not_activated_drops_is_acknowledged_and_counted() {
        let (topics, topic) = store(Activation::NeverActivated).await;
        assert_eq!(publish(&topics, &[told_through(topic)], NOW).await, Ok(()));
        let counted = topics.store.topic_counts(topic).await.unwrap();
        assert_eq!(counted, Some(TopicCounts { events: 0, dropped: 1 }));
    }

    #[tokio::test]
    async fn a_topic_that_is_gone_refuses_as_a_receiver_does() {
        let (topics, topic) = store(Activation::Activated).await;
        topics.store.remove_topic(topic).await.unwrap();
        assert_eq!(publish(&topics, &[told_through(topic)], NOW).await, Err(NOT_FOUND));
    }

    #[tokio::test]
    async fn a_topic_whose_log_is_full_refuses_as_a_receiver_does_until_there_is_room() {
        let (topics, topic) = store(Activation::Activated).await;
        let events = [Partition::of(topic)].into();
        topics.room.set(Full { events, ..Full::default() });
        assert_eq!(publish(&topics, &[told_through(topic)], NOW).await, Err(UNAVAILABLE));
        topics.room.set(Full::default());
        assert_eq!(publish(&topics, &[told_through(topic)], NOW).await, Ok(()));
    }
}
