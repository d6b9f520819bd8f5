//! Harnesses for arbitrary input, as plain functions that any runner can call. Each panics only if
//! the code under it is wrong.

use std::time::SystemTime;

use crate::handshake;
use crate::key_set::KeySet;
use crate::notification::Notification;
use crate::receiver::Receiver;
use crate::validation_token::TokenRules;

/// Whatever is posted is refused with a reason and a status, or read; and what opens is one of `contents`.
/// Gives how many that are.
pub fn posted(receiver: &Receiver, body: &[u8], now: SystemTime, contents: &[&str]) -> usize {
    let received = match receiver.receive(body, now) {
        Ok(received) => received,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty() && [400, 401, 413].contains(&refusal.status()));
            return 0;
        }
    };
    let mut opened = 0;
    for notification in received.into_notifications() {
        let Notification::Change(change) = notification else { continue };
        match receiver.open(&change) {
            Ok(content) => {
                assert!(contents.iter().any(|known| known.as_bytes() == content.bytes()));
                opened += 1;
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    opened
}

/// No token verifies besides the `good` ones.
pub fn token(rules: &TokenRules, keys: &KeySet, now: SystemTime, token: &str, good: &[String]) {
    match rules.verify(token, keys, now) {
        Ok(tenant) => assert!(good.iter().any(|good| good == token) && !tenant.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A query that is a handshake is answered with a text of limited length.
pub fn query(text: &str) {
    if let Some(answer) = handshake::answer(text) {
        assert!(text.contains('=') || answer.is_empty());
        assert!(answer.len() <= handshake::TOKEN_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests;
