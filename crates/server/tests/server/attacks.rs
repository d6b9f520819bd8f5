//! What an attacker sends in the place of an access token. Each has a name, none gets in, and all are told
//! the same: 401 with Graph's body and one of three sentences.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tidings_server::identity::{Grant, Key, SCOPES};
use tidings_server::seed;

use crate::issuer::{code_of, redeem};
use crate::world::{World, ok};

pub const EXPIRED: &str = "Access token has expired or is not yet valid.";
pub const AUDIENCE: &str = "Access token validation failure. Invalid audience.";
pub const INVALID: &str = "Access token validation failure.";

/// What an attacker works with: the issuer's key as it is published, a key of its own, and what a token
/// of Megan's says.
pub struct Attacker<'a> {
    pub server: &'a Key,
    pub own: Key,
    pub claims: Value,
    pub honest: String,
}

impl Attacker<'_> {
    fn encoded(header: &Value, claims: &Value) -> String {
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    /// A token of the server's that says something else: as if one could make it sign that.
    pub fn says(&self, name: &str, value: impl Into<Value>) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value.into();
        self.server.sign(&claims).unwrap()
    }

    pub fn without(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.server.sign(&claims).unwrap()
    }

    /// The same with another header.
    fn headed(&self, name: &str, value: impl Into<Value>) -> String {
        let mut header = self.server.header();
        header[name] = value.into();
        self.server.sign_parts(&header, &self.claims.to_string()).unwrap()
    }

    /// Signed with a shared secret, under the name of the server's key.
    fn hmac(&self, secret: &[u8]) -> String {
        let kid = Some(self.server.kid().to_owned());
        let header = Header { kid, ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &self.claims, &EncodingKey::from_secret(secret).unwrap()).unwrap()
    }

    /// Signed with the attacker's own key.
    fn forged(&self, header: &Value) -> String {
        self.own.sign_parts(header, &self.claims.to_string()).unwrap()
    }

    pub fn twice(&self, name: &str, value: &str) -> String {
        let claims = self.claims.to_string().replacen('{', &format!("{{\"{name}\":{value},"), 1);
        self.server.sign_parts(&self.server.header(), &claims).unwrap()
    }

    pub fn forgeries(&self) -> Vec<(&'static str, String)> {
        let kid = self.server.kid();
        let none = |alg: &str| json!({"typ": "JWT", "alg": alg, "kid": kid});
        let (head, rest) = self.honest.split_once('.').unwrap();
        let (body, signature) = rest.split_once('.').unwrap();
        let altered = URL_SAFE_NO_PAD.encode(self.claims.to_string().replace("Megan", "Adele"));
        let pem = format!(
            "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----",
            STANDARD.encode(self.server.public())
        );
        let der = STANDARD.encode(self.own.certificate());
        vec![
            ("no algorithm, no signature", format!("{}.", Self::encoded(&none("none"), &self.claims))),
            ("no algorithm in odd case", format!("{}.{signature}", Self::encoded(&none("NoNe"), &self.claims))),
            ("an empty algorithm", format!("{}.{signature}", Self::encoded(&none(""), &self.claims))),
            ("the public key as a shared secret", self.hmac(self.server.public())),
            ("the public key as PEM as a shared secret", self.hmac(pem.as_bytes())),
            ("the certificate as a shared secret", self.hmac(self.server.certificate())),
            ("another key under the server's name", self.forged(&self.server.header())),
            ("another key under its own name", self.forged(&self.own.header())),
            (
                "a key that the token brings along",
                self.forged(&json!({
                    "typ": "JWT", "alg": "RS256", "kid": kid,
                    "jwk": {"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(&self.own.public()[9..265]), "e": "AQAB"},
                })),
            ),
            (
                "a certificate that the token brings along",
                self.forged(&json!({"alg": "RS256", "kid": kid, "x5c": [der]})),
            ),
            (
                "a key set at the attacker's",
                self.forged(&json!({"alg": "RS256", "kid": kid, "jku": "https://evil.test/keys"})),
            ),
            (
                "a certificate at the attacker's",
                self.forged(&json!({"alg": "RS256", "kid": kid, "x5u": "https://evil.test/c"})),
            ),
            ("a key name that is a path", self.headed("kid", "../../../../dev/null")),
            ("a key name that is SQL", self.headed("kid", "x' OR '1'='1")),
            ("a key name in other case", self.headed("kid", kid.to_ascii_uppercase())),
            ("no key name", self.headed("kid", Value::Null)),
            ("another hash", self.headed("alg", "RS512")),
            ("another padding", self.headed("alg", "PS256")),
            ("another family of keys", self.headed("alg", "ES256")),
            ("claims that were altered", format!("{head}.{altered}.{signature}")),
            ("a signature that was cut", format!("{head}.{body}.{}", &signature[..signature.len() - 4])),
            ("no signature", format!("{head}.{body}.")),
            ("only two parts", format!("{head}.{body}")),
            ("four parts", format!("{head}.{body}.{signature}.{signature}")),
            ("five parts, as if encrypted", format!("{head}.{body}.{signature}.{signature}.{signature}")),
            ("padding behind the signature", format!("{head}.{body}.{signature}==")),
            ("a line break within", format!("{head}.{body}\t.{signature}")),
            ("a token in a token", self.headed("cty", "JWT")),
            ("a type of something else", self.headed("typ", "dpop+jwt")),
            ("an extension that must be understood", self.headed("crit", json!(["exp"]))),
            ("compressed claims", self.headed("zip", "DEF")),
            ("not base64", "€.€.€".to_owned()),
            ("oversized", self.says("padding", "x".repeat(20_000))),
        ]
    }

    fn claims_that_do_not_hold(&self) -> Vec<(&'static str, String, &'static str)> {
        let other = "9188040d-6c67-4c5b-b112-36a304b66dad";
        let now = self.claims["iat"].as_i64().unwrap();
        vec![
            ("for another audience", self.says("aud", seed::APP.to_string()), AUDIENCE),
            (
                "for an audience that begins like Graph",
                self.says("aud", "https://graph.microsoft.com.evil.test"),
                AUDIENCE,
            ),
            ("for several audiences", self.says("aud", json!(["https://graph.microsoft.com", "x"])), INVALID),
            ("for nobody", self.without("aud"), INVALID),
            ("from another issuer", self.says("iss", "https://evil.test/"), INVALID),
            (
                "from the issuer of another tenant",
                self.says("iss", format!("https://sts.windows.net/{other}/")),
                INVALID,
            ),
            ("for another tenant", self.says("tid", other), INVALID),
            ("of an unknown version", self.says("ver", "3.0"), INVALID),
            ("of both versions", self.says("azp", seed::APP.to_string()), INVALID),
            ("of no app", self.without("appid"), INVALID),
            ("of nobody", self.without("oid"), INVALID),
            ("of a user and of an app at once", self.says("idtyp", "app"), INVALID),
            ("expired", self.says("exp", now - 1), EXPIRED),
            ("expired long ago", self.says("exp", i64::MIN), EXPIRED),
            ("not yet valid", self.says("nbf", now + 3_600), EXPIRED),
            ("valid in the far future", self.says("nbf", i64::MAX), EXPIRED),
            ("without an end", self.without("exp"), INVALID),
            ("with an end that is text", self.says("exp", "9999999999"), INVALID),
            ("with an end beyond numbers", self.says("exp", json!(1e300)), INVALID),
            ("with the user twice", self.twice("oid", "\"2804bc07-1e1f-4938-9085-ce6d756a32d2\""), INVALID),
            ("with the end twice", self.twice("exp", "9999999999"), INVALID),
            ("with the scopes twice", self.twice("scp", "\"Mail.ReadWrite\""), INVALID),
        ]
    }
}

