//! `GET /`: what answers here and where to go on, for who comes by with a browser or curl. It needs no token and
//! tells nothing of what is stored.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::json;

use super::answer::{Answer, response};
use super::context::Context;
use super::openapi;

pub fn is_asked(method: &Method, path: &str) -> bool {
    method == Method::GET && path == "/"
}

pub fn answer(context: &Context) -> Response {
    let origin = &context.origin;
    let mut places = json!({
        "name": "Tidings",
        "about": "A server that speaks Microsoft Graph for mail, calendars, contacts and their change notifications, \
                  and for those of other resources. It is not Microsoft's.",
        "graph": format!("{origin}/v1.0"),
        "metadata": format!("{origin}/v1.0/$metadata"),
        "description": format!("{origin}{}", openapi::PATH),
        "eventGridDescription": format!("{origin}{}", openapi::event_grid::PATH),
    });
    if context.gives_tokens {
        places["signIn"] = format!("{origin}/common/v2.0/.well-known/openid-configuration").into();
    }
    response(context, Ok(Answer::json(StatusCode::OK, &places)))
}
