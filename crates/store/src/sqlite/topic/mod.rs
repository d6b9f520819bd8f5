//! Topics and their events. The rows of events say where in the log they stand; what they say stands there.

use std::sync::Arc;

use graph::{AppId, Partition, TenantId, Timestamp, TopicId};
use notify::topic::CloudEvent;
use notify::{Position, Record, Topic, TopicEvent};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{cell, corrupt};
use super::record::{decode, encode};
use super::row::{log_key, signed};
use super::subscription;
use super::writer::{Encoded, Tx};
use crate::seal::{Keys, UnsealError};
use crate::topic::event_key;
use crate::{EndedPushing, PublishError, READ_BYTES_MAX, StoreError, TopicCounts, TopicError, TopicQuery};

mod event_subscription;
mod pull;

pub(super) use event_subscription::{
    EventSubscriptionRow, by_key, of_topic, open_state as open_event_subscription, put,
    remove as remove_event_subscription, seal_state as seal_event_subscription,
};
pub(super) use pull::{dead_letters, receive, settle};

const STATE: (&str, &str) = ("topic", "state");
/// What a state is sealed as, for its topic.
const SEALED_AS: &str = "topic.state";

/// Seals the JSON of a topic.
pub(super) fn seal_state(keys: &Keys, id: TopicId, json: &[u8]) -> Vec<u8> {
    keys.seal(SEALED_AS, id.0.as_bytes(), json)
}

pub(super) fn open_state(keys: &Keys, id: TopicId, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
    keys.open(SEALED_AS, id.0.as_bytes(), sealed)
}

fn stored(keys: &Keys, topic: &Topic) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(topic).map_err(|error| corrupt(STATE, topic.id, error))?;
    Ok(seal_state(keys, topic.id, &json))
}

/// The topic of a row that begins with its id and state.
pub(super) fn read_state(row: &Row<'_>, keys: &Keys) -> Result<Topic, StoreError> {
    let id = TopicId(Uuid::from_bytes(cell(row, 0, ("topic", "id"), "")?));
    let sealed = row.get_ref(1)?.as_blob().map_err(|error| corrupt(STATE, id, error))?;
    let json = open_state(keys, id, sealed).map_err(|error| corrupt(STATE, id, error))?;
    serde_json::from_slice(&json).map_err(|error| corrupt(STATE, id, error))
}

pub(super) fn open(
    tx: &mut Tx<'_>,
    wanted: &Arc<Topic>,
    of_app_max: u64,
    now: Timestamp,
) -> Result<Arc<Topic>, TopicError> {
    let met = met(tx.connection, tx.keys, wanted)?;
    let opened = match &met {
        Some(topic) => Arc::new(topic.opened_as(wanted, now)?),
        None => Arc::clone(wanted),
    };
    let known = met.as_ref().map(|topic| topic.apps.clone()).unwrap_or_default();
    for app in opened.apps.difference(&known) {
        let topics = of_app(tx.connection, opened.tenant, *app)?;
        if topics >= of_app_max {
            return Err(TopicError::TooMany(topics));
        }
    }
    let state = stored(tx.keys, &opened)?;
    match met {
        Some(topic) if topic == *opened => return Ok(opened),
        Some(_) => update(tx, &opened, &state)?,
        None => insert(tx, &opened, &state)?,
    }
    let sql = "INSERT INTO topic_app (tenant, app, topic) VALUES (?1, ?2, ?3)";
    for app in opened.apps.difference(&known) {
        let row = params![opened.tenant.0.as_bytes(), app.0.as_bytes(), opened.id.0.as_bytes()];
        tx.connection.prepare_cached(sql)?.execute(row)?;
    }
    if known != opened.apps {
        subscription::push_for(tx, &opened)?;
    }
    Ok(opened)
}

/// The topic that would be taken for another; of two, the older one.
fn met(connection: &Connection, keys: &Keys, wanted: &Topic) -> Result<Option<Topic>, StoreError> {
    let place = &wanted.place;
    let sql = "SELECT id, state FROM topic
        WHERE (name = ?1 AND region = ?2) OR (name = ?1 AND azure_subscription = ?3 AND resource_group = ?4)
        ORDER BY id LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let key = params![
        place.partner_topic.to_ascii_lowercase(),
        place.location,
        place.azure_subscription.as_bytes(),
        place.resource_group.to_lowercase(),
    ];
    statement.query_row(key, |row| Ok(read_state(row, keys))).optional()?.transpose()
}

