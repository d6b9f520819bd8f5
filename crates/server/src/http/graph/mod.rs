//! Graph: from a request to the one operation that it names.

mod access;
mod batch;
mod calendars;
mod delta;
mod folders;
mod items;
mod meetings;
mod metadata;
mod occurrences;
mod send_mail;
mod settings;
mod subscriptions;
mod throttle;
mod translate_ids;
mod users;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use graph::mailbox::meeting::Answer as Reply;
use graph::mailbox::{Answering, Fresh, Owner, SearchFolder, calendar_group};
use graph::path::{FolderAction, FolderKey, ItemAction, ItemPart, ItemPath, Resource, UserKey, UserPart};
use graph::render::Preferences;
use graph::{ChangeId, FolderId, Item, Kind, Mutation, OccurrenceId, Refusal, UserId, WellKnown, path};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use notify::Submission;
use notify::access::{Need, Principal};
use serde_json::Value;
use store::{Commit, CommitError, User};

use super::answer::Answer;
use super::context::Context;
use super::error::ApiError;
use super::openapi;
use super::prefer;
use super::query::Query;
use super::read_body;
use crate::app::AppState;
use crate::identity::{Api, TokenError};
use crate::{directory, identity, ids};
pub use delta::DeltaRefusal;
pub use occurrences::{ScheduleRefusal, WindowError};
pub use throttle::Throttling;

/// How often an operation is tried again when another writer was faster.
pub const TRIES: usize = 5;

/// How long delta queries tell of what was removed.
pub const REMOVALS_KEPT_MINUTES: i64 = 30 * 24 * 60;

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

/// A request as it came in, by itself or in a batch; without its body.
struct Asked<'a> {
    method: &'a Method,
    /// With the version, without the query.
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
}

/// What a request's head says, before its body is looked at.
struct Head<'a> {
    version: &'static str,
    /// The path below the version, as sent.
    path: &'a str,
    principal: Arc<Principal>,
    resource: Resource,
    query: Query,
}

/// Answers a request below a version's root.
pub async fn handle(
    state: &Arc<AppState>,
    context: &Context,
    parts: &Parts,
    path: &str,
    body: Body,
) -> Result<Answer, ApiError> {
    if metadata::is_asked(&parts.method, path) {
        context.is_for("/$metadata");
        return Ok(metadata::metadata());
    }
    let query = parts.uri.query().unwrap_or_default();
    let asked = Asked { method: &parts.method, path, query, headers: &parts.headers };
    let head = head(state, context, &asked).await?;
    let body = read_body(body, &state.limits).await?;
    match (asked.method.as_str(), &head.resource) {
        ("POST", Resource::Batch) => batch::batch(state, context, &asked, &head, &body).await,
        _ => serve(state, context, &asked, head, body).await,
    }
}

async fn head<'a>(state: &AppState, context: &Context, asked: &Asked<'a>) -> Result<Head<'a>, ApiError> {
    let (version, path) = version(asked.path)?;
    let resource = path::parse(path);
    if let Ok(resource) = &resource {
        context.is_for(openapi::template(resource));
    }
    let principal = authenticate(state, context, asked.headers).await?;
    let resource = resource?;
    Ok(Head { version, path, principal, resource, query: Query::read(asked.query)? })
}

/// Answers one request that is no batch.
async fn serve(
    state: &AppState,
    context: &Context,
    asked: &Asked<'_>,
    head: Head<'_>,
    body: Bytes,
) -> Result<Answer, ApiError> {
    let _place = throttle::enter(state, asked.method, &head, body.len()).await?;
    access::admit(state, asked, &head).await?;
    let Head { version, path, principal, resource, query } = head;
    let headers = asked.headers;
    let prefer = Preferences { basic: access::basic_kinds(&principal), ..prefer::read(headers) };
    check_time_zone(&prefer, &resource)?;
    let call = Call { state, context, principal: &principal, query, prefer, headers, body, version, path };
    let answer = dispatch(&call, asked.method, resource).await?;
    Ok(match prefer::applied(&call.prefer) {
        Some(followed) => answer.applied(&followed),
        None => answer,
    })
}

/// The user that a path means, in the directory of the caller's tenant.
async fn find_user(state: &AppState, principal: &Principal, key: &UserKey) -> Result<Option<Arc<User>>, ApiError> {
    let found = match key {
        UserKey::Me => {
            let me = principal.user().ok_or(ApiError::MeWithoutUser)?;
            state.directory.user(me).await?
        }
        UserKey::Id(id) => state.directory.user(*id).await?,
        UserKey::Upn(upn) => state.directory.by_address(upn).await?,
    };
    Ok(found.filter(|user| user.tenant == principal.tenant))
}

