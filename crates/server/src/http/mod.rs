//! The listener for apps: Graph below `/v1.0` and `/beta`, and the issuer and uploads beside it.
//!
//! Paths are not routed by a router, because keys come in more forms than patterns can tell
//! (`/users('x')/messages/{id}`, `//`, any case): `graph::path` reads them.

pub mod answer;
pub mod attempts;
pub mod context;
pub mod error;
pub mod event_grid;
pub mod graph;
pub mod health;
pub mod listener;
pub mod openapi;
pub mod prefer;
pub mod query;
mod root;
pub mod uploads;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::app::{AppState, Limits};
use crate::identity::endpoint::{self, Visit};
use context::Context;
use error::ApiError;

/// Everything that apps reach.
pub fn router(state: Arc<AppState>) -> Router {
    Router::new().fallback(handle).with_state(state)
}

async fn handle(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let begun = state.clock.elapsed();
    let (parts, body) = request.into_parts();
    let mut context = Context::new(&parts, state.clock.times(), state.built_in_issuer);
    context.span = state.traces.request((&parts.method, parts.version), &parts.headers, &context.origin);
    let response = answered(&state, &context, &parts, body).await;
    let took = state.clock.elapsed().saturating_sub(begun);
    state.telemetry.answered(&parts.method, context.route(), response.status(), took);
    context.span.clone().answered(&parts.method, context.route(), response.status());
    response
}

async fn answered(state: &Arc<AppState>, context: &Context, parts: &Parts, body: Body) -> Response {
    let collapsed = collapse(parts.uri.path());
    let path = below_api(&collapsed);
    if let Some((route, response)) = health::answer(state, &parts.method, path).await {
        context.is_for(route);
        return response;
    }
    if let Some((segment, route)) = endpoint::route(path).filter(|(_, route)| state.built_in_issuer || route.verifies())
    {
        context.is_for(route.template());
        // Whoever reaches the port may send one: nobody has proved anything yet.
        let limits =
            Limits { body_bytes_max: endpoint::BODY_BYTES_MAX.min(state.limits.body_bytes_max), ..state.limits };
        let body = read_body(body, &limits).await;
        let visit = Visit { state, context, parts, segment };
        return endpoint::answer(&visit, route, body).await;
    }
    if root::is_asked(&parts.method, path) {
        context.is_for("/");
        return root::answer(context);
    }
    if path.eq_ignore_ascii_case(openapi::PATH) && parts.method == Method::GET {
        context.is_for(openapi::PATH);
        return openapi::answer();
    }
    if path.eq_ignore_ascii_case(openapi::event_grid::PATH) && parts.method == Method::GET {
        context.is_for(openapi::event_grid::PATH);
        return openapi::event_grid::answer();
    }
    if let Some(asked) = event_grid::asked(path) {
        return event_grid::answer(state, context, parts, &asked, body).await;
    }
    let outcome = if attempts::is_asked(path) {
        attempts::handle(state, context, parts).await
    } else if uploads::is_upload_path(path) {
        context.is_for("/uploads/{session}");
        uploads::handle(state, context, parts, path, body).await
    } else {
        graph::handle(state, context, parts, path, body).await
    };
    if let Err(error) = &outcome {
        log_refusal(context, &parts.method, path, error);
    }
    let allowed = matches!(outcome, Err(ApiError::Method)).then(|| match attempts::is_asked(path) {
        true => attempts::METHODS.to_owned(),
        false => openapi::allowed(path),
    });
    let mut response = answer::response(context, outcome);
    if let Some(Ok(allowed)) = allowed.map(HeaderValue::try_from) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Who grants permissions looks for what was missing; of other refusals the caller knows enough.
fn log_refusal(context: &Context, method: &Method, path: &str, error: &ApiError) {
    let request_id = context.request_id;
    match error {
        ApiError::Denied(denied) | ApiError::SubscriptionDenied(_, denied) => {
            tracing::info!(%request_id, %method, %path, needed = denied.needed(), held = denied.held(), "access denied");
        }
        _ => tracing::debug!(%request_id, %method, %path, ?error, "refused"),
    }
}

/// `//` counts as `/`: an official SDK sends it on every call.
pub(crate) fn collapse(path: &str) -> Cow<'_, str> {
    if !path.as_bytes().windows(2).any(|pair| pair == b"//") {
        return Cow::Borrowed(path);
    }
    let mut collapsed = String::with_capacity(path.len());
    for letter in path.chars() {
        if !(letter == '/' && collapsed.ends_with('/')) {
            collapsed.push(letter);
        }
    }
    Cow::Owned(collapsed)
}

/// Events of topics name items below `/api/beta`, where Outlook's own API had them: it is Graph's `/beta`.
fn below_api(path: &str) -> &str {
    const OUTLOOK: &str = "/api/beta/";
    let is_outlooks = path.get(..OUTLOOK.len()).is_some_and(|start| start.eq_ignore_ascii_case(OUTLOOK));
    if is_outlooks { &path["/api".len()..] } else { path }
}

/// The whole body, if it is not too large and does not dawdle.
async fn read_body(body: Body, limits: &Limits) -> Result<Bytes, ApiError> {
    let limited = Limited::new(body, limits.body_bytes_max);
    let collected = tokio::time::timeout(Duration::from_secs(limits.body_seconds_max), limited.collect()).await;
    match collected {
        Err(_) => Err(ApiError::BodyTooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge(limits.body_bytes_max)),
        Ok(Err(_)) => Err(ApiError::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::{below_api, collapse};

    #[test]
    fn what_was_outlooks_own_api_is_graphs_beta() {
        assert_eq!(below_api("/api/beta/Users('a@b')/Messages('c')"), "/beta/Users('a@b')/Messages('c')");
        for other in ["/", "/api", "/api/beta", "/api/v1.0/me", "/v1.0/api/beta/"] {
            assert_eq!(below_api(other), other);
        }
    }

    #[test]
    fn repeated_slashes_count_once() {
        assert_eq!(collapse("/v1.0//subscriptions///x/"), "/v1.0/subscriptions/x/");
    }
}
