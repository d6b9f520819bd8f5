//! What tokens say: the claims of access tokens, in the two forms that Microsoft's have, and of id tokens.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph::{AppId, TenantId, Timestamp, UserId};
use protocol::validation_token::Version;
use serde_json::{Value, json};
use store::{App, TokenVersion, User};
use uuid::Uuid;

use super::scope::{Api, GRAPH_ID};
use super::standing::first_second;
use crate::clock::Times;

/// How the app proved itself, in the numbers of `appidacr` and `azpacr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    None = 0,
    Secret = 1,
    Certificate = 2,
}

/// For whom the app acts, and what it may do.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'a> {
    /// For a signed-in user, with these scopes, parted by blanks.
    Delegated(&'a User, &'a str),
    /// For itself, in a tenant, with these roles.
    Application(TenantId, &'a [&'a str]),
}

/// An access token to be signed.
#[derive(Clone, Debug)]
pub struct AccessToken<'a> {
    pub app: &'a App,
    pub grant: Grant<'a>,
    pub proof: Proof,
    /// The caller's name of this server, for the issuer of version 2 tokens.
    pub origin: &'a str,
    /// Whether the audience is Graph's id in version 1 tokens, too.
    pub by_id: bool,
    pub api: Api,
    /// What makes it different from any other.
    pub uti: Uuid,
    pub times: Times,
    pub life_seconds: i64,
}

/// An id token to be signed.
#[derive(Clone, Debug)]
pub struct IdToken<'a> {
    pub app: AppId,
    pub user: &'a User,
    pub origin: &'a str,
    pub nonce: Option<&'a str>,
    /// The code that is given out beside it.
    pub code: Option<&'a str>,
    pub session: Uuid,
    pub uti: Uuid,
    pub now: Timestamp,
    pub life_seconds: i64,
}

/// The issuer of version 1 tokens: what all known verifiers expect.
pub fn issuer_v1(tenant: TenantId) -> String {
    Version::V1.issuer(&tenant.to_string())
}

/// The issuer of version 2 tokens, under the caller's name of this server.
pub fn issuer_v2(origin: &str, tenant: impl std::fmt::Display) -> String {
    Version::V2 { origin }.issuer(&tenant.to_string())
}

impl Grant<'_> {
    pub fn tenant(&self) -> TenantId {
        match self {
            Grant::Delegated(user, _) => user.tenant,
            Grant::Application(tenant, _) => *tenant,
        }
    }
}

impl AccessToken<'_> {
    pub fn claims(&self) -> Value {
        let (here, world) = (seconds(self.times.here), seconds(self.times.world));
        let mut claims = lived(self.times.world, self.life_seconds, self.uti);
        // A token that follows the end of the user's sessions in the same second counts as later.
        let is_same_second = matches!(self.grant, Grant::Delegated(user, _) if here + 1 == first_second(user));
        claims["iat"] = (world + i64::from(is_same_second)).into();
        if here != world {
            claims["tidings_iat"] = (here + i64::from(is_same_second)).into();
        }
        let (tenant, app, proof) = (self.grant.tenant(), self.app.id, (self.proof as u8).to_string());
        let version = match self.app.access_token_version {
            TokenVersion::V1 => json!({
                "aud": if self.by_id { GRAPH_ID } else { self.api.url() },
                "iss": issuer_v1(tenant),
                "idp": issuer_v1(tenant),
                "appid": app,
                "appidacr": proof,
                "ver": "1.0",
            }),
            TokenVersion::V2 => json!({
                "aud": if self.api == Api::Graph { GRAPH_ID } else { self.api.url() },
                "iss": issuer_v2(self.origin, tenant),
                "azp": app,
                "azpacr": proof,
                "ver": "2.0",
            }),
        };
        add(&mut claims, version);
        add(&mut claims, json!({"tid": tenant, "app_displayname": self.app.display_name}));
        match self.grant {
            Grant::Delegated(user, scopes) => {
                add(&mut claims, of_user(user));
                add(&mut claims, json!({"idtyp": "user", "scp": scopes}));
            }
            Grant::Application(_, roles) => {
                let principal: UserId = self.app.service_principal;
                add(&mut claims, json!({"oid": principal, "sub": principal, "idtyp": "app", "roles": roles}));
            }
        }
        claims
    }
}

impl IdToken<'_> {
    pub fn claims(&self) -> Value {
        let mut claims = lived(self.now, self.life_seconds, self.uti);
        let tenant = self.user.tenant;
        add(&mut claims, of_user(self.user));
        add(
            &mut claims,
            json!({
                "aud": self.app,
                "iss": issuer_v2(self.origin, tenant),
                "tid": tenant,
                "email": self.user.upn,
                "sid": self.session,
                "ver": "2.0",
            }),
        );
        if let Some(nonce) = self.nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(code) = self.code {
            // The left half, as OpenID Connect has it.
            claims["c_hash"] = URL_SAFE_NO_PAD.encode(&digest(&SHA256, code.as_bytes()).as_ref()[..16]).into();
        }
        claims
    }
}

