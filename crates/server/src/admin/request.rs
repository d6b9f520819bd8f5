//! What operations on the directory are asked with, and what they have in common.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use graph::{AppId, TenantId};
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{App, DirectoryError, Store, Tenant, User};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Failure;
use crate::directory::credential::CertificateError;
use crate::directory::names::BadName;
use crate::directory::{Directory, subscribed};

/// The most entries that one answer lists.
pub(super) const LISTED_MAX: usize = 1_000;
/// How often an edit is tried again that met another one.
const EDITS_MAX: usize = 5;
/// How often a user or app is tried to be removed for which something subscribes at the same time.
const REMOVALS_MAX: usize = 5;

/// The first entries of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    value: Vec<T>,
    /// Whether there are more.
    more: bool,
}

impl<T> Page<T> {
    pub fn of(mut value: Vec<T>) -> Self {
        let more = value.len() > LISTED_MAX;
        value.truncate(LISTED_MAX);
        Self { value, more }
    }
}

/// A body in JSON; what is wrong with it is said as every failure is.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let read = Json::from_request(request, state).await;
        read.map(|Json(body)| Self(body)).map_err(|error| Failure::new(error.status(), error.body_text()))
    }
}

/// The options of a URL.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        read.map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Failure::new(error.status(), of_options(&error.body_text())))
    }
}

/// What is wrong with the options of a URL, without what axum says first.
fn of_options(text: &str) -> String {
    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text).to_owned()
}

/// The tenant of this id or domain.
pub(super) async fn tenant_of(directory: &Directory, key: &str) -> Result<Tenant, Failure> {
    let id = key.parse().map(TenantId);
    let domain = key.to_ascii_lowercase();
    let tenants = directory.store().tenants().await?;
    let found = tenants.into_iter().find(|tenant| Ok(tenant.id) == id || tenant.domain == domain);
    found.ok_or_else(|| missing(format!("there is no tenant {}; add it first (tidings tenant add)", quoted(key))))
}

/// The tenant that is named, or the only one that is an organisation.
pub(super) async fn tenant_or_only(directory: &Directory, named: Option<&str>) -> Result<Tenant, Failure> {
    if let Some(key) = named {
        return tenant_of(directory, key).await;
    }
    let mut tenants = directory.store().tenants().await?;
    tenants.retain(|tenant| tenant.id != TenantId::CONSUMERS);
    match (tenants.pop(), tenants.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(bad("there is no tenant; add one first (tidings tenant add)")),
        _ => Err(bad("there is more than one tenant; name one as \"tenant\", by its id or domain")),
    }
}

/// The user of this id or address.
pub(super) async fn user_of(directory: &Directory, key: &str) -> Result<User, Failure> {
    let found = match key.parse() {
        Ok(id) => directory.store().user(id).await?,
        Err(_) => directory.store().user_by_address(key).await?,
    };
    found.ok_or_else(|| missing(format!("there is no user {}; give an id or an address", quoted(key))))
}

/// The app of this id.
pub(super) async fn app_of(directory: &Directory, key: &str) -> Result<App, Failure> {
    let none = || missing(format!("there is no app {}; give its application (client) id", quoted(key)));
    let id: AppId = key.parse().map_err(|_| none())?;
    directory.store().app(id).await?.ok_or_else(none)
}

/// Changes a user as it is now, and what follows from that for subscriptions.
pub(super) async fn edit_user(
    directory: &Directory,
    key: &str,
    edit: impl Fn(&mut User) -> Result<(), Failure> + Send,
) -> Result<User, Failure> {
    for _ in 0..EDITS_MAX {
        let before = user_of(directory, key).await?;
        let mut after = before.clone();
        edit(&mut after)?;
        let new = after.clone();
        let inner = directory.clone();
        let replace = async move |store: Arc<dyn Store>| -> Result<(), DirectoryError> {
            let replacement = new.clone();
            // Requests see it before subscriptions are looked at.
            inner.change(async move |store| store.replace_user(before, replacement).await).await?;
            Ok(subscribed::settle_user(&*store, &new).await?)
        };
        match directory.change(replace).await {
            Err(DirectoryError::Changed) => {}
            outcome => return Ok(outcome.map(|()| after)?),
        }
    }
    Err(DirectoryError::Changed.into())
}

