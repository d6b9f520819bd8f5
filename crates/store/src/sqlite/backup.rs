//! A copy of a store that others may be writing, and the new beginning of a store that was put back from one.
//!
//! The copy is what one moment's snapshot shows. It is read in steps beside the writer, which waits for none of them:
//! the write-ahead log cannot start over meanwhile, and that is all.
//!
//! A store that is put back has forgotten what happened since it was copied, while apps and receivers have not. So it
//! begins a new generation, which delta tokens of before are not of; every live subscription is owed a `missed`;
//! nothing that could be redeemed counts any more, for what was redeemed or revoked since is not known; and all
//! endpoints are healthy until they are seen not to be.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use notify::Incident;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::OpenError;
use super::{DATABASE, OpenOptions, Opened, row, schema, sealing, subscription};
use crate::Generation;
use crate::seal::{KeyId, Keys};

/// Pages of one step: 4 MiB.
const STEP_PAGES: i32 = 1_024;
const BUSY: Duration = Duration::from_secs(5);
/// The pages that one connection holds: each is read or written once.
const CACHE_KIB: i64 = 4 << 10;

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The version of the schema, perhaps an older one than this release writes.
    pub schema: i64,
    pub partitions: i64,
    /// The keys without which the copy cannot be read.
    pub keys: BTreeSet<KeyId>,
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the disk that is copied to is full")]
    Full,
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error("another process uses the copy")]
    Busy,
    #[error("the database cannot be copied")]
    Database(#[source] rusqlite::Error),
    #[error("the copy cannot be brought to the disk")]
    Sync(#[source] std::io::Error),
}

impl From<rusqlite::Error> for CopyError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => CopyError::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => CopyError::Damaged(error.to_string()),
            _ => CopyError::Database(error),
        }
    }
}

/// Copies the database of the store in a directory to the new file `to`, and looks the copy over. The store's server
/// may run meanwhile, in this or another process. `progress` hears of each step: pages copied, and pages in all.
pub fn copy(
    directory: impl AsRef<Path>,
    to: impl AsRef<Path>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Copied, CopyError> {
    let source = connect(&directory.as_ref().join(DATABASE), OpenFlags::empty())?;
    let snapshot = source.unchecked_transaction()?;
    let copied = Copied {
        schema: schema::meta(&snapshot, "schema_version")?.unwrap_or_default(),
        partitions: schema::meta(&snapshot, "partitions")?.unwrap_or_default(),
        keys: sealing::noted_if_any(&snapshot)?,
    };
    let mut copy = connect(to.as_ref(), OpenFlags::SQLITE_OPEN_CREATE)?;
    let backup = Backup::new(&source, &mut copy)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        let pages = backup.progress();
        let count = |pages: i32| u64::try_from(pages).unwrap_or_default();
        progress(count(pages.pagecount - pages.remaining), count(pages.pagecount));
        match step {
            StepResult::More => {}
            StepResult::Done => break,
            // Nobody else has the copy open.
            _ => return Err(CopyError::Busy),
        }
    }
    drop(backup);
    // One file, without a write-ahead log beside it.
    copy.pragma_update(None, "journal_mode", "delete")?;
    let looked: String = copy.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if looked != "ok" {
        return Err(CopyError::Damaged(looked));
    }
    drop(copy);
    File::open(to).and_then(|file| file.sync_all()).map_err(CopyError::Sync)?;
    Ok(copied)
}

fn connect(file: &Path, create: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags | create)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// How a generation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Live subscriptions, each of which is owed a `missed`.
    pub subscriptions: u64,
    /// Codes and refresh tokens that count no more.
    pub redeemables: u64,
}

/// Makes of a copy, in a directory of its own, a store of another generation. It is brought up to this release's
/// schema. `incident`: of what its subscriptions have not been told, and will not be.
pub fn begin_generation(
    directory: impl AsRef<Path>,
    keys: &Keys,
    generation: Generation,
    incident: Incident,
) -> Result<Begun, OpenError> {
    let directory = directory.as_ref();
    let failed = |source| OpenError::Database { path: directory.to_owned(), source };
    let Opened { mut connection, .. } = Opened::open(directory, keys, OpenOptions::default())?;
    subscription::try_one(&connection, keys)
        .map_err(|cause| OpenError::Sealed { path: directory.to_owned(), cause })?;
    let begin = |connection: &mut Connection| {
        let transaction = connection.transaction()?;
        schema::put_meta(&transaction, schema::GENERATION, row::signed(generation.0))?;
        let redeemables = transaction.execute("DELETE FROM redeemable", ())?;
        transaction.execute("DELETE FROM health", ())?;
        let subscriptions = subscription::open_incidents(&transaction, incident)?;
        transaction.commit()?;
        connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE)?;
        Ok(Begun { subscriptions, redeemables: redeemables as u64 })
    };
    begin(&mut connection).map_err(failed)
}
