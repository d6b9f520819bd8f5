//! Graph: from a request to the one operation that it names.

mod folders;
mod items;
mod occurrences;
mod send_mail;
mod subscriptions;
mod users;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use graph::mailbox::{Fresh, Owner};
use graph::path::{ItemAction, ItemPart, ItemPath, Resource, UserKey, UserPart};
use graph::render::Preferences;
use graph::{ChangeId, FolderId, Item, Kind, Mutation, OccurrenceId, UserId, path};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use notify::Submission;
use serde_json::Value;
use store::{Commit, CommitError, User};

pub use occurrences::WindowError;

use super::answer::Answer;
use super::context::Context;
use super::error::ApiError;
use super::prefer;
use super::query::Query;
use super::read_body;
use crate::app::AppState;
use crate::identity::{Principal, TokenError};
use crate::{directory, ids};

/// How often an operation is tried again when another writer was faster.
pub const TRIES: usize = 5;

/// How long delta queries tell of what was removed.
const REMOVALS_KEPT_MINUTES: i64 = 30 * 24 * 60;

/// A request that is being answered.
pub struct Call<'a> {
    pub state: &'a AppState,
    pub context: &'a Context,
    pub principal: &'a Principal,
    pub query: Query,
    pub prefer: Preferences,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    /// `v1.0` or `beta`.
    version: &'static str,
    /// The path below the version, as sent.
    path: &'a str,
}

/// Answers a request below a version's root.
pub async fn handle(
    state: &Arc<AppState>,
    context: &Context,
    parts: &Parts,
    path: &str,
    body: Body,
) -> Result<Answer, ApiError> {
    let (version, below) = version(path)?;
    let principal = authenticate(state, context, &parts.headers)?;
    let resource = path::parse(below)?;
    let headers = &parts.headers;
    let prefer = prefer::read(headers);
    check_time_zone(&prefer, &resource)?;
    let query = Query::read(parts.uri.query().unwrap_or_default())?;
    let body = read_body(body, &state.limits).await?;
    let call = Call { state, context, principal: &principal, query, prefer, headers, body, version, path: below };
    dispatch(&call, &parts.method, resource).await
}

/// A zone that times are to be shown in must be known, where times are shown.
fn check_time_zone(prefer: &Preferences, resource: &Resource) -> Result<(), ApiError> {
    let shows_times = match resource {
        Resource::Items { kind, .. } | Resource::ItemsDelta { kind, .. } => *kind == Kind::Event,
        Resource::Item(item) | Resource::ItemAction { item, .. } | Resource::OfItem { item, .. } => {
            item.kind == Kind::Event
        }
        Resource::CalendarView { .. } | Resource::CalendarViewDelta { .. } => true,
        Resource::OfUser { part, .. } => matches!(part, UserPart::ReminderView { .. }),
        _ => false,
    };
    match &prefer.time_zone {
        Some(name) if shows_times && graph::zone::find(name).is_none() => {
            Err(graph::Refusal::UnknownTimeZone { name: name.clone() }.into())
        }
        _ => Ok(()),
    }
}

fn version(path: &str) -> Result<(&'static str, &str), ApiError> {
    let path = path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match ["v1.0", "beta"].into_iter().find(|version| version.eq_ignore_ascii_case(first)) {
        Some(version) => Ok((version, rest)),
        None => Err(ApiError::Version(first.chars().take(64).collect())),
    }
}

fn authenticate(state: &AppState, context: &Context, headers: &HeaderMap) -> Result<Arc<Principal>, ApiError> {
    let header = headers.get(header::AUTHORIZATION).ok_or(TokenError::Empty)?;
    let header = header.to_str().map_err(|_| TokenError::Invalid)?.trim();
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::Empty.into());
    }
    Ok(state.tokens.check(token.trim(), context.now)?)
}

