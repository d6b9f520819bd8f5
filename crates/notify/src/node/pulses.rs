//! The pulses of the endpoints that have answered slowly. Those that answer in time have none, and nothing wakes for
//! one: what is over is found with the next response of any endpoint.

use std::collections::{BTreeSet, HashMap};

use crate::Monotonic;
use crate::health::{Admission, Health, HealthLimits, Pulse};

#[derive(Debug, Default)]
pub(super) struct Pulses {
    limits: HealthLimits,
    by_endpoint: HashMap<String, Pulse>,
    /// The same, by when their windows end.
    ends: BTreeSet<(Monotonic, String)>,
}

impl Pulses {
    pub fn new(limits: HealthLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// A response of an endpoint took so long.
    pub fn responded(&mut self, endpoint: &str, took_micros: u64, now: Monotonic) {
        self.forget_over(now);
        let known = self.by_endpoint.get(endpoint).copied();
        if let Some(pulse) = Pulse::after(known, took_micros, now, &self.limits) {
            self.put(endpoint.to_owned(), pulse);
        }
    }

    /// What becomes of a new notification.
    pub fn admit(&mut self, endpoint: &str, now: Monotonic) -> Admission {
        let Some(mut pulse) = self.by_endpoint.get(endpoint).copied() else { return Admission::Sent };
        let admission = pulse.admit(now, &self.limits);
        self.put(endpoint.to_owned(), pulse);
        admission
    }

    /// How long what is held is held: in whole seconds, for what is matched together is due together.
    pub fn hold_micros(&self) -> u64 {
        self.limits.hold_micros.div_ceil(1_000_000) * 1_000_000 + 1_000_000
    }

    fn put(&mut self, endpoint: String, pulse: Pulse) {
        let before = self.by_endpoint.insert(endpoint.clone(), pulse).map(|before| before.ends());
        if before == Some(pulse.ends()) {
            return;
        }
        if let Some(before) = before {
            self.ends.remove(&(before, endpoint.clone()));
        }
        self.ends.insert((pulse.ends(), endpoint));
    }

    fn forget_over(&mut self, now: Monotonic) {
        while self.ends.first().is_some_and(|(ends, _)| *ends <= now) {
            let Some((_, endpoint)) = self.ends.pop_first() else { return };
            let Some(pulse) = self.by_endpoint.remove(&endpoint) else { continue };
            let pulse = pulse.passed(now, &self.limits);
            if !pulse.is_over(now) {
                self.put(endpoint, pulse);
            }
        }
    }

    /// As it was found to be last.
    pub fn health(&self, endpoint: &str) -> Health {
        self.by_endpoint.get(endpoint).map(Pulse::health).unwrap_or_default()
    }

    /// How many endpoints were found to be so last.
    pub fn count(&self, health: Health) -> usize {
        self.by_endpoint.values().filter(|pulse| pulse.health() == health).count()
    }
}
