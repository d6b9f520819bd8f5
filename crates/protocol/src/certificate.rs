//! The certificate that an app gives for resource data to be sealed for: what is taken for one, and why
//! anything else is not. Who signed it and how long it is valid are nobody's business here: only its
//! key is used.

use aws_lc_rs::rsa::PublicEncryptingKey;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::{PublicKey, RSAPublicKey};

use crate::envelope::{RSA_BITS_MAX, RSA_BITS_MIN};

/// As characters, in whichever form.
pub const CERTIFICATE_CHARS_MAX: usize = 16 << 10;
/// The longest id of a certificate, in characters.
pub const CERTIFICATE_ID_CHARS_MAX: usize = 128;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

/// Why something is no certificate that resource data can be sealed for. `Display` is Graph's message, of
/// which one was seen: that of what cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("Certificate validation error: Cannot find the requested object.")]
    Unreadable,
    #[error("Certificate validation error: The value holds a private key.")]
    PrivateKey,
    #[error("Certificate validation error: The value holds more than one certificate.")]
    Several,
    #[error("Certificate validation error: The value is longer than {CERTIFICATE_CHARS_MAX} characters.")]
    TooLong,
    #[error("Certificate validation error: The public key is not an RSA key.")]
    NotRsa,
    #[error("Certificate validation error: The RSA key has {0} bits.")]
    Bits(usize),
    #[error("Certificate validation error: The RSA key cannot encrypt.")]
    BadKey,
}

impl CertificateError {
    /// What to change.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreadable => {
                "encryptionCertificate must be one X.509 certificate: the base64 of its DER form, or its PEM text; a \
                 bare public key is none"
            }
            Self::PrivateKey => {
                "encryptionCertificate must be the certificate alone. The private key has left your machine: make a \
                 new pair, and send its certificate without the key"
            }
            Self::Several => "send the certificate of the key that decrypts alone, without those that signed it",
            Self::TooLong => "send one certificate, without a chain and without attributes that nobody needs",
            Self::NotRsa | Self::Bits(_) | Self::BadKey => {
                "send the certificate of an RSA key of 2048 to 4096 bits; elliptic curves cannot be used"
            }
        }
    }
}

/// The DER form of a certificate that resource data can be sealed for, from the base64 of its DER form,
/// from PEM, or from PEM in base64 once more.
pub fn read(text: &str) -> Result<Vec<u8>, CertificateError> {
    with_key(text).map(|(der, _)| der)
}

/// The same, with the key that encrypts.
pub(crate) fn with_key(text: &str) -> Result<(Vec<u8>, PublicEncryptingKey), CertificateError> {
    if text.len() > CERTIFICATE_CHARS_MAX {
        return Err(CertificateError::TooLong);
    }
    let mut der = match armoured(text)? {
        Some(body) => decoded(body)?,
        None => decoded(text)?,
    };
    if der.starts_with(b"-----BEGIN") {
        let pem = std::str::from_utf8(&der).map_err(|_| CertificateError::Unreadable)?;
        der = decoded(armoured(pem)?.ok_or(CertificateError::Unreadable)?)?;
    }
    let key = key_of(&der)?;
    Ok((der, key))
}

/// The base64 between a PEM text's armour; `None` if it has none.
fn armoured(text: &str) -> Result<Option<&str>, CertificateError> {
    if text.contains("PRIVATE KEY-----") {
        return Err(CertificateError::PrivateKey);
    }
    let Some((_, rest)) = text.split_once(PEM_BEGIN) else { return Ok(None) };
    let (body, rest) = rest.split_once(PEM_END).ok_or(CertificateError::Unreadable)?;
    match rest.contains(PEM_BEGIN) {
        true => Err(CertificateError::Several),
        false => Ok(Some(body)),
    }
}

fn decoded(base64: &str) -> Result<Vec<u8>, CertificateError> {
    let bytes: Vec<u8> = base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(bytes).map_err(|_| CertificateError::Unreadable)
}

