//! The keys that validation tokens are signed with, read from the server over HTTPS when they are needed: at first, when
//! a token names one that is not known, and every hour. It needs a Tokio runtime.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tidings_receiver::fetch::FetchingReceiver;
//! use tidings_receiver::{OpeningKey, Receiver};
//!
//! let key = OpeningKey::from_pem(&std::fs::read_to_string("key.pem")?)?;
//! let builder = Receiver::builder()
//!     .client_state("a secret of your choice")
//!     .app_id("925bff9f-f6e2-4a69-b858-f71ea2b9b6d0")
//!     .private_key("2026", key);
//!
//! # let graph = false;
//! # let receiver = if graph {
//! // Microsoft Graph itself:
//! let receiver = FetchingReceiver::new(builder, None)?;
//! # receiver
//! # } else {
//! // Or `tidings dev`, with the CA file that it prints:
//! let ca = std::fs::read_to_string("/home/you/.local/share/tidings/ca.pem")?;
//! let receiver = FetchingReceiver::new(builder.authority("https://localhost:8443"), Some(&ca))?;
//! # receiver
//! # };
//!
//! receiver.refresh().await?; // at the start
//! # #[cfg(feature = "axum")]
//! let webhook = tidings_receiver::webhook::Webhook::fetching(receiver.clone()); // or receiver.receive(&body).await?
//! # Ok(())
//! # }
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode, Uri};
use jsonwebtoken::Algorithm;
use protocol::validation_token::Version;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use crate::call::{self, Unusable};
use crate::key_cache::{Found, KeyCache};
use crate::key_set::{ANY_TENANT, KeySet, NoKeySet, PublicKey};
use crate::receiver::{BuildError, Builder, Received, Receiver, Refusal};
use crate::validation_token::clipped;

/// The longest answer, in bytes. Microsoft's key sets have some 20 KiB.
const BYTES_MAX: usize = 512 * 1024;
/// How long both answers may take together.
const READ_MAX: Duration = Duration::from_secs(10);
/// How often a request waits for keys: for those that are being read when it comes, and once more for those that it
/// makes be read.
const READINGS_MAX: usize = 2;

/// Where keys are published, and whom to believe that it is there.
struct Source {
    configuration: Uri,
    /// What the configuration must say that it is of.
    issuer: String,
    tls: TlsConnector,
}

/// Why there is no such receiver.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// It is no URL, or one that keys must not be read from.
    #[error("{0:?} is no https:// URL; http:// is good for localhost only")]
    Url(String),
    /// `ca_pem` holds no certificate.
    #[error("ca_pem holds no certificate in PEM")]
    NoCertificate,
    /// This machine trusts no CA, and none was given.
    #[error("this machine trusts no CA; give one")]
    NoCa,
    /// The receiver itself lacks something.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl From<Unusable> for SetupError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Url(url) => Self::Url(url),
            Unusable::NoCertificate => Self::NoCertificate,
            Unusable::NoCa => Self::NoCa,
        }
    }
}

/// Why keys were not read.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    /// The URL must not be called.
    #[error(transparent)]
    Source(#[from] SetupError),
    /// No connection came about, or it broke.
    #[error("{url} was not read: {reason}")]
    Call {
        /// Which URL.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Something else than 200 was answered.
    #[error("{url} was answered with status {status}")]
    Status {
        /// Which URL.
        url: String,
        /// What was answered.
        status: u16,
    },
    /// It is no OpenID configuration.
    #[error("{0} holds no OpenID configuration: a JSON object with `issuer` and `jwks_uri`")]
    Configuration(String),
    /// The configuration is of somebody else, who could have tokens issued in the authority's name.
    #[error(
        "{url} is the configuration of {found:?} and not of {expected:?}: is the authority's name spelt as it spells it?"
    )]
    Issuer {
        /// Which URL.
        url: String,
        /// Whose it says that it is.
        found: String,
        /// The authority's name for all tenants.
        expected: String,
    },
    /// It holds no keys.
    #[error(transparent)]
    Keys(#[from] NoKeySet),
    /// It took too long.
    #[error("the keys were not read within {READ_MAX:?}")]
    TimedOut,
}

impl Source {
    fn new(authority: &str, ca_pem: Option<&str>) -> Result<Self, SetupError> {
        let configuration = callable(&format!("{authority}/common/v2.0/.well-known/openid-configuration"))?;
        let issuer = Version::V2 { origin: authority }.issuer(ANY_TENANT);
        let tls = call::tls(ca_pem, &configuration)?;
        Ok(Self { configuration, issuer, tls })
    }

    /// Reads the configuration and then the keys. Redirects are not followed.
    async fn read(&self) -> Result<KeySet, FetchError> {
        tokio::time::timeout(READ_MAX, self.read_both()).await.map_err(|_| FetchError::TimedOut)?
    }

    async fn read_both(&self) -> Result<KeySet, FetchError> {
        #[derive(Deserialize)]
        struct Configuration {
            issuer: String,
            jwks_uri: String,
        }
        let text = self.get(&self.configuration).await?;
        let url = || self.configuration.to_string();
        let Configuration { issuer, jwks_uri } =
            serde_json::from_slice(&text).map_err(|_| FetchError::Configuration(url()))?;
        if issuer != self.issuer {
            return Err(FetchError::Issuer { url: url(), found: clipped(&issuer), expected: self.issuer.clone() });
        }
        Ok(KeySet::read(&self.get(&callable(&jwks_uri)?).await?)?)
    }

