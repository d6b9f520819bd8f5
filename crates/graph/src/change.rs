//! A committed mutation of an item, and the set of writes that one operation on a mailbox asks for.

use serde::{Deserialize, Serialize};

use crate::item::NOT_IN_CHANGES;
use crate::{ChangeId, Folder, FolderId, Item, ItemId, Properties, TenantId, Timestamp, UserId};

/// What happened to an item, in Graph's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeType {
    Created,
    Updated,
    Deleted,
}

impl ChangeType {
    pub const ALL: [ChangeType; 3] = [ChangeType::Created, ChangeType::Updated, ChangeType::Deleted];

    pub fn as_str(self) -> &'static str {
        match self {
            ChangeType::Created => "created",
            ChangeType::Updated => "updated",
            ChangeType::Deleted => "deleted",
        }
    }
}

/// One committed mutation of one item. It carries no body, attachment or MIME.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub id: ChangeId,
    pub tenant: TenantId,
    pub mailbox: UserId,
    pub item: ItemId,
    /// The folder that holds the item, or held it when it was deleted.
    pub folder: FolderId,
    pub change: ChangeType,
    pub at: Timestamp,
    /// The item after the change; as it last was, if it was deleted.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub after: Properties,
    /// The old values of the properties that the change altered; absent ones are `null`.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub before: Properties,
}

impl Change {
    /// `item` came to be; its `version` is the change's id.
    pub fn created(tenant: TenantId, item: &Item, at: Timestamp) -> Self {
        Self::of(tenant, item, ChangeType::Created, item.version, at)
    }

    /// `item` was `old` before; its `version` is the change's id.
    pub fn updated(tenant: TenantId, old: &Item, item: &Item, at: Timestamp) -> Self {
        let mut change = Self::of(tenant, item, ChangeType::Updated, item.version, at);
        change.before = old_values(&old.properties, &item.properties);
        change
    }

    /// `item` is gone, by the change `id`.
    pub fn deleted(tenant: TenantId, item: &Item, id: ChangeId, at: Timestamp) -> Self {
        Self::of(tenant, item, ChangeType::Deleted, id, at)
    }

    fn of(tenant: TenantId, item: &Item, change: ChangeType, id: ChangeId, at: Timestamp) -> Self {
        let after = item
            .properties
            .iter()
            .filter(|(name, _)| !NOT_IN_CHANGES.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self {
            id,
            tenant,
            mailbox: item.mailbox,
            item: item.id,
            folder: item.folder,
            change,
            at,
            after,
            before: Properties::new(),
        }
    }
}

fn old_values(old: &Properties, new: &Properties) -> Properties {
    let names = old.keys().chain(new.keys()).filter(|name| !NOT_IN_CHANGES.contains(&name.as_str()));
    names
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| (name.clone(), old.get(name).cloned().unwrap_or_default()))
        .collect()
}

/// Everything that one operation writes in one mailbox: applied as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mutation {
    /// The operation holds only while each of these items has this version (`None`: does not exist).
    pub expect: Vec<(ItemId, Option<ChangeId>)>,
    /// The operation holds only while each of these folders exists.
    pub expect_folders: Vec<FolderId>,
    /// Items to write, whole.
    pub puts: Vec<Item>,
    pub removes: Vec<ItemId>,
    pub folder_puts: Vec<Folder>,
    /// Folders to remove; their items are removed by `removes`.
    pub folder_removes: Vec<FolderId>,
    /// What subscribers may hear of, in order.
    pub changes: Vec<Change>,
}
