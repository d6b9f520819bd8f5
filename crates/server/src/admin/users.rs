//! `/admin/users`: people with mailboxes.

use axum::Json;
use axum::extract::{Path, State};
use graph::UserId;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::User;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Failure;
use super::request::{
    Body, LISTED_MAX, Page, Query, bad, chosen_or_new, edit_user, remove_disabled, tenant_of, tenant_or_only, user_of,
};
use crate::directory::{Directory, names, subscribed};

const DISPLAY_NAME_CHARS_MAX: usize = 256;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownUser {
    id: String,
    tenant: String,
    /// Also the mail address.
    user_principal_name: String,
    display_name: String,
    /// Whether apps may act for the user. Mail arrives all the same.
    account_enabled: bool,
    /// What apps were given for the user before then counts no more.
    sign_in_sessions_valid_from_date_time: String,
}

impl From<User> for ShownUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            tenant: user.tenant.to_string(),
            user_principal_name: user.upn,
            display_name: user.display_name,
            account_enabled: user.enabled,
            sign_in_sessions_valid_from_date_time: user.sessions_valid_from.to_string(),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewUser {
    /// The address; its domain says of which tenant the user is.
    user_principal_name: String,
    /// Otherwise what stands before the `@`.
    display_name: Option<String>,
    /// The id that the user is to have; otherwise a new one.
    #[schema(value_type = Option<String>, format = "uuid")]
    id: Option<Uuid>,
}

/// What to change; what is left out stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserPatch {
    display_name: Option<String>,
    account_enabled: Option<bool>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Id or domain. It may be left out where there is only one organisation.
    tenant: Option<String>,
    /// Begin behind this address.
    after: Option<String>,
}

#[utoipa::path(
    post,
    path = "/admin/users",
    request_body = NewUser,
    responses(
        (status = 201, body = ShownUser, description = "The user has an empty mailbox"),
        (status = 400, body = Failure),
        (status = 404, body = Failure, description = "No tenant has the domain"),
        (status = 409, body = Failure, description = "Somebody has the address or the id")
    )
)]
pub(super) async fn add(
    State(directory): State<Directory>,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<ShownUser>), Failure> {
    let domain = names::domain_of_address(&new.user_principal_name)?;
    let tenant = tenant_of(&directory, &domain).await?;
    let local_part = new.user_principal_name.split('@').next().unwrap_or_default();
    let display_name = checked_name(new.display_name.as_deref().unwrap_or(local_part))?;
    let user = User::new(UserId(chosen_or_new(new.id)), tenant.id, &*new.user_principal_name, display_name);
    let added = user.clone();
    directory.change(async move |store| store.add_user(added).await).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

#[utoipa::path(
    get,
    path = "/admin/users",
    params(Asked),
    responses((status = 200, body = Page<ShownUser>, description = "By address"), (status = 404, body = Failure))
)]
pub(super) async fn list(
    State(directory): State<Directory>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<ShownUser>>, Failure> {
    let tenant = tenant_or_only(&directory, asked.tenant.as_deref()).await?;
    let after = asked.after.map(|after| after.to_lowercase());
    let users = directory.store().users(tenant.id).await?.into_iter();
    let asked = users.filter(|user| after.as_ref().is_none_or(|after| user.upn.to_lowercase() > *after));
    Ok(Json(Page::of(asked.take(LISTED_MAX + 1).map(ShownUser::from).collect())))
}

#[utoipa::path(
    get,
    path = "/admin/users/{user}",
    params(("user" = String, Path, description = "Id or address")),
    responses((status = 200, body = ShownUser), (status = 404, body = Failure))
)]
pub(super) async fn get(
    State(directory): State<Directory>,
    Path(key): Path<String>,
) -> Result<Json<ShownUser>, Failure> {
    Ok(Json(user_of(&directory, &key).await?.into()))
}

#[utoipa::path(
    patch,
    path = "/admin/users/{user}",
    params(("user" = String, Path, description = "Id or address")),
    request_body = UserPatch,
    responses((status = 200, body = ShownUser), (status = 400, body = Failure), (status = 404, body = Failure))
)]
pub(super) async fn patch(
    State(directory): State<Directory>,
    Path(key): Path<String>,
    Body(patch): Body<UserPatch>,
) -> Result<Json<ShownUser>, Failure> {
    let patched = edit_user(&directory, &key, |user| {
        if let Some(name) = &patch.display_name {
            user.display_name = checked_name(name)?;
        }
        user.enabled = patch.account_enabled.unwrap_or(user.enabled);
        Ok(())
    });
    Ok(Json(patched.await?.into()))
}

#[utoipa::path(
    post,
    path = "/admin/users/{user}/reset-password",
    params(("user" = String, Path, description = "Id or address")),
    responses(
        (status = 200, body = ShownUser, description = "Nobody here has a password: every session of the user has \
                                                         ended, and apps must have the user sign in again"),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn reset_password(
    State(directory): State<Directory>,
    Path(key): Path<String>,
) -> Result<Json<ShownUser>, Failure> {
    let now = directory.now();
    let reset = edit_user(&directory, &key, |user| {
        user.sessions_valid_from = user.sessions_valid_from.max(now);
        Ok(())
    });
    Ok(Json(reset.await?.into()))
}

#[utoipa::path(
    delete,
    path = "/admin/users/{user}",
    params(("user" = String, Path, description = "Id or address")),
    responses(
        (status = 204, description = "The user is gone, and everything in the mailbox; its subscriptions have ended"),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn remove(State(directory): State<Directory>, Path(key): Path<String>) -> Result<StatusCode, Failure> {
    let user = user_of(&directory, &key).await?;
    let id = user.id.to_string();
    directory.change(async move |store| subscribed::end_of_user(&*store, &user).await).await?;
    // From here on nothing begins for the user; an app's own subscription to the mailbox still may.
    let disable = |user: &mut User| {
        user.enabled = false;
        Ok(())
    };
    let user = edit_user(&directory, &id, disable).await?;
    remove_disabled(&directory, |store| {
        let user = user.clone();
        async move {
            subscribed::end_of_user(&*store, &user).await?;
            store.remove_user(user.id).await.map(drop)
        }
    })
    .await
}

pub(super) fn checked_name(name: &str) -> Result<String, Failure> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > DISPLAY_NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(bad("a display name has 1 to 256 characters, none of them a control character"));
    }
    Ok(name.to_owned())
}
