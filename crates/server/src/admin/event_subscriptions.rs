//! `/admin/topics/{topic}/event-subscriptions` and `…/webhooks`: event subscriptions, made and changed for operators.

mod shown;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use graph::SubscriptionId;
use http::StatusCode;
use notify::topic::{
    Destination, EVENT_SUBSCRIPTIONS_MAX, EventSubscription, Filter, Topic, Wanted, is_event_subscription_name,
};
use protocol::event_grid::EventSubscriptionFilter;
use protocol::event_grid::management::{RetryPolicy, StorageBlob, WantedDestination, WebHook};
use serde::Deserialize;
use store::{EventSubscriptionError, EventSubscriptionKey, Namesake};
use url::Url;
use utoipa::ToSchema;

use super::request::{Body, bad};
use super::topics::{Running, ShownTopic, TRIES, show, state_of, topic_of};
use super::{Admin, Failure};
use crate::app::AppState;
use crate::directory::Directory;
use crate::http::event_grid::consent::Asked;
use crate::http::event_grid::{Refusal, standing};
use crate::ids;
pub(super) use shown::{ShownEventSubscription, shown};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewEventSubscription {
    name: String,
    /// The types of events. Without these and the next one that there is keeps its filter, and another has all.
    included_event_types: Option<Vec<String>>,
    /// How subjects begin.
    subject_begins_with: Option<String>,
    /// Pull what was pushed until now; what waits for it is given up.
    #[serde(default)]
    replace: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewWebhook {
    /// The event subscription.
    name: String,
    /// Where events are posted to, once it has said that it wants them.
    url: String,
    /// The types of events. Without these and the next one that there is keeps its filter, and another has all.
    included_event_types: Option<Vec<String>>,
    /// How subjects begin.
    subject_begins_with: Option<String>,
    /// Push what was pulled until now; what waits for it is given up.
    #[serde(default)]
    replace: bool,
    /// 1 to 30; otherwise as it was, or 30.
    max_delivery_attempts: Option<u32>,
    /// 1 to 1,440; otherwise as it was, or 1,440.
    event_time_to_live_in_minutes: Option<u32>,
    /// The container in which events are kept that are given up; otherwise as it was, or nowhere.
    dead_letter_container: Option<String>,
    /// Where the endpoint reaches the API for apps, as https://tidings.example: it may consent there later. Otherwise
    /// where the API listens.
    reached_at: Option<String>,
}

#[utoipa::path(
    post,
    path = "/admin/topics/{topic}/event-subscriptions",
    params(("topic" = String, Path, description = "Id or name")),
    request_body = NewEventSubscription,
    responses(
        (status = 201, body = ShownTopic, description = "Its events can be pulled; one of this name has this filter, and is pulled as it was"),
        (status = 400, body = Failure),
        (status = 404, body = Failure),
        (status = 409, body = Failure, description = "It is pushed, and not to be replaced; or others change it all the time")
    )
)]
pub(super) async fn subscribe(
    State(directory): State<Directory>,
    running: Running,
    Path(key): Path<String>,
    Body(new): Body<NewEventSubscription>,
) -> Result<(StatusCode, Json<ShownTopic>), Failure> {
    let topic = topic_of(&directory, &key).await?;
    let filter = filter(new.included_event_types, new.subject_begins_with)?;
    for _ in 0..TRIES {
        let before = namesake(&directory, &topic, &new.name).await?;
        may_replace(before.standing(), Way::Pulled, new.replace)?;
        // How it is pulled stays as it is.
        let queue = before.standing().and_then(|before| before.queue().copied()).unwrap_or_default();
        let wanted = wanted(&directory, &topic, (&new.name, &filter, Destination::Queue(queue)), before.standing());
        if put(&directory, state_of(&running), before, wanted).await?.is_some() {
            return Ok((StatusCode::CREATED, Json(show(&directory, state_of(&running), &topic).await?)));
        }
    }
    Err(changed())
}

#[utoipa::path(
    post,
    path = "/admin/topics/{topic}/webhooks",
    params(("topic" = String, Path, description = "Id or name")),
    request_body = NewWebhook,
    responses(
        (status = 201, body = ShownTopic, description = "Events are pushed to the endpoint if it wants them, or once it consents by the URL that it was told"),
        (status = 400, body = Failure, description = "Also if the endpoint refuses"),
        (status = 404, body = Failure),
        (status = 409, body = Failure, description = "It is pulled, and not to be replaced; or others change it all the time")
    )
)]
pub(super) async fn push(
    State(admin): State<Admin>,
    Path(key): Path<String>,
    Body(new): Body<NewWebhook>,
) -> Result<(StatusCode, Json<ShownTopic>), Failure> {
    let directory = &admin.state.directory;
    let topic = topic_of(directory, &key).await?;
    let filter = filter(new.included_event_types.clone(), new.subject_begins_with.clone())?;
    let origin = new.reached_at.as_deref().map_or_else(|| Ok(admin.origin.clone()), origin)?;
    let mut asked = Asked::new(&admin.state, &origin, &topic, &new.name);
    for _ in 0..TRIES {
        let before = namesake(directory, &topic, &new.name).await?;
        may_replace(before.standing(), Way::Pushed, new.replace)?;
        let stood = before.standing().map(|before| &before.destination);
        let destination = destination(&new, stood)?;
        admin.state.sinks.check(&destination).map_err(bad)?;
        let destination = asked.consent(destination, stood).await.map_err(not_asked)?;
        let wanted = wanted(directory, &topic, (&new.name, &filter, destination), before.standing());
        if let Some(stands) = put(directory, Some(&admin.state), before, wanted).await? {
            asked.settled(stands).await.map_err(not_asked)?;
            return Ok((StatusCode::CREATED, Json(show(directory, Some(&admin.state), &topic).await?)));
        }
    }
    Err(changed())
}

