use std::collections::BTreeSet;

use graph::ChangeId;
use notify::node::NodeStats;
use uuid::Uuid;

use super::catalogue::METRICS;
use super::*;

const OPERATIONS_MD: &str = include_str!("../../../../docs/operations.md");

fn telemetry() -> Arc<Telemetry> {
    Telemetry::new(Timestamp::from_seconds(1_795_255_200)).unwrap()
}

fn told(telemetry: &Telemetry) -> String {
    telemetry.log_was(&Full::default(), Limits { age_micros: 1, bytes_max: None });
    telemetry.render(Some(NodeStats::default()), Counters::default())
}

#[track_caller]
fn assert_tells(told: &str, lines: &[&str]) {
    for line in lines {
        assert!(told.lines().any(|told| told == *line), "no line {line:?} in\n{told}");
    }
}

/// Everything that can happen, once.
fn busy() -> Arc<Telemetry> {
    let telemetry = telemetry();
    telemetry.answered(&Method::GET, "/messages", StatusCode::OK, Duration::from_micros(1_500));
    telemetry.token_issued(true);
    telemetry.mail_answered("stored");
    telemetry.shook_hands(&Err(HandshakeError::Status(404)));
    let (id, subscription, event) = (ChangeId(Uuid::nil()), SubscriptionId(Uuid::nil()), LifecycleEvent::Missed);
    let record = Arc::new(Record::Lifecycle { id, subscription, event, cause: None });
    telemetry.published(&[(Position(1), Arc::clone(&record)), (Position(2), record)]);
    telemetry.transacted(Transacted::Committed { verbs: 3, took: Duration::from_millis(2) });
    telemetry.transacted(Transacted::Failed);
    telemetry.store_failed("read_log");
    let abandoned = BTreeMap::from([(AbandonReason::Horizon, 2)]);
    let delta = LedgerDelta { matched: 5, delivered: 3, parked: 0, abandoned };
    telemetry.checkpointed(Duration::from_micros(700), Some(&BTreeMap::from([(subscription, delta)])));
    telemetry.checkpointed(Duration::from_micros(700), None);
    telemetry.attempted(Outcome::refused(503), 40, Duration::from_millis(20));
    let now = Timestamp::from_seconds(10);
    telemetry.acknowledged(&[Timestamp::from_seconds(8), Timestamp::from_seconds(11)], now);
    telemetry
}

#[test]
fn what_was_done_is_told() {
    assert_tells(
        &told(&busy()),
        &[
            r#"tidings_http_request_duration_seconds_bucket{method="GET",route="/messages",status="2xx",le="0.001"} 0"#,
            r#"tidings_http_request_duration_seconds_bucket{method="GET",route="/messages",status="2xx",le="0.0025"} 1"#,
            r#"tidings_tokens_issued_total{grant="user"} 1"#,
            r#"tidings_lmtp_recipients_total{result="stored"} 1"#,
            r#"tidings_handshakes_total{result="status"} 1"#,
            r#"tidings_log_records_total{kind="lifecycle"} 2"#,
            r#"tidings_lifecycle_notifications_total{event="missed"} 2"#,
            r#"tidings_store_commit_verbs_sum 3"#,
            r#"tidings_store_errors_total{operation="write"} 1"#,
            r#"tidings_store_errors_total{operation="read_log"} 1"#,
            r#"tidings_checkpoint_duration_seconds_count{result="recorded"} 1"#,
            r#"tidings_checkpoint_duration_seconds_count{result="failed"} 1"#,
            "tidings_matches_total 5",
            "tidings_deliveries_total 3",
            r#"tidings_deliveries_abandoned_total{reason="horizon"} 2"#,
            r#"tidings_deliveries_abandoned_total{reason="retention"} 0"#,
            r#"tidings_attempt_duration_seconds_count{outcome="refused"} 1"#,
            "tidings_attempt_notifications_sum 40",
            // The second one happened after now: the clock was set back, and that takes no time.
            r#"tidings_delivery_latency_seconds_bucket{le="0.001"} 1"#,
            r#"tidings_delivery_latency_seconds_bucket{le="2.5"} 2"#,
            "process_start_time_seconds 1795255200",
        ],
    );
}

#[test]
fn what_the_node_and_the_store_hold_is_read_when_somebody_asks() {
    let node = NodeStats {
        partitions: 256,
        deliveries_in_memory: 9,
        deliveries_unparked: 2,
        endpoints_slow: 3,
        endpoints_dropping: 1,
        oldest_due_micros: 2_500_000,
        ..NodeStats::default()
    };
    let store = Counters { commits: 4, log_rows: 6, ..Counters::default() };
    let told = telemetry().render(Some(node), store);
    let lines = [
        "tidings_partitions_held 256",
        "tidings_deliveries_parked_in_memory 7",
        "tidings_endpoints_slow 3",
        "tidings_endpoints_dropping 1",
        "tidings_oldest_due_delivery_age_seconds 2.5",
        "tidings_store_commits_total 4",
        r#"tidings_store_rows_total{table="log"} 6"#,
    ];
    assert_tells(&told, &lines);
}

#[test]
fn every_metric_is_told_with_its_kind_and_meaning() {
    let told = told(&busy());
    for metric in METRICS {
        let (name, help, kind) = (metric.name, metric.help, metric.kind.name());
        assert_tells(&told, &[&format!("# HELP {name} {help}"), &format!("# TYPE {name} {kind}")]);
    }
    let known: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    let types = told.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    assert_eq!(types.collect::<BTreeSet<_>>(), known, "nothing else is told");
}

#[test]
fn a_caller_makes_no_label() {
    let telemetry = telemetry();
    let method = Method::from_bytes(b"CANARY").unwrap();
    telemetry.answered(&method, "other", StatusCode::from_u16(799).unwrap(), Duration::ZERO);
    let told = told(&telemetry);
    assert!(!told.contains("CANARY") && !told.contains("799"), "{told}");
    assert!(told.contains(r#"{method="other",route="other",status="5xx"}"#), "{told}");
}

/// The page for operators has a row for each metric, in this order, with these words.
#[test]
fn the_page_for_operators_lists_what_is_told() {
    let rows = OPERATIONS_MD.lines().filter(|line| line.starts_with("| `tidings_") || line.starts_with("| `process_"));
    let told: Vec<String> = rows.map(|row| row.split(" | ").take(4).collect::<Vec<_>>().join(" | ")).collect();
    let row = |metric: &catalogue::Metric| {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {} | {labels} | {}", metric.name, metric.kind.name(), metric.help)
    };
    let expected: Vec<String> = METRICS.iter().map(row).collect();
    assert_eq!(told, expected, "the rows must begin so:\n{}", expected.join("\n"));
}

/// So it has for each span.
#[test]
fn the_page_for_operators_lists_what_is_traced() {
    let table =
        OPERATIONS_MD.split("| span | kind | parent | attributes |\n| --- | --- | --- | --- |\n").nth(1).unwrap();
    let told: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let row = |span: &traces::catalogue::SpanKind| {
        let attributes = span.attributes.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {} | {} | {attributes} |", span.name, span.kind, span.parent)
    };
    let expected: Vec<String> = traces::catalogue::SPANS.iter().map(row).collect();
    assert_eq!(told, expected, "the rows must be these:\n{}", expected.join("\n"));
}
