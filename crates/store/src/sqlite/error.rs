//! SQLite's failures in the words of the store.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use rusqlite::types::FromSql;
use rusqlite::{ErrorCode, Row};

use crate::seal::KeyId;
use crate::{
    BeginError, CheckpointError, CommitError, CorruptRow, DeltaError, DirectoryError, EventSubscriptionError,
    PublishError, PullError, StoreError, SubscriptionError, TopicError, UploadError,
};

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data directory {} is in use by another tidings process", .0.display())]
    InUse(PathBuf),
    #[error("the data directory {} cannot be used", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "the data in {} has schema version {found}, which a newer release wrote; this one knows versions up to {known}. \
         Start that release again, or restore a backup of before the upgrade",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("the data in {} was made with {found} partitions; this release has {expected}", path.display())]
    Partitions { path: PathBuf, found: i64, expected: u16 },
    #[error("secrets in {} are sealed with the key {key}, which is not at hand", path.display())]
    NoKey { path: PathBuf, key: KeyId },
    #[error("secrets in {} do not open: {cause}", path.display())]
    Sealed { path: PathBuf, cause: StoreError },
    #[error("the database in {} cannot be opened", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
}

impl From<rusqlite::Error> for StoreError {
    /// For statements that were not committed: what failed here was rolled back.
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full(error.to_string()),
            Some(ErrorCode::ReadOnly) => StoreError::ReadOnly(error.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(error.to_string()),
            _ => StoreError::Unavailable(error.to_string()),
        }
    }
}

/// An error of a verb: a refusal of the domain, or a failure of the store.
pub(super) trait VerbError: From<StoreError> + Send + 'static {
    fn failure(&self) -> Option<&StoreError>;
}

impl VerbError for StoreError {
    fn failure(&self) -> Option<&StoreError> {
        Some(self)
    }
}

macro_rules! verb_error {
    ($($error:ident),*) => {$(
        impl From<rusqlite::Error> for $error {
            fn from(error: rusqlite::Error) -> Self {
                $error::Store(error.into())
            }
        }

        impl VerbError for $error {
            fn failure(&self) -> Option<&StoreError> {
                match self {
                    $error::Store(failure) => Some(failure),
                    _ => None,
                }
            }
        }
    )*};
}

verb_error!(CommitError, BeginError, SubscriptionError, CheckpointError, UploadError, DeltaError, DirectoryError);
verb_error!(TopicError, PublishError, EventSubscriptionError, PullError);

/// The value at `index`; what cannot be read is a corrupt row of `table`.
pub(super) fn cell<T: FromSql>(
    row: &Row<'_>,
    index: usize,
    (table, column): (&'static str, &'static str),
    key: impl Display,
) -> Result<T, StoreError> {
    match row.get(index) {
        Err(
            error @ (rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)),
        ) => Err(corrupt((table, column), key, error)),
        value => Ok(value?),
    }
}

pub(super) fn corrupt(
    (table, column): (&'static str, &'static str),
    key: impl Display,
    cause: impl Display,
) -> StoreError {
    StoreError::Corrupt(CorruptRow { table, column, row: key.to_string(), cause: cause.to_string() })
}
