//! Lets a request in, if its caller may do all that it needs. The rule is `notify::access`'s, the needs of
//! each route too; this asks it, before any operation looks at anything.

use graph::{Kind, UserId, basic};
use http::Method;
use notify::access::{self, Actor, Level, Need, Principal};

use super::{Asked, Head, find_user};
use crate::app::AppState;
use crate::http::error::ApiError;

pub(super) async fn admit(state: &AppState, asked: &Asked<'_>, head: &Head<'_>) -> Result<(), ApiError> {
    let reads = [Method::GET, Method::HEAD].contains(asked.method);
    let needs = access::needs(reads, &head.resource, basic::suffices(head.query.options()));
    let mailbox = match head.resource.user() {
        Some(key) => find_user(state, &head.principal, key).await?.map(|user| user.id),
        None => None,
    };
    check(state, &head.principal, &needs, mailbox).await
}

/// The verdict on one caller. `mailbox` is the user that it asks of, if there is one.
pub(super) async fn check(
    state: &AppState,
    principal: &Principal,
    needs: &[Need],
    mailbox: Option<UserId>,
) -> Result<(), ApiError> {
    let app = match principal.actor {
        Actor::App(_) => state.directory.app(principal.app).await?,
        Actor::User(_) => None,
    };
    let narrowed = app.as_ref().and_then(|app| app.mailboxes.as_ref());
    access::check(principal, needs, mailbox, narrowed).map_err(ApiError::Denied)
}

/// The kinds of items of which the caller sees basic properties only.
pub(super) fn basic_kinds(principal: &Principal) -> Vec<Kind> {
    Kind::ALL.into_iter().filter(|kind| !principal.suffices(Need::Items(*kind, Level::Read), false)).collect()
}
