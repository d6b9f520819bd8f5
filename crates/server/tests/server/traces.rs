//! Traces as a collector gets them from a server that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode as SpanStatus};
use prost::Message as _;
use serde_json::{Value, json};
use tidings_server::config::telemetry::Telemetry as Section;
use tidings_server::server::{Running, Settings, start};
use tidings_server::telemetry::traces::catalogue::SPANS;
use tidings_server::telemetry::traces::{Limits, TracesConfig};
use tokio::sync::mpsc;

use crate::delivery::{self, receiver, settings};

/// What a collector does with what it is sent.
#[derive(Clone, Copy)]
enum Manner {
    Takes,
    /// It takes all spans but so many.
    Rejects(i64),
    Refuses,
    Hangs,
}

/// One that takes OTLP by HTTP.
struct Collector {
    endpoint: String,
    requests: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
}

impl Collector {
    async fn start(manner: Manner) -> Self {
        let (seen, requests) = mpsc::unbounded_channel();
        let take = move |State(seen): State<mpsc::UnboundedSender<_>>, headers: HeaderMap, body: Bytes| async move {
            let _ = seen.send((headers, body));
            let rejected_spans = match manner {
                Manner::Takes => 0,
                Manner::Rejects(spans) => spans,
                Manner::Refuses => return StatusCode::BAD_REQUEST.into_response(),
                Manner::Hangs => std::future::pending().await,
            };
            let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message: String::new() });
            ExportTraceServiceResponse { partial_success }.encode_to_vec().into_response()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(take)).with_state(seen);
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { endpoint, requests }
    }

    /// What it has got until now.
    fn got(&mut self) -> Vec<(HeaderMap, Bytes)> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }

    /// The spans among that, with the service that they are of.
    fn spans(&mut self) -> Vec<Span> {
        let requests = self.got().into_iter().map(|(_, body)| ExportTraceServiceRequest::decode(body).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// A server that is traced as this section of its configuration says.
fn traced(section: &Section) -> Settings {
    Settings { traces: section.traces().unwrap(), ..settings() }
}

fn section(collector: &Collector) -> Section {
    Section { otlp_endpoint: Some(collector.endpoint.clone()), ..Section::default() }
}

fn with_limits(settings: Settings, limits: Limits) -> Settings {
    Settings { traces: settings.traces.map(|traces| TracesConfig { limits, ..traces }), ..settings }
}

/// What became of spans, by the metric.
fn counted(server: &Running, result: &str) -> u64 {
    let told = server.state.telemetry.render(None, server.state.store.counters());
    let line = format!("tidings_trace_spans_total{{result=\"{result}\"}} ");
    told.lines().find_map(|told| told.strip_prefix(&line)).expect("it is told").parse().unwrap()
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, Value> {
    let value = |attribute: &KeyValue| match attribute.value.clone().and_then(|value| value.value) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect()
}

/// A span, with what differs from run to run replaced.
fn shown(span: &Span) -> Value {
    let mut attributes = attributes(&span.attributes);
    attributes.entry("server.port".to_owned()).and_modify(|port| *port = json!("[port]"));
    let status = span.status.as_ref().filter(|status| status.code() != SpanStatus::Unset);
    json!({
        "name": span.name,
        "kind": span.kind().as_str_name(),
        "parent": !span.parent_span_id.is_empty(),
        "status": status.map(|status| json!([status.code().as_str_name(), status.message])),
        "attributes": attributes,
        "events": span.events.len(),
        "state": span.trace_state,
    })
}

/// A subscription to one's messages, at `url`.
async fn subscribe(server: &Running, url: &str) -> Value {
    let expires = server.state.clock.wall().plus_minutes(60);
    let subscription = json!({"changeType": "created", "notificationUrl": url, "resource": "me/messages",
                              "expirationDateTime": expires, "clientState": "canary-of-the-client-state"});
    let (status, made) = delivery::call(server, "POST", "/v1.0/subscriptions", subscription).await;
    assert_eq!(status, 201, "{made}");
    made
}

async fn write(server: &Running) -> Value {
    let (status, made) =
        delivery::call(server, "POST", "/v1.0/me/messages", json!({"subject": "canary-of-the-subject"})).await;
    assert_eq!(status, 201, "{made}");
    made
}

/// A request without a token that says of which trace it is.
async fn ask(server: &Running, path: &str, traceparent: &str) {
    let request = Request::builder()
        .uri(format!("http://{}{path}", server.listen.http[0]))
        .header("traceparent", traceparent)
        .header("tracestate", "vendor=canary-of-the-state")
        .header(header::USER_AGENT, "canary-of-the-agent")
        .body(Full::<Bytes>::default())
        .unwrap();
    Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
}

const PARENT: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn requests_commits_and_attempts_are_spans_named_by_the_conventions() {
    let (mut collector, (url, mut notifications)) = (Collector::start(Manner::Takes).await, receiver().await);
    let server = start(traced(&section(&collector))).await.unwrap();
    subscribe(&server, &url).await;
    write(&server).await;
    notifications.recv().await.unwrap();
    ask(&server, "/v1.0/me/messages", &format!("00-{PARENT}-00f067aa0ba902b7-01")).await;
    server.drain().await;

    let requests = collector.got();
    let exported = ExportTraceServiceRequest::decode(requests[0].1.clone()).unwrap();
    assert_eq!(requests[0].0[header::CONTENT_TYPE], "application/x-protobuf");
    let resource = attributes(&exported.resource_spans[0].resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "tidings");
    let scopes = exported.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let spans: Vec<Span> = scopes.flat_map(|scope| scope.spans).collect();
    let mut all: Vec<Value> = spans.iter().map(shown).collect();
    all.sort_by_key(Value::to_string);
    insta::assert_json_snapshot!(all);

    let one = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (request, commit) = (one("POST /messages"), one("COMMIT"));
    assert_eq!((&commit.trace_id, &commit.parent_span_id), (&request.trace_id, &request.span_id));
    let asked: String = one("GET /messages").trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(asked, PARENT, "the caller's trace goes on");
    assert!(one("POST").parent_span_id.is_empty(), "the log does not say which request a change came from");
}

/// A commit that fails and a batch of several are left to the tests beside the code.
#[tokio::test]
async fn what_is_exported_is_what_the_catalogue_says() {
    let (mut collector, (url, mut posts)) = (Collector::start(Manner::Takes).await, refusing_once().await);
    let server = start(traced(&section(&collector))).await.unwrap();
    subscribe(&server, &url).await;
    write(&server).await;
    posts.recv().await.unwrap();
    delivery::administer(&server, "POST", "/admin/clock/advance", json!({"by": "30s"})).await;
    posts.recv().await.unwrap();
    server.state.telemetry.readiness.drain();
    ask(&server, "/readyz", "").await;
    server.drain().await;
    let mut unseen = SPANS.map(|kind| kind.attributes.iter().copied().collect::<BTreeSet<_>>());
    for span in collector.spans() {
        let nth = ["{method} {route}", "COMMIT", "POST"].iter().position(|name| *name == span.name).unwrap_or(0);
        let (known, kind) = (SPANS[nth].attributes, SPANS[nth].kind);
        assert_eq!(span.kind().as_str_name(), format!("SPAN_KIND_{}", kind.to_uppercase()), "{}", span.name);
        for name in attributes(&span.attributes).keys() {
            assert!(known.contains(&name.as_str()), "{} has {name}", span.name);
            unseen[nth].remove(name.as_str());
        }
    }
    assert_eq!(unseen, [[].into(), ["error.type"].into(), ["messaging.batch.message_count"].into()]);
}

#[tokio::test]
async fn a_receiver_that_refuses_is_an_error_and_the_next_try_is_counted() {
    let mut collector = Collector::start(Manner::Takes).await;
    let server = start(traced(&section(&collector))).await.unwrap();
    let (url, mut posts) = refusing_once().await;
    subscribe(&server, &url).await;
    write(&server).await;
    let first = posts.recv().await.unwrap();
    delivery::administer(&server, "POST", "/admin/clock/advance", json!({"by": "30s"})).await;
    let second = posts.recv().await.unwrap();
    server.drain().await;
    let mut attempts = collector.spans();
    attempts.retain(|span| span.name == "POST");
    attempts.sort_by_key(|span| span.start_time_unix_nano);
    let told: Vec<_> = attempts.iter().map(|span| attributes(&span.attributes)).collect();
    let of = |name: &str| told.iter().map(|attributes| attributes.get(name).cloned()).collect::<Vec<_>>();
    assert_eq!(of("http.response.status_code"), [Some(json!(503)), Some(json!(200))]);
    assert_eq!(of("error.type"), [Some(json!("503")), None]);
    assert_eq!(of("http.request.resend_count"), [None, Some(json!(1))]);
    for (span, sent) in attempts.iter().zip([first, second]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(sent.unwrap(), format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)));
    }
}

/// A receiver that refuses what it is sent first, with the `traceparent` of each request.
async fn refusing_once() -> (String, mpsc::UnboundedReceiver<Option<String>>) {
    type Shared = (mpsc::UnboundedSender<Option<String>>, Arc<AtomicBool>);
    async fn hook(
        State((seen, refused)): State<Shared>,
        RawQuery(query): RawQuery,
        headers: HeaderMap,
    ) -> (StatusCode, String) {
        let query = query.unwrap_or_default();
        let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "validationToken");
        if let Some((_, token)) = token {
            return (StatusCode::OK, token.into_owned());
        }
        seen.send(headers.get("traceparent").map(|parent| parent.to_str().unwrap().to_owned())).unwrap();
        let status = match refused.swap(true, Ordering::Relaxed) {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, String::new())
    }
    let (seen, posts) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?code=canary-of-the-url", listener.local_addr().unwrap());
    let router = Router::new().route("/hook", post(hook)).with_state((seen, Arc::default()));
    tokio::spawn(axum::serve(listener, router).into_future());
    (url, posts)
}

