//! Moving the write-ahead log's pages into the database, beside the writer.
//!
//! A second connection does it whenever the log has grown by [`GROWTH_PAGES`]. Under steady writing it
//! never catches up to the very end, which is what lets SQLite start the log over; so once the log has
//! [`LOG_PAGES_MAX`] the writer itself moves the rest between two of its transactions. All who write wait for
//! that, and for the sync of the database; so it waits until the other has left a small rest, if it can.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode};

use super::schema;

const GROWTH_PAGES: i32 = 4_000;
const LOG_PAGES_MAX: i32 = 32_000;
/// So few pages are a small rest. When there are more in so long a log, the other is woken for them.
const REST_PAGES_MAX: i32 = 1_000;
/// If the other does not get there, the writer moves whatever is left.
const LOG_PAGES_FAR_TOO_MANY: i32 = 2 * LOG_PAGES_MAX;
/// The checkpointer reads pages once.
const CACHE_KIB: i64 = 1 << 10;

/// Where the database is.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub file: PathBuf,
    pub vfs: Option<String>,
}

impl Source {
    pub fn connect(&self, cache_kib: i64) -> rusqlite::Result<Connection> {
        schema::connect(&self.file, self.vfs.as_deref(), cache_kib)
    }
}

/// Watches the log's length. Belongs to the writer.
pub(super) struct WalGuard {
    /// The log's pages after the last commit.
    pages: Arc<AtomicI32>,
    /// How many of them the other connection had moved when it was last done.
    moved: Arc<AtomicI32>,
    /// The log's pages when the writer last moved some itself.
    moved_at: i32,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WalGuard {
    pub fn start(source: &Source) -> rusqlite::Result<Self> {
        let connection = source.connect(CACHE_KIB)?;
        let (wake, woken) = sync_channel(1);
        let moved = Arc::new(AtomicI32::new(0));
        let done = Arc::clone(&moved);
        let thread = std::thread::Builder::new().name("store-wal".to_owned());
        let thread = thread.spawn(move || move_pages(&connection, &woken, &done));
        let thread = thread.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(Self { pages: Arc::default(), moved, moved_at: 0, wake: Some(wake), thread: Some(thread) })
    }

    /// What the writer's connection calls after each commit with the log's length in pages.
    pub fn hook(&self) -> impl FnMut(&mut Wal, i32) -> rusqlite::Result<()> + Send + 'static {
        let pages = Arc::clone(&self.pages);
        let wake = self.wake.clone();
        let mut woken_at = 0;
        move |_, length| {
            pages.store(length, Ordering::Relaxed);
            woken_at = woken_at.min(length);
            let growth = if length < LOG_PAGES_MAX { GROWTH_PAGES } else { REST_PAGES_MAX };
            if length - woken_at >= growth {
                woken_at = length;
                // Full: it has been woken already.
                let _ = wake.as_ref().map(|wake| wake.try_send(()));
            }
            Ok(())
        }
    }

    /// Moves the rest itself if the log has become too long.
    pub fn after_commit(&mut self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        self.moved_at = self.moved_at.min(pages);
        // It may be that of a log before this one, and then be more than there are now.
        let left = pages - self.moved.load(Ordering::Relaxed);
        let is_time = (0..=REST_PAGES_MAX).contains(&left) || pages >= LOG_PAGES_FAR_TOO_MANY;
        if pages >= LOG_PAGES_MAX && is_time && pages - self.moved_at >= REST_PAGES_MAX {
            self.moved_at = pages;
            checkpoint(writer, CheckpointMode::PASSIVE);
        }
    }

    /// Empties the log: the writer is about to close.
    pub fn finish(&mut self, writer: &Connection) {
        checkpoint(writer, CheckpointMode::TRUNCATE);
    }
}

impl Drop for WalGuard {
    /// The writer's connection, whose hook can wake the thread too, must be closed by now.
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn move_pages(connection: &Connection, woken: &Receiver<()>, done: &AtomicI32) {
    while woken.recv().is_ok() {
        if let Some(moved) = checkpoint(connection, CheckpointMode::PASSIVE) {
            done.store(moved, Ordering::Relaxed);
        }
    }
}

/// How many of the log's pages are in the database then. A failure loses nothing: the pages stay in the log.
fn checkpoint(connection: &Connection, mode: CheckpointMode) -> Option<i32> {
    match connection.wal_checkpoint_v2(None::<&str>, mode) {
        Ok((_, moved)) => Some(moved),
        // The other connection is moving pages just now.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => None,
        Err(error) => {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database");
            None
        }
    }
}