fn of_app(connection: &Connection, tenant: TenantId, app: AppId) -> rusqlite::Result<u64> {
    let sql = "SELECT COUNT(*) FROM topic_app WHERE tenant = ?1 AND app = ?2";
    connection.prepare_cached(sql)?.query_row(params![tenant.0.as_bytes(), app.0.as_bytes()], |row| row.get(0))
}

fn insert(tx: &Tx<'_>, topic: &Topic, state: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO topic
        (id, partition, tenant, azure_subscription, resource_group, region, name, takes_events, state)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    tx.connection.prepare_cached(sql)?.execute(params![
        topic.id.0.as_bytes(),
        topic.partition().0,
        topic.tenant.0.as_bytes(),
        topic.place.azure_subscription.as_bytes(),
        topic.place.resource_group.to_lowercase(),
        topic.place.location,
        topic.place.partner_topic.to_ascii_lowercase(),
        topic.takes_events(),
        state,
    ])?;
    Ok(())
}

fn update(tx: &Tx<'_>, topic: &Topic, state: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE topic SET takes_events = ?2, state = ?3 WHERE id = ?1";
    tx.connection.prepare_cached(sql)?.execute(params![topic.id.0.as_bytes(), topic.takes_events(), state])?;
    Ok(())
}

pub(super) fn topic(connection: &Connection, keys: &Keys, id: TopicId) -> Result<Option<Arc<Topic>>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, state FROM topic WHERE id = ?1")?;
    let found = statement.query_row([id.0.as_bytes()], |row| Ok(read_state(row, keys))).optional()?.transpose()?;
    Ok(found.map(Arc::new))
}

pub(super) fn topics(connection: &Connection, keys: &Keys, query: &TopicQuery) -> Result<Vec<Arc<Topic>>, StoreError> {
    // Whoever pulls names a topic: that is looked up, and not looked for in the order of ids.
    let (named, id) = if query.name.is_some() { ("name = ?4", "+id") } else { ("?4 IS NULL", "id") };
    let sql = format!(
        "SELECT id, state FROM topic
        WHERE {named} AND (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR azure_subscription = ?2)
        AND (?3 IS NULL OR resource_group = ?3) AND {id} > ?5
        ORDER BY {id} LIMIT ?6"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let after: &[u8] = query.after.as_ref().map(|id| id.0.as_bytes().as_slice()).unwrap_or_default();
    let mut rows = statement.query(params![
        query.tenant.map(|tenant| *tenant.0.as_bytes()),
        query.azure_subscription.map(|azure| *azure.as_bytes()),
        query.resource_group.as_ref().map(|group| group.to_lowercase()),
        query.name.as_ref().map(|name| name.to_ascii_lowercase()),
        after,
        signed(query.limit),
    ])?;
    let mut topics = Vec::new();
    while let Some(row) = rows.next()? {
        topics.push(Arc::new(read_state(row, keys)?));
    }
    Ok(topics)
}

pub(super) fn replace(tx: &mut Tx<'_>, before: &Topic, after: &Topic) -> Result<(), TopicError> {
    let found = topic(tx.connection, tx.keys, before.id)?.ok_or(TopicError::NotFound)?;
    if *found != *before {
        return Err(TopicError::Changed);
    }
    let state = stored(tx.keys, after)?;
    Ok(update(tx, after, &state)?)
}

pub(super) fn remove(tx: &mut Tx<'_>, id: TopicId) -> Result<Vec<EndedPushing>, TopicError> {
    let found = topic(tx.connection, tx.keys, id)?.ok_or(TopicError::NotFound)?;
    let mut ended = Vec::new();
    for pushing in subscription::pushing(tx.connection, id)? {
        ended.extend(subscription::end_pushing(tx, pushing)?);
    }
    let id = id.0.as_bytes();
    let execute = |sql: &str| tx.connection.prepare_cached(sql)?.execute([id]);
    execute(
        "DELETE FROM event_pending
        WHERE subscription IN (SELECT number FROM event_subscription WHERE topic = ?1)",
    )?;
    execute("DELETE FROM event_subscription WHERE topic = ?1")?;
    execute("DELETE FROM topic WHERE id = ?1")?;
    let sql = "DELETE FROM topic_event WHERE partition = ?1 AND topic = ?2";
    tx.connection.prepare_cached(sql)?.execute(params![found.partition().0, id])?;
    let sql = "DELETE FROM topic_app WHERE tenant = ?1 AND app = ?2 AND topic = ?3";
    for app in &found.apps {
        tx.connection.prepare_cached(sql)?.execute(params![found.tenant.0.as_bytes(), app.0.as_bytes(), id])?;
    }
    Ok(ended)
}

pub(super) fn counts(connection: &Connection, id: TopicId) -> Result<Option<TopicCounts>, StoreError> {
    let sql = "SELECT dropped, (SELECT COUNT(*) FROM topic_event WHERE partition = ?2 AND topic = ?1)
        FROM topic WHERE id = ?1";
    let read = |row: &Row<'_>| -> Result<_, StoreError> {
        let (dropped, events) = (cell(row, 0, ("topic", "dropped"), id)?, cell(row, 1, ("topic", "id"), id)?);
        Ok(TopicCounts { events, dropped })
    };
    let mut statement = connection.prepare_cached(sql)?;
    let key = params![id.0.as_bytes(), Partition::of(id).0];
    statement.query_row(key, |row| Ok(read(row))).optional()?.transpose()
}

