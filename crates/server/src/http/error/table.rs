//! The one table that gives each refusal Graph's status, code and message; those of a mailbox's rules have theirs in `mailbox`.

use std::borrow::Cow;

use graph::batch::{BatchError, REQUESTS_MAX};
use graph::path::{PathError, WatchError};
use http::StatusCode;
use notify::access::{Denied, Why};
use notify::throttle::Throttled;
use protocol::error::extension_message;
use store::StoreError;

use super::ApiError;
use super::mailbox::mailbox;
use crate::http::attempts::AttemptsRefusal;

/// How a refusal looks on the wire.
pub(super) struct Shape {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: Cow<'static, str>,
    /// What Graph's sentence leaves unsaid: the property at fault and what to change.
    pub details: Vec<(Option<String>, String)>,
}

impl ApiError {
    pub(super) fn shape(&self) -> Shape {
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

pub(super) fn shape(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Shape {
    Shape { status, code, message: message.into(), details: Vec::new() }
}

pub(super) fn with_detail(shape: Shape, target: Option<String>, message: String) -> Shape {
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