    async fn get(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let failed = |reason: String| FetchError::Call { url: url.to_string(), reason };
        let (status, body) = self.exchange(url).await.map_err(failed)?;
        match status {
            StatusCode::OK => Ok(body),
            status => Err(FetchError::Status { url: url.to_string(), status: status.as_u16() }),
        }
    }

    async fn exchange(&self, url: &Uri) -> Result<(StatusCode, Bytes), String> {
        let mut sender = call::connect(&self.tls, url).await?;
        let host = url.authority().map_or("", |authority| authority.as_str());
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(path).header(HOST, host).header(ACCEPT, "application/json");
        let request = request.body(Full::default()).map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        Ok((status, call::collect(response.into_body(), BYTES_MAX).await?))
    }
}

/// A URL that keys may be read from: whoever answers for it decides whose tokens are good.
fn callable(url: &str) -> Result<Uri, SetupError> {
    Ok(call::callable(url)?)
}

/// A receiver with the keys of its authority, as they are now. Cloning it is cheap; all clones share them.
#[derive(Clone)]
pub struct FetchingReceiver(Arc<Shared>);

struct Shared {
    receiver: Arc<Receiver>,
    source: Source,
    state: Mutex<State>,
    /// Tells those who wait that the keys were read, or not.
    done: watch::Sender<()>,
    started: Instant,
}

#[derive(Default)]
struct State {
    cache: KeyCache,
    /// Why they could not be read the last time.
    failure: Option<String>,
}

impl FetchingReceiver {
    /// The receiver of this builder, which needs no keys of its own. Theirs are read when first needed, over TLS from the
    /// builder's `authority`; whom to believe that it is there say the CAs that this machine trusts, and those of
    /// `ca_pem`: certificates in PEM, one after the other, such as the CA file that `tidings dev` prints.
    pub fn new(builder: Builder, ca_pem: Option<&str>) -> Result<Self, SetupError> {
        let receiver = Arc::new(builder.keys(KeySet::default()).build()?);
        let source = Source::new(receiver.authority(), ca_pem)?;
        let (state, done) = (Mutex::default(), watch::Sender::new(()));
        Ok(Self(Arc::new(Shared { receiver, source, state, done, started: Instant::now() })))
    }

    /// The receiver, to open data with.
    pub fn receiver(&self) -> &Arc<Receiver> {
        &self.0.receiver
    }

    /// Reads the keys if there are none or old ones. Say this at the start: otherwise the first request with data waits until
    /// they are there, and it has three seconds.
    pub async fn refresh(&self) -> Result<(), Refusal> {
        let mut done = self.0.done.subscribe();
        let read_now = self.0.state().cache.refresh(self.0.started.elapsed());
        if read_now {
            self.begin_to_read();
            let _ = done.changed().await;
        }
        self.0.state().failure.clone().map_or(Ok(()), |failure| Err(Refusal::KeysUnavailable(failure)))
    }

    /// [`Receiver::receive`] with these keys, at the present time.
    pub async fn receive(&self, body: &[u8]) -> Result<Received, Refusal> {
        let receiver = &self.0.receiver;
        let unverified = receiver.read(body)?;
        let mut found = Vec::new();
        for kid in unverified.key_ids() {
            found.extend(self.find(&kid).await?);
        }
        receiver.verify(unverified, &found.into_iter().collect(), SystemTime::now())
    }

    /// The key of this name. Waits until keys were read, if they must be.
    async fn find(&self, kid: &str) -> Result<Option<Arc<PublicKey>>, Refusal> {
        let mut done = self.0.done.subscribe();
        for _ in 0..=READINGS_MAX {
            let answer = self.0.state().cache.find(kid, Algorithm::RS256, self.0.started.elapsed());
            if answer.read_now {
                self.begin_to_read();
            }
            match answer.found {
                Found::Key { key, .. } => return Ok(Some(key)),
                Found::Unknown => return Ok(None),
                Found::Unavailable => break,
                // Reading has a deadline, and its end is told whatever comes of it.
                Found::Reading => drop(done.changed().await),
            }
        }
        Err(Refusal::KeysUnavailable(self.0.state().failure.clone().unwrap_or_default()))
    }

    /// Reads the keys beside all requests. The cache has said to.
    fn begin_to_read(&self) {
        let mut reading = Reading { shared: Arc::clone(&self.0), outcome: Err("reading was broken off".to_owned()) };
        tokio::spawn(async move {
            let outcome = reading.shared.source.read().await;
            reading.end(outcome);
        });
    }
}

/// One reading of the keys. However it ends, and if its runtime ends with it, those who wait are told.
struct Reading {
    shared: Arc<Shared>,
    outcome: Result<KeySet, String>,
}

impl Reading {
    fn end(&mut self, outcome: Result<KeySet, FetchError>) {
        self.outcome = outcome.map_err(|error| error.to_string());
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let (keys, failure) = match std::mem::replace(&mut self.outcome, Err(String::new())) {
            Ok(keys) => (Some(keys), None),
            Err(failure) => (None, Some(failure)),
        };
        let mut state = self.shared.state();
        state.cache.done(keys, self.shared.started.elapsed());
        state.failure = failure;
        drop(state);
        self.shared.done.send_replace(());
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
