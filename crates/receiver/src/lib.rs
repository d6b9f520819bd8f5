//! Receiving Graph's change notifications.

#![warn(missing_docs)]

pub mod client_state;
pub mod content;
pub mod duplicates;
#[cfg(feature = "fetch")]
pub mod fetch;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzz;
pub mod handshake;
pub mod jwt;
pub mod key_cache;
pub mod key_set;
pub mod notification;
pub mod receiver;
pub mod validation_token;
#[cfg(feature = "axum")]
pub mod webhook;

pub use client_state::{ClientState, StateError};
pub use content::{Content, ContentError};
pub use duplicates::Duplicates;
pub use key_set::KeySet;
pub use notification::{Change, ChangeType, Lifecycle, LifecycleEvent, Notification, ReadError};
pub use protocol::envelope::{EncryptedContent, OpenError, OpeningKey, OpeningKeyError};
pub use receiver::{BuildError, Builder, Received, Receiver, Refusal, Refused};
pub use validation_token::TokenError;

#[cfg(test)]
mod issuer;
