//! A committed mutation of an item, and the set of writes that one operation on a mailbox asks for.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::item::NOT_IN_CHANGES;
use crate::{
    AttachmentId, Carried, ChangeId, Folder, FolderId, ImmutableId, Item, ItemId, ItemKey, NewAttachment, Properties,
};
use crate::{TenantId, Timestamp, UserId};

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
    /// The item's immutable UUID, where it is not that of `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<Uuid>,
    /// The folder that holds the item, or held it when it was deleted.
    pub folder: FolderId,
    /// If the change is one half of a move: the folder at the move's other end. The item was deleted
    /// from `folder` and lies there now, or was created in `folder` and lay there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<FolderId>,
    pub change: ChangeType,
    pub at: Timestamp,
    /// When the item was made; 1970 in records from before this was kept.
    #[serde(default)]
    pub created: Timestamp,
    /// The item after the change; as it last was, if it was deleted.
    #[serde(default, skip_serializing_if = "Carried::is_empty")]
    pub after: Carried,
    /// The old values of the properties that the change altered; absent ones are `null`. Of a move, the half
    /// that created the item has them.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub before: Properties,
}

impl Change {
    /// The id that the item keeps when it moves.
    pub fn immutable_id(&self) -> ImmutableId {
        ImmutableId::new(self.item.kind, self.immutable.unwrap_or(self.item.uuid))
    }

    /// Where the item lies after it. `None`: it was deleted for good.
    pub fn folder_after(&self) -> Option<FolderId> {
        match self.change {
            ChangeType::Deleted => self.moved,
            ChangeType::Created | ChangeType::Updated => Some(self.folder),
        }
    }

    /// The id under which its item is told of.
    pub fn key(&self, is_immutable: bool) -> ItemKey {
        if is_immutable { ItemKey::Immutable(self.immutable_id()) } else { ItemKey::Id(self.item) }
    }

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

    /// The two halves of a move, in their order: `old` is gone by the change `id`, `new` is the same item
    /// in its new place.
    pub fn moved(tenant: TenantId, old: &Item, new: &Item, id: ChangeId, at: Timestamp) -> [Self; 2] {
        let mut gone = Self::deleted(tenant, old, id, at);
        gone.moved = Some(new.folder);
        let mut here = Self::created(tenant, new, at);
        here.moved = Some(old.folder);
        here.before = old_values(&old.properties, &new.properties);
        [gone, here]
    }

    fn of(tenant: TenantId, item: &Item, change: ChangeType, id: ChangeId, at: Timestamp) -> Self {
        if change != ChangeType::Deleted {
            // The item is stored as the same text, whose members are copied here.
            item.properties.json();
        }
        let carried = item.properties.members().filter(|(name, ..)| !NOT_IN_CHANGES.contains(name));
        Self {
            id,
            tenant,
            mailbox: item.mailbox,
            item: item.id,
            immutable: (item.immutable != item.id.uuid).then_some(item.immutable),
            folder: item.folder,
            moved: None,
            change,
            at,
            created: item.created,
            after: Carried::written(carried),
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
    /// The operation holds only while each of these folders is as it is here, whatever it holds.
    pub expect_folders: Vec<Folder>,
    /// Items to write, whole.
    pub puts: Vec<Item>,
    pub removes: Vec<ItemId>,
    pub folder_puts: Vec<Folder>,
    /// Folders to remove; their items are removed by `removes`.
    pub folder_removes: Vec<FolderId>,
    /// Attachments to write. Those of an item that is removed go with it, unless the same mutation puts
    /// an item with the same immutable UUID: a moved item keeps its own.
    pub attachment_puts: Vec<NewAttachment>,
    /// Attachments to remove, by the immutable UUID of their item.
    pub attachment_removes: Vec<(Uuid, AttachmentId)>,
    /// Every attachment of the first item is copied to the second, by immutable UUIDs.
    pub attachment_copies: Vec<(Uuid, Uuid)>,
    /// What subscribers may hear of, in order.
    pub changes: Vec<Change>,
}
