//! Extractors for axum at a URL to which Event Grid pushes CloudEvents: the handshake that asks whether events may come,
//! and the events of a request, in each of HTTP's three modes.
//!
//! ```
//! use axum::{Router, http::StatusCode, routing::post};
//! use tidings_receiver::cloud_events::{Allowed, Events, Handshake};
//!
//! async fn hook(Events(events): Events) -> StatusCode {
//!     for event in &events {
//!         println!("{} {}", event.kind, event.subject.as_deref().unwrap_or_default()); // keep it somewhere safe
//!     }
//!     StatusCode::OK
//! }
//!
//! async fn handshake(asked: Handshake) -> Allowed {
//!     asked.allow_if(|origin| origin == "eventgrid.azure.net")
//! }
//!
//! let app: Router = Router::new().route("/events", post(hook).options(handshake));
//! ```
//!
//! **Answer** with 200, 201, 202 or 204 within 30 seconds, once you have the events somewhere safe: then they are done. 400, 401, 403
//! and 413 are *final*: the events never come again, and are dead letters at best. With any other status, such as 503, they
//! come again, for a day unless the event subscription says otherwise. So answer with 503 what you cannot take now, and with
//! 400 only what you could never take. What [`Events`] itself refuses keeps to that ([`Refused::status`]).
//!
//! **Anybody can post to your URL.** Nothing in an event proves where it comes from. Have a secret in the URL's query or
//! in a header that the event subscription adds, check the token that it can be made to send; for what Outlook tells,
//! compare [`Event::has_client_state`](crate::Event::has_client_state).

use std::error::Error;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use protocol::cloud_event::{LONG_EVENT_BYTES_MAX, Received};

use crate::event::{Event, InvalidEvent};
use crate::validation_token::clipped;

/// How long the body of a request may take to arrive. Event Grid waits for an answer for 30 seconds.
const BODY_READ_MAX: Duration = Duration::from_secs(25);

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const REQUEST_CALLBACK: HeaderName = HeaderName::from_static("webhook-request-callback");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// The events of a request: one, or those of a batch, which may have none. Event Grid takes events
/// of 1 MiB; what of them is no text is a third longer in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events(pub Vec<Event>);

/// Why a request has no events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is no CloudEvent, or one of a batch is none.
    #[error(transparent)]
    Event(#[from] InvalidEvent),
    /// It is longer than Event Grid's are.
    #[error("the body is longer than {LONG_EVENT_BYTES_MAX} bytes")]
    TooLong,
    /// It came too slowly.
    #[error("the body did not come within {BODY_READ_MAX:?}")]
    TimedOut,
    /// The connection broke.
    #[error("the connection broke before the whole body had come")]
    Broken,
}

impl Refused {
    /// What is answered: 400 and 413 to what can never be taken, so that it does not come again; 408 and 503 to what may
    /// come whole the next time.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Event(_) => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The reason is in the body, for whoever looks into why events are not delivered.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status(), [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequest<S> for Events {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let (head, body) = request.into_parts();
        let body = match tokio::time::timeout(BODY_READ_MAX, to_bytes(body, LONG_EVENT_BYTES_MAX)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) if error.source().is_some_and(|source| source.is::<LengthLimitError>()) => {
                return Err(Refused::TooLong);
            }
            Ok(Err(_)) => return Err(Refused::Broken),
            Err(_) => return Err(Refused::TimedOut),
        };
        read(&head.headers, &body)
    }
}

fn read(headers: &HeaderMap, body: &Bytes) -> Result<Events, Refused> {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    Ok(Events(match Received::from_pushed_http(&headers, body)? {
        Received::One(event) => vec![event.into()],
        Received::Batch(events) => events.into_iter().map(Event::from).collect(),
    }))
}

/// Somebody asks whether they may send events here: an `OPTIONS` with `WebHook-Request-Origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handshake {
    /// Who asks: `eventgrid.azure.net`, or what your server says. Nothing proves it.
    pub origin: String,
    /// How many requests a minute they would send, if they say.
    pub rate: Option<u32>,
    /// Where the answer can be given later instead, with a GET of this URL: answer with [`Allowed::not_now`] then. It comes
    /// from a stranger: call it only if you know its host.
    pub callback: Option<String>,
}

/// No `WebHook-Request-Origin`, so nobody asks anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header WebHook-Request-Origin is missing, or is no text")]
pub struct NoOrigin;

impl IntoResponse for NoOrigin {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = NoOrigin;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoOrigin> {
        let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let origin = text(REQUEST_ORIGIN).filter(|origin| !origin.is_empty()).ok_or(NoOrigin)?;
        Ok(Self {
            origin: clipped(origin),
            rate: text(REQUEST_RATE).and_then(|rate| rate.trim().parse().ok()).filter(|rate| *rate > 0),
            callback: text(REQUEST_CALLBACK).map(str::to_owned),
        })
    }
}

impl Handshake {
    /// They may, as many as they like.
    pub fn allow(&self) -> Allowed {
        let answer = HeaderValue::from_str(&self.origin).map_or(Consent::Refused, Consent::Given);
        Allowed { answer, rate: None }
    }

    /// They may if `is_known` says so of their origin.
    pub fn allow_if(&self, is_known: impl FnOnce(&str) -> bool) -> Allowed {
        if is_known(&self.origin) { self.allow() } else { Allowed::refuse() }
    }
}

/// The answer to a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    answer: Consent,
    rate: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Consent {
    Given(HeaderValue),
    Later,
    Refused,
}

impl Allowed {
    /// You say later that they may, by [`Handshake::callback`].
    pub fn not_now() -> Self {
        Self { answer: Consent::Later, rate: None }
    }

    /// They may not.
    pub fn refuse() -> Self {
        Self { answer: Consent::Refused, rate: None }
    }

    /// The same, but for so many requests a minute at most.
    pub fn at_most(self, per_minute: u32) -> Self {
        Self { rate: Some(per_minute), ..self }
    }
}

impl IntoResponse for Allowed {
    fn into_response(self) -> Response {
        let origin = match self.answer {
            Consent::Given(origin) => origin,
            // Without a word on who may.
            Consent::Later => return StatusCode::OK.into_response(),
            Consent::Refused => return StatusCode::FORBIDDEN.into_response(),
        };
        let rate = self.rate.map_or(HeaderValue::from_static("*"), HeaderValue::from);
        let headers = [
            (header::ALLOW, HeaderValue::from_static("POST, OPTIONS")),
            (ALLOWED_ORIGIN, origin),
            (ALLOWED_RATE, rate),
        ];
        (StatusCode::OK, headers).into_response()
    }
}

#[cfg(test)]
mod tests;
