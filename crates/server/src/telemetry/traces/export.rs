//! The way of spans to the collector: a queue with a limit, and a task that posts what is in it by OTLP over HTTP. It
//! sleeps while nothing ends.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use notify::subscription::TlsVersion;
use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message as _;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

use super::{Limits, TracesError};
use crate::key_file;
use crate::outbound::{Answer, Failure, Outbound};
use crate::telemetry::Telemetry;

const CONTENT_TYPE: &str = "application/x-protobuf";
const HEADERS_BYTES_MAX: u64 = 16 << 10;
/// A collector that is busy or away is asked again after each of these.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Where spans go when they end.
pub struct Queue {
    pub spans: Sender<SpanData>,
    pub telemetry: Arc<Telemetry>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.telemetry.spans_ended("dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

pub struct Exporter {
    pub outbound: Outbound,
    pub url: String,
    pub headers: HeaderMap,
    pub resource: ResourceAttributesWithSchema,
    pub telemetry: Arc<Telemetry>,
    pub limits: Limits,
    /// Whether the last batch was not taken, so that the log says so once.
    pub is_failing: bool,
}

impl Exporter {
    /// Until `stop`, and then as long as spans are left.
    pub async fn run(mut self, mut spans: Receiver<SpanData>, stop: CancellationToken) {
        let most = self.limits.batch_spans_max;
        loop {
            let mut batch = Vec::new();
            if stop.run_until_cancelled(spans.recv_many(&mut batch, most)).await.is_none_or(|came| came == 0) {
                break;
            }
            let more = async {
                while let left @ 1.. = most - batch.len()
                    && spans.recv_many(&mut batch, left).await > 0
                {}
            };
            stop.run_until_cancelled(tokio::time::timeout(self.limits.batch_wait, more)).await;
            self.export(batch, &stop).await;
        }
        spans.close();
        let mut rest = Vec::new();
        while spans.recv_many(&mut rest, most).await > 0 {
            self.export(std::mem::take(&mut rest), &stop).await;
        }
    }

    async fn export(&mut self, batch: Vec<SpanData>, stop: &CancellationToken) {
        let count = batch.len() as u64;
        let request =
            ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(batch, &self.resource) };
        let body = Bytes::from(request.encode_to_vec());
        let mut pauses = PAUSES.into_iter();
        loop {
            let result = self.post(body.clone()).await;
            let pause = pauses.next().filter(|_| is_passing(&result));
            if let Some(pause) = pause
                && stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
            {
                continue;
            }
            return self.count(count, &result);
        }
    }

    async fn post(&self, body: Bytes) -> Result<Answer, Failure> {
        let target = (self.url.as_str(), TlsVersion::V1_3);
        self.outbound.post_with(target, (CONTENT_TYPE, body), self.headers.clone(), self.limits.export_max).await
    }

    fn count(&mut self, spans: u64, result: &Result<Answer, Failure>) {
        let failed = match result {
            Ok(answer) if (200..300).contains(&answer.status) => rejected(&answer.body).min(spans),
            _ => spans,
        };
        let is_failing = failed == spans;
        if is_failing != self.is_failing {
            let (status, cause) = match result {
                Ok(answer) => (Some(answer.status), None),
                Err(failure) => (None, Some(failure)),
            };
            let cause = cause.map(tracing::field::display);
            match is_failing {
                true => tracing::warn!(status, cause, "the collector takes no traces"),
                false => tracing::warn!("the collector takes traces again"),
            }
        }
        self.is_failing = is_failing;
        self.telemetry.spans_ended("failed", failed);
        self.telemetry.spans_ended("exported", spans - failed);
    }
}

/// Whether the same may be taken a little later, by the protocol's rules.
fn is_passing(result: &Result<Answer, Failure>) -> bool {
    match result {
        Ok(answer) => matches!(answer.status, 429 | 502 | 503 | 504),
        Err(Failure::Forbidden(_)) => false,
        Err(_) => true,
    }
}

/// How many spans the collector says that it did not take.
fn rejected(body: &[u8]) -> u64 {
    let response = ExportTraceServiceResponse::decode(body).ok();
    let rejected = response.and_then(|response| response.partial_success).map_or(0, |partial| partial.rejected_spans);
    rejected.try_into().unwrap_or(0)
}

/// The headers in a file, one `NAME: VALUE` a line. Nobody but the server may read it.
pub fn headers(path: &Path) -> Result<HeaderMap, TracesError> {
    let refused = |why: String| TracesError::Headers { path: path.to_owned(), why };
    let text = key_file::read_private("file with headers", path, HEADERS_BYTES_MAX)
        .map_err(|error| refused(format!("{error:#}")))?;
    let mut headers = HeaderMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        // What stands there is repeated nowhere.
        let (name, mut value) = header(line).ok_or_else(|| refused("each line must be NAME: VALUE".to_owned()))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn headers_for_the_collector_come_from_a_private_file_and_are_repeated_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("headers");
        let written = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            headers(&path).map_err(|error| error.to_string())
        };
        let read = written("api-key: canary: 1\n\nX-Scope: a\n", 0o600).unwrap();
        assert_eq!((&read["api-key"], &read["x-scope"]), (&"canary: 1".parse().unwrap(), &"a".parse().unwrap()));
        assert!(!format!("{read:?}").contains("canary"), "{read:?}");
        assert!(written("api-key: a", 0o644).unwrap_err().contains("chmod 600"));
        for text in ["canary", "a b: canary", "a: canary\u{1}"] {
            let refusal = written(text, 0o600).unwrap_err();
            assert!(refusal.ends_with("each line must be NAME: VALUE") && !refusal.contains("canary"), "{refusal}");
        }
        assert!(written(&"a:".repeat(HEADERS_BYTES_MAX as usize), 0o600).unwrap_err().contains("longer than"));
        fs::remove_file(&path).unwrap();
        assert!(headers(&path).unwrap_err().to_string().contains("cannot be used"));
    }

    #[test]
    fn what_the_collector_did_not_take_is_read_from_its_answer() {
        use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: String::new() };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) };
        assert_eq!(rejected(&response.encode_to_vec()), 3);
        for odd in [&b""[..], b"{}", b"\xff\xff\xff"] {
            assert_eq!(rejected(odd), 0);
        }
    }
}
