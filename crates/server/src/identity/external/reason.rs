//! Why a token of another issuer is not accepted, in words for the operator. Its bearer learns less: one of
//! the sentences of [`TokenError`].

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};

use jsonwebtoken::Algorithm;
use notify::Monotonic;

use crate::identity::TokenError;

/// The longest text of a token that a log line repeats, in characters.
const TEXT_CHARS_MAX: usize = 200;
/// How long a kind of reason is not told again, in microseconds.
const TOLD_PAUSE: u64 = 60_000_000;

/// What is wrong with a token. Texts in it are the token's own, shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it is no signed token (JWT) that can be read")]
    Unreadable,
    #[error("no issuer of the configuration has the name {0:?}, which stands in the token as `iss`")]
    Issuer(String),
    #[error("it is signed with {0:?}, which is not among `algorithms` of its issuer")]
    Algorithm(Algorithm),
    #[error("it does not name its key (`kid`)")]
    NoKey,
    #[error("its issuer publishes no key {kid:?} for {algorithm:?}")]
    Key { kid: String, algorithm: Algorithm },
    #[error("its key signs for another issuer")]
    KeyIssuer,
    #[error("its signature does not hold, or a claim stands in it twice")]
    Signature,
    #[error("it is for the audience {0:?}, which is not among `audiences` of its issuer")]
    Audience(String),
    #[error("it has expired, or is not valid yet")]
    Expired,
    #[error("it has no claim {0:?}, or not in the form that is needed")]
    Claim(String),
    #[error("it is no access token: {0}")]
    Kind(&'static str),
    #[error("it is for the tenant {0:?}, which is not in the directory: `tidings tenant add` adds it")]
    Tenant(String),
    #[error("the tenant in its issuer's name is not the one in its claims")]
    TenantElsewhere,
    #[error("it is for the user {0:?}, which is not in the directory of its tenant: `tidings user add` adds it")]
    User(String),
    #[error("it calls its user {0:?}, which is no GUID: `user_by = \"address\"` finds users by their address")]
    UserId(String),
    #[error("its issuer has not verified the address of its user (`email_verified`)")]
    Address,
}

impl Reason {
    pub fn claim(names: &[String]) -> Self {
        Self::Claim(names.join(" or "))
    }

    pub fn tenant(name: &str) -> Self {
        Self::Tenant(clipped(name))
    }

    pub fn user(name: &str) -> Self {
        Self::User(clipped(name))
    }

    /// What its bearer is told.
    pub fn told(&self) -> TokenError {
        match self {
            Reason::Expired => TokenError::Expired,
            Reason::Audience(_) => TokenError::Audience,
            _ => TokenError::Invalid,
        }
    }
}

/// A text of somebody else's that may stand in a reason.
pub fn clipped(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Who tells the log: each kind of reason once a minute, however often it is met.
#[derive(Debug, Default)]
pub struct Told(HashMap<Discriminant<Reason>, (Monotonic, u64)>);

impl Told {
    /// Whether this is told now, and how many of its kind were passed over since the last one.
    pub fn tell(&mut self, reason: &Reason, now: Monotonic) -> Option<u64> {
        match self.0.get_mut(&discriminant(reason)) {
            Some((last, passed_over)) if now.since(*last) < TOLD_PAUSE => {
                *passed_over += 1;
                None
            }
            known => {
                let passed_over = known.map_or(0, |(_, passed_over)| *passed_over);
                self.0.insert(discriminant(reason), (now, 0));
                Some(passed_over)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_a_minute_with_how_many_were_passed_over() {
        let (mut told, now) = (Told::default(), Monotonic(5));
        let other = Reason::Tenant("b".into());
        assert_eq!(told.tell(&Reason::Tenant("a".into()), now), Some(0));
        assert_eq!(told.tell(&other, now), None);
        assert_eq!(told.tell(&other, now.plus_micros(TOLD_PAUSE - 1)), None);
        assert_eq!(told.tell(&Reason::Signature, now), Some(0));
        assert_eq!(told.tell(&other, now.plus_micros(TOLD_PAUSE)), Some(2));
    }
}
