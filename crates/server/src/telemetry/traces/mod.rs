//! Traces for OpenTelemetry: a span for each request of the API, with its commit below it, and one for each attempt.
//!
//! Off unless the operator names a collector; then a span that ends goes into a queue, or is dropped and counted
//! if that is full. A task of its own ([`export`]) sends them on. Nothing that is traced ever waits for it, and a collector
//! that is down or hangs changes a counter and nothing else.
//!
//! Spans are made here and nowhere else, each attribute from a value that tells of nobody: no path, query, id, address of
//! a user, or token comes in. What other crates log is no part of it.

pub mod catalogue;
mod export;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Version};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanLimits};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::Telemetry;
use crate::outbound::{Outbound, OutboundConfig};
use catalogue as attribute;
use export::{Exporter, Queue};

/// The longest name of a host there is; what a caller sends beyond it is no name.
const HOST_CHARS_MAX: usize = 253;
/// The route of a user alone, whose template is empty: all others begin below the mailbox.
const USER_ROUTE: &str = "/users/{user-id}";
const TRACEPARENT: &str = "traceparent";

/// Where traces go, and how many.
#[derive(Clone)]
pub struct TracesConfig {
    /// The exact URL that spans are posted to.
    pub url: String,
    /// How the collector may be called.
    pub outbound: OutboundConfig,
    /// A file with headers for the collector, which may be secrets.
    pub headers_file: Option<PathBuf>,
    pub service_name: String,
    /// Of the traces that begin here, from 0 to 1. A caller that says whether its own is sampled is followed.
    pub sample_ratio: f64,
    pub limits: Limits,
}

/// What the way to the collector holds, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub queued_spans_max: usize,
    pub batch_spans_max: usize,
    /// How long a span may wait for others to go with.
    pub batch_wait: Duration,
    /// One request to the collector.
    pub export_max: Duration,
    /// What is left at the stop.
    pub flush_max: Duration,
}

impl Default for Limits {
    /// Those of OpenTelemetry's batch processor, with a stop that is not held up for long.
    fn default() -> Self {
        Self {
            queued_spans_max: 2048,
            batch_spans_max: 512,
            batch_wait: Duration::from_secs(5),
            export_max: Duration::from_secs(10),
            flush_max: Duration::from_secs(3),
        }
    }
}

/// The traces of one server. By default they are off, and then no span is ever made.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Tracing>>);

struct Tracing {
    tracer: SdkTracer,
    stop: CancellationToken,
    tasks: TaskTracker,
    flush_max: Duration,
}

/// Traces cannot be exported so.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error(transparent)]
    Outbound(#[from] crate::outbound::OutboundError),
    #[error("the file {path} with headers for the collector cannot be used: {why}")]
    Headers { path: PathBuf, why: String },
}

/// One span under way, or none. It ends when the last copy goes.
#[derive(Clone, Default)]
pub struct Span(Option<Context>);

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.0.is_some()).finish()
    }
}

