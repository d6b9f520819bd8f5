//! Every refusal of topics, in the envelope that Azure's clients read: `{"error":{"code","message"}}`.

use std::borrow::Cow;

use http::StatusCode;
use notify::access;
use notify::event_filter::InvalidFilter;
use notify::event_grid_url::InvalidEventGridUrl;
use notify::topic::{InvalidDestination, TopicRefusal};
use protocol::cloud_event::InvalidEvent;
use protocol::event_grid::handshake::NoConsent;
use protocol::event_grid::management::InvalidBody;
use protocol::event_grid::pull::InvalidPull;
use protocol::event_grid::shared_access::InvalidSignature;
use protocol::{ErrorBody, ErrorObject};
use store::{EventSubscriptionError, PublishError, PullError, StoreError, TopicError};

use super::super::context::Context;
use super::super::error::ApiError;
use crate::sinks::NoSink;

/// So long who found no place to wait is to stay away, in seconds.
const WAIT_SECONDS: u32 = 5;

#[derive(Debug)]
pub enum Refusal {
    NoApiVersion,
    ApiVersion(String, &'static str),
    NoCredential,
    /// A key that is no topic's of this name.
    Key,
    Signature(InvalidSignature),
    /// What the issuer, the directory or the reading of the body says.
    Api(ApiError),
    Denied,
    /// A key is needed to tell them apart.
    SeveralTopics,
    NoSuchPath,
    /// What is served, for `Allow`.
    Method(String),
    NoTopic,
    NoEventSubscription,
    TopicName(InvalidEventGridUrl),
    EventSubscriptionName,
    Location,
    Body(InvalidBody),
    KeyName,
    Filter(InvalidFilter),
    Destination(InvalidDestination),
    NoSink(NoSink),
    /// An endpoint, without its query, and what it says.
    NoConsent(String, NoConsent),
    /// A token for another app, or in another tenant.
    Audience,
    /// No token could be made.
    Token,
    /// A code by which nothing is validated, for whatever reason.
    Code,
    Event(InvalidEvent),
    Pull(InvalidPull),
    NoUrl,
    /// Somebody else changed it at the same time.
    Changed,
    Topic(TopicRefusal),
    TooManyTopics(u64),
    TooManyEventSubscriptions(u64),
    TooManyWait,
}

type Shape = (StatusCode, &'static str, Cow<'static, str>);

impl Refusal {
    /// The status and the JSON body.
    pub fn render(&self, context: &Context) -> (StatusCode, Vec<u8>) {
        let (status, code, message) = self.shape(context);
        let error = ErrorObject { code: code.into(), message, details: Vec::new(), inner_error: None };
        (status, serde_json::to_vec(&ErrorBody { error }).unwrap_or_default())
    }

    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::TooManyWait => Some(WAIT_SECONDS),
            Self::Api(error) => error.retry_after(),
            _ => None,
        }
    }

    pub fn allowed(&self) -> Option<&str> {
        match self {
            Self::Method(served) => Some(served),
            _ => None,
        }
    }

    pub fn challenge(&self, context: &Context) -> Option<String> {
        match self {
            Self::NoCredential | Self::Key | Self::Signature(_) => Some("SharedAccessKey, Bearer".to_owned()),
            Self::Api(error) => error.challenge(context),
            _ => None,
        }
    }

    fn shape(&self, context: &Context) -> Shape {
        let bad = |code, message: String| (StatusCode::BAD_REQUEST, code, message.into());
        let say = |status, code, message: &'static str| (status, code, message.into());
        match self {
            Self::NoApiVersion => bad(
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.".to_owned(),
            ),
            Self::ApiVersion(asked, known) => {
                bad("UnsupportedApiVersion", format!("The api-version '{asked}' is not spoken here; use {known}."))
            }
            Self::NoCredential => say(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "Send a key of the topic as 'Authorization: SharedAccessKey {key}' or 'aeg-sas-key: {key}', a shared \
                 access signature as 'Authorization: SharedAccessSignature {signature}' or 'aeg-sas-token: {signature}', \
                 or an access token as 'Authorization: Bearer {token}'.",
            ),
            Self::Key => say(StatusCode::UNAUTHORIZED, "Unauthorized", "The key is none of a topic of this name."),
            Self::Signature(error) => (StatusCode::UNAUTHORIZED, "Unauthorized", sentence(error)),
            Self::Api(error) => {
                let (status, _) = error.render(context);
                let (code, message) = error.code_and_message();
                (status, code, message)
            }
            Self::Denied => say(
                StatusCode::FORBIDDEN,
                "AuthorizationFailed",
                "The topic is for the apps that subscribed into it or made it, with tokens of their own, and for \
                 administrators of the tenant.",
            ),
            Self::SeveralTopics => say(
                StatusCode::CONFLICT,
                "AmbiguousTopic",
                "There are topics of this name in several regions; a key of one of them tells which is meant.",
            ),
            Self::NoSuchPath => say(
                StatusCode::NOT_FOUND,
                "InvalidResourceType",
                "There is nothing at this path; Tidings serves partner topics with their event subscriptions, and \
                 partnerConfigurations/default.",
            ),
            Self::Method(served) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                format!("The method is not served here; use {served}.").into(),
            ),
            Self::NoTopic => say(StatusCode::NOT_FOUND, "ResourceNotFound", "There is no such partner topic."),
            Self::NoEventSubscription => {
                say(StatusCode::NOT_FOUND, "ResourceNotFound", "The topic has no such event subscription.")
            }
            Self::TopicName(error) => bad("InvalidResourceName", sentence(error).into_owned()),
            Self::EventSubscriptionName => bad(
                "InvalidResourceName",
                "The name of an event subscription has 3 to 64 letters from a to z, digits and hyphens.".to_owned(),
            ),
            Self::Location => say(
                StatusCode::CONFLICT,
                "InvalidResourceLocation",
                "The partner topic exists in another region; a topic does not move.",
            ),
            Self::Body(error) => bad("InvalidRequest", meant(sentence(error), error.unknown())),
            Self::KeyName => bad("InvalidRequest", "Name the key: {\"keyName\":\"key1\"}, or key2.".to_owned()),
            Self::Filter(error) => bad("InvalidRequest", meant(sentence(error), error.unknown())),
            Self::Destination(error) => bad("InvalidRequest", sentence(error).into_owned()),
            Self::NoSink(error) => bad("InvalidRequest", sentence(error).into_owned()),
            Self::NoConsent(url, error) => {
                bad("Url validation", format!("Webhook validation handshake failed for {url}: {error}."))
            }
            Self::Audience => bad(
                "InvalidRequest",
                "A token is given out for an app that the topic belongs to, or for the one that asks: \
                 azureActiveDirectoryApplicationIdOrUri is its id, or api:// and its id, and \
                 azureActiveDirectoryTenantId the id of the topic's tenant."
                    .to_owned(),
            ),
            Self::Token => say(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "No token could be made."),
            Self::Code => say(
                StatusCode::NOT_FOUND,
                "ResourceNotFound",
                "Nothing waits for this code: it was used, its time is over, or the event subscription was changed.",
            ),
            Self::Event(error @ (InvalidEvent::TooLarge(_) | InvalidEvent::BatchTooLarge(_))) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", sentence(error))
            }
            Self::Event(error) => bad("BadRequest", sentence(error).into_owned()),
            Self::Pull(error) => bad("BadRequest", sentence(error).into_owned()),
            Self::NoUrl => {
                bad("InvalidRequest", "The events of this event subscription are pulled, or go to no URL.".to_owned())
            }
            Self::Changed => {
                say(StatusCode::CONFLICT, "Conflict", "Somebody else changed it at the same time; try again.")
            }
            Self::Topic(error) => (StatusCode::CONFLICT, "Conflict", sentence(error)),
            Self::TooManyTopics(number) => {
                bad("QuotaExceeded", format!("The app has {number} partner topics, which is the limit."))
            }
            Self::TooManyEventSubscriptions(number) => {
                bad("QuotaExceeded", format!("The topic has {number} event subscriptions, which is the limit."))
            }
            Self::TooManyWait => say(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "Too many requests wait for events of this server; come back later, or ask for shorter waits.",
            ),
        }
    }
}

