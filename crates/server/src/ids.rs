//! The only source of new identifiers and secrets.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use graph::Timestamp;
use notify::topic::{LockKey, TopicKey};
use protocol::envelope::ContentKey;
use store::Generation;
use store::seal::{KEY_BYTES, Nonce};
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

/// A random (version 4) UUID. It is no secret, so this thread's generator makes it, which the operating system seeds: a
/// request needs several, and to ask the system for each takes longer than to find out who calls.
pub fn new_uuid() -> Uuid {
    Builder::from_random_bytes(rand::random()).into_uuid()
}

/// A (version 7) UUID for what is made now and found by it: 74 bits are random, and what was made one after the other lies
/// together. An index of random keys costs each write a page of its own.
pub fn new_uuid_of(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}

/// The generation of a store that is put back from a backup. It is not the first.
pub fn new_generation() -> Generation {
    Generation((u64::from_be_bytes(random()) >> 1).max(1))
}

/// 256 bits from the operating system, as URL-safe text.
pub fn new_secret() -> String {
    URL_SAFE_NO_PAD.encode(random::<32>())
}

/// A key of a partner topic: 256 bits in the base64 that SDKs decode to sign with.
pub fn new_topic_key() -> TopicKey {
    TopicKey(STANDARD.encode(random::<32>()))
}

/// What the lock tokens of an event subscription are made with.
pub fn new_lock_key() -> LockKey {
    LockKey(random())
}

/// A key to seal secrets at rest with.
pub fn new_key() -> [u8; KEY_BYTES] {
    random()
}

/// The key of one item's content. What it is made in is wiped.
pub fn new_content_key() -> ContentKey {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(bytes.as_mut_slice());
    ContentKey::new(*bytes)
}

pub fn new_nonce() -> Nonce {
    random()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

fn fill(bytes: &mut [u8]) {
    if SystemRandom::new().fill(bytes).is_err() {
        // Without entropy nothing here can be trusted.
        panic!("the operating system gives no random bytes");
    }
}

/// Letters that are hard to take for each other, and spell nothing: what people type.
const TYPED: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// A random code for people to type; each letter is worth 4.3 bits.
pub fn new_code(letters: usize) -> String {
    let mut code = String::new();
    while code.len() < letters {
        let [byte] = random();
        // 240 is the greatest multiple of 20 below 256: so each letter is as likely as any other.
        if byte < 240 {
            code.push(char::from(TYPED[usize::from(byte) % TYPED.len()]));
        }
    }
    code
}
