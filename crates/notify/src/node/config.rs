//! The limits that a node works within.

use crate::health::HealthLimits;
use crate::reauthorization::Cadence;

/// Limits of one node. Times are in microseconds.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// How long a lease lasts, and how often it is extended.
    pub lease_micros: u64,
    pub renew_micros: u64,
    /// How often an unowned partition is asked for.
    pub acquire_micros: u64,
    /// How often the log of each partition is looked at without a hint.
    pub poll_micros: u64,
    /// Attempts in flight, in all and to one origin (scheme, host, port).
    pub attempts_max: u32,
    pub attempts_per_origin_max: u32,
    /// Notifications in one attempt, and the estimated bytes of its body.
    pub batch_max: u16,
    pub batch_bytes_max: usize,
    /// The most sealed content that one notification carries, as text.
    pub content_bytes_max: usize,
    /// The time that attempts may take, and what follows for an endpoint that takes longer.
    pub health: HealthLimits,
    /// Counted from the match, after which a delivery is given up.
    pub horizon_micros: i64,
    /// Counted from when an event was given up, after which nobody tries any more to keep it as a dead letter.
    pub dead_letter_micros: i64,
    /// When apps are asked to reauthorize.
    pub cadence: Cadence,
    /// How long a subscription goes on after its app has lost access, unless that reauthorizes.
    pub grace_micros: i64,
    /// A delivery unfinished for so long is parked.
    pub park_micros: u64,
    /// The oldest unrecorded outcome waits at most so long for a checkpoint.
    pub checkpoint_micros: u64,
    /// What one stream may have parked, by estimate. Beyond it the oldest are given up.
    pub parked_bytes_max: u64,
    /// Deliveries of one stream held in memory; more lie in the store.
    pub stream_share_max: usize,
    /// Deliveries in memory that are not parked; beyond them no record is matched. It is what can be
    /// sent before parking is due, so that a backlog of healthy endpoints stays in the log.
    pub unparked_max: usize,
    /// Deliveries, and records not yet passed by a cursor, held in memory; then the log is the queue. Before that, what is
    /// parked is let go.
    pub deliveries_max: usize,
    pub window_max: usize,
    /// Records and parked deliveries read at once.
    pub read_records: usize,
    pub read_parked: usize,
    #[cfg(feature = "planted-faults")]
    pub fault: Option<super::Fault>,
}

impl NodeConfig {
    /// For the only node of a store, in the process that holds it. Hints come from that process, so that what is read
    /// without one is nearly always what is known; and no other node waits for the leases. It asks rarely, so that a
    /// server to which nothing happens sleeps.
    pub fn alone(self) -> Self {
        Self { renew_micros: 10_000_000, poll_micros: 60_000_000, ..self }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            // An attempt begins only if the lease outlasts it: the longest, one to push, takes half a minute.
            lease_micros: 50_000_000,
            renew_micros: 5_000_000,
            acquire_micros: 2_000_000,
            poll_micros: 10_000_000,
            attempts_max: 1_024,
            attempts_per_origin_max: 64,
            batch_max: 100,
            batch_bytes_max: 1 << 20,
            // Above it services that hand notifications on put content elsewhere; Graph states no limit for webhooks.
            content_bytes_max: 1 << 20,
            health: HealthLimits::documented(),
            // "up to 4 hours": every copy of the webhook delivery guide.
            horizon_micros: 4 * 3_600 * 1_000_000,
            // "If the store is unavailable for 4 hours, the event is dropped": Event Grid's page on dead letters.
            dead_letter_micros: 4 * 3_600 * 1_000_000,
            cadence: Cadence::published(),
            // "notifications may go on for a while": the guide to lifecycle events; the figure is the time between two of
            // its questions.
            grace_micros: 15 * 60 * 1_000_000,
            park_micros: 500_000,
            checkpoint_micros: 50_000,
            // Some hundred thousand notifications without content.
            parked_bytes_max: 64 << 20,
            stream_share_max: 2_048,
            unparked_max: 2_048,
            deliveries_max: 65_536,
            window_max: 65_536,
            read_records: 1_000,
            read_parked: 1_000,
            #[cfg(feature = "planted-faults")]
            fault: None,
        }
    }
}
