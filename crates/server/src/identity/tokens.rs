//! Access tokens for Graph and the keys behind them: signed with the newest, read back into who bears them.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use graph::{AppId, TenantId, Timestamp, UserId};
use jsonwebtoken::Algorithm;
use notify::access::{Actor, Permissions, Principal};
use receiver::jwt;
use serde::Deserialize;
use serde_json::Value;
use store::App;

use super::claims::{AccessToken, Grant, IdToken, Proof, issuer_v1};
use super::keys::{Key, KeyError, KeyRing, LIFE_SECONDS_MAX};
use super::remembered::{Held, Remembered, Skew};
use super::scope::Api;
use crate::clock::Times;
use crate::ids;

/// How far our clock may have been set back since a token was signed.
const SKEW: Skew = Skew { early: 300, late: 0 };
/// The directory role of those who administer a whole tenant, by its template id, the same in all tenants.
pub const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";

/// Why a token is not accepted. `Display` is the message that Graph gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("Access token is empty.")]
    Empty,
    #[error("Access token has expired or is not yet valid.")]
    Expired,
    #[error("Access token validation failure. Invalid audience.")]
    Audience,
    #[error("Access token validation failure.")]
    Invalid,
    /// The user cannot sign in any more, or must again, or the app is gone.
    #[error(
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: \
         TokenIssuedBeforeRevocationTimestamp"
    )]
    Revoked {
        /// Only tokens from then on count, in seconds since 1970.
        since: i64,
    },
}

/// Who bears a token, as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    pub api: Api,
    pub principal: Principal,
    /// In seconds since 1970.
    pub issued: i64,
}

/// Called with what is to be kept of the keys, before a new one signs.
pub type Keep = Box<dyn Fn(&[u8]) -> anyhow::Result<()> + Send + Sync>;

/// Issues and checks tokens.
pub struct Tokens {
    ring: RwLock<Arc<KeyRing>>,
    keep: Keep,
    /// One rotation at a time.
    rotating: Mutex<()>,
    remembered: Remembered<Bearer>,
}

/// What is read of an access token. A claim that stands in it twice is an error.
#[derive(Clone, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    iat: i64,
    /// When it was issued by this server's clock, if that was moved.
    tidings_iat: Option<i64>,
    nbf: i64,
    exp: i64,
    tid: TenantId,
    oid: UserId,
    ver: String,
    /// The app of a version 1 token, and that of a version 2 token.
    appid: Option<AppId>,
    azp: Option<AppId>,
    idtyp: Option<String>,
    scp: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    /// The template ids of the user's directory roles.
    #[serde(default)]
    wids: Vec<String>,
}

impl Claims {
    /// The app, if the token is of one of the two versions and its issuer is of the tenant that it names.
    fn app(&self) -> Option<AppId> {
        match (self.ver.as_str(), self.appid, self.azp) {
            ("1.0", Some(app), None) => (self.iss == issuer_v1(self.tid)).then_some(app),
            ("2.0", None, Some(app)) => self.iss.ends_with(&format!("/{}/v2.0", self.tid)).then_some(app),
            _ => None,
        }
    }

    fn bearer(&self) -> Result<Bearer, TokenError> {
        let app = self.app().ok_or(TokenError::Invalid)?;
        let api = Api::of(&self.aud).ok_or(TokenError::Audience)?;
        let (actor, held) = match (&self.scp, self.idtyp.as_deref()) {
            (Some(scopes), Some("user") | None) => (Actor::User(self.oid), Permissions::of(scopes.split(' '))),
            (None, Some("app") | None) => {
                (Actor::App(self.oid), Permissions::of(self.roles.iter().map(String::as_str)))
            }
            _ => return Err(TokenError::Invalid),
        };
        let admin = self.wids.iter().any(|role| role == GLOBAL_ADMINISTRATOR);
        let expires = Some(Timestamp::from_seconds(self.exp));
        let principal = Principal { tenant: self.tid, app, actor, held, admin, expires };
        Ok(Bearer { api, principal, issued: self.tidings_iat.unwrap_or(self.iat) })
    }
}

impl Tokens {
    pub fn new(ring: KeyRing, keep: Keep) -> Self {
        Self { ring: RwLock::new(Arc::new(ring)), keep, rotating: Mutex::default(), remembered: Remembered::default() }
    }

    /// Keys that are kept nowhere.
    pub fn of(key: Key) -> Self {
        Self::new(KeyRing::of(key), Box::new(|_| Ok(())))
    }

