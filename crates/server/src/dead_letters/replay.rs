//! Dead letters shown, and sent again: to their event subscription alone, under the id that they have, as records of the log
//! like every replay. A dead letter goes when its record is durable. If the machine stops between the two, it is there
//! still, and sent again it is the same event again.

use std::sync::Arc;

use graph::Timestamp;
use notify::push_policy::{GivenUp, LastOutcome, Undelivered};
use notify::topic::{Earlier, EventSubscription};
use notify::{Record, Topic, TopicEvent};
use protocol::event_grid::dead_letter::{DeadLetter, Told};
use serde::Serialize;
use store::{Store, StoreError, SubscriptionError};
use utoipa::ToSchema;

use super::{DeadLetters, KeepError, Shelf};

/// Records that one request looks at.
const LOOKED_AT_MAX: usize = 100;
/// What is sent again in one transaction, in bytes of its records.
const REPLAYED_BYTES_MAX: usize = 4 << 20;

/// Which dead letters of an event subscription.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Those of these events; empty: of all.
    pub ids: Vec<String>,
    pub reason: Option<String>,
    /// Their events were published at this time or later.
    pub from: Option<Timestamp>,
    /// Their events were published before this time.
    pub to: Option<Timestamp>,
    /// They were published, or sent again last, before this time.
    pub until: Option<Timestamp>,
}

/// A dead letter as it is listed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The event's.
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    subject: Option<String>,
    /// When it was published.
    published: String,
    /// When it was sent again last, if it had been a dead letter before.
    resent: Option<String>,
    reason: String,
    /// In all.
    attempts: u32,
    /// What the last attempt came to.
    last_outcome: String,
    last_status: Option<u16>,
    /// Where it lies.
    place: String,
}

/// A part of a list.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ListedLetters {
    value: Vec<Listed>,
    /// Where records lie that cannot be read.
    unreadable: Vec<String>,
    /// Whether there may be others: ask again with `after`.
    more: bool,
    after: Option<String>,
}

/// What was sent again.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ReplayedLetters {
    replayed: u64,
    /// The ids of their events.
    ids: Vec<String>,
    /// Where records lie that were sent again and could not be removed: sent once more they are the same events.
    left: Vec<String>,
    /// Where records lie that cannot be read.
    unreadable: Vec<String>,
    /// Whether there may be others: ask again with `after` and `until`.
    more: bool,
    after: Option<String>,
    /// Those were looked at that were published, or sent again last, before: what is sent again now and given up again is
    /// left alone.
    until: String,
}

/// Why nothing is sent again.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    #[error("this server keeps no dead letters; its configuration names no place in the section dead_letters")]
    NoPlace,
    #[error("this event subscription keeps no dead letters; it was put without deadLetterDestination")]
    NotKept,
    #[error("this event subscription is not pushed to, so nobody would get them")]
    NotLive,
    #[error(
        "the endpoint of this event subscription has answered 410, so it would get none of them; put it again first"
    )]
    Stopped,
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An event that the node has given up, as its record tells of it.
pub fn letter(of: &TopicEvent, undelivered: &Undelivered) -> DeadLetter {
    let last = undelivered.last.map(|last| last.outcome);
    let status = last.and_then(|outcome| match outcome {
        LastOutcome::Status(status) => Some(status),
        _ => None,
    });
    let before = of.earlier.map_or(0, |earlier| earlier.attempts);
    let told = Told {
        dead_letter_reason: reason(undelivered.reason).to_owned(),
        delivery_attempts: before.saturating_add(undelivered.attempts),
        last_delivery_outcome: last.map_or("Probation", outcome).to_owned(),
        publish_time: of.earlier.map_or(of.published, |earlier| earlier.published).to_string(),
        last_http_status_code: status,
        resent_time: of.earlier.map(|_| of.published.to_string()),
    };
    DeadLetter { event: of.event.clone(), told }
}

/// Event Grid's words; the last three are ours.
fn reason(given_up: GivenUp) -> &'static str {
    match given_up {
        GivenUp::AttemptsExceeded => "MaxDeliveryAttemptsExceeded",
        GivenUp::TimeToLiveExceeded => "TimeToLiveExceeded",
        GivenUp::NotRetried => "NotRetried",
        GivenUp::Stopped => "Stopped",
        GivenUp::Injected => "Injected",
    }
}

/// Event Grid's words.
fn outcome(last: LastOutcome) -> &'static str {
    match last {
        LastOutcome::Status(400) => "BadRequest",
        LastOutcome::Status(401) => "Unauthorized",
        LastOutcome::Status(403) | LastOutcome::Forbidden => "Forbidden",
        LastOutcome::Status(404) => "NotFound",
        LastOutcome::Status(408) | LastOutcome::TimedOut => "TimedOut",
        LastOutcome::Status(410) => "Disabled",
        LastOutcome::Status(413) => "PayloadTooLarge",
        LastOutcome::Status(429 | 503) => "Busy",
        LastOutcome::Status(507) => "Full",
        LastOutcome::Status(_) | LastOutcome::NotSent => "Aborted",
        LastOutcome::Unreachable => "SocketError",
        LastOutcome::Unresolved => "ResolutionError",
    }
}

/// Where the dead letters of an event subscription lie.
pub fn shelf(topic: &Topic, event_subscription: &EventSubscription) -> Result<Shelf, LettersError> {
    let destination = event_subscription.push().and_then(|push| push.dead_letters.as_ref());
    let destination = destination.ok_or(LettersError::NotKept)?;
    Shelf::new(&destination.container, topic, &event_subscription.name).map_err(|_| LettersError::NotKept)
}

