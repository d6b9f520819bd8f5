//! Where items come from besides the API: mail that an MTA hands over, and files that somebody imports.
//!
//! A source reads and maps what arrives and keeps its protocol's promises; what it does with an item is
//! behind a trait, so that each source is tested without a store.

use async_trait::async_trait;
use graph::Properties;
use graph::mailbox::meeting::Meeting;
use store::{StoreError, User};

pub mod counted;
pub mod delivery;
pub mod import;
pub mod ingest;
pub mod lmtp;
mod once;
mod submission;

/// A message that has come, and what it tells of a meeting.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    pub properties: Properties,
    pub meeting: Option<Box<Meeting>>,
}

/// Where delivered mail goes.
#[async_trait]
pub trait Inbound: Send + Sync + 'static {
    /// The user who has this address.
    async fn recipient(&self, address: &str) -> Result<Option<User>, StoreError>;

    /// Puts a message into the user's Inbox, and what it tells of a meeting into the calendar. Both are durable
    /// when this resolves to `Ok`; a second delivery with the same `once_key` changes nothing.
    async fn deliver(&self, user: &User, mail: Mail, once_key: String) -> Result<Delivered, DeliverError>;
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    New,
    Duplicate,
}

/// Why a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// The same delivery may succeed later.
    #[error("the message cannot be stored now: {0}")]
    Temporary(String),
    /// The log has no room for it. The same delivery may succeed later.
    #[error("the message cannot be stored now: {0}")]
    NoRoom(StoreError),
    #[error("the mailbox does not exist")]
    NoMailbox,
    /// The same delivery will never succeed.
    #[error("the message is refused: {0}")]
    Refused(String),
}
