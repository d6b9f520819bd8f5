//! Subscriptions: their rows, and the records that tell of their lives.

use std::sync::Arc;

use graph::{AppId, ChangeId, ChangeType, Partition, SubscriptionId, Timestamp, TopicId, UserId};
use notify::checkpoint::SubscriptionSpan;
use notify::log::{Cause, EndReason, LifecycleEvent, SubscriptionEvent};
use notify::reauthorization::Standing;
use notify::subscription::Target;
use notify::{Incident, Position, Record, Subscription, Topic};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{cell, corrupt};
use super::record::encode;
use super::row::{folder_key, kind_byte, signed};
use super::writer::{Encoded, Tx};
use super::{directory, partition, user};
use crate::seal::{Keys, UnsealError};
use crate::topic::Pushing;
use crate::{Appended, BeginError, EndedPushing, StoreError, SubscriptionError, SubscriptionLimits, SubscriptionQuery};

const STATE: (&str, &str) = ("subscription", "state");
const STANDING: (&str, &str) = ("subscription", "standing");
const INCIDENT: (&str, &str) = ("subscription", "incident");
/// What a state is sealed as, for its subscription.
const SEALED_AS: &str = "subscription.state";

/// Of a live subscription: an app of Graph has it. One that pushes events has its topic for a scope, and ends with it.
const PUSHES_NOTHING: &str = "NOT EXISTS (SELECT 1 FROM topic WHERE topic.id = subscription.mailbox)";

/// A subscription in its stored form, with the record that tells of it.
pub(super) struct EncodedSubscription {
    subscription: Arc<Subscription>,
    state: Vec<u8>,
    record: [Encoded; 1],
}

impl EncodedSubscription {
    pub fn began(keys: &Keys, subscription: Arc<Subscription>) -> Result<Self, StoreError> {
        Self::new(keys, subscription, SubscriptionEvent::Began)
    }

    pub fn patched(keys: &Keys, subscription: Arc<Subscription>) -> Result<Self, StoreError> {
        Self::new(keys, subscription, SubscriptionEvent::Patched)
    }

    fn new(
        keys: &Keys,
        subscription: Arc<Subscription>,
        event: fn(Box<Subscription>) -> SubscriptionEvent,
    ) -> Result<Self, StoreError> {
        let state = serde_json::to_vec(&*subscription);
        let state = state.map_err(|error| corrupt(STATE, subscription.id, error))?;
        let state = seal_state(keys, subscription.id, &state);
        let event = event(Box::new(Subscription::clone(&subscription)));
        let partition = subscription.partition();
        let record = [encode(keys, partition, Record::Subscription { id: subscription.id, event })?];
        Ok(Self { subscription, state, record })
    }
}

/// Seals the JSON of a subscription.
pub(super) fn seal_state(keys: &Keys, id: SubscriptionId, json: &[u8]) -> Vec<u8> {
    keys.seal(SEALED_AS, id.0.as_bytes(), json)
}

pub(super) fn open_state(keys: &Keys, id: SubscriptionId, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
    keys.open(SEALED_AS, id.0.as_bytes(), sealed)
}

/// What two duplicates have in common: app, creator, change types, what they watch, and what they say of it.
fn likeness(subscription: &Subscription) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(51);
    bytes.extend_from_slice(subscription.app.0.as_bytes());
    bytes.extend_from_slice(subscription.creator.0.as_bytes());
    bytes.push(subscription.change_types.iter().fold(0, |set, change| set | (1 << change as u8)));
    match &subscription.target {
        Target::Items { kind, folder, .. } => {
            bytes.push(kind_byte(*kind));
            bytes.extend(folder.map(folder_key).into_iter().flatten());
        }
        // One kind has a scope of its own.
        Target::Resource(watched) => {
            for place in &watched.places {
                bytes.extend_from_slice(place.as_bytes());
                bytes.push(0);
            }
        }
        // Their names are unique in their topic.
        Target::Topic(pushed) => bytes.extend(pushed.name.to_ascii_lowercase().into_bytes()),
    }
    bytes.extend(subscription.refined().into_bytes());
    bytes
}

