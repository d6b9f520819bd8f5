//! `/admin/topics`: partner topics, of whichever tenant. Apps manage theirs in the shape of Azure's Resource Manager; this
//! is for operators, who have no app.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use graph::TopicId;
use http::StatusCode;
use notify::event_grid_url::EventGridUrl;
use notify::topic::{Activation, Profile, TOPICS_OF_APP_MAX, Tags, Topic};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{TopicError, TopicQuery};
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use super::Failure;
use super::event_subscriptions::{self, ShownEventSubscription};
use super::request::{Body, LISTED_MAX, Page, Query, bad, tenant_or_only};
use crate::app::AppState;
use crate::directory::Directory;
use crate::http::event_grid::standing;
use crate::ids;

/// As many events are shown at most.
const PEEKED_MAX: usize = 100;
/// How often a change is tried again that met another one.
pub(super) const TRIES: usize = 5;

/// The server's state, unless it is stopped.
pub(super) type Running = Option<Extension<Arc<AppState>>>;

pub(super) fn state_of(running: &Running) -> Option<&AppState> {
    running.as_ref().map(|Extension(state)| &**state)
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownTopic {
    id: String,
    tenant: String,
    name: String,
    location: String,
    azure_subscription: String,
    resource_group: String,
    /// documented, observed or graph.
    profile: &'static str,
    /// NeverActivated, Activated or Deactivated.
    activation_state: &'static str,
    /// The apps that have subscribed into it or made it.
    apps: Vec<String>,
    /// How many events are kept.
    events: u64,
    /// How many came while it was not activated.
    dropped: u64,
    event_subscriptions: Vec<ShownEventSubscription>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    /// Id or domain; otherwise all.
    tenant: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewTopic {
    name: String,
    /// The name of a region, as westeurope.
    location: String,
    /// A UUID; otherwise the one of zeros.
    azure_subscription: Option<String>,
    resource_group: String,
    /// Id or domain. It may be left out where there is only one organisation.
    tenant: Option<String>,
    /// What the events' data looks like: documented, observed or graph; otherwise documented.
    profile: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Peeked {
    /// Begin behind this position of the log; otherwise with the oldest that is kept.
    after: Option<u64>,
}

/// An event as it lies in its topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeekedEvent {
    position: u64,
    published: String,
    #[schema(value_type = Object)]
    event: Value,
}

#[utoipa::path(
    get,
    path = "/admin/topics",
    params(Listed),
    responses((status = 200, body = Page<ShownTopic>), (status = 404, body = Failure))
)]
pub(super) async fn list(
    State(directory): State<Directory>,
    running: Running,
    Query(asked): Query<Listed>,
) -> Result<Json<Page<ShownTopic>>, Failure> {
    let tenant = match asked.tenant {
        Some(key) => Some(tenant_or_only(&directory, Some(&key)).await?.id),
        None => None,
    };
    let query = TopicQuery { tenant, limit: LISTED_MAX as u64 + 1, ..TopicQuery::default() };
    let mut shown = Vec::new();
    for topic in directory.store().topics(query).await? {
        shown.push(show(&directory, state_of(&running), &topic).await?);
    }
    Ok(Json(Page::of(shown)))
}

#[utoipa::path(
    post,
    path = "/admin/topics",
    request_body = NewTopic,
    responses(
        (status = 201, body = ShownTopic, description = "It is activated; one that there was is as well"),
        (status = 400, body = Failure),
        (status = 404, body = Failure),
        (status = 409, body = Failure, description = "Another topic has its name")
    )
)]
pub(super) async fn create(
    State(directory): State<Directory>,
    running: Running,
    Body(new): Body<NewTopic>,
) -> Result<(StatusCode, Json<ShownTopic>), Failure> {
    let tenant = tenant_or_only(&directory, new.tenant.as_deref()).await?.id;
    let profile = new.profile.as_deref().map_or(Some(Profile::default()), Profile::parse);
    let topic = Arc::new(Topic {
        id: TopicId(ids::new_uuid()),
        tenant,
        place: place(&new)?,
        apps: BTreeSet::new(),
        profile: profile.ok_or_else(|| bad("profile must be documented, observed or graph"))?,
        activation: Activation::Activated,
        created: directory.now(),
        description: String::new(),
        tags: Tags::new(),
        keys: [ids::new_topic_key(), ids::new_topic_key()],
        subscribed_until: None,
    });
    let opened = directory.store().open_topic(topic, TOPICS_OF_APP_MAX, directory.now()).await.map_err(refused)?;
    let activated = activated(&directory, opened).await?;
    Ok((StatusCode::CREATED, Json(show(&directory, state_of(&running), &activated).await?)))
}

#[utoipa::path(
    get,
    path = "/admin/topics/{topic}",
    params(("topic" = String, Path, description = "Id or name")),
    responses((status = 200, body = ShownTopic), (status = 404, body = Failure), (status = 409, body = Failure))
)]
pub(super) async fn get(
    State(directory): State<Directory>,
    running: Running,
    Path(key): Path<String>,
) -> Result<Json<ShownTopic>, Failure> {
    let topic = topic_of(&directory, &key).await?;
    Ok(Json(show(&directory, state_of(&running), &topic).await?))
}

