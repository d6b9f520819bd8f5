//! The data model of Outlook resources, the rules of a mailbox, and what is known of other resources.
//!
//! Pure: this crate knows no async, no SQL, no HTTP, no clock and no source of randomness. Time, new
//! ids and everything else that varies arrive as arguments.

pub mod attachment;
pub mod basic;
pub mod batch;
pub mod change;
pub mod content;
pub mod delta;
pub mod exchange_id;
pub mod expand;
pub mod fuzz;
pub mod id;
pub mod item;
pub mod mailbox;
pub mod occurrence;
pub mod partition;
pub mod path;
pub mod photo;
pub mod query;
pub mod recurrence;
pub mod refinement;
pub mod refusal;
pub mod registry;
pub mod reminder;
pub mod render;
pub mod schema;
pub mod search;
pub mod time;
pub mod zone;

mod archive;
mod carried;
pub mod fuzz_formats;
pub mod fuzz_queries;
pub mod html;
pub mod ical;
mod ical_occurrences;
mod ical_people;
mod ical_recurrence;
mod ical_zones;
mod json;
pub mod mbox;
pub mod mime;
mod property_bag;
pub mod vcard;

pub use attachment::{Attachment, NewAttachment};
pub use carried::Carried;
pub use change::{Change, ChangeType, Mutation};
pub use content::Content;
pub use exchange_id::{ExchangeId, ExchangeIdFormat};
pub use id::{
    AppId, AttachmentId, ChangeId, FolderId, ImmutableId, ItemId, ItemKey, Kind, SubmissionId, SubscriptionId, TopicId,
};
pub use id::{TenantId, UserId};
pub use item::{Folder, Item, Properties, WellKnown};
pub use json::to_json;
pub use occurrence::{Occurrence, OccurrenceId};
pub use partition::{PARTITIONS, Partition, Scope};
pub use property_bag::PropertyBag;
pub use recurrence::Recurrence;
pub use refusal::Refusal;
pub use time::Timestamp;
