//! The keys that an issuer publishes (JSON Web Key Set, RFC 7517), as far as they verify signatures. Pure.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;

/// Stands for the id of any tenant in the name of an issuer, as in Microsoft's OpenID configurations.
pub const ANY_TENANT: &str = "{tenantid}";
/// More keys than this are passed over.
const KEYS_MAX: usize = 200;
/// RSA keys have from this to that many bits: shorter ones prove nothing, longer ones cost too much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// The text is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what lies at jwks_uri is no key set: a JSON object with a list `keys`")]
pub struct NoKeySet;

/// A key that verifies signatures.
#[derive(Debug)]
pub struct PublicKey {
    /// The key itself, as [`jwt::open`](crate::jwt::open) takes it.
    pub decoding: DecodingKey,
    kid: String,
    /// What its type allows, and its `alg` leaves of that.
    algorithms: Vec<Algorithm>,
    /// The issuer that it signs for, if it says so; [`ANY_TENANT`] stands for a tenant's id.
    issuer: Option<String>,
}

/// The keys of an issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Arc<PublicKey>>);

impl KeySet {
    /// Reads what an issuer publishes: for validation tokens, what a `GET` of `{authority}/common/discovery/keys` answers,
    /// where the authority is `https://login.microsoftonline.com` for Graph itself. A key of a kind that is not known, or
    /// that is not for signatures, is passed over.
    pub fn read(json: &[u8]) -> Result<Self, NoKeySet> {
        #[derive(Deserialize)]
        struct Published {
            keys: Vec<Value>,
        }
        let published: Published = serde_json::from_slice(json).map_err(|_| NoKeySet)?;
        Ok(Self(published.keys.into_iter().take(KEYS_MAX).filter_map(PublicKey::read).map(Arc::new).collect()))
    }

    #[doc(hidden)]
    /// The key of this name, if it is one for signatures of this kind.
    pub fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&Arc<PublicKey>> {
        self.0.iter().find(|key| key.kid == kid && key.algorithms.contains(&algorithm))
    }

    /// How many keys of it verify signatures.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Arc<PublicKey>> for KeySet {
    fn from_iter<I: IntoIterator<Item = Arc<PublicKey>>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl PublicKey {
    fn read(json: Value) -> Option<Self> {
        let issuer = json.get("issuer").and_then(Value::as_str).map(str::to_owned);
        let Jwk { common, algorithm } = serde_json::from_value(json).ok()?;
        let is_for_signatures = common.public_key_use.is_none_or(|usage| usage == PublicKeyUse::Signature)
            && common.key_operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !is_for_signatures {
            return None;
        }
        let mut algorithms = fitting(&algorithm);
        if let Some(pinned) = common.key_algorithm {
            algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == pinned);
        }
        let decoding = decoding(&algorithm)?;
        (!algorithms.is_empty()).then_some(Self { decoding, kid: common.key_id?, algorithms, issuer })
    }

    /// Whether it signs for the issuer of a token. Entra's keys say which they sign for, and those of one
    /// tenant, or of personal accounts, must not sign for another's.
    pub fn signs_for(&self, iss: &str, tenant: Option<&str>) -> bool {
        match (&self.issuer, tenant) {
            (None, _) => true,
            (Some(issuer), Some(tenant)) => issuer.replace(ANY_TENANT, tenant) == iss,
            (Some(issuer), None) => issuer == iss,
        }
    }
}

/// The kinds of signatures that a key of this type verifies.
fn fitting(key: &AlgorithmParameters) -> Vec<Algorithm> {
    match key {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
        _ => Vec::new(),
    }
}

