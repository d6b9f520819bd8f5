//! Successful answers, with the headers that Graph's carry.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::context::Context;
use super::error::ApiError;

/// The content type of every JSON answer.
pub const CONTENT_TYPE: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

/// Which machine answered: clients log it, and some read it as JSON.
const DIAGNOSTIC: &str =
    r#"{"ServerInfo":{"DataCenter":"Local","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"Tidings"}}"#;

/// As many as an answer has at the most.
const HEADERS: usize = 12;

/// What a handler says when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    body: Option<Vec<u8>>,
    content_type: Cow<'static, str>,
    location: Option<String>,
    /// Which of the caller's preferences were followed.
    applied: Option<String>,
}

impl Answer {
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self { body: Some(graph::to_json(body).unwrap_or_default()), ..Self::empty(status) }
    }

    /// JSON that is written already.
    pub fn written(status: StatusCode, json: Vec<u8>) -> Self {
        Self { body: Some(json), ..Self::empty(status) }
    }

    pub fn empty(status: StatusCode) -> Self {
        Self { status, body: None, content_type: CONTENT_TYPE.into(), location: None, applied: None }
    }

    /// Bytes that are no JSON: the `$value` of something.
    pub fn bytes(content_type: impl Into<Cow<'static, str>>, body: Vec<u8>) -> Self {
        Self { body: Some(body), content_type: content_type.into(), ..Self::empty(StatusCode::OK) }
    }

    pub fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    /// Says that a preference was followed, as `Preference-Applied` has it.
    pub fn applied(mut self, preference: &str) -> Self {
        self.applied = Some(match self.applied {
            Some(others) => format!("{others}, {preference}"),
            None => preference.to_owned(),
        });
        self
    }
}

/// The HTTP response to a request, whatever became of it.
pub fn response(context: &Context, outcome: Result<Answer, ApiError>) -> Response {
    let mut retry_after = None;
    let mut challenge = None;
    let answer = outcome.unwrap_or_else(|error| {
        retry_after = error.retry_after();
        challenge = error.challenge(context);
        let (status, body) = error.render(context);
        Answer { body: Some(body), location: error.location(), ..Answer::empty(status) }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert("odata-version", HeaderValue::from_static("4.0"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-ms-ags-diagnostic", HeaderValue::from_static(DIAGNOSTIC));
    if context.is_secure() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if answer.body.is_some() {
        let content_type = match answer.content_type {
            Cow::Borrowed(known) => Ok(HeaderValue::from_static(known)),
            Cow::Owned(other) => HeaderValue::try_from(other),
        };
        if let Ok(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
    }
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    set(HeaderName::from_static("request-id"), context.request_id.to_string());
    set(HeaderName::from_static("client-request-id"), context.client_request_id.clone());
    if let Some(location) = answer.location {
        set(header::LOCATION, location);
    }
    if let Some(applied) = answer.applied {
        set(HeaderName::from_static("preference-applied"), applied);
    }
    if let Some(seconds) = retry_after {
        set(header::RETRY_AFTER, seconds.to_string());
    }
    if let Some(challenge) = challenge {
        set(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(body) = answer.body {
        *response.body_mut() = Body::from(body);
    }
    response
}
