//! The promises, watched from outside: what each node was told and what it commanded, against the truth.

mod attempts;
mod checkpoints;
mod health;
mod incidents;
mod pushing;
mod rest;
mod retention;
mod surplus;

pub use incidents::SOON_MICROS;
pub use pushing::EventTold;
pub use rest::Endings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use graph::{Partition, SubmissionId, SubscriptionId, Timestamp, UserId};
use notify::log::SubscriptionEvent;
use notify::node::{Lack, NodeConfig, NodeStats, Outcome, Purpose, Wall};
use notify::retry::RetryAfter;
use notify::{Command, EndpointId, Event, Monotonic, Now, Position, Record, StoredHealth};
use uuid::Uuid;

use self::health::History;
use crate::plan::Plan;
use crate::process::{Letter, Life};
use crate::storage::date;
use crate::truth::Truth;

/// How far a wall clock may be off before the node takes it for a leap.
pub const SMALL_SKEW_MICROS: i64 = 10_000_000;
/// A leap that stood so long is believed.
const BELIEVED_AFTER_MICROS: u64 = 60_000_000;

/// A limit that no world reaches.
pub const AMPLE: usize = 1_024;

/// A promise that was broken, and how that showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub promise: &'static str,
    pub seen: String,
}

impl Violation {
    pub fn new(promise: &'static str, seen: String) -> Self {
        Self { promise, seen }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.seen)
    }
}

/// A delivery: the number of its subscription, and the position of its record.
pub type Delivery = (usize, Position);

/// The stretch in which one life works on one partition under one epoch.
#[derive(Clone, Debug, Default)]
struct Tenure {
    epoch: u64,
    /// By the node's own clock, counted from when it asked.
    lease_end: Monotonic,
    /// What the store said when the node last read the partition's state.
    cursor: Option<Position>,
    /// Where the log ended then: what stood there by then of subscriptions is known.
    head: Position,
    rows: BTreeMap<Delivery, Stored>,
    /// Failures that the node was told of, or read from the store, and not yet followed by success.
    failures: BTreeMap<Delivery, Failure>,
    /// Deliveries that were begun.
    begun: BTreeSet<Delivery>,
    /// Those that came to an end.
    ended_deliveries: BTreeSet<Delivery>,
    /// Records that this node was shown; and of these what was to be dropped each time, for nothing new might go.
    shown: BTreeSet<Position>,
    shut: BTreeSet<Delivery>,
    /// Those that must have been given up for room, since later ones that had to wait for them were sent.
    passed_over: BTreeSet<Delivery>,
    /// The last record that a checkpoint may have parked.
    parked_up_to: Position,
    /// The number of the last checkpoint that it knows of or commanded, and what that leaves stored of endpoints.
    number: u64,
    health: BTreeMap<EndpointId, StoredHealth>,
    /// What it was told of events, of how often in a row those of an event subscription failed and until when it is left
    /// alone for that, and of who was stopped.
    pushes: BTreeMap<Delivery, pushing::Known>,
    probations: BTreeMap<usize, (u32, Monotonic)>,
    stopped: BTreeSet<usize>,
    /// Subscriptions whose end this node was told of.
    ended: BTreeSet<usize>,
    /// The oldest version of each subscription that the node may still use.
    versions: BTreeMap<usize, usize>,
}

/// A parked delivery as the store had it.
#[derive(Clone, Copy, Debug)]
struct Stored {
    attempts: u32,
    due: Timestamp,
}

/// A failure that the node knows of.
#[derive(Clone, Copy, Debug)]
struct Failure {
    attempts: u32,
    /// `None`: it was read from the store, whose due time counts.
    known: Option<Monotonic>,
    /// How long its endpoint asked for.
    asked: Option<RetryAfter>,
}

/// An attempt in flight.
#[derive(Clone, Debug)]
struct InFlight {
    purpose: Purpose,
    origin: String,
    url: String,
    begun: Monotonic,
    timeout_micros: u64,
    /// By the node's own clock; then it is over, whenever the node hears of it.
    deadline: Monotonic,
    /// With the partition and epoch under which each was begun.
    deliveries: Vec<(Partition, u64, Delivery)>,
}

