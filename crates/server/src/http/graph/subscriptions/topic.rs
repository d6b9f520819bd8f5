//! The partner topic that a subscription is told through. It is made when the first one names it, which is idempotent, so
//! that a subscription which then does not begin has done no more than that.

use std::sync::Arc;

use graph::{Timestamp, TopicId};
use notify::event_grid_url::EventGridUrl;
use notify::rules::Refusal;
use notify::topic::{Activation, Profile, TOPICS_OF_APP_MAX, Tags};
use notify::{Subscription, Topic};
use store::TopicError;

use super::create::extension;
use crate::http::error::ApiError;
use crate::http::graph::{Call, TRIES};
use crate::ids;

/// The topic at a place, for an app that is told through it until `expires`. A new one of a development server is
/// activated.
pub(super) async fn open(call: &Call<'_>, place: &EventGridUrl, expires: Timestamp) -> Result<TopicId, ApiError> {
    let wanted = Topic {
        id: TopicId(ids::new_uuid()),
        tenant: call.principal.tenant,
        place: place.clone(),
        apps: [call.principal.app].into(),
        profile: Profile::default(),
        activation: if call.state.dev { Activation::Activated } else { Activation::default() },
        created: call.context.now,
        description: String::new(),
        tags: Tags::new(),
        keys: [ids::new_topic_key(), ids::new_topic_key()],
        subscribed_until: Some(expires),
    };
    let opened = call.state.store.open_topic(Arc::new(wanted), TOPICS_OF_APP_MAX, call.context.now).await;
    opened.map(|topic| topic.id).map_err(refused)
}

/// A renewed subscription needs its topic for longer. One that is gone is not made again.
pub(super) async fn keep(call: &Call<'_>, renewed: &Subscription) -> Result<(), ApiError> {
    let Some(id) = renewed.topic() else { return Ok(()) };
    for _ in 0..TRIES {
        let Some(topic) = call.state.store.topic(id).await? else { return Ok(()) };
        let wanted = Topic { subscribed_until: Some(renewed.expires), ..Topic::clone(&topic) };
        let kept = topic.opened_as(&wanted, call.context.now).map_err(|error| refused(error.into()))?;
        if kept == *topic {
            return Ok(());
        }
        match call.state.store.replace_topic(topic, Arc::new(kept)).await {
            Ok(()) | Err(TopicError::NotFound) => return Ok(()),
            Err(TopicError::Changed) => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Err(ApiError::Contended)
}

fn refused(error: TopicError) -> ApiError {
    match error {
        TopicError::Refused(refusal) => Refusal::Topic(refusal).into(),
        TopicError::TooMany(limit) => {
            let reason = format!("Maximum number of partner topics has been reached: {limit} for each app in a tenant");
            extension(403, &reason)
        }
        TopicError::NotFound | TopicError::Changed => ApiError::Contended,
        TopicError::Store(error) => ApiError::Store(error),
    }
}
