//! What may be pushed, when, and what becomes of what nobody takes: Event Grid's rules, read once more over everything
//! that a node was told.

use std::collections::BTreeSet;

use graph::Timestamp;
use notify::node::{Attempt, Lack, Outcome, Purpose};
use notify::push_policy::{GivenUp, LastOutcome, PushPolicy, Pushed, Undelivered};
use notify::subscription::Target;
use notify::topic::{Endpoint, Push};
use notify::{AbandonReason, LedgerDelta, Monotonic, Parked, Position, Record, Subscription, SubscriptionEvent};

use super::attempts::{Moment, Sent};
use super::{Delivery, Tenure, Violation, Watch};
use crate::process::Life;
use crate::truth::Span;

const SECOND: u64 = 1_000_000;
const TIMEOUT_MICROS: u64 = 30 * SECOND;
/// Of what goes into JetStream, and of dead letters.
const EVENTS_MAX: usize = 100;

/// What one who holds a partition was told of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    failures: u32,
    last: Option<(Monotonic, Outcome)>,
    /// Nothing may follow but a dead letter; nothing at all.
    is_final: bool,
    is_over: bool,
    letter: Option<Undelivered>,
    letter_failures: u32,
    letter_failed: Option<Monotonic>,
}

/// What became of an event, as far as some node was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventTold {
    /// `None`: it is a replay.
    pub published: Option<Timestamp>,
    /// It was refused for good; tried as often as it may be; its receiver wants nothing more.
    pub refused: bool,
    pub exceeded: bool,
    pub gone: bool,
    /// It was kept as a dead letter.
    pub kept: bool,
    /// It was not in the log any more; its dead letter was not kept, on purpose.
    pub cut: bool,
    pub letter_injected: bool,
}

/// How an event subscription is pushed to.
pub(super) fn push_of(subscription: &Subscription) -> Option<&Push> {
    match &subscription.target {
        Target::Topic(event_subscription) => event_subscription.push(),
        _ => None,
    }
}

fn policies(span: &Span) -> impl Iterator<Item = PushPolicy> {
    span.versions.iter().filter_map(|version| push_of(version)).map(|push| push.policy)
}

fn keeps(span: &Span) -> bool {
    push_of(span.latest()).is_some_and(|push| push.dead_letters.is_some())
}

/// Whether it ever got another endpoint, which is not held back for what the former one answered.
fn moves(span: &Span) -> bool {
    let url = &span.latest().notification_url;
    span.versions.iter().any(|version| version.notification_url != *url)
}

/// The least wait after so many failures, of which the last came to this.
fn least_wait_micros(failures: u32, outcome: Outcome) -> u64 {
    let schedule = [10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200];
    let step = schedule[(failures.max(1) as usize - 1).min(9)] * SECOND;
    match outcome {
        Outcome::Refused { status: 404, .. } => step.max(300 * SECOND),
        Outcome::Refused { status: 408, .. } => step.max(120 * SECOND),
        Outcome::Refused { status: 503, .. } => step.max(30 * SECOND),
        Outcome::Refused { status: 429, retry_after: Some(asked) } => step.max(asked.micros()),
        _ => step,
    }
}

fn probation_micros(outcome: Outcome) -> Option<u64> {
    Some(match outcome {
        Outcome::Acknowledged | Outcome::NotSent | Outcome::Delayed { .. } => return None,
        Outcome::Unreachable | Outcome::Forbidden => 30 * SECOND,
        Outcome::Unresolved | Outcome::Refused { status: 401 | 403 | 404 | 410, .. } => 300 * SECOND,
        Outcome::TimedOut | Outcome::Refused { .. } => 10 * SECOND,
    })
}

