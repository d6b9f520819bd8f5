//! `/admin/apps`: applications that may ask for tokens.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use graph::{AppId, UserId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{App, TokenVersion};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Failure;
use super::credentials::{NewSecret, ShownCredential, secret};
use super::request::{
    Body, Page, Query, app_of, bad, chosen_or_new, edit_app, remove_disabled, tenant_or_only, user_of,
};
use super::users::checked_name;
use crate::directory::{Directory, names, subscribed};

const REDIRECT_URIS_MAX: usize = 256;
const MAILBOXES_MAX: usize = 1_000;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownApp {
    /// The application (client) id.
    app_id: String,
    /// Its home.
    tenant: String,
    display_name: String,
    service_principal_id: String,
    /// Whether it gets tokens.
    enabled: bool,
    redirect_uris: Vec<String>,
    /// Whether it may sign users in without a credential.
    public_client: bool,
    access_token_version: u8,
    mailboxes: Mailboxes,
    credentials: Vec<ShownCredential>,
    /// The secret that was asked for. It is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<App> for ShownApp {
    fn from(app: App) -> Self {
        Self {
            app_id: app.id.to_string(),
            tenant: app.tenant.to_string(),
            display_name: app.display_name,
            service_principal_id: app.service_principal.to_string(),
            enabled: app.enabled,
            redirect_uris: app.redirect_uris,
            public_client: app.public_client,
            access_token_version: match app.access_token_version {
                TokenVersion::V1 => 1,
                TokenVersion::V2 => 2,
            },
            mailboxes: match app.mailboxes {
                None => Mailboxes::All(All::All),
                Some(users) => Mailboxes::Only(users.iter().map(UserId::to_string).collect()),
            },
            credentials: app.credentials.iter().map(ShownCredential::from).collect(),
            secret: None,
        }
    }
}

/// The mailboxes that the app's own permissions reach.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "give \"all\", or a list of users by id or address")]
pub(super) enum Mailboxes {
    All(All),
    /// Users, by id or address.
    Only(Vec<String>),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum All {
    All,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewApp {
    display_name: String,
    /// Its home: id or domain. It may be left out where there is only one organisation.
    tenant: Option<String>,
    /// The application (client) id that it is to have; otherwise a new one.
    #[schema(value_type = Option<String>, format = "uuid")]
    app_id: Option<Uuid>,
    redirect_uris: Option<Vec<String>>,
    public_client: Option<bool>,
    /// 1 or 2; otherwise 1.
    access_token_version: Option<u8>,
    mailboxes: Option<Mailboxes>,
    /// A secret to make at once.
    secret: Option<NewSecret>,
}

/// What to change; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AppPatch {
    display_name: Option<String>,
    enabled: Option<bool>,
    redirect_uris: Option<Vec<String>>,
    public_client: Option<bool>,
    /// 1 or 2.
    access_token_version: Option<u8>,
    mailboxes: Option<Mailboxes>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Id or domain. It may be left out where there is only one organisation.
    tenant: Option<String>,
}

#[utoipa::path(
    post,
    path = "/admin/apps",
    request_body = NewApp,
    responses(
        (status = 201, body = ShownApp),
        (status = 400, body = Failure),
        (status = 404, body = Failure, description = "There is no such tenant"),
        (status = 409, body = Failure, description = "Another app has the id")
    )
)]
pub(super) async fn add(
    State(directory): State<Directory>,
    Body(new): Body<NewApp>,
) -> Result<(StatusCode, Json<ShownApp>), Failure> {
    let home = tenant_or_only(&directory, new.tenant.as_deref()).await?;
    let (id, principal) = (AppId(chosen_or_new(new.app_id)), UserId(chosen_or_new(None)));
    let mut app = App::new(id, home.id, checked_name(&new.display_name)?, principal);
    let patch = AppPatch {
        redirect_uris: new.redirect_uris,
        public_client: new.public_client,
        access_token_version: new.access_token_version,
        mailboxes: new.mailboxes,
        ..AppPatch::default()
    };
    Checked::of(&directory, patch).await?.apply(&mut app);
    let mut told = None;
    if let Some(asked) = &new.secret {
        let (text, credential) = secret(asked, directory.now())?;
        app.credentials.push(credential);
        told = Some(text);
    }
    let added = app.clone();
    directory.change(async move |store| store.add_app(added).await).await?;
    Ok((StatusCode::CREATED, Json(ShownApp { secret: told, ..app.into() })))
}

