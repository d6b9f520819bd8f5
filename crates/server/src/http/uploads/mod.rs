//! Large attachments on their way in. Whoever has the URL of an upload may send to it: the secret in the
//! URL stands for an access token, and only what follows from the secret is stored.

mod append;
mod cancel;
mod range;
mod status;

use std::sync::Arc;

use axum::body::Body;
use graph::{Timestamp, UserId};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use store::Upload;
use uuid::Uuid;

use super::answer::Answer;
use super::context::Context;
use super::error::ApiError;
use crate::app::AppState;

const PREFIX: &str = "/uploads/";

/// How long an upload waits for its next part.
const WAIT_MINUTES: i64 = 24 * 60;

/// Namespace of the ids that follow from secrets; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x7d3a_91c4_0b6e_4f52_a8d1_35c7_e9f0_2b64);

pub fn is_upload_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// The id under which the upload of a secret is stored.
pub fn id_of(secret: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, secret.as_bytes())
}

/// The secret is in the query, which no log shows.
pub fn url(origin: &str, mailbox: UserId, secret: &str) -> String {
    format!("{origin}{PREFIX}{mailbox}?authtoken={secret}")
}

pub fn expiry(now: Timestamp) -> Timestamp {
    now.plus_minutes(WAIT_MINUTES)
}

/// What an upload still waits for.
pub fn session(upload: &Upload) -> Value {
    let expected: Vec<String> = match upload.received < upload.size {
        true => vec![format!("{}-", upload.received)],
        false => Vec::new(),
    };
    json!({ "expirationDateTime": upload.expires, "nextExpectedRanges": expected })
}

/// Answers a request to the URL of an upload. Its body is read only if there is such an upload.
pub async fn handle(
    state: &Arc<AppState>,
    context: &Context,
    parts: &Parts,
    path: &str,
    body: Body,
) -> Result<Answer, ApiError> {
    let (mailbox, id) = named(path, parts.uri.query().unwrap_or_default()).ok_or(ApiError::UploadNotFound)?;
    let upload = state.store.upload(mailbox, id, context.now).await?.ok_or(ApiError::UploadNotFound)?;
    match parts.method.as_str() {
        "PUT" => append::append(state, context, parts, upload, body).await,
        "GET" => Ok(status::status(&upload)),
        "DELETE" => cancel::cancel(state, &upload).await,
        _ => Err(ApiError::Method),
    }
}

fn named(path: &str, query: &str) -> Option<(UserId, Uuid)> {
    let mailbox = path.strip_prefix(PREFIX)?.trim_end_matches('/').parse().ok()?;
    let secret = query.split('&').find_map(|option| option.strip_prefix("authtoken="))?;
    let secret = percent_decode_str(secret).decode_utf8().ok()?;
    Some((mailbox, id_of(&secret)))
}