#[utoipa::path(
    delete,
    path = "/admin/topics/{topic}",
    params(("topic" = String, Path, description = "Id or name")),
    responses(
        (status = 204, description = "It is gone with its events and event subscriptions, and nothing is pushed any more. Dead letters stay"),
        (status = 404, body = Failure),
        (status = 409, body = Failure)
    )
)]
pub(super) async fn remove(
    State(directory): State<Directory>,
    running: Running,
    Path(key): Path<String>,
) -> Result<StatusCode, Failure> {
    let topic = topic_of(&directory, &key).await?;
    let ended = directory.store().remove_topic(topic.id).await.map_err(refused)?;
    if let Some(running) = state_of(&running) {
        standing::removed(running, topic.id, ended).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post,
    path = "/admin/topics/{topic}/activate",
    params(("topic" = String, Path, description = "Id or name")),
    responses((status = 200, body = ShownTopic), (status = 404, body = Failure), (status = 409, body = Failure))
)]
pub(super) async fn activate(
    State(directory): State<Directory>,
    running: Running,
    Path(key): Path<String>,
) -> Result<Json<ShownTopic>, Failure> {
    let topic = topic_of(&directory, &key).await?;
    let activated = activated(&directory, topic).await?;
    Ok(Json(show(&directory, state_of(&running), &activated).await?))
}

#[utoipa::path(
    get,
    path = "/admin/topics/{topic}/events",
    params(("topic" = String, Path, description = "Id or name"), Peeked),
    responses(
        (status = 200, body = Page<PeekedEvent>, description = "Those that are kept; nobody receives one less for it"),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn peek(
    State(directory): State<Directory>,
    Path(key): Path<String>,
    Query(asked): Query<Peeked>,
) -> Result<Json<Page<PeekedEvent>>, Failure> {
    let topic = topic_of(&directory, &key).await?;
    let after = notify::Position(asked.after.unwrap_or_default());
    let events = directory.store().topic_events(topic.id, after, PEEKED_MAX).await?;
    let shown = events.iter().map(|(position, event)| PeekedEvent {
        position: position.0,
        published: event.published.to_string(),
        event: serde_json::to_value(&event.event).unwrap_or_default(),
    });
    Ok(Json(Page::of(shown.collect())))
}

/// A topic by its id, or by its name if one topic alone has it.
pub(super) async fn topic_of(directory: &Directory, key: &str) -> Result<Arc<Topic>, Failure> {
    let missing = || {
        let why = format!("there is no partner topic '{}'; tidings topic list tells which there are", shown(key));
        Failure::new(StatusCode::NOT_FOUND, why)
    };
    if let Ok(id) = key.parse() {
        return directory.store().topic(TopicId(id)).await?.ok_or_else(missing);
    }
    let query = TopicQuery { name: Some(key.to_owned()), limit: 2, ..TopicQuery::default() };
    match <[Arc<Topic>; 1]>::try_from(directory.store().topics(query).await?) {
        Ok([topic]) => Ok(topic),
        Err(topics) if topics.is_empty() => Err(missing()),
        Err(_) => Err(Failure::new(StatusCode::CONFLICT, "several partner topics have this name; give the id of one")),
    }
}

async fn activated(directory: &Directory, mut topic: Arc<Topic>) -> Result<Arc<Topic>, Failure> {
    for _ in 0..TRIES {
        if topic.takes_events() {
            return Ok(topic);
        }
        let after = Arc::new(Topic { activation: topic.activation.activate(), ..Topic::clone(&topic) });
        match directory.store().replace_topic(topic.clone(), after.clone()).await {
            Ok(()) => return Ok(after),
            Err(TopicError::Changed) => {
                topic = directory.store().topic(topic.id).await?.ok_or_else(|| refused(TopicError::NotFound))?;
            }
            Err(error) => return Err(refused(error)),
        }
    }
    Err(refused(TopicError::Changed))
}

fn place(new: &NewTopic) -> Result<EventGridUrl, Failure> {
    let zeros = uuid::Uuid::nil().to_string();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("azuresubscriptionid", new.azure_subscription.as_deref().unwrap_or(&zeros))
        .append_pair("resourcegroup", &new.resource_group)
        .append_pair("partnertopic", &new.name)
        .append_pair("location", &new.location)
        .finish();
    EventGridUrl::parse(&format!("EventGrid:?{query}")).map_err(|error| bad(in_members(&error.to_string())))
}

/// What is said of a part of an URL, of the member that it was made of.
fn in_members(refusal: &str) -> String {
    let members = [
        ("azuresubscriptionid", "azureSubscription"),
        ("resourcegroup", "resourceGroup"),
        ("partnertopic", "name"),
        ("location", "location"),
    ];
    let named =
        |told: String, (part, member): (&str, &str)| told.replace(&format!("'{part}'"), &format!("\"{member}\""));
    members.into_iter().fold(refusal.to_owned(), named)
}

pub(super) async fn show(
    directory: &Directory,
    running: Option<&AppState>,
    topic: &Topic,
) -> Result<ShownTopic, Failure> {
    let counts = directory.store().topic_counts(topic.id).await?.unwrap_or_default();
    Ok(ShownTopic {
        id: topic.id.to_string(),
        tenant: topic.tenant.to_string(),
        name: topic.place.partner_topic.clone(),
        location: topic.place.location.clone(),
        azure_subscription: topic.place.azure_subscription.to_string(),
        resource_group: topic.place.resource_group.clone(),
        profile: topic.profile.as_str(),
        activation_state: topic.activation.as_str(),
        apps: topic.apps.iter().map(ToString::to_string).collect(),
        events: counts.events,
        dropped: counts.dropped,
        event_subscriptions: event_subscriptions::shown(directory, running, topic).await?,
    })
}

fn refused(error: TopicError) -> Failure {
    match error {
        TopicError::NotFound => Failure::new(StatusCode::NOT_FOUND, error.to_string()),
        TopicError::Store(error) => error.into(),
        other => Failure::new(StatusCode::CONFLICT, other.to_string()),
    }
}

fn shown(key: &str) -> String {
    key.chars().filter(|letter| !letter.is_control()).take(64).collect()
}
