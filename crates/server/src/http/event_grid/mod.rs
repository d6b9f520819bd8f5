//! Topics over HTTP: their data plane, `/topics/{topic}…`, as Event Grid's namespaces have it, and their management,
//! `/subscriptions/{azure}/resourceGroups/{group}/providers/Microsoft.EventGrid/…`, as Azure's Resource Manager has it.
//!
//! A topic is told from others by its name, and where that is not enough by the key that is presented; who has no key
//! needs a token of an app of the topic's, for Event Grid or for management, which are no tokens for Graph.

mod arrivals;
mod callbacks;
pub mod consent;
mod management;
mod publish;
mod receive;
mod refusal;
pub mod routes;
mod settle;
pub mod standing;
mod who;

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use protocol::event_grid::management::{Resource, resource};
use protocol::event_grid::pull::{API_VERSIONS, Route};
use serde::Serialize;
use url::form_urlencoded;

use super::context::Context;
use super::read_body;
use crate::app::{AppState, Limits};
pub use arrivals::Arrivals;
use callbacks::Callback;
pub use callbacks::Callbacks;
pub use refusal::Refusal;
use routes::{Served, served};

/// What a path asks for.
pub enum Asked<'a> {
    Data(Route<'a>),
    /// That an endpoint consents to be pushed to.
    Callback(Callback<'a>),
    /// `None`: of the management of something that is not there.
    Management(Option<Resource>),
}

/// A request that is being answered.
struct Call<'a> {
    state: &'a AppState,
    context: &'a Context,
    method: &'a Method,
    headers: &'a HeaderMap,
    path: &'a str,
    served: Option<&'static Served>,
    query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// What a handler says when it is done.
struct Done {
    status: StatusCode,
    body: Option<Vec<u8>>,
}

impl Done {
    fn json(status: StatusCode, body: &impl Serialize) -> Self {
        // Values of ours always have a JSON form.
        Self { status, body: Some(serde_json::to_vec(body).unwrap_or_default()) }
    }

    fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    fn empty(status: StatusCode) -> Self {
        Self { status, body: None }
    }
}

/// What a path asks of topics; `None`: nothing. Graph's subscriptions without a version are none of Azure's.
pub fn asked(path: &str) -> Option<Asked<'_>> {
    if let Some(route) = Route::parse(path) {
        return Some(Asked::Data(route));
    }
    if let Some(callback) = Callback::parse(path) {
        return Some(Asked::Callback(callback));
    }
    let mut parts = path.trim_start_matches('/').split('/');
    let is = |part: Option<&str>, names: &[&str]| {
        part.is_some_and(|part| names.iter().any(|name| name.eq_ignore_ascii_case(part)))
    };
    let is_management = is(parts.next(), &["subscriptions"]) && is(parts.nth(1), &["resourceGroups", "providers"]);
    is_management.then(|| Asked::Management(resource(path)))
}

pub async fn answer(
    state: &Arc<AppState>,
    context: &Context,
    parts: &Parts,
    asked: &Asked<'_>,
    body: Body,
) -> Response {
    let served = served(asked);
    context.is_for(served.map_or("other", |served| served.path));
    let path = super::collapse(parts.uri.path());
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).collect();
    let call = Call { state, context, method: &parts.method, headers: &parts.headers, path: &path, served, query };
    let outcome = match asked {
        Asked::Data(route) => data(&call, route, body).await,
        Asked::Callback(of) => callbacks::answer(&call, of).await,
        Asked::Management(Some(resource)) => management::answer(&call, resource, body).await,
        Asked::Management(None) => Err(Refusal::NoSuchPath),
    };
    if let Err(refusal) = &outcome {
        let request_id = context.request_id;
        tracing::debug!(%request_id, method = %parts.method, %path, ?refusal, "refused");
    }
    response(context, &parts.headers, outcome)
}

async fn data(call: &Call<'_>, route: &Route<'_>, body: Body) -> Result<Done, Refusal> {
    if call.method != Method::POST {
        return Err(call.other_method());
    }
    match call.option("api-version") {
        None => return Err(Refusal::NoApiVersion),
        Some(version) if API_VERSIONS.contains(&version) => {}
        Some(version) => return Err(Refusal::ApiVersion(shown(version), API_VERSIONS[0])),
    }
    let topic = who::topic_of(call, route.topic()).await?;
    let body = call.read(body).await?;
    match *route {
        Route::Publish { .. } => publish::publish(call, &topic, &body).await,
        Route::Receive { event_subscription, .. } => receive::receive(call, &topic, event_subscription).await,
        Route::Settle { event_subscription, how, .. } => {
            settle::settle(call, &topic, event_subscription, how, &body).await
        }
    }
}

impl Call<'_> {
    /// To a method that is not served here.
    fn other_method(&self) -> Refusal {
        Refusal::Method(self.served.map(Served::methods).unwrap_or_default())
    }

    /// The first value of an option in the query.
    fn option(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    async fn read(&self, body: Body) -> Result<Bytes, Refusal> {
        let most = protocol::cloud_event::EVENT_BYTES_MAX.min(self.state.limits.body_bytes_max);
        Ok(read_body(body, &Limits { body_bytes_max: most, ..self.state.limits }).await?)
    }
}

/// A value as a refusal repeats it.
fn shown(value: &str) -> String {
    value.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

fn response(context: &Context, asked: &HeaderMap, outcome: Result<Done, Refusal>) -> Response {
    let (mut retry_after, mut challenge, mut allowed) = (None, None, None);
    let done = outcome.unwrap_or_else(|refusal| {
        (retry_after, challenge) = (refusal.retry_after(), refusal.challenge(context));
        allowed = refusal.allowed().map(str::to_owned);
        let (status, body) = refusal.render(context);
        Done { status, body: Some(body) }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = done.status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if context.is_secure() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    let client_request_id = HeaderName::from_static("x-ms-client-request-id");
    if let Some(id) = asked.get(&client_request_id).filter(|id| id.len() <= 128) {
        headers.insert(client_request_id, id.clone());
    }
    let told = [
        (HeaderName::from_static("x-ms-request-id"), Some(context.request_id.to_string())),
        (header::RETRY_AFTER, retry_after.map(|seconds: u32| seconds.to_string())),
        (header::WWW_AUTHENTICATE, challenge),
        (header::ALLOW, allowed),
    ];
    for (name, value) in told {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(name, value);
        }
    }
    if let Some(body) = done.body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        *response.body_mut() = Body::from(body);
    }
    response
}
