//! What `tidings decrypt` reads, within limits, and what to do with a file that is something else.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use protocol::certificate::CertificateError;
use protocol::envelope::OpeningKeyError;
use protocol::{OpeningKey, SealingKey};
use zeroize::Zeroizing;

const INPUT_BYTES_MAX: u64 = 64 << 20;
const KEY_BYTES_MAX: u64 = 64 << 10;

pub fn input(from: impl Read) -> anyhow::Result<Vec<u8>> {
    bounded(from, INPUT_BYTES_MAX)
}

pub fn input_file(file: &Path) -> anyhow::Result<Vec<u8>> {
    read(file, INPUT_BYTES_MAX)
}

pub fn private_key(file: &Path) -> anyhow::Result<OpeningKey> {
    let bytes = Zeroizing::new(read(file, KEY_BYTES_MAX)?);
    let key = match std::str::from_utf8(&bytes) {
        Ok(text) => OpeningKey::from_pem(text),
        Err(_) => OpeningKey::from_der(&bytes),
    };
    let name = file.display();
    key.map_err(|error| match error {
        OpeningKeyError::Passphrase => {
            anyhow!("it has a passphrase; take that away with `openssl pkey -in {name} -out plain.pem`")
        }
        OpeningKeyError::Pkcs12 => {
            anyhow!("it is PKCS #12; take the key out with `openssl pkcs12 -in {name} -nocerts -nodes -out key.pem`")
        }
        error => error.into(),
    })
    .with_context(|| format!("{name} holds no key that opens anything"))
}

pub fn certificate(file: &Path) -> anyhow::Result<SealingKey> {
    let bytes = read(file, KEY_BYTES_MAX)?;
    let name = file.display();
    let text = String::from_utf8(bytes).unwrap_or_else(|binary| BASE64.encode(binary.as_bytes()));
    SealingKey::from_certificate(&text).map_err(|error| match error {
        CertificateError::Unreadable if text.trim().is_empty() => anyhow!("{name} is empty"),
        CertificateError::Unreadable => anyhow!(
            "{name} is no certificate, or was cut off; it must be one X.509 certificate: PEM, DER, or the base64 of DER"
        ),
        CertificateError::PrivateKey => {
            anyhow!("{name} holds a private key; give a file with the certificate alone")
        }
        error => anyhow!("nothing is sealed for {name}: {}", error.advice()),
    })
}

fn read(file: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let opened = File::open(file).map_err(anyhow::Error::new);
    opened.and_then(|file| bounded(file, most)).with_context(|| format!("cannot read {}", file.display()))
}

fn bounded(from: impl Read, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if from.take(most + 1).read_to_end(&mut bytes)? as u64 > most {
        bail!("it has more than {most} bytes");
    }
    Ok(bytes)
}
