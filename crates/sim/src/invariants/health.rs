//! When new notifications may be held, and when they may be dropped.

use std::sync::Arc;

use graph::Partition;
use notify::health::{Health, HealthLimits};
use notify::node::Outcome;
use notify::{AbandonReason, Checkpoint, Monotonic, Parked, Position, Record, StreamKind};

use super::{Delivery, InFlight, Violation, Watch};
use crate::process::Life;

/// By how much a hold may be longer than it should: what is matched within a second is due together.
const HOLD_SLACK_MICROS: i64 = 2_000_000;

/// A response of an endpoint: when a life was told of it, and how long it took.
pub(super) type Response = (Monotonic, u64);

/// What a life is bound to find an endpoint to be.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    health: Health,
    /// Nothing new may go there at all.
    is_closed: bool,
    /// Responses from this one on count together, until then.
    first: usize,
    ends: Monotonic,
}

impl Verdict {
    fn new(health: Health, first: usize, at: Monotonic, limits: &HealthLimits) -> Self {
        let is_closed = health == Health::Dropping;
        let micros = if is_closed { limits.drop_for_micros } else { limits.window_micros };
        Self { health, is_closed, first, ends: at.plus_micros(micros) }
    }

    /// As it is at a time, when all that was responded before is known.
    fn at(mut self, at: Monotonic, responses: &[Response], limits: &HealthLimits) -> Option<Self> {
        while self.ends <= at {
            let judged = match (self.health, self.is_closed) {
                (Health::Healthy, _) => return None,
                (health, true) => health,
                (health, false) => shares(&responses[self.first..], limits).min(health),
            };
            let open = Self::new(Health::Healthy, responses.len(), self.ends, limits);
            self = Self { health: judged, ..open };
        }
        Some(self)
    }
}

/// The guide's rules, read over everything that an endpoint responded to one life; `None`: it answers in time.
fn verdict(responses: &[Response], now: Monotonic, limits: &HealthLimits) -> Option<Verdict> {
    let mut verdict: Option<Verdict> = None;
    for (place, (at, took)) in responses.iter().enumerate() {
        verdict = verdict.and_then(|verdict| verdict.at(*at, &responses[..place], limits));
        if verdict.is_none() && *took > limits.slow_micros.min(limits.drop_micros) {
            verdict = Some(Verdict::new(Health::Healthy, place, *at, limits));
        }
        let Some(current) = verdict else { continue };
        let window = &responses[current.first..=place];
        let (judged, count) = (shares(window, limits), window.len() as u64);
        let is_worse = judged > current.health && count >= limits.responses_min;
        let was_tried = current.health == Health::Dropping && !current.is_closed && count >= limits.probes;
        if is_worse || (was_tried && judged < current.health) {
            verdict = Some(Verdict::new(judged, place + 1, *at, limits));
        }
    }
    verdict?.at(now, responses, limits)
}

/// What the shares of late responses say.
fn shares(window: &[Response], limits: &HealthLimits) -> Health {
    let exceeds = |micros: u64, percent: u64| {
        let late = window.iter().filter(|(_, took)| *took > micros).count();
        late * 100 > window.len() * percent as usize
    };
    match () {
        () if exceeds(limits.drop_micros, limits.drop_percent) => Health::Dropping,
        () if exceeds(limits.slow_micros, limits.slow_percent) => Health::Slow,
        () => Health::Healthy,
    }
}

impl Watch {
    /// A life was told what an attempt came to.
    pub(super) fn responded(&mut self, life: Life, now: Monotonic, flight: &InFlight, outcome: Outcome) {
        let took = match outcome {
            Outcome::Acknowledged | Outcome::Refused { .. } => now.since(flight.begun).min(flight.timeout_micros),
            Outcome::TimedOut => flight.timeout_micros + 1,
            Outcome::Unreachable | Outcome::Forbidden | Outcome::NotSent | Outcome::Delayed { .. } => return,
        };
        self.responses.entry(life).or_default().entry(flight.url.clone()).or_default().push((now, took));
    }

