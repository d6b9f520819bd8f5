//! Graph's error body.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::status_name;

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody<'a> {
    pub error: ErrorObject<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorObject<'a> {
    /// What programs match on.
    pub code: Cow<'a, str>,
    pub message: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<ErrorDetail<'a>>,
    /// `innererror` in the schema, `innerError` on the wire; both are read.
    #[serde(default, alias = "innererror", skip_serializing_if = "Option::is_none")]
    pub inner_error: Option<InnerError<'a>>,
}

/// One cause among several, or the property that is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail<'a> {
    pub code: Cow<'a, str>,
    pub message: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Cow<'a, str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InnerError<'a> {
    /// UTC to the second, without a zone: `2026-11-21T10:17:05`.
    #[serde(default)]
    pub date: Cow<'a, str>,
    #[serde(default, rename = "request-id")]
    pub request_id: Cow<'a, str>,
    /// The caller's own id, or the request id again.
    #[serde(default, rename = "client-request-id")]
    pub client_request_id: Cow<'a, str>,
    /// What the part behind the front end said, where Graph repeats it.
    #[serde(flatten)]
    pub cause: Option<InnerCause<'a>>,
}

/// The refusal of a part behind the front end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InnerCause<'a> {
    pub code: Cow<'a, str>,
    pub message: Cow<'a, str>,
    pub status: Cow<'a, str>,
}

/// What the subscription front end was asked to do when a part behind it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Read,
    Update,
    Delete,
}

/// The message of an `ExtensionError`: a refusal by the mailbox, as the subscription front end wraps it.
pub fn extension_message(operation: Operation, status: u16, reason: &str) -> String {
    format!("Operation: {operation:?}; Exception: [Status Code: {}; Reason: {reason}]", status_name(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> ErrorBody<'static> {
        ErrorBody {
            error: ErrorObject {
                code: "InvalidRequest".into(),
                message: "NotificationUrl scheme='http' is not supported.".into(),
                details: Vec::new(),
                inner_error: Some(InnerError {
                    date: "2026-11-21T10:17:05".into(),
                    request_id: "0d0e0000-0000-4000-8000-000000000001".into(),
                    cause: None,
                    client_request_id: "7d6c0c2a-0000-4000-8000-000000000001".into(),
                }),
            },
        }
    }

    #[test]
    fn an_error_has_graphs_shape() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&body()).unwrap(), @r#"
        {
          "error": {
            "code": "InvalidRequest",
            "message": "NotificationUrl scheme='http' is not supported.",
            "innerError": {
              "date": "2026-11-21T10:17:05",
              "request-id": "0d0e0000-0000-4000-8000-000000000001",
              "client-request-id": "7d6c0c2a-0000-4000-8000-000000000001"
            }
          }
        }
        "#);
    }

    #[test]
    fn details_name_the_property_at_fault() {
        let mut body = body();
        body.error.details.push(ErrorDetail {
            code: "UnknownProperty".into(),
            message: "unknown property".into(),
            target: Some("changeTypo".into()),
        });
        insta::assert_snapshot!(serde_json::to_string(&body).unwrap(), @r#"{"error":{"code":"InvalidRequest","message":"NotificationUrl scheme='http' is not supported.","details":[{"code":"UnknownProperty","message":"unknown property","target":"changeTypo"}],"innerError":{"date":"2026-11-21T10:17:05","request-id":"0d0e0000-0000-4000-8000-000000000001","client-request-id":"7d6c0c2a-0000-4000-8000-000000000001"}}}"#);
    }

    #[test]
    fn both_spellings_of_inner_error_are_read() {
        let lower = serde_json::to_string(&body()).unwrap().replace("innerError", "innererror");
        assert_eq!(serde_json::from_str::<ErrorBody>(&lower).unwrap(), body());
    }

    #[test]
    fn a_refusal_from_behind_is_wrapped() {
        let message = extension_message(Operation::Create, 403, "Forbidden");
        assert_eq!(message, "Operation: Create; Exception: [Status Code: Forbidden; Reason: Forbidden]");
        let message = extension_message(Operation::Update, 503, "");
        assert_eq!(message, "Operation: Update; Exception: [Status Code: ServiceUnavailable; Reason: ]");
    }
}
