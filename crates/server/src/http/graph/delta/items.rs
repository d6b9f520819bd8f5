//! `…/messages/delta` of a folder, `…/contacts/delta` of a folder or the default one, `…/events/delta` of a
//! calendar: 200 with items and removals. Messages of all folders at once are not followed, as with Graph.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use graph::delta::{Options, Place, Received, is_newest_first};
use graph::expand::Expand;
use graph::path::{FolderKey, UserKey};
use graph::render::{self, Preferences, View};
use graph::schema::Entity;
use graph::{ChangeType, Kind, Timestamp, WellKnown};
use serde_json::Value;
use store::{DeltaEntry, Revision};
use uuid::Uuid;

use super::{DeltaRefusal, Round, Told, Untaken, item_removed, typed, user_path};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::items::expand::{self, RELATED_BYTES_MAX};
use crate::http::graph::{Call, folders};
use crate::http::query;

pub async fn items(call: &Call<'_>, user: &UserKey, kind: Kind, folder: Option<FolderKey>) -> Result<Answer, ApiError> {
    let untaken = untaken(kind);
    call.query.allow(&["$deltatoken", "$skiptoken", "$select", "$filter", "$orderby", "$expand", "$search", "$top"])?;
    if kind == Kind::Message && folder.is_none() {
        return Err(ApiError::Delta(DeltaRefusal::NotTracked("message")));
    }
    let owner = call.owner(user).await?;
    let folder = match &folder {
        Some(key) => call.folder(owner.id, key).await?,
        None => WellKnown::Contacts.id_in(owner.id),
    };
    let place = format!("{}('{folder}')", folders::collection(kind));
    let path = format!("{}/{place}/{}/delta", user_path(user, &owner), kind.collection());
    let round = Round::open(call, path, owner.id, Place::Items(kind, Some(folder)), || begin(call, kind, &untaken))?;
    let select = round.select(Entity::from(kind))?;
    let expand = round.expand(Entity::from(kind))?;
    let received = round.token.options.filter.as_deref().and_then(Received::read);
    let mut told = round
        .read(call, |entry| {
            let is_found = match (entry, &received) {
                (DeltaEntry::Item { item, .. }, Some(received)) => received.matches(item),
                _ => true,
            };
            is_found && round.is_asked_for(entry)
        })
        .await?;
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let mut shown = shown(call, &mut told, &expand, kind, view).await?;
    if round.token.options.order.is_some() {
        shown.sort_by_key(|(received, _)| Reverse(*received));
    }
    let value = shown.into_iter().map(|(_, value)| value).collect();
    Ok(round.answer(call, kind.type_name(), &told, value))
}

fn untaken(kind: Kind) -> Untaken {
    match kind {
        Kind::Message => Untaken { resource: "Messages", options: "$search" },
        Kind::Event => Untaken { resource: "Events", options: "$orderby, $filter, $expand, $search, $top" },
        Kind::Contact => Untaken { resource: "Contacts", options: "$orderby, $filter, $expand, $search, $top" },
    }
}

fn begin(call: &Call<'_>, kind: Kind, untaken: &Untaken) -> Result<Options, ApiError> {
    untaken.check(call)?;
    call.query.select(Entity::from(kind))?;
    call.query.expand(Entity::from(kind))?;
    let own = |name: &str| call.query.get(name).map(str::to_owned);
    let (filter, order) = (own("$filter"), own("$orderby"));
    let value = |option, only| Err(ApiError::Delta(DeltaRefusal::Value { option, only }));
    if filter.as_deref().is_some_and(|filter| Received::read(filter).is_none()) {
        return value("$filter", "receivedDateTime ge value");
    }
    if order.as_deref().is_some_and(|order| !is_newest_first(order)) {
        return value("$orderby", "receivedDateTime desc");
    }
    let change = match own("changeType") {
        None => None,
        Some(asked) => match change_type(&asked) {
            None => return value("changeType", "created, updated or deleted"),
            known => known,
        },
    };
    let top = query::top(&call.query)?;
    let (select, expand) = (own("$select"), own("$expand"));
    Ok(Options { select, expand, filter, order, change, top, ..Options::default() })
}

fn change_type(text: &str) -> Option<ChangeType> {
    ChangeType::ALL.into_iter().find(|change| change.as_str().eq_ignore_ascii_case(text.trim()))
}

/// What the page tells, each with what it is sorted by. A page ends early when it has grown large.
async fn shown(
    call: &Call<'_>,
    told: &mut Told,
    expand: &Expand,
    kind: Kind,
    view: View<'_>,
) -> Result<Vec<(Option<Timestamp>, Value)>, ApiError> {
    let present = present(told, view.prefer);
    let mut shown = Vec::with_capacity(told.entries.len());
    let mut bytes = 0;
    let mut last = Revision(told.next.since);
    let mut end = None;
    for (at, (revision, entry)) in told.entries.iter().enumerate() {
        if bytes > RELATED_BYTES_MAX && *revision != last {
            end = Some(at);
            break;
        }
        last = *revision;
        match entry {
            DeltaEntry::Item { item, .. } => {
                let mut value = typed(kind.type_name(), render::item(item, view));
                bytes += expand::relations(call, expand, item, &mut value).await?;
                shown.push((Some(item.sort_key()), value));
            }
            DeltaEntry::ItemGone { immutable, .. } if present.contains(immutable) => {}
            DeltaEntry::ItemGone { id, immutable } => {
                shown.push((None, item_removed(kind.type_name(), *id, *immutable, view.prefer)));
            }
            DeltaEntry::Folder(_) | DeltaEntry::FolderGone(_) => {}
        }
    }
    if let Some(at) = end {
        told.end_before(at, last);
    }
    Ok(shown)
}

/// What the page shows under ids that stay: an item that left and came back is not gone.
pub(super) fn present(told: &Told, prefer: &Preferences) -> BTreeSet<Uuid> {
    if !prefer.immutable_ids {
        return BTreeSet::new();
    }
    let items = told.entries.iter().filter_map(|(_, entry)| match entry {
        DeltaEntry::Item { item, .. } => Some(item.immutable),
        _ => None,
    });
    items.collect()
}