impl Tenure {
    /// A row of events that was parked when this node took over.
    pub(super) fn found_parked(&mut self, row: &Parked, delivery: Delivery) {
        let known = match row.pushed {
            Some(Pushed::GivenUp(letter)) => {
                Known { letter: Some(letter), letter_failures: row.attempts, is_final: true, ..Known::default() }
            }
            Some(Pushed::Failing(_)) | None => Known { failures: row.attempts, ..Known::default() },
        };
        self.pushes.insert(delivery, known);
    }
}

impl Watch {
    /// An attempt to push, or to keep dead letters, begins.
    pub(super) fn check_pushes(&self, moment: &Moment, attempt: &Attempt, sent: &[Sent]) -> Result<(), Violation> {
        let refuse = |promise, what: String| Err(Violation::new(promise, format!("attempt {}: {what}", attempt.id)));
        let of: BTreeSet<usize> = sent.iter().map(|one| one.delivery.0).collect();
        let push = attempt.notifications.first().and_then(|one| push_of(&one.subscription));
        let (Some(push), 1) = (push, of.len()) else {
            return refuse("nothing_unasked", format!("events go together for {of:?}"));
        };
        let most = match (&push.to, attempt.purpose) {
            (Endpoint::Webhook(webhook), Purpose::Push) => {
                webhook.batch.map_or(1, |batch| usize::from(batch.events_max))
            }
            _ => EVENTS_MAX,
        };
        if sent.len() > most {
            return refuse("memory_is_bounded", format!("{} events of at most {most}", sent.len()));
        }
        if attempt.timeout_micros != TIMEOUT_MICROS {
            return refuse("schedule_is_kept", format!("it has {} µs", attempt.timeout_micros));
        }
        for one in sent {
            let mut under_way = self.flights_of(moment.life).flat_map(|flight| &flight.deliveries);
            if under_way.any(|(_, _, delivery)| *delivery == one.delivery) {
                return refuse("nothing_unasked", format!("{:?} is under way already", one.delivery));
            }
            let what = match attempt.purpose {
                Purpose::Push => self.may_push(moment, one, push),
                _ => self.may_keep(moment, one, push),
            };
            if let Err((promise, what)) = what {
                return refuse(promise, format!("{:?} {what}", one.delivery));
            }
        }
        Ok(())
    }

    fn may_push(&self, moment: &Moment, one: &Sent, push: &Push) -> Result<(), (&'static str, String)> {
        let Ok(tenure) = self.tenure(moment.life, one.partition) else { return Ok(()) };
        let known = tenure.pushes.get(&one.delivery).cloned().unwrap_or_default();
        if known.is_final || known.is_over || known.letter.is_some() || one.notification.given_up.is_some() {
            return Err(("nothing_unasked", format!("is pushed, though it is given up: {known:?}")));
        }
        // Which of several stops a node knows of is not kept.
        let span = &self.truth.spans[one.delivery.0];
        if tenure.stopped.contains(&one.delivery.0) && span.paused && self.pauses(span) == 1 {
            return Err(("nothing_unasked", "is pushed to who wants no more".to_owned()));
        }
        let row = tenure.rows.get(&one.delivery);
        match (known.last, row) {
            (Some((at, outcome)), _) => {
                let (waited, least) = (moment.now.mono.since(at), least_wait_micros(known.failures, outcome));
                if waited < least {
                    return Err(("schedule_is_kept", format!("waited {waited} µs of {least} after {known:?}")));
                }
            }
            (None, Some(row)) if row.attempts > 0 && row.due > self.latest_wall(moment.at) => {
                return Err(("schedule_is_kept", format!("is tried before its stored due time {}", row.due)));
            }
            _ => {}
        }
        if let Some((failures, until)) = tenure.probations.get(&one.delivery.0)
            && *until > moment.now.mono
            && !moves(span)
        {
            return Err(("schedule_is_kept", format!("is pushed on probation, after {failures} failures")));
        }
        let told = self.truth.spans[one.delivery.0].matches.get(&one.delivery.1).and_then(|told| told.event);
        if let Some(published) = told.and_then(|told| told.published)
            && self.clocks_are_true()
            && push.policy.lives(published, self.wall(moment)).is_err()
        {
            return Err(("schedule_is_kept", "is pushed after its time to live".to_owned()));
        }
        Ok(())
    }