/// The mailbox that a request goes to, if it goes to one that exists.
async fn mailbox_of(state: &AppState, head: &Head<'_>) -> Option<UserId> {
    let user = head.resource.user()?;
    find_user(state, &head.principal, user).await.ok().flatten().map(|user| user.id)
}

/// A zone that times are to be shown in must be known, where times are shown.
fn check_time_zone(prefer: &Preferences, resource: &Resource) -> Result<(), ApiError> {
    let shows_times = match resource {
        Resource::Items { kind, .. } | Resource::ItemsDelta { kind, .. } => *kind == Kind::Event,
        Resource::Item(item) | Resource::ItemAction { item, .. } | Resource::OfItem { item, .. } => {
            item.kind == Kind::Event
        }
        Resource::CalendarView { .. } | Resource::CalendarViewDelta { .. } => true,
        Resource::FolderAction { action, .. } => *action == FolderAction::GetSchedule,
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

/// Who calls with a token for Graph.
pub(super) async fn authenticate(
    state: &AppState,
    context: &Context,
    headers: &HeaderMap,
) -> Result<Arc<Principal>, ApiError> {
    let header = headers.get(header::AUTHORIZATION).ok_or(TokenError::Empty)?;
    let header = header.to_str().map_err(|_| TokenError::Invalid)?.trim();
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::Empty.into());
    }
    Ok(Arc::new(identity::caller(state, Api::Graph, token.trim(), context.world).await?))
}

