//! TLS with receivers: whose certificates are believed, which versions are spoken, and the certificate of the server's own.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::SupportedProtocolVersion;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;

use super::*;

/// A certificate authority of a test's own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
    /// Its certificate.
    pub file: PathBuf,
}

/// What a certificate says.
pub struct Leaf {
    pub names: Vec<String>,
    /// The first and the last year in which it counts.
    pub years: (i32, i32),
}

impl Default for Leaf {
    fn default() -> Self {
        Self { names: vec!["hook.example".to_owned()], years: (2020, 4000) }
    }
}

impl Leaf {
    pub fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(self.names.clone()).unwrap();
        params.not_before = rcgen::date_time_ymd(self.years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(self.years.1, 12, 31);
        params
    }
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = crate::ids::new_uuid().to_string();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, directory, file }
    }

    fn issued(&self, params: CertificateParams) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A receiver's TLS with a certificate of this authority.
    pub fn acceptor(&self, leaf: &Leaf, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
        let (certificate, key) = self.issued(leaf.params());
        acceptor(&certificate, &key, versions, None)
    }

    /// The same, which lets nobody in who has no certificate of `clients`.
    fn acceptor_for(&self, clients: &Self, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
        let (certificate, key) = self.issued(Leaf::default().params());
        acceptor(&certificate, &key, versions, Some(clients))
    }

    /// PEM files of a certificate for clients.
    fn client(&self) -> ClientCertificate {
        let mut params = CertificateParams::new(vec!["tidings.example".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = self.issued(params);
        let file = |name: &str, pem: String| {
            let path = self.directory.path().join(name);
            fs::write(&path, pem).unwrap();
            path
        };
        ClientCertificate {
            certificate: file("client.pem", certificate.pem()),
            key: file("key.pem", key.serialize_pem()),
        }
    }
}

pub fn acceptor(
    certificate: &rcgen::Certificate,
    key: &KeyPair,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let roots = super::super::tls::roots(std::slice::from_ref(&clients.file)).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()))
}

/// May call `hook.example` where it is.
pub fn opened() -> Policy {
    Policy { allow: vec!["hook.example".parse().unwrap()], ..Policy::default() }
}

#[tokio::test]
async fn tls_needs_a_known_authority_and_the_right_name() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&Leaf::default(), rustls::ALL_VERSIONS);
    let receiver = Receiver::start_with(Some(acceptor), |_, _| Reply::Send(OK.to_owned())).await;
    let policy =
        Policy { allow: vec!["hook.example".parse().unwrap(), "127.0.0.1".parse().unwrap()], ..Policy::default() };
    let trusting = outbound(policy.clone(), vec![authority.file.clone()]);
    let url = format!("https://hook.example:{}/", receiver.port);
    assert_eq!(outcome(&post(&trusting, &url, LONG).await), Outcome::Acknowledged);
    let wrong_name = post(&trusting, &format!("https://127.0.0.1:{}/", receiver.port), LONG).await;
    assert!(matches!(wrong_name, Err(Failure::Tls(_))), "{wrong_name:?}");
    let stranger = outbound(policy, Vec::new());
    assert!(matches!(post(&stranger, &url, LONG).await, Err(Failure::Tls(_))));
    assert_eq!(stranger.validate(&url, TlsVersion::V1_2, "id").await, Err(HandshakeError::Tls));
}