impl Traces {
    /// Begins to export. Must be called within a Tokio runtime.
    pub fn start(config: TracesConfig, telemetry: Arc<Telemetry>) -> Result<Self, TracesError> {
        let TracesConfig { url, outbound, headers_file, service_name, sample_ratio, limits } = config;
        let headers = headers_file.as_deref().map(export::headers).transpose()?.unwrap_or_default();
        // Built from nothing: what stands in variables of the environment changes nothing here.
        let resource = Resource::builder_empty()
            .with_service_name(service_name)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("telemetry.sdk.name", "opentelemetry"))
            .with_attribute(KeyValue::new("telemetry.sdk.language", "rust"))
            .build();
        let (queue, spans) = mpsc::channel(limits.queued_spans_max);
        let exporter = Exporter {
            outbound: Outbound::new(outbound)?,
            url,
            headers,
            resource: (&resource).into(),
            telemetry: Arc::clone(&telemetry),
            limits,
            is_failing: false,
        };
        let tracer = tracer(Queue { spans: queue, telemetry }, resource, sample_ratio);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(exporter.run(spans, stop.clone()));
        tasks.close();
        Ok(Self(Some(Arc::new(Tracing { tracer, stop, tasks, flush_max: limits.flush_max }))))
    }

    /// Whether a file of headers can be used, and the rest of the configuration with it.
    pub fn check(config: &TracesConfig) -> Result<(), TracesError> {
        config.headers_file.as_deref().map(export::headers).transpose()?;
        Outbound::new(config.outbound.clone())?;
        Ok(())
    }

    /// Sends what has ended until now, as far as there is time, and exports nothing more.
    pub async fn flush(&self) {
        let Some(tracing) = &self.0 else { return };
        tracing.stop.cancel();
        if tokio::time::timeout(tracing.flush_max, tracing.tasks.wait()).await.is_err() {
            tracing::warn!("the collector of traces did not take the last spans in time");
        }
    }

    /// A request of the API that has just come, at `origin` (`https://localhost:8443`).
    pub fn request(&self, (method, version): (&Method, Version), headers: &HeaderMap, origin: &str) -> Span {
        let Some(tracing) = &self.0 else { return Span(None) };
        let parent = match headers.get(TRACEPARENT).and_then(|parent| parent.to_str().ok()) {
            // Only that: `tracestate` is text of the caller's choice.
            Some(parent) => {
                let carrier = HashMap::from([(TRACEPARENT.to_owned(), parent.to_owned())]);
                TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
            }
            None => Context::new(),
        };
        let span = tracing.begin(name(method), SpanKind::Server, &parent);
        span.set(|| {
            let (scheme, authority) = origin.split_once("://").unwrap_or_default();
            let mut attributes = vec![
                KeyValue::new(attribute::REQUEST_METHOD, known(method)),
                KeyValue::new(attribute::URL_SCHEME, if scheme == "https" { "https" } else { "http" }),
            ];
            attributes.extend(protocol(version).map(|version| KeyValue::new(attribute::PROTOCOL_VERSION, version)));
            if let Ok(authority) = authority.parse::<Authority>() {
                attributes.extend(place(authority.host(), authority.port_u16()));
            }
            attributes
        });
        span
    }

    /// A commit for this request.
    pub fn commit(&self, request: &Span) -> Span {
        let (Some(tracing), Some(parent)) = (&self.0, &request.0) else { return Span(None) };
        let span = tracing.begin("COMMIT", SpanKind::Client, parent);
        span.set(|| {
            vec![KeyValue::new(attribute::DB_SYSTEM, "sqlite"), KeyValue::new(attribute::DB_OPERATION, "COMMIT")]
        });
        span
    }

    /// A request to a receiver at `url` with so many notifications, which failed so often before.
    pub fn attempt(&self, url: &str, notifications: usize, failed: u32) -> Span {
        let Some(tracing) = &self.0 else { return Span(None) };
        let span = tracing.begin("POST", SpanKind::Client, &Context::new());
        span.set(|| {
            let mut attributes = vec![
                KeyValue::new(attribute::REQUEST_METHOD, "POST"),
                KeyValue::new(attribute::MESSAGING_SYSTEM, "tidings"),
                KeyValue::new(attribute::MESSAGING_OPERATION, "send"),
                KeyValue::new(attribute::MESSAGING_OPERATION_TYPE, "send"),
            ];
            if notifications > 1 {
                attributes.push(KeyValue::new(attribute::MESSAGE_COUNT, notifications as i64));
            }
            if failed > 0 {
                attributes.push(KeyValue::new(attribute::RESEND_COUNT, i64::from(failed)));
            }
            if let Ok(url) = Url::parse(url) {
                attributes.push(KeyValue::new(attribute::URL_SCHEME, url.scheme().to_owned()));
                attributes.extend(url.host_str().into_iter().flat_map(|host| place(host, url.port_or_known_default())));
            }
            attributes
        });
        span
    }
}

/// What makes spans, which end in this queue.
fn tracer(queue: Queue, resource: Resource, sample_ratio: f64) -> SdkTracer {
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample_ratio))))
        .with_span_limits(SpanLimits::default())
        .with_span_processor(queue)
        .build();
    provider.tracer_with_scope(InstrumentationScope::builder("tidings").with_version(env!("CARGO_PKG_VERSION")).build())
}

impl Tracing {
    fn begin(&self, name: &'static str, kind: SpanKind, parent: &Context) -> Span {
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        Span(Some(parent.with_span(self.tracer.build_with_context(builder, parent))))
    }
}

impl Span {
    /// Sets what is made, if anybody will see it.
    fn set(&self, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(context) = self.0.as_ref().filter(|context| context.span().is_recording()) {
            context.span().set_attributes(attributes());
        }
    }

    fn fail(&self, error_type: impl Into<opentelemetry::Value>) {
        let Some(context) = &self.0 else { return };
        context.span().set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
        // The type says it; a description would be text from elsewhere.
        context.span().set_status(Status::error(""));
    }

    /// The request was answered. `route` is a template, or "other".
    pub fn answered(self, method: &Method, route: &'static str, status: StatusCode) {
        self.set(|| vec![KeyValue::new(attribute::STATUS_CODE, i64::from(status.as_u16()))]);
        let route = if route.is_empty() { USER_ROUTE } else { route };
        if let Some(context) = self.0.as_ref().filter(|_| route != "other") {
            self.set(|| vec![KeyValue::new(attribute::ROUTE, route)]);
            context.span().update_name(format!("{} {route}", name(method)));
        }
        if status.is_server_error() {
            self.fail(status.as_str().to_owned());
        }
        self.end();
    }

