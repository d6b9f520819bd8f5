//! The whole of receiving in one value: read a body, say whose `clientState` is good, verify tokens, open data. It does no
//! I/O, keeps nothing from one call to the next and asks no clock, so it works in any server, and without one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use protocol::envelope::{self, OpeningKey};
use protocol::notification::ReceivedNotification;

use crate::client_state::{ClientState, ClientStates};
use crate::content::{Content, ContentError};
use crate::key_set::KeySet;
use crate::notification::{self, BODY_BYTES_MAX, Change, Notification, ReadError};
use crate::validation_token::{self, AUTHORITY, LEEWAY, TOKENS_MAX, TokenError, TokenRules, clipped};

/// What you know of your subscriptions, and with it what of a request is genuine.
pub struct Receiver {
    states: ClientStates,
    /// `None`: no data is expected.
    tokens: Option<TokenRules>,
    authority: String,
    keys: KeySet,
    private_keys: BTreeMap<String, OpeningKey>,
    body_bytes_max: usize,
}

/// What a receiver is told at the start; see [`Receiver::builder`].
#[derive(Default)]
pub struct Builder {
    states: ClientStates,
    app_ids: Vec<String>,
    tenants: Vec<String>,
    authority: Option<String>,
    leeway: Option<Duration>,
    keys: Option<KeySet>,
    private_keys: BTreeMap<String, OpeningKey>,
    body_bytes_max: Option<usize>,
}

/// Why there is no receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Without one, everybody's notifications would be taken for your server's.
    #[error("name the clientState of your subscriptions: `client_state`, or `client_state_of` for one of each")]
    NoClientState,
    /// Data would be opened that nobody vouches for.
    #[error("name the id of your app: `app_id`; data is opened only if a token for your app comes with it")]
    NoAppId,
    /// Each token would be refused.
    #[error(
        "tokens are expected and no key is known that could have signed them: give `keys`, or use fetch::FetchingReceiver"
    )]
    NoKeys,
}

/// What a request holds, in the order in which it was sent. A server may post the notifications of many subscriptions
/// together: those that are refused take nothing from the others. [`status`](Self::status) has the answer to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received(pub Vec<Result<Notification, Refused>>);

/// Why one notification does not count. With it the id of the subscription that it names, shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No `clientState` is known for its subscription. That may change soon: it can come before the answer to your own
    /// request to subscribe.
    #[error("a notification is of the subscription {0:?}, which this receiver has no clientState for")]
    UnknownSubscription(String),
    /// It has no `clientState`: the subscription was made without one.
    #[error("a notification of {0:?} has no clientState; give one when the subscription is created")]
    NoClientState(String),
    /// Its `clientState` is another one.
    #[error("a notification of {0:?} has another clientState than the subscription")]
    WrongClientState(String),
    /// It is genuine, and tells neither of a change nor of a step in a subscription's life, or of both.
    #[error("a notification of {0:?} has neither changeType and resource, nor lifecycleEvent, or has both")]
    Kind(String),
}

/// A request that was read, and whose tokens are not verified yet.
#[derive(Debug)]
pub struct Unverified {
    received: Received,
    tokens: Vec<String>,
}

/// Why nothing of a request counts. [`Refusal::status`] has the answer to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It holds no notifications.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// One of its validation tokens proves nothing. Then none of it counts.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A notification bears data of a tenant for which no token speaks.
    #[error("no validation token is of the tenant {0:?}, which data came of")]
    NoToken(String),
    /// It has more tokens than [`TOKENS_MAX`].
    #[error("there are more than {TOKENS_MAX} validation tokens")]
    TooManyTokens,
    /// A notification bears data, and this receiver was built without `app_id`.
    #[error("a notification bears data, and no `app_id` was given that tokens could be held against")]
    DataNotExpected,
    /// The keys that tokens are signed with could not be read, so that nobody knows. The server will try again.
    #[error("the keys that validation tokens are signed with could not be read: {0}")]
    KeysUnavailable(String),
}

impl Refusal {
    /// The status to answer with: 400, 401, 413 or 503.
    pub fn status(&self) -> u16 {
        match self {
            Self::Read(ReadError::TooLong { .. } | ReadError::TooMany) => 413,
            Self::Read(_) | Self::TooManyTokens => 400,
            Self::Token(_) | Self::NoToken(_) | Self::DataNotExpected => 401,
            Self::KeysUnavailable(_) => 503,
        }
    }
}