    /// A life is about to see records of a log, and to decide what becomes of those that are new to it: what each
    /// endpoint is to it in this moment counts.
    pub(super) fn shown(
        &mut self,
        life: Life,
        now: Monotonic,
        partition: Partition,
        records: &[(Position, Arc<Record>)],
    ) {
        let Some(tenure) = self.tenures.get_mut(&(life, partition)).filter(|tenure| tenure.cursor.is_some()) else {
            return;
        };
        let (limits, responses) = (self.config.health, self.responses.get(&life));
        let is_late = |took: u64| took > limits.slow_micros.min(limits.drop_micros);
        let judged = responses.into_iter().flatten().filter(|(_, all)| all.iter().any(|(_, took)| is_late(*took)));
        let judged = judged.filter_map(|(url, all)| Some((url, verdict(all, now, &limits)?)));
        let unwell: Vec<_> = judged.filter(|(_, verdict)| verdict.health != Health::Healthy).collect();
        for (position, _) in records {
            let is_first = tenure.shown.insert(*position);
            if unwell.is_empty() && tenure.shut.is_empty() {
                continue;
            }
            for (number, span) in self.truth.spans_of(partition) {
                let told = span.matches.get(position);
                if told.is_none_or(|told| told.kind != StreamKind::Changes || told.silenced) {
                    continue;
                }
                let known = span.since.iter().rposition(|since| *since <= tenure.head.max(*position)).unwrap_or(0);
                let url = &span.versions[known].notification_url;
                let verdict = unwell.iter().find(|(of, _)| *of == url).map(|(_, verdict)| *verdict);
                let delivery = (number, *position);
                match verdict.map(|verdict| verdict.health) {
                    Some(Health::Dropping) => drop(self.dropped.entry(delivery).or_default().insert(tenure.epoch)),
                    Some(Health::Slow) => drop(self.slowed.insert(delivery)),
                    Some(Health::Healthy) | None => {}
                }
                match verdict.is_some_and(|verdict| verdict.is_closed) {
                    true if is_first => drop(tenure.shut.insert(delivery)),
                    true => {}
                    false => drop(tenure.shut.remove(&delivery)),
                }
            }
        }
    }

    /// Whether somebody may have dropped this, since its endpoint was dropping when it was new to them.
    pub(super) fn may_be_dropped(&self, delivery: Delivery) -> bool {
        self.dropped.contains_key(&delivery)
    }

    /// The same, of the one who holds a partition under an epoch.
    pub(super) fn may_be_dropped_in(&self, delivery: Delivery, epoch: u64) -> bool {
        self.dropped.get(&delivery).is_some_and(|epochs| epochs.contains(&epoch))
    }

    /// What a checkpoint counts as dropped was new to its node while the endpoint was dropping.
    pub(super) fn check_dropped(&self, checkpoint: &Checkpoint, before: Position) -> Result<(), Violation> {
        for (id, counted) in &checkpoint.ledger {
            let counted = counted.abandoned.get(&AbandonReason::EndpointDropping).copied().unwrap_or_default();
            let Some(number) = self.truth.number(*id).filter(|_| counted > 0) else { continue };
            let passed = self.truth.spans[number].matches.range(before.next()..=checkpoint.cursor);
            let dropped = passed.filter(|(position, _)| self.may_be_dropped_in((number, **position), checkpoint.epoch));
            let most = dropped.count() as u64;
            if counted > most {
                let seen =
                    format!("subscription {number}: {counted} were dropped; the endpoint was dropping for {most}");
                return Err(Violation::new("health_is_kept", seen));
            }
        }
        Ok(())
    }

    /// A row that a checkpoint parks is held no longer than it should be, and only what was new while its endpoint was
    /// slow.
    pub(super) fn check_held(&mut self, checkpoint: &Checkpoint) -> Result<(), Violation> {
        for row in checkpoint.park.iter().filter(|row| is_held(row)) {
            self.held += row.refs.len() as u64;
            let held = row.due.since(row.since);
            let number = self.truth.number(row.stream.subscription).unwrap_or(usize::MAX);
            let is_due = row.refs.iter().all(|one| self.slowed.contains(&(number, one.position)));
            if !is_due || held > self.config.health.hold_micros as i64 + HOLD_SLACK_MICROS {
                let seen = format!("held for {held} \u{b5}s (its endpoint was slow: {is_due}): {row:?}");
                return Err(Violation::new("health_is_kept", seen));
            }
        }
        Ok(())
    }
}

/// Whether a row waits for the first attempt of its deliveries.
fn is_held(row: &Parked) -> bool {
    row.attempts == 0 && row.due > row.since
}