/// A filter that was asked for, or the one that lets all in.
struct Named {
    filter: Filter,
    is_named: bool,
}

/// How events get to who hears of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Pulled,
    Pushed,
}

/// What is pulled is not pushed instead, nor the reverse, unless that is asked for: what waits is given up then.
fn may_replace(before: Option<&Arc<EventSubscription>>, to: Way, replace: bool) -> Result<(), Failure> {
    let from = before.map(|before| if before.queue().is_some() { Way::Pulled } else { Way::Pushed });
    let told = match from {
        Some(Way::Pulled) if to == Way::Pushed => "its events are pulled: to push them instead",
        Some(Way::Pushed) if to == Way::Pulled => {
            "its events are pushed: name its webhook again, or to pull them instead"
        }
        _ => return Ok(()),
    };
    if replace {
        return Ok(());
    }
    let told = format!("{told}, ask for \"replace\", which gives up what waits");
    Err(Failure::new(StatusCode::CONFLICT, told))
}

/// What becomes of `before`.
fn destination(new: &NewWebhook, before: Option<&Destination>) -> Result<Destination, Failure> {
    let webhook = WebHook { endpoint_url: Some(new.url.clone()), ..WebHook::default() };
    let to = WantedDestination::WebHook(Box::new(webhook));
    let retry = RetryPolicy {
        max_delivery_attempts: new.max_delivery_attempts,
        event_time_to_live_in_minutes: new.event_time_to_live_in_minutes,
    };
    let dead_letters = new
        .dead_letter_container
        .as_ref()
        .map(|container| StorageBlob { resource_id: None, blob_container_name: Some(container.clone()) });
    let wanted = Wanted { to: Some(&to), retry: Some(&retry), dead_letters: dead_letters.as_ref() };
    Destination::wanted(&wanted, before).map_err(bad)
}

fn origin(text: &str) -> Result<String, Failure> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let origin = url.map(|url| url.origin().ascii_serialization());
    origin.ok_or_else(|| bad("reachedAt must be the address of this server, as https://tidings.example"))
}

/// Why an endpoint was not asked, or did not want events.
fn not_asked(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::NoConsent(_, error) => bad(error),
        Refusal::Changed => changed(),
        _ => Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the endpoint's answer could not be kept; try again"),
    }
}

/// What is named, if anything is; otherwise all.
fn filter(types: Option<Vec<String>>, subject_begins_with: Option<String>) -> Result<Named, Failure> {
    let is_named = types.is_some() || subject_begins_with.is_some();
    let filter = EventSubscriptionFilter {
        included_event_types: types,
        subject_begins_with,
        ..EventSubscriptionFilter::default()
    };
    Ok(Named { filter: Filter::try_from(filter).map_err(bad)?, is_named })
}

/// What has this name now.
async fn namesake(directory: &Directory, topic: &Topic, name: &str) -> Result<Namesake, Failure> {
    if !is_event_subscription_name(name) {
        return Err(bad("the name of an event subscription has 3 to 64 letters, digits and hyphens"));
    }
    let found = directory.store().event_subscription(EventSubscriptionKey::new(topic.id, name)).await?;
    Ok(Namesake::of(found.map(|(found, _)| found), directory.now()))
}

/// A new one, or what stands with another filter and destination.
fn wanted(
    directory: &Directory,
    topic: &Topic,
    (name, named, destination): (&str, &Named, Destination),
    standing: Option<&Arc<EventSubscription>>,
) -> EventSubscription {
    let (id, filter) = (Some(SubscriptionId(ids::new_uuid())), named.filter.clone());
    match standing {
        Some(before) => {
            let filter = if named.is_named { filter } else { before.filter.clone() };
            EventSubscription { id, filter, destination, ..EventSubscription::clone(before) }
        }
        None => EventSubscription {
            id,
            topic: topic.id,
            name: name.to_owned(),
            filter,
            destination,
            labels: Vec::new(),
            expires: None,
            created: directory.now(),
            lock_key: ids::new_lock_key(),
        },
    }
}

/// What stands then; `None`: something else has the name meanwhile.
async fn put(
    directory: &Directory,
    running: Option<&AppState>,
    before: Namesake,
    wanted: EventSubscription,
) -> Result<Option<Arc<EventSubscription>>, Failure> {
    let stood = before.standing().cloned();
    let put = directory.store().put_event_subscription(before, Arc::new(wanted), EVENT_SUBSCRIPTIONS_MAX).await;
    match put {
        Ok(put) => {
            if let Some(running) = running {
                standing::takes_effect(running, stood.as_deref(), &put).await;
            }
            Ok(Some(put.stands))
        }
        Err(EventSubscriptionError::Changed) => Ok(None),
        Err(EventSubscriptionError::Store(error)) => Err(error.into()),
        Err(other) => Err(bad(other)),
    }
}

fn changed() -> Failure {
    Failure::new(StatusCode::CONFLICT, "somebody else changed the event subscription at the same time; try again")
}
