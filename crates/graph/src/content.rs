//! What a notification with content shows of an item: the selected properties as they were at the change,
//! each with its type where JSON does not tell it. Sealing it is for others.

use serde_json::Value;

use crate::expand::Expand;
use crate::item::NOT_IN_CHANGES;
use crate::path::{WatchError, watch};
use crate::refinement::{Refinement, RefinementRefusal};
use crate::render::{self, Preferences, Select, View};
use crate::schema::annotated;
use crate::{Change, Item, Properties};

/// What a subscription's `resource` asks to be shown.
#[derive(Clone, Debug)]
pub struct Content {
    select: Select,
    expand: Expand,
}

/// Why a `resource` shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentRefusal {
    #[error(transparent)]
    Path(#[from] WatchError),
    #[error(transparent)]
    Refinement(#[from] RefinementRefusal),
}

impl Content {
    pub fn of(resource: &str) -> Result<Self, ContentRefusal> {
        let watched = watch(resource)?;
        Ok(Refinement::read(watched.kind, &watched.options)?.try_into()?)
    }

    /// The item after a change, as compact JSON. `None`: it was deleted for good. An item that was moved is
    /// shown where it lies now, by both halves of the move.
    pub fn shown(&self, change: &Change, immutable_ids: bool) -> Option<Vec<u8>> {
        let item = item_after(change)?;
        let prefer = Preferences { immutable_ids, ..Preferences::default() };
        let view = View { context: None, select: Some(&self.select), prefer: &prefer };
        let mut shown = render::item(&item, view);
        self.expand.show(&item.properties, &mut shown);
        let Value::Object(mut shown) = shown else { return None };
        shown.remove("@odata.etag");
        if !self.select.has("id") {
            shown.remove("id");
        }
        let shown = annotated(item.id.kind.into(), &shown);
        Some(serde_json::to_vec(&shown).expect("JSON with names for keys can be written"))
    }
}

impl TryFrom<Refinement> for Content {
    type Error = RefinementRefusal;

    fn try_from(refinement: Refinement) -> Result<Self, RefinementRefusal> {
        let select = refinement.select.ok_or(RefinementRefusal::NoSelect)?;
        match NOT_IN_CHANGES.into_iter().find(|name| select.has(name)) {
            Some(name) => Err(RefinementRefusal::NotShown(name)),
            None => Ok(Self { select, expand: refinement.expand }),
        }
    }
}

fn item_after(change: &Change) -> Option<Item> {
    let folder = change.folder_after()?;
    Some(Item {
        id: change.item,
        immutable: change.immutable.unwrap_or(change.item.uuid),
        mailbox: change.mailbox,
        folder,
        created: change.created,
        modified: change.at.whole_seconds(),
        version: change.id,
        properties: Properties::clone(&change.after).into(),
    })
}

#[cfg(test)]
mod tests;
