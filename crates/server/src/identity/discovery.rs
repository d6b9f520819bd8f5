//! What the issuer publishes of itself: OpenID configurations, its keys, and which hosts are one. URLs in it
//! have the scheme, host and port that the caller used.

use graph::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::claims::issuer_v2;
use super::keys::KeyRing;
use super::refusal::Refusal;
use super::tenancy::Tenancy;

/// The two generations of Microsoft's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    V1,
    V2,
}

/// The OpenID configuration of a tenant. `segment` is how the caller named it.
pub fn openid(generation: Generation, tenancy: Tenancy, origin: &str, segment: &str) -> Value {
    let (issuer, keys, oauth) = match generation {
        Generation::V1 => {
            let issuer = format!("https://sts.windows.net/{}/", tenancy.published());
            (issuer, format!("{origin}/common/discovery/keys"), "oauth2")
        }
        Generation::V2 => {
            let issuer = issuer_v2(origin, tenancy.published());
            (issuer, format!("{origin}/{segment}/discovery/v2.0/keys"), "oauth2/v2.0")
        }
    };
    let host = host(origin);
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{origin}/{segment}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{origin}/{segment}/{oauth}/token"),
        "device_authorization_endpoint": format!("{origin}/{segment}/oauth2/v2.0/devicecode"),
        "end_session_endpoint": format!("{origin}/{segment}/oauth2/v2.0/logout"),
        "jwks_uri": keys,
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": ["code", "id_token", "code id_token"],
        "grant_types_supported": [
            "client_credentials",
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "code_challenge_methods_supported": ["S256", "plain"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "nonce", "c_hash", "oid", "tid", "ver", "sid", "name",
            "preferred_username", "email",
        ],
        "request_uri_parameter_supported": false,
        "http_logout_supported": true,
        "cloud_instance_name": host,
        "msgraph_host": host,
    })
}

/// What is left of a configuration where nobody is given access tokens.
pub fn keep_what_verifies(configuration: &mut Value) {
    const VERIFYING: [&str; 4] =
        ["issuer", "jwks_uri", "subject_types_supported", "id_token_signing_alg_values_supported"];
    if let Some(members) = configuration.as_object_mut() {
        members.retain(|name, _| VERIFYING.contains(&name.as_str()));
    }
}

/// The key set. The keys of the second generation name the issuer that they sign for; a verifier that
/// finds no issuer at a key asks for none.
pub fn keys(generation: Generation, ring: &KeyRing, origin: &str, now: Timestamp) -> Value {
    let issuer = issuer_v2(origin, "{tenantid}");
    match generation {
        Generation::V1 => ring.jwks(None, now),
        Generation::V2 => ring.jwks(Some(&issuer), now),
    }
}

/// Which hosts are one, and where a tenant's configuration is. `endpoint` is the authorization endpoint that
/// the client was told to use.
pub fn instance(version: Option<&str>, endpoint: &str, origin: &str) -> Result<Value, Refusal> {
    let endpoint = Url::parse(endpoint).map_err(|_| Refusal::UnknownHost)?;
    let segment = endpoint.path_segments().and_then(|mut segments| segments.next()).filter(|first| !first.is_empty());
    let segment = segment.ok_or(Refusal::UnknownHost)?;
    let below = if endpoint.path().contains("/v2.0") || version == Some("1.1") { "v2.0/" } else { "" };
    let mut found = json!({
        "tenant_discovery_endpoint": format!("{origin}/{segment}/{below}.well-known/openid-configuration"),
    });
    if version == Some("1.1") {
        let host = host(origin);
        found["api-version"] = "1.1".into();
        found["metadata"] = json!([{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]);
    }
    Ok(found)
}

/// Host and port.
fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}
