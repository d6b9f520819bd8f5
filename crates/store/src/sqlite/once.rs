//! Keys by which a write happens once in its scope, which the column `mailbox` names: a mailbox, or the resources of
//! one kind in a tenant.

use graph::{Partition, Scope};
use rusqlite::{Connection, params};

use crate::{FORGOTTEN_AT_ONCE, Once, StoreError};

/// Whether a write with the key has happened, and is remembered.
pub(super) fn is_known(
    connection: &Connection,
    partition: Partition,
    scope: Scope,
    once: &Once,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM once WHERE partition = ?1 AND mailbox = ?2 AND key = ?3 AND until > ?4";
    let key = params![partition.0, scope.0.as_bytes(), once.key, once.now.as_micros()];
    Ok(connection.prepare_cached(sql)?.exists(key)?)
}

/// Remembers a key, and forgets some whose time is over.
pub(super) fn remember(
    connection: &Connection,
    partition: Partition,
    scope: Scope,
    once: &Once,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM once WHERE (partition, mailbox, key) IN (SELECT partition, mailbox, key FROM once
        WHERE partition = ?1 AND until <= ?2 ORDER BY until LIMIT ?3)";
    connection.prepare_cached(sql)?.execute(params![partition.0, once.now.as_micros(), FORGOTTEN_AT_ONCE])?;
    let sql = "INSERT OR REPLACE INTO once (partition, mailbox, key, until) VALUES (?1, ?2, ?3, ?4)";
    let row = params![partition.0, scope.0.as_bytes(), once.key, once.until.as_micros()];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}