/// Events in their stored form.
pub(super) struct EncodedEvents {
    topic: TopicId,
    published: Timestamp,
    events: Vec<([u8; 16], Encoded)>,
}

impl EncodedEvents {
    pub fn new(keys: &Keys, topic: TopicId, events: Vec<CloudEvent>, published: Timestamp) -> Result<Self, StoreError> {
        let encoded = |event| {
            let key = event_key(&event);
            let record = Record::Event(Arc::new(TopicEvent::new(topic, published, event)));
            Ok((key, encode(keys, Partition::of(topic), record)?))
        };
        Ok(Self { topic, published, events: events.into_iter().map(encoded).collect::<Result<_, StoreError>>()? })
    }
}

pub(super) fn publish(tx: &mut Tx<'_>, batch: &EncodedEvents) -> Result<Vec<Option<Position>>, PublishError> {
    let (topic, partition) = (batch.topic.0.as_bytes(), Partition::of(batch.topic));
    let takes_events: Option<bool> = tx
        .connection
        .prepare_cached("SELECT takes_events FROM topic WHERE id = ?1")?
        .query_row([topic], |row| row.get(0))
        .optional()?;
    if !takes_events.ok_or(PublishError::NoTopic)? {
        let sql = "UPDATE topic SET dropped = dropped + ?2 WHERE id = ?1";
        tx.connection.prepare_cached(sql)?.execute(params![topic, signed(batch.events.len() as u64)])?;
        return Ok(vec![None; batch.events.len()]);
    }
    let mut known = tx
        .connection
        .prepare_cached("SELECT position FROM topic_event WHERE partition = ?1 AND topic = ?2 AND key = ?3")?;
    let sql = "INSERT INTO topic_event (partition, topic, position, published, key) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = tx.connection.prepare_cached(sql)?;
    let (mut answers, mut records) = (Vec::with_capacity(batch.events.len()), Vec::new());
    for (key, record) in &batch.events {
        let position: Option<u64> = known.query_row(params![partition.0, topic, key], |row| row.get(0)).optional()?;
        let position = position.unwrap_or(tx.next_position(partition).0 + records.len() as u64);
        if position == tx.next_position(partition).0 + records.len() as u64 {
            let published = batch.published.as_micros();
            insert.execute(params![partition.0, topic, signed(position), published, key])?;
            records.push(record.clone());
        }
        answers.push(Some(Position(position)));
    }
    drop((known, insert));
    if !records.is_empty() {
        tx.append(partition, &records)?;
    }
    Ok(answers)
}

