//! Subscriptions, matching, delivery and the node.
//!
//! Pure: this crate knows no async, no SQL, no HTTP, no clock and no source of randomness. Events and
//! the time arrive as arguments, commands leave as values.

pub mod access;
pub mod checkpoint;
pub mod clock;
pub mod concurrency;
pub mod endpoint;
pub mod event_filter;
pub mod event_grid_url;
pub mod fault_rules;
pub mod health;
pub mod incident;
pub mod log;
pub mod node;
pub mod notification;
pub mod profile;
pub mod push_policy;
pub mod reauthorization;
pub mod recount;
pub mod resource;
pub mod retention;
pub mod retry;
pub mod rules;
pub mod subscription;
pub mod throttle;
pub mod topic;
pub mod transition;

pub use checkpoint::{AbandonReason, Checkpoint, LedgerDelta, Parked, ParkedRef, Stream, StreamKind};
pub use clock::{Monotonic, Now};
pub use endpoint::EndpointId;
pub use health::{Health, HealthLimits, StoredHealth};
pub use incident::Incident;
pub use log::{Cause, EndReason, LifecycleEvent, Position, Record, Submission, SubscriptionEvent};
pub use node::{Command, Event, Node, NodeConfig};
pub use profile::Profile;
pub use resource::ResourceInterest;
pub use subscription::Subscription;
pub use topic::{EventSubscription, Topic, TopicEvent};
pub use transition::Interest;
