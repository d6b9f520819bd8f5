//! The receiver's side of the envelope: the private key, and the steps by which content opens. Nothing is
//! decrypted before its signature was found right.

use std::fmt;

use aws_lc_rs::cipher::{DecryptionContext, PaddedBlockDecryptingKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{KeyPair, OAEP_SHA1_MGF1SHA1, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{BLOCK_BYTES, ContentKey, DATA_CHARS_MAX, EncryptedContent, KEY_BYTES, RSA_BITS_MAX, RSA_BITS_MIN};
use super::{SealingKey, seal};

/// As bytes, in whichever form.
pub const OPENING_KEY_BYTES_MAX: usize = 64 << 10;

/// Of the base64 of a key or a signature; valid ones are shorter.
const SHORT_CHARS_MAX: usize = 4 << 10;

/// The private key whose certificate content was sealed for.
pub struct OpeningKey {
    oaep: OaepPrivateDecryptingKey,
    /// The same, for telling what is wrong.
    pub(super) key: PrivateDecryptingKey,
}

/// Why something is no key that opens content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningKeyError {
    #[error("no private key can be read from it; it must be an RSA key in PEM or DER, as PKCS #8 or PKCS #1")]
    Unreadable,
    #[error("the private key is encrypted; write it without its passphrase, with `openssl pkey -in KEY -out PLAIN`")]
    Passphrase,
    #[error("it is PKCS #12; take the key out of it, with `openssl pkcs12 -in FILE -nocerts -nodes -out KEY`")]
    Pkcs12,
    #[error("it is a certificate; the private key that belongs to it is needed")]
    Certificate,
    #[error("it is a public key; the private key that belongs to it is needed")]
    PublicKey,
    #[error("it is no RSA key; resource data is sealed for RSA keys only")]
    NotRsa,
    #[error("the RSA key has not {RSA_BITS_MIN} to {RSA_BITS_MAX} bits")]
    Bits,
}

impl OpeningKey {
    /// The first private key of a PEM text, as PKCS #8 or PKCS #1.
    pub fn from_pem(text: &str) -> Result<Self, OpeningKeyError> {
        if text.len() > OPENING_KEY_BYTES_MAX {
            return Err(OpeningKeyError::Unreadable);
        }
        let mut key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| what_else(text))?;
        let opening = Self::from_private(&key);
        key.zeroize();
        opening
    }

    /// As PKCS #8 or PKCS #1.
    pub fn from_der(der: &[u8]) -> Result<Self, OpeningKeyError> {
        if der.len() > OPENING_KEY_BYTES_MAX {
            return Err(OpeningKeyError::Unreadable);
        }
        let key = PrivateKeyDer::try_from(der).map_err(|_| OpeningKeyError::Unreadable);
        key.and_then(|key| Self::from_private(&key)).map_err(|error| match error {
            OpeningKeyError::Unreadable => what_else_in_der(der),
            error => error,
        })
    }

    fn from_private(key: &PrivateKeyDer<'_>) -> Result<Self, OpeningKeyError> {
        let key = match key {
            PrivateKeyDer::Pkcs8(key) => PrivateDecryptingKey::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => from_pkcs1(key.secret_pkcs1_der()),
            _ => return Err(OpeningKeyError::NotRsa),
        };
        let key = key.map_err(|rejected| match rejected.description_() {
            "WrongAlgorithm" => OpeningKeyError::NotRsa,
            "TooSmall" | "TooLarge" => OpeningKeyError::Bits,
            _ => OpeningKeyError::Unreadable,
        })?;
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&key.key_size_bits()) {
            return Err(OpeningKeyError::Bits);
        }
        let oaep = OaepPrivateDecryptingKey::new(key.clone()).map_err(|Unspecified| OpeningKeyError::Unreadable)?;
        Ok(Self { oaep, key })
    }

    /// Whether it opens what is sealed for this certificate.
    pub fn is_of(&self, certificate: &SealingKey) -> bool {
        let sealed = seal(b"", &ContentKey::new([0; KEY_BYTES]), certificate, "");
        sealed.is_ok_and(|sealed| open(&sealed, self).is_ok())
    }

    /// Of the modulus, and so of a key that was encrypted for this one.
    pub fn bytes(&self) -> usize {
        self.oaep.key_size_bytes()
    }

    /// What was encrypted for this key with OAEP and, in one, the hash of its label and of its mask.
    pub(super) fn decrypt(
        &self,
        algorithm: &'static OaepAlgorithm,
        encrypted: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let mut room = Zeroizing::new(vec![0; self.oaep.min_output_size()]);
        let bytes = self.oaep.decrypt(algorithm, encrypted, &mut room, None)?.len();
        room.truncate(bytes);
        Ok(room)
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningKey").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

fn from_pkcs1(der: &[u8]) -> Result<PrivateDecryptingKey, KeyRejected> {
    let pkcs8: Pkcs8V1Der<'_> = KeyPair::from_der(der)?.as_der()?;
    PrivateDecryptingKey::from_pkcs8(pkcs8.as_ref())
}

/// What DER without a readable private key is.
fn what_else_in_der(der: &[u8]) -> OpeningKeyError {
    /// Of an outermost sequence with a length in two octets, after which comes the version: 3.
    const PKCS12_VERSION: [u8; 3] = [2, 1, 3];
    match der {
        [0x30, 0x82, _, _, rest @ ..] if rest.starts_with(&PKCS12_VERSION) => OpeningKeyError::Pkcs12,
        // A sequence in a sequence, both with a length in two octets, and the version in a tag of its own: X.509.
        [0x30, 0x82, _, _, 0x30, 0x82, _, _, 0xa0, 3, 2, 1, ..] => OpeningKeyError::Certificate,
        _ => OpeningKeyError::Unreadable,
    }
}

/// What a text without a readable private key is.
fn what_else(pem: &str) -> OpeningKeyError {
    if pem.contains("PRIVATE KEY-----") {
        let encrypted = pem.contains("-----BEGIN ENCRYPTED") || pem.contains("Proc-Type: 4,ENCRYPTED");
        return if encrypted { OpeningKeyError::Passphrase } else { OpeningKeyError::Unreadable };
    }
    match pem {
        _ if pem.contains("-----BEGIN CERTIFICATE-----") => OpeningKeyError::Certificate,
        _ if pem.contains("PUBLIC KEY-----") => OpeningKeyError::PublicKey,
        _ => OpeningKeyError::Unreadable,
    }
}

/// Why content does not open, in the order of the steps: the first that fails is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    #[error("data has more than {DATA_CHARS_MAX} characters")]
    TooLarge,
    #[error("dataKey is not base64")]
    DataKeyNotBase64,
    #[error("dataKey has {found} bytes, and what is encrypted for this private key has {expected}")]
    DataKeyLength { found: usize, expected: usize },
    #[error("dataKey was not encrypted for this private key, or is damaged")]
    DataKeyNotDecrypted,
    #[error("the key in dataKey has {0} bytes instead of {KEY_BYTES}")]
    ContentKeyLength(usize),
    #[error("data is not base64")]
    DataNotBase64,
    #[error("data has {0} bytes, which are not whole blocks of {BLOCK_BYTES}")]
    DataLength(usize),
    #[error("dataSignature is not base64")]
    SignatureNotBase64,
    #[error("dataSignature is not that of data")]
    SignatureDiffers,
    #[error("the padding of the decrypted data is wrong")]
    Padding,
}

