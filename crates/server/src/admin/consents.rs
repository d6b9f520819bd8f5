//! `/admin/consents`: what apps were granted. To revoke something is an operation of its own, and leaves a
//! trace with its time.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{Consent, DirectoryError, Grant, Grantee, Store};
use utoipa::{IntoParams, ToSchema};

use super::Failure;
use super::request::{Body, Page, Query, app_of, bad, tenant_of, user_of};
use crate::directory::{Directory, names, subscribed};

const PERMISSIONS_MAX: usize = 100;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownConsent {
    tenant: String,
    app_id: String,
    grantee: ShownGrantee,
    permission: String,
    granted_date_time: String,
    /// It does not stand since then.
    revoked_date_time: Option<String>,
}

impl From<Consent> for ShownConsent {
    fn from(consent: Consent) -> Self {
        Self {
            tenant: consent.tenant.to_string(),
            app_id: consent.app.to_string(),
            grantee: match consent.grantee {
                Grantee::App => ShownGrantee::App,
                Grantee::AllUsers => ShownGrantee::AllUsers,
                Grantee::User(id) => ShownGrantee::User(id.to_string()),
            },
            permission: consent.permission,
            granted_date_time: consent.granted.to_string(),
            revoked_date_time: consent.revoked.map(|revoked| revoked.to_string()),
        }
    }
}

/// Whom a permission is granted for: the app itself (an application permission), the app when it acts for
/// any user of the tenant, or for one user (delegated permissions).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum ShownGrantee {
    App,
    AllUsers,
    /// By id or address.
    User(String),
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Permissions {
    app_id: String,
    /// Id or domain; otherwise the app's home.
    tenant: Option<String>,
    grantee: ShownGrantee,
    /// By Graph's names: `Mail.Read`.
    permissions: BTreeSet<String>,
}

/// The permissions that are otherwise than before.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    permissions: BTreeSet<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub(super) struct Asked {
    app_id: String,
    /// Id or domain; otherwise the app's home.
    tenant: Option<String>,
}

#[utoipa::path(
    get,
    path = "/admin/consents",
    params(Asked),
    responses(
        (status = 200, body = Page<ShownConsent>, description = "Those that were revoked, too"),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn list(
    State(directory): State<Directory>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<ShownConsent>>, Failure> {
    let app = app_of(&directory, &asked.app_id).await?;
    let tenant = match asked.tenant {
        Some(key) => tenant_of(&directory, &key).await?.id,
        None => app.tenant,
    };
    let consents = directory.store().consents(tenant, app.id).await?;
    Ok(Json(Page::of(consents.into_iter().map(ShownConsent::from).collect())))
}

#[utoipa::path(
    post,
    path = "/admin/consents/grant",
    request_body = Permissions,
    responses(
        (status = 200, body = Changed, description = "Those that did not stand before"),
        (status = 400, body = Failure),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn grant(
    State(directory): State<Directory>,
    Body(asked): Body<Permissions>,
) -> Result<Json<Changed>, Failure> {
    asked.permissions.iter().try_for_each(|permission| names::check_new_permission(permission))?;
    let (grant, now) = (read(&directory, asked).await?, directory.now());
    let permissions = directory.change(async move |store| store.grant(grant, now).await).await?;
    Ok(Json(Changed { permissions }))
}

#[utoipa::path(
    post,
    path = "/admin/consents/revoke",
    request_body = Permissions,
    responses(
        (status = 200, body = Changed, description = "Those that stood before. The app is asked to reauthorize the \
                                                       subscriptions that it may not hear of any more"),
        (status = 400, body = Failure),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn revoke(
    State(directory): State<Directory>,
    Body(asked): Body<Permissions>,
) -> Result<Json<Changed>, Failure> {
    let app = app_of(&directory, &asked.app_id).await?;
    let (grant, now) = (read(&directory, asked).await?, directory.now());
    let inner = directory.clone();
    let revoke = async move |store: Arc<dyn Store>| -> Result<_, DirectoryError> {
        let tenant = grant.tenant;
        // Requests see it before subscriptions are looked at.
        let permissions = inner.change(async move |store| store.revoke(grant, now).await).await?;
        subscribed::settle_app(&*store, &app, tenant, now).await?;
        Ok(permissions)
    };
    let permissions = directory.change(revoke).await?;
    Ok(Json(Changed { permissions }))
}

async fn read(directory: &Directory, asked: Permissions) -> Result<Grant, Failure> {
    let Permissions { app_id, tenant, grantee, permissions } = asked;
    if !(1..=PERMISSIONS_MAX).contains(&permissions.len()) {
        return Err(bad(format!("name 1 to {PERMISSIONS_MAX} permissions")));
    }
    for permission in &permissions {
        names::check_permission(permission)?;
    }
    let app = app_of(directory, &app_id).await?;
    let tenant = match tenant {
        Some(key) => tenant_of(directory, &key).await?.id,
        None => app.tenant,
    };
    let grantee = match grantee {
        ShownGrantee::App => Grantee::App,
        ShownGrantee::AllUsers => Grantee::AllUsers,
        ShownGrantee::User(key) => {
            let user = user_of(directory, &key).await?;
            if user.tenant != tenant {
                return Err(bad(format!("{} is of another tenant; name that one as \"tenant\"", user.upn)));
            }
            Grantee::User(user.id)
        }
    };
    Ok(Grant { tenant, app: app.id, grantee, permissions })
}
