//! Why the rules of a mailbox refuse a request. Which status and code that is on the wire is the HTTP
//! layer's affair.

use crate::recurrence::RecurrenceError;

/// A request that the rules of a mailbox refuse. Properties are named by their path in the body:
/// `toRecipients/emailAddress/address`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the type has no property {property}")]
    UnknownProperty { property: String },
    #[error("{property} must be {expected}")]
    Invalid { property: String, expected: String },
    #[error("{property} is given twice")]
    Duplicate { property: String },
    #[error("{property} is required")]
    Missing { property: &'static str },
    #[error("{property} cannot be changed")]
    NotUpdatable { property: String },
    /// Graph has the property; this server does not serve it yet.
    #[error("{property} is not supported")]
    Unsupported { property: String },
    #[error("the body is nested more than {levels_max} levels deep")]
    TooDeep { levels_max: usize },
    /// A string of too many bytes, or a collection of too many members.
    #[error("{property} is too long: {length_max} {unit} are the most")]
    TooLong { property: String, length_max: usize, unit: &'static str },
    #[error("the time zone {name} is not known")]
    UnknownTimeZone { name: String },
    #[error("a category named {name} exists")]
    CategoryExists { name: String },
    #[error("the folder does not exist")]
    FolderNotFound,
    #[error("a folder named {name} exists there")]
    FolderExists { name: String },
    /// A well-known folder stays.
    #[error("this folder cannot be deleted")]
    FolderProtected,
    /// A well-known folder keeps its name.
    #[error("this folder cannot be renamed")]
    FolderNameFixed,
    /// A well-known folder keeps its place.
    #[error("this folder cannot be moved")]
    FolderFixed,
    /// A search folder shows items and holds none.
    #[error("a search folder cannot hold items")]
    SearchFolder,
    #[error("this kind of item cannot be moved or copied")]
    NotMovable,
    #[error("only a draft can be sent")]
    NotADraft,
    #[error("the message has no recipients")]
    NoRecipients,
    #[error("this is no mail address: {address}")]
    InvalidRecipient { address: String },
    #[error("the message has more than {recipients_max} recipients")]
    TooManyRecipients { recipients_max: usize },
    #[error("the attachment is larger than {bytes_max} bytes: upload it in parts")]
    AttachmentTooLarge { bytes_max: usize },
    #[error("the attachment to upload is smaller than {bytes_min} bytes: attach it by one request")]
    UploadTooSmall { bytes_min: u64 },
    #[error("the attachment to upload is larger than {bytes_max} bytes")]
    UploadTooLarge { bytes_max: u64 },
    #[error("the item has {attachments_max} attachments, which is the most")]
    TooManyAttachments { attachments_max: usize },
    #[error("the attachments of the message are larger than {bytes_max} bytes together")]
    MessageTooLarge { bytes_max: u64 },
    #[error("an extension named {name} exists on the item")]
    ExtensionExists { name: String },
    #[error("the body is no base64")]
    MimeNotBase64,
    #[error("{0}")]
    Mime(crate::mime::MimeError),
    #[error("only the organizer can cancel a meeting")]
    NotTheOrganizer,
    #[error("the organizer cannot respond to the meeting")]
    OwnMeeting,
    #[error("the event has no organizer to respond to")]
    NoOrganizer,
    #[error("the meeting has been cancelled")]
    MeetingCancelled,
    #[error("proposedNewTime needs sendResponse to be true")]
    ProposalWithoutResponse,
    #[error("the organizer does not allow new time proposals for this event")]
    ProposalsNotAllowed,
    #[error("the calendar group holds calendars")]
    GroupNotEmpty,
    #[error("the mailbox may not send as {address}")]
    SendAsDenied { address: String },
    #[error(transparent)]
    Recurrence(RecurrenceError),
    /// It was cancelled, or the recurrence never had it.
    #[error("the series has no such occurrence")]
    OccurrenceNotFound,
    #[error("the occurrence would cross or overlap the one before or after it")]
    OccurrenceCrossing,
}

impl From<RecurrenceError> for Refusal {
    fn from(error: RecurrenceError) -> Self {
        Refusal::Recurrence(error)
    }
}

impl Refusal {
    pub(crate) fn invalid(property: &str, expected: impl Into<String>) -> Self {
        Refusal::Invalid { property: property.to_owned(), expected: expected.into() }
    }

    /// The same refusal, seen from the property that holds the one at fault.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        if let Refusal::UnknownProperty { property }
        | Refusal::Invalid { property, .. }
        | Refusal::Duplicate { property }
        | Refusal::Unsupported { property }
        | Refusal::TooLong { property, .. } = &mut self
        {
            *property = if property.is_empty() { outer.to_owned() } else { format!("{outer}/{property}") };
        }
        self
    }
}
