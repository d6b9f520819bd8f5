//! What the deliveries of a stream are subject to: those of Graph's notifications, of events that are pushed, and of dead
//! letters differ in nothing else. Whoever wants to know when something is tried again, when no more, or with what it
//! goes asks here.

use graph::Timestamp;
use uuid::Uuid;

use super::delivery::Delivery;
use super::fault::Fault;
use super::owned::Done;
use super::stream::{Class, Room};
use super::{NodeConfig, Notification, Outcome, Purpose};
use crate::checkpoint::StreamKind;
use crate::push_policy::{self, Answer, GivenUp, Pushed};
use crate::subscription::Target;
use crate::topic::{DeadLetterDestination, Endpoint, Push};
use crate::{AbandonReason, Record, Subscription, retry};

/// The most events that go into JetStream at once, or are kept as dead letters at once.
const EVENTS_MAX: usize = 100;

#[derive(Clone, Copy, Debug)]
pub(super) enum Policy<'a> {
    Notify,
    Push(&'a Push),
    /// `None`: its event subscription keeps none any more.
    DeadLetter(Option<&'a DeadLetterDestination>),
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done(Done),
    /// It is due again when this has passed.
    Again {
        micros: u64,
    },
    /// Its event is not pushed any more.
    GivenUp(GivenUp),
}

impl<'a> Policy<'a> {
    pub fn of(subscription: &'a Subscription, kind: StreamKind) -> Self {
        let Target::Topic(event_subscription) = &subscription.target else { return Self::Notify };
        match (event_subscription.push(), kind) {
            (push, StreamKind::DeadLetters) => Self::DeadLetter(push.and_then(|push| push.dead_letters.as_ref())),
            (Some(push), StreamKind::Changes) => Self::Push(push),
            (None, StreamKind::Changes) | (_, StreamKind::Lifecycle) => Self::Notify,
        }
    }

    pub fn purpose(self) -> Purpose {
        match self {
            Self::Notify => Purpose::Notify,
            Self::Push(_) => Purpose::Push,
            Self::DeadLetter(_) => Purpose::DeadLetter,
        }
    }

    /// Whether its deliveries go in order, are given up at the horizon, share batches with those of other streams, and are
    /// held, dropped or brought forward by how their endpoint answers.
    pub fn is_of_notifications(self) -> bool {
        matches!(self, Self::Notify)
    }

    /// Whether there is somewhere to keep an event that is not pushed any more.
    pub fn keeps_dead_letters(self) -> bool {
        matches!(self, Self::Push(push) if push.dead_letters.is_some())
    }

    pub fn timeout_micros(self, class: Class, config: &NodeConfig) -> u64 {
        match (self, class) {
            (Self::Notify, Class::First) => config.health.first_timeout_micros,
            (Self::Notify, Class::Retry(_)) => config.health.retry_timeout_micros,
            (Self::Push(_) | Self::DeadLetter(_), _) => push_policy::TIMEOUT_MICROS,
        }
    }

    /// What one attempt holds.
    pub fn room(self, config: &NodeConfig) -> Room {
        let (notifications, bytes_max) = match self {
            Self::Notify => (usize::from(config.batch_max), config.batch_bytes_max),
            Self::Push(Push { to: Endpoint::Webhook(webhook), .. }) => match webhook.batch {
                Some(batch) => (usize::from(batch.events_max.max(1)), usize::from(batch.preferred_kib) << 10),
                None => (1, config.batch_bytes_max),
            },
            Self::Push(Push { to: Endpoint::NatsJetStream(_), .. }) | Self::DeadLetter(_) => {
                (EVENTS_MAX, config.batch_bytes_max)
            }
        };
        Room::new(notifications, bytes_max)
    }

    /// No wait is longer.
    pub fn wait_micros_max(self) -> u64 {
        match self {
            // The schedule of dead letters is shorter, a delay on purpose as long.
            Self::Notify | Self::DeadLetter(_) => retry::wait_micros_max(),
            Self::Push(_) => push_policy::wait_micros_max(),
        }
    }

    /// What becomes of a delivery that is due and is not to be tried; `None`: it is. `stopped`: its receiver wants nothing
    /// more.
    pub fn over(self, delivery: &Delivery, stopped: bool, now: Timestamp, config: &NodeConfig) -> Option<Verdict> {
        match self {
            Self::Notify => None,
            Self::Push(_) if stopped && !config.planted(Fault::StopForgotten) => {
                Some(Verdict::GivenUp(GivenUp::Stopped))
            }
            Self::Push(push) => {
                let over = push.policy.lives(delivery.published(), now).err();
                over.filter(|_| !config.planted(Fault::TimeToLiveIgnored)).map(Verdict::GivenUp)
            }
            Self::DeadLetter(kept) => {
                let given_up = delivery.given_up()?;
                let until = given_up.at.plus_micros(config.dead_letter_micros);
                let is_over = kept.is_none() || now >= until;
                is_over.then_some(Verdict::Done(Done::Abandoned(given_up.reason.into())))
            }
        }
    }

    /// What follows when an attempt with this delivery has come to an outcome and was not acknowledged.
    pub fn verdict(
        self,
        delivery: &Delivery,
        outcome: Outcome,
        seed: Uuid,
        now: Timestamp,
        config: &NodeConfig,
    ) -> Verdict {
        let attempts = delivery.attempts + 1;
        match (self, outcome) {
            (Self::Notify, _) if delivery.since <= now.plus_micros(-config.horizon_micros) => {
                Verdict::Done(Done::Abandoned(AbandonReason::Horizon))
            }
            (_, Outcome::Delayed { micros }) => Verdict::Again { micros },
            (Self::Notify, _) => {
                let asked = retry::asked(outcome).filter(|_| !config.planted(Fault::RetryAfterIgnored));
                Verdict::Again { micros: retry::wait_micros(attempts, seed, asked) }
            }
            (Self::Push(push), _) => pushed(push, delivery, outcome, seed, now, config),
            (Self::DeadLetter(_), _) => Verdict::Again { micros: push_policy::dead_letter_wait_micros(attempts, seed) },
        }
    }
}

/// What follows for an event that was not acknowledged. What was not sent is never the reason for which it is given up.
fn pushed(
    push: &Push,
    delivery: &Delivery,
    outcome: Outcome,
    seed: Uuid,
    now: Timestamp,
    config: &NodeConfig,
) -> Verdict {
    let attempts = delivery.attempts + 1;
    if config.planted(Fault::TimeToLiveTooEarly) && push.policy.lives(delivery.published(), now).is_err() {
        return Verdict::GivenUp(GivenUp::TimeToLiveExceeded);
    }
    let answer = match outcome {
        Outcome::Refused { status: 400, .. } if config.planted(Fault::FinalAnswerRetried) => Some(Answer::TimedOut),
        outcome => Answer::of(outcome),
    };
    let Some(answer) = answer else {
        return Verdict::Again { micros: push_policy::wait_micros(Answer::TimedOut, attempts, seed) };
    };
    match push.policy.verdict(answer, attempts, seed) {
        push_policy::Verdict::Acknowledged => Verdict::Done(Done::Delivered),
        push_policy::Verdict::Again { wait_micros } => Verdict::Again { micros: wait_micros },
        push_policy::Verdict::GivenUp(reason) => Verdict::GivenUp(reason),
    }
}

impl Notification {
    /// From when on it is not pushed any more: whoever finds it due then gives it up. `None`: it is no event that is pushed, or
    /// is told again and lives anew.
    pub fn lives_until(&self) -> Option<Timestamp> {
        let push = self.subscription.target.event_subscription()?.push()?;
        match &*self.record {
            Record::Event(event) if self.given_up.is_none() => Some(push.policy.lives_until(event.published)),
            _ => None,
        }
    }
}

impl Delivery {
    /// When the time to live of its event began: what is told again lives anew.
    fn published(&self) -> Timestamp {
        match &*self.record {
            Record::Event(event) => event.published,
            _ => self.since,
        }
    }

    /// Why its event is not pushed any more, if it is a dead letter.
    pub fn given_up(&self) -> Option<push_policy::Undelivered> {
        match self.pushed {
            Some(Pushed::GivenUp(undelivered)) => Some(undelivered),
            Some(Pushed::Failing(_)) | None => None,
        }
    }
}
