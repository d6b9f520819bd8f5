//! Every refusal of the API. [`table`] gives each Graph's status, code and message.

mod mailbox;
mod table;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::SubscriptionId;
use graph::batch::BatchError;
use graph::item::ABSENT_FOLDERS;
use graph::path::{FolderKey, PathError};
use http::StatusCode;
use notify::access::Denied;
use notify::rules::{self, UrlRole};
use notify::throttle::Throttled;
use protocol::error::{ErrorDetail, InnerCause, Operation};
use protocol::{ErrorBody, ErrorObject, HandshakeError, InnerError, PayloadError};
use serde_json::json;
use store::{CommitError, StoreError};

use super::attempts::AttemptsRefusal;
use super::context::Context;
use super::graph::{DeltaRefusal, ScheduleRefusal, WindowError};
use super::query::QueryError;
use crate::identity::TokenError;
use table::Shape;

/// Why a request is refused.
#[derive(Debug)]
pub enum ApiError {
    Token(TokenError),
    /// The keys of the token's issuer cannot be read.
    IssuerUnavailable,
    /// `/me` with a token that has no user.
    MeWithoutUser,
    Denied(Denied),
    /// The mailbox refuses what is done with a subscription, since the caller may not read what it watches.
    SubscriptionDenied(Operation, Denied),
    /// The path does not begin with a version that is served.
    Version(String),
    Path(PathError),
    /// Graph has this resource; this server does not serve it.
    NotServed,
    Method,
    Query(QueryError),
    /// The body is no JSON, or too deep, or its text is not UTF-8.
    Json,
    /// The time window of a list of occurrences.
    Window(WindowError),
    Schedule(ScheduleRefusal),
    BodyTooLarge(usize),
    BodyTooSlow,
    Rules(graph::Refusal),
    MalformedId,
    ItemNotFound,
    /// A mailbox of a user that does not exist.
    InvalidUser(String),
    /// A directory user that does not exist.
    NoSuchUser(String),
    /// `If-Match` names another version.
    ChangeKey,
    /// Other writers were faster, several times.
    Contended,
    Payload(PayloadError),
    Subscription(rules::Refusal),
    Handshake {
        role: UrlRole,
        error: HandshakeError,
        /// What the message leaves unsaid.
        detail: Option<String>,
        /// The profile's choice of words.
        names_status: bool,
    },
    /// The mailbox refuses a subscription.
    Extension {
        operation: Operation,
        status: u16,
        reason: String,
    },
    Duplicate(SubscriptionId),
    SubscriptionNotFound,
    /// There is no such upload, or it has expired.
    UploadNotFound,
    /// No `Content-Range`, or one that does not fit the upload or the body.
    UploadRange,
    UploadOutOfTurn,
    /// Another request sent the same part.
    UploadOvertaken,
    Store(StoreError),
    /// An app asks what came of the requests to its receivers.
    Attempts(AttemptsRefusal),
    /// The batch as a whole.
    Batch(BatchError),
    NestedBatch,
    /// A request of a batch names a server.
    AbsoluteUrl,
    /// A request of a batch depends on one that failed.
    FailedDependency,
    /// A request of a batch has a longer answer than the batch has room for.
    TooLargeForBatch,
    /// A request of a batch was not answered, by a defect of ours.
    Unanswered,
    Throttled(Throttled),
    /// A delta query asks for what it cannot.
    Delta(DeltaRefusal),
    /// The changes since a token are not known any more.
    SyncState {
        since: u64,
        /// Where the client begins anew.
        location: String,
    },
}

impl ApiError {
    /// The status and the JSON body.
    pub fn render(&self, context: &Context) -> (StatusCode, Vec<u8>) {
        let Shape { status, code, message, details } = self.shape();
        let detail = |(target, message): (Option<String>, String)| ErrorDetail {
            code: code.into(),
            message: message.into(),
            target: target.map(Cow::Owned),
        };
        let details = details.into_iter().map(detail).collect();
        let inner = InnerError {
            date: context.date().into(),
            request_id: context.request_id.to_string().into(),
            client_request_id: context.client_request_id.clone().into(),
            cause: self.cause(),
        };
        let error = ErrorObject { code: code.into(), message, details, inner_error: Some(inner) };
        (status, serde_json::to_vec(&ErrorBody { error }).unwrap_or_default())
    }

