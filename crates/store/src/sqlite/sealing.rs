//! Which keys the values of a store are sealed with, and sealing them anew with the first when it is opened.
//!
//! A key is noted before anything is sealed with it, and struck out when nothing is any more: a key that is
//! not noted may be thrown away. Values from before there were keys are sealed in the same way; then the
//! whole database is written anew, because SQLite leaves what it has replaced in the file.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use graph::{SubscriptionId, TopicId};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags, Row};
use uuid::Uuid;

use super::error::{OpenError, cell, corrupt};
use super::{DATABASE, record, row, subscription, topic};
use crate::seal::{KeyId, Keys, UnsealError, sealed_with};
use crate::{EventSubscriptionKey, StoreError};

/// Rows in one transaction.
const BATCH: usize = 1_000;
/// The length of the write-ahead log, in pages, at which it is moved meanwhile.
const LOG_PAGES: i32 = 4_000;

/// The keys without which the store in a directory cannot be read; none if there is no store.
pub fn keys_in_use(directory: impl AsRef<Path>) -> Result<BTreeSet<KeyId>, OpenError> {
    let file = directory.as_ref().join(DATABASE);
    if !file.exists() {
        return Ok(BTreeSet::new());
    }
    let read = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&file, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        noted_if_any(&connection)
    };
    read().map_err(|source| OpenError::Database { path: directory.as_ref().to_owned(), source })
}

/// The keys that are noted; none in a database of before there were keys.
pub(super) fn noted_if_any(connection: &Connection) -> rusqlite::Result<BTreeSet<KeyId>> {
    match connection.table_exists(None, "sealing_key")? {
        true => noted(connection),
        false => Ok(BTreeSet::new()),
    }
}

fn noted(connection: &Connection) -> rusqlite::Result<BTreeSet<KeyId>> {
    let mut statement = connection.prepare("SELECT id FROM sealing_key WHERE id <> x''")?;
    statement.query_map((), |row| row.get(0).map(KeyId))?.collect()
}

/// Whether some values are not sealed, or were not and may have left traces.
fn has_plain(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sealing_key WHERE id = x''")?.exists(())
}

/// Makes sure that everything opens with these keys, and that all of it is sealed with the first.
pub(super) fn settle(connection: &Connection, keys: &Keys, directory: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database { path: directory.to_owned(), source };
    let noted = noted(connection).map_err(failed)?;
    if let Some(key) = noted.iter().copied().find(|id| !keys.has(*id)) {
        return Err(OpenError::NoKey { path: directory.to_owned(), key });
    }
    let plain = has_plain(connection).map_err(failed)?;
    if !plain && noted == BTreeSet::from([keys.first()]) {
        return Ok(());
    }
    Anew { connection, keys, plain }.everything().map_err(failed)
}

/// Seals with the first key what is not.
struct Anew<'a> {
    connection: &'a Connection,
    keys: &'a Keys,
    /// Whether values may be plain.
    plain: bool,
}

