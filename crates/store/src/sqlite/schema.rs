//! The tables, how a connection is set up, and what is checked before a data directory is used.
//!
//! Keys lead with the partition. Ids are 16 bytes; item and folder ids have a byte of their kind in
//! front. Rows with bodies are in rowid tables, where a row of some KiB stays on one page.
//!
//! The column `mailbox` of `subscription` and `once` holds a scope: a mailbox, or the resources of one kind in a tenant.
//! It is named after what was there first.

use std::path::Path;
use std::time::Duration;

use graph::PARTITIONS;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::error::OpenError;
use crate::{Generation, Observe};

mod v13;
mod v14;
mod v3;
mod v4;

/// Each raises the schema version by one. Migrations take no data away; version 14 makes indexes anew, with other keys, and with
/// version 15 the log has changes in another form, so a release before them does not run beside it.
const MIGRATIONS: [Migration; 15] = [
    |tx| tx.execute_batch(V1),
    |tx| tx.execute_batch(V2),
    v3::migrate,
    v4::migrate,
    |tx| tx.execute_batch(V5),
    |tx| tx.execute_batch(V6),
    |tx| tx.execute_batch(V7),
    |tx| tx.execute_batch(V8),
    |tx| tx.execute_batch(V9),
    |tx| tx.execute_batch(V10),
    |tx| tx.execute_batch(V11),
    |tx| tx.execute_batch(V12),
    |tx| tx.execute_batch(v13::V13),
    v14::migrate,
    // Changes of items are stored in another form from here on; those that there are stay as they are.
    |_| Ok(()),
];

