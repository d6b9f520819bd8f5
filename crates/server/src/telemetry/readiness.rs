//! Whether requests should come here: `/readyz` asks. What decides is a function of what is known at the moment.

use std::sync::atomic::{AtomicBool, Ordering};

use graph::PARTITIONS;
use notify::Monotonic;
use serde::Serialize;
use store::StoreHealth;

/// What is known without asking anybody.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
}

impl Readiness {
    /// The server has been told to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// What stands against requests; nothing: the server is ready. `full`: how many partitions take no writes; `leased`:
    /// when the first of the node's leases ends, if it holds any, unless it did not answer.
    pub fn failing(
        &self,
        (store, full): (StoreHealth, usize),
        leased: Option<Option<Monotonic>>,
        now: Monotonic,
    ) -> Vec<Failing> {
        failing(self.draining.load(Ordering::Relaxed), (store, full), leased, now)
    }
}

/// A check that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failing {
    pub check: &'static str,
    /// What it means, and what to do.
    pub detail: String,
}

const DRAINING: &str = "the server has been told to stop; send requests to another one";
const LOG: &str = "take no writes, since more is to be told than retention.log_bytes_max: see why the node is behind, or \
                   raise the limit; it goes on by itself once the node has caught up";
const ENGINE: &str = "the engine does not answer: if that lasts, it is a defect; restart the server, which continues from \
                      what is durable";
const LEASES: &str = "no partition is held, so nobody would be notified: right after the start this ends within seconds; \
                      otherwise the store does not renew leases, see the log";

fn failing(
    draining: bool,
    (store, full): (StoreHealth, usize),
    leased: Option<Option<Monotonic>>,
    now: Monotonic,
) -> Vec<Failing> {
    let holds = |until: Option<Monotonic>| until.is_some_and(|until| until > now);
    let checks = [
        (draining, "draining", DRAINING.to_owned()),
        (store != StoreHealth::Writable, "store", format!("the store is {store}: {}", store.advice())),
        // A few concern a few mailboxes; the others are served.
        (full * 2 > usize::from(PARTITIONS), "log", format!("{full} of {PARTITIONS} partitions {LOG}")),
        (leased.is_none(), "engine", ENGINE.to_owned()),
        (leased.is_some_and(|until| !holds(until)), "leases", LEASES.to_owned()),
    ];
    let fail = checks.into_iter().filter(|(fails, ..)| *fails);
    fail.map(|(_, check, detail)| Failing { check, detail }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(until: u64) -> Option<Option<Monotonic>> {
        Some(Some(Monotonic(until)))
    }

    fn names(readiness: &Readiness, store: StoreHealth, leased: Option<Option<Monotonic>>) -> Vec<&'static str> {
        readiness.failing((store, 0), leased, Monotonic(10)).into_iter().map(|failing| failing.check).collect()
    }

    #[test]
    fn a_server_that_holds_its_leases_and_can_write_is_ready() {
        assert_eq!(names(&Readiness::default(), StoreHealth::Writable, held(11)), [""; 0]);
    }

    #[test]
    fn every_check_that_fails_is_named() {
        let readiness = Readiness::default();
        let well = StoreHealth::Writable;
        assert_eq!(names(&readiness, well, held(10)), ["leases"], "the lease has ended");
        assert_eq!(names(&readiness, well, Some(None)), ["leases"]);
        assert_eq!(names(&readiness, well, None), ["engine"]);
        readiness.drain();
        for store in [StoreHealth::Full, StoreHealth::ReadOnly, StoreHealth::Failing, StoreHealth::Damaged] {
            assert_eq!(names(&readiness, store, held(11)), ["draining", "store"]);
        }
    }

    #[test]
    fn what_fails_says_what_to_do() {
        let failing = Readiness::default().failing((StoreHealth::Full, 0), held(11), Monotonic(10));
        assert!(failing[0].detail.starts_with("the store is full: free space"), "{failing:?}");
    }

    #[test]
    fn a_server_is_ready_while_at_most_half_of_its_partitions_take_no_writes() {
        let failing = |full| Readiness::default().failing((StoreHealth::Writable, full), held(11), Monotonic(10));
        assert_eq!(failing(128), []);
        assert!(failing(129)[0].detail.starts_with("129 of 256 partitions take no writes"), "{:?}", failing(129));
    }
}
