//! Event subscriptions: their rows, and how far each has come.

use std::sync::Arc;

use graph::{Partition, TopicId};
use notify::topic::EventCounts;
use notify::{EventSubscription, Position};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::seal::{Keys, UnsealError};
use crate::sqlite::error::{cell, corrupt};
use crate::sqlite::row::signed;
use crate::sqlite::writer::Tx;
use crate::{EventSubscriptionError, EventSubscriptionKey, StoreError};

const STATE: (&str, &str) = ("event_subscription", "state");
/// What a state is sealed as, for its event subscription.
const SEALED_AS: &str = "event_subscription.state";

/// Seals the JSON of an event subscription.
pub(in crate::sqlite) fn seal_state(keys: &Keys, key: &EventSubscriptionKey, json: &[u8]) -> Vec<u8> {
    keys.seal(SEALED_AS, &whose(key), json)
}

pub(in crate::sqlite) fn open_state(
    keys: &Keys,
    key: &EventSubscriptionKey,
    sealed: &[u8],
) -> Result<Vec<u8>, UnsealError> {
    keys.open(SEALED_AS, &whose(key), sealed)
}

fn whose(key: &EventSubscriptionKey) -> Vec<u8> {
    [key.topic.0.as_bytes(), key.folded().as_bytes()].concat()
}

/// The row of an event subscription.
pub(in crate::sqlite) struct EventSubscriptionRow {
    pub number: i64,
    pub subscription: EventSubscription,
    pub cursor: Position,
    pub counts: EventCounts,
}

impl EventSubscriptionRow {
    /// What [`Self::read`] reads.
    pub const COLUMNS: &str = "name, state, number, cursor, matched, acknowledged, dead_lettered, dropped, unread";

    pub fn read(row: &Row<'_>, keys: &Keys, topic: TopicId) -> Result<Self, StoreError> {
        let name: String = cell(row, 0, ("event_subscription", "name"), topic)?;
        let sealed = row.get_ref(1)?.as_blob().map_err(|error| corrupt(STATE, &name, error))?;
        let json = open_state(keys, &EventSubscriptionKey::new(topic, &name), sealed);
        let json = json.map_err(|error| corrupt(STATE, &name, error))?;
        let subscription = serde_json::from_slice(&json).map_err(|error| corrupt(STATE, &name, error))?;
        let count = |index, column| cell(row, index, ("event_subscription", column), &name);
        let counts = EventCounts {
            matched: count(4, "matched")?,
            acknowledged: count(5, "acknowledged")?,
            dead_lettered: count(6, "dead_lettered")?,
            dropped: count(7, "dropped")?,
            unread: count(8, "unread")?,
        };
        let number = cell(row, 2, ("event_subscription", "number"), &name)?;
        Ok(Self { number, subscription, cursor: Position(count(3, "cursor")?), counts })
    }
}

pub(super) fn kept(
    connection: &Connection,
    keys: &Keys,
    key: &EventSubscriptionKey,
) -> Result<Option<EventSubscriptionRow>, StoreError> {
    let sql =
        format!("SELECT {} FROM event_subscription WHERE topic = ?1 AND name = ?2", EventSubscriptionRow::COLUMNS);
    let mut statement = connection.prepare_cached(&sql)?;
    let row = params![key.topic.0.as_bytes(), key.folded()];
    statement.query_row(row, |row| Ok(EventSubscriptionRow::read(row, keys, key.topic))).optional()?.transpose()
}

pub(in crate::sqlite) fn by_key(
    connection: &Connection,
    keys: &Keys,
    key: &EventSubscriptionKey,
) -> Result<Option<(Arc<EventSubscription>, EventCounts)>, StoreError> {
    Ok(kept(connection, keys, key)?.map(|kept| (Arc::new(kept.subscription), kept.counts)))
}

pub(in crate::sqlite) fn of_topic(
    connection: &Connection,
    keys: &Keys,
    topic: TopicId,
) -> Result<Vec<Arc<EventSubscription>>, StoreError> {
    let sql =
        format!("SELECT {} FROM event_subscription WHERE topic = ?1 ORDER BY name", EventSubscriptionRow::COLUMNS);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([topic.0.as_bytes()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Arc::new(EventSubscriptionRow::read(row, keys, topic)?.subscription));
    }
    Ok(found)
}

