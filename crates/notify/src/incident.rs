//! Of what a subscription was not told and will not be: one incident for all of it until the app has heard, by one
//! lifecycle notification `missed`.

use graph::{ChangeId, SubscriptionId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::LifecycleEvent;
use crate::{AbandonReason, Record};

/// Namespace of the ids of the records that tell of incidents; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x2d9c_47e1_0b6a_4f58_9e13_c8a4_75d0_1fb6);

/// A subscription's, from the checkpoint that records the first abandonment until `missed` is in the log. What is
/// abandoned meanwhile joins it; a subscription has one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// No two incidents of a subscription opened at one time.
    pub opened: Timestamp,
}

impl Incident {
    /// The record that tells of it: the same whoever appends it.
    pub fn missed(self, subscription: SubscriptionId) -> Record {
        let mut name = [0u8; 24];
        name[..16].copy_from_slice(subscription.0.as_bytes());
        name[16..].copy_from_slice(&self.opened.as_micros().to_be_bytes());
        let id = ChangeId(Uuid::new_v5(&NAMESPACE, &name));
        Record::Lifecycle { id, subscription, event: LifecycleEvent::Missed, cause: None }
    }
}

impl AbandonReason {
    /// Whether the app is told of it: it was to hear of the change, and does not know that it never will.
    pub fn owes_missed(self) -> bool {
        match self {
            AbandonReason::Horizon
            | AbandonReason::TooLarge
            | AbandonReason::CertificateUnusable
            | AbandonReason::EndpointDropping
            | AbandonReason::Overflow
            | AbandonReason::Retention
            | AbandonReason::Injected => true,
            // Event subscriptions are told of no incidents.
            AbandonReason::AttemptsExceeded
            | AbandonReason::TimeToLiveExceeded
            | AbandonReason::NotRetried
            | AbandonReason::Stopped => false,
            // It knows that the subscription ended, and was asked to show that it has access.
            AbandonReason::SubscriptionEnded | AbandonReason::Paused | AbandonReason::AccessLost => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_795_255_200);

    #[test]
    fn each_incident_of_each_subscription_is_told_by_a_record_of_its_own() {
        let of = |number, opened| Incident { opened }.missed(SubscriptionId(Uuid::from_u128(number)));
        assert_eq!(of(1, NOON), of(1, NOON));
        assert_ne!(of(1, NOON), of(2, NOON));
        assert_ne!(of(1, NOON), of(1, NOON.plus_micros(1)));
    }

    #[test]
    fn it_is_stored_as_json_with_the_time_of_its_opening() {
        let stored = serde_json::to_string(&Incident { opened: NOON }).unwrap();
        assert_eq!(stored, r#"{"opened":"2026-11-21T10:00:00Z"}"#);
    }
}
