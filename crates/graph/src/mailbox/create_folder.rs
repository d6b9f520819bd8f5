//! `POST` of a mail folder, calendar or contact folder.

use serde_json::Value;

use super::{FolderWritten, Fresh, Owner};
use crate::schema::{self, Entity};
use crate::{Folder, FolderId, Kind, Mutation, Properties, Refusal, WellKnown};

/// The longest name of a folder, in characters.
pub const FOLDER_NAME_CHARS_MAX: usize = 255;

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
    if let Some(parent) = parent
        && (parent.kind != kind || folders.iter().all(|folder| folder.id != parent))
    {
        return Err(Refusal::FolderNotFound);
    }
    let display_name = read_name(kind, body)?.ok_or(Refusal::Missing { property: name_property(kind) })?;
    let id = FolderId::new(kind, fresh.uuid);
    let folder =
        Folder { id, mailbox: owner.id, parent, display_name, well_known: None, properties: Properties::new() };
    refuse_namesake(&folder, folders)?;
    let expect_folders = parent.into_iter().collect();
    let mutation = Mutation { expect_folders, folder_puts: vec![folder.clone()], ..Mutation::default() };
    Ok(FolderWritten { folder, mutation })
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
                let name = name.trim();
                if name.is_empty() {
                    return Err(Refusal::invalid(&property, "a name"));
                }
                if name.chars().count() > FOLDER_NAME_CHARS_MAX {
                    return Err(Refusal::TooLong { property, length_max: FOLDER_NAME_CHARS_MAX, unit: "characters" });
                }
                found = Some(name.to_owned());
            }
            Value::Null => {}
            Value::Bool(false) if property == "isHidden" => {}
            _ => return Err(Refusal::Unsupported { property }),
        }
    }
    Ok(found)
}

/// Refuses a folder whose name another one at the same place has, in any case.
pub(super) fn refuse_namesake(folder: &Folder, folders: &[Folder]) -> Result<(), Refusal> {
    let name = folder.display_name.to_lowercase();
    let mut siblings = folders
        .iter()
        .filter(|other| other.id != folder.id && other.id.kind == folder.id.kind && other.parent == folder.parent);
    match siblings.any(|other| other.display_name.to_lowercase() == name) {
        true => Err(Refusal::FolderExists { name: folder.display_name.clone() }),
        false => Ok(()),
    }
}
