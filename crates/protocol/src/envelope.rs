//! Resource data on its way to one app: sealed with a key of its own, which only the app's private key
//! gives back. Time and randomness are not known here: the content's key is an argument. What the
//! padding of RSA needs at random the library draws by itself.

pub mod diagnosis;
mod open;

use std::fmt;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

#[cfg(feature = "certificate")]
use crate::certificate::{self, CertificateError};

pub use open::{OpenError, OpeningKey, OpeningKeyError, open};

/// Of the base64 of sealed content. Nobody seals or opens more.
pub const DATA_CHARS_MAX: usize = 8 << 20;
/// Keys that content is sealed for have from this to that many bits.
pub const RSA_BITS_MIN: usize = 2048;
pub const RSA_BITS_MAX: usize = 4096;

const KEY_BYTES: usize = 32;
const BLOCK_BYTES: usize = 16;

/// What an app's certificate seals for: its public key, ready to encrypt.
pub struct SealingKey {
    key: OaepPublicEncryptingKey,
    thumbprint: String,
}

impl SealingKey {
    /// `text` is the certificate as apps send it.
    #[cfg(feature = "certificate")]
    pub fn from_certificate(text: &str) -> Result<Self, CertificateError> {
        let (der, key) = certificate::with_key(text)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| CertificateError::BadKey)?;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
        let thumbprint = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self { key, thumbprint })
    }

    /// SHA-1 of the certificate's DER form, 40 upper-case hexadecimal digits.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

/// The key that one item's content is encrypted and signed with; it must be random, and serves one item.
/// Wiped when dropped.
pub struct ContentKey(Zeroizing<[u8; KEY_BYTES]>);

impl ContentKey {
    /// Wipes its own copy of `bytes`; the caller's is the caller's to wipe.
    pub fn new(mut bytes: [u8; KEY_BYTES]) -> Self {
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        (bytes.len() == KEY_BYTES).then(|| key.copy_from_slice(bytes))?;
        Some(Self(key))
    }

    fn iv(&self) -> FixedLength<BLOCK_BYTES> {
        let mut iv = [0; BLOCK_BYTES];
        iv.copy_from_slice(&self.0[..BLOCK_BYTES]);
        iv.into()
    }

    fn cipher(&self) -> Result<UnboundCipherKey, Unspecified> {
        UnboundCipherKey::new(&AES_256, self.0.as_slice())
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice())
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(…)")
    }
}

/// `changeNotificationEncryptedContent`. A member that was not sent is read as empty; then it does not open.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EncryptedContent {
    /// Base64 of the encrypted content.
    pub data: String,
    /// Base64 of the content's key, encrypted for the certificate.
    pub data_key: String,
    /// Base64 of what the content's key signs: the encrypted bytes, not their base64.
    pub data_signature: String,
    /// As the app named its certificate.
    pub encryption_certificate_id: String,
    /// [`SealingKey::thumbprint`].
    pub encryption_certificate_thumbprint: String,
}

impl fmt::Debug for EncryptedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedContent")
            .field("data_chars", &self.data.len())
            .field("encryption_certificate_id", &self.encryption_certificate_id)
            .field("encryption_certificate_thumbprint", &self.encryption_certificate_thumbprint)
            .finish_non_exhaustive()
    }
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the content would have more than {DATA_CHARS_MAX} characters when sealed")]
    TooLarge,
    #[error("the certificate's key does not encrypt")]
    Key,
    #[error("the content cannot be encrypted")]
    Content,
}

/// How many characters [`EncryptedContent::data`] has for content of so many bytes.
pub fn data_chars(content_bytes: usize) -> usize {
    padded_bytes(content_bytes).div_ceil(3).saturating_mul(4)
}

fn padded_bytes(content_bytes: usize) -> usize {
    (content_bytes / BLOCK_BYTES + 1).saturating_mul(BLOCK_BYTES)
}

/// Seals `content`. `certificate_id` is echoed.
pub fn seal(
    content: &[u8],
    key: &ContentKey,
    to: &SealingKey,
    certificate_id: &str,
) -> Result<EncryptedContent, SealError> {
    if data_chars(content.len()) > DATA_CHARS_MAX {
        return Err(SealError::TooLarge);
    }
    let mut data_key = vec![0; to.key.ciphertext_size()];
    to.key.encrypt(&OAEP_SHA1_MGF1SHA1, key.0.as_slice(), &mut data_key, None).map_err(|Unspecified| SealError::Key)?;
    let data = encrypted(content, key).map_err(|Unspecified| SealError::Content)?;
    let signature = hmac::sign(&key.hmac(), &data);
    Ok(EncryptedContent {
        data: BASE64.encode(&data),
        data_key: BASE64.encode(&data_key),
        data_signature: BASE64.encode(signature),
        encryption_certificate_id: certificate_id.to_owned(),
        encryption_certificate_thumbprint: to.thumbprint.clone(),
    })
}

fn encrypted(content: &[u8], key: &ContentKey) -> Result<Vec<u8>, Unspecified> {
    // With room for the padding, so that no plain copy is left behind by a reallocation.
    let mut data = Vec::with_capacity(padded_bytes(content.len()));
    data.extend_from_slice(content);
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(key.cipher()?)?;
    cipher.less_safe_encrypt(&mut data, EncryptionContext::Iv128(key.iv()))?;
    Ok(data)
}

#[cfg(test)]
mod tests;
