//! How long what is due has been waiting for its attempt: what a watchdog looks at. It is worked out when somebody asks.

use super::machine::{Node, NodeStats};
use super::owned::Owned;
use super::stream::{Class, StreamState};
use crate::Now;

impl Node {
    /// What the node holds at `now`, with how long the oldest delivery that is due has waited.
    pub fn stats_at(&self, now: Now) -> NodeStats {
        NodeStats { oldest_due_micros: self.oldest_due_micros(now), ..self.stats() }
    }

    /// For how long that delivery has waited for its attempt that has waited longest, of those whose time has come.
    /// What an endpoint is spared on purpose, by its health or behind a delivery that failed, is not due.
    pub fn oldest_due_micros(&self, now: Now) -> u64 {
        if self.draining {
            return 0;
        }
        let of = |owned: &Owned| {
            let streams = owned.streams.values();
            // Before that another node was to send it, or none ran.
            let most = now.mono.since(owned.taken);
            streams.filter_map(|state| state.due_for(now, self.class_of(state, now))).max().map(|age| age.min(most))
        };
        self.partitions.values().filter_map(of).max().unwrap_or_default()
    }

    fn class_of(&self, state: &StreamState, now: Now) -> Option<Class> {
        state.class(now.mono, &self.config)
    }
}
