//! `…/partnerTopics` and below: list, get, put, patch, delete, activate, deactivate, and the keys. 404 for what the caller's
//! tenant does not have, 403 for a topic of other apps.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use notify::access::{self, Actor, Principal};
use notify::event_grid_url::EventGridUrl;
use notify::topic::{Activation, Profile, TOPICS_OF_APP_MAX, Topic};
use protocol::event_grid::management::{
    Answered, EventTypes, Group, PARTNER_REGISTRATION, Page, TopicPath, TopicProperties, TopicUpdate, WantedTopic,
    topic,
};
use serde_json::json;
use store::{TopicError, TopicQuery};
use url::form_urlencoded;

use super::super::refusal::Refusal;
use super::super::standing::{self, TRIES};
use super::super::who::{find, managed};
use super::super::{Call, Done};
use crate::ids;

/// As many topics are read at a time.
const PAGE: u64 = 500;

pub(super) async fn list(
    call: &Call<'_>,
    who: &Principal,
    subscription: &str,
    group: Option<&str>,
) -> Result<Done, Refusal> {
    let mut value = Vec::new();
    // An Azure subscription that cannot be has nothing.
    let Ok(azure_subscription) = subscription.parse() else { return Ok(Done::ok(&Page { value })) };
    let mut after = None;
    loop {
        let query = TopicQuery {
            tenant: Some(who.tenant),
            azure_subscription: Some(azure_subscription),
            resource_group: group.map(str::to_owned),
            name: None,
            after,
            limit: PAGE,
        };
        let topics = call.state.store.topics(query).await?;
        after = topics.last().map(|topic| topic.id);
        let own = topics.iter().filter(|topic| access::may_use_topic(who, topic));
        value.extend(own.map(|topic| serde_json::to_value(body(topic)).unwrap_or_default()));
        if (topics.len() as u64) < PAGE {
            return Ok(Done::ok(&Page { value }));
        }
    }
}

pub(super) async fn get(call: &Call<'_>, who: &Principal, path: &TopicPath) -> Result<Done, Refusal> {
    Ok(Done::ok(&body(&*managed(call, who, path).await?)))
}

/// Makes a topic that nobody has subscribed into yet, or changes its description and activation.
pub(super) async fn put(call: &Call<'_>, who: &Principal, path: &TopicPath, sent: &[u8]) -> Result<Done, Refusal> {
    let wanted = WantedTopic::parse(sent)?;
    let place = place(path, &wanted.location)?;
    if find(call, who, path).await?.is_none() {
        if !access::may_make_topics(who) {
            return Err(Refusal::Denied);
        }
        let made = Arc::new(new_topic(call, who, place.clone(), &wanted));
        let opened = call.state.store.open_topic(made.clone(), TOPICS_OF_APP_MAX, made.created).await?;
        if opened.id == made.id {
            return Ok(Done::json(StatusCode::CREATED, &body(&opened)));
        }
    }
    let changed = change(call, who, path, |topic| {
        if topic.place.location != place.location {
            return Err(Refusal::Location);
        }
        let activation = match wanted.is_activated {
            None => topic.activation,
            Some(true) => topic.activation.activate(),
            Some(false) => topic.activation.deactivate(),
        };
        let (description, tags) = (wanted.description.clone(), wanted.tags.clone());
        Ok(Topic { activation, description, tags, ..topic.clone() })
    });
    Ok(Done::ok(&body(&*changed.await?)))
}

/// Changes the tags of a topic: those that are named are all that it has then.
pub(super) async fn patch(call: &Call<'_>, who: &Principal, path: &TopicPath, sent: &[u8]) -> Result<Done, Refusal> {
    let update = TopicUpdate::parse(sent)?;
    let changed = change(call, who, path, |topic| {
        let tags = update.tags.clone().unwrap_or_else(|| topic.tags.clone());
        Ok(Topic { tags, ..topic.clone() })
    });
    Ok(Done::ok(&body(&*changed.await?)))
}

fn new_topic(call: &Call<'_>, who: &Principal, place: EventGridUrl, wanted: &WantedTopic) -> Topic {
    let apps: BTreeSet<_> = match who.actor {
        Actor::App(_) => [who.app].into(),
        Actor::User(_) => BTreeSet::new(),
    };
    Topic {
        id: graph::TopicId(ids::new_uuid()),
        tenant: who.tenant,
        place,
        apps,
        profile: Profile::default(),
        activation: if wanted.is_activated == Some(true) { Activation::Activated } else { Activation::NeverActivated },
        created: call.state.clock.wall(),
        description: wanted.description.clone(),
        tags: wanted.tags.clone(),
        keys: [ids::new_topic_key(), ids::new_topic_key()],
        subscribed_until: None,
    }
}

