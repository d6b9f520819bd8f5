//! Where events are kept that were given up: files in a directory, or objects in a bucket of S3 or what speaks as it.
//!
//! A record is kept when `keep` has answered `Ok`, also if the machine loses its power then; until that, whoever asked
//! still has the event, and asks again. Written twice it stands once. What the records look like and how they are named
//! is `protocol`'s.

mod directory;
mod replay;
mod s3;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use notify::Topic;
use protocol::event_grid::dead_letter::{DeadLetter, InvalidDeadLetter, folder, is_container_name};

use crate::clock::Clock;
use directory::Directory;
pub use replay::{Chosen, LettersError, Listed, ListedLetters, ReplayedLetters, letter, list, replay, shelf};
use s3::S3;
pub use s3::{S3Config, S3Error};

/// Where dead letters are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLettersConfig {
    Directory(PathBuf),
    S3(Box<S3Config>),
}

/// Keeps dead letters.
pub struct DeadLetters(Place);

enum Place {
    Directory(Directory),
    S3(Box<S3>),
}

/// The dead letters of one event subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    container: String,
    topic: String,
    event_subscription: String,
}

/// The container cannot have this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "blobContainerName is no name of a container; give 3 to 63 lower-case letters, digits and single hyphens between them"
)]
pub struct NoContainer;

/// Why something was not done with a dead letter. It can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
    #[error(transparent)]
    S3(#[from] S3Error),
    #[error("{0} is no dead letter: {1}")]
    Invalid(String, InvalidDeadLetter),
    #[error("the task ended before its work was done")]
    Lost,
}

impl Shelf {
    /// Topics of one name lie apart, so that nobody finds another's events: each with its id.
    pub fn new(container: &str, topic: &Topic, event_subscription: &str) -> Result<Self, NoContainer> {
        if !is_container_name(container) {
            return Err(NoContainer);
        }
        Ok(Self {
            container: container.to_owned(),
            topic: format!("{}-{}", topic.place.partner_topic, topic.id),
            event_subscription: event_subscription.to_owned(),
        })
    }

    fn folder(&self) -> String {
        format!("{}/{}", self.container, folder(&self.topic, &self.event_subscription))
    }

    fn key(&self, letter: &DeadLetter) -> String {
        format!("{}/{}", self.container, letter.path(&self.topic, &self.event_subscription))
    }
}

impl DeadLetters {
    /// Reads what the configuration names.
    pub fn new(config: DeadLettersConfig, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self(match config {
            DeadLettersConfig::Directory(root) => Place::Directory(Directory::new(root)?),
            DeadLettersConfig::S3(config) => Place::S3(Box::new(S3::new(*config, clock)?)),
        }))
    }

    /// Writes and removes a probe.
    pub async fn check(&self) -> Result<(), KeepError> {
        let key = "tidings-probe/probe.json";
        self.put(key, b"{}".to_vec()).await?;
        self.remove(key).await
    }

    pub async fn keep(&self, shelf: &Shelf, letter: &DeadLetter) -> Result<(), KeepError> {
        self.put(&shelf.key(letter), letter.to_json()).await
    }

    /// The keys on a shelf behind `after`, by the time when they were published; in a bucket by their text.
    pub async fn keys(&self, shelf: &Shelf, after: Option<&str>, limit: usize) -> Result<Vec<String>, KeepError> {
        match &self.0 {
            Place::Directory(directory) => directory.keys(shelf.folder(), after.map(str::to_owned), limit).await,
            Place::S3(bucket) => Ok(bucket.keys(&shelf.folder(), after, limit).await?),
        }
    }

    /// `None`: there is none any more.
    pub async fn read(&self, key: &str) -> Result<Option<DeadLetter>, KeepError> {
        let record = match &self.0 {
            Place::Directory(directory) => directory.read(key).await?,
            Place::S3(bucket) => bucket.read(key).await?,
        };
        let Some(record) = record else { return Ok(None) };
        DeadLetter::from_json(&record).map(Some).map_err(|error| KeepError::Invalid(key.to_owned(), error))
    }

    /// What is not there is removed.
    pub async fn remove(&self, key: &str) -> Result<(), KeepError> {
        match &self.0 {
            Place::Directory(directory) => directory.remove(key).await,
            Place::S3(bucket) => Ok(bucket.remove(key).await?),
        }
    }

    async fn put(&self, key: &str, record: Vec<u8>) -> Result<(), KeepError> {
        match &self.0 {
            Place::Directory(directory) => directory.put(key, record).await,
            Place::S3(bucket) => Ok(bucket.put(key, record).await?),
        }
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Place::Directory(_) => "DeadLetters(Directory)",
            Place::S3(_) => "DeadLetters(S3)",
        })
    }
}
