//! What has the name of an event subscription, read and replaced: who decided on something that is not there any more
//! reads and decides again.

use std::sync::Arc;

use graph::{Partition, SubscriptionId, TopicId};
use notify::topic::{Awaited, Destination, EVENT_SUBSCRIPTIONS_MAX, Endpoint, EventSubscription};
use store::{EndedPushing, EventSubscriptionError, EventSubscriptionKey, Namesake, Put};

use super::refusal::Refusal;
use crate::app::AppState;
use crate::ids;

/// How often it is decided again when somebody else was faster.
pub const TRIES: usize = 5;

/// What has the name now.
pub async fn namesake(state: &AppState, topic: TopicId, name: &str) -> Result<Namesake, Refusal> {
    let found = state.store.event_subscription(EventSubscriptionKey::new(topic, name)).await?;
    Ok(Namesake::of(found.map(|(found, _)| found), state.clock.wall()))
}

/// Puts an event subscription in the place of what has its name. Returns once nothing is pushed any more to where it was
/// pushed before and is not now. `None`: something else has the name meanwhile.
pub async fn put(
    state: &AppState,
    before: Namesake,
    wanted: EventSubscription,
) -> Result<Option<Arc<EventSubscription>>, Refusal> {
    let stood = before.standing().cloned();
    match state.store.put_event_subscription(before, Arc::new(wanted), EVENT_SUBSCRIPTIONS_MAX).await {
        Err(EventSubscriptionError::Changed) => Ok(None),
        put => {
            let put = put?;
            takes_effect(state, stood.as_deref(), &put).await;
            Ok(Some(put.stands))
        }
    }
}

/// Returns once nothing is pushed any more to where it was pushed as it stood, and is not now.
pub async fn takes_effect(state: &AppState, stood: Option<&EventSubscription>, put: &Put) {
    let Put { stands, ended, patched, .. } = put;
    pushing_ended(state, stands.topic, *ended).await;
    let goes_elsewhere =
        stood.and_then(EventSubscription::push).map(|push| &push.to) != stands.push().map(|push| &push.to);
    if let Some(patched) = patched.filter(|_| goes_elsewhere) {
        state.engine.followed(Partition::of(stands.topic), patched).await;
    }
    state.arrivals.ring(stands.topic);
}

/// Returns once nothing is pushed any more by what has ended.
pub async fn pushing_ended(state: &AppState, topic: TopicId, ended: impl IntoIterator<Item = EndedPushing>) {
    for (subscription, position) in ended {
        state.engine.end_committed(Partition::of(topic), subscription, position).await;
    }
}

/// Returns once nothing is pushed any more by a topic that was removed, with what ended by that. Whoever waits for its events
/// hears that it is gone.
pub async fn removed(state: &AppState, topic: TopicId, ended: Vec<EndedPushing>) {
    pushing_ended(state, topic, ended).await;
    state.arrivals.ring(topic);
}

/// Writes down that an endpoint has consented, if it is waited for: `is_it` says whether for this consent. Answers what
/// stands then; `None`: it is not waited for, or not any more.
pub async fn consent(
    state: &AppState,
    (topic, name): (TopicId, &str),
    is_it: impl Fn(&Awaited) -> bool,
) -> Result<Option<Arc<EventSubscription>>, Refusal> {
    for _ in 0..TRIES {
        let Namesake::Standing(before) = namesake(state, topic, name).await? else { return Ok(None) };
        let Some(consented) = consented(&before, &is_it) else { return Ok(None) };
        if let Some(stands) = put(state, Namesake::Standing(before), consented).await? {
            return Ok(Some(stands));
        }
    }
    Err(Refusal::Changed)
}

/// The event subscription once its endpoint has consented; `None`: it does not wait for that, or for another consent.
fn consented(before: &EventSubscription, is_it: impl Fn(&Awaited) -> bool) -> Option<EventSubscription> {
    // What was pushed under its id may have ended.
    let mut consented =
        EventSubscription { id: Some(SubscriptionId(ids::new_uuid())), ..EventSubscription::clone(before) };
    let Destination::Push(push) = &mut consented.destination else { return None };
    let Endpoint::Webhook(webhook) = &mut push.to else { return None };
    webhook.awaits.take().filter(is_it)?;
    Some(consented)
}