#[tokio::test]
async fn what_a_subscription_says_of_tls_decides_what_its_receiver_is_offered() {
    use rustls::version::{TLS12, TLS13};
    let policy = Policy { allow: vec!["hook.example".parse().unwrap()], ..Policy::default() };
    let failed = "HttpRequestException: An error occurred while sending the request. WebException: The request was \
                  aborted: Could not create SSL/TLS secure channel.";
    // The pooled connection of the newer one must not serve the older one.
    for (spoken, asked) in [
        (&TLS12, [(TlsVersion::V1_3, true), (TlsVersion::V1_2, true)]),
        (&TLS13, [(TlsVersion::V1_3, true), (TlsVersion::V1_2, false)]),
    ] {
        let authority = Authority::new();
        let acceptor = authority.acceptor(&Leaf::default(), &[spoken]);
        let reply = |_: usize, request: &str| match request.contains("validationToken") {
            true => echo(request, "200 OK", "text/plain", |token| token),
            false => Reply::Send(OK.to_owned()),
        };
        let receiver = Receiver::start_with(Some(acceptor), reply).await;
        let url = format!("https://hook.example:{}/", receiver.port);
        let outbound = outbound(policy.clone(), vec![authority.file.clone()]);
        for (tls, works) in asked {
            let proven = outbound.validate(&url, tls, "id").await.map_err(|error| error.to_string());
            assert_eq!(proven, if works { Ok(()) } else { Err(failed.to_owned()) }, "{spoken:?} {tls:?}");
            let result = outbound.post((&url, tls), JSON, Bytes::from_static(b"{}"), LONG).await;
            let outcome = outcome(&result);
            assert_eq!(outcome, if works { Outcome::Acknowledged } else { Outcome::Unreachable }, "{spoken:?} {tls:?}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_certificate_is_shown_the_operators() {
    for version in rustls::ALL_VERSIONS {
        let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
        let acceptor = authority.acceptor_for(&clients, &[version]);
        let receiver = Receiver::start_with(Some(acceptor), |_, _| Reply::Send(OK.to_owned())).await;
        let url = format!("https://hook.example:{}/", receiver.port);
        let posted = async |client_certificate| {
            let (policy, ca_files) = (opened(), vec![authority.file.clone()]);
            let config = OutboundConfig { policy, ca_files, client_certificate, ..OutboundConfig::default() };
            let outbound = Outbound::with_dns(config, hosts()).unwrap();
            outcome(&outbound.post((&url, TlsVersion::V1_3), JSON, Bytes::new(), LONG).await)
        };
        assert_eq!(posted(Some(clients.client())).await, Outcome::Acknowledged, "{version:?}");
        assert_eq!(posted(Some(strangers.client())).await, Outcome::Unreachable, "{version:?}");
        assert_eq!(posted(None).await, Outcome::Unreachable, "{version:?}");
    }
}

#[test]
fn files_of_a_certificate_that_cannot_be_shown_are_refused_at_the_start() {
    let (one, other) = (Authority::new(), Authority::new());
    let (good, absent) = (one.client(), one.directory.path().join("absent.pem"));
    let with = |certificate: &PathBuf, key: &PathBuf| {
        let own = ClientCertificate { certificate: certificate.clone(), key: key.clone() };
        let config = OutboundConfig { client_certificate: Some(own), ..OutboundConfig::default() };
        Outbound::new(config).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(with(&good.certificate, &good.key), Ok(()));
    for (refused, why) in [
        (with(&good.certificate, &other.client().key), "do not belong together"),
        (with(&good.key, &good.key), "holds no certificate (PEM)"),
        (with(&good.certificate, &good.certificate), "holds no private key (PEM, not encrypted)"),
        (with(&absent, &good.key), "cannot be read"),
    ] {
        assert!(refused.as_ref().is_err_and(|error| error.ends_with(why)), "{refused:?}: {why}");
    }
}

#[tokio::test]
async fn the_name_of_the_url_is_the_one_in_sni_and_host() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&Leaf::default(), rustls::ALL_VERSIONS);
    let (names, mut named) = tokio::sync::mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://HOOK.example:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let hello = tokio_rustls::LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket).await.unwrap();
        names.send(hello.client_hello().server_name().unwrap_or_default().to_owned()).unwrap();
        let mut socket = hello.into_stream(Arc::clone(acceptor.config())).await.unwrap();
        names.send(read_request(&mut socket).await.unwrap()).unwrap();
        socket.write_all(OK.as_bytes()).await.unwrap();
    });
    let result = post(&outbound(opened(), vec![authority.file.clone()]), &url, LONG).await;
    assert_eq!(outcome(&result), Outcome::Acknowledged);
    assert_eq!(named.recv().await.unwrap(), "hook.example");
    assert!(named.recv().await.unwrap().contains("\r\nHost: hook.example:"));
}

#[test]
fn a_ca_file_without_certificates_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    fs::write(&empty, "nothing here").unwrap();
    for (file, text) in
        [(empty, "holds no usable certificate"), (directory.path().join("absent.pem"), "cannot be read")]
    {
        let config = OutboundConfig { ca_files: vec![file], ..OutboundConfig::default() };
        let error = Outbound::new(config).map(drop).unwrap_err().to_string();
        assert!(error.ends_with(text), "{error}");
    }
}