type Migration = fn(&Transaction<'_>) -> rusqlite::Result<()>;

const V1: &str = "
    CREATE TABLE tenant (id BLOB PRIMARY KEY, domain TEXT NOT NULL) STRICT, WITHOUT ROWID;

    CREATE TABLE user (
        id BLOB PRIMARY KEY,
        tenant BLOB NOT NULL,
        address TEXT NOT NULL, -- the UPN in lower case
        upn TEXT NOT NULL,
        display_name TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX user_by_address ON user (address);
    CREATE INDEX user_by_tenant ON user (tenant, address);

    CREATE TABLE app (
        id BLOB PRIMARY KEY,
        tenant BLOB NOT NULL,
        display_name TEXT NOT NULL,
        service_principal BLOB NOT NULL,
        secret_sha256 TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE folder (
        partition INTEGER NOT NULL,
        mailbox BLOB NOT NULL,
        id BLOB NOT NULL,
        parent BLOB,
        display_name TEXT NOT NULL,
        well_known TEXT,
        total INTEGER NOT NULL DEFAULT 0, -- kept by the transaction that writes the items
        unread INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (partition, mailbox, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE item (
        number INTEGER PRIMARY KEY,
        partition INTEGER NOT NULL,
        mailbox BLOB NOT NULL,
        id BLOB NOT NULL,
        folder BLOB NOT NULL,
        sort_key INTEGER NOT NULL,
        unread INTEGER NOT NULL,
        version BLOB NOT NULL,
        created INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        properties BLOB NOT NULL -- JSON
    ) STRICT;
    CREATE UNIQUE INDEX item_by_id ON item (partition, mailbox, id);
    CREATE INDEX item_by_folder ON item (partition, mailbox, folder, sort_key DESC, id);

    CREATE TABLE once (
        partition INTEGER NOT NULL,
        mailbox BLOB NOT NULL,
        key TEXT NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (partition, mailbox, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE subscription (
        number INTEGER PRIMARY KEY,
        partition INTEGER NOT NULL,
        id BLOB NOT NULL,
        tenant BLOB NOT NULL,
        app BLOB NOT NULL,
        creator BLOB NOT NULL,
        mailbox BLOB NOT NULL,
        likeness BLOB NOT NULL, -- equal for two subscriptions that are duplicates
        expires INTEGER NOT NULL,
        began INTEGER NOT NULL,
        ended INTEGER,
        end_reason TEXT,
        state BLOB NOT NULL -- JSON
    ) STRICT;
    CREATE UNIQUE INDEX subscription_by_partition ON subscription (partition, id);
    CREATE UNIQUE INDEX subscription_by_id ON subscription (id);
    CREATE INDEX subscription_by_mailbox ON subscription (partition, mailbox, likeness, id) WHERE ended IS NULL;
    CREATE INDEX subscription_by_app ON subscription (tenant, app, id) WHERE ended IS NULL;

    -- The key is (partition, position) in one number, so that the table itself is in order. The last
    -- record of a partition is never removed: its position is the partition's head.
    CREATE TABLE log (key INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;

    CREATE TABLE partition (
        partition INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL DEFAULT 0,
        lease_node BLOB,
        lease_until INTEGER,
        number INTEGER NOT NULL DEFAULT 0,
        cursor INTEGER NOT NULL DEFAULT 0,
        wall INTEGER NOT NULL DEFAULT 0,
        unfolded BLOB NOT NULL DEFAULT x'' -- ledger sums not yet in the table ledger, packed
    ) STRICT;

    CREATE TABLE parked (
        partition INTEGER NOT NULL,
        subscription BLOB NOT NULL,
        kind INTEGER NOT NULL,
        first INTEGER NOT NULL,
        row BLOB NOT NULL, -- JSON
        PRIMARY KEY (partition, subscription, kind, first)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE ledger (
        partition INTEGER NOT NULL,
        subscription BLOB NOT NULL,
        sums BLOB NOT NULL, -- packed
        PRIMARY KEY (partition, subscription)
    ) STRICT, WITHOUT ROWID;
";

const V2: &str = "CREATE INDEX once_by_until ON once (partition, until)";

/// The revision of the write that brought an item to its folder; NULL: that was before this was kept.
const V5: &str = "ALTER TABLE item ADD COLUMN arrived INTEGER";

const V6: &str = "
    -- The keys that values may be sealed with. An empty id: some are not sealed, from before there were keys.
    CREATE TABLE sealing_key (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
    INSERT INTO sealing_key SELECT x'' WHERE EXISTS (SELECT 1 FROM subscription);
    CREATE INDEX log_sealed ON log (key) WHERE substr(record, 1, 1) = x'01';
";

const V7: &str = "
    -- What its app was asked, and its pauses, as JSON; NULL: nothing, and none.
    ALTER TABLE subscription ADD COLUMN standing BLOB;
    CREATE INDEX subscription_by_creator ON subscription (tenant, creator, id) WHERE ended IS NULL;
";

/// Ended ones too, for the ledgers of an app.
const V8: &str = "CREATE INDEX subscription_of_app ON subscription (app, id)";

/// What it was not told of, and is owed a `missed` for, as JSON; NULL: nothing.
const V9: &str = "ALTER TABLE subscription ADD COLUMN incident BLOB";

const V10: &str = "
    -- Nobody reads a record at or below it.
    ALTER TABLE partition ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;

    -- Where the floor may rise to: a cursor, when it stood there, and what the ledgers said then, packed.
    CREATE TABLE log_mark (
        partition INTEGER PRIMARY KEY,
        position INTEGER NOT NULL,
        at INTEGER NOT NULL,
        counted BLOB NOT NULL
    ) STRICT;

    -- What was noted at the mark that is the floor now.
    CREATE TABLE ledger_opening (partition INTEGER PRIMARY KEY, counted BLOB NOT NULL) STRICT;

    -- The sums of subscriptions that have ended and are gone.
    CREATE TABLE ledger_gone (
        tenant BLOB NOT NULL,
        app BLOB NOT NULL,
        subscriptions INTEGER NOT NULL,
        sums BLOB NOT NULL, -- packed
        PRIMARY KEY (tenant, app)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX parked_by_first ON parked (partition, first);
    CREATE INDEX subscription_ended ON subscription (partition, ended) WHERE ended IS NOT NULL;
";

/// What parked rows take with the notifications that they refer to; for those of before about as much for each delivery. A row
/// that cannot be read stays, and is told of where it is read.
const V11: &str = "
    ALTER TABLE parked ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
    UPDATE parked SET bytes = 1024 * COALESCE(
        CASE WHEN json_valid(CAST(row AS TEXT)) THEN json_array_length(CAST(row AS TEXT), '$.refs') END, 1);
";

const V12: &str = "
    -- Endpoints that were slow or dropping when a checkpoint of the partition last said so.
    CREATE TABLE health (
        partition INTEGER NOT NULL,
        endpoint BLOB NOT NULL, -- hashed from the app and its URL without the query
        health INTEGER NOT NULL, -- 1 slow, 2 dropping
        closed INTEGER NOT NULL, -- whether nothing new is tried until it ends
        ends INTEGER NOT NULL,
        PRIMARY KEY (partition, endpoint)
    ) STRICT, WITHOUT ROWID;
";

/// The version that this release writes.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// The name of the store's generation; there is none until it was put back from a copy.
pub(super) const GENERATION: &str = "generation";

const STATEMENTS_CACHED: usize = 200;
const JOURNAL_BYTES_MAX: i64 = 64 << 20;

/// How a store is opened.
#[derive(Clone, Default)]
pub struct OpenOptions<'a> {
    /// The virtual file system of SQLite that it is kept on; `None`: the operating system's.
    pub vfs: Option<&'a str>,
    /// Who is told of each transaction.
    pub observe: Option<Observe>,
}

pub(super) fn connect(file: &Path, vfs: Option<&str>, cache_kib: i64) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(file, flags, vfs)?,
        None => Connection::open_with_flags(file, flags)?,
    };
    // Else a statement is prepared anew whenever a bound of a range is bound to another value, for statistics that
    // there are none of.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
    // The writer says when to checkpoint.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// To look at a database, and no more: nothing is made, no setting of the file changes, and what lies in its write-ahead
/// log stays there.
pub(super) fn connect_to_look(file: &Path, cache_kib: i64) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(connection)
}

/// Brings the schema to this release's version, and clears every lease: who holds the directory's
/// lock is the only node there is.
pub(super) fn prepare(connection: &mut Connection, directory: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database { path: directory.to_owned(), source };
    let transaction = connection.transaction().map_err(failed)?;
    let found = version(&transaction).map_err(failed)?;
    if found > VERSION {
        return Err(OpenError::Newer { path: directory.to_owned(), found, known: VERSION });
    }
    migrate(&transaction, found).map_err(failed)?;
    let partitions = meta(&transaction, "partitions").map_err(failed)?;
    if let Some(found) = partitions.filter(|found| *found != i64::from(PARTITIONS)) {
        return Err(OpenError::Partitions { path: directory.to_owned(), found, expected: PARTITIONS });
    }
    transaction.execute("UPDATE partition SET lease_node = NULL, lease_until = NULL", ()).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn version(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    )?;
    Ok(meta(transaction, "schema_version")?.unwrap_or_default())
}

fn migrate(transaction: &Transaction<'_>, found: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(found).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        migration(transaction)?;
    }
    if done == 0 {
        for partition in 0..PARTITIONS {
            transaction.execute("INSERT INTO partition (partition) VALUES (?1)", [partition])?;
        }
        put_meta(transaction, "partitions", i64::from(PARTITIONS))?;
    }
    put_meta(transaction, "schema_version", VERSION)
}

pub(super) fn generation(connection: &Connection) -> rusqlite::Result<Generation> {
    Ok(Generation(meta(connection, GENERATION)?.unwrap_or_default().unsigned_abs()))
}

/// A number that belongs to the whole store.
pub(super) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

pub(super) fn put_meta(transaction: &Transaction<'_>, name: &str, value: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
    transaction.execute(sql, params![name, value]).map(|_| ())
}
