//! Calendars: what can be set of one.

use serde_json::Value;

use super::create_folder::extend;
use super::folder_name::{self, refuse_namesake};
use super::{FolderWritten, Fresh, Owner, calendar_group};
use crate::schema::{self, EXTENDED, Entity};
use crate::{Folder, FolderId, Kind, Mutation, Properties, Refusal, WellKnown};

/// Properties of a calendar that are kept as they are set; the name is the folder's.
const KEPT: [&str; 2] = ["color", "defaultOnlineMeetingProvider"];

/// Makes a calendar in a group, or in the default one. `folders` are all of the mailbox.
pub fn create_calendar(
    owner: &Owner,
    fresh: &Fresh,
    group: Option<FolderId>,
    folders: &[Folder],
    body: Value,
) -> Result<FolderWritten, Refusal> {
    let parent = group.filter(|group| *group != calendar_group::default_group(owner.id));
    let is_group = |id: FolderId| folders.iter().any(|folder| folder.id == id && calendar_group::is_group(folder));
    if parent.is_some_and(|parent| !is_group(parent)) {
        return Err(Refusal::FolderNotFound);
    }
    let mut folder = Folder {
        id: FolderId::new(Kind::Event, fresh.uuid),
        mailbox: owner.id,
        parent,
        display_name: String::new(),
        well_known: None,
        properties: Properties::new(),
    };
    set(&mut folder, body)?;
    if folder.display_name.is_empty() {
        return Err(Refusal::Missing { property: "name" });
    }
    refuse_namesake(&folder, folders)?;
    let mutation = Mutation { folder_puts: vec![folder.clone()], ..Mutation::default() };
    Ok(FolderWritten { folder, mutation })
}

/// Changes a calendar. `folders` are all of the mailbox.
pub fn patch_calendar(folder: &Folder, folders: &[Folder], body: Value) -> Result<FolderWritten, Refusal> {
    let mut patched = folder.clone();
    set(&mut patched, body)?;
    if patched.display_name != folder.display_name {
        if folder.well_known.is_some() {
            return Err(Refusal::FolderProtected);
        }
        refuse_namesake(&patched, folders)?;
    }
    let mutation =
        Mutation { expect_folders: vec![folder.clone()], folder_puts: vec![patched.clone()], ..Mutation::default() };
    Ok(FolderWritten { folder: patched, mutation })
}

fn set(folder: &mut Folder, body: Value) -> Result<(), Refusal> {
    let is_default = folder.well_known == Some(WellKnown::Calendar);
    let mut extended = Properties::new();
    for (property, value) in schema::read(Entity::Calendar, body)? {
        match (property.as_str(), value) {
            ("name", Value::String(name)) => folder.display_name = folder_name::read("name", &name)?,
            ("isDefaultCalendar", Value::Bool(value)) if value != is_default => {
                return Err(Refusal::NotUpdatable { property });
            }
            (kept, value) if KEPT.contains(&kept) => {
                if value.is_null() {
                    folder.properties.remove(kept);
                } else {
                    folder.properties.insert(property, value);
                }
            }
            (relation, value) if EXTENDED.contains(&relation) => drop(extended.insert(property, value)),
            ("isDefaultCalendar" | "name", _) => {}
            _ => return Err(Refusal::Unsupported { property }),
        }
    }
    extend(&mut folder.properties, extended)
}
