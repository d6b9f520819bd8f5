//! What of the log is kept: marks, the floor, what a recount begins with, and taking away what the floor has passed.

use std::collections::BTreeMap;

use graph::{AppId, Partition, SubscriptionId, TenantId, Timestamp};
use notify::recount::{Counted, Opening};
use notify::retention::{LogExtent, Mark, Noted};
use notify::{LedgerDelta, Position};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{cell, corrupt};
use super::ledger::{pack, pack_noted, pack_sums, unpack_noted, unpack_sums};
use super::row::{log_key, log_key_max, log_position, signed};
use super::writer::{Tx, head};
use super::{books, partition, subscription, topic};
use crate::seal::Keys;
use crate::{Cut, ENDED_AT_ONCE, StoreError};

/// So many records of a partition tell how long all of them are.
const SAMPLE: u64 = 32;

const OPENING: (&str, &str) = ("ledger_opening", "counted");
const GONE: (&str, &str) = ("ledger_gone", "sums");

/// Nobody reads a record at or below it.
pub(super) fn floor(connection: &Connection, partition: Partition) -> rusqlite::Result<Position> {
    let sql = "SELECT floor FROM partition WHERE partition = ?1";
    connection.prepare_cached(sql)?.query_row([partition.0], |row| row.get(0)).map(Position)
}

pub(super) fn extents(connection: &Connection) -> Result<Vec<LogExtent>, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    Partition::all().map(|partition| extent(connection, partition)).collect()
}

fn extent(connection: &Connection, partition: Partition) -> Result<LogExtent, StoreError> {
    let (floor, head) = (floor(connection, partition)?, head(connection, partition)?);
    let parked: Option<u64> = connection
        .prepare_cached("SELECT MIN(first) FROM parked WHERE partition = ?1")?
        .query_row([partition.0], |row| row.get(0))?;
    let first = first(connection, partition)?.unwrap_or(head.next());
    Ok(LogExtent {
        partition,
        floor,
        first,
        cursor: partition::cursor(connection, partition)?,
        head,
        mark: mark_of(connection, partition)?,
        parked: parked.map(Position),
        event: topic::oldest_event(connection, partition)?,
        has_ended: !ended(connection, partition, floor, 1)?.is_empty(),
        bytes: bytes(connection, partition, (first, head))?,
    })
}

/// The first record that is stored.
fn first(connection: &Connection, partition: Partition) -> rusqlite::Result<Option<Position>> {
    let sql = "SELECT key FROM log WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT 1";
    let range = (log_key(partition, Position(0)), log_key_max(partition));
    let key = connection.prepare_cached(sql)?.query_row(range, |row| row.get(0)).optional()?;
    Ok(key.map(log_position))
}

/// What the records take, by the length of some that lie evenly among them.
fn bytes(connection: &Connection, partition: Partition, (first, head): (Position, Position)) -> rusqlite::Result<u64> {
    let records = (head.0 + 1).saturating_sub(first.0);
    let sampled = records.min(SAMPLE);
    let mut statement = connection.prepare_cached("SELECT length(record) FROM log WHERE key = ?1")?;
    let mut sum = 0;
    for nth in 0..sampled {
        let position = Position(first.0 + nth * records / sampled);
        let length = statement.query_row([log_key(partition, position)], |row| row.get::<_, u64>(0));
        sum += length.optional()?.unwrap_or_default();
    }
    Ok(sum * records / sampled.max(1))
}

fn mark_of(connection: &Connection, partition: Partition) -> Result<Option<Mark>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT position, at FROM log_mark WHERE partition = ?1")?;
    let read = |row: &Row<'_>| -> Result<Mark, StoreError> {
        let position = Position(cell(row, 0, ("log_mark", "position"), partition)?);
        Ok(Mark { position, at: Timestamp::from_micros(cell(row, 1, ("log_mark", "at"), partition)?) })
    };
    statement.query_row([partition.0], |row| Ok(read(row))).optional()?.transpose()
}

pub(super) fn mark(
    tx: &mut Tx<'_>,
    partition: Partition,
    at: Timestamp,
    instead_of: Option<Mark>,
) -> Result<bool, StoreError> {
    let cursor = partition::cursor(tx.connection, partition)?;
    if mark_of(tx.connection, partition)? != instead_of || cursor <= floor(tx.connection, partition)? {
        return Ok(false);
    }
    let counted = pack_noted(&note(tx.connection, partition, cursor)?);
    let sql = "INSERT OR REPLACE INTO log_mark (partition, position, at, counted) VALUES (?1, ?2, ?3, ?4)";
    let row = params![partition.0, signed(cursor.0), at.as_micros(), counted];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    Ok(true)
}

