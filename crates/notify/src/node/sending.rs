//! Endpoints, origins and the slots that attempts take; which endpoint is served next.

use std::collections::{HashMap, VecDeque};

use graph::Partition;

use super::pulses::Pulses;
use super::recovery::Recovery;
use super::{NodeConfig, Outcome, Purpose, Steady};
use crate::concurrency::Concurrency;
use crate::event_grid_url::is_event_grid;
use crate::health::{Admission, Health};
use crate::{EndpointId, Monotonic, Position, Stream};

/// A stream of a partition that this node owns.
pub(super) type StreamAt = (Partition, Stream);

/// Everything about attempts that does not belong to one partition.
#[derive(Debug, Default)]
pub(super) struct Sending {
    endpoints: Vec<Endpoint>,
    endpoint_by_id: HashMap<EndpointId, usize>,
    free_endpoints: Vec<usize>,
    origins: Vec<Origin>,
    origin_by_name: HashMap<String, usize>,
    free_origins: Vec<usize>,
    /// Endpoints with something to send, in the order in which they are served.
    ready: VecDeque<usize>,
    pub in_flight: Steady<u64, InFlight>,
    pub pulses: Pulses,
    slots_taken: u32,
    /// Of them, those of endpoints that hang, and such endpoints that wait for one.
    hanging_taken: u32,
    hanging: VecDeque<usize>,
    last_attempt: u64,
    /// Deliveries whose attempts have ended since it was last asked whether there is room.
    ended: usize,
}

#[derive(Debug, Default)]
struct Endpoint {
    id: EndpointId,
    origin: usize,
    /// Streams that may have something to send.
    streams: VecDeque<StreamAt>,
    /// Whether it stands in `Sending::ready` or waits: for a slot of its origin, for one of those that hang, or for an
    /// attempt of its own to end.
    listed: bool,
    /// It waits for an attempt of its own to end.
    waits: bool,
    concurrency: Concurrency,
    /// Streams that go here.
    users: usize,
    recovery: Recovery,
}

#[derive(Debug, Default)]
struct Origin {
    name: String,
    taken: u32,
    waiting: VecDeque<usize>,
    users: usize,
}

/// An attempt whose outcome is not known yet.
#[derive(Debug)]
pub(super) struct InFlight {
    pub endpoint: usize,
    pub purpose: Purpose,
    /// Its slot is one of those for endpoints that hang.
    hangs: bool,
    /// When it began, and the time that it has.
    begun: Monotonic,
    timeout_micros: u64,
    pub deliveries: Vec<(StreamAt, u64, Position)>,
}

impl InFlight {
    /// How long the endpoint took to respond, if it did; one that did not in time took longer than that.
    fn took_micros(&self, outcome: Outcome, now: Monotonic) -> Option<u64> {
        match outcome {
            Outcome::Acknowledged | Outcome::Refused { .. } => Some(now.since(self.begun).min(self.timeout_micros)),
            Outcome::TimedOut => Some(self.timeout_micros + 1),
            Outcome::Unreachable
            | Outcome::Unresolved
            | Outcome::Forbidden
            | Outcome::NotSent
            | Outcome::Delayed { .. } => None,
        }
    }
}

impl Sending {
    pub(super) fn new(pulses: Pulses) -> Self {
        Self { pulses, ..Self::default() }
    }

    /// What becomes of a new notification to an endpoint.
    pub(super) fn admit(&mut self, endpoint: usize, now: Monotonic) -> Admission {
        self.pulses.admit(self.endpoints[endpoint].id, now)
    }

    /// The endpoint of a URL of an app.
    pub(super) fn join(&mut self, app: graph::AppId, url: &str) -> usize {
        let (id, origin) = EndpointId::with_origin(app, url);
        let index = match self.endpoint_by_id.get(&id) {
            Some(index) => *index,
            None => self.add(origin, id),
        };
        self.endpoints[index].users += 1;
        index
    }

    fn add(&mut self, origin: String, id: EndpointId) -> usize {
        let origin = self.join_origin(origin);
        let endpoint = Endpoint { id, origin, ..Endpoint::default() };
        let index = place(endpoint, &mut self.endpoints, &mut self.free_endpoints);
        self.endpoint_by_id.insert(id, index);
        index
    }

    fn join_origin(&mut self, name: String) -> usize {
        let index = match self.origin_by_name.get(&name) {
            Some(index) => *index,
            None => {
                let origin = Origin { name: name.clone(), ..Origin::default() };
                let index = place(origin, &mut self.origins, &mut self.free_origins);
                self.origin_by_name.insert(name, index);
                index
            }
        };
        self.origins[index].users += 1;
        index
    }

    fn leave_origin(&mut self, index: usize) {
        let origin = &mut self.origins[index];
        origin.users -= 1;
        if origin.users == 0 {
            let origin = std::mem::take(origin);
            self.origin_by_name.remove(&origin.name);
            self.free_origins.push(index);
        }
    }

    /// A stream no longer goes to this endpoint.
    pub(super) fn leave(&mut self, index: usize, stream: StreamAt) {
        let endpoint = &mut self.endpoints[index];
        endpoint.recovery.forget(&stream);
        endpoint.users = endpoint.users.saturating_sub(1);
        self.forget_unused(index);
    }

    pub(super) fn recovery(&mut self, index: usize) -> &mut Recovery {
        &mut self.endpoints[index].recovery
    }

    /// Forgets an endpoint to which nothing goes and no attempt is under way.
    fn forget_unused(&mut self, index: usize) {
        let endpoint = &self.endpoints[index];
        if endpoint.users > 0 || endpoint.listed || !endpoint.concurrency.is_idle() {
            return;
        }
        let endpoint = std::mem::take(&mut self.endpoints[index]);
        self.endpoint_by_id.remove(&endpoint.id);
        self.free_endpoints.push(index);
        self.leave_origin(endpoint.origin);
    }