pub(in crate::sqlite) fn put(
    tx: &mut Tx<'_>,
    subscription: &Arc<EventSubscription>,
    of_topic_max: u64,
) -> Result<(Arc<EventSubscription>, bool), EventSubscriptionError> {
    let topic = subscription.topic;
    let key = EventSubscriptionKey::new(topic, &subscription.name);
    if !tx.connection.prepare_cached("SELECT 1 FROM topic WHERE id = ?1")?.exists([topic.0.as_bytes()])? {
        return Err(EventSubscriptionError::NoTopic);
    }
    let before = kept(tx.connection, tx.keys, &key)?;
    let after = match &before {
        Some(before) => Arc::new(subscription.in_place_of(&before.subscription)),
        None => Arc::clone(subscription),
    };
    let json = serde_json::to_vec(&*after).map_err(|error| corrupt(STATE, &after.name, error))?;
    let state = seal_state(tx.keys, &key, &json);
    if let Some(before) = &before {
        let sql = "UPDATE event_subscription SET state = ?2 WHERE number = ?1";
        tx.connection.prepare_cached(sql)?.execute(params![before.number, state])?;
        return Ok((after, false));
    }
    let sql = "SELECT COUNT(*) FROM event_subscription WHERE topic = ?1";
    let count: u64 = tx.connection.prepare_cached(sql)?.query_row([topic.0.as_bytes()], |row| row.get(0))?;
    if count >= of_topic_max {
        return Err(EventSubscriptionError::TooMany(count));
    }
    let sql = "INSERT INTO event_subscription (topic, name, cursor, state) VALUES (?1, ?2, ?3, ?4)";
    let cursor = signed(tx.head(Partition::of(topic)).0);
    tx.connection.prepare_cached(sql)?.execute(params![topic.0.as_bytes(), key.folded(), cursor, state])?;
    Ok((after, true))
}

pub(in crate::sqlite) fn remove(tx: &mut Tx<'_>, key: &EventSubscriptionKey) -> Result<bool, StoreError> {
    let row = params![key.topic.0.as_bytes(), key.folded()];
    let sql = "DELETE FROM event_pending
        WHERE subscription IN (SELECT number FROM event_subscription WHERE topic = ?1 AND name = ?2)";
    tx.connection.prepare_cached(sql)?.execute(row)?;
    let sql = "DELETE FROM event_subscription WHERE topic = ?1 AND name = ?2";
    Ok(tx.connection.prepare_cached(sql)?.execute(row)? > 0)
}

/// Its topic keeps nothing any more up to here.
pub(super) fn forget(tx: &Tx<'_>, number: i64, (topic, last): (TopicId, Position)) -> Result<(), StoreError> {
    let sql = "UPDATE event_subscription SET cursor = MAX(cursor, ?3),
        dropped = dropped + (SELECT COUNT(*) FROM event_pending WHERE subscription = ?1 AND position <= ?3 AND hold < 2),
        unread = unread + (SELECT COUNT(*) FROM topic_event
            WHERE partition = ?4 AND topic = ?2 AND position > event_subscription.cursor AND position <= ?3)
        WHERE number = ?1";
    let last = signed(last.0);
    let row = params![number, topic.0.as_bytes(), last, Partition::of(topic).0];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    let sql = "DELETE FROM event_pending WHERE subscription = ?1 AND position <= ?2";
    tx.connection.prepare_cached(sql)?.execute((number, last))?;
    Ok(())
}

/// Records how far it has come.
pub(super) fn advance(tx: &Tx<'_>, kept: &EventSubscriptionRow) -> Result<(), StoreError> {
    let EventSubscriptionRow { number, cursor, counts, .. } = kept;
    let sql = "UPDATE event_subscription
        SET cursor = ?2, matched = ?3, acknowledged = ?4, dead_lettered = ?5, dropped = ?6 WHERE number = ?1";
    let numbers = [counts.matched, counts.acknowledged, counts.dead_lettered, counts.dropped].map(signed);
    let [matched, acknowledged, dead_lettered, dropped] = numbers;
    let row = params![number, signed(cursor.0), matched, acknowledged, dead_lettered, dropped];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}