/// What the ledgers of a partition say, and who is paused after its cursor.
fn note(connection: &Connection, partition: Partition, cursor: Position) -> Result<Noted, StoreError> {
    let ledgers = books::all(connection, partition)?;
    let counted = ledgers.iter().map(|(id, sums)| (*id, Counted::of(sums)));
    let mut noted =
        Noted { counted: counted.filter(|(_, counted)| *counted != Counted::default()).collect(), ..Noted::default() };
    let sql = "SELECT id, standing FROM subscription WHERE partition = ?1 AND standing IS NOT NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([partition.0])?;
    while let Some(row) = rows.next()? {
        let id = SubscriptionId(Uuid::from_bytes(cell(row, 0, ("subscription", "id"), partition)?));
        if subscription::read_standing(row, 1, id)?.silences(cursor.next()) {
            noted.paused.insert(id);
        }
    }
    Ok(noted)
}

pub(super) fn raise_floor(tx: &mut Tx<'_>, partition: Partition, mark: Mark) -> Result<bool, StoreError> {
    let connection = tx.connection;
    let mut held = connection.prepare_cached("SELECT 1 FROM parked WHERE partition = ?1 AND first <= ?2 LIMIT 1")?;
    let place = params![partition.0, signed(mark.position.0)];
    let event = topic::oldest_event(connection, partition)?.filter(|event| *event <= mark.position);
    if mark_of(connection, partition)? != Some(mark) || held.exists(place)? || event.is_some() {
        return Ok(false);
    }
    let sql = "INSERT OR REPLACE INTO ledger_opening (partition, counted)
        SELECT partition, counted FROM log_mark WHERE partition = ?1";
    connection.prepare_cached(sql)?.execute([partition.0])?;
    connection.prepare_cached("DELETE FROM log_mark WHERE partition = ?1")?.execute([partition.0])?;
    connection.prepare_cached("UPDATE partition SET floor = ?2 WHERE partition = ?1")?.execute(place)?;
    Ok(true)
}

pub(super) fn cut(tx: &mut Tx<'_>, partition: Partition, most: u64) -> Result<Cut, StoreError> {
    let floor = floor(tx.connection, partition)?;
    // The last record says where the log ends.
    let until = floor.0.min(tx.head(partition).0.saturating_sub(1));
    let first = first(tx.connection, partition)?.unwrap_or_default();
    if first.0 <= until && first > Position(0) {
        let last = until.min(first.0.saturating_add(most) - 1);
        let range = (log_key(partition, first), log_key(partition, Position(last)));
        let records = tx.connection.prepare_cached("DELETE FROM log WHERE key BETWEEN ?1 AND ?2")?.execute(range)?;
        tx.tally.log_rows_cut += records as u64;
        return Ok(Cut { records: records as u64, subscriptions: 0, more: true });
    }
    let ended = ended(tx.connection, partition, floor, ENDED_AT_ONCE)?;
    remove(tx.connection, partition, &ended)?;
    Ok(Cut { records: 0, subscriptions: ended.len() as u64, more: ended.len() == ENDED_AT_ONCE })
}

/// A subscription that has ended.
struct Ended {
    number: i64,
    id: SubscriptionId,
    of: (TenantId, AppId),
}

/// Some whose end the floor has passed, and which have nothing parked.
fn ended(
    connection: &Connection,
    partition: Partition,
    floor: Position,
    most: usize,
) -> Result<Vec<Ended>, StoreError> {
    let sql = "SELECT number, id, tenant, app FROM subscription WHERE partition = ?1 AND ended <= ?2
        AND NOT EXISTS (SELECT 1 FROM parked
            WHERE parked.partition = subscription.partition AND parked.subscription = subscription.id)
        ORDER BY ended LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![partition.0, signed(floor.0), signed(most as u64)])?;
    let mut ended = Vec::new();
    while let Some(row) = rows.next()? {
        let id = SubscriptionId(Uuid::from_bytes(cell(row, 1, ("subscription", "id"), partition)?));
        let tenant = TenantId(Uuid::from_bytes(cell(row, 2, ("subscription", "tenant"), id)?));
        let app = AppId(Uuid::from_bytes(cell(row, 3, ("subscription", "app"), id)?));
        ended.push(Ended { number: cell(row, 0, ("subscription", "number"), id)?, id, of: (tenant, app) });
    }
    Ok(ended)
}

