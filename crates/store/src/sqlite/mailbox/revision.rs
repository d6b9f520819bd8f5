//! The last revision that rows know of.

use graph::{Partition, UserId};
use rusqlite::{Connection, Params, params};

use crate::{Revision, StoreError};

/// Each part seeks to the end of one range of an index, for every folder that there is.
const LAST: &str = "SELECT COALESCE(MAX(MAX(
        revision,
        COALESCE((SELECT MAX(item.revision) FROM item WHERE item.place = folder.place), 0),
        COALESCE((SELECT MAX(tombstone.revision) FROM tombstone WHERE tombstone.partition = folder.partition
            AND tombstone.mailbox = folder.mailbox AND tombstone.folder = folder.id), 0),
        COALESCE((SELECT MAX(tombstone.revision) FROM tombstone WHERE tombstone.partition = folder.partition
            AND tombstone.mailbox = folder.mailbox AND tombstone.folder = x''), 0),
        COALESCE((SELECT delta_floor.revision FROM delta_floor WHERE delta_floor.partition = folder.partition
            AND delta_floor.mailbox = folder.mailbox), 0)
    )), 0) FROM folder";

/// Of a partition.
pub(in crate::sqlite) fn last_revision(connection: &Connection, partition: Partition) -> Result<Revision, StoreError> {
    read(connection, &format!("{LAST} WHERE partition = ?1"), [partition.0])
}

/// Of a mailbox.
pub(super) fn last_revision_of(connection: &Connection, mailbox: UserId) -> Result<Revision, StoreError> {
    let sql = format!("{LAST} WHERE partition = ?1 AND mailbox = ?2");
    read(connection, &sql, params![Partition::of(mailbox).0, mailbox.0.as_bytes()])
}

fn read(connection: &Connection, sql: &str, key: impl Params) -> Result<Revision, StoreError> {
    Ok(Revision(connection.prepare_cached(sql)?.query_row(key, |row| row.get(0))?))
}
