//! The only source of new identifiers and secrets.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::seal::{KEY_BYTES, Nonce};
use uuid::Uuid;

/// A random (version 4) UUID.
pub fn new_uuid() -> Uuid {
    Uuid::new_v4()
}

/// 256 bits from the operating system, as URL-safe text.
pub fn new_secret() -> String {
    URL_SAFE_NO_PAD.encode(random::<32>())
}

/// A key to seal secrets at rest with.
pub fn new_key() -> [u8; KEY_BYTES] {
    random()
}

pub fn new_nonce() -> Nonce {
    random()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // Without entropy nothing here can be trusted.
        panic!("the operating system gives no random bytes");
    }
    bytes
}
