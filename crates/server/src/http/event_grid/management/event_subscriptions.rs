//! `…/partnerTopics/{topic}/eventSubscriptions` and below: list, get, put, patch, delete. A PUT and a PATCH are answered
//! with 201, which clients take for done unless it says that an endpoint's consent is awaited. Changing one keeps what was
//! received of it and not settled, and what is under way to where it was pushed.

use std::sync::Arc;

use graph::{SubscriptionId, Timestamp};
use http::StatusCode;
use notify::Topic;
use notify::access::Principal;
use notify::topic::{
    Destination, EVENT_SUBSCRIPTIONS_MAX, EventSubscription, Filter, Push, Wanted, Webhook, is_event_subscription_name,
};
use protocol::event_grid::EventSubscriptionFilter;
use protocol::event_grid::management::{
    DeliveryAttributeMapping, InvalidBody, Page, TopicPath, WantedDestination, WantedEventSubscription,
};
use serde_json::{Value, json};
use store::{EndedPushing, EventSubscriptionKey};

use super::super::refusal::Refusal;
use super::super::who::managed;
use super::super::{Call, Done};
use super::consent::Asked;
use super::topics::path_of;
use crate::ids;

pub(super) async fn list(call: &Call<'_>, who: &Principal, path: &TopicPath) -> Result<Done, Refusal> {
    let topic = managed(call, who, path).await?;
    let subscriptions = call.state.store.event_subscriptions(topic.id).await?;
    let now = call.state.clock.wall();
    let standing = subscriptions.iter().filter(|subscription| !subscription.is_over(now));
    Ok(Done::ok(&Page { value: standing.map(|subscription| body(&topic, subscription, now)).collect() }))
}

pub(super) async fn get(call: &Call<'_>, who: &Principal, path: &TopicPath, name: &str) -> Result<Done, Refusal> {
    let (topic, found) = standing(call, who, path, name).await?;
    Ok(Done::ok(&body(&topic, &found, call.state.clock.wall())))
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
    let filter = filter(wanted.filter.clone().unwrap_or_default())?;
    let expires = wanted.expiration.as_deref().map(time).transpose()?;
    let destination = destination(call, &wanted, None)?;
    let key = EventSubscriptionKey::new(topic.id, name);
    let before = call.state.store.event_subscription(key.clone()).await?.map(|(before, _)| before);
    let (before, over) = match before {
        Some(before) if before.is_over(call.state.clock.wall()) => (None, true),
        before => (before, false),
    };
    let asked = Asked { call, who, topic: &topic, event_subscription: name };
    let (destination, consent) = asked.consent(destination, before.as_ref().map(|before| &before.destination)).await?;
    if over {
        // It begins anew, and not where its namesake came to.
        let ended = call.state.store.remove_event_subscription(key).await?;
        pushing_ended(call, &topic, ended.flatten()).await;
    }
    let subscription = EventSubscription {
        id: Some(SubscriptionId(ids::new_uuid())),
        topic: topic.id,
        name: name.to_owned(),
        filter,
        destination,
        labels: wanted.labels.unwrap_or_default(),
        expires,
        created: call.state.clock.wall(),
        lock_key: ids::new_lock_key(),
    };
    let stands = consent.settled(call, store(call, subscription).await?).await?;
    Ok(answered(call, &topic, &stands))
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
    let id = Some(SubscriptionId(ids::new_uuid()));
    let mut after = EventSubscription { id, ..EventSubscription::clone(&before) };
    after.destination = destination(call, &wanted, Some(&before.destination))?;
    if let Some(wanted) = wanted.filter {
        after.filter = filter(wanted)?;
    }
    if let Some(labels) = wanted.labels {
        after.labels = labels;
    }
    if let Some(expiration) = wanted.expiration {
        after.expires = Some(time(&expiration)?);
    }
    if !matches!(wanted.to, Some(WantedDestination::WebHook(_))) {
        return Ok(answered(call, &topic, &*store(call, after).await?));
    }
    let asked = Asked { call, who, topic: &topic, event_subscription: &before.name };
    let (destination, consent) = asked.consent(after.destination, Some(&before.destination)).await?;
    // The endpoint took its time, in which somebody may have removed or changed it.
    if standing(call, who, path, name).await?.1 != before {
        return Err(Refusal::Changed);
    }
    let stored = store(call, EventSubscription { destination, ..after }).await?;
    let stands = consent.settled(call, stored).await?;
    Ok(answered(call, &topic, &stands))
}

