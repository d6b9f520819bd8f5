//! Moving the write-ahead log's pages into the database, beside the writer.
//!
//! A second connection does it whenever the log has grown by [`GROWTH_PAGES`]. Under steady writing it
//! never catches up to the very end, which is what lets SQLite start the log over; so once the log has
//! [`LOG_PAGES_MAX`] the writer itself moves the small rest between two of its transactions.

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
const LOG_PAGES_MAX: i32 = 16_000;
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
    /// The log's pages when the writer last moved some itself.
    moved_at: i32,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WalGuard {
    pub fn start(source: &Source) -> rusqlite::Result<Self> {
        let connection = source.connect(CACHE_KIB)?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new().name("store-wal".to_owned());
        let thread = thread.spawn(move || move_pages(&connection, &woken));
        let thread = thread.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(Self { pages: Arc::default(), moved_at: 0, wake: Some(wake), thread: Some(thread) })
    }

    /// What the writer's connection calls after each commit with the log's length in pages.
    pub fn hook(&self) -> impl FnMut(&mut Wal, i32) -> rusqlite::Result<()> + Send + 'static {
        let pages = Arc::clone(&self.pages);
        let wake = self.wake.clone();
        let mut woken_at = 0;
        move |_, length| {
            pages.store(length, Ordering::Relaxed);
            woken_at = woken_at.min(length);
            if length - woken_at >= GROWTH_PAGES {
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
        if pages >= LOG_PAGES_MAX && pages - self.moved_at >= GROWTH_PAGES {
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

fn move_pages(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        checkpoint(connection, CheckpointMode::PASSIVE);
    }
}

/// A failure loses nothing: the pages stay in the log.
fn checkpoint(connection: &Connection, mode: CheckpointMode) {
    match connection.wal_checkpoint_v2(None::<&str>, mode) {
        // The other connection is moving pages just now.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
        Err(error) => tracing::warn!(%error, "the write-ahead log could not be moved into the database"),
        Ok(_) => {}
    }
}