/// Each area answers for its resources; the order of arms is that of [`Resource`].
async fn dispatch(call: &Call<'_>, method: &Method, resource: Resource) -> Result<Answer, ApiError> {
    if let Some(id) = occurrence(&resource) {
        return of_occurrence(call, method, resource, id).await;
    }
    match (method.as_str(), resource) {
        ("GET", Resource::Metadata) => Err(ApiError::NotServed),
        ("POST", Resource::Batch) => Err(ApiError::NotServed),
        ("GET", Resource::Users) => users::list::list(call).await,
        ("GET", Resource::User(user)) => users::get::get(call, &user).await,
        ("POST", Resource::OfUser { user, part: UserPart::SendMail }) => send_mail::send_mail(call, &user).await,
        ("GET", Resource::OfUser { user, part: UserPart::ReminderView { start, end } }) => {
            occurrences::reminder_view::reminder_view(call, &user, &start, &end).await
        }
        (_, Resource::OfUser { .. }) => Err(ApiError::NotServed),
        ("GET", Resource::Items { user, kind, folder }) => items::list::list(call, &user, kind, folder).await,
        ("POST", Resource::Items { user, kind, folder }) => items::create::create(call, &user, kind, folder).await,
        ("GET", Resource::ItemsDelta { .. }) => Err(ApiError::NotServed),
        ("GET", Resource::ItemsCount { .. }) => Err(ApiError::NotServed),
        ("GET", Resource::Item(item)) => items::get::get(call, &item).await,
        ("PATCH", Resource::Item(item)) => items::patch::patch(call, &item).await,
        ("DELETE", Resource::Item(item)) => items::delete::delete(call, &item).await,
        ("POST", Resource::ItemAction { item, action }) => item_action(call, &item, action).await,
        (_, Resource::OfItem { item, part }) => item_part(call, method, &item, part).await,
        ("GET", Resource::CalendarView { user, calendar }) => occurrences::view::view(call, &user, &calendar).await,
        ("GET", Resource::CalendarViewDelta { .. }) => Err(ApiError::NotServed),
        ("GET", Resource::Folders { user, kind, parent }) => folders::list::list(call, &user, kind, parent).await,
        ("POST", Resource::Folders { user, kind, parent }) => folders::create::create(call, &user, kind, parent).await,
        ("GET", Resource::FoldersDelta { .. }) => Err(ApiError::NotServed),
        ("GET", Resource::FoldersCount { .. }) => Err(ApiError::NotServed),
        ("GET", Resource::Folder { user, kind, folder }) => folders::get::get(call, &user, kind, &folder).await,
        ("PATCH", Resource::Folder { user, kind, folder }) => folders::patch::patch(call, &user, kind, &folder).await,
        ("DELETE", Resource::Folder { user, kind, folder }) => {
            folders::delete::delete(call, &user, kind, &folder).await
        }
        ("POST", Resource::FolderAction { .. }) => Err(ApiError::NotServed),
        (_, Resource::CalendarGroups(_) | Resource::CalendarGroup { .. } | Resource::CalendarsOfGroup { .. }) => {
            Err(ApiError::NotServed)
        }
        ("GET", Resource::Subscriptions) => subscriptions::list::list(call).await,
        ("POST", Resource::Subscriptions) => subscriptions::create::create(call).await,
        ("GET", Resource::Subscription(id)) => subscriptions::get::get(call, &id).await,
        ("PATCH", Resource::Subscription(id)) => subscriptions::patch::patch(call, &id).await,
        ("DELETE", Resource::Subscription(id)) => subscriptions::delete::delete(call, &id).await,
        ("POST", Resource::Reauthorize(id)) => subscriptions::reauthorize::reauthorize(call, &id).await,
        _ => Err(ApiError::Method),
    }
}

/// The occurrence that a resource is, or that it belongs to.
fn occurrence(resource: &Resource) -> Option<OccurrenceId> {
    match resource {
        Resource::Item(item) | Resource::ItemAction { item, .. } | Resource::OfItem { item, .. } => {
            occurrences::named(item)
        }
        _ => None,
    }
}

