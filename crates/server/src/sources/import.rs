//! Import of files: mbox, `.eml`, `.ics` and `.vcf`.
//!
//! A thread reads and maps the files; their items go in batches to a [`Sink`], which is a running
//! server's admin API or a store that nobody else has open. What cannot be read is reported and the rest
//! goes on. Each item has a key by which it is imported once, so that an import that broke off can be
//! run again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use graph::mailbox::meeting::Meeting;
use graph::{Kind, Properties};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub mod accept;
pub mod client;
mod files;

/// Items of one batch, and the bytes of their JSON.
pub const BATCH_ITEMS_MAX: usize = 200;
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The JSON of one item, which may be a batch by itself: a message with all that is attached to it.
pub const ITEM_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Of what could not be read, as much is listed; the rest is only counted.
pub const UNREADABLE_LISTED_MAX: usize = 1_000;

/// Found items that wait for the sink. Each may be as large as a message.
const WAITING_MAX: usize = 8;

/// One item on its way into a mailbox: a line of an import request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportItem {
    /// The user's id, UPN or address.
    pub user: String,
    pub kind: Kind,
    /// A well-known name, or the display name of a folder, which is made if it is not there. Without it:
    /// Inbox, Calendar, Contacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    pub properties: Properties,
    /// What a message for the Inbox tells of a meeting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meeting: Option<Box<Meeting>>,
    /// An item with the same key in the same mailbox is imported once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once_key: Option<String>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub imported: u64,
    pub duplicates: u64,
    pub failed: Vec<Failed>,
}

/// An item that was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// Its place in the batch, from 0.
    pub index: usize,
    pub why: String,
    /// Its user does not exist.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_user: bool,
}

/// Where the items go.
#[async_trait]
pub trait Sink: Send {
    /// Takes a batch: [`ImportItem`]s, one on each line.
    async fn import(&mut self, batch: Vec<u8>) -> Result<Answer, SinkError>;
}

/// The import cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    #[error("the server at {0} cannot be reached: {1}")]
    Unreachable(String, String),
    #[error("the server answered {0}: {1}")]
    Refused(u16, String),
    #[error("{0}")]
    NoUser(String),
    #[error("the server's answer cannot be read: {0}")]
    BadAnswer(String),
    #[error("the store does not take the items: {0}")]
    Store(String),
}

/// Where items are to go.
#[derive(Clone, Debug)]
pub struct Target {
    /// The user's UPN or address.
    pub user: String,
    /// Goes before what a file says of folders.
    pub folder: Option<String>,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Items found in the files, readable or not.
    pub read: u64,
    pub imported: u64,
    pub duplicates: u64,
    /// What is of no kind that is imported: tasks, journal entries, groups of contacts.
    pub skipped: u64,
    /// What could not be read, at most [`UNREADABLE_LISTED_MAX`] of it.
    pub unreadable: Vec<Unreadable>,
    pub unreadable_count: u64,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub file: PathBuf,
    /// Where in the file; empty if it is the file as a whole.
    pub place: String,
    pub why: String,
}

impl Report {
    fn add_unreadable(&mut self, unreadable: Unreadable) {
        self.unreadable_count += 1;
        if self.unreadable.len() < UNREADABLE_LISTED_MAX {
            self.unreadable.push(unreadable);
        }
    }
}

/// What the reading thread finds.
enum Found {
    Item(Box<FoundItem>),
    Unreadable(Unreadable),
    Skipped(u64),
    /// So many more bytes have been read.
    Bytes(u64),
}

struct FoundItem {
    kind: Kind,
    folder: Option<String>,
    properties: Properties,
    meeting: Option<Box<Meeting>>,
    once_key: String,
    file: Arc<Path>,
    place: String,
}

/// Imports the files in their order. `progress` is called with the bytes read since its last call and
/// the report so far.
pub async fn run(
    files: Vec<PathBuf>,
    target: Target,
    sink: &mut dyn Sink,
    progress: &mut (dyn FnMut(u64, &Report) + Send),
) -> Result<Report, SinkError> {
    let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
    let owner = target.user.clone();
    // It ends by itself when the files do, or at its next item once nobody receives any more.
    tokio::task::spawn_blocking(move || {
        files::read_all(&files, &owner, &mut |found| sender.blocking_send(found).is_ok())
    });
    let mut report = Report::default();
    let mut batch = Batch::default();
    while let Some(found) = receiver.recv().await {
        match found {
            Found::Bytes(bytes) => progress(bytes, &report),
            Found::Skipped(count) => report.skipped += count,
            Found::Unreadable(unreadable) => {
                report.read += 1;
                report.add_unreadable(unreadable);
            }
            Found::Item(item) => {
                report.read += 1;
                let FoundItem { kind, folder, properties, meeting, once_key, file, place } = *item;
                let (user, folder) = (target.user.clone(), target.folder.clone().or(folder));
                let item = ImportItem { user, kind, folder, properties, meeting, once_key: Some(once_key) };
                let line = serde_json::to_vec(&item).unwrap_or_default();
                if line.len() > ITEM_BYTES_MAX {
                    let why = format!("the item has {} bytes as JSON, more than {ITEM_BYTES_MAX}", line.len());
                    report.add_unreadable(Unreadable { file: file.to_path_buf(), place, why });
                    continue;
                }
                if !batch.has_room(line.len()) {
                    send(&mut batch, sink, &mut report).await?;
                }
                batch.add(&line, file, place);
            }
        }
    }
    send(&mut batch, sink, &mut report).await?;
    progress(0, &report);
    Ok(report)
}

#[derive(Default)]
struct Batch {
    lines: Vec<u8>,
    places: Vec<(Arc<Path>, String)>,
}

impl Batch {
    fn has_room(&self, bytes: usize) -> bool {
        self.places.len() < BATCH_ITEMS_MAX && self.lines.len() + bytes < BATCH_BYTES_MAX
    }

    fn add(&mut self, line: &[u8], file: Arc<Path>, place: String) {
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        self.places.push((file, place));
    }
}

async fn send(batch: &mut Batch, sink: &mut dyn Sink, report: &mut Report) -> Result<(), SinkError> {
    let Batch { lines, places } = std::mem::take(batch);
    if places.is_empty() {
        return Ok(());
    }
    let answer = sink.import(lines).await?;
    report.imported += answer.imported;
    report.duplicates += answer.duplicates;
    for failed in answer.failed {
        // All items are for the same user.
        if failed.no_user {
            return Err(SinkError::NoUser(failed.why));
        }
        let (file, place) =
            places.get(failed.index).ok_or_else(|| SinkError::BadAnswer("it names no item".to_owned()))?;
        report.add_unreadable(Unreadable { file: file.to_path_buf(), place: place.clone(), why: failed.why });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