    /// The refusal as one from behind the subscription service, which was asked to do `operation`.
    pub fn behind(self, operation: Operation) -> Self {
        match self {
            ApiError::Denied(denied) => ApiError::SubscriptionDenied(operation, denied),
            other => other,
        }
    }

    /// `WWW-Authenticate`: where tokens are given out, and whether the next one must be a new one.
    pub fn challenge(&self, context: &Context) -> Option<String> {
        let ApiError::Token(error) = self else { return None };
        let graph = "00000003-0000-0000-c000-000000000000";
        let mut challenge = "Bearer realm=\"\"".to_owned();
        if context.gives_tokens {
            challenge.push_str(&format!(", authorization_uri=\"{}/common/oauth2/v2.0/authorize\"", context.origin));
        }
        challenge.push_str(&format!(", client_id=\"{graph}\""));
        if let TokenError::Revoked { since } = error {
            let claims = json!({"access_token": {"nbf": {"essential": true, "value": since.to_string()}}});
            let claims = STANDARD.encode(claims.to_string());
            challenge.push_str(&format!(", error=\"insufficient_claims\", claims=\"{claims}\""));
        }
        Some(challenge)
    }

    /// `Retry-After`, in seconds. None for an unknown outcome: clients would repeat by themselves what may
    /// have happened.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            ApiError::Contended => Some(1),
            ApiError::IssuerUnavailable => Some(10),
            ApiError::Throttled(Throttled::AtATime) => Some(1),
            ApiError::Throttled(Throttled::TooMany { retry_after_seconds }) => Some(*retry_after_seconds),
            ApiError::Store(StoreError::Full(_) | StoreError::LogTooLong | StoreError::ReadOnly(_)) => Some(30),
            ApiError::Store(StoreError::Unavailable(_)) => Some(2),
            _ => None,
        }
    }

    /// The code and the message.
    pub fn code_and_message(&self) -> (&'static str, Cow<'static, str>) {
        let shape = self.shape();
        (shape.code, shape.message)
    }

    /// Why a folder's name or id leads nowhere, whatever the mailbox.
    pub fn no_folder(key: &FolderKey) -> Self {
        match key {
            FolderKey::Unknown(name) if ABSENT_FOLDERS.iter().any(|absent| absent.eq_ignore_ascii_case(name)) => {
                ApiError::ItemNotFound
            }
            _ => ApiError::MalformedId,
        }
    }

    /// Where to go instead.
    pub fn location(&self) -> Option<String> {
        match self {
            ApiError::SyncState { location, .. } => Some(location.clone()),
            _ => None,
        }
    }

    /// Graph repeats within what the part behind its front end said when it is asked too much.
    fn cause(&self) -> Option<InnerCause<'static>> {
        let ApiError::Throttled(Throttled::TooMany { .. }) = self else { return None };
        Some(InnerCause { code: "429".into(), message: "Please retry after".into(), status: "429".into() })
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        ApiError::Token(error)
    }
}

impl From<PathError> for ApiError {
    fn from(error: PathError) -> Self {
        ApiError::Path(error)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        ApiError::Query(error)
    }
}

impl From<graph::Refusal> for ApiError {
    fn from(refusal: graph::Refusal) -> Self {
        ApiError::Rules(refusal)
    }
}

impl From<PayloadError> for ApiError {
    fn from(error: PayloadError) -> Self {
        ApiError::Payload(error)
    }
}

impl From<rules::Refusal> for ApiError {
    fn from(refusal: rules::Refusal) -> Self {
        ApiError::Subscription(refusal)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ApiError::Store(error)
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::ItemChanged(_) | CommitError::FolderChanged(_) => ApiError::Contended,
            CommitError::FolderGone(_) => ApiError::ItemNotFound,
            CommitError::NoMailbox(mailbox) => ApiError::InvalidUser(mailbox.to_string()),
            CommitError::AlreadyDone => ApiError::Contended,
            CommitError::Store(error) => ApiError::Store(error),
        }
    }
}
