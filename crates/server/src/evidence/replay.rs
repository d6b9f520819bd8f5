//! Tells a subscription again of what it had to hear of. Which records these are follows from the log, by the matching
//! of the node; whether each was delivered or abandoned then is recorded nowhere. The replays are records of the log
//! themselves, so that they are delivered, retried and counted as everything else.

use std::sync::Arc;

use graph::{ChangeType, SubscriptionId, Timestamp};
use notify::event_grid_url::is_event_grid;
use notify::recount::Retelling;
use notify::{Position, Record};
use serde::Serialize;
use store::{Store, StoreError, SubscriptionError};
use utoipa::ToSchema;

/// The most notifications that one request tells again.
pub const REPLAYED_MAX: usize = 1_000;
/// The most records of the log that one request looks at.
const LOOKED_AT_MAX: usize = 20_000;
/// Records read at once.
const PAGE_RECORDS: usize = 500;

/// Which of the changes that a subscription had to hear of.
#[derive(Clone, Copy, Debug)]
pub enum Stretch {
    /// The one at this position of its partition's log.
    At(Position),
    /// Those that happened from the first time until before the second.
    Between(Timestamp, Timestamp),
}

/// How far a replay has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// How many notifications this request tells again.
    replayed: u64,
    /// The last position of the log that was looked at.
    after: u64,
    /// Whether there is more of the log: ask again with this `after`.
    more: bool,
    /// The log is gone up to this position, and what was asked for may lie there: that is not told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<u64>,
    /// Where the stretch of time ends: ask again with this `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    to: Option<Timestamp>,
}

/// Why nothing is told again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("there is no such subscription, or it has ended; only a live one can be told of anything")]
    NotLive,
    #[error(
        "the subscription goes to a topic, which takes an event once: pull it from there, or see `tidings topic replay`"
    )]
    ToTopic,
    #[error("the subscription is paused, so nobody would hear of it; its app must reauthorize first")]
    Paused,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Replays the first of what a live subscription had to hear of in a stretch of its log.
pub async fn replay(
    store: &dyn Store,
    id: SubscriptionId,
    stretch: Stretch,
    after: Position,
) -> Result<Replayed, ReplayError> {
    let subscription = store.subscription(id).await?.ok_or(ReplayError::NotLive)?;
    if is_event_grid(&subscription.notification_url) {
        return Err(ReplayError::ToTopic);
    }
    let partition = subscription.partition();
    let spans = store.partition_state(partition).await?.subscriptions;
    let span = spans.into_iter().find(|span| span.subscription.id == id).ok_or(ReplayError::NotLive)?;
    if span.standing.is_paused() {
        return Err(ReplayError::Paused);
    }
    let mut search =
        Search { after: stretch.begins(span.began).max(after), looked_at: 0, first_at: None, found: Vec::new() };
    let retelling = Retelling::of(span);
    let floor = store.books(partition).await?.opening.position;
    let begins = search.after;
    let more = loop {
        let page = store.read_log(partition, search.after, PAGE_RECORDS.min(stretch.length_max())).await?;
        // A page of long records is short, though it is not the last.
        let is_last = page.is_empty() || matches!(stretch, Stretch::At(_));
        if search.is_full_after(page, stretch, &retelling) {
            break true;
        }
        if is_last {
            break false;
        }
    };
    let gone = begins < floor && stretch.may_reach(floor, search.first_at);
    let replayed = search.found.len() as u64;
    if replayed > 0 {
        store.replay(subscription, search.found).await.map_err(|error| match error {
            SubscriptionError::Store(error) => ReplayError::Store(error),
            SubscriptionError::NotFound | SubscriptionError::Changed => ReplayError::NotLive,
        })?;
    }
    Ok(Replayed { replayed, after: search.after.0, more, gone: gone.then_some(floor.0), to: stretch.to() })
}

impl Stretch {
    /// Nothing at or before this position is in it; the subscription began at `began`.
    fn begins(self, began: Position) -> Position {
        match self {
            Stretch::At(position) => Position(position.0.saturating_sub(1)).max(began),
            Stretch::Between(..) => began,
        }
    }

    /// How many records it has at most, from where it begins.
    fn length_max(self) -> usize {
        match self {
            Stretch::At(_) => 1,
            Stretch::Between(..) => usize::MAX,
        }
    }

    /// Whether something of it may lie at or below the floor, above which the first change happened at `first_at`.
    fn may_reach(self, floor: Position, first_at: Option<Timestamp>) -> bool {
        match self {
            Stretch::At(sought) => sought <= floor,
            Stretch::Between(from, _) => first_at.is_none_or(|at| from < at),
        }
    }

    fn to(self) -> Option<Timestamp> {
        match self {
            Stretch::At(_) => None,
            Stretch::Between(_, to) => Some(to),
        }
    }

    fn contains(self, position: Position, record: &Record) -> bool {
        match self {
            Stretch::At(sought) => position == sought,
            Stretch::Between(from, to) => record.happened().is_some_and(|at| from <= at && at < to),
        }
    }
}

/// What was found in the log so far.
struct Search {
    after: Position,
    looked_at: usize,
    /// When the first change that was looked at happened.
    first_at: Option<Timestamp>,
    found: Vec<(Option<ChangeType>, Arc<Record>)>,
}

impl Search {
    /// Looks at the next records. Tells whether it has looked at as many, or found as many, as one request may.
    fn is_full_after(&mut self, page: Vec<(Position, Arc<Record>)>, stretch: Stretch, retelling: &Retelling) -> bool {
        for (position, record) in page {
            self.after = position;
            self.looked_at += 1;
            self.first_at = self.first_at.or(record.at());
            if stretch.contains(position, &record)
                && let Some(change) = retelling.heard(&record, position)
            {
                self.found.push((Some(change), record));
            }
            if self.found.len() == REPLAYED_MAX || self.looked_at == LOOKED_AT_MAX {
                return true;
            }
        }
        false
    }
}
