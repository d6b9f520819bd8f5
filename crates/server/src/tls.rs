//! Certificates of the server's own listeners: the development CA, or files that the operator names.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use graph::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

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

/// The operator's certificate chain and key, both PEM.
pub fn from_files(certificates: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let read = || CertificateDer::pem_file_iter(certificates)?.collect::<Result<Vec<_>, _>>();
    let chain = read().with_context(|| format!("cannot read certificates from {} (PEM)", certificates.display()))?;
    anyhow::ensure!(!chain.is_empty(), "{} holds no certificate (PEM)", certificates.display());
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read a private key from {} (PEM, not encrypted)", key.display()))?;
    server_config(chain, key)
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and the key do not belong together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
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