#[tokio::test]
async fn forged_token_gets_nobody_in() {
    let world = World::new().await;
    let ring = world.state.tokens.ring();
    let (now, megan) = (world.state.clock.wall(), seed::users().remove(0));
    let honest = world.state.tokens.issue(&seed::app(), Grant::Delegated(&megan, SCOPES), now, 3_600).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(honest.split('.').nth(1).unwrap()).unwrap();
    let claims = serde_json::from_slice(&claims).unwrap();
    let attacker = Attacker { server: ring.signing(), own: Key::generate(now).unwrap(), claims, honest };
    ok(world.bearer(&format!("Bearer {}", attacker.honest)).get("/v1.0/me").await, StatusCode::OK);
    assert_eq!(attacker.says("name", "Megan Bowen").len(), attacker.honest.len(), "what the attacks start from holds");

    let forgeries = attacker.forgeries().into_iter().map(|(name, token)| (name, token, INVALID));
    let attacks: Vec<_> =
        forgeries.chain(attacker.claims_that_do_not_hold()).chain(other_things(&world).await).collect();
    let mut shapes = BTreeSet::new();
    for (name, token, message) in &attacks {
        let reply = world.bearer(&format!("Bearer {token}")).get("/v1.0/me").await;
        assert_eq!(reply.refusal(), format!("401 InvalidAuthenticationToken: {message}"), "{name}");
        let challenge = reply.header("www-authenticate");
        assert!(challenge.starts_with("Bearer ") && !challenge.contains("claims="), "{name}: {challenge}");
        shapes.insert(shape(&reply.json));
    }
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    let names: BTreeSet<_> = attacks.iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), attacks.len(), "each has a name of its own");
    assert!(attacks.len() >= 40, "{}", attacks.len());
}