    /// The stream may have something to send.
    pub(super) fn list(&mut self, endpoint: usize, stream: StreamAt) {
        let entry = &mut self.endpoints[endpoint];
        entry.streams.push_back(stream);
        if !entry.listed {
            entry.listed = true;
            self.ready.push_back(endpoint);
        }
    }

    /// The next endpoint that has a free slot.
    pub(super) fn next_endpoint(&mut self, now: Monotonic, config: &NodeConfig) -> Option<usize> {
        while self.slots_taken < config.attempts_max {
            let index = self.ready.pop_front()?;
            let endpoint = &mut self.endpoints[index];
            let origin = &mut self.origins[endpoint.origin];
            if endpoint.streams.is_empty() {
                endpoint.listed = false;
            } else if !endpoint.concurrency.admits(now) {
                endpoint.waits = true;
            } else if endpoint.concurrency.hangs() && self.hanging_taken >= hanging_max(config) {
                self.hanging.push_back(index);
            } else if origin.taken >= config.attempts_per_origin_max {
                origin.waiting.push_back(index);
            } else {
                return Some(index);
            }
            self.pass_turn_on(index, config);
            self.forget_unused(index);
        }
        None
    }

    /// An endpoint that was woken for a free slot does not take it: the next one may.
    fn pass_turn_on(&mut self, index: usize, config: &NodeConfig) {
        let origin = &mut self.origins[self.endpoints[index].origin];
        if origin.taken < config.attempts_per_origin_max {
            self.ready.extend(origin.waiting.pop_front());
        }
        if self.hanging_taken < hanging_max(config) {
            self.ready.extend(self.hanging.pop_front());
        }
    }

    pub(super) fn next_stream(&mut self, endpoint: usize) -> Option<StreamAt> {
        self.endpoints[endpoint].streams.pop_front()
    }

    pub(super) fn put_back(&mut self, endpoint: usize, stream: StreamAt) {
        self.endpoints[endpoint].streams.push_front(stream);
    }

    pub(super) fn put_last(&mut self, endpoint: usize, stream: StreamAt) {
        self.endpoints[endpoint].streams.push_back(stream);
    }

    /// The endpoint was served; it keeps its place in the round.
    pub(super) fn served(&mut self, endpoint: usize) {
        self.ready.push_back(endpoint);
    }

    /// Takes a slot for an attempt at `endpoint` that carries `deliveries`, begins at a time and has so long.
    pub(super) fn begin(
        &mut self,
        (endpoint, purpose): (usize, Purpose),
        deliveries: Vec<(StreamAt, u64, Position)>,
        (begun, timeout_micros): (Monotonic, u64),
    ) -> u64 {
        let Endpoint { origin, concurrency, .. } = &mut self.endpoints[endpoint];
        concurrency.begin(begun);
        let hangs = concurrency.hangs();
        self.origins[*origin].taken += 1;
        self.slots_taken += 1;
        self.hanging_taken += u32::from(hangs);
        self.last_attempt += 1;
        let flight = InFlight { endpoint, purpose, hangs, begun, timeout_micros, deliveries };
        self.in_flight.insert(self.last_attempt, flight);
        self.last_attempt
    }

    /// An attempt has come to this: what its endpoint is now.
    pub(super) fn responded(&mut self, attempt: &InFlight, outcome: Outcome, now: Monotonic) -> Health {
        let Endpoint { id, origin, .. } = &self.endpoints[attempt.endpoint];
        let (id, origin) = (*id, &self.origins[*origin].name);
        // What a topic takes is taken by the store: that it is slow says nothing of a receiver.
        if let Some(took_micros) = attempt.took_micros(outcome, now).filter(|_| !is_event_grid(origin)) {
            self.pulses.responded(id, took_micros, now);
        }
        self.pulses.health(id)
    }

    /// Gives the slot of an attempt back.
    pub(super) fn release(&mut self, attempt: &InFlight, outcome: Outcome, now: Monotonic) {
        self.slots_taken = self.slots_taken.saturating_sub(1);
        if attempt.hangs {
            self.hanging_taken = self.hanging_taken.saturating_sub(1);
            self.ready.extend(self.hanging.pop_front());
        }
        let endpoint = &mut self.endpoints[attempt.endpoint];
        endpoint.concurrency.end(outcome, now);
        if std::mem::take(&mut endpoint.waits) {
            self.ready.push_back(attempt.endpoint);
        }
        let origin = &mut self.origins[endpoint.origin];
        origin.taken = origin.taken.saturating_sub(1);
        self.ready.extend(origin.waiting.pop_front());
        self.forget_unused(attempt.endpoint);
    }

    /// An attempt with so many deliveries has ended.
    pub(super) fn count_ended(&mut self, deliveries: usize) {
        self.ended += deliveries;
    }

    /// Whether so many have ended since this was last true that it is worth asking for room, or none is left to wait for.
    pub(super) fn may_have_room(&mut self, enough: usize) -> bool {
        let may = self.ended >= enough || self.in_flight.is_empty();
        if may {
            self.ended = 0;
        }
        may
    }

    pub(super) fn slots_taken(&self) -> u32 {
        self.slots_taken
    }
}

/// Puts something where something else was, or at the end. Where that is.
fn place<T>(new: T, all: &mut Vec<T>, free: &mut Vec<usize>) -> usize {
    if let Some(index) = free.pop() {
        all[index] = new;
        return index;
    }
    all.push(new);
    all.len() - 1
}

/// How many slots endpoints that hang have together: the others always have the rest.
fn hanging_max(config: &NodeConfig) -> u32 {
    (config.attempts_max / 2).max(1)
}
