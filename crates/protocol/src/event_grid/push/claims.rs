//! What a token says that goes with what is pushed, where an event subscription asks for one. Who signs it has the key and
//! the time.

use serde::Serialize;

/// The app that pushes events, in every tenant: Event Grid's.
pub const PUSHER_ID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
/// What it may do with an app that it pushes to.
pub const PUSHER_ROLE: &str = "AzureEventGridSecureWebhookSubscriber";
/// How long a token counts.
pub const TOKEN_SECONDS: u64 = 3_600;

/// The claims of one token. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claims {
    pub aud: String,
    pub iss: String,
    pub iat: u64,
    pub nbf: u64,
    pub exp: u64,
    /// Under both names, since verifiers look for either.
    pub appid: &'static str,
    pub azp: &'static str,
    pub roles: [&'static str; 1],
    pub tid: String,
    pub uti: String,
    pub ver: &'static str,
}

impl Claims {
    /// `application` is who is pushed to, as the event subscription names it, `uti` the token's own id, `iat` the time.
    pub fn new(tenant: &str, application: &str, iat: u64, uti: &str) -> Self {
        Self {
            aud: application.to_owned(),
            iss: format!("https://sts.windows.net/{tenant}/"),
            iat,
            nbf: iat,
            exp: iat.saturating_add(TOKEN_SECONDS),
            appid: PUSHER_ID,
            azp: PUSHER_ID,
            roles: [PUSHER_ROLE],
            tid: tenant.to_owned(),
            uti: uti.to_owned(),
            ver: "1.0",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_who_pushes_to_whom() {
        insta::assert_json_snapshot!(Claims::new("t", "api://a", 1_800_000_000, "u"), @r#"
        {
          "aud": "api://a",
          "iss": "https://sts.windows.net/t/",
          "iat": 1800000000,
          "nbf": 1800000000,
          "exp": 1800003600,
          "appid": "4962773b-9cdb-44cf-a8bf-237846a00ab7",
          "azp": "4962773b-9cdb-44cf-a8bf-237846a00ab7",
          "roles": [
            "AzureEventGridSecureWebhookSubscriber"
          ],
          "tid": "t",
          "uti": "u",
          "ver": "1.0"
        }
        "#);
    }
}
