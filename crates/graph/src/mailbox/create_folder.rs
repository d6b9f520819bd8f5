//! `POST` of a mail folder, calendar or contact folder.

use serde_json::Value;

use super::folder_name::{self, refuse_namesake};
use super::patch::merge;
use super::search_folder::{self, SearchFolder, is_search_folder};
use super::{FolderWritten, Fresh, Owner, is_buried};
use crate::schema::{self, EXTENDED, Entity};
use crate::{Folder, FolderId, Kind, Mutation, Properties, Refusal, WellKnown};

/// How long the single-value, or multi-value, extended properties of a folder may be as JSON: whoever lists
/// folders reads all of them.
pub const FOLDER_EXTENDED_BYTES_MAX: usize = 32 * 1024;

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
    // Mailboxes that are older than the root of search folders get it with the first of them.
    let root = WellKnown::SearchFolders.folder_in(owner.id);
    let new_root = (parent == Some(root.id) && folders.iter().all(|folder| folder.id != root.id)).then_some(root);
    let mut places = folders.iter().chain(&new_root);
    if let Some(parent) = parent {
        let place = places.find(|folder| folder.id == parent && parent.kind == kind);
        if SearchFolder::of(place.ok_or(Refusal::FolderNotFound)?).is_some() || is_buried(owner, parent) {
            return Err(Refusal::invalid("parentFolderId", "a folder that can hold others"));
        }
    }
    let (body, mut properties) = own_properties(owner, kind, body, folders)?;
    let stated = Stated::read(kind, body)?;
    let display_name = stated.name.ok_or(Refusal::Missing { property: name_property(kind) })?;
    extend(&mut properties, stated.extended)?;
    let id = FolderId::new(kind, fresh.uuid);
    let folder = Folder { id, mailbox: owner.id, parent, display_name, well_known: None, properties };
    refuse_namesake(&folder, folders)?;
    let folder_puts = new_root.into_iter().chain([folder.clone()]).collect();
    let mutation = Mutation { folder_puts, ..Mutation::default() };
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

fn name_property(kind: Kind) -> &'static str {
    if kind == Kind::Event { "name" } else { "displayName" }
}

/// What a body says of a folder, besides what is the kind's own.
pub(super) struct Stated {
    pub name: Option<String>,
    /// Extended properties, by their relations.
    pub extended: Properties,
}

impl Stated {
    pub fn read(kind: Kind, body: Value) -> Result<Self, Refusal> {
        let name_property = name_property(kind);
        let mut stated = Self { name: None, extended: Properties::new() };
        for (property, value) in schema::read(Entity::folder_of(kind), body)? {
            match value {
                Value::Array(_) if EXTENDED.contains(&property.as_str()) => {
                    stated.extended.insert(property, value);
                }
                Value::String(name) if property == name_property => {
                    stated.name = Some(folder_name::read(&property, &name)?);
                }
                Value::Null => {}
                Value::Bool(_) if property == "isHidden" => return Err(Refusal::NotUpdatable { property }),
                _ => return Err(Refusal::Unsupported { property }),
            }
        }
        Ok(stated)
    }
}

/// Adds extended properties to a folder's, whose others with the same ids they replace.
pub(super) fn extend(properties: &mut Properties, extended: Properties) -> Result<(), Refusal> {
    for (relation, members) in extended {
        merge(properties, &relation, members)?;
        let length = properties.get(&relation).map_or(0, |members| members.to_string().len());
        if length > FOLDER_EXTENDED_BYTES_MAX {
            return Err(Refusal::TooLong { property: relation, length_max: FOLDER_EXTENDED_BYTES_MAX, unit: "bytes" });
        }
    }
    Ok(())
}
