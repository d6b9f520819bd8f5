//! The health of endpoints, as checkpoints say it.

use std::collections::BTreeMap;

use graph::{Partition, Timestamp};
use notify::{EndpointId, Health, StoredHealth};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::error::{cell, corrupt};
use super::writer::Tx;
use crate::StoreError;

/// Part of the stored form.
fn number(health: Health) -> i64 {
    match health {
        Health::Healthy => 0,
        Health::Slow => 1,
        Health::Dropping => 2,
    }
}

/// What a checkpoint says of an endpoint; `None`: nothing is kept of it any more.
pub(super) fn put(
    tx: &Tx<'_>,
    partition: Partition,
    endpoint: EndpointId,
    health: Option<StoredHealth>,
) -> Result<(), StoreError> {
    let id = endpoint.0.as_bytes();
    let Some(StoredHealth { health, is_closed, ends }) = health else {
        let sql = "DELETE FROM health WHERE partition = ?1 AND endpoint = ?2";
        tx.connection.prepare_cached(sql)?.execute(params![partition.0, id])?;
        return Ok(());
    };
    let sql = "INSERT OR REPLACE INTO health (partition, endpoint, health, closed, ends) VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![partition.0, id, number(health), is_closed, ends.as_micros()];
    tx.connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// What is kept with a partition.
pub(super) fn of(
    connection: &Connection,
    partition: Partition,
) -> Result<BTreeMap<EndpointId, StoredHealth>, StoreError> {
    let sql = "SELECT endpoint, health, closed, ends FROM health WHERE partition = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([partition.0])?;
    let mut health = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (endpoint, stored) = read(row, partition)?;
        health.insert(endpoint, stored);
    }
    Ok(health)
}

/// Reads a row that begins with its endpoint.
pub(super) fn read(row: &Row<'_>, partition: Partition) -> Result<(EndpointId, StoredHealth), StoreError> {
    let endpoint = EndpointId(Uuid::from_bytes(cell(row, 0, ("health", "endpoint"), partition)?));
    let found: i64 = cell(row, 1, ("health", "health"), endpoint.0)?;
    let health = [Health::Slow, Health::Dropping].into_iter().find(|health| number(*health) == found);
    let health = health.ok_or_else(|| corrupt(("health", "health"), endpoint.0, format!("unknown health {found}")))?;
    let is_closed = cell(row, 2, ("health", "closed"), endpoint.0)?;
    let ends = Timestamp::from_micros(cell(row, 3, ("health", "ends"), endpoint.0)?);
    Ok((endpoint, StoredHealth { health, is_closed, ends }))
}
