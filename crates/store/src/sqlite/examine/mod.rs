//! Looks a store over that no process uses, and tells what in it is not as it must be. It changes neither the database nor
//! its write-ahead log, and holds one row at a time, of folders one mailbox's.
//!
//! First SQLite looks at its pages, then each table is held against the others. What notifications a subscription
//! should have had is not counted again here.

use std::fmt::Display;
use std::path::Path;

use graph::{PARTITIONS, Partition};
use notify::Position;
use rusqlite::{Connection, ErrorCode};
use serde::Serialize;

use super::error::OpenError;
use super::{DATABASE, endpoint, lock, partition, schema, sealing};
use crate::StoreError;
use crate::seal::Keys;

mod log;
mod mailboxes;
mod subscriptions;
mod topics;

/// What one examination tells of at most; where something is wrong throughout, more of it says no more.
const TOLD_MAX: usize = 20;
const CACHE_KIB: i64 = 64 << 10;

const RESTORE: &str = "restore a backup of before (`tidings restore`)";

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub what: String,
    pub place: String,
    /// What to do about it.
    pub todo: String,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    pub schema: i64,
    /// The examinations, by what they look at. An older schema's tables are not held against each other.
    pub of: Vec<&'static str>,
}

/// Examines the store in a directory. Without `keys` nothing sealed is opened.
pub fn examine(
    directory: impl AsRef<Path>,
    keys: Option<&Keys>,
    found: &mut dyn FnMut(Finding),
) -> Result<Examined, OpenError> {
    let directory = directory.as_ref();
    let failed = |source| OpenError::Database { path: directory.to_owned(), source };
    let _lock = lock::take_to_look(directory)?;
    let no_store = |error: rusqlite::Error| Finding {
        what: format!("it is no store, or what is left of one: {error}"),
        place: DATABASE.to_owned(),
        todo: RESTORE.to_owned(),
    };
    let connection = match schema::connect_to_look(&directory.join(DATABASE), CACHE_KIB) {
        Ok(connection) => connection,
        Err(error)
            if matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) =>
        {
            found(no_store(error));
            return Ok(Examined { schema: 0, of: vec!["pages"] });
        }
        Err(error) => return Err(failed(error)),
    };
    let mut desk = Desk { connection: &connection, keys, told: 0, found };
    let mut of = vec!["pages"];
    desk.look("pages", Desk::pages);
    let version = match schema::meta(&connection, "schema_version") {
        Ok(version) => version.unwrap_or_default(),
        Err(error) => {
            (desk.found)(no_store(error));
            return Ok(Examined { schema: 0, of });
        }
    };
    if version > schema::VERSION {
        let (what, todo) = ("it was written by a newer release", "use that release");
        desk.tell(format!("schema version {version}"), what, todo);
    }
    if version == schema::VERSION {
        let examinations: [(&'static str, Look<'_>); 10] = [
            ("partitions", Desk::partitions),
            ("keys", Desk::keys),
            ("log", Desk::log),
            ("subscriptions", Desk::subscriptions),
            ("parked deliveries", Desk::parked),
            ("health", Desk::health),
            ("ledger", Desk::ledger),
            ("folders", Desk::folders),
            ("items and attachments", Desk::items),
            ("topics", Desk::topics),
        ];
        for (name, look) in examinations {
            desk.look(name, look);
            of.push(name);
        }
    }
    Ok(Examined { schema: version, of })
}

type Look<'a> = fn(&mut Desk<'a>) -> Result<(), StoreError>;

/// Where the tables are looked at.
struct Desk<'a> {
    connection: &'a Connection,
    keys: Option<&'a Keys>,
    /// Findings of this examination.
    told: usize,
    found: &'a mut dyn FnMut(Finding),
}

impl<'a> Desk<'a> {
    fn look(&mut self, name: &'static str, look: Look<'a>) {
        self.told = 0;
        if let Err(error) = look(self) {
            self.told = 0;
            self.tell(name, format!("it cannot be read to the end: {error}"), RESTORE);
        }
        if self.told > TOLD_MAX {
            let what = format!("{} more that are not told one by one", self.told - TOLD_MAX);
            self.told = 0;
            self.tell(name, what, RESTORE);
        }
    }

    fn tell(&mut self, place: impl Display, what: impl Display, todo: impl Display) {
        self.told += 1;
        if self.told <= TOLD_MAX {
            (self.found)(Finding { what: what.to_string(), place: place.to_string(), todo: todo.to_string() });
        }
    }

    fn pages(&mut self) -> Result<(), StoreError> {
        let sql = format!("PRAGMA integrity_check({TOLD_MAX})");
        let mut read = self.connection.prepare(&sql)?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let line: String = row.get(0)?;
            if line != "ok" {
                self.tell(DATABASE, line, RESTORE);
            }
        }
        Ok(())
    }

    fn partitions(&mut self) -> Result<(), StoreError> {
        let made_with = schema::meta(self.connection, "partitions")?.unwrap_or_default();
        if made_with != i64::from(PARTITIONS) {
            let what = format!("it says that the data was made with {made_with} partitions and not {PARTITIONS}");
            self.tell("table meta", what, RESTORE);
        }
        let rows: i64 = self.connection.query_row("SELECT COUNT(*) FROM partition", (), |row| row.get(0))?;
        if rows != i64::from(PARTITIONS) {
            self.tell("table partition", format!("it has {rows} rows and not {PARTITIONS}"), RESTORE);
        }
        for partition in (0..PARTITIONS).map(Partition) {
            let (head, cursor) = self.head_and_cursor(partition)?;
            if cursor > head {
                let what = format!("its cursor is {cursor}, beyond the log's last position {head}");
                self.tell(format!("partition {partition}"), what, RESTORE);
            }
        }
        Ok(())
    }

    fn head_and_cursor(&self, partition: Partition) -> Result<(Position, Position), StoreError> {
        Ok((super::writer::head(self.connection, partition)?, partition::cursor(self.connection, partition)?))
    }

    fn keys(&mut self) -> Result<(), StoreError> {
        let Some(keys) = self.keys else { return Ok(()) };
        for key in sealing::noted_if_any(self.connection)? {
            if !keys.has(key) {
                let what = format!(
                    "secrets are sealed with the key {key}, which the key file does not have; nothing sealed is looked at"
                );
                self.tell("table sealing_key", what, "put the key back into the key file, as another line");
                // Every sealed row would seem damaged, and a backup would not help.
                self.keys = None;
            }
        }
        Ok(())
    }

    /// Each row can be read, and lies where somebody reads it.
    fn health(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT endpoint, health, closed, ends, partition FROM health ORDER BY partition, endpoint";
        let mut read = self.connection.prepare(sql)?;
        let mut rows = read.query(())?;
        while let Some(row) = rows.next()? {
            let partition: u16 = row.get(4)?;
            if let Err(error) = endpoint::read(row, Partition(partition)) {
                self.tell(format!("health of an endpoint in partition {partition}"), error, RESTORE);
            }
            if partition >= PARTITIONS {
                self.tell("table health", format!("there is no partition {partition}"), RESTORE);
            }
        }
        Ok(())
    }

    fn has(&self, sql: &str, key: impl rusqlite::Params) -> Result<bool, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.exists(key)?)
    }
}