#[tokio::test]
async fn secrets_in_traces_are_not_found_nor_who_they_tell_of() {
    let directory = tempfile::tempdir().unwrap();
    let headers = directory.path().join("headers");
    fs::write(&headers, "api-key: canary-of-the-collector\n").unwrap();
    fs::set_permissions(&headers, fs::Permissions::from_mode(0o600)).unwrap();
    let (mut collector, (url, mut notifications)) = (Collector::start(Manner::Takes).await, receiver().await);
    let section = Section { otlp_headers_file: Some(headers), ..section(&collector) };
    let server = start(traced(&section)).await.unwrap();
    let subscription = subscribe(&server, &format!("{url}?code=canary-of-the-url")).await;
    let message = write(&server).await;
    notifications.recv().await.unwrap();
    let id = message["id"].as_str().unwrap();
    for path in [
        format!(
            "/v1.0/users/megan@contoso.test/messages/{id}?$select=subject&$filter=subject%20eq%20'canary-of-the-query'"
        ),
        "/v1.0/canary-of-the-path".to_owned(),
    ] {
        delivery::call(&server, "GET", &path, json!({})).await;
        ask(&server, &path, &format!("00-{PARENT}-00f067aa0ba902b7-01")).await;
    }
    server.drain().await;
    let requests = collector.got();
    assert!(requests.iter().all(|(headers, _)| headers["api-key"] == "canary-of-the-collector"));
    let exported: Vec<u8> = requests.iter().flat_map(|(_, body)| body.to_vec()).collect();
    let exported = String::from_utf8_lossy(&exported);
    assert!(exported.contains("/messages/{message-id}"), "{exported}");
    for secret in ["canary", "contoso", "megan", "Bearer", id, subscription["id"].as_str().unwrap()] {
        assert!(!exported.contains(secret), "{secret} is exported: {exported}");
    }
}