/// Where events are to go, if this server can bring them there.
fn destination(
    call: &Call<'_>,
    wanted: &WantedEventSubscription,
    before: Option<&Destination>,
) -> Result<Destination, Refusal> {
    let (to, retry, dead_letters) = (wanted.to.as_ref(), wanted.retry.as_ref(), wanted.dead_letters.as_ref());
    let destination = Destination::wanted(&Wanted { to, retry, dead_letters }, before).map_err(Refusal::Destination)?;
    call.state.sinks.check(&destination).map_err(Refusal::NoSink)?;
    Ok(destination)
}

pub(in crate::http::event_grid) async fn store(
    call: &Call<'_>,
    subscription: EventSubscription,
) -> Result<Arc<EventSubscription>, Refusal> {
    let topic = subscription.topic;
    let put = call.state.store.put_event_subscription(Arc::new(subscription), EVENT_SUBSCRIPTIONS_MAX).await;
    let (stands, _) = put?;
    call.state.arrivals.ring(topic);
    Ok(stands)
}

fn answered(call: &Call<'_>, topic: &Topic, stands: &EventSubscription) -> Done {
    Done::json(StatusCode::CREATED, &body(topic, stands, call.state.clock.wall()))
}

/// 204 the second time, as Azure answers.
pub(super) async fn delete(call: &Call<'_>, who: &Principal, path: &TopicPath, name: &str) -> Result<Done, Refusal> {
    let topic = managed(call, who, path).await?;
    let removed = call.state.store.remove_event_subscription(EventSubscriptionKey::new(topic.id, name)).await?;
    let Some(ended) = removed else { return Ok(Done::empty(StatusCode::NO_CONTENT)) };
    pushing_ended(call, &topic, ended).await;
    call.state.arrivals.ring(topic.id);
    Ok(Done::empty(StatusCode::OK))
}

/// Returns once nothing is pushed any more by what has ended.
pub(super) async fn pushing_ended(call: &Call<'_>, topic: &Topic, ended: impl IntoIterator<Item = EndedPushing>) {
    for (subscription, position) in ended {
        call.state.engine.end_committed(topic.partition(), subscription, position).await;
    }
}

/// The URL with its query, which nothing else shows.
pub(super) async fn full_url(call: &Call<'_>, who: &Principal, path: &TopicPath, name: &str) -> Result<Done, Refusal> {
    let (_, found) = standing(call, who, path, name).await?;
    let webhook = found.push().and_then(Push::webhook).ok_or(Refusal::NoUrl)?;
    Ok(Done::ok(&json!({ "endpointUrl": webhook.url })))
}

/// The headers that are added to what is pushed, secret ones without their values.
pub(super) async fn delivery_attributes(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    name: &str,
) -> Result<Done, Refusal> {
    let (_, found) = standing(call, who, path, name).await?;
    let webhook = found.push().and_then(Push::webhook);
    Ok(Done::ok(&Page::<DeliveryAttributeMapping> { value: webhook.map(Webhook::mappings).unwrap_or_default() }))
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

fn time(text: &str) -> Result<Timestamp, Refusal> {
    text.parse().map_err(|_| Refusal::Body(InvalidBody::Expiration))
}

fn body(topic: &Topic, of: &EventSubscription, now: Timestamp) -> Value {
    serde_json::to_value(of.answered(&path_of(topic), now).body()).unwrap_or_default()
}
