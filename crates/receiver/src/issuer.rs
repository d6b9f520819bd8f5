//! Issuers of validation tokens, and apps with certificates, for tests.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::envelope::{ContentKey, EncryptedContent, OpeningKey, SealingKey, seal};
use protocol::validation_token::{Claims, Version};
use serde_json::{Value, json};

use crate::key_set::KeySet;

pub const APP: &str = "925bff9f-f6e2-4a69-b858-f71ea2b9b6d0";
pub const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
pub const OTHER_TENANT: &str = "11111111-6d4d-4958-8b9f-9d6445542f95";
pub const AUTHORITY: &str = "https://tidings.example:8443";
/// When tokens are issued, in seconds since 1970.
pub const ISSUED: u64 = 1_795_000_000;

/// The present, so long after tokens were issued.
pub fn after(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(ISSUED + seconds)
}

/// An issuer with one key of its own.
pub struct Issuer {
    pair: KeyPair,
    pub kid: String,
}

static ISSUERS: LazyLock<[Issuer; 2]> = LazyLock::new(|| ["first", "second"].map(Issuer::new));

impl Issuer {
    fn new(kid: &str) -> Self {
        Self { pair: KeyPair::generate(KeySize::Rsa2048).unwrap(), kid: kid.to_owned() }
    }

    pub fn first() -> &'static Self {
        &ISSUERS[0]
    }

    pub fn second() -> &'static Self {
        &ISSUERS[1]
    }

    /// Its key as it is published.
    pub fn jwk(&self) -> Value {
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": n, "e": e})
    }

    pub fn keys(&self) -> KeySet {
        KeySet::read(json!({"keys": [self.jwk()]}).to_string().as_bytes()).unwrap()
    }

    /// What signers with a shared secret would take for it, if they are confused: the public key.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": "RS256", "kid": self.kid})
    }

    pub fn sign(&self, header: &Value, claims: &str) -> String {
        let signed = unsigned(header, claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token that is as it should be.
    pub fn token(&self, tenant: &str, version: Version<'_>) -> String {
        let claims = Claims::new(tenant, APP, version, ISSUED, "uti");
        self.sign(&self.header(), &serde_json::to_string(&claims).unwrap())
    }
}

/// Header and claims as they are signed.
pub fn unsigned(header: &Value, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims))
}

/// A token signed with HS256 and this secret.
pub fn hs256(header: &Value, claims: &str, secret: &[u8]) -> String {
    let signed = unsigned(header, claims);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// An app's certificate with its private key.
pub struct Certificate {
    key: rcgen::KeyPair,
    sealing: SealingKey,
}

static CERTIFICATES: LazyLock<[Certificate; 2]> = LazyLock::new(|| [Certificate::new(), Certificate::new()]);

impl Certificate {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let sealing = SealingKey::from_certificate(&certificate.pem()).unwrap();
        Self { key, sealing }
    }

    pub fn first() -> &'static Self {
        &CERTIFICATES[0]
    }

    pub fn second() -> &'static Self {
        &CERTIFICATES[1]
    }

    pub fn opening(&self) -> OpeningKey {
        OpeningKey::from_pem(&self.key.serialize_pem()).unwrap()
    }

    /// Content sealed for it, with a key made of `seed`.
    pub fn seal(&self, content: &str, seed: u8, id: &str) -> EncryptedContent {
        seal(content.as_bytes(), &ContentKey::new([seed; 32]), &self.sealing, id).unwrap()
    }
}