/// The event at a position, and how long it is in bytes.
fn event(
    connection: &Connection,
    keys: &Keys,
    partition: Partition,
    position: Position,
) -> Result<(Arc<TopicEvent>, usize), StoreError> {
    let mut statement = connection.prepare_cached("SELECT record FROM log WHERE key = ?1")?;
    let stored: Option<Vec<u8>> = statement.query_row([log_key(partition, position)], |row| row.get(0)).optional()?;
    let stored = stored.ok_or_else(|| corrupt(("topic_event", "position"), position, "it is not in the log"))?;
    match &*decode(keys, partition, position, &stored)? {
        Record::Event(event) => Ok((Arc::clone(event), event.event.to_json().len())),
        _ => Err(corrupt(("topic_event", "position"), position, "the log has no event there")),
    }
}

pub(super) fn events(
    connection: &Connection,
    keys: &Keys,
    topic: TopicId,
    after: Position,
    limit: usize,
) -> Result<Vec<(Position, Arc<TopicEvent>)>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let positions = positions(connection, topic, after, limit)?;
    let mut bytes = 0;
    let mut events = Vec::new();
    for position in positions {
        if bytes > READ_BYTES_MAX {
            break;
        }
        let (event, length) = event(connection, keys, Partition::of(topic), position)?;
        bytes += length;
        events.push((position, event));
    }
    Ok(events)
}

/// Where the events of a topic stand after a position; at most so many.
fn positions(
    connection: &Connection,
    topic: TopicId,
    after: Position,
    limit: usize,
) -> Result<Vec<Position>, StoreError> {
    let sql = "SELECT position FROM topic_event WHERE partition = ?1 AND topic = ?2 AND position > ?3
        ORDER BY position LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let key = params![Partition::of(topic).0, topic.0.as_bytes(), signed(after.0), signed(limit as u64)];
    let positions = statement.query_map(key, |row| row.get(0).map(Position))?;
    Ok(positions.collect::<Result<_, _>>()?)
}

pub(super) fn forget(
    tx: &mut Tx<'_>,
    topic: TopicId,
    published_before: Timestamp,
    most: u64,
) -> Result<u64, StoreError> {
    let partition = Partition::of(topic);
    let sql = "SELECT MIN(position) FROM
        (SELECT position, published FROM topic_event WHERE partition = ?1 AND topic = ?2 ORDER BY position LIMIT ?4)
        WHERE published >= ?3";
    let key = params![partition.0, topic.0.as_bytes(), published_before.as_micros(), signed(most)];
    let kept: Option<u64> = tx.connection.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
    let oldest = positions(tx.connection, topic, Position(0), usize::try_from(most).unwrap_or(usize::MAX))?;
    let gone: Vec<_> = oldest.into_iter().take_while(|position| kept.is_none_or(|kept| position.0 < kept)).collect();
    let Some(last) = gone.last() else { return Ok(0) };
    let numbers: Vec<i64> = tx
        .connection
        .prepare_cached("SELECT number FROM event_subscription WHERE topic = ?1")?
        .query_map([topic.0.as_bytes()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for number in numbers {
        event_subscription::forget(tx, number, (topic, *last))?;
    }
    let sql = "DELETE FROM topic_event WHERE partition = ?1 AND topic = ?2 AND position <= ?3";
    tx.connection.prepare_cached(sql)?.execute(params![partition.0, topic.0.as_bytes(), signed(last.0)])?;
    Ok(gone.len() as u64)
}

/// The oldest event that a topic of a partition keeps.
pub(super) fn oldest_event(connection: &Connection, partition: Partition) -> rusqlite::Result<Option<Position>> {
    let sql = "SELECT MIN((SELECT position FROM topic_event
            WHERE topic_event.partition = topic.partition AND topic_event.topic = topic.id ORDER BY position LIMIT 1))
        FROM topic WHERE partition = ?1";
    let oldest: Option<u64> = connection.prepare_cached(sql)?.query_row([partition.0], |row| row.get(0))?;
    Ok(oldest.map(Position))
}
