//! `POST /{tenant}/oauth2/v2.0/token`: access tokens by the client-credentials grant. The tenant segment
//! may be anything and the query is passed over, as are form fields that mean nothing here. The client
//! proves itself by `client_secret` in the form or by HTTP Basic.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graph::{AppId, Timestamp};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use store::{App, Credential, CredentialKind};
use subtle::ConstantTimeEq as _;

use super::Grant;
use crate::app::AppState;
use crate::directory::sha256_hex;
use crate::http::error::ApiError;
use crate::ids;

/// How long a token lives, in seconds: what Microsoft's endpoint answers by default.
const LIFE_SECONDS: i64 = 3_599;

/// A token request is a short form.
pub const BODY_BYTES_MAX: usize = 32 << 10;

/// A refusal in the words of RFC 6749 and of Microsoft's endpoint.
struct Refused {
    status: StatusCode,
    error: &'static str,
    code: u32,
    description: String,
}

/// Whether the path is a tenant's token endpoint, in any case.
pub fn is_token_path(path: &str) -> bool {
    let segments: Vec<String> = path.trim_matches('/').split('/').map(str::to_ascii_lowercase).collect();
    matches!(segments.as_slice(), [_, oauth2, version, token] if oauth2 == "oauth2" && version == "v2.0" && token == "token")
}

/// Answers a token request whose body was read, or not.
pub async fn answer(state: &AppState, parts: &Parts, body: Result<Bytes, ApiError>, now: Timestamp) -> Response {
    let outcome = match body {
        Ok(body) => grant(state, parts, &body, now).await,
        Err(_) => Err(refused("invalid_request", 900144, "The request body cannot be read.")),
    };
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(refused) => (refused.status, refused.body(now)),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
    response
}

async fn grant(state: &AppState, parts: &Parts, body: &Bytes, now: Timestamp) -> Result<Value, Refused> {
    if parts.method != Method::POST {
        let description = "The endpoint only accepts POST requests.";
        return Err(Refused {
            status: StatusCode::METHOD_NOT_ALLOWED,
            ..refused("invalid_request", 900561, description)
        });
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        None => {
            let description = "The request body must contain the following parameter: 'grant_type'.";
            return Err(refused("invalid_request", 900144, description));
        }
        Some(_) => {
            let description = "The grant type is not supported by this server; use client_credentials.";
            return Err(refused("unsupported_grant_type", 70003, description));
        }
    }
    let app = client(state, parts, &form, now).await?;
    let unavailable = |_| Refused {
        status: StatusCode::SERVICE_UNAVAILABLE,
        ..refused("temporarily_unavailable", 90033, "The service is temporarily unavailable.")
    };
    let token = state.tokens.issue(&app, Grant::Application, now, LIFE_SECONDS).map_err(unavailable)?;
    Ok(json!({
        "token_type": "Bearer",
        "expires_in": LIFE_SECONDS,
        "ext_expires_in": LIFE_SECONDS,
        "access_token": token,
    }))
}

/// The app that the request proves to come from.
async fn client(
    state: &AppState,
    parts: &Parts,
    form: &HashMap<String, String>,
    now: Timestamp,
) -> Result<Arc<App>, Refused> {
    let basic = basic(parts);
    let (id, secret) = match (&basic, form.get("client_id"), form.get("client_secret")) {
        (Some((id, secret)), _, _) => (id, Some(secret)),
        (None, Some(id), secret) => (id, secret),
        (None, None, _) => {
            let description = "The request body must contain the following parameter: 'client_id'.";
            return Err(refused("invalid_request", 900144, description));
        }
    };
    let Some(secret) = secret else {
        let description =
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(unauthorized(7000218, description.to_owned()));
    };
    let short: String = id.chars().take(64).collect();
    let unknown = || Refused {
        status: StatusCode::BAD_REQUEST,
        ..refused("unauthorized_client", 700016, &format!("Application with identifier '{short}' was not found."))
    };
    let id: AppId = id.parse().map_err(|_| unknown())?;
    let found = state.directory.app(id).await.map_err(|_| Refused {
        status: StatusCode::SERVICE_UNAVAILABLE,
        ..refused("temporarily_unavailable", 90033, "The service is temporarily unavailable.")
    })?;
    let app = found.ok_or_else(unknown)?;
    if app.enabled && has_secret(&app, secret, now) {
        return Ok(app);
    }
    let description = format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{short}'."
    );
    Err(unauthorized(7000215, description))
}

fn has_secret(app: &App, secret: &str, now: Timestamp) -> bool {
    let given = sha256_hex(secret);
    let same = |credential: &Credential| match &credential.kind {
        CredentialKind::Secret { sha256, .. } => bool::from(given.as_bytes().ct_eq(sha256.as_bytes())),
        CredentialKind::Certificate { .. } => false,
    };
    app.credentials.iter().any(|credential| credential.expires > now && same(credential))
}

fn basic(parts: &Parts) -> Option<(String, String)> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((plain(id), plain(secret)))
}

fn refused(error: &'static str, code: u32, description: &str) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, error, code, description: description.to_owned() }
}

fn unauthorized(code: u32, description: String) -> Refused {
    Refused { status: StatusCode::UNAUTHORIZED, error: "invalid_client", code, description }
}

impl Refused {
    fn body(&self, now: Timestamp) -> Value {
        let trace = ids::new_uuid();
        let date = now.whole_seconds().to_string().replace('T', " ");
        json!({
            "error": self.error,
            "error_description": format!("AADSTS{}: {} Trace ID: {trace} Timestamp: {date}", self.code, self.description),
            "error_codes": [self.code],
            "timestamp": date,
            "trace_id": trace,
            "correlation_id": trace,
        })
    }
}
