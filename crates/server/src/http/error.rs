//! Every refusal of the API, and the one table that gives it Graph's status, code and message.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::SubscriptionId;
use graph::batch::{BatchError, REQUESTS_MAX};
use graph::item::ABSENT_FOLDERS;
use graph::path::{FolderKey, PathError, WatchError};
use http::StatusCode;
use notify::access::{Denied, Why};
use notify::rules::{self, UrlRole};
use notify::throttle::Throttled;
use protocol::error::{ErrorDetail, InnerCause, Operation, extension_message};
use protocol::{ErrorBody, ErrorObject, HandshakeError, InnerError, PayloadError};
use serde_json::json;
use store::{CommitError, StoreError};

use super::attempts::AttemptsRefusal;
use super::context::Context;
use super::graph::{DeltaRefusal, ScheduleRefusal, WindowError};
use super::query::QueryError;
use crate::identity::TokenError;

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

/// How a refusal looks on the wire.
struct Shape {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    /// What Graph's sentence leaves unsaid: the property at fault and what to change.
    details: Vec<(Option<String>, String)>,
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

    fn shape(&self) -> Shape {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        match self {
            ApiError::Token(error) => shape(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", error.to_string()),
            ApiError::IssuerUnavailable => shape(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "The issuer of the access token cannot be reached, so that the token cannot be verified; try again.",
            ),
            ApiError::MeWithoutUser => {
                shape(BAD, "BadRequest", "/me request is only valid with delegated authentication flow.")
            }
            ApiError::Denied(denied) => Shape { details: explained(denied), ..access_denied(denied) },
            ApiError::SubscriptionDenied(operation, denied) => {
                let message = extension_message(*operation, 403, forbidden(denied));
                Shape { details: explained(denied), ..shape(StatusCode::FORBIDDEN, "ExtensionError", message) }
            }
            ApiError::Version(segment) => shape(BAD, "BadRequest", format!("Invalid version: {segment}")),
            ApiError::Path(error) => path(error),
            ApiError::NotServed => {
                shape(StatusCode::NOT_IMPLEMENTED, "NotImplemented", "This resource is not served here.")
            }
            ApiError::Method => shape(
                StatusCode::METHOD_NOT_ALLOWED,
                "Request_BadRequest",
                "Specified HTTP method is not allowed for the request target.",
            ),
            ApiError::Query(error) => Shape { details: error.details(), ..shape(BAD, error.code(), error.to_string()) },
            ApiError::Json => shape(
                BAD,
                "BadRequest",
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid \
                 JSON format.",
            ),
            ApiError::Window(error) => shape(BAD, error.code(), error.to_string()),
            ApiError::Schedule(refusal) => shape(BAD, refusal.code(), refusal.to_string()),
            ApiError::BodyTooLarge(limit) => shape(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                format!("The request body can only be {limit} bytes long."),
            ),
            ApiError::BodyTooSlow => {
                shape(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "The request body did not arrive in time.")
            }
            ApiError::Rules(refusal) => mailbox(refusal),
            ApiError::MalformedId => shape(BAD, "ErrorInvalidIdMalformed", "Id is malformed."),
            ApiError::ItemNotFound => {
                shape(StatusCode::NOT_FOUND, "ErrorItemNotFound", "The specified object was not found in the store.")
            }
            ApiError::InvalidUser(user) => {
                shape(StatusCode::NOT_FOUND, "ErrorInvalidUser", format!("The requested user '{user}' is invalid."))
            }
            ApiError::NoSuchUser(user) => shape(
                StatusCode::NOT_FOUND,
                "Request_ResourceNotFound",
                format!(
                    "Resource '{user}' does not exist or one of its queried reference-property objects are not present."
                ),
            ),
            ApiError::ChangeKey => shape(
                StatusCode::PRECONDITION_FAILED,
                "ErrorIrresolvableConflict",
                "The send or update operation could not be performed because the change key passed in the request does \
                 not match the current change key for the item.",
            ),
            ApiError::Contended => shape(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "The item is being changed by others; try again.",
            ),
            ApiError::Attempts(refusal) => attempts(refusal),
            ApiError::Payload(error) => with_detail(
                shape(BAD, error.code(), error.message()),
                error.property().map(str::to_owned),
                error.to_string(),
            ),
            ApiError::Subscription(refusal) => {
                let shape = shape(BAD, refusal.code(), refusal.to_string());
                match refusal.detail() {
                    Some(detail) => with_detail(shape, None, detail),
                    None => shape,
                }
            }
            ApiError::Handshake { role, error, detail, names_status } => {
                let shape = shape(BAD, error.code(), error.message(role.name(), *names_status));
                match detail {
                    Some(detail) => with_detail(shape, Some(role.property().to_owned()), detail.clone()),
                    None => shape,
                }
            }
            ApiError::Extension { operation, status, reason } => {
                let status_code = StatusCode::from_u16(*status).unwrap_or(BAD);
                let shape = shape(status_code, "ExtensionError", extension_message(*operation, *status, reason));
                match extension_detail(*status, reason) {
                    Some(detail) => with_detail(shape, Some("resource".to_owned()), detail),
                    None => shape,
                }
            }
            ApiError::Duplicate(id) => shape(
                StatusCode::CONFLICT,
                "Conflict",
                format!("Subscription Id {id} already exists for the requested combination"),
            ),
            ApiError::SubscriptionNotFound => {
                shape(StatusCode::NOT_FOUND, "ResourceNotFound", "The object was not found.")
            }
            ApiError::UploadNotFound => {
                shape(StatusCode::NOT_FOUND, "ErrorItemNotFound", "The upload session was not found or has expired.")
            }
            ApiError::UploadRange => shape(
                BAD,
                "ErrorInvalidRange",
                "Content-Range must be 'bytes {first}-{last}/{size}' and fit the body and the size of the attachment.",
            ),
            ApiError::UploadOutOfTurn => shape(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "ErrorInvalidRange",
                "The range is not the one that is expected next; a GET of the upload URL tells which is.",
            ),
            ApiError::UploadOvertaken => {
                shape(StatusCode::CONFLICT, "Conflict", "Another request has sent this range at the same time.")
            }
            ApiError::Store(error) => stored(error),
            ApiError::Batch(_)
            | ApiError::NestedBatch
            | ApiError::AbsoluteUrl
            | ApiError::FailedDependency
            | ApiError::TooLargeForBatch
            | ApiError::Unanswered => batched(self),
            ApiError::Throttled(Throttled::AtATime) => shape(
                StatusCode::TOO_MANY_REQUESTS,
                "ApplicationThrottled",
                "Application is over its MailboxConcurrency limit.",
            ),
            ApiError::Throttled(Throttled::TooMany { .. }) => {
                shape(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Please retry again later.")
            }
            ApiError::Delta(refusal) => shape(BAD, refusal.code(), refusal.to_string()),
            ApiError::SyncState { since, .. } => shape(
                StatusCode::GONE,
                "SyncStateNotFound",
                format!("The sync state generation is not found; generation={since}."),
            ),
        }
    }
}

fn batched(error: &ApiError) -> Shape {
    let bad = StatusCode::BAD_REQUEST;
    match error {
        ApiError::Batch(error) => with_detail(batch(error), None, error.to_string()),
        ApiError::NestedBatch => shape(bad, "BadRequest", "A batch cannot be part of a batch."),
        ApiError::AbsoluteUrl => shape(bad, "BadRequest", "The URL of a request in a batch must be relative."),
        ApiError::FailedDependency => shape(
            StatusCode::FAILED_DEPENDENCY,
            "FailedDependency",
            "The request depends on another one of the batch that failed.",
        ),
        ApiError::TooLargeForBatch => {
            shape(bad, "ResponseTooLarge", "The answers of the batch are too large; send this request alone.")
        }
        _ => shape(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            "The server has not answered this request of the batch; its log says why.",
        ),
    }
}

fn batch(error: &BatchError) -> Shape {
    let bad = StatusCode::BAD_REQUEST;
    match error {
        BatchError::Malformed => shape(bad, "BadRequest", "Invalid batch payload format."),
        BatchError::TooMany => shape(
            bad,
            "MaximumValueExceeded",
            format!("Number of batch request steps exceeds the maximum value of {REQUESTS_MAX}."),
        ),
        BatchError::DuplicateId { id } => shape(bad, "BadRequest", format!("Duplicate request id : {id}.")),
        BatchError::Dependency { id } => shape(bad, "BadRequest", format!("Invalid dependency for request id : {id}.")),
        BatchError::ContentType { id } => {
            shape(bad, "BadRequest", format!("Write request id : {id} does not contain Content-Type header or body."))
        }
        BatchError::Body { id } => shape(bad, "BadRequest", format!("Invalid body of request id : {id}.")),
    }
}

fn attempts(refusal: &AttemptsRefusal) -> Shape {
    match refusal {
        AttemptsRefusal::Query(why) => shape(StatusCode::BAD_REQUEST, "BadRequest", why.clone()),
        AttemptsRefusal::NoLog => {
            shape(StatusCode::NOT_FOUND, "ResourceNotFound", "This server keeps no log of single attempts.")
        }
        AttemptsRefusal::Unreadable => {
            shape(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "The log of single attempts cannot be read.")
        }
    }
}

fn shape(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Shape {
    Shape { status, code, message: message.into(), details: Vec::new() }
}

fn with_detail(shape: Shape, target: Option<String>, message: String) -> Shape {
    Shape { details: vec![(target, message)], ..shape }
}

fn access_denied(denied: &Denied) -> Shape {
    let forbidden = StatusCode::FORBIDDEN;
    if denied.need.is_of_directory() {
        let message = "Insufficient privileges to complete the operation.";
        return shape(forbidden, "Authorization_RequestDenied", message);
    }
    let message = match denied.why {
        Why::Policy => "Access to OData is disabled.",
        Why::Permission | Why::OtherMailbox => "Access is denied. Check credentials and try again.",
    };
    shape(forbidden, "ErrorAccessDenied", message)
}

/// Why a subscription is forbidden, in the words of the part behind Graph's front end.
fn forbidden(denied: &Denied) -> &'static str {
    match denied.why {
        Why::Policy => "Access to OData is disabled.",
        Why::Permission | Why::OtherMailbox => "Forbidden",
    }
}

fn explained(denied: &Denied) -> Vec<(Option<String>, String)> {
    vec![(None, denied.needed()), (None, denied.held())]
}

/// What to change where the mailbox refuses a subscription in few words.
fn extension_detail(status: u16, reason: &str) -> Option<String> {
    match (status, reason) {
        (404, "Not Found") => Some("resource names no user of this tenant: give the user's id or UPN".to_owned()),
        (400, text) if text == WatchError::Invalid.graph_text() => Some(WatchError::Invalid.to_string()),
        _ => None,
    }
}

fn path(error: &PathError) -> Shape {
    let bad = StatusCode::BAD_REQUEST;
    match error {
        PathError::UnknownSegment(segment) => {
            shape(bad, "BadRequest", format!("Resource not found for the segment '{segment}'."))
        }
        PathError::Empty => shape(bad, "BadRequest", "Empty path: name a resource, such as /v1.0/me/messages."),
        _ => shape(bad, "BadRequest", format!("The request URL is not valid: {error}.")),
    }
}

fn mailbox(refusal: &graph::Refusal) -> Shape {
    use graph::Refusal;
    let bad = StatusCode::BAD_REQUEST;
    match refusal {
        Refusal::UnknownProperty { property } => shape(
            bad,
            "RequestBodyRead",
            format!(
                "The property '{property}' does not exist on the type of this resource. Make sure to only use property \
                 names that are defined by the type."
            ),
        ),
        Refusal::Invalid { .. } | Refusal::Duplicate { .. } | Refusal::TooDeep { .. } | Refusal::TooLong { .. } => {
            shape(bad, "RequestBodyRead", sentence(refusal))
        }
        Refusal::Missing { .. } | Refusal::Unsupported { .. } => shape(bad, "ErrorInvalidRequest", sentence(refusal)),
        Refusal::NotUpdatable { .. } => shape(bad, "ErrorInvalidPropertySet", sentence(refusal)),
        Refusal::Recurrence(error) => with_detail(
            shape(bad, "ErrorPropertyValidationFailure", "At least one property failed validation."),
            Some(error.property().to_owned()),
            error.to_string(),
        ),
        Refusal::OccurrenceNotFound => {
            shape(StatusCode::NOT_FOUND, "ErrorItemNotFound", "The specified object was not found in the store.")
        }
        Refusal::OccurrenceCrossing => shape(
            bad,
            "ErrorOccurrenceCrossingBoundary",
            "Modified occurrence is crossing or overlapping adjacent occurrence.",
        ),
        Refusal::UnknownTimeZone { name } => shape(
            bad,
            "TimeZoneNotSupportedException",
            format!(
                "A valid TimeZone value must be specified. The following TimeZone value is not supported: '{name}'."
            ),
        ),
        Refusal::FolderNotFound => {
            shape(StatusCode::NOT_FOUND, "ErrorItemNotFound", "The specified object was not found in the store.")
        }
        Refusal::FolderExists { .. } => {
            shape(StatusCode::CONFLICT, "ErrorFolderExists", "A folder with the specified name already exists.")
        }
        Refusal::FolderProtected => {
            shape(bad, "ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted.")
        }
        Refusal::FolderNameFixed => shape(bad, "ErrorInvalidOperation", "Distinguished folders cannot be renamed."),
        Refusal::FolderFixed => shape(bad, "ErrorMoveDistinguishedFolder", "Distinguished folders cannot be moved."),
        Refusal::CategoryExists { .. } => {
            shape(StatusCode::CONFLICT, "ErrorCategoryExists", "A category with the specified name already exists.")
        }
        Refusal::SearchFolder => shape(bad, "ErrorInvalidOperation", "A search folder cannot hold items."),
        Refusal::NotMovable | Refusal::NotADraft => shape(bad, "ErrorInvalidOperation", sentence(refusal)),
        Refusal::OwnMeeting => shape(
            bad,
            "ErrorInvalidRequest",
            "Your request can't be completed. You can't respond to this meeting because you're the meeting organizer.",
        ),
        Refusal::NotTheOrganizer => shape(
            bad,
            "ErrorInvalidRequest",
            "Your request can't be completed. You need to be an organizer to cancel a meeting.",
        ),
        Refusal::NoOrganizer
        | Refusal::MeetingCancelled
        | Refusal::ProposalWithoutResponse
        | Refusal::ProposalsNotAllowed => shape(bad, "ErrorInvalidRequest", sentence(refusal)),
        Refusal::GroupNotEmpty => shape(bad, "ErrorCannotDeleteObject", sentence(refusal)),
        Refusal::NoRecipients | Refusal::InvalidRecipient { .. } => {
            shape(bad, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
        }
        Refusal::TooManyRecipients { .. } => shape(bad, "ErrorMaxRecipientsExceeded", sentence(refusal)),
        Refusal::AttachmentTooLarge { .. } => {
            shape(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", sentence(refusal))
        }
        Refusal::UploadTooSmall { .. } => {
            shape(bad, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize", sentence(refusal))
        }
        Refusal::UploadTooLarge { .. } => shape(bad, "ErrorAttachmentSizeLimitExceeded", sentence(refusal)),
        Refusal::TooManyAttachments { .. } => shape(bad, "ErrorExceededMaxAttachmentCount", sentence(refusal)),
        Refusal::MessageTooLarge { .. } => shape(
            StatusCode::PAYLOAD_TOO_LARGE,
            "ErrorMessageSizeExceeded",
            "The message exceeds the maximum supported size.",
        ),
        Refusal::ExtensionExists { .. } => {
            shape(StatusCode::CONFLICT, "NameAlreadyExists", "An extension already exists with given id.")
        }
        Refusal::MimeNotBase64 => {
            shape(bad, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content")
        }
        Refusal::Mime(_) => shape(bad, "ErrorMimeContentInvalid", sentence(refusal)),
        Refusal::SendAsDenied { .. } => shape(
            StatusCode::FORBIDDEN,
            "ErrorSendAsDenied",
            "The user account which was used to submit this request does not have the right to send mail on behalf of \
             the specified sending account.",
        ),
    }
}

fn stored(error: &StoreError) -> Shape {
    match error {
        StoreError::Full(_) => shape(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The server's disk is full. Nothing was written; its operator must free space.",
        ),
        StoreError::LogTooLong => shape(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The server's log is full: it has more to tell than it may keep. Nothing was written; try again later.",
        ),
        StoreError::ReadOnly(_) => shape(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The server's data cannot be written. Nothing was; its operator must make it writable.",
        ),
        StoreError::Damaged(_) => shape(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            "The server's data is damaged where this lies. Nothing was written; its operator must restore a backup.",
        ),
        StoreError::Unavailable(_) => shape(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The server cannot do this now. Nothing was written; try again.",
        ),
        StoreError::Unknown(_) => shape(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The server does not know whether this was written; read before you try again.",
        ),
        StoreError::Corrupt(_) => shape(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            "The server cannot read what it stored; its log names the row.",
        ),
    }
}

/// An error's lower-case fragment as a sentence. The name of a property at its head stays as it is.
fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    match text.split_once(' ') {
        Some(("the", rest)) => format!("The {rest}."),
        Some(("this", rest)) => format!("This {rest}."),
        Some(("only", rest)) => format!("Only {rest}."),
        _ => format!("{text}."),
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
