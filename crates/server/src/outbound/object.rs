//! Calls of an object store: other methods than those of receivers, to URLs that are signed anew for each.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use notify::subscription::TlsVersion;
use url::Url;

use super::attempt::{Answer, Failure, answer, failure, told};
use super::{Outbound, targets};

/// What is asked of an object store, and how much of the answer is read.
pub struct Asked {
    pub method: Method,
    pub url: Url,
    pub content_type: Option<&'static str>,
    pub body: Bytes,
    pub answer_bytes_max: usize,
}

impl Outbound {
    /// Asks once. The URL is remembered nowhere.
    pub async fn ask(&self, asked: Asked, limit: Duration) -> Result<Answer, Failure> {
        let uri = targets::uri(self.policy.check_extended_url(asked.url.as_str())?)?;
        let mut request = Request::new(Full::new(asked.body.clone()));
        *request.method_mut() = asked.method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidings/", env!("CARGO_PKG_VERSION"))));
        if let Some(content_type) = asked.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(asked.body.len()));
        }
        let exchange = async {
            let response = self.client(TlsVersion::V1_3).request(request).await.map_err(|error| failure(&error))?;
            answer(response, asked.answer_bytes_max).await.map_err(|error| Failure::Broken(told(&error)))
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(Failure::TimedOut))
    }
}
