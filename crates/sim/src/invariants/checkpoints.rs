//! What a checkpoint may say: checked against the truth each time the store has recorded one.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Partition, SubscriptionId, Timestamp};
use notify::checkpoint::PARKED_REFS_MAX;
use notify::node::{CheckpointAnswer, Step};
use notify::{AbandonReason, Checkpoint, LedgerDelta, Parked, Position, StreamKind, Subscription, reauthorization};

use super::incidents::Untold;
use super::{Violation, Watch, surplus};
use crate::storage::{Storage, date};
use crate::truth::{Match, Span};

/// What the store held before a checkpoint.
pub struct Before {
    epoch: u64,
    number: u64,
    pub(super) cursor: Position,
    untold: BTreeMap<usize, Untold>,
    /// Where something is given up for room.
    pub(super) rows: Vec<Parked>,
}

impl Watch {
    pub fn before_checkpoint(&self, checkpoint: &Checkpoint, storage: &Storage) -> Before {
        let (number, cursor, _) = storage.model.progress(checkpoint.partition);
        let untold = self.untold(checkpoint.partition, cursor, storage);
        let rows = if surplus::is_in(checkpoint) { storage.parked(checkpoint.partition) } else { Vec::new() };
        Before { epoch: storage.epoch(checkpoint.partition), number, cursor, untold, rows }
    }

