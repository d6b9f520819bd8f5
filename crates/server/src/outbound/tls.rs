//! What is spoken with receivers under TLS: whose certificates are believed, which versions, and what certificate the
//! server has itself for those that ask.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use notify::subscription::TlsVersion;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

const FILE_BYTES_MAX: u64 = 4 << 20;

/// TLS cannot be set up with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the file {path} cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the CA file {path} holds no usable certificate")]
    NoAuthority { path: PathBuf },
    #[error("the file {path} holds no certificate (PEM)")]
    NoCertificate { path: PathBuf },
    #[error("the file {path} holds no private key (PEM, not encrypted)")]
    NoKey { path: PathBuf },
    #[error("the certificate in {certificate} and the key in {key} do not belong together")]
    Mismatch { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// PEM files of the certificate that the server shows to receivers that ask for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// With the chain behind it.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl ClientCertificate {
    pub fn read(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        let chain = certificates(&self.certificate)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { path: self.certificate.clone() });
        }
        let no_key = |_| TlsError::NoKey { path: self.key.clone() };
        let key = PrivateKeyDer::from_pem_slice(&bounded(&self.key)?).map_err(no_key)?;
        let together = CertifiedKey::from_der(chain, key, &default_provider());
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        Ok(Arc::new(together.map_err(|source| TlsError::Mismatch { certificate, key, source })?))
    }
}

/// What receivers' certificates are judged by: the system's roots and those in `ca_files` (PEM).
pub fn roots(ca_files: &[PathBuf]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a system root certificate was passed over");
    }
    roots.add_parsable_certificates(native.certs);
    for path in ca_files {
        let unusable = || TlsError::NoAuthority { path: path.clone() };
        let certificates = certificates(path)?;
        if certificates.is_empty() {
            return Err(unusable());
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|_| unusable())?;
        }
    }
    if roots.is_empty() {
        tracing::warn!("no root certificates are known; no HTTPS receiver can be called");
    }
    Ok(Arc::new(roots))
}

/// TLS 1.2, and 1.3 only if that is the latest version that the receiver is said to speak.
pub fn config(
    roots: Arc<RootCertStore>,
    own: Option<Arc<CertifiedKey>>,
    latest: TlsVersion,
) -> Result<ClientConfig, TlsError> {
    let versions: &[_] = match latest {
        TlsVersion::V1_2 => &[&rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let provider: Arc<CryptoProvider> = Arc::new(default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?.with_root_certificates(roots);
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = bounded(path)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>();
    certificates.map_err(|_| TlsError::NoCertificate { path: path.to_owned() })
}

/// The file, unless it is far longer than any of its kind.
fn bounded(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    fs::read(path).map_err(unreadable)
}
