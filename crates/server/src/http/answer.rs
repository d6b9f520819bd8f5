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

/// What a handler says when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    body: Option<Vec<u8>>,
    content_type: Cow<'static, str>,
    location: Option<String>,
}

impl Answer {
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        // Values of ours always have a JSON form.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { status, body: Some(body), content_type: CONTENT_TYPE.into(), location: None }
    }

    pub fn empty(status: StatusCode) -> Self {
        Self { status, body: None, content_type: CONTENT_TYPE.into(), location: None }
    }

    /// Bytes that are no JSON: the `$value` of something.
    pub fn bytes(content_type: impl Into<Cow<'static, str>>, body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, body: Some(body), content_type: content_type.into(), location: None }
    }

    pub fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }
}

/// The HTTP response to a request, whatever became of it.
pub fn response(context: &Context, outcome: Result<Answer, ApiError>) -> Response {
    let mut retry_after = None;
    let mut challenge = false;
    let answer = outcome.unwrap_or_else(|error| {
        retry_after = error.retry_after();
        challenge = matches!(error, ApiError::Token(_));
        let (status, body) = error.render(context);
        Answer { status, body: Some(body), content_type: CONTENT_TYPE.into(), location: None }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    set(HeaderName::from_static("request-id"), context.request_id.to_string());
    set(HeaderName::from_static("client-request-id"), context.client_request_id.clone());
    set(HeaderName::from_static("odata-version"), "4.0".to_owned());
    set(header::CACHE_CONTROL, "no-cache".to_owned());
    if answer.body.is_some() {
        set(header::CONTENT_TYPE, answer.content_type.into_owned());
    }
    if let Some(location) = answer.location {
        set(header::LOCATION, location);
    }
    if let Some(seconds) = retry_after {
        set(header::RETRY_AFTER, seconds.to_string());
    }
    if challenge {
        set(header::WWW_AUTHENTICATE, "Bearer realm=\"\"".to_owned());
    }
    if let Some(body) = answer.body {
        *response.body_mut() = Body::from(body);
    }
    response
}
