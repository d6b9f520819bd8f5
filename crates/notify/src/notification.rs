//! Which notification a match gives.

use graph::{ChangeType, SubscriptionId};
use uuid::Uuid;

use crate::{LifecycleEvent, Record};

/// Namespace of notification ids; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x9a1c_52f4_3e0b_4f6d_a7d8_11c2_60e9_b35f);

/// The id of the notification that tells `subscription` of `record`: hashed from what is told, never
/// from where it lies, who sends it, or when.
pub fn id(subscription: SubscriptionId, record: &Record, change: Option<ChangeType>) -> Uuid {
    let (told, what) = match record {
        Record::Change(told) => (told.id.0, 1 + change.unwrap_or(told.change) as u8),
        Record::Lifecycle { id, event: LifecycleEvent::Missed, .. } => (id.0, 0x11),
        Record::Lifecycle { id, event: LifecycleEvent::SubscriptionRemoved, .. } => (id.0, 0x12),
        Record::Lifecycle { id, event: LifecycleEvent::ReauthorizationRequired, .. } => (id.0, 0x13),
        Record::Subscription { id, .. } => (id.0, 0),
        Record::Submit(submission) => (submission.id.0, 0),
    };
    let mut name = [0u8; 33];
    name[..16].copy_from_slice(told.as_bytes());
    name[16..32].copy_from_slice(subscription.0.as_bytes());
    name[32] = what;
    Uuid::new_v5(&NAMESPACE, &name)
}
