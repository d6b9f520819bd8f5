//! What apps prove themselves with, as it is kept.

use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256 as lower-case hexadecimal: how secrets that apps present are kept.
pub fn sha256_hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
