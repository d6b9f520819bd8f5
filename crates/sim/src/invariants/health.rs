//! When new notifications may be held, and when they may be dropped; and what of that is stored, and taken up again.

use std::sync::Arc;

use graph::{Partition, Timestamp};
use notify::checkpoint::PartitionState;
use notify::health::{Health, HealthLimits};
use notify::node::Outcome;
use notify::{
    AbandonReason, Checkpoint, EndpointId, Monotonic, Now, Parked, Position, Record, StoredHealth, StreamKind,
};

use super::{Delivery, InFlight, Violation, Watch};
use crate::process::Life;

/// By how much a hold may be longer than it should: what is matched within a second is due together.
const HOLD_SLACK_MICROS: i64 = 2_000_000;

/// By how much a stored deadline may be off: a wall time is read once for each event.
const DEADLINE_SLACK_MICROS: i64 = 1_000_000;

/// What a life was told of an endpoint, and when.
type Told = (Monotonic, What);

/// Everything that one life was told of an endpoint, and what follows from that by the guide's rules.
#[derive(Debug, Default)]
pub(super) struct History {
    told: Vec<Told>,
    /// As it was when the last of that was told; `None`: it answers in time.
    verdict: Option<Verdict>,
    /// Something of it was late, or stored.
    is_bad: bool,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// A response, and how long it took.
    Responded(u64),
    /// What an earlier life had stored of it, and until when that counts.
    Stored { health: Health, is_closed: bool, ends: Monotonic },
}

/// What a life that reads it now makes of what was stored. No clock makes it last longer than it did when it began.
fn taken_up(stored: StoredHealth, now: Now, limits: &HealthLimits) -> Option<What> {
    let StoredHealth { health, is_closed, ends } = stored;
    let left = |until: Timestamp, most: u64| until.since(now.wall).clamp(0, most as i64) as u64;
    let shut = if is_closed { left(ends, limits.drop_for_micros) } else { 0 };
    // After a window in which nothing was tried comes one in which something is.
    let until = if is_closed { ends.plus_micros(limits.window_micros as i64) } else { ends };
    let (is_closed, left) = if shut > 0 { (true, shut) } else { (false, left(until, limits.window_micros)) };
    (left > 0).then_some(What::Stored { health, is_closed, ends: now.mono.plus_micros(left) })
}

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

    /// The worse of two; of two that are alike, the one that lasts longer.
    fn or_worse(self, other: Self) -> Self {
        match (self.health, self.is_closed) < (other.health, other.is_closed) {
            true => other,
            false if (self.health, self.is_closed) == (other.health, other.is_closed) => {
                Self { ends: self.ends.max(other.ends), ..self }
            }
            false => self,
        }
    }

    /// As it is at a time, when all that was told before is known.
    fn at(mut self, at: Monotonic, told: &[Told], limits: &HealthLimits) -> Option<Self> {
        while self.ends <= at {
            let judged = match (self.health, self.is_closed) {
                (Health::Healthy, _) => return None,
                (health, true) => health,
                (health, false) => shares(&told[self.first..], limits).min(health),
            };
            let open = Self::new(Health::Healthy, told.len(), self.ends, limits);
            self = Self { health: judged, ..open };
        }
        Some(self)
    }
}

impl History {
    /// Takes in what is told now.
    fn push(&mut self, (at, what): Told, limits: &HealthLimits) {
        let place = self.told.len();
        self.verdict = self.at(at, limits);
        self.told.push((at, what));
        let is_late = match what {
            What::Responded(took) => took > limits.slow_micros.min(limits.drop_micros),
            What::Stored { health, is_closed, ends } => {
                let stored = Verdict { health, is_closed, first: place + 1, ends };
                (self.verdict, self.is_bad) = (Some(self.verdict.map_or(stored, |known| known.or_worse(stored))), true);
                return;
            }
        };
        self.is_bad |= is_late;
        if self.verdict.is_none() && is_late {
            self.verdict = Some(Verdict::new(Health::Healthy, place, at, limits));
        }
        let Some(current) = self.verdict else { return };
        let window = &self.told[current.first..];
        let (judged, count) = (shares(window, limits), responses(window).count() as u64);
        let is_worse = judged > current.health && count >= limits.responses_min;
        let was_tried = current.health == Health::Dropping && !current.is_closed && count >= limits.probes;
        if is_worse || (was_tried && judged < current.health) {
            self.verdict = Some(Verdict::new(judged, place + 1, at, limits));
        }
    }

    /// What the endpoint is at a time; `None`: it answers in time.
    fn at(&self, now: Monotonic, limits: &HealthLimits) -> Option<Verdict> {
        self.verdict?.at(now, &self.told, limits)
    }
}