impl Received {
    /// The genuine notifications.
    pub fn notifications(&self) -> impl Iterator<Item = &Notification> {
        self.0.iter().filter_map(|item| item.as_ref().ok())
    }

    /// The genuine notifications, to keep.
    pub fn into_notifications(self) -> impl Iterator<Item = Notification> {
        self.0.into_iter().filter_map(Result::ok)
    }

    /// What was left out.
    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.0.iter().filter_map(|item| item.as_ref().err())
    }

    /// The status to answer with once you have the genuine ones: 202, or 401 if all are somebody else's. 503 if one is of
    /// a subscription that is not known: then all of them come again, the genuine ones as
    /// [`Duplicates`](crate::Duplicates).
    pub fn status(&self) -> u16 {
        let of_a_stranger = |item| matches!(item, &Err(Refused::NoClientState(_) | Refused::WrongClientState(_)));
        match self.refused().any(|refused| matches!(refused, Refused::UnknownSubscription(_))) {
            true => 503,
            false if !self.0.is_empty() && self.0.iter().all(of_a_stranger) => 401,
            false => 202,
        }
    }
}

impl Builder {
    /// The `clientState` of your subscriptions. Give it again for another one, such as that of before: any of them
    /// is good.
    pub fn client_state(mut self, text: &str) -> Self {
        self.states.shared.push(ClientState::new(text));
        self
    }

    /// Subscriptions with a `clientState` each: that of the subscription with this id. One for which there is
    /// none falls back on [`client_state`](Self::client_state), if that was given.
    ///
    /// A server may tell of a change before you have read the answer to your own request to subscribe. So choose the
    /// `clientState` beforehand, or let notifications of unknown subscriptions be refused: [`Received::status`] has them come
    /// again. So forget that of a subscription which you deleted some hours later: what is under way still comes, and
    /// would come again with all that it is sent with.
    pub fn client_state_of(mut self, lookup: impl Fn(&str) -> Option<ClientState> + Send + Sync + 'static) -> Self {
        self.states.lookup = Some(Box::new(lookup));
        self
    }

    /// Your app's id (`aud` of validation tokens), or that of `notificationUrlAppId` if your subscriptions have it.
    /// Needed for notifications with data; may be given several times.
    pub fn app_id(mut self, id: &str) -> Self {
        self.app_ids.push(id.to_owned());
        self
    }

    /// A tenant that you expect data of; may be given several times. Without any, each tenant's is taken in which the
    /// publisher speaks to your app.
    pub fn tenant(mut self, id: &str) -> Self {
        self.tenants.push(id.to_owned());
        self
    }

    /// Who issues the tokens and publishes the keys that they are signed with, as `scheme://host[:port]`: for Tidings its
    /// own address, as your app calls it when it subscribes. Without this it is Microsoft's, [`AUTHORITY`].
    pub fn authority(mut self, origin: &str) -> Self {
        self.authority = Some(origin.trim_end_matches('/').to_owned());
        self
    }

    /// How far the server's clock may be from yours; without this, [`LEEWAY`].
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// The keys that the server publishes, if you have read them yourself: see [`KeySet::read`]. They change, Microsoft's
    /// every day; with the feature `fetch`, `FetchingReceiver` reads them when it must. An empty set is good for a receiver
    /// whose tokens are only verified with the keys that you give to [`Receiver::verify`].
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The private key of a certificate that you subscribed with. The id is the `encryptionCertificateId` of the
    /// subscription, letter for letter: by it the key is found. Give the next one before you change the certificate, and
    /// keep the old one until what was sealed for it has come.
    pub fn private_key(mut self, certificate_id: &str, key: OpeningKey) -> Self {
        self.private_keys.insert(certificate_id.to_owned(), key);
        self
    }

