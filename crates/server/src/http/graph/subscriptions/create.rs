//! `POST /subscriptions`: 201 with the whole subscription, once both URLs have echoed their token, or the partner topic is
//! there that they name, and its beginning is durable. Checks go from the cheap to the remote: the body, its URLs and other properties
//! as text, what the token holds, the handshakes, then the mailbox. No lock is held while a receiver is asked.

use std::sync::Arc;

use graph::mailbox::SearchFolder;
use graph::path::{UserKey, Watch, WatchError};
use graph::registry::{Asked, Place};
use graph::{SubscriptionId, TopicId, UserId, WellKnown};
use http::StatusCode;
use notify::Subscription;
use notify::access;
use notify::rules::{self, Channel, Draft, Refusal, UrlRole, Watching};
use notify::subscription::{Extras, Target, TlsVersion, Watched};
use protocol::error::Operation;
use protocol::{HandshakeError, SubscriptionRequest};
use store::{BeginError, Makers, SubscriptionLimits};

use super::{authorized, entity_context, resource, topic};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::ids;

pub async fn create(call: &Call<'_>) -> Result<Answer, ApiError> {
    call.query.allow(&[])?;
    let request = SubscriptionRequest::parse_create(&call.body)?;
    check_url(call, UrlRole::Notification, request.notification_url.as_deref())?;
    check_url(call, UrlRole::Lifecycle, request.lifecycle_notification_url.as_deref())?;
    let draft = rules::create(&request, call.context.now, &call.state.profile)?;
    check_token(call, &draft)?;
    let makers = makers(call).await?;
    prove(call, UrlRole::Notification, (&draft.notification_url, draft.tls_version)).await?;
    if let Some(url) = &draft.lifecycle_url {
        prove(call, UrlRole::Lifecycle, (url, draft.tls_version)).await?;
    }
    let target = match &draft.watch {
        Watching::Items(watch) => items(call, watch, &draft.resource).await?,
        Watching::Place(place) => resources(call, place).await?,
    };
    let (per_scope, scope) = match &draft.watch {
        Watching::Items(_) => (call.state.profile.subscriptions_per_mailbox_max, "for each mailbox".to_owned()),
        Watching::Place(place) => {
            let entry = place.kind.entry();
            (entry.subscriptions_max, format!("to {} in each tenant", entry.name))
        }
    };
    let topic = match &draft.topic {
        None => None,
        Some(place) => Some(topic::open(call, place, draft.expires.at).await?),
    };
    let subscription = Arc::new(begun(call, draft, target, topic));
    let limits = SubscriptionLimits { per_scope, refuse_duplicates: call.state.profile.refuse_duplicates, makers };
    let begun = call.state.store.begin_subscription(subscription.clone(), limits).await;
    if matches!(begun, Err(BeginError::NotAllowed)) {
        call.check_again().await?;
    }
    begun.map_err(|error| refused(error, &scope))?;
    let location = call.url(&format!("subscriptions('{}')", subscription.id));
    let body = resource(&subscription, Some(entity_context(call)));
    Ok(Answer::json(StatusCode::CREATED, &body).at(location))
}

/// What the directory has of the caller. Asked before the caller is looked at for the last time: who is registered
/// later, or never, may be missing.
async fn makers(call: &Call<'_>) -> Result<Makers, ApiError> {
    let app = call.state.directory.app(call.principal.app).await?.is_some();
    Ok(Makers { user: call.principal.user().is_some(), app })
}

/// Nobody makes this server call a URL who could not subscribe, whatever the mailbox.
fn check_token(call: &Call<'_>, draft: &Draft) -> Result<(), ApiError> {
    let (user, need) = match &draft.watch {
        Watching::Items(watch) => (Some(&watch.user), access::to_watch(watch.kind, &draft.resource)),
        Watching::Place(place) => (place.user.as_ref(), access::to_watch_place(place)),
    };
    if user == Some(&UserKey::Me) && call.principal.user().is_none() {
        return Err(ApiError::MeWithoutUser);
    }
    access::check(call.principal, &[need], None, None)
        .map_err(|denied| ApiError::SubscriptionDenied(Operation::Create, denied))
}

/// Whether a URL may be called at all, as far as its text tells.
pub(super) fn check_url(call: &Call<'_>, role: UrlRole, url: Option<&str>) -> Result<(), ApiError> {
    let Some(url) = url else { return Ok(()) };
    if rules::channel(role, url)? == Channel::Topic {
        return Ok(());
    }
    call.state.handshake.check(url).map_err(|error| unproven(call, (role, url), error))
}

