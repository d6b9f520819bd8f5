//! What kind of world a seed gives: its size, the limits of its nodes, and how much goes wrong in it.

use graph::registry::ResourceKind;
use graph::{Kind, Partition, Scope, TopicId, UserId};
use notify::health::HealthLimits;
use notify::node::NodeConfig;
use notify::reauthorization::Cadence;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use uuid::Uuid;

use crate::storage::TENANT;
use crate::topics;

const SECOND: u64 = 1_000_000;
/// About what one delivery takes where it is parked.
const PARKED_BYTES: u64 = 800;
/// From so many endpoints on, a tenth of them hang.
pub const CROWD: usize = 100;
/// The resources whose changes are published.
pub const RESOURCES: [ResourceKind; 2] = [ResourceKind::User, ResourceKind::PrintJob];

/// The traits of one world.
#[derive(Clone, Debug)]
pub struct Plan {
    pub config: NodeConfig,
    /// 1 to 3 mailboxes in 1 or 2 partitions.
    pub mailboxes: Vec<UserId>,
    /// The kinds of item that are written.
    pub kinds: Vec<Kind>,
    /// Whether there are subscriptions to resources outside of mailboxes, and changes of them.
    pub resources: bool,
    /// Whether there are subscriptions with content.
    pub contents: bool,
    /// Receiving URLs; some share an origin.
    pub urls: Vec<String>,
    /// The topic whose events are pushed, if there is one.
    pub topic: Option<TopicId>,
    pub subscriptions: usize,
    pub actions: usize,
    /// Faults and API actions happen before this time, in microseconds; then comes the quiet phase.
    pub quiet_micros: u64,
    pub faults: Faults,
}

/// Probabilities and counts of what goes wrong before the quiet phase.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A store call fails before it did anything; after it did everything; after its answer was given up.
    pub store_before: f64,
    pub store_after: f64,
    pub store_late: f64,
    /// The same, of calls that take or extend leases: done, but the answer is a failure.
    pub lease_after: f64,
    /// A store call takes seconds.
    pub store_slow: f64,
    pub hint_lost: f64,
    pub hint_odd: f64,
    /// The receiver's answer is lost on its way.
    pub answer_lost: f64,
    pub crashes: usize,
    pub pauses: usize,
    pub jumps: usize,
    pub drains: usize,
    pub receiver_moods: usize,
    /// Something is dropped on purpose, as an operator's rule has it; an event is not in the log any more when it is to be
    /// sent.
    pub injected: f64,
    pub cut: f64,
    /// Both processes are down for longer than the horizon.
    pub darkness: bool,
}

impl Plan {
    pub fn draw(rng: &mut StdRng) -> Self {
        let mailboxes = mailboxes(rng);
        let is_crowded = rng.random_bool(0.003);
        let endpoints = if is_crowded { rng.random_range(CROWD..=3 * CROWD) } else { rng.random_range(2..=4) };
        let origins = rng.random_range(1..=endpoints);
        let urls = (0..endpoints).map(|n| format!("https://r{}.test/hook/{n}?q={n}", n % origins)).collect();
        let kinds = Kind::ALL.into_iter().take(rng.random_range(1..=3)).collect();
        let active = rng.random_range(20..=180) * SECOND;
        let (resources, contents) = (rng.random_bool(0.4), rng.random_bool(0.4));
        Self {
            resources,
            contents,
            config: if is_crowded { roomy(config(rng)) } else { config(rng) },
            mailboxes,
            kinds,
            urls,
            topic: None,
            subscriptions: if is_crowded { endpoints } else { rng.random_range(2..=6) },
            actions: if is_crowded {
                endpoints + rng.random_range(40..=120)
            } else if rng.random_bool(0.2) {
                rng.random_range(120..=400)
            } else {
                rng.random_range(40..=120)
            },
            quiet_micros: active,
            faults: faults(rng),
        }
    }