/// Each area answers for its resources; the order of arms is that of [`Resource`].
async fn dispatch(call: &Call<'_>, method: &Method, resource: Resource) -> Result<Answer, ApiError> {
    if let Some(id) = occurrence(&resource) {
        return of_occurrence(call, method, resource, id).await;
    }
    match (method.as_str(), resource) {
        ("GET", Resource::Metadata) => Ok(metadata::metadata()),
        ("POST", Resource::Batch) => Err(ApiError::NestedBatch),
        ("GET", Resource::Users) => users::list::list(call).await,
        ("GET", Resource::User(user)) => users::get::get(call, &user).await,
        ("POST", Resource::OfUser { user, part: UserPart::SendMail }) => send_mail::send_mail(call, &user).await,
        ("POST", Resource::OfUser { user, part: UserPart::TranslateExchangeIds }) => {
            translate_ids::translate_ids(call, &user).await
        }
        ("GET", Resource::OfUser { user, part: UserPart::ReminderView { start, end } }) => {
            occurrences::reminder_view::reminder_view(call, &user, &start, &end).await
        }
        (_, Resource::OfUser { user, part }) => user_part(call, method, &user, part).await,
        ("GET", Resource::Items { user, kind, folder }) => items::list::list(call, &user, kind, folder).await,
        ("POST", Resource::Items { user, kind, folder }) => items::create::create(call, &user, kind, folder).await,
        ("GET", Resource::ItemsDelta { user, kind, folder }) => delta::items::items(call, &user, kind, folder).await,
        ("GET", Resource::ItemsCount { user, kind, folder }) => items::count::count(call, &user, kind, folder).await,
        ("GET", Resource::Item(item)) => items::get::get(call, &item).await,
        ("PATCH", Resource::Item(item)) => items::patch::patch(call, &item).await,
        ("DELETE", Resource::Item(item)) => items::delete::delete(call, &item).await,
        ("POST", Resource::ItemAction { item, action }) => item_action(call, &item, action).await,
        (_, Resource::OfItem { item, part }) => item_part(call, method, &item, part).await,
        ("GET", Resource::CalendarView { user, calendar }) => occurrences::view::view(call, &user, &calendar).await,
        ("GET", Resource::CalendarViewDelta { user, calendar }) => delta::view::view(call, &user, &calendar).await,
        ("GET", Resource::Folders { user, kind: Kind::Event, .. }) => calendars::list::list(call, &user, None).await,
        ("POST", Resource::Folders { user, kind: Kind::Event, .. }) => {
            calendars::create::create(call, &user, None).await
        }
        ("GET", Resource::Folder { user, kind: Kind::Event, folder }) => {
            calendars::get::get(call, &user, &folder).await
        }
        ("PATCH", Resource::Folder { user, kind: Kind::Event, folder }) => {
            calendars::patch::patch(call, &user, &folder).await
        }
        ("GET", Resource::Folders { user, kind, parent }) => folders::list::list(call, &user, kind, parent).await,
        ("POST", Resource::Folders { user, kind, parent }) => folders::create::create(call, &user, kind, parent).await,
        ("GET", Resource::FoldersDelta { user, kind }) => delta::folders::folders(call, &user, kind).await,
        ("GET", Resource::FoldersCount { user, kind: Kind::Event, .. }) => calendars::list::count(call, &user).await,
        ("GET", Resource::FoldersCount { user, kind, parent }) => {
            folders::count::count(call, &user, kind, parent).await
        }
        ("GET", Resource::Folder { user, kind, folder }) => folders::get::get(call, &user, kind, &folder).await,
        ("PATCH", Resource::Folder { user, kind, folder }) => folders::patch::patch(call, &user, kind, &folder).await,
        ("DELETE", Resource::Folder { user, kind, folder }) => {
            folders::delete::delete(call, &user, kind, &folder).await
        }
        ("POST", Resource::FolderAction { user, kind, folder, action }) => {
            folder_action(call, &user, kind, &folder, action).await
        }
        ("GET", Resource::CalendarGroups(user)) => calendars::groups::list(call, &user).await,
        ("POST", Resource::CalendarGroups(user)) => calendars::groups::create(call, &user).await,
        ("GET", Resource::CalendarGroup { user, group }) => calendars::group::get(call, &user, &group).await,
        ("PATCH", Resource::CalendarGroup { user, group }) => calendars::group::patch(call, &user, &group).await,
        ("DELETE", Resource::CalendarGroup { user, group }) => calendars::group::delete(call, &user, &group).await,
        ("GET", Resource::CalendarsOfGroup { user, group }) => calendars::list::list(call, &user, Some(&group)).await,
        ("POST", Resource::CalendarsOfGroup { user, group }) => {
            calendars::create::create(call, &user, Some(&group)).await
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

/// An occurrence is changed and answered by itself; what belongs to it is its master's.
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
        ("POST", Resource::ItemAction { item, action }) => match action {
            ItemAction::PermanentDelete => occurrences::delete::delete(call, &item, id).await,
            _ => item_action(call, &item, action).await,
        },
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
        ItemAction::PermanentDelete => items::delete::permanent_delete(call, item).await,
        ItemAction::Reply => items::answer::send(call, item, Answering::Reply).await,
        ItemAction::ReplyAll => items::answer::send(call, item, Answering::ReplyAll).await,
        ItemAction::Forward if item.kind == Kind::Message => items::answer::send(call, item, Answering::Forward).await,
        ItemAction::Forward => meetings::forward::forward(call, item).await,
        ItemAction::CreateReply => items::answer::draft(call, item, Answering::Reply).await,
        ItemAction::CreateReplyAll => items::answer::draft(call, item, Answering::ReplyAll).await,
        ItemAction::CreateForward => items::answer::draft(call, item, Answering::Forward).await,
        ItemAction::Accept => meetings::respond::respond(call, item, Reply::Accepted).await,
        ItemAction::Decline => meetings::respond::respond(call, item, Reply::Declined).await,
        ItemAction::TentativelyAccept => meetings::respond::respond(call, item, Reply::Tentative).await,
        ItemAction::Cancel => meetings::cancel::cancel(call, item).await,
        ItemAction::SnoozeReminder | ItemAction::DismissReminder => {
            occurrences::remind::remind(call, item, action).await
        }
    }
}

async fn user_part(call: &Call<'_>, method: &Method, user: &UserKey, part: UserPart) -> Result<Answer, ApiError> {
    match part {
        UserPart::MasterCategories => settings::categories::all(call, method, user).await,
        UserPart::MasterCategory(id) => settings::categories::one(call, method, user, &id).await,
        UserPart::FocusedOverrides => settings::overrides::all(call, method, user).await,
        UserPart::FocusedOverride(id) => settings::overrides::one(call, method, user, &id).await,
        UserPart::SendMail | UserPart::TranslateExchangeIds | UserPart::ReminderView { .. } => Err(ApiError::Method),
        UserPart::MailboxSettings => settings::mailbox::all(call, method, user).await,
        UserPart::MailboxSetting(setting) => settings::mailbox::one(call, method, user, &setting).await,
    }
}

async fn folder_action(
    call: &Call<'_>,
    user: &UserKey,
    kind: Kind,
    folder: &FolderKey,
    action: FolderAction,
) -> Result<Answer, ApiError> {
    match action {
        FolderAction::Move => folders::relocate::move_(call, user, folder).await,
        FolderAction::Copy => folders::relocate::copy(call, user, folder).await,
        FolderAction::PermanentDelete => folders::permanent_delete::permanent_delete(call, user, kind, folder).await,
        FolderAction::GetSchedule => occurrences::get_schedule::get_schedule(call, user).await,
    }
}

async fn item_part(call: &Call<'_>, method: &Method, item: &ItemPath, part: ItemPart) -> Result<Answer, ApiError> {
    match part {
        ItemPart::Value if method == Method::GET => items::value::value(call, item).await,
        ItemPart::Value => Err(ApiError::Method),
        ItemPart::Attachments | ItemPart::AttachmentsCount | ItemPart::CreateUploadSession => {
            items::attachments::part(call, method, item, &part).await
        }
        ItemPart::Attachment(_) | ItemPart::AttachmentValue(_) => {
            items::attachments::part(call, method, item, &part).await
        }
        ItemPart::Extensions | ItemPart::Extension(_) => items::extensions::part(call, method, item, &part).await,
        ItemPart::Instances if method == Method::GET => occurrences::instances::instances(call, item).await,
        ItemPart::ExceptionOccurrences if method == Method::GET => {
            occurrences::exceptions::exceptions(call, item).await
        }
        ItemPart::InstancesDelta if method == Method::GET => delta::instances::instances(call, item).await,
        ItemPart::Instances | ItemPart::InstancesDelta | ItemPart::ExceptionOccurrences => Err(ApiError::Method),
        ItemPart::Calendar if method == Method::GET => calendars::of_event::get(call, item).await,
        ItemPart::Event if method == Method::GET => meetings::get::get(call, item).await,
        ItemPart::Calendar | ItemPart::Event => Err(ApiError::Method),
        ItemPart::Photo | ItemPart::PhotoValue => items::photo::photo(call, method, item, &part).await,
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
        let kept = self.query.options().filter(|(name, _)| *name != "$skip");
        let name = |name: &str| name.strip_prefix('$').map_or_else(|| encoded(name), |known| format!("${known}"));
        let options: String = kept.map(|(of, value)| format!("{}={}&", name(of), encoded(value))).collect();
        self.url(&format!("{}?{options}$skip={skip}", self.path.trim_end_matches('/')))
    }

    pub fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.body).map_err(|_| ApiError::Json)
    }

    /// Whether the body is a message as MIME, in base64. Some clients call JSON plain text; base64 never
    /// looks like an object.
    pub fn is_mime(&self) -> bool {
        let content_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("text/plain") && !self.body.trim_ascii_start().starts_with(b"{")
    }

    /// The mailbox that the path names, if it exists. That the caller may look into it was checked.
    pub async fn owner(&self, key: &UserKey) -> Result<Owner, ApiError> {
        let user = self.user(key).await?.ok_or_else(|| ApiError::InvalidUser(named(key)))?;
        Ok(directory::owner(&user))
    }

    /// Checks that the caller may still do all that it might when the request came in: its body, or a receiver that
    /// was asked, may have taken its time.
    pub async fn check_again(&self) -> Result<(), ApiError> {
        let now = authenticate(self.state, self.context, self.headers).await?;
        if *now == *self.principal { Ok(()) } else { Err(ApiError::Contended) }
    }

    /// Checks what only the request's body or the store tells: what is needed, of a user if it is of one.
    pub async fn check(&self, need: Need, user: impl Into<Option<UserId>>) -> Result<(), ApiError> {
        access::check(self.state, self.principal, &[need], user.into()).await
    }

    /// A user of the caller's tenant.
    pub async fn user(&self, key: &UserKey) -> Result<Option<Arc<User>>, ApiError> {
        find_user(self.state, self.principal, key).await
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
            uuid: ids::new_uuid_of(self.context.now),
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
        let commit = Commit { submit, ..self.commit_of(owner, mutation) };
        self.state.commit(&self.context.span, commit).await.map(drop)
    }

    /// A commit of nothing but the mutation.
    pub fn commit_of(&self, owner: &Owner, mutation: Mutation) -> Commit {
        let forget_before = self.context.now.plus_minutes(-REMOVALS_KEPT_MINUTES);
        Commit { now: self.context.now, forget_before, ..Commit::of(owner.tenant, owner.id, mutation) }
    }

    /// The id of an existing folder that a path or body names.
    pub async fn folder(&self, mailbox: UserId, key: &path::FolderKey) -> Result<FolderId, ApiError> {
        let id = key.id_in(mailbox).ok_or_else(|| ApiError::no_folder(key))?;
        match self.state.store.folder(mailbox, id).await? {
            Some(found) if !calendar_group::is_group(&found.folder) => Ok(found.folder.id),
            _ => Err(ApiError::ItemNotFound),
        }
    }

    /// The same of a folder that is to hold an item.
    pub async fn filing_folder(&self, mailbox: UserId, key: &path::FolderKey) -> Result<FolderId, ApiError> {
        let id = key.id_in(mailbox).ok_or_else(|| ApiError::no_folder(key))?;
        let folder = self.state.store.folder(mailbox, id).await?.ok_or(ApiError::ItemNotFound)?.folder;
        let only_shows = SearchFolder::of(&folder).is_some() || folder.well_known == Some(WellKnown::SearchFolders);
        if calendar_group::is_group(&folder) {
            return Err(ApiError::ItemNotFound);
        }
        if only_shows { Err(Refusal::SearchFolder.into()) } else { Ok(folder.id) }
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
