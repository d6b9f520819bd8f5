//! The keys that tokens are signed with. The newest signs; a retired one verifies until the last token that
//! it may have signed has expired. What is kept of them, and when the next is due, is decided here without
//! a clock or a file; [`super::Tokens`] does what is left.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use graph::Timestamp;
use jsonwebtoken::DecodingKey;
use rcgen::{CertificateParams, DnType, PKCS_RSA_SHA256};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest life of a token, in seconds: that of the tokens which `tidings dev` prints.
pub const LIFE_SECONDS_MAX: i64 = 30 * 24 * 3_600;
/// How long a key signs, in seconds, before the next one is due.
const SIGNS_SECONDS: i64 = 30 * 24 * 3_600;
/// How many keys there may be: rotations by hand end here, until old keys are forgotten.
const KEYS_MAX: usize = 16;
/// How long the certificate of a key is good for, in years. Nobody checks it; it outlives the key.
const CERTIFICATE_YEARS: i32 = 5;

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the signing key cannot be used")]
    Unusable,
    #[error("there are too many signing keys; the oldest must be forgotten first")]
    TooMany,
    #[error("what is kept of the signing keys cannot be read")]
    Unreadable,
}

/// An RSA key with the names that verifiers know it by.
pub struct Key {
    pair: KeyPair,
    pkcs8: Vec<u8>,
    certificate: Vec<u8>,
    kid: String,
    x5t: String,
    made: Timestamp,
    /// When the next key took its place.
    retired: Option<Timestamp>,
}

impl Key {
    /// A new 2048-bit key. This takes a while.
    pub fn generate(now: Timestamp) -> Result<Self, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Unusable)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Unusable)?;
        Self::from_pkcs8(der.as_ref(), now)
    }

    pub fn from_pkcs8(pkcs8: &[u8], made: Timestamp) -> Result<Self, KeyError> {
        let pair = KeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Unusable)?;
        let hash = digest(&SHA256, pair.public_key().as_ref());
        let kid = URL_SAFE_NO_PAD.encode(&hash.as_ref()[..20]);
        let certificate = certificate(pkcs8, &kid, made).map_err(|_| KeyError::Unusable)?;
        let x5t = URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate));
        Ok(Self { pair, pkcs8: pkcs8.to_vec(), certificate, kid, x5t, made, retired: None })
    }

    /// The certificate of the public half, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The private key. It is secret.
    #[cfg(test)]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The compact form of a token with these claims.
    pub fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        self.sign_parts(&self.header(), &claims.to_string())
    }

    /// The header of the tokens that it signs.
    pub fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": "RS256", "x5t": self.x5t, "kid": self.kid})
    }

    /// The same with header and claims as they are to be written.
    pub fn sign_parts(&self, header: &Value, claims: &str) -> Result<String, KeyError> {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| KeyError::Unusable)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The public half, as verifiers have it: DER of PKCS#1.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub fn decoding(&self) -> DecodingKey {
        DecodingKey::from_rsa_der(self.public())
    }

    /// The public half as a JSON Web Key.
    fn jwk(&self, issuer: Option<&str>) -> Value {
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        let mut jwk = json!({
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "x5t": self.x5t,
            "n": URL_SAFE_NO_PAD.encode(n),
            "e": URL_SAFE_NO_PAD.encode(e),
            "x5c": [STANDARD.encode(&self.certificate)],
        });
        if let Some(issuer) = issuer {
            jwk["issuer"] = issuer.into();
        }
        jwk
    }

    fn verifies(&self, now: Timestamp) -> bool {
        self.retired.is_none_or(|retired| now < retired.plus_micros(LIFE_SECONDS_MAX * 1_000_000))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("made", &self.made).field("retired", &self.retired).finish()
    }
}

/// A certificate of the key by itself, the same whenever it is made: verifiers that read certificates
/// (`x5c`) find the key in it.
fn certificate(pkcs8: &[u8], kid: &str, made: Timestamp) -> Result<Vec<u8>, rcgen::Error> {
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_RSA_SHA256)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, format!("Tidings token signing {kid}"));
    let year = made.to_string().get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026);
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + CERTIFICATE_YEARS, 1, 1);
    Ok(params.self_signed(&key)?.der().to_vec())
}

/// All keys that sign or verify, oldest first.
#[derive(Clone, Debug)]
pub struct KeyRing {
    retired: Vec<Arc<Key>>,
    signing: Arc<Key>,
}

/// How a ring is kept in the data directory.
#[derive(Serialize, Deserialize)]
struct Kept {
    keys: Vec<KeptKey>,
}

#[derive(Serialize, Deserialize)]
struct KeptKey {
    made: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired: Option<Timestamp>,
    /// Base64.
    pkcs8: String,
}

impl KeyRing {
    pub fn of(key: Key) -> Self {
        Self { retired: Vec::new(), signing: Arc::new(key) }
    }