    fn may_keep(&self, moment: &Moment, one: &Sent, push: &Push) -> Result<(), (&'static str, String)> {
        let Ok(tenure) = self.tenure(moment.life, one.partition) else { return Ok(()) };
        let known = tenure.pushes.get(&one.delivery).cloned().unwrap_or_default();
        let Some(letter) = one.notification.given_up.filter(|_| push.dead_letters.is_some()) else {
            return Err(("nothing_unasked", "is kept as a dead letter, and nobody asked for that".to_owned()));
        };
        if known.is_over {
            return Err(("nothing_unasked", format!("is kept as a dead letter, though it is over: {known:?}")));
        }
        match known.letter {
            Some(before) if before != letter => {
                return Err(("restart_is_boring", format!("was {before:?}, and is {letter:?}")));
            }
            Some(_) => {}
            None => self.is_rightly_given_up(moment, one, &known, letter)?,
        }
        if let Some(failed) = known.letter_failed {
            let least = [10, 60, 300][(known.letter_failures.max(1) as usize - 1).min(2)] * SECOND;
            let waited = moment.now.mono.since(failed);
            if waited < least {
                return Err(("schedule_is_kept", format!("waited {waited} µs of {least} to be kept")));
            }
        }
        let age = self.wall(moment).since(letter.at);
        if self.clocks_are_true() && age > self.config.dead_letter_micros + SECOND as i64 {
            return Err(("schedule_is_kept", format!("is to be kept {age} µs after it was given up")));
        }
        Ok(())
    }

    fn is_rightly_given_up(
        &self,
        moment: &Moment,
        one: &Sent,
        known: &Known,
        letter: Undelivered,
    ) -> Result<(), (&'static str, String)> {
        let span = &self.truth.spans[one.delivery.0];
        let status = match known.last {
            Some((_, Outcome::Refused { status, .. })) => status,
            _ => 0,
        };
        let since =
            known.last.map(|(at, outcome)| (moment.now.mono.since(at), least_wait_micros(known.failures, outcome)));
        let told = span.matches.get(&one.delivery.1);
        let is_injected = told.is_some_and(|told| told.injected);
        let told = told.and_then(|told| told.event);
        let lives = |policy: PushPolicy| {
            let published = told.and_then(|told| told.published);
            published.is_some_and(|published| policy.lives(published, self.latest_wall(moment.at)).is_ok())
        };
        let is_right = match letter.reason {
            GivenUp::NotRetried => matches!(status, 400 | 401 | 403 | 413),
            GivenUp::Stopped => status == 410 || span.ever_paused,
            GivenUp::Injected => matches!(known.last, Some((_, Outcome::NotSent))) && is_injected,
            GivenUp::AttemptsExceeded => policies(span).any(|policy| known.failures >= policy.attempts_max()),
            GivenUp::TimeToLiveExceeded => {
                since.is_none_or(|(waited, least)| waited >= least) && policies(span).any(|policy| !lives(policy))
            }
        };
        let last = known.last.and_then(|(_, outcome)| LastOutcome::of(outcome));
        let says_last = last.is_none() || letter.last.map(|last| last.outcome) == last;
        match is_right && says_last && letter.attempts == known.failures {
            true => Ok(()),
            false => Err(("schedule_is_kept", format!("is given up as {letter:?}, after {known:?}"))),
        }
    }

    fn pauses(&self, span: &Span) -> usize {
        let log = self.truth.log_after(span.partition, Position(0));
        let is_pause = |record: &Record| match record {
            Record::Subscription { id, event: SubscriptionEvent::Paused } => *id == span.id,
            _ => false,
        };
        log.filter(|record| is_pause(record)).count()
    }