fn key_of(der: &[u8]) -> Result<PublicEncryptingKey, CertificateError> {
    if holds_private_key(der) {
        return Err(CertificateError::PrivateKey);
    }
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
    if !rest.is_empty() {
        let another = X509Certificate::from_der(rest).is_ok();
        let private = holds_private_key(rest);
        return Err(match (private, another) {
            (true, _) => CertificateError::PrivateKey,
            (_, true) => CertificateError::Several,
            _ => CertificateError::Unreadable,
        });
    }
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => check_key(&key)?,
        _ => return Err(CertificateError::NotRsa),
    }
    PublicEncryptingKey::from_der(certificate.public_key().raw).map_err(|_| CertificateError::BadKey)
}

/// Whether this begins as PKCS #1, #8 and #12 and SEC 1 begin what holds a private key: a sequence whose
/// first member is a version, an integer of one byte. A certificate's is a sequence.
fn holds_private_key(der: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = der else { return false };
    let long_form = usize::from(length.checked_sub(0x80).unwrap_or(0));
    matches!(rest.get(long_form..), Some([0x02, 0x01, ..]))
}

fn check_key(key: &RSAPublicKey<'_>) -> Result<(), CertificateError> {
    let bits = bits(key.modulus);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(CertificateError::Bits(bits));
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    // What libraries encrypt with: 3 at least, 33 bits at most.
    let exponent_fits = odd(key.exponent) && (2..=33).contains(&self::bits(key.exponent));
    if !odd(key.modulus) || !exponent_fits {
        return Err(CertificateError::BadKey);
    }
    Ok(())
}

