//! `PATCH` of a mail folder, calendar or contact folder.

use serde_json::Value;

use super::FolderWritten;
use super::create_folder::{Stated, extend};
use super::folder_name::refuse_namesake;
use super::search_folder::{self, SearchFolder};
use crate::{Folder, Mutation, Refusal, render};

/// Gives a folder another name or extended properties, or a search folder something else to look for.
/// `folders` are all of the mailbox.
pub fn rename_folder(folder: &Folder, folders: &[Folder], body: Value) -> Result<FolderWritten, Refusal> {
    let before = folder;
    let mut folder = folder.clone();
    let mut body = body;
    if SearchFolder::of(&folder).is_some() {
        let (rest, changed) = search_folder::read(folder.mailbox, body, folders)?;
        folder.properties.extend(changed);
        body = rest;
    }
    forget_same_hiding(&folder, &mut body);
    let stated = Stated::read(folder.id.kind, body)?;
    extend(&mut folder.properties, stated.extended)?;
    if let Some(name) = stated.name
        && name != folder.display_name
    {
        if folder.well_known.is_some() {
            return Err(Refusal::FolderNameFixed);
        }
        folder.display_name = name;
        refuse_namesake(&folder, folders)?;
    }
    let mutation =
        Mutation { expect_folders: vec![before.clone()], folder_puts: vec![folder.clone()], ..Mutation::default() };
    Ok(FolderWritten { folder, mutation })
}

/// Whether a folder is hidden is said when it is made; a body may repeat it.
fn forget_same_hiding(folder: &Folder, body: &mut Value) {
    let hidden = Value::Bool(render::is_hidden(folder));
    if let Some(members) = body.as_object_mut() {
        members.retain(|name, value| !name.eq_ignore_ascii_case("isHidden") || *value != hidden);
    }
}
