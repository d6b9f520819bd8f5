//! Tokens that held when they were looked at, so that a busy client costs one check of a signature for each.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use graph::Timestamp;

use super::tokens::TokenError;

/// How many tokens are remembered, before all are forgotten again.
const REMEMBERED_MAX: usize = 1_024;

/// What tokens said, by the tokens, which are long: a hash that is quick over them.
pub struct Remembered<T>(RwLock<HashMap<String, Held<T>, RandomState>>);

/// What a token said, and when that holds. Times are in seconds since 1970.
pub struct Held<T> {
    pub bearer: Arc<T>,
    pub not_before: i64,
    pub expires: i64,
}

/// How far another clock may be from ours, in seconds: how much too early a token may come, and how much
/// too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    pub early: i64,
    pub late: i64,
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self { bearer: self.bearer.clone(), ..*self }
    }
}

impl<T> Held<T> {
    /// Who bears the token, if it holds at `now`.
    pub fn at(self, now: Timestamp, skew: Skew) -> Result<Arc<T>, TokenError> {
        let seconds = now.as_micros().div_euclid(1_000_000);
        if seconds.saturating_sub(skew.late) >= self.expires || seconds.saturating_add(skew.early) < self.not_before {
            return Err(TokenError::Expired);
        }
        Ok(self.bearer)
    }
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Remembered<T> {
    pub fn get(&self, token: &str) -> Option<Held<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Remembers a token, unless its key is not `trusted` any more: what was forgotten while the token was
    /// looked at must not come back by this way. Says whether it is.
    pub fn remember(&self, token: &str, held: &Held<T>, trusted: impl FnOnce() -> bool) -> bool {
        let mut remembered = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !trusted() {
            return false;
        }
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(token.to_owned(), held.clone());
        true
    }

    pub fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