impl Anew<'_> {
    fn everything(&self) -> rusqlite::Result<()> {
        let Self { connection, keys, plain } = *self;
        connection.execute("INSERT OR IGNORE INTO sealing_key (id) VALUES (?1)", [keys.first().0])?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        self.states()?;
        self.topics()?;
        self.event_subscriptions()?;
        self.records("substr(record, 1, 1) = x'01'")?;
        if plain {
            self.records("substr(record, 1, 6) = CAST('{\"subs' AS BLOB)")?;
        }
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        if plain && let Err(error) = write_anew(connection) {
            let hint = "secrets are sealed now, but traces may be left in the database; the next start tries again";
            tracing::warn!(%error, "{hint}");
            return Ok(());
        }
        connection.execute("DELETE FROM sealing_key WHERE id <> ?1", [keys.first().0])?;
        Ok(())
    }

    fn states(&self) -> rusqlite::Result<()> {
        let read = "SELECT number, id, state FROM subscription WHERE number > ?1 ORDER BY number LIMIT ?2";
        let write = "UPDATE subscription SET state = ?2 WHERE number = ?1";
        seal_rows(self.connection, (read, write), |row| {
            let id = SubscriptionId(Uuid::from_bytes(cell(row, 1, ("subscription", "id"), "")?));
            let json = self.to_seal(row.get(2)?, |sealed| subscription::open_state(self.keys, id, sealed));
            let json = json.map_err(|error| corrupt(("subscription", "state"), id, error))?;
            Ok(json.map(|json| subscription::seal_state(self.keys, id, &json)))
        })
    }

    fn topics(&self) -> rusqlite::Result<()> {
        let read = "SELECT number, id, state FROM topic WHERE number > ?1 ORDER BY number LIMIT ?2";
        let write = "UPDATE topic SET state = ?2 WHERE number = ?1";
        seal_rows(self.connection, (read, write), |row| {
            let id = TopicId(Uuid::from_bytes(cell(row, 1, ("topic", "id"), "")?));
            let json = self.to_seal(row.get(2)?, |sealed| topic::open_state(self.keys, id, sealed));
            let json = json.map_err(|error| corrupt(("topic", "state"), id, error))?;
            Ok(json.map(|json| topic::seal_state(self.keys, id, &json)))
        })
    }

    fn event_subscriptions(&self) -> rusqlite::Result<()> {
        let read =
            "SELECT number, topic, name, state FROM event_subscription WHERE number > ?1 ORDER BY number LIMIT ?2";
        let write = "UPDATE event_subscription SET state = ?2 WHERE number = ?1";
        seal_rows(self.connection, (read, write), |row| {
            let topic = TopicId(Uuid::from_bytes(cell(row, 1, ("event_subscription", "topic"), "")?));
            let name: String = cell(row, 2, ("event_subscription", "name"), topic)?;
            let key = EventSubscriptionKey::new(topic, &name);
            let json = self.to_seal(row.get(3)?, |sealed| topic::open_event_subscription(self.keys, &key, sealed));
            let json = json.map_err(|error| corrupt(("event_subscription", "state"), &name, error))?;
            Ok(json.map(|json| topic::seal_event_subscription(self.keys, &key, &json)))
        })
    }

    /// The records of the log for which a condition holds.
    fn records(&self, condition: &str) -> rusqlite::Result<()> {
        let read = format!("SELECT key, record FROM log WHERE key > ?1 AND {condition} ORDER BY key LIMIT ?2");
        let write = "UPDATE log SET record = ?2 WHERE key = ?1";
        seal_rows(self.connection, (&read, write), |row| {
            let key = row.get(0)?;
            let partition = row::log_partition(key);
            let json = self.to_seal(row.get(1)?, |sealed| record::open(self.keys, partition, sealed));
            let json = json.map_err(|error| corrupt(("log", "record"), row::log_position(key), error))?;
            Ok(json.map(|json| record::seal(self.keys, partition, &json)))
        })
    }

    /// What a value says, if it is not sealed with the first key.
    fn to_seal(
        &self,
        value: Vec<u8>,
        open: impl FnOnce(&[u8]) -> Result<Vec<u8>, UnsealError>,
    ) -> Result<Option<Vec<u8>>, UnsealError> {
        match sealed_with(&value) {
            Some(id) if id == self.keys.first() => Ok(None),
            None if self.plain => Ok(Some(value)),
            _ => open(&value).map(Some),
        }
    }
}

/// Writes every page anew, and empties the write-ahead log.
fn write_anew(connection: &Connection) -> rusqlite::Result<()> {
    let hint = "secrets were not sealed until now; the database is written anew once, which may take a while";
    tracing::warn!("{hint}");
    // The copy is as large as the database.
    connection.pragma_update(None, "temp_store", "file")?;
    let written = connection.execute_batch("VACUUM");
    connection.pragma_update(None, "temp_store", "memory")?;
    written?;
    connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE).map(|_| ())
}

/// Gives rows the values that `anew` makes of them. `read` selects the numbers of rows after one, and what
/// else is needed of them, in order and up to a limit; `write` sets the value of one.
fn seal_rows(
    connection: &Connection,
    (read, write): (&str, &str),
    anew: impl Fn(&Row<'_>) -> Result<Option<Vec<u8>>, StoreError>,
) -> rusqlite::Result<()> {
    let (mut read, mut write) = (connection.prepare(read)?, connection.prepare(write)?);
    let (mut last, mut count) = (i64::MIN, BATCH);
    while count == BATCH {
        let batch = connection.unchecked_transaction()?;
        let mut values = Vec::new();
        let mut rows = read.query((last, BATCH))?;
        count = 0;
        while let Some(row) = rows.next()? {
            (last, count) = (row.get(0)?, count + 1);
            match anew(row) {
                Ok(value) => values.extend(value.map(|value| (last, value))),
                // Nobody can read it; whoever tries hears so again.
                Err(error) => tracing::warn!(%error, "a value cannot be sealed anew"),
            }
        }
        drop(rows);
        for value in values {
            write.execute(value)?;
        }
        batch.commit()?;
    }
    Ok(())
}
