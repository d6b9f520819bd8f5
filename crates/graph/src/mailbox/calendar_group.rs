//! Groups of calendars. Every mailbox has one that is not stored, and holds the calendars that are in no
//! other; each further group is a folder with a mark, and the parent of its calendars.

use serde_json::Value;
use uuid::Uuid;

use super::folder_name;
use super::{FolderWritten, Fresh, Owner};
use crate::schema::{self, Entity};
use crate::{Folder, FolderId, Kind, Mutation, Properties, Refusal, UserId};

/// The name of the group that every mailbox has.
pub const DEFAULT_GROUP_NAME: &str = "My Calendars";

/// Marks a folder as a group.
const MARK: &str = "isCalendarGroup";

/// Namespace of the ids of default groups; random, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0xc9d5_2f60_8b1e_4a73_91fc_6e08_d7a2_b354);

/// The id of the group that every mailbox has.
pub fn default_group(mailbox: UserId) -> FolderId {
    FolderId::new(Kind::Event, Uuid::new_v5(&NAMESPACE, mailbox.0.as_bytes()))
}

/// The default group, as if it were stored.
pub fn default_group_folder(mailbox: UserId) -> Folder {
    group_folder(default_group(mailbox), mailbox, DEFAULT_GROUP_NAME.to_owned())
}

/// Whether a folder is a group of calendars, and no calendar itself.
pub fn is_group(folder: &Folder) -> bool {
    folder.properties.contains_key(MARK)
}

/// The group that a calendar is in. `folders` are all of the mailbox.
pub fn group_of(calendar: &Folder, folders: &[Folder]) -> FolderId {
    let is_there = |id: &FolderId| folders.iter().any(|folder| folder.id == *id && is_group(folder));
    calendar.parent.filter(is_there).unwrap_or_else(|| default_group(calendar.mailbox))
}

/// Makes a group. `folders` are all of the mailbox.
pub fn create_group(owner: &Owner, fresh: &Fresh, folders: &[Folder], body: Value) -> Result<FolderWritten, Refusal> {
    let name = read(body)?.ok_or(Refusal::Missing { property: "name" })?;
    let folder = group_folder(FolderId::new(Kind::Event, fresh.uuid), owner.id, name);
    refuse_namesake(&folder, folders)?;
    let mutation = Mutation { folder_puts: vec![folder.clone()], ..Mutation::default() };
    Ok(FolderWritten { folder, mutation })
}

/// Gives a group another name. `folders` are all of the mailbox.
pub fn patch_group(group: &Folder, folders: &[Folder], body: Value) -> Result<FolderWritten, Refusal> {
    let mut patched = group.clone();
    if let Some(name) = read(body)?.filter(|name| *name != group.display_name) {
        refuse_default(group)?;
        patched.display_name = name;
        refuse_namesake(&patched, folders)?;
    }
    let is_stored = group.id != default_group(group.mailbox);
    let mutation = match is_stored {
        true => {
            let (expect_folders, folder_puts) = (vec![group.clone()], vec![patched.clone()]);
            Mutation { expect_folders, folder_puts, ..Mutation::default() }
        }
        false => Mutation::default(),
    };
    Ok(FolderWritten { folder: patched, mutation })
}

/// Deletes a group that holds no calendar. `folders` are all of the mailbox.
pub fn delete_group(group: &Folder, folders: &[Folder]) -> Result<Mutation, Refusal> {
    refuse_default(group)?;
    if folders.iter().any(|folder| folder.parent == Some(group.id)) {
        return Err(Refusal::GroupNotEmpty);
    }
    Ok(Mutation { expect_folders: vec![group.clone()], folder_removes: vec![group.id], ..Mutation::default() })
}

fn group_folder(id: FolderId, mailbox: UserId, display_name: String) -> Folder {
    let properties = Properties::from_iter([(MARK.to_owned(), Value::Bool(true))]);
    Folder { id, mailbox, parent: None, display_name, well_known: None, properties }
}

fn read(body: Value) -> Result<Option<String>, Refusal> {
    let body = schema::read(Entity::CalendarGroup, body)?;
    body.get("name").and_then(Value::as_str).map(|name| folder_name::read("name", name)).transpose()
}

fn refuse_default(group: &Folder) -> Result<(), Refusal> {
    if group.id == default_group(group.mailbox) { Err(Refusal::FolderProtected) } else { Ok(()) }
}

fn refuse_namesake(group: &Folder, folders: &[Folder]) -> Result<(), Refusal> {
    if group.display_name.to_lowercase() == DEFAULT_GROUP_NAME.to_lowercase() {
        return Err(Refusal::FolderExists { name: group.display_name.clone() });
    }
    folder_name::refuse_namesake(group, folders)
}