#[utoipa::path(
    get,
    path = "/admin/apps",
    params(Asked),
    responses((status = 200, body = Page<ShownApp>), (status = 404, body = Failure))
)]
pub(super) async fn list(
    State(directory): State<Directory>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<ShownApp>>, Failure> {
    let tenant = tenant_or_only(&directory, asked.tenant.as_deref()).await?;
    let apps = directory.store().apps(tenant.id).await?;
    Ok(Json(Page::of(apps.into_iter().map(ShownApp::from).collect())))
}

#[utoipa::path(
    get,
    path = "/admin/apps/{app}",
    params(("app" = String, Path, description = "The application (client) id")),
    responses((status = 200, body = ShownApp), (status = 404, body = Failure))
)]
pub(super) async fn get(
    State(directory): State<Directory>,
    Path(key): Path<String>,
) -> Result<Json<ShownApp>, Failure> {
    Ok(Json(app_of(&directory, &key).await?.into()))
}

#[utoipa::path(
    patch,
    path = "/admin/apps/{app}",
    params(("app" = String, Path, description = "The application (client) id")),
    request_body = AppPatch,
    responses((status = 200, body = ShownApp), (status = 400, body = Failure), (status = 404, body = Failure))
)]
pub(super) async fn patch(
    State(directory): State<Directory>,
    Path(key): Path<String>,
    Body(patch): Body<AppPatch>,
) -> Result<Json<ShownApp>, Failure> {
    let checked = Checked::of(&directory, patch).await?;
    let patched = edit_app(&directory, &key, |app| {
        checked.apply(app);
        Ok(())
    });
    Ok(Json(patched.await?.into()))
}

#[utoipa::path(
    delete,
    path = "/admin/apps/{app}",
    params(("app" = String, Path, description = "The application (client) id")),
    responses(
        (status = 204, description = "The app is gone, with what it was granted; its subscriptions have ended"),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn remove(State(directory): State<Directory>, Path(key): Path<String>) -> Result<StatusCode, Failure> {
    // Its subscriptions end, and from here on it begins no other.
    let disable = |app: &mut App| {
        app.enabled = false;
        Ok(())
    };
    let (app, now) = (edit_app(&directory, &key, disable).await?, directory.now());
    remove_disabled(&directory, |store| {
        let app = app.clone();
        async move {
            subscribed::settle_app_everywhere(&*store, &app, now).await?;
            store.remove_app(app.id).await.map(drop)
        }
    })
    .await
}

/// A patch that can be made.
struct Checked {
    patch: AppPatch,
    version: Option<TokenVersion>,
    mailboxes: Option<Option<BTreeSet<UserId>>>,
}

impl Checked {
    async fn of(directory: &Directory, patch: AppPatch) -> Result<Self, Failure> {
        if let Some(name) = &patch.display_name {
            checked_name(name)?;
        }
        if let Some(uris) = &patch.redirect_uris {
            if uris.len() > REDIRECT_URIS_MAX {
                return Err(bad(format!("an app has at most {REDIRECT_URIS_MAX} redirect URIs")));
            }
            for uri in uris {
                names::check_redirect_uri(uri)?;
            }
        }
        let version = match patch.access_token_version {
            None => None,
            Some(1) => Some(TokenVersion::V1),
            Some(2) => Some(TokenVersion::V2),
            Some(other) => return Err(bad(format!("accessTokenVersion is 1 or 2, not {other}"))),
        };
        let mailboxes = match &patch.mailboxes {
            None => None,
            Some(Mailboxes::All(All::All)) => Some(None),
            Some(Mailboxes::Only(users)) => Some(Some(named(directory, users).await?)),
        };
        Ok(Self { patch, version, mailboxes })
    }

    fn apply(&self, app: &mut App) {
        let AppPatch { display_name, enabled, redirect_uris, public_client, .. } = &self.patch;
        if let Some(name) = display_name {
            app.display_name = name.trim().to_owned();
        }
        if let Some(uris) = redirect_uris {
            app.redirect_uris.clone_from(uris);
        }
        if let Some(mailboxes) = &self.mailboxes {
            app.mailboxes.clone_from(mailboxes);
        }
        app.enabled = enabled.unwrap_or(app.enabled);
        app.public_client = public_client.unwrap_or(app.public_client);
        app.access_token_version = self.version.unwrap_or(app.access_token_version);
    }
}

/// Users by id or address.
async fn named(directory: &Directory, users: &[String]) -> Result<BTreeSet<UserId>, Failure> {
    if users.len() > MAILBOXES_MAX {
        return Err(bad(format!("a policy names at most {MAILBOXES_MAX} mailboxes")));
    }
    let mut found = BTreeSet::new();
    for user in users {
        found.insert(user_of(directory, user).await?.id);
    }
    Ok(found)
}
