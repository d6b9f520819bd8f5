//! `…/partnerTopics/{topic}/eventSubscriptions` and below: list, get, put, patch, delete. A PUT and a PATCH are answered
//! with 201, which clients take for done unless it says that an endpoint's consent is awaited. Changing one keeps what was
//! received of it and not settled, and what is under way to where it was pushed.

use std::sync::Arc;

use graph::{SubscriptionId, Timestamp};
use http::StatusCode;
use notify::Topic;
use notify::access::Principal;
use notify::topic::{Destination, EventSubscription, Filter, Push, Wanted, Webhook, is_event_subscription_name};
use protocol::event_grid::EventSubscriptionFilter;
use protocol::event_grid::management::{
    DeliveryAttributeMapping, InvalidBody, Page, TopicPath, WantedDestination, WantedEventSubscription,
};
use serde_json::{Value, json};
use store::{EventSubscriptionKey, Namesake};

use super::super::consent::Asked;
use super::super::refusal::Refusal;
use super::super::standing::{TRIES, namesake, pushing_ended};
use super::super::who::managed;
use super::super::{Call, Done, standing};
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
    let (topic, found) = found(call, who, path, name).await?;
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
    let new = EventSubscription {
        id: None,
        topic: topic.id,
        name: name.to_owned(),
        filter: filter(wanted.filter.clone().unwrap_or_default())?,
        destination: destination(call, &wanted, None)?,
        labels: wanted.labels.clone().unwrap_or_default(),
        expires: wanted.expiration.as_deref().map(time).transpose()?,
        created: call.state.clock.wall(),
        lock_key: ids::new_lock_key(),
    };
    check_audience(who, &topic, &new.destination)?;
    let mut asked = Asked::new(call.state, &call.context.origin, &topic, name);
    for _ in 0..TRIES {
        let before = namesake(call.state, topic.id, name).await?;
        let stood = before.standing().map(|before| &before.destination);
        let destination = asked.consent(new.destination.clone(), stood).await?;
        let id = Some(SubscriptionId(ids::new_uuid()));
        let wanted = EventSubscription { id, destination, ..new.clone() };
        if let Some(stands) = standing::put(call.state, before, wanted).await? {
            return Ok(answered(call, &topic, &*asked.settled(stands).await?));
        }
    }
    Err(Refusal::Changed)
}

pub(super) async fn patch(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    name: &str,
    sent: &[u8],
) -> Result<Done, Refusal> {
    let (topic, mut before) = found(call, who, path, name).await?;
    let wanted = WantedEventSubscription::parse_patch(sent, &path_of(&topic))?;
    let mut asked = Asked::new(call.state, &call.context.origin, &topic, name);
    for _ in 0..TRIES {
        let mut after = patched(call, &wanted, &before)?;
        if matches!(wanted.to, Some(WantedDestination::WebHook(_))) {
            check_audience(who, &topic, &after.destination)?;
            after.destination = asked.consent(after.destination, Some(&before.destination)).await?;
        }
        if let Some(stands) = standing::put(call.state, Namesake::Standing(before), after).await? {
            return Ok(answered(call, &topic, &*asked.settled(stands).await?));
        }
        before = found(call, who, path, name).await?.1;
    }
    Err(Refusal::Changed)
}

fn patched(
    call: &Call<'_>,
    wanted: &WantedEventSubscription,
    before: &EventSubscription,
) -> Result<EventSubscription, Refusal> {
    // What was pushed under its id may have ended.
    let id = Some(SubscriptionId(ids::new_uuid()));
    let mut after = EventSubscription { id, ..before.clone() };
    after.destination = destination(call, wanted, Some(&before.destination))?;
    if let Some(wanted) = &wanted.filter {
        after.filter = filter(wanted.clone())?;
    }
    if let Some(labels) = &wanted.labels {
        after.labels = labels.clone();
    }
    if let Some(expiration) = &wanted.expiration {
        after.expires = Some(time(expiration)?);
    }
    Ok(after)
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

/// A token says that this server pushes to an app; so an app can ask for one for itself alone.
fn check_audience(who: &Principal, topic: &Topic, destination: &Destination) -> Result<(), Refusal> {
    let webhook = match destination {
        Destination::Push(push) => push.webhook(),
        Destination::Queue(_) => None,
    };
    let Some(audience) = webhook.and_then(|webhook| webhook.audience.as_ref()) else { return Ok(()) };
    let bare = audience.application.strip_prefix("api://").unwrap_or(&audience.application);
    let app = bare.split('/').next().unwrap_or_default();
    let is_own = topic.apps.iter().chain([&who.app]).any(|own| app.eq_ignore_ascii_case(&own.to_string()));
    let is_here = audience.tenant.eq_ignore_ascii_case(&topic.tenant.to_string());
    if is_own && is_here { Ok(()) } else { Err(Refusal::Audience) }
}

fn answered(call: &Call<'_>, topic: &Topic, stands: &EventSubscription) -> Done {
    Done::json(StatusCode::CREATED, &body(topic, stands, call.state.clock.wall()))
}

/// 204 the second time, as Azure answers.
pub(super) async fn delete(call: &Call<'_>, who: &Principal, path: &TopicPath, name: &str) -> Result<Done, Refusal> {
    let topic = managed(call, who, path).await?;
    let removed = call.state.store.remove_event_subscription(EventSubscriptionKey::new(topic.id, name)).await?;
    let Some(ended) = removed else { return Ok(Done::empty(StatusCode::NO_CONTENT)) };
    pushing_ended(call.state, topic.id, ended).await;
    call.state.arrivals.ring(topic.id);
    Ok(Done::empty(StatusCode::OK))
}

/// The URL with its query, which nothing else shows.
pub(super) async fn full_url(call: &Call<'_>, who: &Principal, path: &TopicPath, name: &str) -> Result<Done, Refusal> {
    let (_, found) = found(call, who, path, name).await?;
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
    let (_, found) = found(call, who, path, name).await?;
    let webhook = found.push().and_then(Push::webhook);
    Ok(Done::ok(&Page::<DeliveryAttributeMapping> { value: webhook.map(Webhook::mappings).unwrap_or_default() }))
}

/// The event subscription of this name, with its topic, unless it is over.
async fn found(
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