#[tokio::test]
async fn a_collector_that_cannot_be_reached_changes_nothing_but_a_counter() {
    let (gone, (url, mut notifications)) = (Collector::start(Manner::Takes).await, receiver().await);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let section = Section { otlp_endpoint: Some(format!("http://{nobody}")), ..section(&gone) };
    let server = start(traced(&section)).await.unwrap();
    let state = server.state.clone();
    subscribe(&server, &url).await;
    write(&server).await;
    notifications.recv().await.unwrap();
    server.drain().await;
    let told = state.telemetry.render(None, state.store.counters());
    assert!(told.contains("tidings_trace_spans_total{result=\"exported\"} 0"), "{told}");
    assert!(!told.contains("tidings_trace_spans_total{result=\"failed\"} 0"), "{told}");
}

#[tokio::test]
async fn flood_of_traces_to_a_collector_that_hangs_holds_up_no_delivery_and_is_counted() {
    let (mut collector, (url, mut notifications)) = (Collector::start(Manner::Hangs).await, receiver().await);
    let limits = Limits { queued_spans_max: 2, batch_spans_max: 1, flush_max: Duration::ZERO, ..Limits::default() };
    let server = start(with_limits(traced(&section(&collector)), limits)).await.unwrap();
    subscribe(&server, &url).await;
    collector.requests.recv().await.unwrap();
    for _ in 0..5 {
        write(&server).await;
        notifications.recv().await.unwrap();
    }
    assert!(counted(&server, "dropped") >= 5, "the queue is full");
    assert_eq!((counted(&server, "exported"), counted(&server, "failed")), (0, 0));
    server.drain().await;
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_as_failed() {
    for (manner, failed) in [(Manner::Refuses, 2), (Manner::Rejects(1), 1)] {
        let collector = Collector::start(manner).await;
        let server = start(traced(&section(&collector))).await.unwrap();
        write(&server).await;
        let state = server.state.clone();
        server.drain().await;
        let told = state.telemetry.render(None, state.store.counters());
        let line = format!("tidings_trace_spans_total{{result=\"failed\"}} {failed}");
        assert!(told.contains(&line), "no {line} in {told}");
    }
}

#[tokio::test]
async fn only_what_is_sampled_is_exported_and_callers_are_followed() {
    let mut collector = Collector::start(Manner::Takes).await;
    let section = Section { sample_ratio: 0.0, ..section(&collector) };
    let server = start(traced(&section)).await.unwrap();
    write(&server).await;
    ask(&server, "/healthz", &format!("00-{PARENT}-00f067aa0ba902b7-00")).await;
    ask(&server, "/v1.0/me", &format!("00-{PARENT}-00f067aa0ba902b7-01")).await;
    for odd in ["", "00", "00-canary-canary-01", "ff-0-0-0", &"0".repeat(5_000)] {
        ask(&server, "/readyz", odd).await;
    }
    server.drain().await;
    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["GET /users/{user-id}"]);
}

#[tokio::test]
async fn nothing_is_exported_and_receivers_are_told_of_no_trace_unless_it_is_asked_for() {
    let (mut collector, (url, mut posts)) = (Collector::start(Manner::Takes).await, refusing_once().await);
    let server = start(traced(&Section::default())).await.unwrap();
    subscribe(&server, &url).await;
    write(&server).await;
    assert_eq!(posts.recv().await.unwrap(), None);
    assert_eq!([counted(&server, "exported"), counted(&server, "dropped"), counted(&server, "failed")], [0; 3]);
    server.drain().await;
    assert!(collector.got().is_empty());
}