    /// The wall time that the node of a moment believes in.
    fn wall(&self, moment: &Moment) -> Timestamp {
        self.nows.get(&moment.life).map_or(moment.now.wall, |now| now.wall)
    }

    /// Whether no clock was ever wrong.
    fn clocks_are_true(&self) -> bool {
        (self.ahead_micros, self.behind_micros) == (0, 0)
    }

    /// An attempt that began keeps a dead letter.
    pub(super) fn keeps_letter(&mut self, life: Life, one: (graph::Partition, Delivery), letter: Option<Undelivered>) {
        let tenure = self.tenures.get_mut(&(life, one.0));
        if let (Some(tenure), Some(letter)) = (tenure, letter) {
            tenure.pushes.entry(one.1).or_default().letter = Some(letter);
        }
    }

    /// A node was told what an attempt to push came to: once for its event subscription.
    pub(super) fn told_pushed(&mut self, life: Life, now: Monotonic, flight: &super::InFlight, outcome: Outcome) {
        let Some((partition, epoch, (number, _))) = flight.deliveries.first().copied() else { return };
        if matches!(outcome, Outcome::Refused { status: 410, .. }) {
            self.gone.insert(number);
        }
        let tenure = self.tenures.get_mut(&(life, partition)).filter(|tenure| tenure.epoch == epoch);
        let Some(tenure) = tenure else { return };
        match probation_micros(outcome) {
            Some(micros) => {
                let (failures, until) = tenure.probations.entry(number).or_default();
                *failures += 1;
                if *failures >= 10 {
                    *until = (*until).max(now.plus_micros(micros));
                }
            }
            None if outcome == Outcome::Acknowledged => drop(tenure.probations.remove(&number)),
            None => {}
        }
    }

    /// The same, for each of its events.
    pub(super) fn told_event(
        &mut self,
        (life, now): (Life, Monotonic),
        purpose: Purpose,
        (partition, epoch, delivery): (graph::Partition, u64, Delivery),
        outcome: Outcome,
    ) {
        let acknowledged = outcome == Outcome::Acknowledged;
        let (mut any, mut all) = (false, true);
        let tenure = self.tenures.get_mut(&(life, partition)).filter(|tenure| tenure.epoch == epoch);
        let known = tenure.and_then(|tenure| tenure.pushes.get(&delivery));
        let before = known.map_or(0, |known| known.failures);
        for policy in policies(&self.truth.spans[delivery.0]) {
            let exceeds = before + 1 >= policy.attempts_max() && probation_micros(outcome).is_some();
            (any, all) = (any || exceeds, all && exceeds);
        }
        let status = match outcome {
            Outcome::Refused { status, .. } => status,
            _ => 0,
        };
        let refused = matches!(status, 400 | 401 | 403 | 413);
        if let Some(told) = self.truth.find(delivery.0, delivery.1) {
            let event = told.event.get_or_insert_default();
            match purpose {
                Purpose::DeadLetter => event.kept |= acknowledged,
                _ => {
                    told.acknowledged |= acknowledged;
                    event.refused |= refused;
                    event.gone |= status == 410;
                    event.exceeded |= any;
                }
            }
        }
        let Some(known) = known_of(&mut self.tenures, (life, partition), epoch, delivery) else { return };
        match (purpose, acknowledged) {
            (_, true) => known.is_over = true,
            (Purpose::DeadLetter, false) => {
                known.letter_failures += 1;
                known.letter_failed = Some(now);
            }
            (_, false) => {
                known.failures += 1;
                known.last = Some((now, outcome));
                known.is_final = refused || status == 410 || all;
            }
        }
    }

