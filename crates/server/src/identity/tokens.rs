//! Access tokens: issued with the claims that Graph's own carry, and read back into a [`Principal`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use graph::{TenantId, Timestamp};
use notify::access::{Actor, Permissions, Principal};
use serde::Deserialize;
use serde_json::json;
use store::{App, User};

use super::jwt::{KeyError, SigningKey};
use super::{ROLES, SCOPES};

/// The audience of tokens for Graph, by URL and by the resource's own app id.
const AUDIENCES: [&str; 2] = ["https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"];
/// The directory role of those who administer a whole tenant, by its template id, the same in all tenants.
const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
/// How far the clock of a token's bearer may be behind ours, in seconds.
const SKEW_SECONDS: i64 = 300;
/// How many verified tokens are remembered, so that a busy client costs one signature check.
const REMEMBERED_MAX: usize = 1_024;

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
}

/// What a new token is for.
pub enum Grant<'a> {
    /// The app acts for a signed-in user.
    Delegated(&'a User),
    /// The app acts for itself.
    Application,
}

/// Issues and checks access tokens.
pub struct Tokens {
    key: SigningKey,
    remembered: RwLock<HashMap<String, Remembered>>,
}

#[derive(Clone)]
struct Remembered {
    principal: Arc<Principal>,
    not_before: i64,
    expires: i64,
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    nbf: i64,
    exp: i64,
    tid: TenantId,
    oid: graph::UserId,
    appid: graph::AppId,
    scp: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    /// The template ids of the user's directory roles.
    #[serde(default)]
    wids: Vec<String>,
}

impl Tokens {
    pub fn new(pkcs8: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { key: SigningKey::from_pkcs8(pkcs8)?, remembered: RwLock::default() })
    }

    /// A new signing key, as PKCS#8 DER.
    pub fn generate_key() -> Result<Vec<u8>, KeyError> {
        SigningKey::generate()
    }

    /// An access token for Graph, in the form of version 1 tokens.
    pub fn issue(&self, app: &App, grant: Grant<'_>, now: Timestamp, life_seconds: i64) -> Result<String, KeyError> {
        let seconds = now.as_micros() / 1_000_000;
        let mut claims = json!({
            "aud": AUDIENCES[0],
            "iss": format!("https://sts.windows.net/{}/", app.tenant),
            "iat": seconds,
            "nbf": seconds,
            "exp": seconds + life_seconds,
            "tid": app.tenant,
            "appid": app.id,
            "app_displayname": app.display_name,
            "ver": "1.0",
        });
        let more = match grant {
            Grant::Delegated(user) => json!({
                "oid": user.id,
                "sub": user.id,
                "upn": user.upn,
                "unique_name": user.upn,
                "name": user.display_name,
                "idtyp": "user",
                "scp": SCOPES,
            }),
            Grant::Application => json!({
                "oid": app.service_principal,
                "sub": app.service_principal,
                "idtyp": "app",
                "roles": ROLES,
            }),
        };
        if let (Some(claims), Some(more)) = (claims.as_object_mut(), more.as_object()) {
            claims.extend(more.clone());
        }
        self.key.sign(&claims)
    }

    /// Who bears this token at `now`.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Arc<Principal>, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        let known = self.remembered.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        let known = match known {
            Some(known) => known,
            None => self.remember(token)?,
        };
        let seconds = now.as_micros() / 1_000_000;
        if seconds >= known.expires || seconds + SKEW_SECONDS < known.not_before {
            return Err(TokenError::Expired);
        }
        Ok(known.principal)
    }

    fn remember(&self, token: &str) -> Result<Remembered, TokenError> {
        let claims = self.key.open(token).ok_or(TokenError::Invalid)?;
        let claims: Claims = serde_json::from_value(claims).map_err(|_| TokenError::Invalid)?;
        if !AUDIENCES.contains(&claims.aud.trim_end_matches('/')) {
            return Err(TokenError::Audience);
        }
        let (actor, held) = match &claims.scp {
            Some(scopes) => (Actor::User(claims.oid), Permissions::of(scopes.split(' '))),
            None => (Actor::App(claims.oid), Permissions::of(claims.roles.iter().map(String::as_str))),
        };
        let admin = claims.wids.iter().any(|role| role == GLOBAL_ADMINISTRATOR);
        let principal = Arc::new(Principal { tenant: claims.tid, app: claims.appid, actor, held, admin });
        let entry = Remembered { principal, not_before: claims.nbf, expires: claims.exp };
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(token.to_owned(), entry.clone());
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    #[test]
    fn a_token_tells_who_bears_it_until_it_expires() {
        let tokens = Tokens::new(&Tokens::generate_key().unwrap()).unwrap();
        let now = Timestamp::from_seconds(1_800_000_000);
        let (app, megan) = (seed::app(), seed::users().remove(0));
        let delegated = tokens.issue(&app, Grant::Delegated(&megan), now, 3_600).unwrap();
        let own = tokens.issue(&app, Grant::Application, now, 3_600).unwrap();

        assert_eq!(tokens.check(&delegated, now).unwrap().user(), Some(megan.id));
        assert_eq!(tokens.check(&own, now).unwrap().actor, Actor::App(seed::SERVICE_PRINCIPAL));
        assert_eq!(tokens.check(&own, now.plus_minutes(60)), Err(TokenError::Expired));
        assert_eq!(tokens.check(&own, now.plus_minutes(-6)), Err(TokenError::Expired));
        assert_eq!(tokens.check("", now), Err(TokenError::Empty));
        assert_eq!(tokens.check("abc", now), Err(TokenError::Invalid));
        let other = Tokens::new(&Tokens::generate_key().unwrap()).unwrap();
        assert_eq!(other.check(&own, now), Err(TokenError::Invalid));
    }
}