    /// The keys at this moment.
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a new signing key; it signs once it is kept. This takes a while and blocks. With `distrust`, no
    /// token of before is accepted any more.
    pub fn rotate(&self, distrust: bool, now: Timestamp) -> anyhow::Result<()> {
        let _alone = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = self.ring().rotated(Key::generate(now)?, distrust, now)?;
        (self.keep)(&ring.to_kept())?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        if distrust {
            self.remembered.forget();
        }
        Ok(())
    }

    /// An access token for Graph.
    pub fn access(&self, token: &AccessToken<'_>) -> Result<String, KeyError> {
        let life_seconds = token.life_seconds.min(LIFE_SECONDS_MAX);
        self.sign(&AccessToken { life_seconds, ..token.clone() }.claims())
    }

    pub fn id_token(&self, token: &IdToken<'_>) -> Result<String, KeyError> {
        self.sign(&token.claims())
    }

    /// A token with these claims, which must expire within [`LIFE_SECONDS_MAX`].
    pub fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        self.ring().signing().sign(claims)
    }

    /// An access token that nobody asked for: what `tidings dev` prints.
    pub fn issue(
        &self,
        app: &App,
        grant: Grant<'_>,
        times: impl Into<Times>,
        life_seconds: i64,
    ) -> Result<String, KeyError> {
        let (proof, uti, times) = (Proof::Secret, ids::new_uuid(), times.into());
        let api = Api::Graph;
        self.access(&AccessToken { app, grant, proof, origin: "", by_id: false, api, uti, times, life_seconds })
    }

    /// Who bears this token at `now`.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Arc<Bearer>, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        let held = match self.remembered.get(token) {
            Some(held) => held,
            None => self.verify(token, now)?,
        };
        held.at(now, SKEW)
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Held<Bearer>, TokenError> {
        let ring = self.ring();
        let kid = jwt::header(token).and_then(|header| header.kid).ok_or(TokenError::Invalid)?;
        let key = ring.verifying(&kid, now).ok_or(TokenError::Invalid)?;
        let claims: Claims = jwt::open(token, &key.decoding(), &[Algorithm::RS256]).ok_or(TokenError::Invalid)?;
        let bearer = Arc::new(claims.bearer()?);
        let held = Held { bearer, not_before: claims.nbf, expires: claims.exp };
        let trusted = || self.ring().verifying(&kid, now).is_some();
        self.remembered.remember(token, &held, trusted).then_some(held).ok_or(TokenError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    #[test]
    fn a_token_tells_who_bears_it_until_it_expires() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let tokens = Tokens::of(Key::generate(now).unwrap());
        let (app, megan) = (seed::app(), seed::users().remove(0));
        let delegated = tokens.issue(&app, Grant::Delegated(&megan, "Mail.Read"), now, 3_600).unwrap();
        let own = tokens.issue(&app, Grant::Application(app.tenant, &["Mail.Read"]), now, 3_600).unwrap();

        let bearer = tokens.check(&delegated, now).unwrap();
        assert_eq!((bearer.principal.user(), bearer.issued), (Some(megan.id), 1_800_000_000));
        assert_eq!(tokens.check(&own, now).unwrap().principal.actor, Actor::App(seed::SERVICE_PRINCIPAL));
        assert_eq!(tokens.check(&own, now.plus_minutes(60)), Err(TokenError::Expired));
        assert_eq!(tokens.check(&own, now.plus_minutes(-6)), Err(TokenError::Expired));
        assert_eq!(tokens.check("", now), Err(TokenError::Empty));
        assert_eq!(tokens.check("abc", now), Err(TokenError::Invalid));
        let other = Tokens::of(Key::generate(now).unwrap());
        assert_eq!(other.check(&own, now), Err(TokenError::Invalid));
    }

    #[test]
    fn tokens_outlive_a_rotation_unless_the_old_key_is_distrusted() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let tokens = Tokens::of(Key::generate(now).unwrap());
        let app = seed::app();
        let issue = || tokens.issue(&app, Grant::Application(app.tenant, &[]), now, 3_600).unwrap();
        let before = issue();
        tokens.rotate(false, now).unwrap();
        let after = issue();
        assert!(tokens.check(&before, now).is_ok() && tokens.check(&after, now).is_ok());
        tokens.rotate(true, now).unwrap();
        for gone in [before, after] {
            assert_eq!(tokens.check(&gone, now), Err(TokenError::Invalid));
        }
        assert!(tokens.check(&issue(), now).is_ok());
    }
}
