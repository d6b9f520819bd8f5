//! Issuers other than the built-in one: identity providers that the operator names, whose tokens are accepted
//! here.
//!
//! The persons of the play: [`rules`] say what an issuer's tokens look like; a [`discovery`] reads its keys,
//! when a [`KeyCache`] says so; [`claims`] are read by the rules; and what the directory knows of their
//! bearer is asked in `standing`. What is wrong with a token is told to the log as a [`reason`], and
//! to its bearer in a few words that are always the same.

mod claims;
mod discovery;
mod reason;
mod rules;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graph::Timestamp;
use jsonwebtoken::Algorithm;
use receiver::jwt;
use receiver::key_cache::{Found, KeyCache};
use receiver::key_set::PublicKey;
use store::StoreError;
use tokio::sync::watch;

pub use claims::{Claimed, Subject};
pub use discovery::{Discovery, PublishError, Publisher};
pub use reason::Reason;
pub use rules::{AppOnly, ClaimNames, IssuerName, Rules, SKEW_SECONDS_MAX, TenantRule, UserBy, is_asymmetric};

use self::claims::Claims;
use self::reason::{Told, clipped};
use super::remembered::{Held, Remembered, Skew};
use super::tokens::TokenError;
use crate::clock::Clock;
use crate::http::error::ApiError;

/// How often a token waits for its issuer's keys: for those that are being read when it comes, and once more
/// for those that it makes be read.
const READINGS_MAX: usize = 2;

/// Why a token is not accepted.
#[derive(Debug)]
pub enum NotAccepted {
    For(Reason),
    /// The keys of its issuer could not be read, so that nobody knows.
    Unavailable,
    /// The directory does not let its bearer in, or could not be asked.
    Standing(ApiError),
}

impl From<Reason> for NotAccepted {
    fn from(reason: Reason) -> Self {
        Self::For(reason)
    }
}

impl From<TokenError> for NotAccepted {
    fn from(error: TokenError) -> Self {
        Self::Standing(error.into())
    }
}

impl From<StoreError> for NotAccepted {
    fn from(error: StoreError) -> Self {
        Self::Standing(error.into())
    }
}

/// All issuers that the configuration names.
pub struct Issuers {
    all: Vec<Arc<Issuer>>,
    told: Mutex<Told>,
    clock: Clock,
}

/// One of them, with its keys.
struct Issuer {
    rules: Rules,
    publisher: Box<dyn Publisher>,
    keys: Mutex<KeyCache>,
    /// Tells those who wait that the keys were read, or not.
    done: watch::Sender<()>,
    remembered: Remembered<Claimed>,
    clock: Clock,
}

impl Issuers {
    pub fn new(all: Vec<(Rules, Box<dyn Publisher>)>, clock: Clock) -> Self {
        let issuer = |(rules, publisher)| {
            let (keys, done, remembered) = (Mutex::default(), watch::Sender::new(()), Remembered::default());
            Arc::new(Issuer { rules, publisher, keys, done, remembered, clock: clock.clone() })
        };
        Self { all: all.into_iter().map(issuer).collect(), told: Mutex::default(), clock }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Begins to read the keys of all, so that the first tokens need not wait and the log says early what is
    /// wrong. Needs a runtime.
    pub fn read_keys(&self) {
        for issuer in &self.all {
            if lock(&issuer.keys).refresh(self.clock.elapsed()) {
                issuer.begin_to_read();
            }
        }
    }

    /// Who bears this token at `now`, as its issuer says.
    pub async fn check(&self, token: &str, now: Timestamp) -> Result<Arc<Claimed>, NotAccepted> {
        let iss = jwt::named_issuer(token).ok_or(Reason::Unreadable)?;
        let issuer = self.all.iter().find(|issuer| issuer.rules.name.matches(&iss));
        issuer.ok_or_else(|| Reason::Issuer(clipped(&iss)))?.check(token, now).await
    }

    /// Tells the log why a token was not accepted; not of each one, for anybody may send them.
    pub fn tell(&self, reason: &Reason) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).tell(reason, self.clock.mono());
        if let Some(passed_over) = told {
            tracing::warn!(%reason, passed_over, "a token of another issuer was refused");
        }
    }
}

