//! `POST` of a mail folder, calendar or contact folder.

use serde_json::Value;

use super::folder_name::{self, refuse_namesake};
use super::search_folder::{self, SearchFolder, is_search_folder};
use super::{FolderWritten, Fresh, Owner, is_buried};
use crate::schema::{self, Entity};
use crate::{Folder, FolderId, Kind, Mutation, Properties, Refusal, WellKnown};

/// Makes a folder that holds `kind`, below `parent` or at the top. `folders` are all of the mailbox.
pub fn create_folder(
    owner: &Owner,
    fresh: &Fresh,
    kind: Kind,
    parent: Option<FolderId>,
    folders: &[Folder],
    body: Value,
) -> Result<FolderWritten, Refusal> {
    let top = match kind {
        Kind::Message => Some(WellKnown::MsgFolderRoot.id_in(owner.id)),
        Kind::Event => None,
        Kind::Contact => Some(WellKnown::Contacts.id_in(owner.id)),
    };
    let parent = parent.or(top);
    let place = |parent: FolderId| folders.iter().find(|folder| folder.id == parent && parent.kind == kind);
    if let Some(parent) = parent {
        let place = place(parent).ok_or(Refusal::FolderNotFound)?;
        if SearchFolder::of(place).is_some() || is_buried(owner, parent) {
            return Err(Refusal::invalid("parentFolderId", "a folder that can hold others"));
        }
    }
    let (body, properties) = own_properties(owner, kind, body, folders)?;
    let display_name = read_name(kind, body)?.ok_or(Refusal::Missing { property: name_property(kind) })?;
    let id = FolderId::new(kind, fresh.uuid);
    let folder = Folder { id, mailbox: owner.id, parent, display_name, well_known: None, properties };
    refuse_namesake(&folder, folders)?;
    let mutation = below_parent(owner, parent, &folder);
    Ok(FolderWritten { folder, mutation })
}

/// What a body gives a new folder besides its name, and what is left of the body.
fn own_properties(
    owner: &Owner,
    kind: Kind,
    mut body: Value,
    folders: &[Folder],
) -> Result<(Value, Properties), Refusal> {
    let mut properties = Properties::new();
    if kind == Kind::Message && is_search_folder(&body) {
        (body, properties) = search_folder::read(owner.id, body, folders)?;
        for property in ["filterQuery", "sourceFolderIds"] {
            if !properties.contains_key(property) {
                return Err(Refusal::Missing { property });
            }
        }
    }
    if kind == Kind::Message
        && let Some(members) = body.as_object_mut()
        && let Some(name) = members.keys().find(|name| name.eq_ignore_ascii_case("isHidden")).cloned()
    {
        match members.remove(&name) {
            Some(Value::Bool(true)) => drop(properties.insert("isHidden".to_owned(), true.into())),
            Some(Value::Bool(false) | Value::Null) | None => {}
            Some(_) => return Err(Refusal::invalid("isHidden", "a boolean")),
        }
    }
    Ok((body, properties))
}

/// Puts a folder below its parent. Mailboxes that are older than the root of search folders get it now.
fn below_parent(owner: &Owner, parent: Option<FolderId>, folder: &Folder) -> Mutation {
    let mut mutation = Mutation { folder_puts: vec![folder.clone()], ..Mutation::default() };
    if parent == Some(WellKnown::SearchFolders.id_in(owner.id)) {
        mutation.folder_puts.insert(0, WellKnown::SearchFolders.folder_in(owner.id));
    }
    mutation
}

fn name_property(kind: Kind) -> &'static str {
    if kind == Kind::Event { "name" } else { "displayName" }
}

/// The name that a body gives a folder. Nothing else about a folder can be set yet.
pub(super) fn read_name(kind: Kind, body: Value) -> Result<Option<String>, Refusal> {
    let name_property = name_property(kind);
    let mut found = None;
    for (property, value) in schema::read(Entity::folder_of(kind), body)? {
        match value {
            Value::String(name) if property == name_property => {
                found = Some(folder_name::read(&property, &name)?);
            }
            Value::Null => {}
            Value::Bool(_) if property == "isHidden" => return Err(Refusal::NotUpdatable { property }),
            _ => return Err(Refusal::Unsupported { property }),
        }
    }
    Ok(found)
}
