//! Defects that the simulator plants to show that it would find them. Without the feature
//! `planted-faults` none can be planted, and the compiler removes the questions.

use super::NodeConfig;

/// A defect of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    CheckpointBeforeDelivery,
    SlotKeptAfterFailure,
    OrderBrokenOnRetry,
    RetryTooEarly,
    RetryAfterIgnored,
    ParkedRowLost,
    OutcomeAboveCursorPersisted,
    PositionOutOfOrderAccepted,
    EndForgottenInReplay,
    CheckpointAppliedTwice,
    LaterOvertakesParked,
    SendAfterLeaseEnd,
    PauseForgottenInReplay,
    LossForgottenInReplay,
    LastWordTriedOnce,
    AskedOffCadence,
    TooLargeTakenForDelivered,
    IncidentForgottenInReplay,
    HealthForgottenInReplay,
    LostMissedTakenForTold,
    HeldTooLong,
    DroppedWhileSlow,
    DroppedTooShort,
    RefusalTakenForRecovery,
    NewestOverflowsFirst,
    OverflowOwesNothing,
    InjectedOwesNothing,
    DroppedWithoutLetter,
    GoneUnnoticed,
    RetentionTakesAll,
    RetentionOwesNothing,
    TimeToLiveIgnored,
    TimeToLiveTooEarly,
    FinalAnswerRetried,
    ProbationIgnored,
    StopForgotten,
    DeadLetterLost,
    DeadLetterReasonLost,
    EventDataLost,
    EarlierFilterForgotten,
}

impl NodeConfig {
    #[cfg(feature = "planted-faults")]
    pub(super) fn planted(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    #[cfg(not(feature = "planted-faults"))]
    pub(super) fn planted(&self, _: Fault) -> bool {
        false
    }
}
