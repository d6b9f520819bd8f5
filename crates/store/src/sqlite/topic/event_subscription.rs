//! Event subscriptions: their rows, and how far each has come.

use std::sync::Arc;

use graph::{Partition, TopicId};
use notify::topic::EventCounts;
use notify::{EventSubscription, Position};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::seal::{Keys, UnsealError};
use crate::sqlite::error::{cell, corrupt};
use crate::sqlite::row::signed;
use crate::sqlite::subscription;
use crate::sqlite::writer::Tx;
use crate::topic::{NOT_PULLED, Pushing, put_in_place};
use crate::{EndedPushing, EventSubscriptionError, EventSubscriptionKey, Namesake, Put, StoreError};

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
    before: &Namesake,
    wanted: &EventSubscription,
    of_topic_max: u64,
) -> Result<Put, EventSubscriptionError> {
    let key = EventSubscriptionKey::new(wanted.topic, &wanted.name);
    let topic = super::topic(tx.connection, tx.keys, key.topic)?.ok_or(EventSubscriptionError::NoTopic)?;
    let found = kept(tx.connection, tx.keys, &key)?;
    if !before.is(found.as_ref().map(|found| &found.subscription)) {
        return Err(EventSubscriptionError::Changed);
    }
    let standing = found.filter(|_| before.standing().is_some());
    let id = standing.as_ref().and_then(|standing| standing.subscription.id);
    let pushed = id.map(|id| subscription::subscription(tx.connection, tx.keys, id)).transpose()?.flatten();
    let after = put_in_place(wanted, standing.as_ref().map(|standing| &standing.subscription), pushed.as_deref());
    let pushing = Pushing::of(pushed.as_deref(), topic.pushed(&after), tx.next_position(topic.partition()));
    let is_new = *before == Namesake::None;
    if is_new {
        check_room(tx.connection, key.topic, of_topic_max)?;
    }
    if let Pushing::Begins(new) = &pushing
        && subscription::is_known(tx.connection, new.id)?
    {
        return Err(EventSubscriptionError::Changed);
    }
    let over = match before {
        Namesake::Over(_) => remove(tx, &key)?.flatten(),
        Namesake::None | Namesake::Standing(_) => None,
    };
    match &standing {
        Some(standing) => replace(tx, standing, &after)?,
        None => insert(tx, &key, &after)?,
    }
    let (ended, patched) = subscription::change_pushing(tx, pushing)?;
    if let Some(id) = after.id {
        subscription::resume_pushing(tx, id)?;
    }
    Ok(Put { stands: Arc::new(after), is_new, ended: over.or(ended), patched })
}

fn check_room(connection: &Connection, topic: TopicId, of_topic_max: u64) -> Result<(), EventSubscriptionError> {
    let sql = "SELECT COUNT(*) FROM event_subscription WHERE topic = ?1";
    let count: u64 = connection.prepare_cached(sql)?.query_row([topic.0.as_bytes()], |row| row.get(0))?;
    match count < of_topic_max {
        true => Ok(()),
        false => Err(EventSubscriptionError::TooMany(count)),
    }
}

fn insert(tx: &Tx<'_>, key: &EventSubscriptionKey, new: &EventSubscription) -> Result<(), StoreError> {
    let cursor = if new.queue().is_some() { tx.head(Partition::of(key.topic)) } else { NOT_PULLED };
    let sql = "INSERT INTO event_subscription (topic, name, cursor, state) VALUES (?1, ?2, ?3, ?4)";
    let row = params![key.topic.0.as_bytes(), key.folded(), signed(cursor.0), stored(tx.keys, key, new)?];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn replace(tx: &Tx<'_>, before: &EventSubscriptionRow, after: &EventSubscription) -> Result<(), StoreError> {
    let (number, key) = (before.number, EventSubscriptionKey::new(after.topic, &after.name));
    let sql = "UPDATE event_subscription SET state = ?2 WHERE number = ?1";
    tx.connection.prepare_cached(sql)?.execute(params![number, stored(tx.keys, &key, after)?])?;
    match (before.cursor != NOT_PULLED, after.queue().is_some()) {
        (true, false) => give_up_pulling(tx, number, after.topic),
        (false, true) => {
            let sql = "UPDATE event_subscription SET cursor = ?2 WHERE number = ?1";
            let head = tx.head(Partition::of(after.topic));
            tx.connection.prepare_cached(sql)?.execute((number, signed(head.0)))?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn stored(keys: &Keys, key: &EventSubscriptionKey, subscription: &EventSubscription) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(subscription).map_err(|error| corrupt(STATE, &subscription.name, error))?;
    Ok(seal_state(keys, key, &json))
}

/// Its events are pushed from now on. Dead letters stay to be looked at.
fn give_up_pulling(tx: &Tx<'_>, number: i64, topic: TopicId) -> Result<(), StoreError> {
    let sql = "UPDATE event_subscription SET cursor = ?4,
        dropped = dropped + (SELECT COUNT(*) FROM event_pending WHERE subscription = ?1 AND hold < 2),
        unread = unread + (SELECT COUNT(*) FROM topic_event
            WHERE partition = ?3 AND topic = ?2 AND position > event_subscription.cursor)
        WHERE number = ?1";
    let row = params![number, topic.0.as_bytes(), Partition::of(topic).0, signed(NOT_PULLED.0)];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    let sql = "DELETE FROM event_pending WHERE subscription = ?1 AND hold < 2";
    tx.connection.prepare_cached(sql)?.execute([number])?;
    Ok(())
}

pub(in crate::sqlite) fn remove(
    tx: &mut Tx<'_>,
    key: &EventSubscriptionKey,
) -> Result<Option<Option<EndedPushing>>, StoreError> {
    let Some(found) = kept(tx.connection, tx.keys, key)? else { return Ok(None) };
    let ended = match found.subscription.id {
        Some(id) => subscription::end_pushing(tx, id)?,
        None => None,
    };
    let execute = |sql: &str| tx.connection.prepare_cached(sql)?.execute([found.number]);
    execute("DELETE FROM event_pending WHERE subscription = ?1")?;
    execute("DELETE FROM event_subscription WHERE number = ?1")?;
    Ok(Some(ended))
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
