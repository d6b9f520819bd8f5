//! Mailboxes of removed users: their rows are taken away in parts, each a transaction of its own.

use graph::{Partition, UserId};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// Everything that has rows of a mailbox: the table, its key within the mailbox, and how many rows are one
/// part. Content may be large.
const ROWS: [(&str, &str, u32); 8] = [
    ("item", "number", 500),
    ("attachment", "number", 20),
    ("upload_chunk", "number", 20),
    ("upload", "id", 500),
    ("tombstone", "folder, revision, id", 500),
    ("once", "key", 500),
    ("folder", "id", 500),
    ("delta_floor", "revision", 500),
];

/// Whether something of the mailbox may be left.
pub(super) fn is_left(connection: &Connection, mailbox: UserId) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM removed_mailbox WHERE mailbox = ?1";
    connection.prepare_cached(sql)?.exists([mailbox.0.as_bytes()])
}

/// Takes one part away; says whether there may be more.
pub(super) fn take_away_some(connection: &Connection, mailbox: UserId) -> rusqlite::Result<bool> {
    let (partition, id) = (Partition::of(mailbox).0, mailbox.0.as_bytes());
    for (table, key, part) in ROWS {
        let here = format!("FROM {table} WHERE partition = ?1 AND mailbox = ?2");
        let sql = format!("DELETE {here} AND ({key}) IN (SELECT {key} {here} LIMIT ?3)");
        if connection.prepare_cached(&sql)?.execute(params![partition, id, part])? > 0 {
            return Ok(true);
        }
    }
    connection.prepare_cached("DELETE FROM removed_mailbox WHERE mailbox = ?1")?.execute([id])?;
    Ok(false)
}

/// Finishes what was broken off.
pub(super) fn take_away_the_rest(connection: &Connection) -> rusqlite::Result<()> {
    let next = "SELECT mailbox FROM removed_mailbox LIMIT 1";
    while let Some(mailbox) = connection.prepare_cached(next)?.query_row((), |row| row.get(0)).optional()? {
        while take_away_some(connection, UserId(Uuid::from_bytes(mailbox)))? {}
    }
    Ok(())
}
