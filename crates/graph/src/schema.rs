//! What a request body may hold: names, types and enumerations as in Graph's metadata, and the bounds
//! that this server sets. A body that passes is in Graph's own spelling.

mod actions;
mod annotated;
mod csdl;
mod extended;
mod fields;
mod meeting;
mod parts;
mod read;
mod types;

use crate::Kind;
pub use actions::{Answer, Schedule, TRANSLATED_IDS_MAX, Translation, answer, read_named, schedule, translation};
pub(crate) use annotated::annotated;
pub use csdl::csdl;
pub use extended::{EXTENDED, Values, property_id};
pub use fields::Fields;
pub use meeting::{Response, comment, event_forward, response};
pub use parts::{attachment, attachment_item, extension, extension_members};
pub use read::{DEPTH_MAX, MEMBERS_MAX, STRING_BYTES_MAX, destination, read, send_mail};

/// Graph's types as JSON: names, bases, properties, relations and members of enumerations.
pub const METADATA: &str = include_str!("schema/types.json");

/// A type that a request body can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    Message,
    Event,
    Contact,
    MailFolder,
    Calendar,
    CalendarGroup,
    ContactFolder,
}

impl Entity {
    pub const ALL: [Entity; 7] = [
        Entity::Message,
        Entity::Event,
        Entity::Contact,
        Entity::MailFolder,
        Entity::Calendar,
        Entity::CalendarGroup,
        Entity::ContactFolder,
    ];

    /// The type's name in Graph's metadata.
    pub fn type_name(self) -> &'static str {
        match self {
            Entity::Message => "message",
            Entity::Event => "event",
            Entity::Contact => "contact",
            Entity::MailFolder => "mailFolder",
            Entity::Calendar => "calendar",
            Entity::CalendarGroup => "calendarGroup",
            Entity::ContactFolder => "contactFolder",
        }
    }

    /// The type of folder that holds items of a kind.
    pub fn folder_of(kind: Kind) -> Self {
        match kind {
            Kind::Message => Entity::MailFolder,
            Kind::Event => Entity::Calendar,
            Kind::Contact => Entity::ContactFolder,
        }
    }

    /// A property's name in Graph's spelling, given in any case.
    pub fn property(self, name: &str) -> Option<&'static str> {
        if self == Entity::Event && name.eq_ignore_ascii_case("occurrenceId") {
            return Some("occurrenceId");
        }
        types::all().entity(self).property(name).map(|property| property.name.as_str())
    }

    /// Whether a body may hold what is related to the entity under this name.
    pub fn takes_relation(self, name: &str) -> bool {
        let relation = types::all().entity(self).property(name);
        relation.is_some_and(|relation| !matches!(relation.shape, types::Shape::Unsupported))
    }

    /// How a property is shown that has no value: an empty collection, or null.
    pub fn absent(self, name: &str) -> serde_json::Value {
        let collection = types::all().entity(self).property(name).is_some_and(|property| property.collection);
        if collection { serde_json::json!([]) } else { serde_json::Value::Null }
    }

    /// Properties that the server alone sets. A body may repeat them, as clients do that send back
    /// what they got; they are dropped.
    pub fn is_server_managed(self, name: &str) -> bool {
        const ANY: [&str; 6] =
            ["id", "changeKey", "createdDateTime", "lastModifiedDateTime", "parentFolderId", "webLink"];
        let own: &[&str] = match self {
            Entity::Message => &["bodyPreview", "conversationId", "conversationIndex", "hasAttachments", "uniqueBody"],
            Entity::Event => &[
                "bodyPreview",
                "cancelledOccurrences",
                "hasAttachments",
                "iCalUId",
                "isCancelled",
                "isDraft",
                "isOrganizer",
                "onlineMeeting",
                "onlineMeetingUrl",
                "organizer",
                "originalEndTimeZone",
                "originalStart",
                "originalStartTimeZone",
                "responseStatus",
                "seriesMasterId",
                "type",
            ],
            Entity::MailFolder => &["childFolderCount", "totalItemCount", "unreadItemCount"],
            Entity::Calendar => &[
                "allowedOnlineMeetingProviders",
                "canEdit",
                "canShare",
                "canViewPrivateItems",
                "hexColor",
                "isRemovable",
                "isTallyingResponses",
                "owner",
            ],
            Entity::CalendarGroup => &["classId"],
            Entity::Contact | Entity::ContactFolder => &[],
        };
        ANY.contains(&name) || own.contains(&name)
    }
}

impl From<Kind> for Entity {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Message => Entity::Message,
            Kind::Event => Entity::Event,
            Kind::Contact => Entity::Contact,
        }
    }
}

#[cfg(test)]
mod tests;