/// What belongs to an occurrence is its master's.
async fn of_occurrence(
    call: &Call<'_>,
    method: &Method,
    resource: Resource,
    id: OccurrenceId,
) -> Result<Answer, ApiError> {
    match (method.as_str(), resource) {
        ("GET", Resource::Item(item)) => occurrences::get::get(call, &item, id).await,
        ("PATCH", Resource::Item(item)) => occurrences::patch::patch(call, &item, id).await,
        ("DELETE", Resource::Item(item)) => occurrences::delete::delete(call, &item, id).await,
        ("POST", Resource::ItemAction { item, action }) => item_action(call, &item, action).await,
        ("GET", Resource::OfItem { item, part }) => {
            item_part(call, method, &occurrences::master_path(&item, id), part).await
        }
        (_, Resource::OfItem { .. }) => Err(ApiError::NotServed),
        _ => Err(ApiError::Method),
    }
}

async fn item_action(call: &Call<'_>, item: &ItemPath, action: ItemAction) -> Result<Answer, ApiError> {
    match action {
        ItemAction::Move => items::relocate::move_(call, item).await,
        ItemAction::Copy => items::relocate::copy(call, item).await,
        ItemAction::Send => items::send::send(call, item).await,
        ItemAction::PermanentDelete => Err(ApiError::NotServed),
        ItemAction::Reply | ItemAction::ReplyAll | ItemAction::Forward => Err(ApiError::NotServed),
        ItemAction::CreateReply | ItemAction::CreateReplyAll | ItemAction::CreateForward => Err(ApiError::NotServed),
        ItemAction::Accept | ItemAction::Decline | ItemAction::TentativelyAccept => Err(ApiError::NotServed),
        ItemAction::Cancel => Err(ApiError::NotServed),
        ItemAction::SnoozeReminder | ItemAction::DismissReminder => {
            occurrences::remind::remind(call, item, action).await
        }
    }
}

async fn item_part(call: &Call<'_>, method: &Method, item: &ItemPath, part: ItemPart) -> Result<Answer, ApiError> {
    match part {
        ItemPart::Value => Err(ApiError::NotServed),
        ItemPart::Attachments | ItemPart::AttachmentsCount => Err(ApiError::NotServed),
        ItemPart::Attachment(_) | ItemPart::AttachmentValue(_) => Err(ApiError::NotServed),
        ItemPart::CreateUploadSession => Err(ApiError::NotServed),
        ItemPart::Extensions | ItemPart::Extension(_) => Err(ApiError::NotServed),
        ItemPart::Instances if method == Method::GET => occurrences::instances::instances(call, item).await,
        ItemPart::ExceptionOccurrences if method == Method::GET => {
            occurrences::exceptions::exceptions(call, item).await
        }
        ItemPart::Instances | ItemPart::ExceptionOccurrences => Err(ApiError::Method),
        ItemPart::InstancesDelta => Err(ApiError::NotServed),
        ItemPart::Calendar | ItemPart::Event => Err(ApiError::NotServed),
        ItemPart::Photo | ItemPart::PhotoValue => Err(ApiError::NotServed),
    }
}

