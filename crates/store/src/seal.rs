//! Secrets at rest: values sealed with AES-256-GCM, which open only with a key that is kept elsewhere, and only as
//! what they were sealed as. Keys and nonces arrive as values; nothing here knows files.
//!
//! A sealed value is the byte 1, the key's id (8 bytes), the nonce (12), the ciphertext and the tag (16).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};

/// The first byte of a sealed value. What is not sealed never begins with it: JSON, and changes in the log.
pub(crate) const FORM: u8 = 1;
pub const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 8;
const HEADER_BYTES: usize = 1 + ID_BYTES + NONCE_LEN;

/// A nonce. No two values are sealed with one key and one nonce: random ones may seal 2^32 values.
pub type Nonce = [u8; NONCE_LEN];

/// What a key is known by: the beginning of its SHA-256, so that no other key is taken for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that seals and opens.
pub struct Key {
    id: KeyId,
    cipher: LessSafeKey,
}

impl Key {
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut id = KeyId([0; ID_BYTES]);
        id.0.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..ID_BYTES]);
        let cipher = UnboundKey::new(&AES_256_GCM, bytes).expect("a key of AES-256 has 32 bytes");
        Self { id, cipher: LessSafeKey::new(cipher) }
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The ciphertext of `plain` and its tag are appended to `sealed`.
    fn seal(&self, nonce: Nonce, context: &[u8], plain: &[u8], sealed: &mut Vec<u8>) {
        let begin = sealed.len();
        sealed.extend_from_slice(plain);
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
        let tag = self.cipher.seal_in_place_separate_tag(nonce, Aad::from(context), &mut sealed[begin..]);
        sealed.extend_from_slice(tag.expect("nothing that long is sealed").as_ref());
    }

    fn open(&self, nonce: Nonce, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut opened = sealed.to_vec();
        let nonce = aws_lc_rs::aead::Nonce::assume_unique_for_key(nonce);
        let length = self.cipher.open_in_place(nonce, Aad::from(context), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.id).finish()
    }
}

/// The keys at hand: the first seals, all of them open.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Inner>);

struct Inner {
    first: Key,
    others: Vec<Key>,
    nonces: fn() -> Nonce,
}

impl Keys {
    /// `nonces` gives another nonce at each call.
    pub fn new(first: Key, others: Vec<Key>, nonces: fn() -> Nonce) -> Self {
        Self(Arc::new(Inner { first, others, nonces }))
    }

    /// The id of the key that seals.
    pub fn first(&self) -> KeyId {
        self.0.first.id
    }

    pub fn has(&self, id: KeyId) -> bool {
        self.key(id).is_some()
    }

    /// Seals a value that is `what` (`table.column`) of the thing `whose` id this is.
    pub fn seal(&self, what: &str, whose: &[u8], plain: &[u8]) -> Vec<u8> {
        let (key, nonce) = (&self.0.first, (self.0.nonces)());
        let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + AES_256_GCM.tag_len());
        sealed.push(FORM);
        sealed.extend_from_slice(&key.id.0);
        sealed.extend_from_slice(&nonce);
        key.seal(nonce, &context(what, whose), plain, &mut sealed);
        sealed
    }

    /// Opens a value that was sealed as the same.
    pub fn open(&self, what: &str, whose: &[u8], sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let id = sealed_with(sealed).ok_or(UnsealError::NotSealed)?;
        let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(UnsealError::NotSealed)?;
        let key = self.key(id).ok_or(UnsealError::NoKey(id))?;
        let mut nonce = Nonce::default();
        nonce.copy_from_slice(&header[1 + ID_BYTES..]);
        key.open(nonce, &context(what, whose), rest).ok_or(UnsealError::Altered(id))
    }

    fn key(&self, id: KeyId) -> Option<&Key> {
        let Inner { first, others, .. } = &*self.0;
        std::iter::once(first).chain(others).find(|key| key.id == id)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entry(&self.first).entries(&self.others).finish()
    }
}

/// The id of the key that a value is sealed with; `None` if it is not sealed.
pub fn sealed_with(value: &[u8]) -> Option<KeyId> {
    let (FORM, rest) = value.split_first().map(|(form, rest)| (*form, rest))? else { return None };
    rest.first_chunk().copied().map(KeyId)
}

/// What is authenticated beside a value.
fn context(what: &str, whose: &[u8]) -> Vec<u8> {
    [what.as_bytes(), &[0], whose].concat()
}

/// Why a value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    #[error("it is not sealed")]
    NotSealed,
    #[error("it is sealed with the key {0}, which is not at hand")]
    NoKey(KeyId),
    #[error("it was altered since it was sealed with the key {0}, or belongs elsewhere")]
    Altered(KeyId),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(&[byte; KEY_BYTES])
    }

    fn keys(first: u8, others: &[u8]) -> Keys {
        Keys::new(key(first), others.iter().map(|byte| key(*byte)).collect(), || [0x2a; NONCE_LEN])
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// Test case 16 of "The Galois/Counter Mode of Operation" by McGrew and Viega.
    #[test]
    fn the_cipher_is_aes_256_gcm() {
        let bytes = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let key = Key::new(&bytes.try_into().unwrap());
        let nonce: Nonce = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let context = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
        let expected = hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                            8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
                            76fc6ece0f4e1768cddf8853bb2d551b");
        let mut sealed = Vec::new();
        key.seal(nonce, &context, &plain, &mut sealed);
        assert_eq!(sealed, expected);
        assert_eq!(key.open(nonce, &context, &sealed), Some(plain));
    }

    /// Made with another implementation (Python's `cryptography`), from the description at the head of this file.
    #[test]
    fn the_stored_form_stays() {
        let sealed = hex("014bb06f8e4e3a77152a2a2a2a2a2a2a2a2a2a2a2a73b513839e7dadf2\
                          e7c81d523bb88e6bee99d0dbf9cae85b");
        assert_eq!(keys(7, &[]).seal("table.column", b"whose", b"a secret"), sealed);
        assert_eq!(keys(8, &[7]).open("table.column", b"whose", &sealed), Ok(b"a secret".to_vec()));
    }

    #[test]
    fn a_value_opens_only_as_what_it_was_sealed_as() {
        let sealed = keys(7, &[]).seal("table.column", b"whose", b"a secret");
        let altered = Err(UnsealError::Altered(key(7).id()));
        assert_eq!(keys(7, &[]).open("table.column", b"another's", &sealed), altered);
        assert_eq!(keys(7, &[]).open("table.another", b"whose", &sealed), altered);
        assert_eq!(keys(8, &[]).open("table.column", b"whose", &sealed), Err(UnsealError::NoKey(key(7).id())));
        assert_eq!(keys(7, &[]).open("table.column", b"whose", b"{}"), Err(UnsealError::NotSealed));
    }

    #[test]
    fn no_key_is_shown() {
        assert_eq!(format!("{:?}", keys(7, &[8])), format!("Keys([Key({}), Key({})])", key(7).id(), key(8).id()));
    }

    proptest! {
        #[test]
        fn what_was_altered_anywhere_does_not_open(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let keys = keys(7, &[8]);
            let mut sealed = keys.seal("what", b"whose", &plain);
            prop_assert_eq!(keys.open("what", b"whose", &sealed), Ok(plain));
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(keys.open("what", b"whose", &sealed).is_err());
            prop_assert!(keys.open("what", b"whose", &sealed[..at]).is_err());
        }
    }
}
