//! `GET /$metadata`: 200 with the service description as XML, for everybody.

use graph::schema;
use http::Method;

use crate::http::answer::Answer;

/// Whether a request is for the description. It needs no token.
pub fn is_asked(method: &Method, path: &str) -> bool {
    let below = path.trim_matches('/').split_once('/');
    let versions = ["v1.0", "beta"];
    let known = |version: &str| versions.iter().any(|known| known.eq_ignore_ascii_case(version));
    method == Method::GET
        && below.is_some_and(|(version, name)| known(version) && name.eq_ignore_ascii_case("$metadata"))
}

pub fn metadata() -> Answer {
    Answer::bytes("application/xml", schema::csdl().as_bytes().to_vec())
}