impl Call<'_> {
    /// An absolute URL below this version's root, as the caller would write it.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}/{path}", self.context.origin, self.version)
    }

    /// The URL of this version's root.
    pub fn base(&self) -> String {
        format!("{}/{}", self.context.origin, self.version)
    }

    /// The `@odata.context` of an answer.
    pub fn metadata(&self, fragment: &str) -> String {
        self.url(&format!("$metadata#{fragment}"))
    }

    /// The next page of this same collection, skipping what was shown.
    pub fn next_page(&self, skip: u64) -> String {
        let kept = ["startDateTime", "endDateTime", "$top", "$select", "$orderby", "$count"];
        let option = |name: &&str| self.query.get(name).map(|value| format!("{name}={}&", encoded(value)));
        let options: String = kept.iter().filter_map(option).collect();
        self.url(&format!("{}?{options}$skip={skip}", self.path.trim_end_matches('/')))
    }

    pub fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.body).map_err(|_| ApiError::Json)
    }

    /// The mailbox that a path names, if it exists and the caller may look into it.
    pub async fn owner(&self, key: &UserKey) -> Result<Owner, ApiError> {
        let user = self.user(key).await?.ok_or_else(|| ApiError::InvalidUser(named(key)))?;
        if !self.principal.reaches(user.id) {
            return Err(ApiError::AccessDenied);
        }
        Ok(directory::owner(&user))
    }

    /// The id of that mailbox.
    pub async fn mailbox(&self, key: &UserKey) -> Result<UserId, ApiError> {
        self.owner(key).await.map(|owner| owner.id)
    }

    /// A user of the caller's tenant.
    pub async fn user(&self, key: &UserKey) -> Result<Option<Arc<User>>, ApiError> {
        let found = match key {
            UserKey::Me => {
                let me = self.principal.user().ok_or(ApiError::MeWithoutUser)?;
                self.state.directory.user(me).await?
            }
            UserKey::Id(id) => self.state.directory.user(*id).await?,
            UserKey::Upn(upn) => self.state.directory.by_address(upn).await?,
        };
        Ok(found.filter(|user| user.tenant == self.principal.tenant))
    }

    pub fn require_read(&self, kind: Kind) -> Result<(), ApiError> {
        if self.principal.rights.reads(kind) { Ok(()) } else { Err(ApiError::AccessDenied) }
    }

    pub fn require_write(&self, kind: Kind) -> Result<(), ApiError> {
        if self.principal.rights.writes(kind) { Ok(()) } else { Err(ApiError::AccessDenied) }
    }

    /// Whether the version is the one that `If-Match` asks for.
    pub fn check_match(&self, item: &Item) -> Result<(), ApiError> {
        let Some(asked) = self.headers.get(header::IF_MATCH) else { return Ok(()) };
        let etag = item.version.etag();
        let holds = asked.to_str().is_ok_and(|asked| {
            asked
                .split(',')
                .map(str::trim)
                .any(|one| one == "*" || one == etag || one.trim_matches('"') == item.version.change_key())
        });
        if holds { Ok(()) } else { Err(ApiError::ChangeKey) }
    }

    /// The time and new ids for one operation.
    pub fn fresh(&self) -> Fresh {
        Fresh {
            now: self.context.now,
            uuid: ids::new_uuid(),
            change: ChangeId(ids::new_uuid()),
            removal: ChangeId(ids::new_uuid()),
        }
    }

    /// Makes a mutation durable, with the submission if there is one.
    pub async fn commit(
        &self,
        owner: &Owner,
        mutation: Mutation,
        submit: Option<Submission>,
    ) -> Result<(), CommitError> {
        self.state.store.commit(Commit { submit, ..self.commit_of(owner, mutation) }).await.map(drop)
    }

    /// A commit of nothing but the mutation.
    pub fn commit_of(&self, owner: &Owner, mutation: Mutation) -> Commit {
        let forget_before = self.context.now.plus_minutes(-REMOVALS_KEPT_MINUTES);
        Commit { now: self.context.now, forget_before, ..Commit::of(owner.tenant, owner.id, mutation) }
    }

    /// The id of an existing folder that a path or body names.
    pub async fn folder(&self, mailbox: UserId, key: &path::FolderKey) -> Result<FolderId, ApiError> {
        let id = key.id_in(mailbox).ok_or(ApiError::MalformedId)?;
        match self.state.store.folder(mailbox, id).await? {
            Some(found) => Ok(found.folder.id),
            None => Err(ApiError::ItemNotFound),
        }
    }
}

fn named(key: &UserKey) -> String {
    match key {
        UserKey::Me => "me".to_owned(),
        UserKey::Id(id) => id.to_string(),
        UserKey::Upn(upn) => upn.chars().take(128).collect(),
    }
}

fn encoded(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
