//! Receiving Graph's change notifications.

pub mod jwt;
pub mod key_cache;
pub mod key_set;

#[cfg(test)]
mod issuer;
