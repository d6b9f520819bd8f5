//! The resources outside of mailboxes that raise change notifications: what Graph's documentation says of
//! each, in one table. What they hold is not modelled: their states are JSON objects, and their changes are
//! told from outside.
//!
//! The table is data: paths are patterns, and a path leads to the row whose pattern it fits.

mod ingested;
mod query;
mod read;
mod table;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ChangeType, Scope, TenantId};
pub use ingested::{Happened, Ingested};
pub use query::{Asked, AskedRefusal, MEETING_URL, Open, PRESENCES_MAX, QUERY_BYTES_MAX};
pub use read::{Place, Thing, ThingError, place, thing};

/// A resource of the table. Part of the stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourceKind {
    /// What lies below the root of a drive.
    DriveItem,
    List,
    User,
    Group,
    ChatMessage,
    TodoTask,
    BaseTask,
    CallRecord,
    Presence,
    /// A task of a print task definition.
    PrintTaskDefinition,
    PrintJob,
    Alert,
    OnlineMeeting,
}

/// What is documented of one resource.
#[derive(Debug)]
pub struct Entry {
    pub kind: ResourceKind,
    /// As the documentation names it: `driveItem`.
    pub name: &'static str,
    /// `@odata.type` in notifications.
    pub odata_type: &'static str,
    /// What can be watched.
    pub places: &'static [PlaceRow],
    /// Where the single things lie whose changes are told.
    pub things: &'static [ThingRow],
    /// As what a change is told: of one that created, updated, deleted softly and deleted for good.
    pub told: [Option<ChangeType>; 4],
    /// The longest life of a subscription, in minutes from now.
    pub life_minutes_max: i64,
    /// Whether notifications can carry the resource.
    pub is_rich: bool,
    /// A subscription that lives longer than this needs a `lifecycleNotificationUrl`.
    pub lifecycle_url_beyond_minutes: Option<i64>,
    /// Whether there are subscriptions in the national clouds, too.
    pub in_national_clouds: bool,
    pub is_deprecated: bool,
    /// Between a change and its notification; `None`: unknown.
    pub latency: Option<Latency>,
    /// Live subscriptions in one tenant, over all apps.
    pub subscriptions_max: u64,
    /// What `$filter` in `resource` may say.
    pub filter: FilterRule,
    /// Whether `notificationQueryOptions` are taken.
    pub has_query_options: bool,
}

/// Seconds from a change to its notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// It is less than this on average.
    pub average: u32,
    pub maximum: u32,
}

/// What can be watched, and who may.
#[derive(Debug, PartialEq, Eq)]
pub struct PlaceRow {
    /// Names, and between them `{user}`, a user by id or UPN, or `{id}`, a key that is not looked into.
    pub pattern: &'static str,
    pub permissions: Permissions,
}

/// Graph's names of permissions of which one suffices, least privileged first; none: nobody can.
#[derive(Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Delegated, with a work or school account.
    pub work: &'static [&'static str],
    /// Delegated, with a personal account.
    pub personal: &'static [&'static str],
    pub application: &'static [&'static str],
}

/// Where single things lie.
#[derive(Debug)]
pub struct ThingRow {
    pub pattern: &'static str,
    /// The patterns of the places where they are heard of; each takes the first keys of the thing's.
    pub heard_at: &'static [&'static str],
    pub telling: Telling,
}

/// What a notification says of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Its `resource` and `@odata.id`, patterns both. The `id` is the last key.
    Thing { resource: &'static str, odata_id: &'static str },
    /// Nothing but the `resource` of the subscription: what has changed below it, a delta query tells.
    Place,
    /// The query for it, by its `joinWebUrl`; that is its `id` as well.
    Meeting,
}

/// What `$filter` in `resource` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterRule {
    Forbidden,
    /// A filter on the state.
    Free,
    /// `id in ('…','…')`, of a place that ends before the key.
    IdIn,
    /// `JoinWebUrl eq '…'`, and nothing without it.
    JoinWebUrl,
}

impl ResourceKind {
    pub fn entry(self) -> &'static Entry {
        &table::ENTRIES[self as usize]
    }
}

impl Entry {
    /// All of them, in the order of the documentation's list that the kinds have.
    pub fn all() -> &'static [Entry] {
        &table::ENTRIES
    }

    /// The change types that a subscription may ask for, in their order.
    pub fn change_types(&self) -> impl Iterator<Item = ChangeType> {
        ChangeType::ALL.into_iter().filter(|change| self.told.contains(&Some(*change)))
    }
}

/// Namespace of the scopes of resources; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x5d0b_8c6e_71f2_4a39_b6e4_0f9a_d21c_88e7);

impl Scope {
    /// The resources of a kind in a tenant. Part of the stored form: it must never change.
    pub fn of_resources(tenant: TenantId, kind: ResourceKind) -> Self {
        let mut name = tenant.0.as_bytes().to_vec();
        name.extend_from_slice(kind.entry().name.as_bytes());
        Self(Uuid::new_v5(&NAMESPACE, &name))
    }
}

#[cfg(test)]
mod tests;
