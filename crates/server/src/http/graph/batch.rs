//! `POST /$batch`: up to twenty requests in one; 200 with an answer for each, in the order of the requests.
//! Each is answered as if it had come by itself, with the batch's token unless it brings its own; four at
//! a time go to one mailbox. Refused as a whole: what `graph::batch` cannot read. Refused one by one: URLs
//! that are not relative, batches in batches, and with 424 what depends on a request that failed.

use std::sync::Arc;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graph::batch::{self, BatchError, BatchRequest, Schedule, Turn};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::{Asked, Head, head, mailbox_of, serve};
use crate::app::AppState;
use crate::clock::Times;
use crate::http::answer::{self, Answer};
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::{http as api, ids};

/// The longest batch of answers, in bytes of their bodies. What goes beyond is to be asked for alone.
const ANSWERS_BYTES_MAX: usize = 64 << 20;

/// A request of the batch, ready to be answered.
struct Member {
    method: Method,
    /// Whether the URL names a server, which it must not.
    absolute: bool,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    context: Context,
}

pub(super) async fn batch(
    state: &Arc<AppState>,
    context: &Context,
    asked: &Asked<'_>,
    outer: &Head<'_>,
    body: &Bytes,
) -> Result<Answer, ApiError> {
    outer.query.allow(&[])?;
    let body = serde_json::from_slice(body).map_err(|_| ApiError::Json)?;
    let requests = batch::read(body).map_err(ApiError::Batch)?;
    let mut members = Vec::with_capacity(requests.len());
    for request in &requests {
        members.push(Arc::new(member(context, asked, outer, request)?));
    }
    let mut mailboxes = Vec::with_capacity(members.len());
    for member in &members {
        let head = head(state, &member.context, &member.asked()).await;
        mailboxes.push(match &head {
            Ok(head) => mailbox_of(state, head).await,
            Err(_) => None,
        });
    }
    let answers = run(state, context, &members, Schedule::new(&requests, mailboxes)).await;
    Ok(Answer::json(StatusCode::OK, &json!({"responses": shown(context, &requests, answers).await})))
}

/// Answers all of them, each as soon as its turn has come.
async fn run(
    state: &Arc<AppState>,
    context: &Context,
    members: &[Arc<Member>],
    mut schedule: Schedule<'_>,
) -> Vec<Option<Response>> {
    let mut answers: Vec<Option<Response>> = members.iter().map(|_| None).collect();
    let mut running = JoinSet::new();
    loop {
        while let Some(turn) = schedule.next_turn() {
            match turn {
                Turn::Fail(place) => answers[place] = Some(answer::response(context, Err(ApiError::FailedDependency))),
                Turn::Run(place) => {
                    let (state, member) = (state.clone(), members[place].clone());
                    running.spawn(async move { (place, member.answer(&state).await) });
                }
            }
        }
        match running.join_next().await {
            None => return answers,
            Some(Ok((place, response))) => {
                schedule.ended(place, response.status().as_u16() < 400);
                answers[place] = Some(response);
            }
            // A defect ended that task; its request stays without an answer of its own.
            Some(Err(error)) => tracing::error!(%error, "a request of a batch ended badly"),
        }
    }
}

fn member(context: &Context, asked: &Asked<'_>, outer: &Head<'_>, request: &BatchRequest) -> Result<Member, ApiError> {
    let malformed = || ApiError::Batch(BatchError::Malformed);
    let mut headers = HeaderMap::new();
    if let Some(authorization) = asked.headers.get(header::AUTHORIZATION) {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(name).map_err(|_| malformed())?;
        headers.insert(name, HeaderValue::try_from(value).map_err(|_| malformed())?);
    }
    let url = request.url.split('#').next().unwrap_or_default();
    let url = below(&context.origin, url);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let own = headers.get("client-request-id").and_then(|id| id.to_str().ok());
    let client_request_id = own.unwrap_or(&context.client_request_id).to_owned();
    Ok(Member {
        method: Method::try_from(request.method.as_str()).map_err(|_| malformed())?,
        absolute: path.split('/').next().is_some_and(|first| first.ends_with(':')),
        path: full_path(path, outer.version),
        query: query.to_owned(),
        headers,
        body: request.body.clone().unwrap_or_default().into(),
        context: Context { request_id: ids::new_uuid(), client_request_id, ..context.clone() },
    })
}

