//! The pages of the issuer: plain HTML that needs no script, escapes what it shows, stands in no frame and
//! is kept in no cache.

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use url::Url;

use super::authorize::Leads;
use super::refusal::Refusal;
use crate::ids;

/// Somebody who may be chosen.
pub struct Choice {
    pub id: String,
    pub name: String,
    pub address: String,
}

/// Where a person says who signs in.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignIn<'a> {
    pub nonce: String,
    pub app: &'a str,
    /// What the app asks for.
    pub permissions: Vec<String>,
    /// The users to choose from; none where a sign-in code is asked for.
    pub choices: Option<Vec<Choice>>,
    /// The address to begin with.
    pub address: &'a str,
    pub problem: Option<String>,
    /// The query of this page, which the form goes back to. Its path is not repeated: one that begins with
    /// two slashes would name another host.
    pub query: &'a str,
    pub csrf: &'a str,
    /// What the person compares with the device, if one waits.
    pub device: Option<&'a str>,
}

/// Where a person types the code that a device shows.
#[derive(Template)]
#[template(path = "device.html")]
pub struct DeviceCode {
    pub nonce: String,
    pub problem: Option<String>,
}

/// A message, and nothing to do.
#[derive(Template)]
#[template(path = "message.html")]
pub struct Message<'a> {
    pub nonce: String,
    pub title: &'a str,
    pub text: &'a str,
    pub detail: Option<String>,
}

#[derive(Template)]
#[template(path = "post.html")]
struct Post<'a> {
    nonce: String,
    to: &'a str,
    fields: &'a [(&'static str, String)],
}

/// What a page's styles and script are marked with, so that no others run.
pub fn nonce() -> String {
    ids::new_secret()
}

/// A page. `form_to` is where a form on it may lead in the end, besides this server.
pub fn page(status: StatusCode, template: &impl Template, nonce: &str, form_to: Option<&str>) -> Response {
    let Ok(html) = template.render() else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let forms = form_to.and_then(source).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; form-action 'self' {forms}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut response, header::CONTENT_SECURITY_POLICY, &policy);
    guarded(response)
}

/// A refusal that goes nowhere else.
pub fn refused(refusal: &Refusal) -> Response {
    let (title, text) = ("Sign-in did not work", "The app that sent you here asked for something that cannot be.");
    let message = Message { nonce: nonce(), title, text, detail: Some(refusal.plain()) };
    page(refusal.status(), &message, &message.nonce, None)
}

/// The way back to an app.
pub fn leads(leads: Leads) -> Response {
    match leads {
        Leads::To(url) => redirect(&url),
        Leads::Posts { to, fields } => {
            let post = Post { nonce: nonce(), to: &to, fields: &fields };
            page(StatusCode::OK, &post, &post.nonce, Some(&to))
        }
    }
}

/// Whatever the method was, the next one is GET.
pub fn redirect(url: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    set(&mut response, header::LOCATION, url);
    guarded(response)
}

/// What every answer to a browser has.
fn guarded(mut response: Response) -> Response {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store, no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        set(&mut response, name, value);
    }
    response
}

pub fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

/// A redirect URI as a source of a content security policy: its origin, or its scheme if it has none.
fn source(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    match url.origin() {
        url::Origin::Tuple(..) => Some(url.origin().ascii_serialization()),
        url::Origin::Opaque(_) => Some(format!("{}:", url.scheme())),
    }
}