/// Changes an app as it is now, and what follows from that for subscriptions.
pub(super) async fn edit_app(
    directory: &Directory,
    key: &str,
    edit: impl Fn(&mut App) -> Result<(), Failure> + Send,
) -> Result<App, Failure> {
    for _ in 0..EDITS_MAX {
        let before = app_of(directory, key).await?;
        let mut after = before.clone();
        edit(&mut after)?;
        let (new, now) = (after.clone(), directory.now());
        let inner = directory.clone();
        let replace = async move |store: Arc<dyn Store>| -> Result<(), DirectoryError> {
            let replacement = new.clone();
            inner.change(async move |store| store.replace_app(before, replacement).await).await?;
            Ok(subscribed::settle_app_everywhere(&*store, &new, now).await?)
        };
        match directory.change(replace).await {
            Err(DirectoryError::Changed) => {}
            outcome => return Ok(outcome.map(|()| after)?),
        }
    }
    Err(DirectoryError::Changed.into())
}

/// Removes a user or app that was disabled before. `remove` ends what subscriptions there are first; those that begin
/// in between make it refuse.
pub(super) async fn remove_disabled<F>(
    directory: &Directory,
    remove: impl Fn(Arc<dyn Store>) -> F,
) -> Result<StatusCode, Failure>
where
    F: Future<Output = Result<(), DirectoryError>> + Send + 'static,
{
    let mut tries = 1..=REMOVALS_MAX;
    loop {
        let last = tries.next() == Some(REMOVALS_MAX);
        match directory.change(&remove).await {
            Ok(()) => return Ok(StatusCode::NO_CONTENT),
            Err(DirectoryError::Watched(_) | DirectoryError::Subscribed(_)) if !last => {}
            Err(error) => {
                let Failure { status, error } = error.into();
                return Err(Failure::new(status, format!("{error}; it is disabled now, and stays so: try again")));
            }
        }
    }
}

/// An id that the caller has chosen, or a new one.
pub(super) fn chosen_or_new(id: Option<Uuid>) -> Uuid {
    id.unwrap_or_else(crate::ids::new_uuid)
}

pub(super) fn bad(why: impl ToString) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, why.to_string())
}

fn missing(why: String) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, why)
}

/// The beginning of what was sent.
fn quoted(text: &str) -> String {
    format!("'{}'", text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect::<String>())
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        let status = match error {
            DirectoryError::NoTenant(_) | DirectoryError::NoUser(_) | DirectoryError::NoApp(_) => StatusCode::NOT_FOUND,
            DirectoryError::Store(error) => return error.into(),
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<BadName> for Failure {
    fn from(error: BadName) -> Self {
        bad(error)
    }
}

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        bad(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use graph::UserId;
    use store::StoreError;
    use store::memory::MemoryStore;

    use super::*;
    use crate::clock::Clock;

    /// The outcome of a removal whose tries fail with these, and then succeed; and how many there were.
    async fn removed(failures: Vec<DirectoryError>) -> (Result<StatusCode, (StatusCode, String)>, usize) {
        let directory = Directory::new(Arc::new(MemoryStore::new(Arc::new(|_, _| {}))), Clock::new());
        let tries = AtomicUsize::new(0);
        let outcome = remove_disabled(&directory, |_| {
            let failure = failures.get(tries.fetch_add(1, Ordering::Relaxed)).cloned();
            async move { failure.map_or(Ok(()), Err) }
        });
        let outcome = outcome.await.map_err(|failure| (failure.status, failure.error));
        (outcome, tries.into_inner())
    }

    fn subscribed() -> DirectoryError {
        DirectoryError::Subscribed(AppId(Uuid::nil()))
    }

    #[tokio::test]
    async fn a_removal_that_something_subscribes_against_is_tried_again() {
        let watched = DirectoryError::Watched(UserId(Uuid::nil()));
        assert_eq!(removed(vec![subscribed(), watched]).await, (Ok(StatusCode::NO_CONTENT), 3));
    }

    #[tokio::test]
    async fn a_removal_that_fails_says_that_what_is_left_is_disabled() {
        let says = |why: String| format!("{why}; it is disabled now, and stays so: try again");
        let refused = (StatusCode::CONFLICT, says(subscribed().to_string()));
        assert_eq!(removed(vec![subscribed(); 9]).await, (Err(refused), REMOVALS_MAX));
        let lost = StoreError::Unknown("lost".to_owned());
        let refused = (StatusCode::SERVICE_UNAVAILABLE, says(lost.to_string()));
        assert_eq!(removed(vec![lost.into()]).await, (Err(refused), 1));
    }
}