/// Everything that the promises are checked with.
pub struct Watch {
    pub truth: Truth,
    config: NodeConfig,
    tenures: BTreeMap<(Life, Partition), Tenure>,
    flights: BTreeMap<(Life, u64), InFlight>,
    /// What each notification id stands for.
    ids: BTreeMap<Uuid, Delivery>,
    /// Wall times that each life has acted on.
    walls: BTreeMap<Life, Timestamp>,
    draining: BTreeSet<Life>,
    released: BTreeSet<Life>,
    mail: BTreeMap<(SubmissionId, UserId), u32>,
    /// What time each life believes that it is, and why.
    nows: BTreeMap<Life, Now>,
    trusted: BTreeMap<Life, Wall>,
    /// What each life was told of how URLs respond.
    told: BTreeMap<Life, BTreeMap<String, History>>,
    /// What was new to somebody while its endpoint was dropping, with the epochs in which it was; and while it was slow.
    dropped: BTreeMap<Delivery, BTreeSet<u64>>,
    slowed: BTreeSet<Delivery>,
    /// When each life was told last that a URL acknowledged something.
    acknowledged: BTreeMap<(Life, String), Monotonic>,
    /// Up to where nodes were asked to give up what is parked.
    freed: BTreeMap<Partition, Position>,
    /// What was given up for room, or went beside that.
    shed: BTreeSet<Delivery>,
    /// Events that were not in the log any more, by the checkpoint that gives something up for room.
    cut_when_built: BTreeMap<(Partition, u64, u64), BTreeSet<Delivery>>,
    /// How many deliveries were held when they were parked.
    held: u64,
    /// Subscriptions of which something was abandoned since they were told last that they missed something.
    owed: BTreeSet<usize>,
    /// How often they were told.
    missed: u64,
    /// Event subscriptions of which some node was told that their receiver wants no more.
    gone: BTreeSet<usize>,
    /// What each living node said last that it holds.
    pub stats: BTreeMap<Life, NodeStats>,
    /// The furthest that any node may believe the wall clock to be ahead, and behind.
    ahead_micros: i64,
    behind_micros: i64,
    attempts: u64,
    checkpoints: u64,
}

impl Watch {
    pub fn new(plan: &Plan) -> Self {
        Self {
            truth: Truth::default(),
            config: plan.config.clone(),
            tenures: BTreeMap::new(),
            flights: BTreeMap::new(),
            ids: BTreeMap::new(),
            walls: BTreeMap::new(),
            draining: BTreeSet::new(),
            released: BTreeSet::new(),
            mail: BTreeMap::new(),
            nows: BTreeMap::new(),
            trusted: BTreeMap::new(),
            told: BTreeMap::new(),
            dropped: BTreeMap::new(),
            slowed: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            freed: BTreeMap::new(),
            shed: BTreeSet::new(),
            cut_when_built: BTreeMap::new(),
            held: 0,
            owed: BTreeSet::new(),
            missed: 0,
            gone: BTreeSet::new(),
            stats: BTreeMap::new(),
            ahead_micros: 0,
            behind_micros: 0,
            attempts: 0,
            checkpoints: 0,
        }
    }