pub(super) fn begin(
    tx: &mut Tx<'_>,
    encoded: &EncodedSubscription,
    limits: SubscriptionLimits,
) -> Result<Appended, BeginError> {
    check_new(tx.connection, &encoded.subscription, &likeness(&encoded.subscription), limits)?;
    Ok(insert(tx, encoded)?)
}

fn insert(tx: &mut Tx<'_>, encoded: &EncodedSubscription) -> Result<Appended, StoreError> {
    let subscription = &*encoded.subscription;
    let partition = subscription.partition();
    let sql = "INSERT INTO subscription
        (partition, id, tenant, app, creator, mailbox, likeness, expires, began, state)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    tx.connection.prepare_cached(sql)?.execute(params![
        partition.0,
        subscription.id.0.as_bytes(),
        subscription.tenant.0.as_bytes(),
        subscription.app.0.as_bytes(),
        subscription.creator.0.as_bytes(),
        subscription.scope().0.as_bytes(),
        likeness(subscription),
        subscription.expires.as_micros(),
        signed(tx.next_position(partition).0),
        encoded.state,
    ])?;
    Ok(tx.append(partition, &encoded.record)?)
}

fn check_new(
    connection: &Connection,
    subscription: &Subscription,
    likeness: &[u8],
    limits: SubscriptionLimits,
) -> Result<(), BeginError> {
    if let Some(mailbox) = subscription.target.mailbox()
        && !user::exists(connection, mailbox)?
    {
        return Err(BeginError::NoMailbox(mailbox));
    }
    let (user, app) = (user::user(connection, subscription.creator)?, directory::app(connection, subscription.app)?);
    if !limits.makers.may_make(subscription, user.as_ref(), app.as_ref()) {
        return Err(BeginError::NotAllowed);
    }
    if is_known(connection, subscription.id)? {
        return Err(BeginError::Duplicate(subscription.id));
    }
    let scope = subscription.scope();
    let key = params![subscription.partition().0, scope.0.as_bytes(), likeness];
    let sql = "SELECT id FROM subscription
        WHERE partition = ?1 AND mailbox = ?2 AND likeness = ?3 AND ended IS NULL ORDER BY id LIMIT 1";
    if limits.refuse_duplicates {
        let twin = connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        if let Some(twin) = twin {
            return Err(BeginError::Duplicate(SubscriptionId(Uuid::from_bytes(twin))));
        }
    }
    let sql = "SELECT COUNT(*) FROM subscription WHERE partition = ?1 AND mailbox = ?2 AND ended IS NULL";
    let live: u64 = connection.prepare_cached(sql)?.query_row(&key[..2], |row| row.get(0))?;
    if live >= limits.per_scope {
        return Err(BeginError::TooMany(live));
    }
    Ok(())
}

/// Whether there is one of this id, live or ended.
pub(super) fn is_known(connection: &Connection, id: SubscriptionId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM subscription WHERE id = ?1")?.exists([id.0.as_bytes()])?)
}

pub(super) fn patch(
    tx: &mut Tx<'_>,
    before: &Subscription,
    after: &EncodedSubscription,
) -> Result<Appended, SubscriptionError> {
    let Live { number, mut standing, .. } = unchanged(tx, before)?;
    let subscription = &*after.subscription;
    let (id, partition) = (subscription.id, subscription.partition());
    let resumes = standing.answer(subscription.authorized) && standing.is_paused();
    if resumes {
        standing.resume(tx.next_position(partition).next());
    }
    put_standing(tx, number, id, &standing)?;
    let appended = update(tx, after)?;
    match resumes {
        true => Ok(append_event(tx, partition, id, SubscriptionEvent::Resumed)?),
        false => Ok(appended),
    }
}

fn update(tx: &mut Tx<'_>, after: &EncodedSubscription) -> Result<Appended, StoreError> {
    let subscription = &*after.subscription;
    let sql = "UPDATE subscription
        SET tenant = ?2, app = ?3, creator = ?4, likeness = ?5, expires = ?6, state = ?7 WHERE id = ?1";
    tx.connection.prepare_cached(sql)?.execute(params![
        subscription.id.0.as_bytes(),
        subscription.tenant.0.as_bytes(),
        subscription.app.0.as_bytes(),
        subscription.creator.0.as_bytes(),
        likeness(subscription),
        subscription.expires.as_micros(),
        after.state,
    ])?;
    Ok(tx.append(subscription.partition(), &after.record)?)
}

