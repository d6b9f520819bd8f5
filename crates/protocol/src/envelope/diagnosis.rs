//! Why content does not open, in words for who debugs a receiver, or whatever else seals: it tries what people
//! get wrong. What only opens in a wrong way is not given out.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, Pkcs1PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD, URL_SAFE};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::open::{content_key, decrypted};
use super::{BLOCK_BYTES, EncryptedContent, KEY_BYTES, OpenError, OpeningKey, open};

/// The steps by which content opens, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    DataKey,
    Data,
    Signature,
    Decryption,
    Content,
}

/// What went wrong at which step, and why if that is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub step: Step,
    pub failure: Failure,
    pub cause: Option<Cause>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Open(OpenError),
    #[error("what was decrypted is not JSON")]
    NotJson,
}

/// Something that was found by trying it out. `Display` says what is the matter and how it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is in base64url; it must be in base64, with + and / and with = at the end")]
    Base64Url(&'static str),
    #[error("{0} has white space in it, after {1} characters; take it out")]
    WhiteSpace(&'static str, usize),
    #[error("{0} lacks the = at its end that base64 has; it is cut, or they were taken away")]
    Unpadded(&'static str),
    #[error("{0} and {1} stand in each other's place")]
    Exchanged(&'static str, &'static str),
    #[error("it was encrypted for an RSA key of {sealed} bits, and this private key has {this}: find the other one")]
    OtherKey { sealed: usize, this: usize },
    #[error("dataKey opens with OAEP and SHA-256; Graph uses SHA-1, as the hash and in MGF1")]
    OaepSha256,
    #[error(
        "dataKey opens with the padding of PKCS #1 version 1.5; Graph uses OAEP with SHA-1, as the hash and in MGF1"
    )]
    Pkcs1Padding,
    #[error(
        "the key in dataKey is written in base64 or hexadecimal digits; it must be the {KEY_BYTES} bytes themselves"
    )]
    KeyAsText,
    #[error("dataSignature signs the base64 of data; it must sign the bytes that data gives when it is decoded")]
    SignsBase64,
    #[error("dataSignature signs the content; it must sign the encrypted bytes")]
    SignsContent,
    #[error("dataSignature is in hexadecimal digits; it must be the base64 of its 32 bytes")]
    SignatureAsHex,
    #[error("dataSignature has {0} bytes; an HMAC with SHA-256 has 32")]
    SignatureLength(usize),
    #[error("data decrypts all the same: dataSignature is damaged, of another notification, or made in another way")]
    OnlySignature,
    #[error("the IV was zero; it must be the first {BLOCK_BYTES} bytes of the key in dataKey")]
    ZeroIv,
    #[error("the IV stands before the encrypted bytes; it must be the first {BLOCK_BYTES} bytes of the key in dataKey")]
    IvBefore,
    #[error("the IV was another one; it must be the first {BLOCK_BYTES} bytes of the key in dataKey")]
    OtherIv,
    #[error("it begins with a byte order mark, which JSON has not")]
    ByteOrderMark,
    #[error("it is UTF-16; it must be UTF-8")]
    Utf16,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DataKey => "step 1 (decrypting dataKey with the private key)",
            Self::Data => "step 2 (decoding data)",
            Self::Signature => "step 3 (checking dataSignature)",
            Self::Decryption => "step 4 (decrypting data)",
            Self::Content => "step 5 (reading the content)",
        })
    }
}

impl Diagnosis {
    /// What may be the reason where none was found.
    pub fn guess(&self) -> &'static str {
        match self.failure {
            Failure::Open(OpenError::TooLarge) => "nobody seals so much in one notification",
            Failure::Open(OpenError::DataKeyNotDecrypted) => {
                "it was sealed for another certificate, it is damaged, or it was encrypted in another way than with \
                 OAEP and SHA-1 (as the hash and in MGF1, with an empty label)"
            }
            Failure::Open(OpenError::ContentKeyLength(_)) => "the key is one of AES-256 and has 32 bytes",
            Failure::Open(OpenError::SignatureDiffers) => {
                "data or dataSignature is damaged, they are of different notifications, or it is no HMAC with SHA-256 \
                 whose key is the one in dataKey"
            }
            Failure::Open(OpenError::Padding) => {
                "it was encrypted in another way than with AES-256 in CBC mode and padding as in PKCS #7"
            }
            Failure::NotJson => {
                "it was sealed as something else, or encrypted in another way than with AES-256 in CBC mode"
            }
            Failure::Open(_) => "it was cut or changed on its way",
        }
    }
}

