//! What ledgers say: the sums in their table, and those in the partitions' rows that are not folded into it yet.

use std::collections::BTreeMap;

use graph::{Partition, SubscriptionId};
use notify::recount::Books;
use notify::{LedgerDelta, Parked};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{cell, corrupt};
use super::ledger::{self, unpack, unpack_sums};
use super::retention;
use crate::seal::Keys;
use crate::{LedgerQuery, Ledgers, StoreError, SubscriptionLedger};

pub(super) fn ledger(connection: &Connection, id: SubscriptionId) -> Result<LedgerDelta, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let mut statement = connection.prepare_cached("SELECT partition FROM subscription WHERE id = ?1")?;
    let Some(partition) = statement.query_row([id.0.as_bytes()], |row| row.get(0)).optional()?.map(Partition) else {
        return Ok(LedgerDelta::default());
    };
    let mut sums = folded(connection, partition, id)?;
    if let Some(more) = unfolded(connection, partition)?.get(&id) {
        sums.add(more);
    }
    Ok(sums)
}

/// The sums in the ledger's table.
pub(super) fn folded(
    connection: &Connection,
    partition: Partition,
    id: SubscriptionId,
) -> Result<LedgerDelta, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT sums FROM ledger WHERE partition = ?1 AND subscription = ?2")?;
    let key = params![partition.0, id.0.as_bytes()];
    let read = |row: &Row<'_>| read_sums(row, 0, id);
    let sums = statement.query_row(key, |row| Ok(read(row))).optional()?.transpose()?;
    Ok(sums.flatten().unwrap_or_default())
}

/// Of at most so many subscriptions as a partition's row may hold.
pub(super) fn unfolded(connection: &Connection, partition: Partition) -> Result<ledger::Ledgers, StoreError> {
    let mut statement = connection.prepare_cached("SELECT unfolded FROM partition WHERE partition = ?1")?;
    let packed: Vec<u8> = statement.query_row([partition.0], |row| row.get(0))?;
    unpack(&packed).ok_or_else(|| unreadable(partition))
}

pub(super) fn unreadable(partition: Partition) -> StoreError {
    corrupt(("partition", "unfolded"), partition, "it is not a packed ledger")
}

fn read_sums(row: &Row<'_>, index: usize, id: SubscriptionId) -> Result<Option<LedgerDelta>, StoreError> {
    let Some(packed) = cell::<Option<Vec<u8>>>(row, index, ("ledger", "sums"), id)? else { return Ok(None) };
    let sums = unpack_sums(&mut &packed[..]);
    sums.map(Some).ok_or_else(|| corrupt(("ledger", "sums"), id, "it is not a packed ledger"))
}

pub(super) fn ledgers(connection: &Connection, query: LedgerQuery) -> Result<Ledgers, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    let fresh = Partition::all().map(|partition| unfolded(connection, partition)).collect::<Result<Vec<_>, _>>()?;
    // By app, an index has them in order.
    let of_app = if query.app.is_some() { "app = ?1" } else { "?1 IS NULL" };
    let sql = format!(
        "SELECT subscription.id, ended IS NULL, sums, subscription.partition FROM subscription LEFT JOIN ledger
            ON ledger.partition = subscription.partition AND ledger.subscription = subscription.id
        WHERE {of_app} ORDER BY subscription.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([query.app.map(|app| *app.0.as_bytes())])?;
    let (gone, sums) = retention::gone(connection, query.app)?;
    let mut ledgers = Ledgers { gone, sums, ..Ledgers::default() };
    while let Some(row) = rows.next()? {
        let id = SubscriptionId(Uuid::from_bytes(cell(row, 0, ("subscription", "id"), "")?));
        let mut sums = read_sums(row, 2, id)?.unwrap_or_default();
        let partition: u16 = cell(row, 3, ("subscription", "partition"), id)?;
        if let Some(more) = fresh.get(usize::from(partition)).and_then(|ledgers| ledgers.get(&id)) {
            sums.add(more);
        }
        ledgers.add(SubscriptionLedger { id, live: row.get(1)?, sums }, query);
    }
    Ok(ledgers)
}

pub(super) fn books(connection: &Connection, keys: &Keys, partition: Partition) -> Result<Books, StoreError> {
    let _snapshot = connection.unchecked_transaction()?;
    Ok(Books {
        opening: retention::opening(connection, keys, partition)?,
        cursor: super::partition::cursor(connection, partition)?,
        ledger: all(connection, partition)?,
        parked: parked(connection, partition)?,
    })
}

/// Of every subscription of a partition.
pub(super) fn all(connection: &Connection, partition: Partition) -> Result<ledger::Ledgers, StoreError> {
    let mut ledger = unfolded(connection, partition)?;
    let mut statement = connection.prepare_cached("SELECT subscription, sums FROM ledger WHERE partition = ?1")?;
    let mut rows = statement.query([partition.0])?;
    while let Some(row) = rows.next()? {
        let id = SubscriptionId(Uuid::from_bytes(cell(row, 0, ("ledger", "subscription"), partition)?));
        let sums = read_sums(row, 1, id)?.unwrap_or_default();
        ledger.entry(id).or_default().add(&sums);
    }
    Ok(ledger)
}

/// How many deliveries lie in the parked rows of each subscription.
fn parked(connection: &Connection, partition: Partition) -> Result<BTreeMap<SubscriptionId, u64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT subscription, row FROM parked WHERE partition = ?1")?;
    let mut rows = statement.query([partition.0])?;
    let mut parked = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let id = SubscriptionId(Uuid::from_bytes(cell(row, 0, ("parked", "subscription"), partition)?));
        let json: Vec<u8> = cell(row, 1, ("parked", "row"), id)?;
        let row: Parked = serde_json::from_slice(&json).map_err(|error| corrupt(("parked", "row"), id, error))?;
        *parked.entry(id).or_default() += row.refs.len() as u64;
    }
    Ok(parked)
}