/// Does what putting an event subscription means for the live subscription that pushes its events: what has ended by it,
/// or where it is said that it goes on as another.
pub(super) fn change_pushing(
    tx: &mut Tx<'_>,
    pushing: Pushing,
) -> Result<(Option<EndedPushing>, Option<Position>), StoreError> {
    Ok(match pushing {
        Pushing::Unchanged => (None, None),
        Pushing::Begins(new) => {
            insert(tx, &EncodedSubscription::began(tx.keys, new)?)?;
            (None, None)
        }
        Pushing::Changes(new) => (None, Some(update(tx, &EncodedSubscription::patched(tx.keys, new)?)?.position)),
        Pushing::Ends(id) => (end_pushing(tx, id)?, None),
    })
}

/// Whoever puts an event subscription again wants its events, even if its endpoint wanted no more.
pub(super) fn resume_pushing(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<(), StoreError> {
    let Some(Live { number, subscription, mut standing, .. }) = live(tx.connection, tx.keys, id)? else {
        return Ok(());
    };
    if !standing.is_paused() {
        return Ok(());
    }
    let partition = subscription.partition();
    standing.resume(tx.next_position(partition));
    put_standing(tx, number, id, &standing)?;
    append_event(tx, partition, id, SubscriptionEvent::Resumed)?;
    Ok(())
}

/// Ends what pushes the events of an event subscription, if it lives.
pub(super) fn end_pushing(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<Option<EndedPushing>, StoreError> {
    let Some(live) = live(tx.connection, tx.keys, id)? else { return Ok(None) };
    let ended = end_live(tx, &live, EndReason::Deleted)?;
    Ok(Some((id, ended.position)))
}

/// What pushes the events of a topic, by id.
pub(super) fn pushing(connection: &Connection, topic: TopicId) -> Result<Vec<SubscriptionId>, StoreError> {
    let sql = "SELECT id FROM subscription WHERE partition = ?1 AND mailbox = ?2 AND ended IS NULL ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let ids = statement.query_map(params![Partition::of(topic).0, topic.0.as_bytes()], |row| row.get(0))?;
    Ok(ids.map(|id| Ok(SubscriptionId(Uuid::from_bytes(id?)))).collect::<rusqlite::Result<_>>()?)
}

/// What pushes the events of a topic is its app's: of the first that asks for it, if an operator made both.
pub(super) fn push_for(tx: &mut Tx<'_>, topic: &Topic) -> Result<(), StoreError> {
    for id in pushing(tx.connection, topic.id)? {
        let pushed = subscription(tx.connection, tx.keys, id)?;
        let pushing = pushed.and_then(|pushed| Pushing::of_topic(&pushed, topic, tx.next_position(topic.partition())));
        if let Some(pushing) = pushing {
            change_pushing(tx, pushing)?;
        }
    }
    Ok(())
}

pub(super) fn require_reauthorization(
    tx: &mut Tx<'_>,
    before: &Subscription,
    record: ChangeId,
    cause: Cause,
) -> Result<Appended, SubscriptionError> {
    let Live { number, mut standing, .. } = unchanged(tx, before)?;
    if !standing.ask(cause) {
        return Err(SubscriptionError::Changed);
    }
    put_standing(tx, number, before.id, &standing)?;
    let (partition, event) = (before.partition(), LifecycleEvent::ReauthorizationRequired);
    let record = Record::Lifecycle { id: record, subscription: before.id, event, cause: Some(cause) };
    Ok(tx.append(partition, &[encode(tx.keys, partition, record)?])?)
}

pub(super) fn pause(tx: &mut Tx<'_>, before: &Subscription) -> Result<Appended, SubscriptionError> {
    let Live { number, mut standing, .. } = unchanged(tx, before)?;
    if standing.is_paused() {
        return Err(SubscriptionError::Changed);
    }
    let partition = before.partition();
    standing.pause(tx.next_position(partition), partition::cursor(tx.connection, partition)?);
    put_standing(tx, number, before.id, &standing)?;
    Ok(append_event(tx, partition, before.id, SubscriptionEvent::Paused)?)
}

fn append_event(
    tx: &mut Tx<'_>,
    partition: Partition,
    id: SubscriptionId,
    event: SubscriptionEvent,
) -> Result<Appended, StoreError> {
    let record = encode(tx.keys, partition, Record::Subscription { id, event })?;
    Ok(tx.append(partition, &[record])?)
}

fn put_standing(tx: &Tx<'_>, number: i64, id: SubscriptionId, standing: &Standing) -> Result<(), StoreError> {
    let json = match *standing == Standing::default() {
        true => None,
        false => Some(serde_json::to_vec(standing).map_err(|error| corrupt(STANDING, id, error))?),
    };
    // Most have none, and get none.
    let sql = "UPDATE subscription SET standing = ?2 WHERE number = ?1 AND standing IS NOT ?2";
    tx.connection.prepare_cached(sql)?.execute(params![number, json])?;
    Ok(())
}

pub(super) fn end(
    tx: &mut Tx<'_>,
    id: SubscriptionId,
    reason: EndReason,
    if_expires: Option<Timestamp>,
) -> Result<Appended, SubscriptionError> {
    let found = live(tx.connection, tx.keys, id)?.ok_or(SubscriptionError::NotFound)?;
    if if_expires.is_some_and(|expires| expires != found.subscription.expires) {
        return Err(SubscriptionError::Changed);
    }
    Ok(end_live(tx, &found, reason)?)
}

fn end_live(tx: &mut Tx<'_>, live: &Live, reason: EndReason) -> Result<Appended, StoreError> {
    let partition = live.subscription.partition();
    let reason_name = match reason {
        EndReason::Deleted => "deleted",
        EndReason::Expired => "expired",
        EndReason::UserDisabled => "user_disabled",
        EndReason::SessionsEnded => "sessions_ended",
        EndReason::UserRemoved => "user_removed",
        EndReason::AppRemoved => "app_removed",
    };
    let sql = "UPDATE subscription SET ended = ?2, end_reason = ?3, incident = NULL WHERE number = ?1";
    let ended = signed(tx.next_position(partition).0);
    tx.connection.prepare_cached(sql)?.execute(params![live.number, ended, reason_name])?;
    append_event(tx, partition, live.subscription.id, SubscriptionEvent::Ended(reason))
}

pub(super) fn append_lifecycle(
    tx: &mut Tx<'_>,
    id: SubscriptionId,
    record: ChangeId,
    event: LifecycleEvent,
) -> Result<Appended, SubscriptionError> {
    let found = live(tx.connection, tx.keys, id)?.ok_or(SubscriptionError::NotFound)?.subscription;
    let partition = found.partition();
    let record = Record::Lifecycle { id: record, subscription: id, event, cause: None };
    let record = encode(tx.keys, partition, record)?;
    Ok(tx.append(partition, &[record])?)
}

/// Opens an incident of a subscription, unless it has ended or has one.
pub(super) fn open_incident(tx: &Tx<'_>, id: SubscriptionId, incident: Incident) -> Result<(), StoreError> {
    let json = serde_json::to_vec(&incident).map_err(|error| corrupt(INCIDENT, id, error))?;
    let sql = "UPDATE subscription SET incident = ?2 WHERE id = ?1 AND ended IS NULL AND incident IS NULL";
    tx.connection.prepare_cached(sql)?.execute(params![id.0.as_bytes(), json])?;
    Ok(())
}

pub(super) fn append_missed(
    tx: &mut Tx<'_>,
    id: SubscriptionId,
    incident: Incident,
) -> Result<Appended, SubscriptionError> {
    let Live { number, subscription, incident: open, .. } =
        live(tx.connection, tx.keys, id)?.ok_or(SubscriptionError::NotFound)?;
    let open = open.filter(|open| open.opened <= incident.opened).ok_or(SubscriptionError::Changed)?;
    let sql = "UPDATE subscription SET incident = NULL WHERE number = ?1";
    tx.connection.prepare_cached(sql)?.execute([number])?;
    let partition = subscription.partition();
    Ok(tx.append(partition, &[encode(tx.keys, partition, open.missed(id))?])?)
}

pub(super) fn encoded_replays(
    keys: &Keys,
    subscription: &Subscription,
    told: Vec<(Option<ChangeType>, Arc<Record>)>,
) -> Result<Vec<Encoded>, StoreError> {
    let (id, partition) = (subscription.id, subscription.partition());
    let replayed = |(change, record)| Record::Replayed { subscription: id, change, record };
    told.into_iter().map(|told| encode(keys, partition, replayed(told))).collect()
}

pub(super) fn replay(
    tx: &mut Tx<'_>,
    subscription: &Subscription,
    replays: &[Encoded],
) -> Result<Appended, SubscriptionError> {
    live(tx.connection, tx.keys, subscription.id)?.ok_or(SubscriptionError::NotFound)?;
    Ok(tx.append(subscription.partition(), replays)?)
}

/// The row of a live subscription.
struct Live {
    number: i64,
    subscription: Subscription,
    standing: Standing,
    incident: Option<Incident>,
}

fn live(connection: &Connection, keys: &Keys, id: SubscriptionId) -> Result<Option<Live>, StoreError> {
    let sql = "SELECT id, state, number, standing, incident FROM subscription WHERE id = ?1 AND ended IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let read = |row: &Row<'_>| -> Result<_, StoreError> {
        let (number, standing) = (cell(row, 2, ("subscription", "number"), id)?, read_standing(row, 3, id)?);
        let incident = read_incident(row, 4, id)?;
        Ok(Live { number, subscription: read_state(row, keys)?, standing, incident })
    };
    statement.query_row([id.0.as_bytes()], |row| Ok(read(row))).optional()?.transpose()
}

/// The row of a live subscription that still equals `before`.
fn unchanged(tx: &Tx<'_>, before: &Subscription) -> Result<Live, SubscriptionError> {
    let found = live(tx.connection, tx.keys, before.id)?.ok_or(SubscriptionError::NotFound)?;
    if found.subscription != *before {
        return Err(SubscriptionError::Changed);
    }
    Ok(found)
}

pub(super) fn subscription(
    connection: &Connection,
    keys: &Keys,
    id: SubscriptionId,
) -> Result<Option<Arc<Subscription>>, StoreError> {
    Ok(live(connection, keys, id)?.map(|live| Arc::new(live.subscription)))
}

pub(super) fn standing(connection: &Connection, id: SubscriptionId) -> Result<Option<Standing>, StoreError> {
    let sql = "SELECT standing FROM subscription WHERE id = ?1 AND ended IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([id.0.as_bytes()], |row| Ok(read_standing(row, 0, id))).optional()?.transpose()
}

pub(super) fn subscriptions(
    connection: &Connection,
    keys: &Keys,
    query: SubscriptionQuery,
) -> Result<Vec<Arc<Subscription>>, StoreError> {
    // By app, and by creator, an index has them in order.
    let of_app = if query.app.is_some() { "app = ?2" } else { "?2 IS NULL" };
    let of_creator = if query.creator.is_some() { "creator = ?4" } else { "?4 IS NULL" };
    let of_mailbox = if query.mailbox.is_some() { "partition = ?6 AND mailbox = ?7" } else { "?6 IS ?7" };
    let sql = format!(
        "SELECT id, state FROM subscription
        WHERE tenant = ?1 AND {of_app} AND id > ?3 AND ended IS NULL AND {of_creator} AND {of_mailbox}
            AND {PUSHES_NOTHING}
        ORDER BY id LIMIT ?5"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let after: &[u8] = query.after.as_ref().map(|id| id.0.as_bytes().as_slice()).unwrap_or_default();
    let mut rows = statement.query(params![
        query.tenant.0.as_bytes(),
        query.app.map(|app| *app.0.as_bytes()),
        after,
        query.creator.map(|creator| *creator.0.as_bytes()),
        signed(query.limit),
        query.mailbox.map(|mailbox| Partition::of(mailbox).0),
        query.mailbox.map(|mailbox| *mailbox.0.as_bytes()),
    ])?;
    let mut subscriptions = Vec::new();
    while let Some(row) = rows.next()? {
        subscriptions.push(Arc::new(read_state(row, keys)?));
    }
    Ok(subscriptions)
}

/// Whether a live subscription watches a mailbox.
pub(super) fn is_watched(connection: &Connection, mailbox: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM subscription WHERE partition = ?1 AND mailbox = ?2 AND ended IS NULL";
    Ok(connection.prepare_cached(sql)?.exists(params![Partition::of(mailbox).0, mailbox.0.as_bytes()])?)
}

/// Whether an app has a live subscription in any tenant, apart from what pushes the events of its topics.
pub(super) fn has_some(connection: &Connection, app: AppId) -> Result<bool, StoreError> {
    // By tenant, as the index has them.
    let sql = format!(
        "SELECT 1 FROM tenant CROSS JOIN subscription ON subscription.tenant = tenant.id
        WHERE app = ?1 AND ended IS NULL AND {PUSHES_NOTHING}"
    );
    Ok(connection.prepare_cached(&sql)?.exists([app.0.as_bytes()])?)
}

/// Opens an incident of every live subscription that an app of Graph has, and counts them. One that was open is part of it: told under its old id
/// it might be taken for what the app has heard already.
pub(super) fn open_incidents(connection: &Connection, incident: Incident) -> rusqlite::Result<u64> {
    let json = serde_json::to_vec(&incident);
    let json = json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let sql = format!("UPDATE subscription SET incident = ?1 WHERE ended IS NULL AND {PUSHES_NOTHING}");
    Ok(connection.execute(&sql, [json])? as u64)
}

/// Opens the state of one subscription, if there is any.
pub(super) fn try_one(connection: &Connection, keys: &Keys) -> Result<(), StoreError> {
    let sql = "SELECT id, state FROM subscription ORDER BY number DESC LIMIT 1";
    connection.query_row(sql, (), |row| Ok(read_state(row, keys))).optional()?.transpose().map(|_| ())
}

/// Every subscription of a partition, ended ones too, by id.
pub(super) fn spans(
    connection: &Connection,
    keys: &Keys,
    partition: Partition,
) -> Result<Vec<SubscriptionSpan>, StoreError> {
    let sql = "SELECT id, state, began, ended, standing, incident FROM subscription WHERE partition = ?1 ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([partition.0])?;
    let mut spans = Vec::new();
    while let Some(row) = rows.next()? {
        let subscription = Arc::new(read_state(row, keys)?);
        let began = Position(cell(row, 2, ("subscription", "began"), subscription.id)?);
        let ended: Option<u64> = cell(row, 3, ("subscription", "ended"), subscription.id)?;
        let standing = read_standing(row, 4, subscription.id)?;
        let incident = read_incident(row, 5, subscription.id)?;
        spans.push(SubscriptionSpan { subscription, began, ended: ended.map(Position), standing, incident });
    }
    Ok(spans)
}

/// The subscription of a row that begins with its id and state.
pub(super) fn read_state(row: &Row<'_>, keys: &Keys) -> Result<Subscription, StoreError> {
    let id = SubscriptionId(Uuid::from_bytes(cell(row, 0, ("subscription", "id"), "")?));
    let sealed = row.get_ref(1)?.as_blob().map_err(|error| corrupt(STATE, id, error))?;
    let json = open_state(keys, id, sealed).map_err(|error| corrupt(STATE, id, error))?;
    serde_json::from_slice(&json).map_err(|error| corrupt(STATE, id, error))
}

pub(super) fn read_standing(row: &Row<'_>, index: usize, id: SubscriptionId) -> Result<Standing, StoreError> {
    match cell::<Option<Vec<u8>>>(row, index, STANDING, id)? {
        Some(json) => serde_json::from_slice(&json).map_err(|error| corrupt(STANDING, id, error)),
        None => Ok(Standing::default()),
    }
}

fn read_incident(row: &Row<'_>, index: usize, id: SubscriptionId) -> Result<Option<Incident>, StoreError> {
    let json = cell::<Option<Vec<u8>>>(row, index, INCIDENT, id)?;
    let read = |json: Vec<u8>| serde_json::from_slice(&json).map_err(|error| corrupt(INCIDENT, id, error));
    json.map(read).transpose()
}