    /// The commit has ended; `failed`: the store could not make it.
    pub fn committed(self, failed: bool) {
        if failed {
            self.fail("store_failure");
        }
        self.end();
    }

    /// The attempt has ended: the receiver's status, or one of [`super::OUTCOMES`].
    pub fn attempted(self, status: Option<u16>, outcome: &'static str) {
        if let Some(status) = status {
            self.set(|| vec![KeyValue::new(attribute::STATUS_CODE, i64::from(status))]);
        }
        match status {
            Some(200..300) => {}
            Some(status) => self.fail(status.to_string()),
            None => self.fail(outcome),
        }
        self.end();
    }

    /// What tells a receiver which span calls it; empty if nothing is traced.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some(context) = &self.0 else { return headers };
        let mut carrier = HashMap::new();
        TraceContextPropagator::new().inject_context(context, &mut carrier);
        if let Some(value) = carrier.get(TRACEPARENT).and_then(|value| value.parse().ok()) {
            headers.insert(TRACEPARENT, value);
        }
        headers
    }

    fn end(self) {
        if let Some(context) = self.0 {
            context.span().end();
        }
    }
}

/// Where a server is. A name that is none is left out.
fn place(host: &str, port: Option<u16>) -> impl Iterator<Item = KeyValue> + use<> {
    let host = (!host.is_empty() && host.len() <= HOST_CHARS_MAX)
        .then(|| KeyValue::new(attribute::SERVER_ADDRESS, host.trim_matches(['[', ']']).to_owned()));
    let port = port.map(|port| KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
    host.into_iter().chain(port)
}

/// The method as an attribute: the conventions' word for one that is not known.
fn known(method: &Method) -> &'static str {
    match super::method_name(method) {
        "other" => "_OTHER",
        known => known,
    }
}

/// The method in the name of a span.
fn name(method: &Method) -> &'static str {
    match super::method_name(method) {
        "other" => "HTTP",
        known => known,
    }
}

fn protocol(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use graph::Timestamp;

    use opentelemetry_sdk::trace::SpanData;

    use super::*;

    /// Traces, and what ends of them.
    fn traces() -> (Traces, mpsc::Receiver<SpanData>) {
        let (spans, ended) = mpsc::channel(8);
        let telemetry = Telemetry::new(Timestamp::from_seconds(1)).unwrap();
        let tracer = tracer(Queue { spans, telemetry }, Resource::builder_empty().build(), 1.0);
        let (stop, tasks, flush_max) = (CancellationToken::new(), TaskTracker::new(), Duration::ZERO);
        (Traces(Some(Arc::new(Tracing { tracer, stop, tasks, flush_max }))), ended)
    }

    #[test]
    fn what_fails_says_of_what_type_and_a_batch_how_many_notifications_it_has() {
        let (traces, mut ended) = traces();
        let mut failed = || {
            let span = ended.try_recv().unwrap();
            assert_eq!(span.status, Status::error(""));
            let value = |name: &str| {
                let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
                found.map(|attribute| attribute.value.to_string())
            };
            (value(attribute::ERROR_TYPE), value(attribute::MESSAGE_COUNT))
        };
        traces.attempt("https://[2606:4700::1111]/?code=1", 2, 0).attempted(None, "timed_out");
        assert_eq!(failed(), (Some("timed_out".to_owned()), Some("2".to_owned())));
        traces.attempt("no URL", 1, 0).attempted(Some(301), "refused");
        assert_eq!(failed(), (Some("301".to_owned()), None));
        let request = traces.request((&Method::POST, Version::HTTP_2), &HeaderMap::new(), "https://h");
        traces.commit(&request).committed(true);
        assert_eq!(failed(), (Some("store_failure".to_owned()), None));
    }

    #[test]
    fn a_caller_names_no_span_and_no_method() {
        let (traces, mut ended) = traces();
        let (method, long) = (Method::from_bytes(b"CANARY").unwrap(), format!("http://{}", "canary".repeat(100)));
        for (origin, route) in [(long.as_str(), "other"), ("http://canary@[canary", "/messages"), ("http://", "")] {
            traces.request((&method, Version::HTTP_11), &HeaderMap::new(), origin).answered(
                &method,
                route,
                StatusCode::OK,
            );
        }
        for name in ["HTTP", "HTTP /messages", "HTTP /users/{user-id}"] {
            let span = ended.try_recv().unwrap();
            assert_eq!(
                (&*span.name, span.attributes.iter().any(|one| one.value.to_string().contains("anary"))),
                (name, false)
            );
            assert!(span.attributes.contains(&KeyValue::new(attribute::REQUEST_METHOD, "_OTHER")));
        }
    }
}