    /// The longest body that is read, in bytes; without this, [`BODY_BYTES_MAX`].
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// The receiver.
    pub fn build(self) -> Result<Receiver, BuildError> {
        if self.states.is_empty() {
            return Err(BuildError::NoClientState);
        }
        if self.app_ids.is_empty() && !self.private_keys.is_empty() {
            return Err(BuildError::NoAppId);
        }
        if self.keys.is_none() && !self.app_ids.is_empty() {
            return Err(BuildError::NoKeys);
        }
        let authority = self.authority.unwrap_or_else(|| AUTHORITY.to_owned());
        let leeway = self.leeway.unwrap_or(LEEWAY);
        let rules = TokenRules { app_ids: self.app_ids, tenants: self.tenants, authority: authority.clone(), leeway };
        Ok(Receiver {
            states: self.states,
            tokens: (!rules.app_ids.is_empty()).then_some(rules),
            authority,
            keys: self.keys.unwrap_or_default(),
            private_keys: self.private_keys,
            body_bytes_max: self.body_bytes_max.unwrap_or(BODY_BYTES_MAX),
        })
    }
}

impl Receiver {
    /// Begins to say what there is to know.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The genuine notifications of a request's body. Tokens are verified with the keys that the builder was
    /// given. `now` is the present.
    pub fn receive(&self, body: &[u8], now: SystemTime) -> Result<Received, Refusal> {
        self.verify(self.read(body)?, &self.keys, now)
    }

    /// The first half of [`receive`](Self::receive): reads a body, and says which notifications have the right `clientState`.
    pub fn read(&self, body: &[u8]) -> Result<Unverified, Refusal> {
        let collection = notification::read(body, self.body_bytes_max)?;
        let received = Received(collection.value.kept.into_iter().map(|item| self.genuine(item)).collect());
        // Where nothing is genuine there is nothing that tokens could vouch for: strangers have no keys looked for.
        let tokens = collection.validation_tokens.filter(|_| received.notifications().next().is_some());
        if tokens.as_ref().is_some_and(|tokens| tokens.is_more) {
            return Err(Refusal::TooManyTokens);
        }
        Ok(Unverified { received, tokens: tokens.map(|tokens| tokens.kept).unwrap_or_default() })
    }

    fn genuine(&self, item: ReceivedNotification) -> Result<Notification, Refused> {
        self.states.check(&item.subscription_id, item.client_state.as_deref())?;
        let subscription_id = clipped(&item.subscription_id);
        Notification::of(item).ok_or(Refused::Kind(subscription_id))
    }

    /// The second half: verifies the tokens with these keys. All must be good, and each tenant that data came of
    /// must have one.
    pub fn verify(&self, unverified: Unverified, keys: &KeySet, now: SystemTime) -> Result<Received, Refusal> {
        let Unverified { received, tokens } = unverified;
        let with_data = || received.notifications().filter_map(Notification::with_data);
        let Some(rules) = &self.tokens else {
            let is_expected = with_data().next().is_none();
            return if is_expected { Ok(received) } else { Err(Refusal::DataNotExpected) };
        };
        let verified = tokens.iter().map(|token| rules.verify(token, keys, now));
        let tenants: Vec<String> = verified.collect::<Result<_, _>>()?;
        for change in with_data() {
            let tenant = change.tenant_id.as_deref().unwrap_or_default();
            if !tenants.iter().any(|spoken_for| spoken_for.eq_ignore_ascii_case(tenant)) {
                return Err(Refusal::NoToken(clipped(tenant)));
            }
        }
        Ok(received)
    }

    /// Opens the data of a change: finds the private key by the certificate's id, checks the signature, decrypts.
    /// This takes a millisecond or so, so do it after you have answered.
    pub fn open(&self, change: &Change) -> Result<Content, ContentError> {
        let sealed = change.encrypted_content.as_ref().ok_or(ContentError::None)?;
        let id = &sealed.encryption_certificate_id;
        let key = self.private_keys.get(id).ok_or_else(|| ContentError::UnknownCertificate(clipped(id)))?;
        Ok(Content::new(envelope::open(sealed, key)?))
    }

    /// Who issues the tokens.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The longest body that is read, in bytes.
    pub fn body_bytes_max(&self) -> usize {
        self.body_bytes_max
    }
}

impl Unverified {
    /// The names (`kid`) of the keys that the tokens are signed with, if they say the truth.
    pub fn key_ids(&self) -> BTreeSet<String> {
        validation_token::key_ids(&self.tokens)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates: Vec<&String> = self.private_keys.keys().collect();
        f.debug_struct("Receiver")
            .field("states", &self.states)
            .field("tokens", &self.tokens)
            .field("certificates", &certificates)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