    /// A node was told that an event was left out of a request, and that there is no second one.
    pub(super) fn told_unsent(
        &mut self,
        (life, now): (Life, Monotonic),
        purpose: Purpose,
        (partition, epoch, delivery): (graph::Partition, u64, Delivery),
        lack: Lack,
    ) {
        if let Some(told) = self.truth.find(delivery.0, delivery.1) {
            let event = told.event.get_or_insert_default();
            match purpose {
                _ if lack == Lack::Gone => event.cut = true,
                Purpose::DeadLetter => event.letter_injected = true,
                Purpose::Push | Purpose::Notify => told.injected = true,
            }
        }
        let Some(known) = known_of(&mut self.tenures, (life, partition), epoch, delivery) else { return };
        if lack == Lack::Injected && purpose == Purpose::Push {
            known.failures += 1;
            known.last = Some((now, Outcome::NotSent));
            known.is_final = true;
        } else {
            known.is_over = true;
        }
    }

    /// What is at or below the cursor and not parked was acknowledged, or rightly given up and then kept, if it was to be.
    pub(super) fn check_event_ends(
        &self,
        number: usize,
        span: &Span,
        cursor: Position,
        (ledger, parked): (&LedgerDelta, &BTreeSet<Position>),
        at: u64,
    ) -> Result<(), Violation> {
        let refuse = |what: String| {
            let seen = format!("event subscription {number} at cursor {cursor}: {what}");
            Err(Violation::new("every_match_ends", seen))
        };
        let wall = self.latest_wall(at);
        let mut most = LedgerDelta::default();
        let mut may = |reason, may: bool| *most.abandoned.entry(reason).or_default() += u64::from(may);
        let (mut acknowledged, keeps) = (0, keeps(span));
        for (position, told) in span.matches.range(..=cursor).filter(|(position, _)| !parked.contains(position)) {
            let event = told.event.unwrap_or_default();
            // Nobody knows when a replay was matched.
            let lives = |policy: PushPolicy| event.published.is_some_and(|at| policy.lives(at, wall).is_ok());
            let too_old = policies(span).any(|policy| !lives(policy));
            let shed = self.shed.contains(&(number, *position));
            may(AbandonReason::NotRetried, event.refused);
            may(AbandonReason::AttemptsExceeded, event.exceeded);
            may(AbandonReason::Stopped, event.gone || span.ever_paused);
            may(AbandonReason::TimeToLiveExceeded, too_old);
            may(AbandonReason::Overflow, shed);
            may(AbandonReason::Retention, shed || event.cut);
            may(AbandonReason::Injected, told.injected || event.letter_injected);
            may(AbandonReason::SubscriptionEnded, span.ended.is_some());
            acknowledged += u64::from(told.acknowledged);
            let given_up =
                event.refused || event.exceeded || event.gone || told.injected || span.ever_paused || too_old;
            let since = crate::storage::date(told.appended).plus_micros(self.behind_micros);
            let is_late = wall.since(since) >= self.config.dead_letter_micros;
            let may_go = event.cut || event.letter_injected || (given_up && (!keeps || event.kept || is_late));
            if !(told.acknowledged || may_go || shed || span.ended.is_some()) {
                return refuse(format!("position {position} is lost: {event:?}"));
            }
        }
        if ledger.delivered > acknowledged {
            return refuse(format!("{} delivered, {acknowledged} acknowledged", ledger.delivered));
        }
        for (reason, counted) in &ledger.abandoned {
            let most = most.abandoned.get(reason).copied().unwrap_or_default();
            if *counted > most {
                return refuse(format!("{counted} were abandoned as {reason:?}, of {most}"));
            }
        }
        Ok(())
    }
}

fn known_of(
    tenures: &mut std::collections::BTreeMap<(Life, graph::Partition), Tenure>,
    of: (Life, graph::Partition),
    epoch: u64,
    delivery: Delivery,
) -> Option<&mut Known> {
    let tenure = tenures.get_mut(&of).filter(|tenure| tenure.epoch == epoch)?;
    Some(tenure.pushes.entry(delivery).or_default())
}
