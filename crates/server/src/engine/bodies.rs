//! Builds the bodies of attempts. What is quickly built is built where it is sent: bodies without content, and small
//! ones with content for which everything is at hand. To hand these over would cost more than to seal them. What takes
//! longer is built off the runtime's threads, where it delays no other attempt: as many bodies at a time as the machine
//! has cores.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use graph::content::ContentRefusal;
use graph::{AppId, Content, SubscriptionId, Timestamp};
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
use crate::identity::{Addressee, Tokens, ValidationTokens};
use crate::ids;

/// Subscriptions of which is remembered what was parsed. For one more, another is forgotten.
const PREPARED_MAX: usize = 10_000;
/// Notifications with content in a body that is built on the runtime's thread. Sealing one takes 20 µs with RSA-2048
/// and 62 µs with RSA-4096: 80 and 250 µs in all.
const IN_PLACE_SEALS_MAX: usize = 4;
/// Estimated bytes of such a body, of which each KiB takes up to 2 µs more: to be shown, encrypted and signed.
const IN_PLACE_BYTES_MAX: usize = 32 * 1_024;

/// Why there is no body. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unbuilt {
    /// Which tokens an app takes could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
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
    content: Result<Arc<Content>, ContentRefusal>,
    key: Result<SealingKey, CertificateError>,
}

/// What one body is sealed with.
struct Sealer {
    seals: Arc<Seals>,
    /// Of the apps that are told; those that are missing are not in the directory.
    versions: BTreeMap<AppId, TokenVersion>,
    /// As the receivers of its tokens have it.
    now: Timestamp,
}

impl Bodies {
    pub(super) fn new(directory: Directory, tokens: Arc<Tokens>, clock: Clock, content_bytes_max: usize) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let seals = Seals { tokens: ValidationTokens::new(tokens), prepared: Mutex::default() };
        Self { directory, clock, content_bytes_max, permits: Arc::new(Semaphore::new(cores)), seals: Arc::new(seals) }
    }

    /// `estimated_bytes`: as the attempt has them.
    pub(super) async fn build(
        &self,
        notifications: Vec<Notification>,
        estimated_bytes: usize,
    ) -> Result<Body, Unbuilt> {
        let (limit, versions) = (self.content_bytes_max, self.versions(&notifications).await?);
        let sealer = Sealer { seals: Arc::clone(&self.seals), versions, now: self.clock.world() };
        let seals = notifications.iter().filter(|one| one.with_content().is_some()).count();
        if is_quick(seals, estimated_bytes) && sealer.has_at_hand(&notifications) {
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
            if let Entry::Vacant(unknown) = versions.entry(app) {
                let found = self.directory.app(app).await?;
                unknown.insert(found.map_or(TokenVersion::V1, |app| app.access_token_version));
            }
        }
        Ok(versions)
    }
}

/// Whether a body with so many seals may be built on the runtime's thread, if all that is parsed or signed once is at
/// hand.
fn is_quick(seals: usize, estimated_bytes: usize) -> bool {
    seals == 0 || (seals <= IN_PLACE_SEALS_MAX && estimated_bytes <= IN_PLACE_BYTES_MAX)
}

impl Seals {
    fn known(&self, subscription: &Arc<Subscription>) -> Option<Arc<Prepared>> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(&subscription.id).cloned();
        known.filter(|known| known.is_of(subscription))
    }

    fn prepared(&self, subscription: &Arc<Subscription>) -> Arc<Prepared> {
        if let Some(known) = self.known(subscription) {
            return known;
        }
        let made = Arc::new(Prepared::new(subscription));
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.len() >= PREPARED_MAX
            && !prepared.contains_key(&subscription.id)
            && let Some(other) = prepared.keys().next().copied()
        {
            prepared.remove(&other);
        }
        prepared.insert(subscription.id, Arc::clone(&made));
        made
    }
}

