//! `mailFolders/delta` and `contactFolders/delta`: 200 with the folders of all levels and removals. Without
//! those that lists leave out, too: the root, hidden folders, the default contact folder.

use graph::delta::{Options, Place};
use graph::path::UserKey;
use graph::render::{self, View};
use graph::schema::Entity;
use graph::{Folder, Kind, WellKnown};
use serde_json::Value;
use store::DeltaEntry;

use super::{Round, Untaken, folder_removed, typed, user_path};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::{Call, folders};

pub async fn folders(call: &Call<'_>, user: &UserKey, kind: Kind) -> Result<Answer, ApiError> {
    let (entity, collection) = (Entity::folder_of(kind), folders::collection(kind));
    call.query.allow(&["$deltatoken", "$skiptoken", "$select", "$filter", "$orderby", "$expand", "$search", "$top"])?;
    let owner = call.owner(user).await?;
    let path = format!("{}/{collection}/delta", user_path(user, &owner));
    let round = Round::open(call, path, owner.id, Place::Folders(kind), || {
        let resource = if kind == Kind::Message { "MailFolders" } else { "ContactFolders" };
        Untaken { resource, options: "$orderby, $filter, $expand, $search, $top" }.check(call)?;
        call.query.select(entity)?;
        Ok(Options { select: call.query.get("$select").map(str::to_owned), ..Options::default() })
    })?;
    let select = round.select(entity)?;
    let told = round
        .read(call, |entry| match entry {
            DeltaEntry::Folder(found) => is_listed(&found.folder),
            _ => true,
        })
        .await?;
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let type_name = entity.type_name();
    let value = told.entries.iter().filter_map(|(_, entry)| match entry {
        DeltaEntry::Folder(found) => Some(typed(type_name, folders::shown(found, &owner, view))),
        DeltaEntry::FolderGone(id) => Some(folder_removed(type_name, *id)),
        DeltaEntry::Item { .. } | DeltaEntry::ItemGone { .. } => None,
    });
    let value: Vec<Value> = value.collect();
    Ok(round.answer(call, type_name, &told, value))
}

fn is_listed(folder: &Folder) -> bool {
    let top = [WellKnown::MsgFolderRoot, WellKnown::Contacts];
    !folder.well_known.is_some_and(|known| top.contains(&known)) && !render::is_hidden(folder)
}