    /// The key that signs.
    pub fn signing(&self) -> &Arc<Key> {
        &self.signing
    }

    /// The key of this name, while it verifies.
    pub fn verifying(&self, kid: &str, now: Timestamp) -> Option<&Arc<Key>> {
        self.all().find(|key| key.kid == kid && key.verifies(now))
    }

    /// Whether the next key should be made.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.signing.made.plus_micros(SIGNS_SECONDS * 1_000_000)
    }

    /// The ring with a new signing key, without the keys that verify nothing any more. With `distrust`,
    /// the others are forgotten as well, and no token that they signed is accepted from now on.
    pub fn rotated(&self, next: Key, distrust: bool, now: Timestamp) -> Result<Self, KeyError> {
        let mut retired = Vec::new();
        if !distrust {
            retired.extend(self.retired.iter().filter(|key| key.verifies(now)).cloned());
            let last = Key::from_pkcs8(&self.signing.pkcs8, self.signing.made)?;
            retired.push(Arc::new(Key { retired: Some(now), ..last }));
        }
        if retired.len() >= KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        Ok(Self { retired, signing: Arc::new(next) })
    }

    /// The JSON Web Key Set of all keys that verify. `issuer` is put on each key.
    pub fn jwks(&self, issuer: Option<&str>, now: Timestamp) -> Value {
        let keys: Vec<Value> = self.all().filter(|key| key.verifies(now)).map(|key| key.jwk(issuer)).collect();
        json!({"keys": keys})
    }

    /// What is kept of it. The bytes are secret.
    pub fn to_kept(&self) -> Vec<u8> {
        let keep =
            |key: &Arc<Key>| KeptKey { made: key.made, retired: key.retired, pkcs8: STANDARD.encode(&key.pkcs8) };
        serde_json::to_vec_pretty(&Kept { keys: self.all().map(keep).collect() }).unwrap_or_default()
    }

    pub fn from_kept(kept: &[u8]) -> Result<Self, KeyError> {
        let kept: Kept = serde_json::from_slice(kept).map_err(|_| KeyError::Unreadable)?;
        let mut keys = Vec::new();
        for key in kept.keys {
            let pkcs8 = STANDARD.decode(&key.pkcs8).map_err(|_| KeyError::Unreadable)?;
            keys.push(Arc::new(Key { retired: key.retired, ..Key::from_pkcs8(&pkcs8, key.made)? }));
        }
        let signing = keys.pop().filter(|key| key.retired.is_none()).ok_or(KeyError::Unreadable)?;
        Ok(Self { retired: keys, signing })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.retired.iter().chain([&self.signing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const DAY: i64 = 24 * 60;

    fn kids(ring: &KeyRing, now: Timestamp) -> Vec<String> {
        let keys = ring.jwks(None, now)["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_retired_key_verifies_until_its_last_token_has_expired() {
        let first = KeyRing::of(Key::generate(NOW).unwrap());
        let (old, later) = (first.signing().kid().to_owned(), NOW.plus_minutes(31 * DAY));
        assert!(!first.is_due(NOW.plus_minutes(30 * DAY - 1)) && first.is_due(NOW.plus_minutes(30 * DAY)));
        let second = first.rotated(Key::generate(later).unwrap(), false, later).unwrap();
        let new = second.signing().kid().to_owned();
        assert_eq!(kids(&second, later), [old.clone(), new.clone()]);
        let last = later.plus_micros(LIFE_SECONDS_MAX * 1_000_000);
        assert!(second.verifying(&old, last.plus_micros(-1)).is_some());
        assert!(second.verifying(&old, last).is_none() && second.verifying(&new, last).is_some());
        assert_eq!(kids(&second, last), [new]);
    }

    #[test]
    fn keys_that_are_not_trusted_any_more_are_forgotten_at_once() {
        let first = KeyRing::of(Key::generate(NOW).unwrap());
        let second = first.rotated(Key::generate(NOW).unwrap(), true, NOW).unwrap();
        assert!(second.verifying(first.signing().kid(), NOW).is_none());
    }

    #[test]
    fn a_ring_is_kept_with_what_its_keys_are_known_by() {
        let first = KeyRing::of(Key::generate(NOW).unwrap());
        let ring = first.rotated(Key::generate(NOW).unwrap(), false, NOW).unwrap();
        let again = KeyRing::from_kept(&ring.to_kept()).unwrap();
        assert_eq!(again.jwks(Some("i"), NOW), ring.jwks(Some("i"), NOW));
        assert_eq!(KeyRing::from_kept(b"{}").unwrap_err(), KeyError::Unreadable);
        assert_eq!(KeyRing::from_kept(br#"{"keys":[]}"#).unwrap_err(), KeyError::Unreadable);
        assert!(!format!("{ring:?}").contains(&STANDARD.encode(&ring.signing.pkcs8)[..40]));
    }
}
