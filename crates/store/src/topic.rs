//! What the verbs of topics take and answer, and the tokens of locks.

use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph::{SubscriptionId, TenantId, Timestamp, TopicId};
use notify::topic::{CloudEvent, DeadLetterReason, EventSubscription, LockKey, Settlement, TopicRefusal};
use notify::{Position, Subscription, Topic, TopicEvent};
use uuid::Uuid;

use crate::{Generation, StoreError};

/// So many events one receive considers at most, those that the filter keeps out among them.
pub(crate) const CONSIDERED_MAX: usize = 1_000;

/// Which topics to read: those of which all that is given holds.
#[derive(Clone, Debug, Default)]
pub struct TopicQuery {
    pub tenant: Option<TenantId>,
    pub azure_subscription: Option<Uuid>,
    /// In any case.
    pub resource_group: Option<String>,
    /// In any case.
    pub name: Option<String>,
    pub after: Option<TopicId>,
    pub limit: u64,
}

impl TopicQuery {
    pub(crate) fn asks_for(&self, topic: &Topic) -> bool {
        let place = &topic.place;
        self.tenant.is_none_or(|tenant| tenant == topic.tenant)
            && self.azure_subscription.is_none_or(|azure| azure == place.azure_subscription)
            && self.resource_group.as_ref().is_none_or(|group| place.is_in_group(place.azure_subscription, group))
            && self.name.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&place.partner_topic))
            && self.after.is_none_or(|after| topic.id > after)
    }
}

/// How full a topic is, and what it did not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicCounts {
    /// Events that are kept.
    pub events: u64,
    /// Events that were published while it was not activated.
    pub dropped: u64,
}

/// An event subscription by its topic and its name, in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSubscriptionKey {
    pub topic: TopicId,
    pub name: String,
}

impl EventSubscriptionKey {
    pub fn new(topic: TopicId, name: &str) -> Self {
        Self { topic, name: name.to_owned() }
    }

    /// The name as it is compared.
    pub(crate) fn folded(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

/// What pushed events and has ended: a subscription of the node, and where in its log that is said.
pub type EndedPushing = (SubscriptionId, Position);

/// What has the name of an event subscription that is put, as its caller has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namesake {
    None,
    /// The other takes its place, and goes on with what it has.
    Standing(Arc<EventSubscription>),
    /// It makes room: the other begins anew.
    Over(Arc<EventSubscription>),
}

impl Namesake {
    pub fn of(found: Option<Arc<EventSubscription>>, now: Timestamp) -> Self {
        match found {
            None => Self::None,
            Some(found) if found.is_over(now) => Self::Over(found),
            Some(found) => Self::Standing(found),
        }
    }

    /// Unless it is over.
    pub fn standing(&self) -> Option<&Arc<EventSubscription>> {
        match self {
            Self::Standing(found) => Some(found),
            Self::None | Self::Over(_) => None,
        }
    }

    /// Whether it is this that has the name.
    pub(crate) fn is(&self, stored: Option<&EventSubscription>) -> bool {
        match self {
            Self::None => stored.is_none(),
            Self::Standing(found) | Self::Over(found) => stored == Some(&**found),
        }
    }
}

/// What came of putting an event subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub stands: Arc<EventSubscription>,
    /// Nothing had its name before.
    pub is_new: bool,
    /// What pushed events before, and does not any more.
    pub ended: Option<EndedPushing>,
    /// Where the log says that what pushes events goes on as another than before.
    pub patched: Option<Position>,
}

/// What one receive got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub events: Vec<LockedEvent>,
    /// It ended for a limit: whoever asks at once may get more.
    pub more: bool,
    /// When something that is pending is to be received again, unless it is settled before; `None`: nothing is.
    pub due: Option<Timestamp>,
}

/// An event that nobody else receives for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedEvent {
    pub lock_token: String,
    /// From 1.
    pub delivery_count: u32,
    pub event: Arc<TopicEvent>,
}

/// By which tokens to do what, all at one time.
#[derive(Clone, Debug)]
pub struct Settle {
    /// As they came: they may be forged, and doubled.
    pub tokens: Vec<String>,
    pub how: Settlement,
    pub now: Timestamp,
}

/// Why a token did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFailure {
    /// It is none of this event subscription.
    Bad,
    /// Its lock is over, was used before, or may not be renewed any more.
    Lost,
}

/// An event that nobody receives any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub position: Position,
    pub event: Arc<TopicEvent>,
    pub reason: DeadLetterReason,
    /// How often it was received.
    pub delivery_count: u32,
    pub at: Timestamp,
}