/// Removes subscriptions; their sums go to those of their apps.
fn remove(connection: &Connection, partition: Partition, ended: &[Ended]) -> Result<(), StoreError> {
    if ended.is_empty() {
        return Ok(());
    }
    let mut unfolded = books::unfolded(connection, partition)?;
    let before = unfolded.len();
    let mut by_app: BTreeMap<(TenantId, AppId), (u64, LedgerDelta)> = BTreeMap::new();
    for Ended { number, id, of } in ended {
        let (count, sums) = by_app.entry(*of).or_default();
        *count += 1;
        sums.add(&books::folded(connection, partition, *id)?);
        if let Some(more) = unfolded.remove(id) {
            sums.add(&more);
        }
        let key = params![partition.0, id.0.as_bytes()];
        let sql = "DELETE FROM ledger WHERE partition = ?1 AND subscription = ?2";
        connection.prepare_cached(sql)?.execute(key)?;
        connection.prepare_cached("DELETE FROM subscription WHERE number = ?1")?.execute([number])?;
    }
    if unfolded.len() < before {
        let sql = "UPDATE partition SET unfolded = ?2 WHERE partition = ?1";
        connection.prepare_cached(sql)?.execute(params![partition.0, pack(&unfolded)])?;
    }
    by_app.into_iter().try_for_each(|(of, more)| add_gone(connection, of, more))
}

fn add_gone(
    connection: &Connection,
    (tenant, app): (TenantId, AppId),
    (count, more): (u64, LedgerDelta),
) -> Result<(), StoreError> {
    let (tenant, app) = (tenant.0.as_bytes(), app.0.as_bytes());
    let sql = "SELECT subscriptions, sums FROM ledger_gone WHERE tenant = ?1 AND app = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let before = statement.query_row((tenant, app), |row| Ok(read_gone(row, 0))).optional()?.transpose()?;
    let (known, mut sums) = before.unwrap_or_default();
    sums.add(&more);
    let mut packed = Vec::new();
    pack_sums(&sums, &mut packed);
    let sql = "INSERT OR REPLACE INTO ledger_gone (tenant, app, subscriptions, sums) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![tenant, app, known + count, packed])?;
    Ok(())
}

/// How many subscriptions are gone, and their sums.
fn read_gone(row: &Row<'_>, index: usize) -> Result<(u64, LedgerDelta), StoreError> {
    let count = cell(row, index, ("ledger_gone", "subscriptions"), "")?;
    let packed: Vec<u8> = cell(row, index + 1, GONE, "")?;
    let sums = unpack_sums(&mut &packed[..]).ok_or_else(|| corrupt(GONE, "", "it is not a packed ledger"))?;
    Ok((count, sums))
}

/// Of an app in all tenants, or of all apps.
pub(super) fn gone(connection: &Connection, app: Option<AppId>) -> Result<(u64, LedgerDelta), StoreError> {
    let of_app = if app.is_some() { "app = ?1" } else { "?1 IS NULL" };
    let sql = format!("SELECT subscriptions, sums FROM ledger_gone WHERE {of_app}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([app.map(|app| *app.0.as_bytes())])?;
    let mut all = (0, LedgerDelta::default());
    while let Some(row) = rows.next()? {
        let (count, sums) = read_gone(row, 0)?;
        all.0 += count;
        all.1.add(&sums);
    }
    Ok(all)
}

/// What is known at the floor.
pub(super) fn opening(connection: &Connection, keys: &Keys, partition: Partition) -> Result<Opening, StoreError> {
    let floor = floor(connection, partition)?;
    let mut statement = connection.prepare_cached("SELECT counted FROM ledger_opening WHERE partition = ?1")?;
    let packed: Option<Vec<u8>> = statement.query_row([partition.0], |row| row.get(0)).optional()?;
    let noted = unpack_noted(&packed.unwrap_or_default());
    let noted = noted.ok_or_else(|| corrupt(OPENING, partition, "it is not a packed opening"))?;
    Ok(noted.opening(floor, subscription::spans(connection, keys, partition)?.into_iter()))
}