/// Opens content as [`open`] does and looks whether it is JSON.
pub fn examine(content: &EncryptedContent, key: &OpeningKey) -> Result<Zeroizing<Vec<u8>>, Diagnosis> {
    let failure = match open(content, key) {
        Ok(opened) if is_json(&opened) => return Ok(opened),
        Ok(opened) => {
            let cause = of_text(&opened).or_else(|| of_iv(content, key));
            return Err(Diagnosis { step: Step::Content, failure: Failure::NotJson, cause });
        }
        Err(error) => error,
    };
    let (step, cause) = match failure {
        OpenError::TooLarge => (Step::Data, None),
        OpenError::DataKeyNotBase64 => (Step::DataKey, of_base64("dataKey", &content.data_key)),
        OpenError::DataKeyLength { found, expected } => (Step::DataKey, of_length(content, found, expected)),
        OpenError::DataKeyNotDecrypted => (Step::DataKey, of_padding(content, key)),
        OpenError::ContentKeyLength(_) => (Step::DataKey, of_content_key(content, key)),
        OpenError::DataNotBase64 => (Step::Data, of_base64("data", &content.data)),
        OpenError::DataLength(bytes) => (Step::Data, (bytes == 0).then_some(Cause::Missing("data"))),
        OpenError::SignatureNotBase64 => (Step::Signature, of_base64("dataSignature", &content.data_signature)),
        OpenError::SignatureDiffers => (Step::Signature, of_signature(content, key)),
        OpenError::Padding => (Step::Decryption, of_iv(content, key)),
    };
    let cause = exchanged(content, key).or(cause);
    Err(Diagnosis { step, failure: Failure::Open(failure), cause })
}

fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Two members in each other's place.
fn exchanged(content: &EncryptedContent, key: &OpeningKey) -> Option<Cause> {
    let EncryptedContent { data, data_key, data_signature, .. } = content;
    let orders = [
        ([data_key, data, data_signature], Cause::Exchanged("data", "dataKey")),
        ([data_signature, data_key, data], Cause::Exchanged("data", "dataSignature")),
        ([data, data_signature, data_key], Cause::Exchanged("dataKey", "dataSignature")),
    ];
    orders.into_iter().find_map(|([data, data_key, data_signature], cause)| {
        let other = EncryptedContent {
            data: data.clone(),
            data_key: data_key.clone(),
            data_signature: data_signature.clone(),
            ..EncryptedContent::default()
        };
        open(&other, key).ok().map(|_| cause)
    })
}

fn of_base64(name: &'static str, text: &str) -> Option<Cause> {
    if text.is_empty() {
        return Some(Cause::Missing(name));
    }
    if let Some(at) = text.chars().position(char::is_whitespace) {
        return Some(Cause::WhiteSpace(name, at));
    }
    if text.contains(['-', '_']) && URL_SAFE.decode(padded(text)).is_ok() {
        return Some(Cause::Base64Url(name));
    }
    (!text.len().is_multiple_of(4) && STANDARD_NO_PAD.decode(text).is_ok()).then_some(Cause::Unpadded(name))
}

fn padded(base64: &str) -> String {
    let unpadded = base64.trim_end_matches('=');
    format!("{unpadded}{}", "=".repeat(unpadded.len().wrapping_neg() % 4))
}

fn of_length(content: &EncryptedContent, found: usize, expected: usize) -> Option<Cause> {
    /// Whole keys only: anything else was cut.
    const KEYS: [usize; 4] = [256, 384, 512, 1024];
    if KEYS.contains(&found) {
        return Some(Cause::OtherKey { sealed: found * 8, this: expected * 8 });
    }
    content.data_key.is_empty().then_some(Cause::Missing("dataKey"))
}

