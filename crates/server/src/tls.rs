//! Certificates of the server's own listeners: the development CA, or files that the operator names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, anyhow};
use graph::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::data_dir::DataDir;

/// The development CA's certificate, in the data directory.
pub const CA_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca-key.pem";
const CA_NAME: &str = "Tidings development CA";
/// The names and addresses that the development certificate is good for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes the development CA once, and from it a certificate for this run.
pub fn development(dir: &DataDir, now: Timestamp) -> anyhow::Result<Arc<ServerConfig>> {
    let key_pem = dir.made_once(CA_KEY_FILE, || Ok(KeyPair::generate()?.serialize_pem().into_bytes()))?;
    let key_pem = String::from_utf8(key_pem).with_context(|| format!("{CA_KEY_FILE} is not PEM text"))?;
    let ca_key = KeyPair::from_pem(&key_pem).with_context(|| format!("cannot read {CA_KEY_FILE}; remove it"))?;
    let year = year_of(now);
    dir.made_once(CA_FILE, || Ok(ca_params(year)?.self_signed(&ca_key)?.pem().into_bytes()))?;
    let issuer = Issuer::new(ca_params(year)?, ca_key);

    let mut params = CertificateParams::new(NAMES.map(String::from))?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 2, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| anyhow::anyhow!(why))?;
    server_config(vec![certificate.der().clone()], key)
}

/// The operator's certificate chain and key, both PEM, which can be read again while listeners serve with them.
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Files {
    pub fn read(certificate: &Path, key: &Path, now: Timestamp) -> anyhow::Result<Arc<Self>> {
        let current = RwLock::new(Arc::new(certified(certificate, key, now)?));
        Ok(Arc::new(Self { certificate: certificate.to_owned(), key: key.to_owned(), current }))
    }

    /// Takes what the files hold now for connections to come. On an error what it had stays.
    pub fn read_again(&self, now: Timestamp) -> anyhow::Result<()> {
        let new = Arc::new(certified(&self.certificate, &self.key, now)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    pub fn config(self: Arc<Self>) -> anyhow::Result<Arc<ServerConfig>> {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        Ok(speaking_http(builder.with_cert_resolver(self)))
    }
}

/// Without its key.
impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").field(&self.certificate).field(&self.key).finish()
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A certificate that is not valid at `now` is taken, with a warning: clocks differ.
fn certified(certificates: &Path, key: &Path, now: Timestamp) -> anyhow::Result<CertifiedKey> {
    let read = || CertificateDer::pem_file_iter(certificates)?.collect::<Result<Vec<_>, _>>();
    let chain = read().with_context(|| format!("cannot read certificates from {} (PEM)", certificates.display()))?;
    let first = chain.first().cloned();
    let first = first.with_context(|| format!("{} holds no certificate (PEM)", certificates.display()))?;
    let from = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {} (PEM, not encrypted)", key.display()))?;
    let certified = CertifiedKey::from_der(chain, from, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            anyhow!("the certificate {} and the key {} do not belong together", certificates.display(), key.display())
        }
        error => {
            anyhow::Error::new(error).context(format!("the certificate {} cannot be used", certificates.display()))
        }
    })?;
    warn_of_time(certificates, &first, now);
    Ok(certified)
}

fn warn_of_time(file: &Path, certificate: &CertificateDer<'_>, now: Timestamp) {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return };
    let (validity, now, file) = (certificate.validity(), now.as_micros() / 1_000_000, file.display());
    if now < validity.not_before.timestamp() {
        tracing::warn!(%file, from = %validity.not_before, "the certificate is not valid yet; clients will refuse it");
    }
    if now > validity.not_after.timestamp() {
        tracing::warn!(%file, until = %validity.not_after, "the certificate has expired; clients will refuse it");
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(speaking_http(config))
}

fn speaking_http(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

fn ca_params(year: i32) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 20, 1, 1);
    Ok(params)
}

fn year_of(now: Timestamp) -> i32 {
    now.to_string().get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_255_200);

    fn write(dir: &Path, certificate: &KeyPair, key: &KeyPair) {
        let params = CertificateParams::new(vec!["mail.example".to_owned()]).unwrap();
        std::fs::write(dir.join("chain"), params.self_signed(certificate).unwrap().pem()).unwrap();
        std::fs::write(dir.join("key"), key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_one_without_its_key_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = [(); 2].map(|()| KeyPair::generate().unwrap());
        write(dir.path(), &first, &first);
        let files = Files::read(&dir.path().join("chain"), &dir.path().join("key"), NOW).unwrap();
        let serves = || files.current.read().unwrap().cert[0].clone();
        let before = serves();
        write(dir.path(), &second, &first);
        let refusal = files.read_again(NOW).unwrap_err().to_string();
        assert!(refusal.contains("do not belong together"), "{refusal}");
        assert_eq!(serves(), before);
        write(dir.path(), &second, &second);
        files.read_again(NOW).unwrap();
        assert_ne!(serves(), before);
    }
}
