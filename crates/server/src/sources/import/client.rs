//! The sink that hands items to a running server through its admin API.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::{Answer, Sink, SinkError};

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How long one batch may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a batch is sent that the server cannot take now; each item has a key, so none comes twice.
const ATTEMPTS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// A running server's admin API.
pub struct AdminClient {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    token: String,
}

impl AdminClient {
    /// `admin` is the admin listener's URL (`http://127.0.0.1:8081`), `token` its bearer token. With
    /// `quiet` the import raises no notifications.
    pub fn new(admin: &str, token: &str, quiet: bool) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let base = admin.trim_end_matches('/').trim_end_matches("/admin");
        let url = format!("{base}/admin/import{}", if quiet { "?quiet=true" } else { "" });
        Self { client, url, token: token.to_owned() }
    }

    async fn attempt(&self, batch: Bytes) -> Result<Answer, SinkError> {
        let unreachable = |why: String| SinkError::Unreachable(self.url.clone(), why);
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(Full::new(batch))
            .map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| unreachable(with_cause(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| SinkError::BadAnswer(error.to_string()))?.to_bytes();
            Ok((status, body))
        };
        let (status, body) = tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| unreachable("it does not answer".to_owned()))??;
        if status != StatusCode::OK {
            return Err(SinkError::Refused(status.as_u16(), reason(&body)));
        }
        serde_json::from_slice(&body).map_err(|error| SinkError::BadAnswer(error.to_string()))
    }
}

#[async_trait]
impl Sink for AdminClient {
    async fn import(&mut self, batch: Vec<u8>) -> Result<Answer, SinkError> {
        let batch = Bytes::from(batch);
        let mut attempts = 1;
        loop {
            match self.attempt(batch.clone()).await {
                Err(SinkError::Refused(503, _) | SinkError::Unreachable(..)) if attempts < ATTEMPTS_MAX => {}
                outcome => return outcome,
            }
            attempts += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What a refusal says: the text of its `error`, else the body itself.
fn reason(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let told = value.pointer("/error/message").or(value.get("error")).and_then(Value::as_str);
    told.map_or_else(|| String::from_utf8_lossy(body), Into::into).chars().take(300).collect()
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", with_cause(source)),
        None => error.to_string(),
    }
}