/// 204 the second time, as Azure answers.
pub(super) async fn delete(call: &Call<'_>, who: &Principal, path: &TopicPath) -> Result<Done, Refusal> {
    let topic = match managed(call, who, path).await {
        Err(Refusal::NoTopic) => return Ok(Done::empty(StatusCode::NO_CONTENT)),
        found => found?,
    };
    match call.state.store.remove_topic(topic.id).await {
        Err(TopicError::NotFound) => Ok(Done::empty(StatusCode::NO_CONTENT)),
        Err(error) => Err(error.into()),
        Ok(ended) => {
            standing::removed(call.state, topic.id, ended).await;
            Ok(Done::empty(StatusCode::OK))
        }
    }
}

pub(super) async fn activate(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    activates: bool,
) -> Result<Done, Refusal> {
    let changed = change(call, who, path, |topic| {
        let activation = topic.activation;
        let activation = if activates { activation.activate() } else { activation.deactivate() };
        Ok(Topic { activation, ..topic.clone() })
    });
    Ok(Done::ok(&body(&*changed.await?)))
}

pub(super) async fn keys(call: &Call<'_>, who: &Principal, path: &TopicPath) -> Result<Done, Refusal> {
    Ok(both_keys(&*managed(call, who, path).await?))
}

pub(super) async fn regenerate_key(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    sent: &[u8],
) -> Result<Done, Refusal> {
    let sent: serde_json::Value = serde_json::from_slice(sent).map_err(|_| Refusal::KeyName)?;
    let number = ["key1", "key2"].iter().position(|name| sent["keyName"] == *name).ok_or(Refusal::KeyName)?;
    let changed = change(call, who, path, |topic| {
        let mut topic = topic.clone();
        topic.keys[number] = ids::new_topic_key();
        Ok(topic)
    });
    Ok(both_keys(&*changed.await?))
}

fn both_keys(topic: &Topic) -> Done {
    let [key1, key2] = &topic.keys;
    Done::ok(&json!({ "key1": key1.0, "key2": key2.0 }))
}

/// Changes a topic, as often as it takes.
async fn change(
    call: &Call<'_>,
    who: &Principal,
    path: &TopicPath,
    change: impl Fn(&Topic) -> Result<Topic, Refusal>,
) -> Result<Arc<Topic>, Refusal> {
    for _ in 0..TRIES {
        let before = managed(call, who, path).await?;
        let after = Arc::new(change(&before)?);
        if *before == *after {
            return Ok(after);
        }
        match call.state.store.replace_topic(before, after.clone()).await {
            Err(TopicError::Changed) => {}
            outcome => return Ok(outcome.map(|()| after)?),
        }
    }
    Err(Refusal::Changed)
}

/// The names of a topic to be made, by the rules that `EventGrid:` URLs keep.
fn place(path: &TopicPath, location: &str) -> Result<EventGridUrl, Refusal> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("azuresubscriptionid", &path.group.subscription)
        .append_pair("resourcegroup", &path.group.name)
        .append_pair("partnertopic", &path.topic)
        .append_pair("location", location)
        .finish();
    EventGridUrl::parse(&format!("EventGrid:?{query}")).map_err(Refusal::TopicName)
}

/// Where a topic stands, as it was named when it was made.
pub(super) fn path_of(topic: &Topic) -> TopicPath {
    let place = &topic.place;
    let group = Group { subscription: place.azure_subscription.to_string(), name: place.resource_group.clone() };
    TopicPath { group, topic: place.partner_topic.clone() }
}

fn body(of: &Topic) -> Answered<'_, TopicProperties<'_>> {
    let expires = (of.activation == Activation::NeverActivated).then(|| of.expires_if_not_activated());
    let source = of.apps.first().map(|app| format!("/tenants/{}/applications/{app}", of.tenant));
    let properties = TopicProperties {
        source,
        partner_registration_immutable_id: PARTNER_REGISTRATION,
        event_type_info: EventTypes,
        provisioning_state: "Succeeded",
        activation_state: of.activation.as_str(),
        expiration_time_if_not_activated_utc: expires.map(|time| time.to_string()),
        partner_topic_friendly_description: &of.description,
    };
    topic(&path_of(of), &of.place.location, &of.tags, properties)
}
