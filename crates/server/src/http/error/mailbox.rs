//! What the rules of a mailbox refuse, in Graph's words.

use http::StatusCode;

use super::table::{Shape, shape, with_detail};

pub(super) fn mailbox(refusal: &graph::Refusal) -> Shape {
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