impl Issuer {
    async fn check(self: &Arc<Self>, token: &str, now: Timestamp) -> Result<Arc<Claimed>, NotAccepted> {
        let held = match self.remembered.get(token) {
            Some(held) => {
                if lock(&self.keys).refresh(self.clock.elapsed()) {
                    self.begin_to_read();
                }
                held
            }
            None => self.verify(token).await?,
        };
        let skew = Skew { early: self.rules.skew_seconds, late: self.rules.skew_seconds };
        Ok(held.at(now, skew).map_err(|_| Reason::Expired)?)
    }

    async fn verify(self: &Arc<Self>, token: &str) -> Result<Held<Claimed>, NotAccepted> {
        let header = jwt::header(token).ok_or(Reason::Unreadable)?;
        if !self.rules.algorithms.contains(&header.alg) {
            return Err(Reason::Algorithm(header.alg).into());
        }
        let kid = header.kid.ok_or(Reason::NoKey)?;
        let (key, generation) = self.key(&kid, header.alg).await?;
        let claims: Claims = jwt::open(token, &key.decoding, &[header.alg]).ok_or(Reason::Signature)?;
        let claimed = Claimed::read(&self.rules, &claims)?;
        let text = |name: &str| claims.find(name).and_then(serde_json::Value::as_str);
        if !key.signs_for(text("iss").unwrap_or_default(), text("tid")) {
            return Err(Reason::KeyIssuer.into());
        }
        let held = Held { not_before: claimed.not_before, expires: claimed.expires, bearer: Arc::new(claimed) };
        // If the keys were read again meanwhile, the next time tells.
        self.remembered.remember(token, &held, || lock(&self.keys).generation() == generation);
        Ok(held)
    }

    /// The key of this name, and which reading of the keys it is of.
    async fn key(self: &Arc<Self>, kid: &str, algorithm: Algorithm) -> Result<(Arc<PublicKey>, u64), NotAccepted> {
        let mut done = self.done.subscribe();
        for _ in 0..=READINGS_MAX {
            let answer = lock(&self.keys).find(kid, algorithm, self.clock.elapsed());
            if answer.read_now {
                self.begin_to_read();
            }
            match answer.found {
                Found::Key { key, generation } => return Ok((key, generation)),
                Found::Unknown => break,
                Found::Unavailable => return Err(NotAccepted::Unavailable),
                // Reading has a deadline, and its end is told whatever comes of it.
                Found::Reading => done.changed().await.map_err(|_| NotAccepted::Unavailable)?,
            }
        }
        Err(Reason::Key { kid: clipped(kid), algorithm }.into())
    }

    /// Reads the keys beside all requests. The cache has said to.
    fn begin_to_read(self: &Arc<Self>) {
        let issuer = Arc::clone(self);
        tokio::spawn(async move {
            let reading = Arc::clone(&issuer);
            // A task of its own, so that a defect within does not leave everybody waiting.
            let outcome = tokio::spawn(async move { reading.publisher.keys().await }).await;
            let name = issuer.rules.name.as_str();
            let keys = match outcome {
                Ok(Ok(keys)) => {
                    tracing::info!(issuer = name, keys = keys.count(), "an issuer's keys were read");
                    Some(keys)
                }
                Ok(Err(error)) => {
                    tracing::warn!(issuer = name, %error, "an issuer's keys were not read; those of before serve on");
                    None
                }
                Err(error) => {
                    tracing::error!(issuer = name, %error, "reading an issuer's keys ended badly; this is a defect");
                    None
                }
            };
            if keys.as_ref().is_some_and(|keys| keys.count() == 0) {
                tracing::warn!(issuer = name, "an issuer publishes no key that verifies signatures");
            }
            let read = keys.is_some();
            lock(&issuer.keys).done(keys, issuer.clock.elapsed());
            if read {
                issuer.remembered.forget();
            }
            issuer.done.send_replace(());
        });
    }
}

fn lock(keys: &Mutex<KeyCache>) -> MutexGuard<'_, KeyCache> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}