/// How many bits a number in big-endian bytes has.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros).map_or(0, |first| 8 * (number.len() - zeros) - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD as BASE64_STANDARD;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};

    use super::*;

    fn certificate(key: &KeyPair) -> rcgen::Certificate {
        CertificateParams::new(Vec::new()).unwrap().self_signed(key).unwrap()
    }

    fn rsa() -> KeyPair {
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
    }

    #[test]
    fn one_certificate_is_read_in_each_form_that_clients_send() {
        let certificate = certificate(&rsa());
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        let plain = BASE64_STANDARD.encode(&der);
        let folded = plain.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>();
        for text in [
            plain.clone(),
            folded.join("\r\n"),
            plain.trim_end_matches('=').to_owned(),
            pem.clone(),
            format!("subject=CN\n{pem}"),
            BASE64_STANDARD.encode(&pem),
        ] {
            assert_eq!(read(&text).as_deref(), Ok(der.as_slice()), "{text}");
        }
    }

    #[test]
    fn a_private_key_is_refused_in_whatever_form() {
        let key = rsa();
        let certificate = certificate(&key);
        let with_key = [certificate.der().as_ref(), &key.serialize_der()].concat();
        let elliptic = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        // PKCS #12: a version, then what it protects.
        let pfx = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x01, 0x03, 0x30, 0x82, 0x01, 0x00];
        for text in [
            format!("{}{}", certificate.pem(), key.serialize_pem()),
            key.serialize_pem(),
            BASE64_STANDARD.encode(key.serialize_pem()),
            BASE64_STANDARD.encode(key.serialize_der()),
            BASE64_STANDARD.encode(elliptic.serialize_der()),
            BASE64_STANDARD.encode(with_key),
            BASE64_STANDARD.encode(pfx),
        ] {
            assert_eq!(read(&text), Err(CertificateError::PrivateKey), "{text}");
        }
    }

    #[test]
    fn what_is_no_single_certificate_is_refused() {
        let certificate = certificate(&rsa());
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        let twice = BASE64_STANDARD.encode([der.clone(), der.clone()].concat());
        assert_eq!(read(&pem.repeat(2)), Err(CertificateError::Several));
        assert_eq!(read(&twice), Err(CertificateError::Several));
        assert_eq!(read(&"A".repeat(CERTIFICATE_CHARS_MAX + 1)), Err(CertificateError::TooLong));
        let with_more = BASE64_STANDARD.encode([der.as_slice(), b"more"].concat());
        let cut = BASE64_STANDARD.encode(&der[..der.len() - 1]);
        let ssh = "AAAAB3NzaC1yc2EAAAABIwAAAQEA18MJo8YuC7CH2gCiu6G70wWsGqEm2Llu3csF7fVF5aFC";
        let unended = pem.replace(PEM_END, "");
        let nothing = format!("{PEM_BEGIN}\n{PEM_END}");
        for text in ["", "garbage!", "AAAA", "MIID…", ssh, &with_more, &cut, &unended, &nothing] {
            assert_eq!(read(text), Err(CertificateError::Unreadable), "{text}");
        }
    }

    #[test]
    fn only_rsa_keys_of_2048_to_4096_bits_are_taken() {
        let elliptic = certificate(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
        assert_eq!(read(&elliptic.pem()), Err(CertificateError::NotRsa));
        let key = |bits: usize, exponent: &'static [u8]| {
            let mut modulus = vec![0xff; bits.div_ceil(8)];
            modulus[0] >>= modulus.len() * 8 - bits;
            check_key(&RSAPublicKey { modulus: &[&[0], modulus.as_slice()].concat(), exponent })
        };
        const F4: &[u8] = &[1, 0, 1];
        for bits in [2048, 3072, 4096] {
            assert_eq!(key(bits, F4), Ok(()), "{bits}");
        }
        for bits in [512, 1024, 2047, 4097, 8192] {
            assert_eq!(key(bits, F4), Err(CertificateError::Bits(bits)), "{bits}");
        }
        for exponent in [&[][..], &[1], &[4], &[0, 0, 1], &[2, 0, 0, 0, 1]] {
            assert_eq!(key(2048, exponent), Err(CertificateError::BadKey), "{exponent:?}");
        }
        assert_eq!(key(2048, &[3]), Ok(()));
    }

    #[test]
    fn an_expired_certificate_is_taken() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        assert!(read(&params.self_signed(&rsa()).unwrap().pem()).is_ok());
    }

    #[test]
    fn refusals_begin_as_graphs_and_say_what_to_change() {
        use CertificateError::{BadKey, Bits, NotRsa, PrivateKey, Several, TooLong, Unreadable};
        let texts = [Unreadable, PrivateKey, Several, TooLong, NotRsa, Bits(1024), BadKey]
            .map(|error| format!("{error}\n  {}", error.advice()));
        insta::assert_snapshot!(texts.join("\n"), @"
        Certificate validation error: Cannot find the requested object.
          encryptionCertificate must be one X.509 certificate: the base64 of its DER form, or its PEM text; a bare public key is none
        Certificate validation error: The value holds a private key.
          encryptionCertificate must be the certificate alone. The private key has left your machine: make a new pair, and send its certificate without the key
        Certificate validation error: The value holds more than one certificate.
          send the certificate of the key that decrypts alone, without those that signed it
        Certificate validation error: The value is longer than 16384 characters.
          send one certificate, without a chain and without attributes that nobody needs
        Certificate validation error: The public key is not an RSA key.
          send the certificate of an RSA key of 2048 to 4096 bits; elliptic curves cannot be used
        Certificate validation error: The RSA key has 1024 bits.
          send the certificate of an RSA key of 2048 to 4096 bits; elliptic curves cannot be used
        Certificate validation error: The RSA key cannot encrypt.
          send the certificate of an RSA key of 2048 to 4096 bits; elliptic curves cannot be used
        ");
    }

    proptest! {
        #[test]
        fn any_text_gets_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
            let _ = read(&text);
            let _ = read(&BASE64_STANDARD.encode(&bytes));
            let _ = read(&format!("{PEM_BEGIN}{}{PEM_END}", BASE64_STANDARD.encode(&bytes)));
        }

        #[test]
        fn a_damaged_certificate_gets_a_verdict(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            static DER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| certificate(&rsa()).der().to_vec());
            let mut der = DER.clone();
            let at = at.index(der.len());
            der[at] = byte;
            if let Ok(read) = read(&BASE64_STANDARD.encode(&der)) {
                prop_assert_eq!(read, der);
            }
        }
    }
}
