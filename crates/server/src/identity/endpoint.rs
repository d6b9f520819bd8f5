//! The issuer's paths, each below a tenant: where tokens, sign-in, discovery and keys are. This finds the
//! one that is asked for and gives its answer the form that the caller understands.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use graph::Timestamp;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::discovery::{self, Generation};
use super::form::Form;
use super::pages;
use super::refusal::{Refusal, Traced};
use super::tenancy::Tenancy;
use super::{device, sign_in, token};
use crate::app::AppState;
use crate::clock::Times;
use crate::http::context::Context;
use crate::http::error::ApiError;
use crate::ids;

/// A request to the issuer is a short form.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// For how long what is published may be kept, in seconds: as Microsoft's.
const PUBLISHED_SECONDS: &str = "max-age=86400, private";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Token,
    Authorize,
    Logout,
    /// Where a device begins, and where the person goes.
    DeviceCode,
    DeviceAuth,
    OpenId(Generation),
    Keys(Generation),
    Instance,
}

impl Route {
    /// Whether it is there though no access tokens are given out: validation tokens are verified by what it says.
    pub fn verifies(self) -> bool {
        matches!(self, Route::OpenId(_) | Route::Keys(_))
    }

    /// The path in the form that is counted: of two generations, the newer one's.
    pub fn template(self) -> &'static str {
        match self {
            Route::Token => "/{tenant}/oauth2/v2.0/token",
            Route::Authorize => "/{tenant}/oauth2/v2.0/authorize",
            Route::Logout => "/{tenant}/oauth2/v2.0/logout",
            Route::DeviceCode => "/{tenant}/oauth2/v2.0/devicecode",
            Route::DeviceAuth => "/{tenant}/oauth2/deviceauth",
            Route::OpenId(_) => "/{tenant}/v2.0/.well-known/openid-configuration",
            Route::Keys(_) => "/{tenant}/discovery/v2.0/keys",
            Route::Instance => "/{tenant}/discovery/instance",
        }
    }
}

/// A request to the issuer, with what answers it.
pub struct Visit<'a> {
    pub state: &'a Arc<AppState>,
    pub context: &'a Context,
    pub parts: &'a Parts,
    /// The tenant's segment of the path, as sent.
    pub segment: &'a str,
}

/// The tenant's segment and the route of a path, in any case.
pub fn route(path: &str) -> Option<(&str, Route)> {
    let (segment, below) = path.trim_matches('/').split_once('/')?;
    let route = match below.to_ascii_lowercase().as_str() {
        "oauth2/v2.0/token" | "oauth2/token" => Route::Token,
        "oauth2/v2.0/authorize" | "oauth2/authorize" => Route::Authorize,
        "oauth2/v2.0/logout" | "oauth2/logout" => Route::Logout,
        "oauth2/v2.0/devicecode" | "oauth2/devicecode" => Route::DeviceCode,
        "oauth2/deviceauth" | "oauth2/v2.0/deviceauth" => Route::DeviceAuth,
        "v2.0/.well-known/openid-configuration" => Route::OpenId(Generation::V2),
        ".well-known/openid-configuration" => Route::OpenId(Generation::V1),
        "discovery/v2.0/keys" => Route::Keys(Generation::V2),
        "discovery/keys" => Route::Keys(Generation::V1),
        "discovery/instance" => Route::Instance,
        _ => return None,
    };
    Some((segment, route))
}

/// Answers a request whose body was read, or not.
pub async fn answer(visit: &Visit<'_>, route: Route, body: Result<Bytes, ApiError>) -> Response {
    let query = Form::read(visit.parts.uri.query().unwrap_or_default().as_bytes());
    let posted = match visit.parts.method {
        Method::POST => Some(body.map_err(|_| Refusal::Malformed).and_then(|body| Form::read(&body))),
        _ => None,
    };
    match route {
        Route::Authorize => page(sign_in::authorize(visit, query, posted).await),
        Route::DeviceAuth => page(device::page(visit, query, posted).await),
        Route::Logout => page(sign_in::logout(visit, query).await),
        Route::Token => visit.json(match posted {
            None => Err(Refusal::Method),
            Some(Err(refusal)) => Err(refusal),
            Some(Ok(form)) => token::token(visit, &form).await,
        }),
        Route::DeviceCode => visit.json(match posted {
            None => Err(Refusal::Method),
            Some(Err(refusal)) => Err(refusal),
            Some(Ok(form)) => device::begin(visit, &form).await,
        }),
        Route::OpenId(_) | Route::Keys(_) | Route::Instance => {
            let mut response = visit.json(published(visit, route, query).await);
            if response.status() == StatusCode::OK {
                pages::set(&mut response, header::CACHE_CONTROL, PUBLISHED_SECONDS);
            }
            response
        }
    }
}

async fn published(visit: &Visit<'_>, route: Route, query: Result<Form, Refusal>) -> Result<Value, Refusal> {
    let origin = &visit.context.origin;
    match route {
        Route::Keys(generation) => {
            Ok(discovery::keys(generation, &visit.state.tokens.ring(), origin, visit.context.world))
        }
        Route::Instance => {
            let query = query?;
            discovery::instance(query.get("api-version"), query.need("authorization_endpoint")?, origin)
        }
        Route::OpenId(generation) => {
            let mut told = discovery::openid(generation, visit.tenancy().await?, origin, visit.segment);
            if !visit.state.built_in_issuer {
                discovery::keep_what_verifies(&mut told);
            }
            Ok(told)
        }
        _ => Err(Refusal::Method),
    }
}

fn page(outcome: Result<Response, Refusal>) -> Response {
    outcome.unwrap_or_else(|refusal| pages::refused(&refusal))
}

impl Visit<'_> {
    /// What codes, refresh tokens and sign-ins go by.
    pub fn now(&self) -> Timestamp {
        self.context.now
    }

    /// What signed tokens go by, since others read them.
    pub fn times(&self) -> Times {
        Times { here: self.context.now, world: self.context.world }
    }

    pub async fn tenancy(&self) -> Result<Tenancy, Refusal> {
        let tenants = self.state.directory.tenants().await.map_err(|_| Refusal::Unavailable)?;
        Tenancy::read(self.segment, &tenants)
    }

    /// The ids that a refusal is told with.
    pub fn traced(&self) -> Traced {
        let correlation = self.context.client_request_id.clone();
        Traced { trace: ids::new_uuid(), correlation, now: self.now() }
    }

    fn json(&self, outcome: Result<Value, Refusal>) -> Response {
        let (status, body) = match outcome {
            Ok(body) => (StatusCode::OK, body),
            Err(refusal) => {
                tracing::debug!(request_id = %self.context.request_id, refusal = refusal.error(), "the issuer refused");
                (refusal.status(), refusal.body(&self.traced()))
            }
        };
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
        response
    }
}
