//! The pulses of the endpoints that have answered slowly. Those that answer in time have none, and nothing wakes for
//! one: what is over is found with the next response of any endpoint.

use std::collections::{BTreeSet, HashMap};

use crate::health::{Admission, Health, HealthLimits, Lasting, Pulse, StoredHealth};
use crate::{EndpointId, Monotonic, Now};

#[derive(Debug, Default)]
pub(super) struct Pulses {
    limits: HealthLimits,
    by_endpoint: HashMap<EndpointId, Pulse>,
    /// The same, by when their windows end.
    ends: BTreeSet<(Monotonic, EndpointId)>,
    /// Endpoints of which something else is to be stored than before, since this was last asked.
    changed: BTreeSet<EndpointId>,
}

impl Pulses {
    pub fn new(limits: HealthLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// A response of an endpoint took so long.
    pub fn responded(&mut self, endpoint: EndpointId, took_micros: u64, now: Monotonic) {
        self.forget_over(now);
        let known = self.by_endpoint.get(&endpoint).copied();
        if let Some(pulse) = Pulse::after(known, took_micros, now, &self.limits) {
            self.put(endpoint, pulse);
        }
    }

    /// What becomes of a new notification.
    pub fn admit(&mut self, endpoint: EndpointId, now: Monotonic) -> Admission {
        let Some(mut pulse) = self.by_endpoint.get(&endpoint).copied() else { return Admission::Sent };
        let admission = pulse.admit(now, &self.limits);
        self.put(endpoint, pulse);
        admission
    }

    /// Takes in what a partition's owner has stored: the worse counts. What it comes to, if it is true as it stands.
    pub fn restore(&mut self, endpoint: EndpointId, stored: StoredHealth, now: Now) -> Option<Lasting> {
        let restored = Pulse::restored(stored, now, &self.limits)?;
        let known = self.by_endpoint.get(&endpoint).map(|known| known.passed(now.mono, &self.limits));
        self.put(endpoint, known.map_or(restored, |known| known.or_worse(restored)));
        restored.lasting().filter(|lasting| lasting.stored(now) == stored)
    }

    /// What is to be stored of an endpoint at `now`; `None`: nothing, it is healthy.
    pub fn lasting(&self, endpoint: EndpointId, now: Monotonic) -> Option<Lasting> {
        self.by_endpoint.get(&endpoint)?.passed(now, &self.limits).lasting()
    }

    /// The endpoints of which that has changed since this was last called.
    pub fn take_changed(&mut self) -> BTreeSet<EndpointId> {
        std::mem::take(&mut self.changed)
    }

    /// Those that have answered slowly.
    pub fn endpoints(&self) -> impl Iterator<Item = EndpointId> {
        self.by_endpoint.keys().copied()
    }

    /// Whether all endpoints have answered in time.
    pub fn is_empty(&self) -> bool {
        self.by_endpoint.is_empty()
    }

    /// How long what is held is held: in whole seconds, for what is matched together is due together.
    pub fn hold_micros(&self) -> u64 {
        self.limits.hold_micros.div_ceil(1_000_000) * 1_000_000 + 1_000_000
    }

    fn put(&mut self, endpoint: EndpointId, pulse: Pulse) {
        let before = self.by_endpoint.insert(endpoint, pulse);
        self.note(endpoint, before.and_then(|before| before.lasting()), pulse.lasting());
        let before = before.map(|before| before.ends());
        if before == Some(pulse.ends()) {
            return;
        }
        if let Some(before) = before {
            self.ends.remove(&(before, endpoint));
        }
        self.ends.insert((pulse.ends(), endpoint));
    }

    fn note(&mut self, endpoint: EndpointId, before: Option<Lasting>, after: Option<Lasting>) {
        if before != after {
            self.changed.insert(endpoint);
        }
    }

    fn forget_over(&mut self, now: Monotonic) {
        while self.ends.first().is_some_and(|(ends, _)| *ends <= now) {
            let Some((_, endpoint)) = self.ends.pop_first() else { return };
            let Some(pulse) = self.by_endpoint.remove(&endpoint) else { continue };
            let passed = pulse.passed(now, &self.limits);
            self.note(endpoint, pulse.lasting(), passed.lasting());
            if !passed.is_over(now) {
                self.put(endpoint, passed);
            }
        }
    }

    /// As it was found to be last.
    pub fn health(&self, endpoint: EndpointId) -> Health {
        self.by_endpoint.get(&endpoint).map(Pulse::health).unwrap_or_default()
    }

    /// How many endpoints were found to be so last.
    pub fn count(&self, health: Health) -> usize {
        self.by_endpoint.values().filter(|pulse| pulse.health() == health).count()
    }
}