    /// Attempts and recorded checkpoints so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.attempts, self.checkpoints)
    }

    /// The attempts of a life that are in flight.
    fn flights_of(&self, life: Life) -> impl Iterator<Item = &InFlight> {
        self.flights.range((life, 0)..=(life, u64::MAX)).map(|(_, flight)| flight)
    }

    /// A node begins with whatever its clock shows.
    pub fn started(&mut self, life: Life, skew_micros: i64) {
        self.died(Life { life: life.life.saturating_sub(1), ..life });
        self.believe(skew_micros);
    }

    pub fn died(&mut self, life: Life) {
        self.flights.retain(|(of, _), _| *of != life);
        self.stats.remove(&life);
        self.tenures.retain(|(of, _), _| *of != life);
    }

    /// A node looks at a clock that has had about this skew for so long; a small one is believed at once.
    pub fn looks(&mut self, skew_micros: i64, stood_micros: u64) {
        if skew_micros < SMALL_SKEW_MICROS || stood_micros >= BELIEVED_AFTER_MICROS {
            self.believe(skew_micros);
        }
    }

    fn believe(&mut self, skew_micros: i64) {
        self.ahead_micros = self.ahead_micros.max(skew_micros);
        self.behind_micros = self.behind_micros.min(skew_micros);
    }

    pub fn most_skew_micros(&self) -> u64 {
        self.ahead_micros.unsigned_abs()
    }

    /// The furthest wall time that a node may act on.
    fn latest_wall(&self, at: u64) -> Timestamp {
        date(at).plus_micros(self.ahead_micros + SMALL_SKEW_MICROS + 1_000_000)
    }

    /// A node is about to handle an event.
    pub fn handed(&mut self, life: Life, now: Now, letter: &Letter) {
        let wall = self.walls.entry(life).or_insert(now.wall);
        *wall = (*wall).max(now.wall);
        let believed = self.trusted.entry(life).or_default().observe(now);
        self.nows.insert(life, Now { wall: believed, mono: now.mono });
        if let Event::Log { partition, records: Some(records), .. } | Event::Published { partition, records } =
            &letter.event
        {
            self.shown(life, now.mono, *partition, records);
        }
        match &letter.event {
            Event::Leases { asked, held, .. } => self.leased(life, *asked, held),
            Event::State { partition, epoch, state: Some(state) } => {
                let ended = state.subscriptions.iter().filter(|span| span.ended.is_some());
                let ended: Vec<SubscriptionId> = ended.map(|span| span.subscription.id).collect();
                self.told_state(life, *partition, *epoch, state.cursor, letter);
                for subscription in ended {
                    self.told_end(life, *partition, subscription);
                }
            }
            Event::Log { partition, epoch, records: Some(records) } => {
                // Where there is no room, what was read is read again later.
                let least = self.config.deliveries_max.min(self.config.window_max).min(self.config.unparked_max);
                let room = least >= AMPLE;
                let takes_all = room && !self.draining.contains(&life);
                if takes_all && self.tenures.get(&(life, *partition)).is_some_and(|tenure| tenure.epoch == *epoch) {
                    for (_, record) in records {
                        self.told_record(life, *partition, record);
                    }
                }
            }
            Event::EndCommitted { partition, subscription, .. } => self.told_end(life, *partition, *subscription),
            Event::Attempted { attempt, outcome, lacks } => self.told_outcome(life, now, *attempt, (*outcome, lacks)),
            Event::Drain => {
                self.draining.insert(life);
            }
            _ => {}
        }
    }

    fn leased(&mut self, life: Life, asked: Monotonic, held: &[(Partition, u64)]) {
        let end = asked.plus_micros(self.config.lease_micros);
        for (partition, epoch) in held {
            let tenure = self.tenures.entry((life, *partition)).or_default();
            if tenure.epoch != *epoch {
                *tenure = Tenure { epoch: *epoch, ..Tenure::default() };
            }
            tenure.lease_end = tenure.lease_end.max(end);
        }
    }

    fn told_state(&mut self, life: Life, partition: Partition, epoch: u64, cursor: Position, letter: &Letter) {
        let Event::State { state: Some(state), .. } = &letter.event else { return };
        let Some(tenure) = self.tenures.get_mut(&(life, partition)).filter(|tenure| tenure.epoch == epoch) else {
            return;
        };
        if tenure.cursor.is_some() {
            // It begins anew, from what the store holds.
            *tenure = Tenure { epoch, lease_end: tenure.lease_end, ..Tenure::default() };
        }
        tenure.cursor = Some(cursor);
        tenure.parked_up_to = cursor;
        tenure.head = state.head;
        (tenure.number, tenure.health) = (state.number, state.health.clone());
        for row in letter.rows.iter().flatten() {
            let Some(number) = self.truth.number(row.stream.subscription) else { continue };
            for one in &row.refs {
                let delivery = (number, one.position);
                tenure.rows.insert(delivery, Stored { attempts: row.attempts, due: row.due });
                if self.truth.spans[number].is_of_topic() {
                    tenure.found_parked(row, delivery);
                } else if row.attempts > 0 {
                    tenure.failures.insert(delivery, Failure { attempts: row.attempts, known: None, asked: None });
                }
            }
        }
        for span in &state.subscriptions {
            if let Some(number) = self.truth.number(span.subscription.id) {
                // By its place: a later patch may have made it equal to an earlier version again.
                let since = &self.truth.spans[number].since;
                let known = since.iter().rposition(|since| *since <= state.head).unwrap_or(0);
                let oldest = tenure.versions.entry(number).or_default();
                *oldest = (*oldest).max(known);
                if span.standing.is_paused() {
                    tenure.stopped.insert(number);
                }
            }
        }
        self.raise_wall(life, state.wall);
        self.took_up(life, state);
    }

    /// What an earlier life has acted on is no later than now.
    fn raise_wall(&mut self, life: Life, floor: Timestamp) {
        self.trusted.entry(life).or_default().raise(floor);
        if let Some(now) = self.nows.get_mut(&life) {
            now.wall = now.wall.max(floor);
        }
    }

    /// The node has shown that it went past a position, and so past what stands there of subscriptions.
    fn passed(&mut self, life: Life, partition: Partition, position: Position) {
        if let Some(tenure) = self.tenures.get_mut(&(life, partition)).filter(|tenure| tenure.cursor.is_some()) {
            for (number, span) in self.truth.spans_of(partition) {
                let known = span.since.iter().rposition(|since| *since <= position).unwrap_or(0);
                let oldest = tenure.versions.entry(number).or_default();
                *oldest = (*oldest).max(known);
            }
        }
        let spans = self.truth.spans_of(partition);
        let over = spans.filter(|(_, span)| span.ended.is_some_and(|(ended, _)| ended <= position));
        let over: Vec<SubscriptionId> = over.map(|(_, span)| span.id).collect();
        for subscription in over {
            self.told_end(life, partition, subscription);
        }
    }

    fn told_record(&mut self, life: Life, partition: Partition, record: &Record) {
        if let Record::Subscription { id, event: SubscriptionEvent::Ended(_) } = record {
            self.told_end(life, partition, *id);
        }
        if let Record::Subscription { id, event: SubscriptionEvent::Paused } = record
            && let (Some(number), Some(tenure)) = (self.truth.number(*id), self.tenures.get_mut(&(life, partition)))
        {
            tenure.stopped.insert(number);
        }
    }

    fn told_end(&mut self, life: Life, partition: Partition, subscription: SubscriptionId) {
        let number = self.truth.number(subscription);
        let tenure = self.tenures.get_mut(&(life, partition)).filter(|tenure| tenure.cursor.is_some());
        if let (Some(tenure), Some(number)) = (tenure, number) {
            tenure.ended.insert(number);
        }
    }

    fn told_outcome(&mut self, life: Life, now: Now, attempt: u64, (outcome, lacks): (Outcome, &[(usize, Lack)])) {
        let Some(flight) = self.flights.remove(&(life, attempt)) else { return };
        if flight.purpose != Purpose::Notify {
            return self.told_of_events(life, now.mono, flight, (outcome, lacks));
        }
        self.responded(life, now.mono, &flight, outcome);
        if outcome == Outcome::Acknowledged {
            self.acknowledged.insert((life, flight.url.clone()), now.mono);
        }
        for (place, (partition, epoch, delivery)) in flight.deliveries.into_iter().enumerate() {
            let lack = lacks.iter().find(|(lacking, _)| *lacking == place).map(|(_, lack)| *lack);
            let acknowledged = outcome == Outcome::Acknowledged;
            if let Some(told) = self.truth.find(delivery.0, delivery.1) {
                told.acknowledged |= acknowledged && lack.is_none();
                told.too_large |= acknowledged && lack == Some(Lack::TooLarge);
                told.withheld |= acknowledged && lack == Some(Lack::AccessLost);
                told.unusable |= lack == Some(Lack::CertificateUnusable);
                told.injected |= lack == Some(Lack::Injected);
            }
            let tenure = self.tenures.get_mut(&(life, partition)).filter(|tenure| tenure.epoch == epoch);
            let Some(tenure) = tenure else { continue };
            if acknowledged || matches!(lack, Some(Lack::CertificateUnusable | Lack::Injected)) {
                tenure.failures.remove(&delivery);
                tenure.ended_deliveries.insert(delivery);
            } else {
                let before = tenure.failures.get(&delivery).map_or(0, |failure| failure.attempts);
                let (known, asked) = (Some(now.mono), notify::retry::asked(outcome));
                tenure.failures.insert(delivery, Failure { attempts: before + 1, known, asked });
            }
        }
    }

    fn told_of_events(
        &mut self,
        life: Life,
        now: Monotonic,
        flight: InFlight,
        (outcome, lacks): (Outcome, &[(usize, Lack)]),
    ) {
        if flight.purpose == Purpose::Push {
            self.told_pushed(life, now, &flight, outcome);
        }
        for (place, told) in flight.deliveries.into_iter().enumerate() {
            match lacks.iter().find(|(lacking, _)| *lacking == place) {
                Some((_, lack)) => self.told_unsent((life, now), flight.purpose, told, *lack),
                None => self.told_event((life, now), flight.purpose, told, outcome),
            }
        }
    }

    /// A node has commanded something else than an attempt.
    pub fn commanded(&mut self, life: Life, command: &Command) -> Result<(), Violation> {
        let refuse = |promise, what: &str| {
            let seen = format!("node {} {what}", life.process);
            Err(Violation::new(promise, seen))
        };
        if self.released.contains(&life) {
            return refuse("fence_holds", "gave its leases back and then commands something");
        }
        match command {
            Command::ReadLog { partition, after, .. } => self.passed(life, *partition, *after),
            Command::Checkpoint(checkpoint) => {
                self.passed(life, checkpoint.partition, checkpoint.cursor);
                self.check_passed_over(life, checkpoint)?;
                self.check_stored(life, checkpoint)?;
            }
            Command::Acquire { .. } if self.draining.contains(&life) => {
                return refuse("fence_holds", "acquires leases while it drains");
            }
            Command::Release => {
                self.released.insert(life);
                if self.flights_of(life).next().is_some() {
                    return refuse("slots_return", "gives its leases back with attempts in flight");
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub fn delivered_mail(&mut self, submission: SubmissionId, recipient: UserId, wrote: bool) {
        *self.mail.entry((submission, recipient)).or_default() += u32::from(wrote);
    }
}
