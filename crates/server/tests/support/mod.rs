//! What tests of the whole program share: a client, a receiver, and a process to kill.
#![allow(dead_code)]

pub mod nats;
pub mod process;
pub mod receiver;
pub mod topic;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A plain HTTP client with a token on each request.
#[derive(Clone)]
pub struct Client(hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    pub fn new() -> Self {
        Self(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http())
    }

    pub async fn send(
        &self,
        method: Method,
        url: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), Error> {
        let mut request = Request::builder().method(method).uri(url).header("authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let response = self.0.request(request.body(Full::new(bytes))?).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

pub async fn post(client: &Client, url: &str, token: &str, body: &Value) -> Result<(u16, Value), Error> {
    client.send(Method::POST, url, token, Some(body)).await
}

pub async fn get(client: &Client, url: &str, token: &str) -> Result<(u16, Value), Error> {
    client.send(Method::GET, url, token, None).await
}

/// A request as it is.
pub async fn request(client: &Client, request: Request<String>) -> Result<(u16, Value), Error> {
    let response = client.0.request(request.map(|body| Full::new(Bytes::from(body)))).await?;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
}

/// What is no JSON, as text.
pub async fn text(client: &Client, url: &str, token: &str) -> Result<String, Error> {
    let request = Request::builder().uri(url).header("authorization", format!("Bearer {token}"));
    let bytes = client.0.request(request.body(Full::default())?).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Posts a form, and gives the body of the answer.
pub async fn post_form(client: &Client, url: &str, form: String) -> Result<String, Error> {
    let request = Request::builder().method(Method::POST).uri(url);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(Full::from(form))?;
    let bytes = client.0.request(request).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A date-time so many hours from now, as apps send it.
pub fn in_hours(hours: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours)).to_string()
}

/// Waits for another process or task to bring something about; fails with its name after `limit`.
pub async fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(limit, async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while !holds() {
            look.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "it did not come to pass within {limit:?} that {what}");
}