    /// Has streams park little, in some worlds. It draws from a stream of its own, so that the rest of a plan stays as it is.
    pub fn park_little(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed_0f10_6500_0002);
        if let Some(deliveries) = [0, 0, 3, 10, 40].choose(&mut rng).copied().filter(|most| *most > 0) {
            self.config.parked_bytes_max = deliveries * PARKED_BYTES;
        }
    }

    /// Has some of what is to be told end before it is sent, in some worlds; from a stream of its own as well.
    pub fn send_less(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed_0f10_6500_0004);
        let mut some = || [0.0, 0.0, 0.0, 0.02, 0.2].choose(&mut rng).copied().unwrap_or_default();
        (self.faults.injected, self.faults.cut) = (some(), some());
    }

    /// Has events pushed, in some worlds.
    pub fn push_events(&mut self, seed: u64) {
        self.topic = topics::topic_of(seed);
        if self.topic.is_some() {
            let seconds = [30, 300, 4 * 3_600][seed as usize % 3];
            self.config.dead_letter_micros = seconds * SECOND as i64;
            // What a lease outlasts is half a minute longer.
            self.config.lease_micros += 30 * SECOND;
        }
    }

    pub fn partitions(&self) -> Vec<Partition> {
        let mut all: Vec<Partition> = self.mailboxes.iter().map(|mailbox| Partition::of(*mailbox)).collect();
        if self.resources {
            all.extend(RESOURCES.map(|kind| Partition::of(Scope::of_resources(TENANT, kind))));
        }
        all.extend(self.topic.map(Partition::of));
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn uuid(rng: &mut StdRng) -> Uuid {
    Uuid::from_u128(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
}

fn mailboxes(rng: &mut StdRng) -> Vec<UserId> {
    let mut found = vec![UserId(uuid(rng))];
    if rng.random_bool(0.5) {
        found.push(UserId(uuid(rng)));
    }
    if rng.random_bool(0.5) {
        let partitions: Vec<Partition> = found.iter().map(|mailbox| Partition::of(*mailbox)).collect();
        let third = (0..4_096).map(|_| UserId(uuid(rng))).find(|id| partitions.contains(&Partition::of(*id)));
        found.extend(third);
    }
    found
}

/// Small limits, so that each of them is met in a small world.
fn config(rng: &mut StdRng) -> NodeConfig {
    let mut pick = |values: &[u64]| values.choose(rng).copied().unwrap_or_default();
    NodeConfig {
        lease_micros: pick(&[15, 20, 30]) * SECOND,
        renew_micros: pick(&[3, 5]) * SECOND,
        attempts_max: pick(&[1, 2, 4, 16]) as u32,
        attempts_per_origin_max: pick(&[1, 2, 3, 8]) as u32,
        batch_max: pick(&[1, 2, 3, 8, 100]) as u16,
        batch_bytes_max: pick(&[1, 4_096, 1 << 20]) as usize,
        horizon_micros: (pick(&[60, 300, 4 * 3_600]) * SECOND) as i64,
        cadence: cadence(pick(&[2, 5, 20])),
        health: health(&mut pick),
        grace_micros: (pick(&[3, 20, 60]) * SECOND) as i64,
        stream_share_max: pick(&[1, 2, 4, 64]) as usize,
        unparked_max: pick(&[2, 8, 1_024]) as usize,
        deliveries_max: pick(&[4, 16, 1_024]) as usize,
        window_max: pick(&[4, 16, 1_024]) as usize,
        read_records: pick(&[1, 3, 20, 1_000]) as usize,
        read_parked: pick(&[1, 2, 20]) as usize,
        ..NodeConfig::default()
    }
}

/// Room for many endpoints, more than they fill, and slots enough for their backlog to be gone in time when the world falls
/// quiet.
fn roomy(config: NodeConfig) -> NodeConfig {
    let (batch_bytes_max, ample) = (1 << 20, 1 << 16);
    NodeConfig {
        attempts_max: 64,
        batch_max: 100,
        batch_bytes_max,
        deliveries_max: ample,
        unparked_max: ample,
        ..config
    }
}

/// The documented ones, mostly with so short windows and so few responses that a short life sees all of it.
fn health(pick: &mut impl FnMut(&[u64]) -> u64) -> HealthLimits {
    if pick(&[0, 1, 1, 1]) == 0 {
        return HealthLimits::documented();
    }
    // Some drop for as long as they count, so that they do so still when the lease of a node that died has ended.
    let window = pick(&[20, 60]);
    HealthLimits {
        window_micros: window * SECOND,
        responses_min: pick(&[2, 3, 5]),
        hold_micros: pick(&[3, 20]) * SECOND,
        drop_for_micros: pick(&[3, window]) * SECOND,
        probes: pick(&[1, 2, 5]),
        ..HealthLimits::documented()
    }
}

/// The published one, so much faster that a short life sees all of it.
fn cadence(every_seconds: u64) -> Cadence {
    let every_micros = (every_seconds * SECOND) as i64;
    Cadence { begins_micros: 48 * every_micros, dense_micros: 16 * every_micros, every_micros }
}

fn faults(rng: &mut StdRng) -> Faults {
    let mut some = |most: f64| if rng.random_bool(0.5) { rng.random_range(0.0..most) } else { 0.0 };
    let (store_before, store_after, store_late) = (some(0.2), some(0.2), some(0.1));
    let (store_slow, hint_lost, hint_odd, answer_lost) = (some(0.1), some(0.9), some(0.5), some(0.3));
    let lease_after = some(0.9);
    let mut times = |most: usize| if rng.random_bool(0.5) { rng.random_range(1..=most) } else { 0 };
    let (crashes, pauses, jumps, drains, receiver_moods) = (times(5), times(4), times(3), times(2), times(16));
    let darkness = rng.random_bool(0.1);
    Faults {
        store_before,
        store_after,
        store_late,
        lease_after,
        store_slow,
        hint_lost,
        hint_odd,
        answer_lost,
        crashes,
        pauses,
        jumps,
        drains,
        receiver_moods,
        darkness,
        ..Faults::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_and_then_a_world_has_hundreds_of_endpoints() {
        let plans = (0..2_000).map(|seed| Plan::draw(&mut StdRng::seed_from_u64(seed)));
        let crowded = plans.filter(|plan| plan.urls.len() >= CROWD).count();
        assert!((2..=20).contains(&crowded), "{crowded}");
    }
}
