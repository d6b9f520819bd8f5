//! What apps prove themselves with: made or read here, and kept in a form that tells no secret.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use store::{Credential, CredentialKind};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::ids;

const HINT_CHARS: usize = 3;
const CERTIFICATE_BYTES_MAX: usize = 16 << 10;
const RSA_BITS_MIN: usize = 2048;

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("this holds a private key, which nobody else should see; send the certificate alone")]
    PrivateKey,
    #[error("this holds more than one certificate; send the app's own alone, without those that signed it")]
    Several,
    #[error("this is no certificate; send one as PEM, or its DER form in base64")]
    Unreadable,
    #[error("the certificate is longer than 16 KiB")]
    TooLong,
    #[error("the certificate has expired")]
    Expired,
    #[error("the certificate is not valid yet")]
    NotYet,
    #[error("the certificate's key is not RSA of at least 2048 bits, which assertions are signed with")]
    Key,
}

/// A new secret, and how it is kept.
pub fn new_secret(expires: Timestamp) -> (String, Credential) {
    let secret = ids::new_secret();
    let kind = CredentialKind::Secret {
        hint: secret.chars().take(HINT_CHARS).collect(),
        sha256: sha256_hex(secret.as_bytes()),
    };
    (secret, Credential { id: ids::new_uuid(), expires, kind })
}

/// A certificate, from PEM or from base64 of its DER form.
pub fn read_certificate(text: &str, now: Timestamp) -> Result<Credential, CertificateError> {
    if text.len() > 4 * CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::TooLong);
    }
    if text.contains("PRIVATE KEY") {
        return Err(CertificateError::PrivateKey);
    }
    let der = if text.contains("-----BEGIN") { from_pem(text)? } else { from_base64(text)? };
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::TooLong);
    }
    let (rest, certificate) = X509Certificate::from_der(&der).map_err(|_| CertificateError::Unreadable)?;
    if !rest.is_empty() {
        return Err(CertificateError::Unreadable);
    }
    let (from, until) = (&certificate.validity().not_before, &certificate.validity().not_after);
    let (from, expires) = (Timestamp::from_seconds(from.timestamp()), Timestamp::from_seconds(until.timestamp()));
    if expires <= now {
        return Err(CertificateError::Expired);
    }
    if from > now {
        return Err(CertificateError::NotYet);
    }
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() >= RSA_BITS_MIN => {}
        _ => return Err(CertificateError::Key),
    }
    let (sha1, sha256) = (hex(&SHA1_FOR_LEGACY_USE_ONLY, &der), hex(&SHA256, &der));
    Ok(Credential { id: ids::new_uuid(), expires, kind: CredentialKind::Certificate { der, sha1, sha256 } })
}

fn from_pem(text: &str) -> Result<Vec<u8>, CertificateError> {
    let mut found = CertificateDer::pem_slice_iter(text.as_bytes());
    match (found.next(), found.next()) {
        (Some(Ok(der)), None) => Ok(der.to_vec()),
        (Some(Ok(_)), Some(Ok(_))) => Err(CertificateError::Several),
        _ => Err(CertificateError::Unreadable),
    }
}

fn from_base64(text: &str) -> Result<Vec<u8>, CertificateError> {
    let text: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    STANDARD.decode(text).map_err(|_| CertificateError::Unreadable)
}

/// SHA-256 as lower-case hexadecimal: how secrets that apps present are kept.
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex(&SHA256, bytes.as_ref())
}

fn hex(algorithm: &'static Algorithm, bytes: &[u8]) -> String {
    digest(algorithm, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    /// From a day before now on, for so many days.
    fn made(key: &KeyPair, days: i64) -> rcgen::Certificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let at = |days: i64| rcgen::date_time_ymd(2027, 1, 14) + std::time::Duration::from_secs(86_400 * days as u64);
        (params.not_before, params.not_after) = (at(0), at(days));
        params.self_signed(key).unwrap()
    }

    fn rsa() -> KeyPair {
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
    }

    #[test]
    fn a_certificate_is_read_from_pem_and_from_base64() {
        let certificate = made(&rsa(), 30);
        let read = read_certificate(&certificate.pem(), now()).unwrap();
        let CredentialKind::Certificate { der, sha1, sha256 } = &read.kind else { panic!("{read:?}") };
        assert_eq!(der.as_slice(), certificate.der().as_ref());
        assert_eq!((sha1.len(), sha256), (40, &sha256_hex(der)));
        assert_eq!(read.expires, Timestamp::from_seconds(1_799_884_800 + 30 * 86_400));
        let base64 = STANDARD.encode(der);
        let (first, second) = base64.split_at(64);
        let folded = read_certificate(&format!("{first}\r\n{second}\n"), now()).unwrap();
        assert_eq!(folded.kind, read.kind);
    }

    #[test]
    fn what_proves_nothing_is_refused_with_the_reason() {
        let key = rsa();
        let pem = made(&key, 30).pem();
        let refused = |text: &str, at: Timestamp| read_certificate(text, at).unwrap_err();
        assert_eq!(refused(&format!("{pem}{}", key.serialize_pem()), now()), CertificateError::PrivateKey);
        assert_eq!(refused(&pem.repeat(2), now()), CertificateError::Several);
        assert_eq!(refused(&pem, now().plus_minutes(60 * 24 * 31)), CertificateError::Expired);
        assert_eq!(refused(&pem, now().plus_minutes(-60 * 24 * 3)), CertificateError::NotYet);
        assert_eq!(refused(&"A".repeat(70_000), now()), CertificateError::TooLong);
        for garbage in ["", "garbage!", "AAAA", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(refused(garbage, now()), CertificateError::Unreadable, "{garbage}");
        }
        let elliptic = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        assert_eq!(refused(&made(&elliptic, 30).pem(), now()), CertificateError::Key);
    }

    #[test]
    fn a_secret_is_told_once_and_kept_as_its_hash() {
        let (secret, kept) = new_secret(now());
        assert!(secret.len() >= 43, "256 bits");
        let CredentialKind::Secret { hint, sha256 } = &kept.kind else { panic!("{kept:?}") };
        assert_eq!((hint.as_str(), sha256), (&secret[..3], &sha256_hex(&secret)));
        assert!(!format!("{kept:?}").contains(sha256));
    }
}
