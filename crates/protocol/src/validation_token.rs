//! What a validation token says: with it a receiver tells notifications that bear resource data from
//! forged ones. Here are the claims alone; who signs them has the key and the time.

use serde::Serialize;

/// The app that publishes change notifications, in every tenant.
pub const PUBLISHER_ID: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

/// How long a token counts. Whoever keeps one must renew it before.
const V1_SECONDS: u64 = 29_100;
const V2_SECONDS: u64 = 86_700;

/// Which kind of token an app accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version<'a> {
    V1,
    /// `origin` is where the issuer's keys are published, as `https://host:port`.
    V2 {
        origin: &'a str,
    },
}

impl Version<'_> {
    pub fn lifetime_seconds(&self) -> u64 {
        match self {
            Self::V1 => V1_SECONDS,
            Self::V2 { .. } => V2_SECONDS,
        }
    }

    /// The issuer of a tenant's tokens.
    pub fn issuer(&self, tenant: &str) -> String {
        match self {
            Self::V1 => format!("https://sts.windows.net/{tenant}/"),
            Self::V2 { origin } => format!("{origin}/{tenant}/v2.0"),
        }
    }
}

/// The claims of one token. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claims {
    pub aud: String,
    pub iss: String,
    pub iat: u64,
    pub nbf: u64,
    pub exp: u64,
    /// The publisher stands under both names whatever the version, since verifiers look for either.
    pub appid: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appidacr: Option<&'static str>,
    pub azp: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azpacr: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oid: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<&'static str>,
    pub tid: String,
    pub uti: String,
    pub ver: &'static str,
}

impl Claims {
    /// `audience` is the app that is told, `uti` the token's own id, `iat` the time in seconds since 1970.
    pub fn new(tenant: &str, audience: &str, version: Version<'_>, iat: u64, uti: &str) -> Self {
        const CERTIFICATE: Option<&str> = Some("2");
        const OF_PUBLISHER: Option<&str> = Some(PUBLISHER_ID);
        let v1 = version == Version::V1;
        let iss = version.issuer(tenant);
        Self {
            aud: audience.to_owned(),
            iat,
            nbf: iat,
            exp: iat.saturating_add(version.lifetime_seconds()),
            appid: PUBLISHER_ID,
            appidacr: CERTIFICATE.filter(|_| v1),
            azp: PUBLISHER_ID,
            azpacr: CERTIFICATE.filter(|_| !v1),
            idp: v1.then(|| iss.clone()),
            oid: OF_PUBLISHER.filter(|_| !v1),
            sub: OF_PUBLISHER.filter(|_| !v1),
            tid: tenant.to_owned(),
            uti: uti.to_owned(),
            ver: if v1 { "1.0" } else { "2.0" },
            iss,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
    const APP: &str = "925bff9f-f6e2-4a69-b858-f71ea2b9b6d0";

    fn claims(version: Version<'_>) -> Claims {
        Claims::new(TENANT, APP, version, 1_795_000_000, "uti-1")
    }

    #[test]
    fn a_token_of_version_1_names_the_publisher_and_lasts_eight_hours() {
        insta::assert_json_snapshot!(claims(Version::V1), @r#"
        {
          "aud": "925bff9f-f6e2-4a69-b858-f71ea2b9b6d0",
          "iss": "https://sts.windows.net/84bd8158-6d4d-4958-8b9f-9d6445542f95/",
          "iat": 1795000000,
          "nbf": 1795000000,
          "exp": 1795029100,
          "appid": "0bf30f3b-4a52-48df-9a82-234910c4a086",
          "appidacr": "2",
          "azp": "0bf30f3b-4a52-48df-9a82-234910c4a086",
          "idp": "https://sts.windows.net/84bd8158-6d4d-4958-8b9f-9d6445542f95/",
          "tid": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
          "uti": "uti-1",
          "ver": "1.0"
        }
        "#);
    }

    #[test]
    fn a_token_of_version_2_names_the_issuer_where_its_keys_are() {
        insta::assert_json_snapshot!(claims(Version::V2 { origin: "https://tidings.example:8443" }), @r#"
        {
          "aud": "925bff9f-f6e2-4a69-b858-f71ea2b9b6d0",
          "iss": "https://tidings.example:8443/84bd8158-6d4d-4958-8b9f-9d6445542f95/v2.0",
          "iat": 1795000000,
          "nbf": 1795000000,
          "exp": 1795086700,
          "appid": "0bf30f3b-4a52-48df-9a82-234910c4a086",
          "azp": "0bf30f3b-4a52-48df-9a82-234910c4a086",
          "azpacr": "2",
          "oid": "0bf30f3b-4a52-48df-9a82-234910c4a086",
          "sub": "0bf30f3b-4a52-48df-9a82-234910c4a086",
          "tid": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
          "uti": "uti-1",
          "ver": "2.0"
        }
        "#);
    }
}
