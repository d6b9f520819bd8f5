//! What a running server tells its operator: metrics for Prometheus, and whether it is ready.
//!
//! Whoever does something says so here, in the words of what was done; how that is counted is known here alone. Nothing
//! is looked up where it is hot: handles are made once. What the node and the store hold is asked for when somebody
//! reads ([`Telemetry::render`]).

pub mod catalogue;
mod process;
pub mod readiness;
mod registry;
pub mod traces;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use graph::{SubscriptionId, Timestamp};
use http::{Method, StatusCode};
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::BuildError;
use notify::node::{NodeStats, Outcome};
use notify::retention::{Full, Limits};
use notify::{AbandonReason, LedgerDelta, LifecycleEvent, Position, Record};
use protocol::HandshakeError;
use store::{Counters, Transacted};

use crate::admin;
use process::Process;
use readiness::Readiness;
use registry::{ByLabel, Registry};

/// How often samples are counted into their buckets, so that they do not pile up while nobody reads.
pub const UPKEEP_PAUSE: Duration = Duration::from_secs(5);

const MICROS: f64 = 1e6;

/// The metrics and the readiness of one server.
pub struct Telemetry {
    registry: Registry,
    pub readiness: Readiness,
    answered: RwLock<HashMap<Answered, Histogram>>,
    tokens: ByLabel<Counter>,
    lmtp: ByLabel<Counter>,
    handshakes: ByLabel<Counter>,
    records: ByLabel<Counter>,
    lifecycle: ByLabel<Counter>,
    commit_verbs: Histogram,
    commit_duration: Histogram,
    store_errors: ByLabel<Counter>,
    checkpoints: ByLabel<Histogram>,
    matches: Counter,
    deliveries: Counter,
    abandoned: ByLabel<Counter>,
    attempts: ByLabel<Histogram>,
    attempt_notifications: Histogram,
    latency: Histogram,
    attempt_log: ByLabel<Counter>,
    spans: ByLabel<Counter>,
}

