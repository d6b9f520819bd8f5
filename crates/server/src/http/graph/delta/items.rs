//! `…/messages/delta` of a folder, `…/contacts/delta` of a folder or the default one, `…/events/delta` of a
//! calendar: 200 with items and removals. Messages of all folders at once are not followed, as with Graph.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use graph::delta::{Options, Place, Received, is_newest_first};
use graph::path::{FolderKey, UserKey};
use graph::render::{self, Preferences, View};
use graph::schema::Entity;
use graph::{Kind, WellKnown};
use serde_json::Value;
use store::DeltaEntry;
use uuid::Uuid;

use super::{DeltaRefusal, Round, Told, Untaken, item_removed, typed, user_path};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, folders};
use crate::http::query;

pub async fn items(call: &Call<'_>, user: &UserKey, kind: Kind, folder: Option<FolderKey>) -> Result<Answer, ApiError> {
    let untaken = untaken(kind);
    call.query.allow(&["$deltatoken", "$skiptoken", "$select", "$filter", "$orderby", "$expand", "$search", "$top"])?;
    if kind == Kind::Message && folder.is_none() {
        return Err(ApiError::Delta(DeltaRefusal::NotTracked("message")));
    }
    call.require_read(kind)?;
    let owner = call.owner(user).await?;
    let folder = match &folder {
        Some(key) => call.folder(owner.id, key).await?,
        None => WellKnown::Contacts.id_in(owner.id),
    };
    let place = format!("{}('{folder}')", folders::collection(kind));
    let path = format!("{}/{place}/{}/delta", user_path(user, &owner), kind.collection());
    let round = Round::open(call, path, owner.id, Place::Items(kind, Some(folder)), || begin(call, kind, &untaken))?;
    let select = round.select(Entity::from(kind))?;
    let options = &round.token.options;
    let received = options.filter.as_deref().and_then(Received::read);
    let mut told = round
        .read(call, |entry| match (entry, &received) {
            (DeltaEntry::Item(item), Some(received)) => received.matches(item),
            _ => true,
        })
        .await?;
    if options.order.is_some() {
        told.entries.sort_by_key(|(_, entry)| match entry {
            DeltaEntry::Item(item) => Reverse(Some(item.sort_key())),
            _ => Reverse(None),
        });
    }
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let value = shown(&told, kind, view);
    Ok(round.answer(call, kind.type_name(), &told, value))
}

fn untaken(kind: Kind) -> Untaken {
    match kind {
        Kind::Message => Untaken { resource: "Messages", options: "$expand, $search" },
        Kind::Event => Untaken { resource: "Events", options: "$orderby, $filter, $expand, $search, $top" },
        Kind::Contact => Untaken { resource: "Contacts", options: "$orderby, $filter, $expand, $search, $top" },
    }
}

fn begin(call: &Call<'_>, kind: Kind, untaken: &Untaken) -> Result<Options, ApiError> {
    untaken.check(call)?;
    call.query.select(Entity::from(kind))?;
    let own = |name: &str| call.query.get(name).map(str::to_owned);
    let (filter, order) = (own("$filter"), own("$orderby"));
    let value = |option, only| Err(ApiError::Delta(DeltaRefusal::Value { option, only }));
    if filter.as_deref().is_some_and(|filter| Received::read(filter).is_none()) {
        return value("$filter", "receivedDateTime ge value");
    }
    if order.as_deref().is_some_and(|order| !is_newest_first(order)) {
        return value("$orderby", "receivedDateTime desc");
    }
    let top = query::top(&call.query)?;
    Ok(Options { select: own("$select"), filter, order, top, ..Options::default() })
}

fn shown(told: &Told, kind: Kind, view: View<'_>) -> Vec<Value> {
    let present = present(told, view.prefer);
    let entries = told.entries.iter();
    entries
        .filter_map(|(_, entry)| match entry {
            DeltaEntry::Item(item) => Some(typed(kind.type_name(), render::item(item, view))),
            DeltaEntry::ItemGone { immutable, .. } if present.contains(immutable) => None,
            DeltaEntry::ItemGone { id, immutable } => {
                Some(item_removed(kind.type_name(), *id, *immutable, view.prefer))
            }
            DeltaEntry::Folder(_) | DeltaEntry::FolderGone(_) => None,
        })
        .collect()
}

/// What the page shows under ids that stay: an item that left and came back is not gone.
pub(super) fn present(told: &Told, prefer: &Preferences) -> BTreeSet<Uuid> {
    if !prefer.immutable_ids {
        return BTreeSet::new();
    }
    let items = told.entries.iter().filter_map(|(_, entry)| match entry {
        DeltaEntry::Item(item) => Some(item.immutable),
        _ => None,
    });
    items.collect()
}