/// The first of those that are chosen behind `after`.
pub async fn list(
    letters: &DeadLetters,
    shelf: &Shelf,
    chosen: &Chosen,
    after: Option<String>,
) -> Result<ListedLetters, LettersError> {
    let found = find(letters, shelf, chosen, after).await?;
    let value = found.letters.into_iter().map(|(place, letter)| Listed::of(place, letter)).collect();
    Ok(ListedLetters { value, unreadable: found.unreadable, more: found.more, after: found.after })
}

/// Sends the first of those that are chosen behind `after` again, and removes them.
pub async fn replay(
    (store, letters): (&dyn Store, &DeadLetters),
    topic: &Topic,
    event_subscription: &EventSubscription,
    chosen: &Chosen,
    (after, now): (Option<String>, Timestamp),
) -> Result<ReplayedLetters, LettersError> {
    let shelf = shelf(topic, event_subscription)?;
    let subscription = match event_subscription.id {
        Some(id) => store.subscription(id).await?,
        None => None,
    };
    let subscription = subscription.ok_or(LettersError::NotLive)?;
    if store.standing(subscription.id).await?.is_some_and(|standing| standing.is_paused()) {
        return Err(LettersError::Stopped);
    }
    let until = chosen.until.unwrap_or(now);
    let found = find(letters, &shelf, &Chosen { until: Some(until), ..chosen.clone() }, after).await?;
    let mut replayed = ReplayedLetters {
        until: until.to_string(),
        unreadable: found.unreadable,
        more: found.more,
        after: found.after,
        ..ReplayedLetters::default()
    };
    let (mut told, mut places) = (Vec::new(), Vec::new());
    for (place, letter) in found.letters {
        let Ok(published) = letter.told.publish_time.parse() else {
            replayed.unreadable.push(place);
            continue;
        };
        replayed.ids.push(letter.event.attributes().id.clone());
        let earlier = Some(Earlier { published, attempts: letter.told.delivery_attempts });
        // Its time to live begins anew.
        let event = TopicEvent { topic: topic.id, published: now, event: letter.event, earlier };
        told.push((None, Arc::new(Record::Event(Arc::new(event)))));
        places.push(place);
    }
    if told.is_empty() {
        return Ok(replayed);
    }
    store.replay(subscription, told).await.map_err(|error| match error {
        SubscriptionError::Store(error) => LettersError::Store(error),
        SubscriptionError::NotFound | SubscriptionError::Changed => LettersError::NotLive,
    })?;
    replayed.replayed = places.len() as u64;
    for place in places {
        if let Err(error) = letters.remove(&place).await {
            tracing::warn!(%error, "a dead letter that was sent again could not be removed");
            replayed.left.push(place);
        }
    }
    Ok(replayed)
}

#[derive(Default)]
struct Found {
    letters: Vec<(String, DeadLetter)>,
    unreadable: Vec<String>,
    more: bool,
    after: Option<String>,
}

async fn find(
    letters: &DeadLetters,
    shelf: &Shelf,
    chosen: &Chosen,
    after: Option<String>,
) -> Result<Found, LettersError> {
    let keys = letters.keys(shelf, after.as_deref(), LOOKED_AT_MAX).await?;
    let mut found = Found { after, more: keys.len() == LOOKED_AT_MAX, ..Found::default() };
    let mut bytes = 0;
    for key in keys {
        match letters.read(&key).await {
            Ok(Some(letter)) if chosen.has(&letter) => {
                bytes += letter.event.data().map_or(0, |data| data.bytes().len());
                if bytes > REPLAYED_BYTES_MAX && !found.letters.is_empty() {
                    found.more = true;
                    break;
                }
                found.letters.push((key.clone(), letter));
            }
            Ok(_) => {}
            Err(KeepError::Invalid(place, error)) => {
                tracing::warn!(place, %error, "a dead letter cannot be read");
                found.unreadable.push(place);
            }
            Err(error) => return Err(error.into()),
        }
        found.after = Some(key);
    }
    Ok(found)
}

impl Chosen {
    fn has(&self, letter: &DeadLetter) -> bool {
        let at = |time: &String| time.parse::<Timestamp>().ok();
        let published = at(&letter.told.publish_time);
        let last = letter.told.resent_time.as_ref().map_or(published, at);
        (self.ids.is_empty() || self.ids.contains(&letter.event.attributes().id))
            && self.reason.as_ref().is_none_or(|reason| letter.told.dead_letter_reason.eq_ignore_ascii_case(reason))
            && self.from.is_none_or(|from| published.is_some_and(|at| from <= at))
            && self.to.is_none_or(|to| published.is_some_and(|at| at < to))
            && self.until.is_none_or(|until| last.is_some_and(|at| at < until))
    }
}

impl Listed {
    fn of(place: String, letter: DeadLetter) -> Self {
        let (attributes, told) = (letter.event.attributes().clone(), letter.told);
        Self {
            id: attributes.id,
            source: attributes.source,
            event_type: attributes.event_type,
            subject: attributes.subject,
            published: told.publish_time,
            resent: told.resent_time,
            reason: told.dead_letter_reason,
            attempts: told.delivery_attempts,
            last_outcome: told.last_delivery_outcome,
            last_status: told.last_http_status_code,
            place,
        }
    }
}