fn of_padding(content: &EncryptedContent, key: &OpeningKey) -> Option<Cause> {
    let encrypted = BASE64.decode(&content.data_key).ok()?;
    if key.decrypt(&OAEP_SHA256_MGF1SHA256, &encrypted).is_ok() {
        return Some(Cause::OaepSha256);
    }
    let pkcs1 = Pkcs1PrivateDecryptingKey::new(key.key.clone()).ok()?;
    let mut room = Zeroizing::new(vec![0; pkcs1.min_output_size()]);
    // This padding is met by chance now and then, but not with a key of the right length.
    let bytes = pkcs1.decrypt(&encrypted, &mut room).ok()?;
    (bytes.len() == KEY_BYTES).then_some(Cause::Pkcs1Padding)
}

fn of_content_key(content: &EncryptedContent, key: &OpeningKey) -> Option<Cause> {
    let encrypted = BASE64.decode(&content.data_key).ok()?;
    let bytes = key.decrypt(&OAEP_SHA1_MGF1SHA1, &encrypted).ok()?;
    let is_base64 = BASE64.decode(&*bytes).is_ok_and(|key| key.len() == KEY_BYTES);
    let is_hex = bytes.len() == 2 * KEY_BYTES && bytes.iter().all(u8::is_ascii_hexdigit);
    (is_base64 || is_hex).then_some(Cause::KeyAsText)
}

fn of_signature(content: &EncryptedContent, key: &OpeningKey) -> Option<Cause> {
    if content.data_signature.is_empty() {
        return Some(Cause::Missing("dataSignature"));
    }
    let key = content_key(&content.data_key, key).ok()?;
    let signature = BASE64.decode(&content.data_signature).ok()?;
    let signs = |bytes: &[u8]| hmac::verify(&key.hmac(), bytes, &signature).is_ok();
    if signs(content.data.as_bytes()) {
        return Some(Cause::SignsBase64);
    }
    let is_hex = content.data_signature.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && content.data_signature.len() == 2 * KEY_BYTES {
        return Some(Cause::SignatureAsHex);
    }
    if signature.len() != 32 {
        return Some(Cause::SignatureLength(signature.len()));
    }
    let content = decrypted(BASE64.decode(&content.data).ok()?, &key, key.iv()).ok()?;
    if signs(&content) {
        return Some(Cause::SignsContent);
    }
    is_json(&content).then_some(Cause::OnlySignature)
}

/// Another IV changes the first block only.
fn of_iv(content: &EncryptedContent, key: &OpeningKey) -> Option<Cause> {
    let key = content_key(&content.data_key, key).ok()?;
    let data = BASE64.decode(&content.data).ok()?;
    if decrypted(data.clone(), &key, [0; BLOCK_BYTES].into()).is_ok_and(|content| is_json(&content)) {
        return Some(Cause::ZeroIv);
    }
    let content = decrypted(data, &key, key.iv()).ok()?;
    let rest = content.get(BLOCK_BYTES..)?;
    if is_json(rest) {
        return Some(Cause::IvBefore);
    }
    // The first letter may have begun in the block before.
    let cut = rest.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    let ends_as_json = matches!(rest.trim_ascii_end().last(), Some(b'}' | b']'));
    (ends_as_json && std::str::from_utf8(&rest[cut..]).is_ok()).then_some(Cause::OtherIv)
}

fn of_text(content: &[u8]) -> Option<Cause> {
    if content.strip_prefix(b"\xef\xbb\xbf").is_some_and(is_json) {
        return Some(Cause::ByteOrderMark);
    }
    let is_utf16 = [u16::from_le_bytes, u16::from_be_bytes].into_iter().any(|number| {
        let units: Vec<u16> = content.chunks_exact(2).map(|pair| number([pair[0], pair[1]])).collect();
        String::from_utf16(&units).is_ok_and(|text| is_json(text.trim_start_matches('\u{feff}').as_bytes()))
    });
    is_utf16.then_some(Cause::Utf16)
}

#[cfg(test)]
mod tests;