impl Prepared {
    fn new(subscription: &Arc<Subscription>) -> Self {
        let content = Content::of(&subscription.resource).map(Arc::new);
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

impl Sealer {
    /// Whether nothing must be parsed, and no token signed, before content can be told.
    fn has_at_hand(&self, notifications: &[Notification]) -> bool {
        let mut told = notifications.iter().filter(|one| one.with_content().is_some()).map(|one| &one.subscription);
        told.all(|to| self.seals.known(to).is_some() && self.seals.tokens.has(&self.addressee(to), self.now))
    }

    /// Whom the token is for that comes with the subscription's content.
    fn addressee(&self, subscription: &Subscription) -> Addressee {
        let is_v2 = self.versions.get(&subscription.app) == Some(&TokenVersion::V2);
        Addressee {
            tenant: subscription.tenant,
            audience: notification::audience(subscription),
            // If it does not say under which name its app knows this server, version 1 alone can be made.
            issuer_v2: subscription.origin().filter(|_| is_v2).map(str::to_owned),
        }
    }
}

impl Sealing for Sealer {
    fn content(&self, subscription: &Arc<Subscription>) -> Result<Arc<Content>, Lack> {
        // It was read in the same way when the subscription was made.
        self.seals.prepared(subscription).content.as_ref().map(Arc::clone).map_err(|_| Lack::CertificateUnusable)
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
        self.seals.tokens.get(&self.addressee(subscription), self.now).map_err(|error| {
            tracing::error!(%error, "a validation token could not be signed");
            NoToken
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use graph::Change;
    use notify::subscription::{Extras, Target, TlsVersion};
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

    use super::*;
    use crate::identity::Key;
    use crate::seed;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn seals() -> Seals {
        let tokens = Arc::new(Tokens::of(Key::generate(NOW).unwrap()));
        Seals { tokens: ValidationTokens::new(tokens), prepared: Mutex::default() }
    }

    fn certificate() -> String {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem()
    }

    fn subscription(id: SubscriptionId, certificate: &str) -> Arc<Subscription> {
        let extras = Extras {
            include_resource_data: true,
            encryption_certificate: Some(certificate.to_owned()),
            ..Extras::default()
        };
        let megan = seed::users()[0].id;
        Arc::new(Subscription {
            id,
            tenant: seed::TENANT,
            app: seed::APP,
            creator: megan,
            resource: "me/messages?$select=subject".to_owned(),
            target: Target::Items { mailbox: megan, kind: graph::Kind::Message, folder: None },
            change_types: graph::ChangeType::ALL.into_iter().collect(),
            change_type: "created,updated,deleted".to_owned(),
            notification_url: "https://hook.example.net/n".to_owned(),
            lifecycle_url: None,
            client_state: None,
            tls_version: TlsVersion::V1_2,
            extras: extras.boxed(),
            immutable_ids: false,
            authorized: NOW,
            expires: NOW.plus_minutes(60),
            expires_tenths: 0,
            created: NOW,
        })
    }

    /// Of a server on the store in memory.
    pub(in crate::engine) fn bodies() -> Bodies {
        let (store, clock) = (Arc::new(store::memory::MemoryStore::new(Arc::new(|_, _| {}))), Clock::new());
        let tokens = Arc::new(Tokens::of(Key::generate(NOW).unwrap()));
        Bodies::new(Directory::new(store, clock.clone()), tokens, clock, 1 << 20)
    }

    impl Bodies {
        /// As if as many bodies were being built as can be at a time.
        pub(in crate::engine) async fn keep_busy(&self) -> tokio::sync::OwnedSemaphorePermit {
            let all = u32::try_from(self.permits.available_permits()).unwrap();
            Arc::clone(&self.permits).acquire_many_owned(all).await.unwrap()
        }
    }

    /// One that tells of content.
    pub(in crate::engine) fn notification() -> Notification {
        let change = Change {
            id: graph::ChangeId(ids::new_uuid()),
            tenant: seed::TENANT,
            mailbox: seed::users()[0].id,
            item: graph::ItemId::new(graph::Kind::Message, ids::new_uuid()),
            immutable: None,
            moved: None,
            folder: graph::FolderId::new(graph::Kind::Message, ids::new_uuid()),
            change: graph::ChangeType::Created,
            at: NOW,
            created: NOW,
            after: graph::Carried::default(),
            before: graph::Properties::new(),
        };
        Notification {
            id: ids::new_uuid(),
            subscription: subscription(SubscriptionId(ids::new_uuid()), &certificate()),
            record: Arc::new(notify::Record::Change(change)),
            position: notify::Position(1),
            change: Some(graph::ChangeType::Created),
            access_lost: false,
            given_up: None,
        }
    }

    #[test]
    fn a_certificate_is_parsed_once_and_again_when_it_is_another() {
        let (seals, id) = (seals(), SubscriptionId(ids::new_uuid()));
        let (old, new) = (certificate(), certificate());
        let first = seals.prepared(&subscription(id, &old));
        assert!(Arc::ptr_eq(&first, &seals.prepared(&subscription(id, &old))));
        let second = seals.prepared(&subscription(id, &new));
        let thumbprint = |prepared: &Prepared| prepared.key.as_ref().unwrap().thumbprint().to_owned();
        assert_ne!(thumbprint(&first), thumbprint(&second));
        assert!(seals.prepared(&subscription(id, "AAAA")).key.is_err());
        assert_eq!(seals.prepared.lock().unwrap().len(), 1);
    }

    #[test]
    fn for_one_subscription_more_one_other_is_forgotten() {
        let seals = seals();
        let broken = |n: u128| subscription(SubscriptionId(uuid::Uuid::from_u128(n)), "");
        (0..PREPARED_MAX as u128 + 3).for_each(|n| drop(seals.prepared(&broken(n))));
        assert_eq!(seals.prepared.lock().unwrap().len(), PREPARED_MAX);
        assert!(seals.known(&broken(PREPARED_MAX as u128 + 2)).is_some());
    }

    #[test]
    fn few_seals_of_a_small_body_are_quick_and_so_is_whatever_has_none() {
        assert!(is_quick(IN_PLACE_SEALS_MAX, IN_PLACE_BYTES_MAX));
        assert!(!is_quick(IN_PLACE_SEALS_MAX + 1, IN_PLACE_BYTES_MAX));
        assert!(!is_quick(IN_PLACE_SEALS_MAX, IN_PLACE_BYTES_MAX + 1));
        assert!(is_quick(0, usize::MAX));
    }

    #[tokio::test]
    async fn a_small_body_waits_for_no_other_once_its_token_is_signed_and_its_certificate_parsed() {
        let (bodies, told) = (bodies(), notification());
        let busy = bodies.keep_busy().await;
        let soon = Duration::from_millis(5);
        let build = |bytes| tokio::time::timeout(soon, bodies.build(vec![told.clone()], bytes));
        assert!(build(1_000).await.is_err(), "nothing is at hand yet");
        drop(busy);
        bodies.build(vec![told.clone()], 1_000).await.unwrap();
        let _busy = bodies.keep_busy().await;
        let body = build(1_000).await.expect("it does not wait").unwrap();
        assert!(String::from_utf8(body.bytes.unwrap()).unwrap().contains("validationTokens"));
        assert!(build(IN_PLACE_BYTES_MAX + 1).await.is_err(), "it is large");
    }
}