/// Runs the handshake with one URL, unless it names a topic: then there is nobody to ask. Who may not act any more when it
/// has ended gets nothing of it.
pub(super) async fn prove(call: &Call<'_>, role: UrlRole, (url, tls): (&str, TlsVersion)) -> Result<(), ApiError> {
    if rules::channel(role, url)? == Channel::Topic {
        return Ok(());
    }
    let id = call.context.request_id.to_string();
    call.state.handshake.validate(url, tls, &id).await.map_err(|error| unproven(call, (role, url), error))?;
    call.check_again().await
}

fn unproven(call: &Call<'_>, (role, url): (UrlRole, &str), error: HandshakeError) -> ApiError {
    let detail = error.detail(url);
    ApiError::Handshake { role, error, detail, names_status: call.state.profile.handshake_names_status }
}

pub(super) fn extension(status: u16, reason: &str) -> ApiError {
    ApiError::Extension { operation: Operation::Create, status, reason: reason.to_owned() }
}

async fn user(call: &Call<'_>, key: &UserKey) -> Result<UserId, ApiError> {
    match call.owner(key).await {
        Err(ApiError::InvalidUser(_)) => Err(extension(404, "Not Found")),
        other => Ok(other?.id),
    }
}

/// The places to watch, if the caller may. A user by id may be one that the directory does not know, since what
/// is a user's does not lie here.
async fn resources(call: &Call<'_>, place: &Place) -> Result<Target, ApiError> {
    let user = match &place.user {
        None => None,
        Some(UserKey::Id(id)) => Some(*id),
        Some(key) => Some(user(call, key).await?),
    };
    let owner = user.filter(|_| place.is_of_user());
    call.check(access::to_watch_place(place), owner).await.map_err(|error| error.behind(Operation::Create))?;
    let places = Asked::read(place, user).map_err(Refusal::Asked)?.places;
    Ok(Target::Resource(Box::new(Watched { resource: place.kind, owner, places })))
}

/// The mailbox and folder to watch, if they exist and the caller may read them.
async fn items(call: &Call<'_>, watch: &Watch, resource: &str) -> Result<Target, ApiError> {
    let mailbox = user(call, &watch.user).await?;
    let need = access::to_watch(watch.kind, resource);
    call.check(need, mailbox).await.map_err(|error| error.behind(Operation::Create))?;
    let folder = match &watch.folder {
        None => None,
        Some(key) => {
            let invalid = || extension(400, "The value of parameter 'Resource' is invalid.");
            let id = key.id_in(mailbox).ok_or_else(invalid)?;
            let folder = call.state.store.folder(mailbox, id).await?.ok_or_else(invalid)?.folder;
            let is_silent = folder.well_known == Some(WellKnown::RecoverableItemsDeletions);
            if is_silent || SearchFolder::of(&folder).is_some() {
                return Err(extension(400, WatchError::NotSupported.graph_text()));
            }
            Some(folder.id)
        }
    };
    Ok(Target::Items { mailbox, kind: watch.kind, folder })
}

fn begun(call: &Call<'_>, draft: Draft, target: Target, topic: Option<TopicId>) -> Subscription {
    let extras = draft.extras.map(|extras| *extras).unwrap_or_default();
    let subscription = Subscription {
        id: SubscriptionId(ids::new_uuid()),
        tenant: call.principal.tenant,
        app: call.principal.app,
        creator: call.principal.object_id(),
        target,
        resource: draft.resource,
        change_types: draft.change_types,
        change_type: draft.change_type,
        notification_url: draft.notification_url,
        lifecycle_url: draft.lifecycle_url,
        client_state: draft.client_state,
        tls_version: draft.tls_version,
        extras: Extras { topic, ..extras }.boxed(),
        immutable_ids: call.prefer.immutable_ids,
        authorized: call.context.now,
        expires: draft.expires.at,
        expires_tenths: draft.expires.tenths,
        created: call.context.now,
    };
    authorized(call, subscription)
}

/// `scope`: of what there may be only so many.
fn refused(error: BeginError, scope: &str) -> ApiError {
    match error {
        BeginError::Duplicate(id) => ApiError::Duplicate(id),
        BeginError::TooMany(limit) => {
            extension(403, &format!("Maximum number of subscriptions has been reached: {limit} {scope}"))
        }
        BeginError::NoMailbox(_) => extension(404, "Not Found"),
        BeginError::NotAllowed => ApiError::Contended,
        BeginError::Store(error) => ApiError::Store(error),
    }
}