/// The Python SDK sends URLs with the origin that it calls: they count as relative to it.
fn below<'a>(origin: &str, url: &'a str) -> &'a str {
    match url.get(..origin.len()) {
        Some(begin) if begin.eq_ignore_ascii_case(origin) && url[origin.len()..].starts_with('/') => {
            &url[origin.len()..]
        }
        _ => url,
    }
}

/// The path with a version, which is the batch's unless it has its own.
fn full_path(path: &str, version: &str) -> String {
    let path = api::collapse(path);
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let has_version = ["v1.0", "beta"].iter().any(|version| version.eq_ignore_ascii_case(first));
    if has_version { path.into_owned() } else { format!("/{version}/{}", path.trim_start_matches('/')) }
}

impl Member {
    fn asked(&self) -> Asked<'_> {
        Asked { method: &self.method, path: &self.path, query: &self.query, headers: &self.headers }
    }

    async fn answer(&self, state: &AppState) -> Response {
        let Times { here: now, world } = state.clock.times();
        let context = Context { now, world, ..self.context.clone() };
        let outcome = self.outcome(state, &context).await;
        if let Err(error) = &outcome {
            api::log_refusal(&context, &self.method, &self.path, error);
        }
        answer::response(&context, outcome)
    }

    async fn outcome(&self, state: &AppState, context: &Context) -> Result<Answer, ApiError> {
        if self.absolute {
            return Err(ApiError::AbsoluteUrl);
        }
        let asked = self.asked();
        let head = head(state, context, &asked).await?;
        serve(state, context, &asked, head, self.body.clone()).await
    }
}

/// The answers as the batch carries them.
async fn shown(context: &Context, requests: &[BatchRequest], answers: Vec<Option<Response>>) -> Vec<Value> {
    let mut shown = Vec::with_capacity(requests.len());
    let mut room = ANSWERS_BYTES_MAX;
    for (request, response) in requests.iter().zip(answers) {
        let response = response.unwrap_or_else(|| answer::response(context, Err(ApiError::Unanswered)));
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let (parts, body) = match room.checked_sub(body.len()) {
            Some(left) => {
                room = left;
                (parts, body)
            }
            None => {
                let (parts, body) = answer::response(context, Err(ApiError::TooLargeForBatch)).into_parts();
                (parts, body.collect().await.map(|body| body.to_bytes()).unwrap_or_default())
            }
        };
        let status = parts.status.as_u16();
        let body = body_value(&parts.headers, &body);
        shown.push(json!({"id": request.id, "status": status, "headers": headers(&parts.headers), "body": body}));
    }
    shown
}

/// JSON as it is, nothing as `null`, everything else as base64.
fn body_value(headers: &HeaderMap, body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let json = content_type.filter(|content_type| batch::is_json(content_type));
    match json.and_then(|_| serde_json::from_slice(body).ok()) {
        Some(value) => value,
        None => STANDARD.encode(body).into(),
    }
}

/// Header names as HTTP writes them: programs look for `Retry-After` and `Location` by their letters.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let connection = [header::STRICT_TRANSPORT_SECURITY];
    let own = headers.iter().filter(|(name, _)| !connection.contains(name));
    own.filter_map(|(name, value)| Some((written(name.as_str()), value.to_str().ok()?.into()))).collect()
}

fn written(name: &str) -> String {
    if name == "odata-version" {
        return "OData-Version".to_owned();
    }
    if name.ends_with("request-id") || name.starts_with("x-ms-") {
        return name.to_owned();
    }
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_the_same_origin_counts_as_relative() {
        for (url, rest) in [
            ("https://Localhost:8443/v1.0/me", "/v1.0/me"),
            ("https://localhost:84433/v1.0/me", "https://localhost:84433/v1.0/me"),
            ("https://localhost:8443", "https://localhost:8443"),
            ("/me", "/me"),
        ] {
            assert_eq!(below("https://localhost:8443", url), rest);
        }
    }

    #[test]
    fn a_relative_url_gets_the_version_of_the_batch() {
        for (url, path) in [
            ("/me/messages", "/beta/me/messages"),
            ("me/messages", "/beta/me/messages"),
            ("//me", "/beta/me"),
            ("/V1.0//me", "/V1.0/me"),
            ("beta/me", "beta/me"),
        ] {
            assert_eq!(full_path(url, "beta"), path, "{url}");
        }
    }

    #[test]
    fn header_names_are_written_as_http_does() {
        for (name, shown) in [
            ("content-type", "Content-Type"),
            ("retry-after", "Retry-After"),
            ("odata-version", "OData-Version"),
            ("client-request-id", "client-request-id"),
        ] {
            assert_eq!(written(name), shown);
        }
    }
}
