//! Every metric that is told: name, kind, labels, meaning. `docs/operations.md` says what to do about each; a test holds
//! the two together. Labels come from small fixed sets: never an id, a URL or anything that a caller sends.

/// How a metric is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With the upper ends of its buckets.
    Histogram(&'static [f64]),
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// From a tenth of a millisecond to ten seconds: what a disk, a request or a receiver takes.
const SECONDS: Kind = Kind::Histogram(&[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]);
/// From a millisecond to the four hours for which is tried.
const LATENCIES: Kind = Kind::Histogram(&[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
    14_400.0,
]);
const SIZES: Kind = Kind::Histogram(&[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]);

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    metric(name, Kind::Counter, labels, help)
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    metric(name, Kind::Gauge, &[], help)
}

/// In the order of the pages that tell of them.
pub const METRICS: &[Metric] = &[
    metric("tidings_build_info", Kind::Gauge, &["version"], "Always 1; the label says which release runs"),
    // --- what comes in ---
    metric(
        "tidings_http_request_duration_seconds",
        SECONDS,
        &["method", "route", "status"],
        "Answered requests of the API: from the end of the head to the answer; status is the class",
    ),
    counter("tidings_tokens_issued_total", &["grant"], "Access tokens that the built-in issuer gave out"),
    counter("tidings_lmtp_recipients_total", &["result"], "Recipients of mail by LMTP, by the answer that they got"),
    counter("tidings_handshakes_total", &["result"], "Handshakes with receivers before a subscription exists"),
    // --- the store ---
    counter("tidings_log_records_total", &["kind"], "Records committed to the log"),
    counter("tidings_lifecycle_notifications_total", &["event"], "Lifecycle notifications committed to the log"),
    counter("tidings_store_commits_total", &[], "Transactions that wrote something, each with one sync"),
    counter("tidings_store_rows_total", &["table"], "Rows written to the log, as items and as parked deliveries"),
    metric("tidings_store_commit_verbs", SIZES, &[], "Writes that shared a transaction and its sync"),
    metric(
        "tidings_store_commit_duration_seconds",
        SECONDS,
        &[],
        "Transactions, from their begin to the end of the sync",
    ),
    counter(
        "tidings_store_errors_total",
        &["operation"],
        "Transactions that the disk did not take, and reads that failed",
    ),
    gauge("tidings_log_bytes", "What all logs take, by estimate, as of the last look every few minutes"),
    gauge("tidings_log_uncut_bytes", "What of it cannot be cut: no checkpoint has passed it, or a topic keeps events"),
    gauge("tidings_log_bytes_limit", "retention.log_bytes_max; 0: there is none"),
    gauge("tidings_partitions_full", "Partitions that take no writes because the log is too long"),
    gauge("tidings_partitions_full_of_events", "Partitions that take no events into topics for that reason"),
    // --- the node ---
    gauge("tidings_partitions_held", "Partitions of which this node has the lease, of 256"),
    gauge("tidings_subscriptions", "Subscriptions that this node knows; ended ones until what they owe is done"),
    gauge("tidings_log_records_unmatched", "Records that are known of and not matched yet"),
    gauge("tidings_log_records_unpassed", "Records that no checkpoint has passed: the log's heads less the cursors"),
    gauge("tidings_log_records_unpassed_max", "The same of the partition that has most"),
    gauge("tidings_deliveries_in_memory", "Unfinished deliveries that the node holds"),
    gauge("tidings_deliveries_parked_in_memory", "Those of them that have a row in the store"),
    gauge("tidings_streams_spilled", "Subscriptions' streams of which a part lies only in the store"),
    gauge("tidings_parked_bytes", "What parked deliveries take, by estimate, wherever they lie"),
    gauge("tidings_parked_bytes_max", "The same of the subscription's stream that has most"),
    metric(
        "tidings_checkpoint_duration_seconds",
        SECONDS,
        &["result"],
        "Checkpoints, from the command to the store's answer",
    ),
    gauge(
        "tidings_oldest_due_delivery_age_seconds",
        "How long the oldest delivery that is due has waited for its attempt",
    ),
    counter("tidings_matches_total", &[], "Matches of changes and subscriptions that checkpoints recorded"),
    counter("tidings_deliveries_total", &[], "Deliveries that checkpoints recorded as acknowledged"),
    counter("tidings_deliveries_abandoned_total", &["reason"], "Deliveries that checkpoints recorded as given up"),
    // --- what goes out ---
    gauge("tidings_attempts_in_flight", "Requests to receivers that are under way"),
    gauge("tidings_endpoints_slow", "Endpoints that answer slowly: new notifications for them are held"),
    gauge("tidings_endpoints_dropping", "Endpoints that hardly answer: new notifications for them are given up"),
    metric("tidings_attempt_duration_seconds", SECONDS, &["outcome"], "Attempts: one request to a receiver each"),
    metric("tidings_attempt_notifications", SIZES, &[], "Notifications that one attempt carries"),
    metric(
        "tidings_delivery_latency_seconds",
        LATENCIES,
        &[],
        "From a change to the acknowledgement of what tells of it, by the wall clock",
    ),
    counter("tidings_attempt_log_entries_total", &["result"], "Entries of the attempt log, by what became of them"),
    counter("tidings_trace_spans_total", &["result"], "Spans for the collector of traces, by what became of them"),
    // --- the process, as every exporter names these ---
    // It has fractions, which no counter of the library has.
    gauge("process_cpu_seconds_total", "User and system time of the process"),
    gauge("process_resident_memory_bytes", "Resident memory of the process"),
    gauge("process_open_fds", "Open file descriptors"),
    gauge("process_max_fds", "The most file descriptors that the process may have"),
    gauge("process_start_time_seconds", "When the server started, in seconds since 1970"),
];

/// The metric of this name.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_prometheus_conventions() {
        for Metric { name, kind, labels, help } in METRICS {
            assert!(name.starts_with("tidings_") || name.starts_with("process_"), "{name}");
            let counts = *kind == Kind::Counter || *name == "process_cpu_seconds_total";
            assert_eq!(counts, name.ends_with("_total"), "{name}");
            assert!(!help.ends_with('.') && !help.is_empty(), "{name}");
            assert!(labels.iter().all(|label| !["subscription", "app", "url", "id"].contains(label)), "{name}");
            if let Kind::Histogram(buckets) = kind {
                assert!(buckets.is_sorted_by(|a, b| a < b), "{name}");
            }
        }
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "each name stands once");
    }
}