fn of_user(user: &User) -> Value {
    json!({
        "oid": user.id,
        "sub": user.id,
        "upn": user.upn,
        "unique_name": user.upn,
        "preferred_username": user.upn,
        "name": user.display_name,
    })
}

fn lived(now: Timestamp, life_seconds: i64, uti: Uuid) -> Value {
    let seconds = seconds(now);
    json!({"iat": seconds, "nbf": seconds, "exp": seconds + life_seconds, "uti": uti.simple().to_string()})
}

fn seconds(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000_000)
}

fn add(claims: &mut Value, more: Value) {
    if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
        claims.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    fn token<'a>(app: &'a App, grant: Grant<'a>) -> AccessToken<'a> {
        AccessToken {
            app,
            grant,
            proof: Proof::Secret,
            origin: "https://localhost:8443",
            by_id: false,
            api: Api::Graph,
            uti: Uuid::nil(),
            times: Timestamp::from_seconds(1_800_000_000).into(),
            life_seconds: 3_599,
        }
    }

    #[test]
    fn a_version_1_token_of_an_app_has_the_claims_of_microsofts() {
        let app = seed::app();
        let claims = token(&app, Grant::Application(app.tenant, &["Mail.Read"])).claims();
        insta::assert_json_snapshot!(claims, @r#"
        {
          "app_displayname": "Tidings sample app",
          "appid": "507c3b9a-67b8-463d-88a2-15a8cefb2111",
          "appidacr": "1",
          "aud": "https://graph.microsoft.com",
          "exp": 1800003599,
          "iat": 1800000000,
          "idp": "https://sts.windows.net/84bd8158-6d4d-4958-8b9f-9d6445542f95/",
          "idtyp": "app",
          "iss": "https://sts.windows.net/84bd8158-6d4d-4958-8b9f-9d6445542f95/",
          "nbf": 1800000000,
          "oid": "1f0c6a52-94f4-4b47-9d0e-5f5bb0a3e6d1",
          "roles": [
            "Mail.Read"
          ],
          "sub": "1f0c6a52-94f4-4b47-9d0e-5f5bb0a3e6d1",
          "tid": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
          "uti": "00000000000000000000000000000000",
          "ver": "1.0"
        }
        "#);
    }

    #[test]
    fn a_version_2_token_for_a_user_has_the_claims_of_microsofts() {
        let app = App { access_token_version: TokenVersion::V2, ..seed::app() };
        let megan = seed::users().remove(0);
        let claims = token(&app, Grant::Delegated(&megan, "Mail.Read openid")).claims();
        insta::assert_json_snapshot!(claims, @r#"
        {
          "app_displayname": "Tidings sample app",
          "aud": "00000003-0000-0000-c000-000000000000",
          "azp": "507c3b9a-67b8-463d-88a2-15a8cefb2111",
          "azpacr": "1",
          "exp": 1800003599,
          "iat": 1800000000,
          "idtyp": "user",
          "iss": "https://localhost:8443/84bd8158-6d4d-4958-8b9f-9d6445542f95/v2.0",
          "name": "Megan Bowen",
          "nbf": 1800000000,
          "oid": "622eaaff-0683-4862-9de4-f2ec83c2bd98",
          "preferred_username": "megan@contoso.test",
          "scp": "Mail.Read openid",
          "sub": "622eaaff-0683-4862-9de4-f2ec83c2bd98",
          "tid": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
          "unique_name": "megan@contoso.test",
          "upn": "megan@contoso.test",
          "uti": "00000000000000000000000000000000",
          "ver": "2.0"
        }
        "#);
    }

    #[test]
    fn an_id_token_is_for_the_app_and_repeats_the_nonce() {
        let megan = seed::users().remove(0);
        let token = IdToken {
            app: seed::APP,
            user: &megan,
            origin: "https://localhost:8443",
            nonce: Some("n-1"),
            code: Some("x"),
            session: Uuid::nil(),
            uti: Uuid::nil(),
            now: Timestamp::from_seconds(1_800_000_000),
            life_seconds: 3_599,
        };
        insta::assert_json_snapshot!(token.claims(), @r#"
        {
          "aud": "507c3b9a-67b8-463d-88a2-15a8cefb2111",
          "c_hash": "LXEWQrcmsEQBYnyp-6wy9Q",
          "email": "megan@contoso.test",
          "exp": 1800003599,
          "iat": 1800000000,
          "iss": "https://localhost:8443/84bd8158-6d4d-4958-8b9f-9d6445542f95/v2.0",
          "name": "Megan Bowen",
          "nbf": 1800000000,
          "nonce": "n-1",
          "oid": "622eaaff-0683-4862-9de4-f2ec83c2bd98",
          "preferred_username": "megan@contoso.test",
          "sid": "00000000-0000-0000-0000-000000000000",
          "sub": "622eaaff-0683-4862-9de4-f2ec83c2bd98",
          "tid": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
          "unique_name": "megan@contoso.test",
          "upn": "megan@contoso.test",
          "uti": "00000000000000000000000000000000",
          "ver": "2.0"
        }
        "#);
    }
}