/// Why a topic was not opened or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    #[error("there is no such topic")]
    NotFound,
    /// It is not as the caller expected.
    #[error("the topic was changed meanwhile")]
    Changed,
    #[error("the app has {0} topics, which is the limit")]
    TooMany(u64),
    #[error(transparent)]
    Refused(#[from] TopicRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("there is no such topic")]
    NoTopic,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an event subscription was not put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventSubscriptionError {
    #[error("there is no such topic")]
    NoTopic,
    #[error("the topic has {0} event subscriptions, which is the limit")]
    TooMany(u64),
    /// Its name has something else than the caller found, or what it pushed under this id has ended: it is pushed anew
    /// under another one.
    #[error("the event subscription was changed meanwhile")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was pulled or settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// It is not there, or is over.
    #[error("there is no such event subscription")]
    NotFound,
    /// Its events go elsewhere.
    #[error("the event subscription is not a queue")]
    NotAQueue,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The cursor of an event subscription whose events are not pulled: for a queue it has considered all that are to come.
pub(crate) const NOT_PULLED: Position = Position(i64::MAX as u64);

/// The event subscription that stands when `wanted` is put in the place of `before`. What is pushed now goes on under its
/// id; what is not, or not any more, is pushed under the new one.
pub(crate) fn put_in_place(
    wanted: &EventSubscription,
    before: Option<&EventSubscription>,
    pushed: Option<&Subscription>,
) -> EventSubscription {
    match before {
        Some(before) => {
            EventSubscription { id: pushed.map_or(wanted.id, |pushed| Some(pushed.id)), ..wanted.in_place_of(before) }
        }
        None => wanted.clone(),
    }
}

/// What becomes of the subscription by which the node pushes events, when its event subscription is put.
pub(crate) enum Pushing {
    Unchanged,
    Begins(Arc<Subscription>),
    Changes(Arc<Subscription>),
    Ends(SubscriptionId),
}

impl Pushing {
    /// `before` lives; `after` is what there is to be, and its record would stand at `position`.
    pub fn of(before: Option<&Subscription>, after: Option<Subscription>, position: Position) -> Self {
        match (before, after) {
            (None, None) => Self::Unchanged,
            (None, Some(after)) => Self::Begins(Arc::new(after)),
            (Some(before), Some(after)) => match after.in_place_of(before, position) {
                after if after == *before => Self::Unchanged,
                after => Self::Changes(Arc::new(after)),
            },
            (Some(before), None) => Self::Ends(before.id),
        }
    }

    /// What becomes of one that lives when its topic is another's; `None`: it pushes no events.
    pub fn of_topic(pushed: &Subscription, topic: &Topic, position: Position) -> Option<Self> {
        let after = topic.pushed(pushed.target.event_subscription()?)?;
        Some(Self::of(Some(pushed), Some(after), position))
    }
}

/// What events are told apart by, as CloudEvents has it: the source together with the id.
pub(crate) fn event_key(event: &CloudEvent) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    let attributes = event.attributes();
    context.update(&(attributes.source.len() as u64).to_be_bytes());
    context.update(attributes.source.as_bytes());
    context.update(attributes.id.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&context.finish().as_ref()[..16]);
    key
}

const MAC_BYTES: usize = 16;
const TOKEN_BYTES: usize = 8 + 4 + MAC_BYTES;
const TOKEN_CHARS: usize = (TOKEN_BYTES * 4).div_ceil(3);

/// One lock: on which event, and which receive of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub position: Position,
    pub delivery_count: u32,
}

impl Lock {
    /// The token vouches for itself: nothing is kept to know it again, and neither another event subscription's nor one
    /// of the store's life before a backup passes for it.
    pub fn token(self, key: &LockKey, generation: Generation) -> String {
        let mut token = Vec::with_capacity(TOKEN_BYTES);
        token.extend(self.position.0.to_be_bytes());
        token.extend(self.delivery_count.to_be_bytes());
        let mac = hmac::sign(&hmac::Key::new(HMAC_SHA256, &key.0), &vouched_for(&token, generation));
        token.extend(&mac.as_ref()[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The lock of a token that was made with this key.
    pub fn read(token: &str, key: &LockKey, generation: Generation) -> Option<Self> {
        let bytes = Some(token).filter(|token| token.len() == TOKEN_CHARS)?;
        let bytes = URL_SAFE_NO_PAD.decode(bytes).ok()?;
        let (position, rest) = bytes.split_first_chunk()?;
        let (delivery_count, _) = rest.split_first_chunk()?;
        let lock = Self {
            position: Position(u64::from_be_bytes(*position)),
            delivery_count: u32::from_be_bytes(*delivery_count),
        };
        let same =
            aws_lc_rs::constant_time::verify_slices_are_equal(lock.token(key, generation).as_bytes(), token.as_bytes());
        same.is_ok().then_some(lock)
    }
}

fn vouched_for(named: &[u8], generation: Generation) -> Vec<u8> {
    [&generation.0.to_be_bytes(), named].concat()
}
