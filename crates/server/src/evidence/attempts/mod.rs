//! The attempt log: what came of each request to a receiver, for those who ask why something did not arrive.
//!
//! It is beside the path of deliveries: who sends hands over what there is to say and goes on; one thread gathers that
//! and writes it, many attempts with one write, into files of its own ([`segments`]). If the thread does not keep up, or
//! the disk does not take it, entries are dropped and counted. It is no part of what must be kept: the ledgers say what
//! became of notifications, and this says why.

pub mod entry;
mod segments;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use graph::Timestamp;
use store::seal::Keys;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::Telemetry;
use entry::{Entry, Tried};
pub use segments::{Found, Owner, Wanted};
use segments::{Limits, Segments};

/// Its directory in the data directory.
const DIRECTORY: &str = "attempts";
/// Entries that wait to be written; more are dropped.
const WAITING_MAX: usize = 4_096;
/// How long entries are gathered for one write.
const GATHERED_FOR: Duration = Duration::from_millis(100);
/// How long a reader waits for what was handed over before.
const FLUSHED_IN: Duration = Duration::from_secs(5);

/// What of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub days: u32,
    pub bytes_max: u64,
}

pub struct AttemptLog {
    waiting: SyncSender<Message>,
    dir: PathBuf,
    keys: Keys,
    kept: Kept,
    telemetry: Arc<Telemetry>,
    /// Of those who are many, one reads at a time.
    readers: Arc<Semaphore>,
}

enum Message {
    Tried(Box<Tried>),
    /// To be answered when everything before is written.
    Flush(SyncSender<()>),
}

impl AttemptLog {
    /// In this data directory. What it holds is sealed with `keys`.
    pub fn start(data: &Path, keys: Keys, kept: Kept, telemetry: Arc<Telemetry>) -> anyhow::Result<Self> {
        let dir = data.join(DIRECTORY);
        let (waiting, messages) = sync_channel(WAITING_MAX);
        let segments = Segments::new(dir.clone(), keys.clone(), kept.limits());
        let counted = Arc::clone(&telemetry);
        thread::Builder::new().name("attempt-log".into()).spawn(move || write(&messages, segments, &counted))?;
        Ok(Self { waiting, dir, keys, kept, telemetry, readers: Arc::new(Semaphore::new(1)) })
    }

    /// Takes an entry, unless too many wait. Never blocks.
    pub fn offer(&self, tried: Box<Tried>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.waiting.try_send(Message::Tried(tried))
        {
            self.telemetry.attempts_logged("dropped", 1);
        }
    }

    /// Returns when everything that was taken before is written, or could not be. Blocks.
    pub fn flush(&self) {
        let (written, done) = sync_channel(1);
        if self.waiting.send(Message::Flush(written)).is_ok() {
            // Who does not get an answer reads what there is.
            let _ = done.recv_timeout(FLUSHED_IN);
        }
    }

    /// A place to read, which is given back when it is dropped; `None`: nobody reads any more.
    pub async fn reader(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.readers).acquire_owned().await.ok()
    }

    /// The newest attempts that are wanted, as far as they are kept at `now`. Blocks.
    pub fn read(&self, wanted: &Wanted, now: Timestamp) -> std::io::Result<Found> {
        self.flush();
        let oldest = now.plus_micros(-self.kept.limits().age_micros);
        let since = wanted.since.map_or(oldest, |since| since.max(oldest));
        segments::read(&self.dir, &self.keys, &Wanted { since: Some(since), ..wanted.clone() })
    }
}

impl Kept {
    fn limits(self) -> Limits {
        Limits { age_micros: i64::from(self.days) * 24 * 3_600 * 1_000_000, bytes_max: self.bytes_max }
    }
}

/// Writes what comes, until nobody can send any more. It sleeps until there is something; who sends while it gathers wakes
/// nobody.
fn write(messages: &Receiver<Message>, mut segments: Segments, telemetry: &Telemetry) {
    let (mut last, mut is_failing) = (0, false);
    while let Ok(first) = messages.recv() {
        thread::sleep(GATHERED_FOR);
        let (mut entries, mut flushes) = (Vec::new(), Vec::new());
        for message in std::iter::once(first).chain(messages.try_iter()).take(WAITING_MAX) {
            match message {
                Message::Tried(tried) => {
                    entries.extend(Entry::each(*tried, last));
                    last = entries.last().map_or(last, |entry| entry.number);
                }
                Message::Flush(done) => flushes.push(done),
            }
        }
        if !entries.is_empty() {
            let written = segments.append(&entries);
            telemetry.attempts_logged(if written.is_ok() { "written" } else { "failed" }, entries.len() as u64);
            let has_failed = std::mem::replace(&mut is_failing, written.is_err());
            match written {
                Err(error) if !has_failed => {
                    tracing::warn!(%error, "the attempt log cannot be written; deliveries go on without it");
                }
                Ok(()) if has_failed => tracing::warn!("the attempt log is written again"),
                _ => {}
            }
        }
        for done in flushes {
            // Nobody waits any more if it took too long.
            let _ = done.send(());
        }
    }
}