/// Other secrets of the protocol, in the place of an access token.
async fn other_things(world: &World) -> Vec<(&'static str, String, &'static str)> {
    let given = redeem(world, &code_of(world, "Mail.Read openid offline_access").await).await;
    let code = code_of(world, "Mail.Read").await;
    let now = world.state.clock.wall().as_micros() / 1_000_000;
    let assertion = json!({"iss": seed::APP, "sub": seed::APP, "aud": "http://graph.test:8443/common/oauth2/v2.0/token",
                           "exp": now + 600, "nbf": now, "jti": "1"});
    let assertion = world.state.tokens.sign(&assertion).unwrap();
    vec![
        ("an id token", given.text("/id_token"), INVALID),
        ("a refresh token", given.text("/refresh_token"), INVALID),
        ("a code", code, INVALID),
        ("a client assertion", assertion, INVALID),
        ("a client secret", seed::APP_SECRET.to_owned(), INVALID),
    ]
}

/// The names of all members, at any depth.
pub fn shape(json: &Value) -> String {
    match json {
        Value::Object(members) => {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}:{}", shape(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(_) => "[]".to_owned(),
        _ => "_".to_owned(),
    }
}

#[tokio::test]
async fn a_token_is_taken_from_the_header_alone_and_as_a_bearer_token_alone() {
    let world = World::new().await;
    let now = world.state.clock.wall();
    let megan = seed::users().remove(0);
    let token = world.state.tokens.issue(&seed::app(), Grant::Delegated(&megan, SCOPES), now, 60).unwrap();
    let empty = "401 InvalidAuthenticationToken: Access token is empty.";
    assert_eq!(world.stranger().get(&format!("/v1.0/me?access_token={token}")).await.refusal(), empty);
    for scheme in ["Basic", "MSAuth1.0", "Bearer:", ""] {
        assert_eq!(world.bearer(&format!("{scheme} {token}")).get("/v1.0/me").await.refusal(), empty, "{scheme}");
    }
    ok(world.bearer(&format!("bEaReR  {token}")).get("/v1.0/me").await, StatusCode::OK);
}
