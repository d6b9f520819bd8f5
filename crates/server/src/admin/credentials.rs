//! `/admin/apps/{app}/secrets`, `…/certificates`, `…/credentials/{id}`: what apps prove themselves with.

use axum::Json;
use axum::extract::{Path, State};
use graph::Timestamp;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{App, Credential, CredentialKind};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Failure;
use super::request::{Body, bad, edit_app};
use crate::directory::Directory;
use crate::directory::credential::{new_secret, read_certificate};

const CREDENTIALS_MAX: usize = 20;
const SECRET_DAYS_DEFAULT: u16 = 365;
const SECRET_DAYS_MAX: u16 = 3_650;

/// A credential; what it proves the app with is not shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownCredential {
    id: String,
    kind: Kind,
    end_date_time: String,
    /// A secret's first three characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// A certificate's SHA-1 thumbprint, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbprint: Option<String>,
    /// A certificate's SHA-256 thumbprint, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbprint_sha256: Option<String>,
    /// The secret that was asked for. It is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Secret,
    Certificate,
}

impl From<&Credential> for ShownCredential {
    fn from(credential: &Credential) -> Self {
        let (kind, hint, sha1, sha256) = match &credential.kind {
            CredentialKind::Secret { hint, .. } => (Kind::Secret, Some(hint.clone()), None, None),
            CredentialKind::Certificate { sha1, sha256, .. } => {
                (Kind::Certificate, None, Some(sha1.to_uppercase()), Some(sha256.to_uppercase()))
            }
        };
        Self {
            id: credential.id.to_string(),
            kind,
            end_date_time: credential.expires.to_string(),
            hint,
            thumbprint: sha1,
            thumbprint_sha256: sha256,
            secret: None,
        }
    }
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewSecret {
    /// For how many days it is good, 1 to 3650; otherwise 365.
    days: Option<u16>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewCertificate {
    /// PEM, or its DER form in base64, without the private key. Its key is RSA of at least 2048 bits.
    certificate: String,
}

#[utoipa::path(
    post,
    path = "/admin/apps/{app}/secrets",
    params(("app" = String, Path, description = "The application (client) id")),
    request_body = NewSecret,
    responses(
        (status = 201, body = ShownCredential, description = "With the secret, which is not shown again"),
        (status = 400, body = Failure),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn add_secret(
    State(directory): State<Directory>,
    Path(key): Path<String>,
    Body(asked): Body<NewSecret>,
) -> Result<(StatusCode, Json<ShownCredential>), Failure> {
    let (text, credential) = secret(&asked, directory.now())?;
    edit_app(&directory, &key, |app| add(app, &credential)).await?;
    let shown = ShownCredential { secret: Some(text), ..ShownCredential::from(&credential) };
    Ok((StatusCode::CREATED, Json(shown)))
}

#[utoipa::path(
    post,
    path = "/admin/apps/{app}/certificates",
    params(("app" = String, Path, description = "The application (client) id")),
    request_body = NewCertificate,
    responses(
        (status = 201, body = ShownCredential),
        (status = 400, body = Failure),
        (status = 404, body = Failure),
        (status = 409, body = Failure, description = "The app has it already")
    )
)]
pub(super) async fn add_certificate(
    State(directory): State<Directory>,
    Path(key): Path<String>,
    Body(asked): Body<NewCertificate>,
) -> Result<(StatusCode, Json<ShownCredential>), Failure> {
    let credential = read_certificate(&asked.certificate, directory.times().world)?;
    edit_app(&directory, &key, |app| add(app, &credential)).await?;
    Ok((StatusCode::CREATED, Json(ShownCredential::from(&credential))))
}

#[utoipa::path(
    delete,
    path = "/admin/apps/{app}/credentials/{credential}",
    params(
        ("app" = String, Path, description = "The application (client) id"),
        ("credential" = String, Path, description = "The credential's id")
    ),
    responses(
        (status = 204, description = "It proves nothing any more; tokens that it got stay good until they expire"),
        (status = 404, body = Failure)
    )
)]
pub(super) async fn remove(
    State(directory): State<Directory>,
    Path((key, credential)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let none = || Failure::new(StatusCode::NOT_FOUND, "the app has no such credential; its description lists them");
    let id: Uuid = credential.parse().map_err(|_| none())?;
    let removed = edit_app(&directory, &key, |app| {
        let before = app.credentials.len();
        app.credentials.retain(|credential| credential.id != id);
        if app.credentials.len() < before { Ok(()) } else { Err(none()) }
    });
    removed.await.map(|_| StatusCode::NO_CONTENT)
}

/// A new secret, and what is kept of it.
pub(super) fn secret(asked: &NewSecret, now: Timestamp) -> Result<(String, Credential), Failure> {
    let days = asked.days.unwrap_or(SECRET_DAYS_DEFAULT);
    if !(1..=SECRET_DAYS_MAX).contains(&days) {
        return Err(bad(format!("a secret is good for 1 to {SECRET_DAYS_MAX} days, not {days}")));
    }
    Ok(new_secret(now.plus_minutes(i64::from(days) * 24 * 60)))
}

fn add(app: &mut App, new: &Credential) -> Result<(), Failure> {
    let conflict = |why: String| Err(Failure::new(StatusCode::CONFLICT, why));
    let certificate = matches!(new.kind, CredentialKind::Certificate { .. });
    if let Some(same) = app.credentials.iter().find(|known| certificate && known.kind == new.kind) {
        return conflict(format!("the app has this certificate already, as the credential {}", same.id));
    }
    if app.credentials.len() >= CREDENTIALS_MAX {
        return conflict(format!("the app has {CREDENTIALS_MAX} credentials, which is the limit; remove one first"));
    }
    app.credentials.push(new.clone());
    Ok(())
}