/// Opens what was sealed for `key`'s certificate. Which certificate it names is not looked at.
pub fn open(content: &EncryptedContent, key: &OpeningKey) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    if content.data.len() > DATA_CHARS_MAX {
        return Err(OpenError::TooLarge);
    }
    let key = content_key(&content.data_key, key)?;
    let data = BASE64.decode(&content.data).map_err(|_| OpenError::DataNotBase64)?;
    if data.is_empty() || !data.len().is_multiple_of(BLOCK_BYTES) {
        return Err(OpenError::DataLength(data.len()));
    }
    if content.data_signature.len() > SHORT_CHARS_MAX {
        return Err(OpenError::SignatureDiffers);
    }
    let signature = BASE64.decode(&content.data_signature).map_err(|_| OpenError::SignatureNotBase64)?;
    // Compares in constant time.
    hmac::verify(&key.hmac(), &data, &signature).map_err(|Unspecified| OpenError::SignatureDiffers)?;
    decrypted(data, &key, key.iv()).map_err(|Unspecified| OpenError::Padding)
}

pub(super) fn content_key(data_key: &str, key: &OpeningKey) -> Result<ContentKey, OpenError> {
    let of_length = |found| Err(OpenError::DataKeyLength { found, expected: key.bytes() });
    if data_key.len() > SHORT_CHARS_MAX {
        return of_length(data_key.len() / 4 * 3);
    }
    let encrypted = BASE64.decode(data_key).map_err(|_| OpenError::DataKeyNotBase64)?;
    if encrypted.len() != key.bytes() {
        return of_length(encrypted.len());
    }
    let bytes = key.decrypt(&OAEP_SHA1_MGF1SHA1, &encrypted).map_err(|Unspecified| OpenError::DataKeyNotDecrypted)?;
    ContentKey::from_slice(&bytes).ok_or(OpenError::ContentKeyLength(bytes.len()))
}

pub(super) fn decrypted(
    data: Vec<u8>,
    key: &ContentKey,
    iv: FixedLength<BLOCK_BYTES>,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut content = Zeroizing::new(data);
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(key.cipher()?)?;
    let bytes = cipher.decrypt(&mut content, DecryptionContext::Iv128(iv))?.len();
    content.truncate(bytes);
    Ok(content)
}
