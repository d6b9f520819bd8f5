//! The defects that can be planted to show that the promises would notice them.

use std::str::FromStr;

use notify::node::Fault;

macro_rules! planted {
    ($($variant:ident $name:literal $node:expr),* $(,)?) => {
        /// A planted defect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Planted { $($variant),* }

        impl Planted {
            pub const ALL: &'static [Planted] = &[$(Planted::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Planted::$variant => $name),* }
            }

            /// The defect of the node, unless it lies in the store.
            pub fn in_node(self) -> Option<Fault> {
                match self { $(Planted::$variant => $node),* }
            }
        }
    };
}

planted! {
    CheckpointBeforeDelivery "checkpoint-before-delivery" Some(Fault::CheckpointBeforeDelivery),
    FenceIgnored "fence-ignored" None,
    SlotKeptAfterFailure "slot-kept-after-failure" Some(Fault::SlotKeptAfterFailure),
    OrderBrokenOnRetry "order-broken-on-retry" Some(Fault::OrderBrokenOnRetry),
    RetryTooEarly "retry-too-early" Some(Fault::RetryTooEarly),
    RetryAfterIgnored "retry-after-ignored" Some(Fault::RetryAfterIgnored),
    ParkedRowLost "parked-row-lost" Some(Fault::ParkedRowLost),
    OutcomeAboveCursorPersisted "outcome-above-cursor-persisted" Some(Fault::OutcomeAboveCursorPersisted),
    PositionOutOfOrderAccepted "position-out-of-order" Some(Fault::PositionOutOfOrderAccepted),
    EndForgottenInReplay "end-forgotten-in-replay" Some(Fault::EndForgottenInReplay),
    CheckpointAppliedTwice "checkpoint-applied-twice" Some(Fault::CheckpointAppliedTwice),
    LaterOvertakesParked "later-overtakes-parked" Some(Fault::LaterOvertakesParked),
    SendAfterLeaseEnd "send-after-lease-end" Some(Fault::SendAfterLeaseEnd),
    PauseForgottenInReplay "pause-forgotten-in-replay" Some(Fault::PauseForgottenInReplay),
    LossForgottenInReplay "loss-forgotten-in-replay" Some(Fault::LossForgottenInReplay),
    LastWordTriedOnce "last-word-tried-once" Some(Fault::LastWordTriedOnce),
    AskedOffCadence "asked-off-cadence" Some(Fault::AskedOffCadence),
    TooLargeTakenForDelivered "too-large-taken-for-delivered" Some(Fault::TooLargeTakenForDelivered),
    IncidentForgottenInReplay "incident-forgotten-in-replay" Some(Fault::IncidentForgottenInReplay),
    HealthForgottenInReplay "health-forgotten-in-replay" Some(Fault::HealthForgottenInReplay),
    LostMissedTakenForTold "lost-missed-taken-for-told" Some(Fault::LostMissedTakenForTold),
    HeldTooLong "held-too-long" Some(Fault::HeldTooLong),
    LogCutTooFar "log-cut-too-far" None,
    DroppedWhileSlow "dropped-while-slow" Some(Fault::DroppedWhileSlow),
    DroppedTooShort "dropped-too-short" Some(Fault::DroppedTooShort),
    RefusalTakenForRecovery "refusal-taken-for-recovery" Some(Fault::RefusalTakenForRecovery),
    NewestOverflowsFirst "newest-overflows-first" Some(Fault::NewestOverflowsFirst),
    OverflowOwesNothing "overflow-owes-nothing" Some(Fault::OverflowOwesNothing),
    InjectedOwesNothing "injected-owes-nothing" Some(Fault::InjectedOwesNothing),
    DroppedWithoutLetter "dropped-without-letter" Some(Fault::DroppedWithoutLetter),
    GoneUnnoticed "gone-unnoticed" Some(Fault::GoneUnnoticed),
    RetentionTakesAll "retention-takes-all" Some(Fault::RetentionTakesAll),
    RetentionOwesNothing "retention-owes-nothing" Some(Fault::RetentionOwesNothing),
    TimeToLiveIgnored "time-to-live-ignored" Some(Fault::TimeToLiveIgnored),
    TimeToLiveTooEarly "time-to-live-too-early" Some(Fault::TimeToLiveTooEarly),
    FinalAnswerRetried "final-answer-retried" Some(Fault::FinalAnswerRetried),
    ProbationIgnored "probation-ignored" Some(Fault::ProbationIgnored),
    StopForgotten "stop-forgotten" Some(Fault::StopForgotten),
    DeadLetterLost "dead-letter-lost" Some(Fault::DeadLetterLost),
    DeadLetterReasonLost "dead-letter-reason-lost" Some(Fault::DeadLetterReasonLost),
    EventDataLost "event-data-lost" Some(Fault::EventDataLost),
    EarlierFilterForgotten "earlier-filter-forgotten" Some(Fault::EarlierFilterForgotten),
}

/// No defect has this name.
#[derive(Clone, Debug)]
pub struct UnknownDefect(String);

impl std::fmt::Display for UnknownDefect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = Planted::ALL.iter().map(|planted| planted.name()).collect();
        write!(f, "no defect is called {:?}; there are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownDefect {}

impl FromStr for Planted {
    type Err = UnknownDefect;

    fn from_str(name: &str) -> Result<Self, UnknownDefect> {
        Self::ALL.iter().copied().find(|planted| planted.name() == name).ok_or_else(|| UnknownDefect(name.to_owned()))
    }
}
