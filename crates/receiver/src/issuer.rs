//! Issuers of tokens, for tests.

use std::sync::LazyLock;

use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::key_set::KeySet;

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
}
