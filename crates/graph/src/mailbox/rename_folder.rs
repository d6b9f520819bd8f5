//! `PATCH` of a mail folder, calendar or contact folder.

use serde_json::Value;

use super::FolderWritten;
use super::create_folder::{read_name, refuse_namesake};
use crate::{Folder, Mutation, Refusal};

/// Gives a folder another name. `folders` are all of the mailbox.
pub fn rename_folder(folder: &Folder, folders: &[Folder], body: Value) -> Result<FolderWritten, Refusal> {
    let mut folder = folder.clone();
    if let Some(name) = read_name(folder.id.kind, body)?
        && name != folder.display_name
    {
        if folder.well_known.is_some() {
            return Err(Refusal::FolderProtected);
        }
        folder.display_name = name;
        refuse_namesake(&folder, folders)?;
    }
    let mutation =
        Mutation { expect_folders: vec![folder.id], folder_puts: vec![folder.clone()], ..Mutation::default() };
    Ok(FolderWritten { folder, mutation })
}
