//! The log of a partition: the dense, ordered sequence of everything that notifications follow from.

use std::fmt;
use std::sync::Arc;

use graph::mailbox::meeting::Meeting;
use graph::registry::Ingested;
use graph::{
    AppId, Change, ChangeId, ChangeType, Properties, SubmissionId, SubscriptionId, TenantId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::{Subscription, TopicEvent};

/// A record's place in its partition's log. The first record has 1; 0 stands before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    Change(Change),
    /// A change of a resource outside of mailboxes.
    Ingested(Box<Ingested>),
    Subscription {
        id: SubscriptionId,
        event: SubscriptionEvent,
    },
    /// Notification ids come from `id`. It is random, as a change's is, unless [`Cause::RunsOut`] gives it.
    Lifecycle {
        id: ChangeId,
        subscription: SubscriptionId,
        event: LifecycleEvent,
        /// Why the app must reauthorize; `None`: nothing follows if it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    Submit(Submission),
    /// What one subscription was to hear of before is told to it again, alone, under the id that it had.
    Replayed {
        subscription: SubscriptionId,
        /// As what it is told of a change; of an event `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<ChangeType>,
        /// The change of an item or of a resource, or the event of a topic, as it stands in the log.
        record: Arc<Record>,
    },
    /// An event of a partner topic.
    Event(Arc<TopicEvent>),
}

/// A step in a subscription's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubscriptionEvent {
    Began(Box<Subscription>),
    /// The subscription as it is after the patch.
    Patched(Box<Subscription>),
    /// Its app did not show that it has access: what follows is not told until `Resumed`.
    Paused,
    Resumed,
    Ended(EndReason),
}

/// Why a subscription ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndReason {
    /// The app deleted it.
    Deleted,
    /// Its `expirationDateTime` passed.
    Expired,
    /// The user for whom the app made it may not sign in any more.
    UserDisabled,
    /// The user for whom the app made it must sign in again.
    SessionsEnded,
    /// The user for whom the app made it, or whose mailbox it watches, is gone.
    UserRemoved,
    /// The app is gone, or may not act any more.
    AppRemoved,
}

impl EndReason {
    /// Whether the app is told: the end was not its own doing, nor known to it beforehand.
    pub fn is_told(self) -> bool {
        !matches!(self, EndReason::Deleted | EndReason::Expired)
    }
}

/// Why an app must reauthorize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// Its time runs out. It is asked for this time of the cadence.
    RunsOut { due: Timestamp },
    /// What it was granted was taken back, at this time.
    AccessLost { at: Timestamp },
}

impl Record {
    /// What is told: of a replay what was told before, of anything else itself.
    pub fn original(&self) -> &Record {
        match self {
            Record::Replayed { record, .. } => record,
            record => record,
        }
    }

    /// When a change happened.
    pub fn happened(&self) -> Option<Timestamp> {
        match self.original() {
            Record::Change(change) => Some(change.at),
            Record::Ingested(change) => Some(change.at),
            _ => None,
        }
    }

    /// When it was written; not every record says so.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Record::Change(change) => Some(change.at),
            Record::Ingested(change) => Some(change.at),
            Record::Submit(submission) => Some(submission.at),
            Record::Event(event) => Some(event.published),
            Record::Subscription { event: SubscriptionEvent::Began(subscription), .. } => Some(subscription.created),
            Record::Subscription { .. } | Record::Lifecycle { .. } | Record::Replayed { .. } => None,
        }
    }

    /// Whether it is an event with data.
    pub(crate) fn has_data(&self) -> bool {
        matches!(self.original(), Record::Event(event) if event.event.data().is_some())
    }

    /// Whether it is the end of a subscription that its app is told of: the one notification after the end.
    pub fn is_last_word(&self) -> bool {
        matches!(self, Record::Subscription { event: SubscriptionEvent::Ended(reason), .. } if reason.is_told())
    }
}

/// What a lifecycle notification tells, in Graph's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LifecycleEvent {
    Missed,
    SubscriptionRemoved,
    ReauthorizationRequired,
}

impl LifecycleEvent {
    pub fn as_str(self) -> &'static str {
        match self {
            LifecycleEvent::Missed => "missed",
            LifecycleEvent::SubscriptionRemoved => "subscriptionRemoved",
            LifecycleEvent::ReauthorizationRequired => "reauthorizationRequired",
        }
    }
}

/// A message that is on its way to mailboxes of the same tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    pub id: SubmissionId,
    pub tenant: TenantId,
    pub app: Option<AppId>,
    pub sender: UserId,
    pub recipients: Vec<UserId>,
    pub at: Timestamp,
    /// The message as the recipients get it, in Graph's JSON form.
    pub message: Properties,
    /// What it tells them of a meeting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meeting: Option<Box<Meeting>>,
}
