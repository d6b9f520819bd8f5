//! Validation tokens: how you know that notifications which bear data come from the server.
//!
//! Anybody can seal data for you, for your certificate is public. So the server adds signed tokens (JWTs) beside the
//! notifications, one for each of your apps and each tenant. A token says: the service that publishes change
//! notifications speaks, to this app, of this tenant. It is signed with a key that the server publishes.
//!
//! What a token does **not** say is which notifications it came with. Whoever gets hold of one can show it again until
//! it expires, beside data that he sealed himself or took from another request; so let nobody read what is posted to you
//! (HTTPS), and have `clientState` checked, as [`Receiver`](crate::Receiver) always does.
//!
//! Nor does it say whose subscription that was. Any app may name **your** app in `notificationUrlAppId` of a subscription of
//! its own, to a URL of its own, and so gets tokens that are made for you, in each tenant where it may subscribe. They are as
//! good as those that you get. Against whoever posts to your URL with such a token stands `clientState` alone: choose it
//! at random, and do not take it for a second check that could be left out.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::Algorithm;
use protocol::validation_token::{PUBLISHER_ID, Version};
use serde::Deserialize;

use crate::jwt;
use crate::key_set::KeySet;

/// The most tokens that one body may have.
pub const TOKENS_MAX: usize = 256;
/// How far the server's clock may be from yours, unless you say otherwise: what Microsoft's libraries allow.
pub const LEEWAY: Duration = Duration::from_secs(300);
/// Who issues tokens, unless you say otherwise.
pub const AUTHORITY: &str = "https://login.microsoftonline.com";

/// No other algorithm is taken, whatever a token or a key says.
const ALGORITHM: Algorithm = Algorithm::RS256;
/// The longest text of a token that an error repeats, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// What a token must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// The ids of your apps: `aud` is one of them, to the letter.
    pub app_ids: Vec<String>,
    /// The tenants that you expect data of; none here means any.
    pub tenants: Vec<String>,
    /// Who issues tokens, as `scheme://host[:port]`. In tokens of version 2 `iss` is `{authority}/{tenant}/v2.0`; in those of
    /// version 1 it names the tenant alone, and the keys that sign both may say whose they are.
    pub authority: String,
    /// How far the server's clock may be from yours.
    pub leeway: Duration,
}

/// Why a token proves nothing. Texts in it are the token's own, shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is too long, broken, unsigned (`alg` is `none`), or asks for something that nobody here knows.
    #[error("a validation token is no signed JWT that can be read")]
    Unreadable,
    /// Its signature is of another kind. That a key is public makes it no secret to sign with.
    #[error("a validation token is signed with {0} instead of RS256")]
    Algorithm(String),
    /// Its header has no `kid`.
    #[error("a validation token does not name its key (kid)")]
    NoKey,
    /// Nobody publishes such a key: it is forged, or signed with a key so new that it was not read yet.
    #[error("no key {0:?} for RS256 is published, which a validation token is signed with")]
    UnknownKey(String),
    /// The key says that it signs for somebody else.
    #[error("a validation token is signed with a key of another issuer")]
    KeyIssuer,
    /// It was changed, or signed by somebody else.
    #[error("the signature of a validation token does not hold, or its claims cannot be read")]
    Signature,
    /// `aud` is none of your apps.
    #[error("a validation token is for the app {0:?}, which is none of yours")]
    Audience(String),
    /// `appid` and `azp` do not name the publisher of change notifications.
    #[error("a validation token is not of the publisher of change notifications (appid or azp {PUBLISHER_ID})")]
    Publisher,
    /// `iss` is not the name of an issuer for the tenant that it is of.
    #[error("the issuer of a validation token is {0:?}, which is not that of its tenant at the `authority`")]
    Issuer(String),
    /// It is of a tenant that you do not expect.
    #[error("a validation token is of the tenant {0:?}, which is none of yours")]
    Tenant(String),
    /// Its time is over.
    #[error("a validation token has expired")]
    Expired,
    /// Its time has not come.
    #[error("a validation token is not valid yet; is this machine's clock right?")]
    NotYetValid,
}

#[derive(Clone, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    tid: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    appid: Option<String>,
    #[serde(default)]
    azp: Option<String>,
}

impl TokenRules {
    /// Verifies a token and gives the id of the tenant that it is of.
    pub fn verify(&self, token: &str, keys: &KeySet, now: SystemTime) -> Result<String, TokenError> {
        let header = jwt::header(token).ok_or(TokenError::Unreadable)?;
        if header.alg != ALGORITHM {
            return Err(TokenError::Algorithm(format!("{:?}", header.alg)));
        }
        let kid = header.kid.ok_or(TokenError::NoKey)?;
        let key = keys.find(&kid, ALGORITHM).ok_or_else(|| TokenError::UnknownKey(clipped(&kid)))?;
        let claims: Claims = jwt::open(token, &key.decoding, &[ALGORITHM]).ok_or(TokenError::Signature)?;
        self.check(&claims, now)?;
        // A key of version 2 names the issuer of version 2, and signs tokens of version 1 as well.
        let signs_for = |issuer: &str| key.signs_for(issuer, Some(&claims.tid));
        if !signs_for(&claims.iss) && !signs_for(&self.v2().issuer(&claims.tid)) {
            return Err(TokenError::KeyIssuer);
        }
        Ok(claims.tid)
    }

    fn check(&self, claims: &Claims, now: SystemTime) -> Result<(), TokenError> {
        if !self.app_ids.contains(&claims.aud) {
            return Err(TokenError::Audience(clipped(&claims.aud)));
        }
        let mut publishers = claims.appid.iter().chain(&claims.azp).peekable();
        if publishers.peek().is_none() || publishers.any(|publisher| publisher != PUBLISHER_ID) {
            return Err(TokenError::Publisher);
        }
        if [Version::V1, self.v2()].iter().all(|version| version.issuer(&claims.tid) != claims.iss) {
            return Err(TokenError::Issuer(clipped(&claims.iss)));
        }
        if !self.tenants.is_empty() && !self.tenants.iter().any(|tenant| tenant.eq_ignore_ascii_case(&claims.tid)) {
            return Err(TokenError::Tenant(clipped(&claims.tid)));
        }
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let now = now.duration_since(UNIX_EPOCH).map_or(0, seconds);
        let leeway = seconds(self.leeway);
        if now >= claims.exp.saturating_add(leeway) {
            return Err(TokenError::Expired);
        }
        if claims.nbf.is_some_and(|from| now.saturating_add(leeway) < from) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    fn v2(&self) -> Version<'_> {
        Version::V2 { origin: &self.authority }
    }
}

/// The names of the keys that these tokens want.
pub(crate) fn key_ids(tokens: &[String]) -> BTreeSet<String> {
    let headers = tokens.iter().take(TOKENS_MAX).filter_map(|token| jwt::header(token));
    headers.filter(|header| header.alg == ALGORITHM).filter_map(|header| header.kid).collect()
}

/// A text of somebody else's that may stand in an error.
pub(crate) fn clipped(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
