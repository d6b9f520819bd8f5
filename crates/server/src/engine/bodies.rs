//! Builds the bodies of attempts. What tells of content is built off the runtime's threads, where it delays no other
//! attempt: as many bodies at a time as the machine has cores. What does not is built where it is sent.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use graph::content::ContentRefusal;
use graph::{AppId, Change, Content, SubscriptionId, Timestamp};
use notify::Subscription;
use notify::node::{Lack, Notification};
use notify::notification::{self, Body, NoToken, Sealing};
use protocol::CertificateError;
use protocol::envelope::{self, EncryptedContent, SealError, SealingKey};
use store::{StoreError, TokenVersion};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use crate::clock::Clock;
use crate::directory::Directory;
use crate::identity::{Tokens, ValidationTokens, Wanted};
use crate::ids;

/// Subscriptions of which is remembered what was parsed, before all are forgotten again.
const PREPARED_MAX: usize = 10_000;

/// Why there is no body. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unbuilt {
    #[error("it cannot be found out which tokens an app takes")]
    Directory(#[from] StoreError),
    #[error(transparent)]
    NoToken(#[from] NoToken),
    #[error("building it has broken off")]
    Lost(#[from] JoinError),
}

pub(super) struct Bodies {
    directory: Directory,
    clock: Clock,
    content_bytes_max: usize,
    /// One for each core.
    permits: Arc<Semaphore>,
    seals: Arc<Seals>,
}

/// What is remembered from one body to the next.
struct Seals {
    tokens: ValidationTokens,
    prepared: Mutex<HashMap<SubscriptionId, Arc<Prepared>>>,
}

/// What of a subscription is parsed once.
struct Prepared {
    /// As it was then.
    subscription: Arc<Subscription>,
    content: Result<Content, ContentRefusal>,
    key: Result<SealingKey, CertificateError>,
}

/// What one body is sealed with.
struct Sealer {
    seals: Arc<Seals>,
    /// Of the apps that are told; those that are missing are not in the directory.
    versions: BTreeMap<AppId, TokenVersion>,
    now: Timestamp,
}

impl Bodies {
    pub(super) fn new(directory: Directory, tokens: Arc<Tokens>, clock: Clock, content_bytes_max: usize) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let seals = Seals { tokens: ValidationTokens::new(tokens), prepared: Mutex::default() };
        Self { directory, clock, content_bytes_max, permits: Arc::new(Semaphore::new(cores)), seals: Arc::new(seals) }
    }

    pub(super) async fn build(&self, notifications: Vec<Notification>) -> Result<Body, Unbuilt> {
        let (limit, rich) = (self.content_bytes_max, notifications.iter().any(|one| one.with_content().is_some()));
        let versions = if rich { self.versions(&notifications).await? } else { BTreeMap::new() };
        let sealer = Sealer { seals: Arc::clone(&self.seals), versions, now: self.clock.wall() };
        if !rich {
            return Ok(notification::body(&notifications, limit, &sealer)?);
        }
        // It is never closed, so there is always one in the end.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let building = tokio::task::spawn_blocking(move || {
            let body = notification::body(&notifications, limit, &sealer);
            drop(permit);
            body
        });
        Ok(building.await??)
    }

    /// Which tokens the apps take that are told of content.
    async fn versions(&self, notifications: &[Notification]) -> Result<BTreeMap<AppId, TokenVersion>, StoreError> {
        let mut versions = BTreeMap::new();
        for app in notifications.iter().filter(|one| one.with_content().is_some()).map(|one| one.subscription.app) {
            if !versions.contains_key(&app) {
                let found = self.directory.app(app).await?;
                versions.insert(app, found.map_or(TokenVersion::V1, |app| app.access_token_version));
            }
        }
        Ok(versions)
    }
}

impl Seals {
    fn prepared(&self, subscription: &Arc<Subscription>) -> Arc<Prepared> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(&subscription.id).cloned();
        if let Some(known) = known.filter(|known| known.is_of(subscription)) {
            return known;
        }
        let made = Arc::new(Prepared::new(subscription));
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.len() >= PREPARED_MAX && !prepared.contains_key(&subscription.id) {
            prepared.clear();
        }
        prepared.insert(subscription.id, Arc::clone(&made));
        made
    }
}

impl Prepared {
    fn new(subscription: &Arc<Subscription>) -> Self {
        let content = Content::of(&subscription.resource);
        let key = SealingKey::from_certificate(certificate(subscription));
        if let Err(refusal) = &content {
            tracing::error!(subscription = %subscription.id, %refusal, "content cannot be shown any more");
        }
        if let Err(refusal) = &key {
            tracing::warn!(subscription = %subscription.id, %refusal, "content cannot be sealed for this certificate");
        }
        Self { subscription: Arc::clone(subscription), content, key }
    }

    /// Whether it serves the subscription as it is now.
    fn is_of(&self, now: &Arc<Subscription>) -> bool {
        let then = &self.subscription;
        Arc::ptr_eq(then, now) || (then.resource == now.resource && certificate(then) == certificate(now))
    }
}

fn certificate(subscription: &Subscription) -> &str {
    subscription.extras.as_ref().and_then(|extras| extras.encryption_certificate.as_deref()).unwrap_or_default()
}

impl Sealing for Sealer {
    fn shown(&self, subscription: &Arc<Subscription>, change: &Change) -> Result<Option<Vec<u8>>, Lack> {
        match &self.seals.prepared(subscription).content {
            Ok(content) => Ok(content.shown(change, subscription.immutable_ids)),
            Err(_) => Err(Lack::CertificateUnusable),
        }
    }

    fn seal(&self, subscription: &Arc<Subscription>, content: &[u8]) -> Result<EncryptedContent, Lack> {
        let prepared = self.seals.prepared(subscription);
        let key = prepared.key.as_ref().map_err(|_| Lack::CertificateUnusable)?;
        let extras = subscription.extras.as_ref();
        let id = extras.and_then(|extras| extras.encryption_certificate_id.as_deref()).unwrap_or_default();
        envelope::seal(content, &ids::new_content_key(), key, id).map_err(|error| match error {
            SealError::TooLarge => Lack::TooLarge,
            SealError::Key | SealError::Content => {
                tracing::warn!(subscription = %subscription.id, %error, "content could not be sealed");
                Lack::CertificateUnusable
            }
        })
    }

    fn token(&self, subscription: &Arc<Subscription>) -> Result<String, NoToken> {
        let is_v2 = self.versions.get(&subscription.app) == Some(&TokenVersion::V2);
        // Of a subscription that does not say under which name its app knows this server, version 1 alone can be made.
        let origin = subscription.extras.as_ref().and_then(|extras| extras.origin.clone());
        let wanted = Wanted {
            tenant: subscription.tenant,
            audience: notification::audience(subscription),
            issuer_v2: origin.filter(|_| is_v2),
        };
        self.seals.tokens.get(&wanted, self.now).map_err(|error| {
            tracing::error!(%error, "a validation token could not be signed");
            NoToken
        })
    }
}
