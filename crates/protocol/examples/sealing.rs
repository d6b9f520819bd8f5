//! Measures what sealing an item costs beside the bare RSA operation of the same library, turn by turn in the same
//! run, and what it costs to parse a certificate.
//! `cargo run --release -p tidings-protocol --example sealing [ROUNDS]`
// It measures, so it needs a clock.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use tidings_protocol::certificate;
use tidings_protocol::envelope::{ContentKey, SealingKey, seal};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const CERTIFICATES: [(u32, &str); 2] = [
    (2048, include_str!("../tests/data/throwaway_certificate_2048.pem")),
    (4096, include_str!("../tests/data/throwaway_certificate_4096.pem")),
];
const CONTENT_BYTES: [usize; 2] = [1 << 10, 4 << 10];

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(20_000);
    println!("| RSA bits | content bytes | bare RSA, µs | seal, µs | ratio | parse the certificate, µs |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for (bits, text) in CERTIFICATES {
        let bare_key = bare_key(text);
        let to = SealingKey::from_certificate(text).expect("a certificate");
        for content_bytes in CONTENT_BYTES {
            let content = vec![b'x'; content_bytes];
            let (mut bare, mut sealing, mut parsing) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..rounds {
                let key = key(round);
                bare.push(timed(|| encrypt(&bare_key, &key)));
                sealing.push(timed(|| seal(&content, &ContentKey::new(key), &to, "certificate").is_ok()));
                parsing.push(timed(|| SealingKey::from_certificate(text).is_ok()));
            }
            let [bare, sealing, parsing] = [bare, sealing, parsing].map(median);
            let ratio = sealing / bare;
            println!("| {bits} | {content_bytes} | {bare:.1} | {sealing:.1} | {ratio:.2} | {parsing:.1} |");
        }
    }
}

fn bare_key(text: &str) -> OaepPublicEncryptingKey {
    let der = certificate::read(text).expect("a certificate");
    let (_, certificate) = X509Certificate::from_der(&der).expect("a certificate");
    let key = PublicEncryptingKey::from_der(certificate.public_key().raw).expect("an RSA key");
    OaepPublicEncryptingKey::new(key).expect("a key that encrypts")
}

fn key(round: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&round.to_le_bytes());
    key
}

fn encrypt(key: &OaepPublicEncryptingKey, bytes: &[u8]) -> bool {
    let mut room = [0; 512];
    key.encrypt(&OAEP_SHA1_MGF1SHA1, bytes, &mut room, None).is_ok()
}

fn timed(run: impl FnOnce() -> bool) -> Duration {
    let start = Instant::now();
    assert!(black_box(run()));
    start.elapsed()
}

/// In microseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6
}