/// Which requests are counted together: method, route and class of the status.
type Answered = (&'static str, &'static str, &'static str);

const RECORDS: [&str; 7] = ["change", "ingested", "subscription", "lifecycle", "submission", "replay", "event"];
/// What attempts come to.
pub const OUTCOMES: [&str; 8] =
    ["acknowledged", "refused", "timed_out", "unreachable", "unresolved", "forbidden", "not_sent", "delayed"];
const HANDSHAKES: [&str; 8] = ["valid", "refused_url", "status", "answer", "timed_out", "tls", "name", "connection"];
/// What can fail in the store, as far as the engine asks for it.
pub const OPERATIONS: [&str; 5] = ["write", "read_log", "read_state", "read_parked", "lease"];
/// How mail to one recipient is answered.
pub const LMTP: [&str; 4] = ["stored", "duplicate", "refused", "later"];

impl Telemetry {
    /// `now`: when the server starts.
    pub fn new(now: Timestamp) -> Result<Arc<Self>, BuildError> {
        let registry = Registry::new()?;
        registry.gauge("tidings_build_info", &[env!("CARGO_PKG_VERSION")]).set(1);
        registry.gauge("process_start_time_seconds", &[]).set(now.as_micros() as f64 / MICROS);
        let lifecycle = [
            LifecycleEvent::Missed.as_str(),
            LifecycleEvent::SubscriptionRemoved.as_str(),
            LifecycleEvent::ReauthorizationRequired.as_str(),
        ];
        Ok(Arc::new(Self {
            readiness: Readiness::default(),
            answered: RwLock::default(),
            tokens: registry.counters("tidings_tokens_issued_total", &["app", "user"]),
            lmtp: registry.counters("tidings_lmtp_recipients_total", &LMTP),
            handshakes: registry.counters("tidings_handshakes_total", &HANDSHAKES),
            records: registry.counters("tidings_log_records_total", &RECORDS),
            lifecycle: registry.counters("tidings_lifecycle_notifications_total", &lifecycle),
            commit_verbs: registry.histogram("tidings_store_commit_verbs", &[]),
            commit_duration: registry.histogram("tidings_store_commit_duration_seconds", &[]),
            store_errors: registry.counters("tidings_store_errors_total", &OPERATIONS),
            checkpoints: registry.histograms("tidings_checkpoint_duration_seconds", &["recorded", "failed"]),
            matches: registry.counter("tidings_matches_total", &[]),
            deliveries: registry.counter("tidings_deliveries_total", &[]),
            abandoned: registry
                .counters("tidings_deliveries_abandoned_total", &AbandonReason::ALL.map(admin::reason_name)),
            attempts: registry.histograms("tidings_attempt_duration_seconds", &OUTCOMES),
            attempt_notifications: registry.histogram("tidings_attempt_notifications", &[]),
            latency: registry.histogram("tidings_delivery_latency_seconds", &[]),
            attempt_log: registry.counters("tidings_attempt_log_entries_total", &["written", "dropped", "failed"]),
            spans: registry.counters("tidings_trace_spans_total", &["exported", "dropped", "failed"]),
            registry,
        }))
    }

    /// A request of the API was answered. `route` is a template, never what was sent.
    pub fn answered(&self, method: &Method, route: &'static str, status: StatusCode, took: Duration) {
        let key = (method_name(method), route, class(status));
        if let Some(known) = self.answered.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.record(took);
        }
        let mut answered = self.answered.write().unwrap_or_else(PoisonError::into_inner);
        let made = answered.entry(key).or_insert_with(|| {
            self.registry.histogram("tidings_http_request_duration_seconds", &[key.0, key.1, key.2])
        });
        made.record(took);
    }

    /// An access token was given out: to an app for itself, or for a user.
    pub fn token_issued(&self, for_user: bool) {
        count(&self.tokens, if for_user { "user" } else { "app" }, 1);
    }

    /// Mail to one recipient was answered with one of [`LMTP`].
    pub fn mail_answered(&self, result: &'static str) {
        count(&self.lmtp, result, 1);
    }

    pub fn shook_hands(&self, result: &Result<(), HandshakeError>) {
        count(&self.handshakes, handshake(result), 1);
    }

    /// The store has committed these.
    pub fn published(&self, records: &[(Position, Arc<Record>)]) {
        let mut counts = [0; RECORDS.len()];
        for (_, record) in records {
            let kind = match &**record {
                Record::Change(_) => 0,
                Record::Ingested(_) => 1,
                Record::Subscription { .. } => 2,
                Record::Lifecycle { event, .. } => {
                    count(&self.lifecycle, event.as_str(), 1);
                    3
                }
                Record::Submit(_) => 4,
                Record::Replayed { .. } => 5,
                Record::Event(_) => 6,
            };
            counts[kind] += 1;
        }
        for (kind, records) in RECORDS.into_iter().zip(counts).filter(|(_, records)| *records > 0) {
            count(&self.records, kind, records);
        }
    }

    /// The store's writer has ended a transaction.
    pub fn transacted(&self, transacted: Transacted) {
        match transacted {
            Transacted::Committed { verbs, took } => {
                self.commit_verbs.record(verbs as f64);
                self.commit_duration.record(took);
            }
            Transacted::Failed => count(&self.store_errors, "write", 1),
        }
    }

    /// The store could not do one of [`OPERATIONS`] for the engine.
    pub fn store_failed(&self, operation: &'static str) {
        count(&self.store_errors, operation, 1);
    }

    /// A checkpoint was answered; `recorded`: what it adds to ledgers, unless it failed.
    pub fn checkpointed(&self, took: Duration, recorded: Option<&BTreeMap<SubscriptionId, LedgerDelta>>) {
        let result = if recorded.is_some() { "recorded" } else { "failed" };
        if let Some(durations) = self.checkpoints.with(result) {
            durations.record(took);
        }
        let mut sum = LedgerDelta::default();
        recorded.into_iter().flat_map(BTreeMap::values).for_each(|delta| sum.add(delta));
        self.matches.increment(sum.matched);
        self.deliveries.increment(sum.delivered);
        for (reason, deliveries) in sum.abandoned {
            count(&self.abandoned, admin::reason_name(reason), deliveries);
        }
    }

    /// An attempt that carried so many notifications has ended.
    pub fn attempted(&self, outcome: Outcome, notifications: usize, took: Duration) {
        if let Some(durations) = self.attempts.with(outcome_name(outcome)) {
            durations.record(took);
        }
        self.attempt_notifications.record(notifications as f64);
    }

    /// So many entries of the attempt log were written, dropped because too many waited, or not taken by the disk.
    pub fn attempts_logged(&self, result: &'static str, entries: u64) {
        count(&self.attempt_log, result, entries);
    }

    /// So many spans were exported, dropped because too many waited, or not taken by the collector.
    pub fn spans_ended(&self, result: &'static str, spans: u64) {
        count(&self.spans, result, spans);
    }

    /// What happened at these times was acknowledged now.
    pub fn acknowledged(&self, happened: &[Timestamp], now: Timestamp) {
        for at in happened {
            self.latency.record(now.since(*at).max(0) as f64 / MICROS);
        }
    }

    /// Counts samples into their buckets.
    pub fn run_upkeep(&self) {
        self.registry.run_upkeep();
    }

    /// Everything in the text format of Prometheus. `node` is what the node holds, unless it has stopped.
    pub fn render(&self, node: Option<NodeStats>, store: Counters) -> String {
        self.read_node(node.unwrap_or_default());
        let absolute = |name, values: &[&'static str], total| self.registry.counter(name, values).absolute(total);
        absolute("tidings_store_commits_total", &[], store.commits);
        absolute("tidings_store_rows_total", &["log"], store.log_rows);
        absolute("tidings_store_rows_total", &["item"], store.item_rows);
        absolute("tidings_store_rows_total", &["parked"], store.parked_rows);
        let Process { cpu_seconds, resident_bytes, open_fds, max_fds } = Process::now();
        let told = [
            ("process_cpu_seconds_total", cpu_seconds),
            ("process_resident_memory_bytes", resident_bytes),
            ("process_open_fds", open_fds),
            ("process_max_fds", max_fds),
        ];
        for (name, value) in told {
            if let Some(value) = value {
                self.registry.gauge(name, &[]).set(value);
            }
        }
        self.registry.render()
    }

    /// So full were the logs when they were looked at last, and this bounds them.
    pub fn log_was(&self, full: &Full, limits: Limits) {
        let held = [
            ("tidings_log_bytes", full.bytes),
            ("tidings_log_uncut_bytes", full.uncut_bytes),
            ("tidings_log_bytes_limit", limits.bytes_max.unwrap_or_default()),
            ("tidings_partitions_full", full.writes.len() as u64),
            ("tidings_partitions_full_of_events", full.events.len() as u64),
        ];
        for (name, value) in held {
            self.registry.gauge(name, &[]).set(value as f64);
        }
    }

    fn read_node(&self, node: NodeStats) {
        let parked = node.deliveries_in_memory.saturating_sub(node.deliveries_unparked);
        let held = [
            ("tidings_partitions_held", node.partitions as u64),
            ("tidings_subscriptions", node.subscriptions as u64),
            ("tidings_log_records_unmatched", node.records_behind),
            ("tidings_log_records_unpassed", node.records_unpassed),
            ("tidings_log_records_unpassed_max", node.records_unpassed_max),
            ("tidings_deliveries_in_memory", node.deliveries_in_memory as u64),
            ("tidings_deliveries_parked_in_memory", parked as u64),
            ("tidings_streams_spilled", node.streams_spilled as u64),
            ("tidings_parked_bytes", node.parked_bytes),
            ("tidings_parked_bytes_max", node.parked_bytes_max),
            ("tidings_attempts_in_flight", node.attempts_in_flight as u64),
            ("tidings_endpoints_slow", node.endpoints_slow as u64),
            ("tidings_endpoints_dropping", node.endpoints_dropping as u64),
        ];
        for (name, value) in held {
            self.registry.gauge(name, &[]).set(value as f64);
        }
        let oldest = node.oldest_due_micros as f64 / MICROS;
        self.registry.gauge("tidings_oldest_due_delivery_age_seconds", &[]).set(oldest);
    }
}

fn count(counters: &ByLabel<Counter>, value: &str, more: u64) {
    debug_assert!(counters.with(value).is_some(), "{value} is a value of the label");
    if let Some(counter) = counters.with(value) {
        counter.increment(more);
    }
}

/// The methods that there are, so that callers do not make labels.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

pub fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Acknowledged => "acknowledged",
        Outcome::Refused { .. } => "refused",
        Outcome::TimedOut => "timed_out",
        Outcome::Unreachable => "unreachable",
        Outcome::Unresolved => "unresolved",
        Outcome::Forbidden => "forbidden",
        Outcome::NotSent => "not_sent",
        Outcome::Delayed { .. } => "delayed",
    }
}

fn handshake(result: &Result<(), HandshakeError>) -> &'static str {
    match result {
        Ok(()) => "valid",
        Err(HandshakeError::Url { .. } | HandshakeError::Scheme(_) | HandshakeError::LocalAddress) => "refused_url",
        Err(HandshakeError::Status(_)) => "status",
        Err(HandshakeError::ContentType | HandshakeError::Body) => "answer",
        Err(HandshakeError::TimedOut) => "timed_out",
        Err(HandshakeError::Tls) => "tls",
        Err(HandshakeError::Name(_)) => "name",
        Err(HandshakeError::Connect | HandshakeError::Broken) => "connection",
    }
}

#[cfg(test)]
mod tests;
