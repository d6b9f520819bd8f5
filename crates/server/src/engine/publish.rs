//! Publishes what goes to a partner topic. It counts as acknowledged when it is durable there, or dropped by a topic that
//! is not activated.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Timestamp, TopicId};
use notify::node::{Notification, Outcome};
use notify::topic::{CloudEvent, event_of};
use store::{PublishError, Store, StoreError};

/// As if the topic were a receiver, and answered so.
const NOT_FOUND: Outcome = Outcome::Refused { status: 404, retry_after: None };
const UNPROCESSABLE: Outcome = Outcome::Refused { status: 422, retry_after: None };
const UNAVAILABLE: Outcome = Outcome::Refused { status: 503, retry_after: None };

/// Publishes the events of notifications, in their order, each once however often that is tried.
pub(super) async fn publish(store: &Arc<dyn Store>, notifications: &[Notification], now: Timestamp) -> Outcome {
    let mut topics: BTreeMap<Option<TopicId>, Vec<&Notification>> = BTreeMap::new();
    for notification in notifications {
        topics.entry(notification.subscription.topic()).or_default().push(notification);
    }
    for (topic, notifications) in topics {
        let published = match topic {
            Some(topic) => publish_into(store, topic, &notifications, now).await,
            None => Err(NOT_FOUND),
        };
        if let Err(outcome) = published {
            return outcome;
        }
    }
    Outcome::Acknowledged
}

async fn publish_into(
    store: &Arc<dyn Store>,
    topic: TopicId,
    notifications: &[&Notification],
    now: Timestamp,
) -> Result<(), Outcome> {
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

fn unavailable(error: &StoreError) -> Outcome {
    tracing::warn!(%error, "events could not be published; it will be tried again");
    UNAVAILABLE
}