/// An error's lower-case fragment as a sentence. A name at its head stays as it is.
fn sentence(error: &dyn std::fmt::Display) -> Cow<'static, str> {
    let text = error.to_string();
    let is_word = text.split(' ').next().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    let first = if is_word { first.to_ascii_uppercase() } else { first.to_owned() };
    format!("{first}{rest}.").into()
}

/// A refusal with what was probably meant by a name that is none.
fn meant(text: Cow<'_, str>, unknown: Option<(&str, Vec<&str>)>) -> String {
    match unknown.and_then(|(name, known)| access::nearest(name, known)) {
        Some(near) => format!("{text} Did you mean '{near}'?"),
        None => text.into_owned(),
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Api(error.into())
    }
}

impl From<TopicError> for Refusal {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::NotFound => Self::NoTopic,
            TopicError::Changed => Self::Changed,
            TopicError::TooMany(number) => Self::TooManyTopics(number),
            TopicError::Refused(refusal) => Self::Topic(refusal),
            TopicError::Store(error) => error.into(),
        }
    }
}

impl From<EventSubscriptionError> for Refusal {
    fn from(error: EventSubscriptionError) -> Self {
        match error {
            EventSubscriptionError::NoTopic => Self::NoTopic,
            EventSubscriptionError::TooMany(number) => Self::TooManyEventSubscriptions(number),
            EventSubscriptionError::Changed => Self::Changed,
            EventSubscriptionError::Store(error) => error.into(),
        }
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::NoTopic => Self::NoTopic,
            PublishError::Store(error) => error.into(),
        }
    }
}

impl From<PullError> for Refusal {
    fn from(error: PullError) -> Self {
        match error {
            PullError::NotFound | PullError::NotAQueue => Self::NoEventSubscription,
            PullError::Store(error) => error.into(),
        }
    }
}

impl From<InvalidBody> for Refusal {
    fn from(error: InvalidBody) -> Self {
        Self::Body(error)
    }
}

impl From<InvalidPull> for Refusal {
    fn from(error: InvalidPull) -> Self {
        Self::Pull(error)
    }
}

impl From<InvalidEvent> for Refusal {
    fn from(error: InvalidEvent) -> Self {
        Self::Event(error)
    }
}