    pub fn after_checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        before: &Before,
        answer: CheckpointAnswer,
        storage: &Storage,
        at: u64,
    ) -> Result<(), Violation> {
        if answer != CheckpointAnswer::Recorded {
            return Ok(());
        }
        self.checkpoints += 1;
        let fence = |seen: String| Err(Violation::new("fence_holds", seen));
        if checkpoint.epoch != before.epoch {
            return fence(format!("a checkpoint of epoch {} was recorded in {}", checkpoint.epoch, before.epoch));
        }
        if checkpoint.number != before.number + 1 {
            return fence(format!("checkpoint {} was recorded after {}", checkpoint.number, before.number));
        }
        if checkpoint.cursor < before.cursor {
            let seen = format!("the cursor went back from {} to {}", before.cursor, checkpoint.cursor);
            return Err(Violation::new("restart_is_boring", seen));
        }
        if checkpoint.wall > self.latest_wall(at) {
            let seen = format!("a checkpoint says that it is {}, when it is {}", checkpoint.wall, date(at));
            return Err(Violation::new("schedule_is_kept", seen));
        }
        let (_, cursor, _) = storage.model.progress(checkpoint.partition);
        if cursor != checkpoint.cursor {
            return fence(format!("a checkpoint up to {} was recorded, and the cursor is {cursor}", checkpoint.cursor));
        }
        self.check_held(checkpoint)?;
        self.check_dropped(checkpoint, before.cursor)?;
        self.check_shed(checkpoint, before, storage)?;
        self.check_incidents(checkpoint, &before.untold, storage)?;
        self.check_partition(checkpoint.partition, checkpoint.cursor, storage, at)
    }

    /// Everything that the store says about a partition is true and balances.
    pub fn check_partition(
        &self,
        partition: Partition,
        cursor: Position,
        storage: &Storage,
        at: u64,
    ) -> Result<(), Violation> {
        let parked = self.check_rows(partition, cursor, storage)?;
        let none = BTreeSet::new();
        for (number, span) in self.truth.spans_of(partition).filter(|(_, span)| storage.knows(span.id)) {
            let parked = parked.get(&span.id).unwrap_or(&none);
            let ledger = storage.ledger(span.id);
            self.check_ledger(number, span, cursor, ledger, parked.len())?;
            match span.is_of_topic() {
                true => self.check_event_ends(number, span, cursor, (ledger, parked), at)?,
                false => self.check_ends(number, span, cursor, (ledger, parked), at)?,
            }
        }
        self.check_mail(partition, cursor)
    }

    fn check_rows(
        &self,
        partition: Partition,
        cursor: Position,
        storage: &Storage,
    ) -> Result<BTreeMap<SubscriptionId, BTreeSet<Position>>, Violation> {
        let mut parked: BTreeMap<SubscriptionId, BTreeSet<Position>> = BTreeMap::new();
        for row in storage.model.parked_rows(partition) {
            let refuse = |what: &str| {
                let seen = format!("{what}: {row:?} in partition {partition} at cursor {cursor}");
                Err(Violation::new("ledger_balances", seen))
            };
            if row.refs.is_empty() || row.refs.len() > PARKED_REFS_MAX || row.batch_max == 0 {
                return refuse("a row that holds too few or too many");
            }
            let Some(span) = self.truth.span(row.stream.subscription) else {
                return refuse("a row of a subscription that never began");
            };
            let positions = parked.entry(span.id).or_default();
            for one in &row.refs {
                let told = span.matches.get(&one.position);
                let right = told
                    .is_some_and(|told| is_of(told, row.stream.kind) && told.change == one.change && !told.silenced);
                if !right || one.position > cursor || !positions.insert(one.position) {
                    return refuse(&format!("position {} is parked wrongly", one.position));
                }
            }
        }
        Ok(parked)
    }

    fn check_ledger(
        &self,
        number: usize,
        span: &Span,
        cursor: Position,
        ledger: &LedgerDelta,
        parked: usize,
    ) -> Result<(), Violation> {
        let matched = span.matches.range(..=cursor).count() as u64;
        let right = ledger.balances() && ledger.matched == matched && ledger.parked == parked as i64;
        match right {
            true => Ok(()),
            false => {
                let seen = format!(
                    "subscription {number} at cursor {cursor} has {matched} matches and {parked} parked, \
                     but its ledger says {ledger:?}"
                );
                Err(Violation::new("ledger_balances", seen))
            }
        }
    }

    /// What is at or below the cursor and not parked was acknowledged, or abandoned for a reason.
    fn check_ends(
        &self,
        number: usize,
        span: &Span,
        cursor: Position,
        (ledger, parked): (&LedgerDelta, &BTreeSet<Position>),
        at: u64,
    ) -> Result<(), Violation> {
        let refuse = |what: String| Err(Violation::new("every_match_ends", what));
        let (mut acknowledged, mut expirable, mut silenced) = (0u64, 0u64, 0u64);
        let (mut too_large, mut withheld, mut unusable, mut injected) = (0u64, 0u64, 0u64, 0u64);
        let mut others = Vec::new();
        for (position, told) in span.matches.range(..=cursor).filter(|(position, _)| !parked.contains(position)) {
            let old = self.horizon_passed(told.appended, self.latest_wall(at));
            acknowledged += u64::from(told.acknowledged);
            expirable += u64::from(old);
            silenced += u64::from(told.silenced);
            too_large += u64::from(told.too_large);
            withheld += u64::from(told.withheld);
            unusable += u64::from(told.unusable);
            injected += u64::from(told.injected);
            // With its subscription everything is given up but what tells of the end.
            let is_over = told.has_ended() || old || told.silenced || (span.ended.is_some() && !told.last_word);
            let delivery = (number, *position);
            if !is_over && !self.may_be_dropped(delivery) && !self.shed.contains(&delivery) {
                others.push(*position);
            }
        }
        let abandoned = |reason| ledger.abandoned.get(&reason).copied().unwrap_or_default();
        if ledger.delivered > acknowledged {
            let delivered = ledger.delivered;
            return refuse(format!(
                "subscription {number} at cursor {cursor}: {delivered} delivered, {acknowledged} acknowledged"
            ));
        }
        if let Some(position) = others.first() {
            return refuse(format!("subscription {number}: position {position} is lost at cursor {cursor}"));
        }
        if abandoned(AbandonReason::SubscriptionEnded) > 0 && span.ended.is_none() {
            return refuse(format!("subscription {number} has not ended, but deliveries were abandoned for that"));
        }
        if abandoned(AbandonReason::Paused) != silenced {
            let counted = abandoned(AbandonReason::Paused);
            return refuse(format!(
                "subscription {number} at cursor {cursor}: {silenced} fell into a pause, {counted} are counted"
            ));
        }
        if abandoned(AbandonReason::Horizon) > expirable {
            return refuse(format!("subscription {number}: more were abandoned at the horizon than are so old"));
        }
        let shed = self.shed.range((number, Position(0))..=(number, cursor)).count() as u64;
        let lacking = [
            (AbandonReason::Overflow, shed),
            (AbandonReason::Retention, shed),
            (AbandonReason::TooLarge, too_large),
            (AbandonReason::AccessLost, withheld),
            (AbandonReason::CertificateUnusable, unusable),
            (AbandonReason::Injected, injected),
        ];
        if let Some((reason, most)) = lacking.into_iter().find(|(reason, most)| abandoned(*reason) > *most) {
            let counted = abandoned(reason);
            return refuse(format!("subscription {number}: {counted} were abandoned as {reason:?}, of {most}"));
        }
        Ok(())
    }

    /// Whether something appended at a time of the world may be given up at a wall time.
    pub(super) fn horizon_passed(&self, appended: u64, wall: Timestamp) -> bool {
        let since = date(appended).plus_micros(self.behind_micros);
        wall.since(since) >= self.config.horizon_micros
    }

    /// A submission at or below the cursor has reached every recipient, once.
    fn check_mail(&self, partition: Partition, cursor: Position) -> Result<(), Violation> {
        let passed = |(of, position, _): &&(Partition, Position, _)| *of == partition && *position <= cursor;
        for (_, position, submission) in self.truth.submissions.iter().filter(passed) {
            for recipient in &submission.recipients {
                let written = self.mail.get(&(submission.id, *recipient)).copied().unwrap_or_default();
                if written != 1 {
                    let seen = format!("the message at {position} was delivered {written} times at cursor {cursor}");
                    return Err(Violation::new("every_match_ends", seen));
                }
            }
        }
        Ok(())
    }

    /// A node lets a subscription take a step: not before any node can believe that it is time.
    pub fn steps(&self, subscription: &Subscription, step: Step, at: u64) -> Result<(), Violation> {
        let id = subscription.id;
        let refuse = |promise, what: String| Err(Violation::new(promise, format!("subscription {id} {what}")));
        let latest = self.latest_wall(at);
        match step {
            Step::End if subscription.expires > latest => {
                refuse("nothing_unasked", format!("is ended as expired before {}", subscription.expires))
            }
            Step::Ask { record, due } => {
                let (from, until) = (subscription.authorized, subscription.expires);
                let on_cadence = self.config.cadence.times(from, until).any(|time| time == due);
                match on_cadence && due <= latest && record == reauthorization::question_id(id, due) {
                    true => Ok(()),
                    false => {
                        let seen = format!("from {from} until {until}, by {latest} at the latest");
                        refuse("schedule_is_kept", format!("is asked for {due}, which is not the time: {seen}"))
                    }
                }
            }
            _ => Ok(()),
        }
    }

    /// A step was taken: its subscription is `before`, which still stood so.
    pub fn stepped(&mut self, before: &Subscription, step: Step, at: u64) -> Result<(), Violation> {
        let Some(span) = self.truth.span(before.id) else { return Ok(()) };
        let refuse = |what: String| {
            let seen = format!("subscription {} {what}", before.id);
            Err(Violation::new("schedule_is_kept", seen))
        };
        match step {
            Step::Pause if span.is_of_topic() => {
                match self.truth.number(before.id).is_some_and(|number| self.gone.contains(&number)) {
                    true => Ok(()),
                    false => refuse("is stopped, and nobody answered 410".to_owned()),
                }
            }
            Step::Pause => match span.lost.map(|lost| lost.plus_micros(self.config.grace_micros)) {
                Some(due) if due <= self.latest_wall(at) => Ok(()),
                due => refuse(format!("is paused; that is due {due:?}")),
            },
            Step::Missed { .. } => self.told_of_incident(before.id),
            Step::Ask { due, .. } if span.asked.iter().any(|asked| *asked >= due) => {
                refuse(format!("is asked for {due} again"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a match may lie in a row of such a stream.
fn is_of(told: &Match, kind: StreamKind) -> bool {
    told.kind == kind || (kind == StreamKind::DeadLetters && told.event.is_some())
}
