//! `…/partnerTopics/{topic}/eventSubscriptions` and below: list, get, put, patch, delete. A PUT and a PATCH are answered
//! with 201, which clients take for done. Changing one keeps what was received of it and not settled.

use std::sync::Arc;

use graph::{SubscriptionId, Timestamp};
use http::StatusCode;
use notify::Topic;
use notify::access::Principal;
use notify::topic::{
    Destination, EVENT_SUBSCRIPTIONS_MAX, EventSubscription, Filter, Queue, is_event_subscription_name,
};
use protocol::event_grid::EventSubscriptionFilter;
use protocol::event_grid::management::{self, InvalidBody, Page, TopicPath, WantedEventSubscription};
use serde_json::{Value, json};
use store::EventSubscriptionKey;

use super::super::refusal::Refusal;
use super::super::who::managed;
use super::super::{Call, Done};
use super::topics::path_of;
use crate::ids;

pub(super) async fn list(call: &Call<'_>, who: &Principal, path: &TopicPath) -> Result<Done, Refusal> {
    let topic = managed(call, who, path).await?;
    let subscriptions = call.state.store.event_subscriptions(topic.id).await?;
    let now = call.state.clock.wall();
    let standing = subscriptions.iter().filter(|subscription| !subscription.is_over(now));
    Ok(Done::ok(&Page { value: standing.map(|subscription| body(&topic, subscription)).collect() }))
}

pub(super) async fn get(call: &Call<'_>, who: &Principal, path: &TopicPath, name: &str) -> Result<Done, Refusal> {
    let (topic, found) = standing(call, who, path, name).await?;
    Ok(Done::ok(&body(&topic, &found)))
}

pub(super) async fn put(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    name: &str,
    sent: &[u8],
) -> Result<Done, Refusal> {
    let topic = managed(call, who, path).await?;
    if !is_event_subscription_name(name) {
        return Err(Refusal::EventSubscriptionName);
    }
    let wanted = WantedEventSubscription::parse_put(sent, &path_of(&topic))?;
    let queue = queue(Queue::default(), wanted.queue.unwrap_or_default())?;
    store(
        call,
        &topic,
        EventSubscription {
            id: Some(SubscriptionId(ids::new_uuid())),
            topic: topic.id,
            name: name.to_owned(),
            filter: filter(wanted.filter.unwrap_or_default())?,
            destination: Destination::Queue(queue),
            labels: wanted.labels.unwrap_or_default(),
            expires: wanted.expiration.as_deref().map(time).transpose()?,
            created: call.state.clock.wall(),
            lock_key: ids::new_lock_key(),
        },
    )
    .await
}

pub(super) async fn patch(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    name: &str,
    sent: &[u8],
) -> Result<Done, Refusal> {
    let (topic, before) = standing(call, who, path, name).await?;
    let wanted = WantedEventSubscription::parse_patch(sent, &path_of(&topic))?;
    // What was pushed under its id may have ended.
    let mut after =
        EventSubscription { id: Some(SubscriptionId(ids::new_uuid())), ..EventSubscription::clone(&before) };
    if let Some(wanted) = wanted.filter {
        after.filter = filter(wanted)?;
    }
    if let Some(wanted) = wanted.queue {
        let before = after.queue().copied().unwrap_or_default();
        after.destination = Destination::Queue(queue(before, wanted)?);
    }
    if let Some(labels) = wanted.labels {
        after.labels = labels;
    }
    if let Some(expiration) = wanted.expiration {
        after.expires = Some(time(&expiration)?);
    }
    store(call, &topic, after).await
}

async fn store(call: &Call<'_>, topic: &Topic, subscription: EventSubscription) -> Result<Done, Refusal> {
    let put = call.state.store.put_event_subscription(Arc::new(subscription), EVENT_SUBSCRIPTIONS_MAX).await;
    let (stands, _) = put?;
    call.state.arrivals.ring(topic.id);
    Ok(Done::json(StatusCode::CREATED, &body(topic, &stands)))
}

/// 204 the second time, as Azure answers.
pub(super) async fn delete(call: &Call<'_>, who: &Principal, path: &TopicPath, name: &str) -> Result<Done, Refusal> {
    let topic = managed(call, who, path).await?;
    let removed = call.state.store.remove_event_subscription(EventSubscriptionKey::new(topic.id, name)).await?;
    call.state.arrivals.ring(topic.id);
    Ok(Done::empty(if removed { StatusCode::OK } else { StatusCode::NO_CONTENT }))
}

pub(super) async fn full_url(call: &Call<'_>, who: &Principal, path: &TopicPath, name: &str) -> Result<Done, Refusal> {
    standing(call, who, path, name).await?;
    Err(Refusal::NoUrl)
}

/// Headers of pushed events; nothing is pushed.
pub(super) async fn delivery_attributes(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    name: &str,
) -> Result<Done, Refusal> {
    standing(call, who, path, name).await?;
    Ok(Done::ok(&json!({ "value": [] })))
}

/// The event subscription of this name, with its topic, unless it is over.
async fn standing(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    name: &str,
) -> Result<(Arc<Topic>, Arc<EventSubscription>), Refusal> {
    let topic = managed(call, who, path).await?;
    let found = call.state.store.event_subscription(EventSubscriptionKey::new(topic.id, name)).await?;
    let found = found.map(|(found, _)| found).filter(|found| !found.is_over(call.state.clock.wall()));
    Ok((topic, found.ok_or(Refusal::NoEventSubscription)?))
}

fn filter(wanted: EventSubscriptionFilter) -> Result<Filter, Refusal> {
    Filter::try_from(wanted).map_err(Refusal::Filter)
}

fn queue(before: Queue, wanted: management::Queue) -> Result<Queue, Refusal> {
    let queue = Queue {
        receive_lock_seconds: wanted.receive_lock_seconds.unwrap_or(before.receive_lock_seconds),
        delivery_count_max: wanted.delivery_count_max.unwrap_or(before.delivery_count_max),
        time_to_live_seconds: wanted.time_to_live_seconds.unwrap_or(before.time_to_live_seconds),
        ..before
    };
    queue.check().map_err(Refusal::Queue)
}

fn time(text: &str) -> Result<Timestamp, Refusal> {
    text.parse().map_err(|_| Refusal::Body(InvalidBody::Expiration))
}

fn body(topic: &Topic, of: &EventSubscription) -> Value {
    let (path, expiration) = (path_of(topic), of.expires.map(|time| time.to_string()));
    let queue = of.queue().copied().unwrap_or_default();
    let answered = management::EventSubscription {
        topic: &path,
        name: &of.name,
        filter: of.filter.written(),
        queue: management::Queue {
            receive_lock_seconds: Some(queue.receive_lock_seconds),
            delivery_count_max: Some(queue.delivery_count_max),
            time_to_live_seconds: Some(queue.time_to_live_seconds),
        },
        labels: &of.labels,
        expiration: expiration.as_deref(),
    };
    serde_json::to_value(answered.body()).unwrap_or_default()
}