/// How long each response took.
fn responses(told: &[Told]) -> impl Iterator<Item = u64> {
    told.iter().filter_map(|(_, what)| match what {
        What::Responded(took) => Some(*took),
        What::Stored { .. } => None,
    })
}

/// What the shares of late responses say.
fn shares(window: &[Told], limits: &HealthLimits) -> Health {
    let exceeds = |micros: u64, percent: u64| {
        let late = responses(window).filter(|took| *took > micros).count();
        late * 100 > responses(window).count() * percent as usize
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
            Outcome::Unreachable
            | Outcome::Unresolved
            | Outcome::Forbidden
            | Outcome::NotSent
            | Outcome::Delayed { .. } => return,
        };
        let told = self.told.entry(life).or_default().entry(flight.url.clone()).or_default();
        told.push((now, What::Responded(took)), &self.config.health);
    }

    /// A life reads what is stored with a partition.
    pub(super) fn took_up(&mut self, life: Life, state: &PartitionState) {
        let Some(now) = self.nows.get(&life).copied() else { return };
        for (endpoint, stored) in &state.health {
            let url = self.truth.url_of(*endpoint);
            let Some((url, what)) = url.zip(taken_up(*stored, now, &self.config.health)) else { continue };
            let told = self.told.entry(life).or_default().entry(url.to_owned()).or_default();
            told.push((now.mono, what), &self.config.health);
        }
    }

    fn verdict(&self, life: Life, url: &str, now: Monotonic) -> Option<Verdict> {
        let told = self.told.get(&life)?.get(url)?;
        told.at(now, &self.config.health).filter(|verdict| verdict.health != Health::Healthy)
    }

    /// A life commands a checkpoint: with it the store has of endpoints what they are to that life, if a subscription names
    /// them, and nothing else.
    pub(super) fn check_stored(&mut self, life: Life, checkpoint: &Checkpoint) -> Result<(), Violation> {
        let Some(now) = self.nows.get(&life).copied() else { return Ok(()) };
        let tenure = self.tenures.get_mut(&(life, checkpoint.partition));
        let is_new = |epoch, number| epoch == checkpoint.epoch && number < checkpoint.number;
        let Some(tenure) = tenure.filter(|tenure| is_new(tenure.epoch, tenure.number)) else { return Ok(()) };
        tenure.number = checkpoint.number;
        for (endpoint, said) in &checkpoint.health {
            match said {
                Some(said) => drop(tenure.health.insert(*endpoint, *said)),
                None => drop(tenure.health.remove(endpoint)),
            }
        }
        let stored = tenure.health.clone();
        for (endpoint, said) in &stored {
            let url = self.truth.url_of(*endpoint).unwrap_or_default();
            let verdict = self.verdict(life, url, now.mono);
            let is_said = checkpoint.health.contains_key(endpoint);
            if !verdict.is_some_and(|verdict| self.says(*said, verdict, now, is_said)) {
                let seen = format!("{url} is {verdict:?} at {now:?}, and stored as {said:?} (now: {is_said})");
                return Err(Violation::new("health_is_kept", seen));
            }
        }
        for (number, span) in self.truth.spans_of(checkpoint.partition) {
            let is_known = span.since[0] <= checkpoint.cursor && span.versions.len() == 1 && span.ended.is_none();
            let url = &span.latest().notification_url;
            let Some(verdict) = self.verdict(life, url, now.mono).filter(|_| is_known) else { continue };
            if !stored.contains_key(&EndpointId::of(span.latest().app, url)) {
                let seen = format!("{url} of subscription {number} is {verdict:?}, and nothing is stored of it");
                return Err(Violation::new("health_is_kept", seen));
            }
        }
        Ok(())
    }

    /// Whether what is stored is so; what was stored earlier has its deadline by the clock of then.
    fn says(&self, stored: StoredHealth, verdict: Verdict, now: Now, is_said: bool) -> bool {
        let ends = now.wall.plus_micros(verdict.ends.since(now.mono) as i64);
        let is_off = stored.ends.since(ends).abs() > DEADLINE_SLACK_MICROS;
        (stored.health, stored.is_closed) == (verdict.health, verdict.is_closed) && !(is_said && is_off)
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
        let (limits, told) = (self.config.health, self.told.get(&life));
        let judged = told.into_iter().flatten().filter(|(_, told)| told.is_bad);
        let judged = judged.filter_map(|(url, told)| Some((url, told.at(now, &limits)?)));
        let unwell: Vec<_> = judged.filter(|(_, verdict)| verdict.health != Health::Healthy).collect();
        for (position, _) in records {
            let is_first = tenure.shown.insert(*position);
            if unwell.is_empty() && tenure.shut.is_empty() {
                continue;
            }
            for (number, span) in self.truth.spans_of(partition) {
                let told = span.matches.get(position);
                if told.is_none_or(|told| told.kind != StreamKind::Changes || told.silenced || told.event.is_some()) {
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