fn decoding(key: &AlgorithmParameters) -> Option<DecodingKey> {
    let jwk = Jwk { common: Default::default(), algorithm: key.clone() };
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    if let DecodingKeyKind::RsaModulusExponent { n, .. } = decoding.kind() {
        let first = n.iter().position(|byte| *byte != 0)?;
        let bits = (n.len() - first) * 8 - n[first].leading_zeros() as usize;
        return RSA_BITS.contains(&bits).then_some(decoding);
    }
    Some(decoding)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::issuer::Issuer;

    fn rsa() -> Value {
        Issuer::first().jwk()
    }

    fn algorithms(changed: &Value, without: &[&str]) -> Vec<Algorithm> {
        let mut key = json!({"kty": "RSA", "kid": "k", "n": changed["n"], "e": "AQAB"});
        for (name, value) in changed.as_object().unwrap() {
            key[name] = value.clone();
        }
        for name in without {
            key.as_object_mut().unwrap().remove(*name);
        }
        let set = KeySet::read(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        set.0.first().map(|key| key.algorithms.clone()).unwrap_or_default()
    }

    #[test]
    fn a_key_verifies_what_its_type_and_its_algorithm_allow() {
        use Algorithm::*;
        let n = rsa()["n"].clone();
        let all = vec![RS256, RS384, RS512, PS256, PS384, PS512];
        assert_eq!(algorithms(&json!({"n": n}), &[]), all);
        assert_eq!(algorithms(&json!({"n": n, "use": "sig", "alg": "PS256"}), &[]), [PS256]);
        assert_eq!(algorithms(&json!({"n": n, "key_ops": ["verify"]}), &[]), all);
        let x = "A".repeat(43);
        assert_eq!(algorithms(&json!({"kty": "EC", "crv": "P-256", "x": x, "y": x}), &["n", "e"]), [ES256]);
        assert_eq!(algorithms(&json!({"kty": "EC", "crv": "P-384", "x": x, "y": x}), &["n", "e"]), [ES384]);
        assert_eq!(algorithms(&json!({"kty": "OKP", "crv": "Ed25519", "x": x}), &["n", "e"]), [EdDSA]);
    }

    #[test]
    fn a_key_that_is_not_for_signatures_is_passed_over() {
        let n = rsa()["n"].clone();
        let none: Vec<Algorithm> = Vec::new();
        for changed in [
            json!({"n": n, "use": "enc"}),
            json!({"n": n, "key_ops": ["encrypt"]}),
            json!({"n": n, "alg": "RSA-OAEP"}),
            json!({"n": n, "alg": "ES256"}),
            json!({"n": n, "alg": "HS256"}),
            json!({"n": n, "alg": "none"}),
            json!({"n": n, "kty": "DSA"}),
            json!({"n": n, "kid": null}),
            json!({"n": "AQAB"}),
            json!({"n": "_".repeat(1_368)}),
            json!({"n": "not base64!"}),
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
            json!({"kty": "OKP", "crv": "X25519", "x": "AA"}),
        ] {
            assert_eq!(algorithms(&changed, &[]), none, "{changed}");
        }
    }

    #[test]
    fn one_bad_key_does_not_spoil_the_others() {
        let good = rsa();
        let kid = good["kid"].as_str().unwrap();
        let set = json!({"keys": [1, {"kty": "?"}, good]}).to_string();
        let set = KeySet::read(set.as_bytes()).unwrap();
        assert!(set.find(kid, Algorithm::RS256).is_some() && set.count() == 1);
        assert!(set.find(kid, Algorithm::RS512).is_none() && set.find("other", Algorithm::RS256).is_none());
        for text in ["", "[]", "{}", r#"{"keys": 1}"#, "<html>"] {
            assert_eq!(KeySet::read(text.as_bytes()).unwrap_err(), NoKeySet, "{text}");
        }
    }

    #[test]
    fn a_key_that_names_an_issuer_signs_for_no_other() {
        let mut key = rsa();
        let signs = |key: &Value, iss: &str| PublicKey::read(key.clone()).unwrap().signs_for(iss, Some("t"));
        assert!(signs(&key, "https://login.example/t/v2.0"));
        key["issuer"] = "https://login.example/{tenantid}/v2.0".into();
        assert!(signs(&key, "https://login.example/t/v2.0") && !signs(&key, "https://login.example/u/v2.0"));
        key["issuer"] = "https://login.example/u/v2.0".into();
        assert!(!signs(&key, "https://login.example/t/v2.0"));
    }
}
