//! The data of a notification, opened.

use std::fmt;

use protocol::envelope::OpenError;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// What an item held when it changed: JSON with the properties that the subscription selects. Wiped from memory when
/// it is dropped.
pub struct Content(Zeroizing<Vec<u8>>);

/// Why a notification's data was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// It has none: its subscription does not include data, the item is gone, or holds too much. Read the item.
    #[error("the notification bears no data; read the item at its resource")]
    None,
    /// It was sealed for a certificate that this receiver has no key of.
    #[error("it was sealed for the certificate {0:?}, of which no private key was given")]
    UnknownCertificate(String),
    /// A step of opening failed: this one.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is other JSON than you asked for, or none. The data itself is not repeated.
    #[error("the data has another shape: see line {line}, column {column}")]
    Shape {
        /// Where it went wrong, from 1.
        line: usize,
        /// Likewise, in bytes.
        column: usize,
    },
}

impl Content {
    pub(crate) fn new(opened: Zeroizing<Vec<u8>>) -> Self {
        Self(opened)
    }

    /// The JSON, as the server wrote it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The JSON read into a type of yours, or into `serde_json::Value`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ContentError> {
        serde_json::from_slice(&self.0)
            .map_err(|error| ContentError::Shape { line: error.line(), column: error.column() })
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}
