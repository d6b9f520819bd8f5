//! Names of folders: what one may be, and that no two at one place have the same.

use super::calendar_group::is_group;
use crate::{Folder, Kind, Refusal};

/// The longest name of a folder, in characters.
const FOLDER_NAME_CHARS_MAX: usize = 255;

/// The name that a body gives a folder under `property`, as it is kept.
pub(super) fn read(property: &str, name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Refusal::invalid(property, "a name"));
    }
    if name.chars().count() > FOLDER_NAME_CHARS_MAX {
        let property = property.to_owned();
        return Err(Refusal::TooLong { property, length_max: FOLDER_NAME_CHARS_MAX, unit: "characters" });
    }
    Ok(name.to_owned())
}

/// Whether two folders of a mailbox cannot both be there: they lie at one place and have one name, in any
/// case. Calendars are at one place whatever their groups, and groups are at another.
pub fn are_namesakes(one: &Folder, other: &Folder) -> bool {
    let place = |folder: &Folder| match folder.id.kind {
        Kind::Event => (Kind::Event, None, is_group(folder)),
        kind => (kind, folder.parent, false),
    };
    one.id != other.id
        && place(one) == place(other)
        && one.display_name.to_lowercase() == other.display_name.to_lowercase()
}

/// Refuses a folder with a namesake. `folders` are all of the mailbox.
pub(super) fn refuse_namesake(folder: &Folder, folders: &[Folder]) -> Result<(), Refusal> {
    match folders.iter().any(|other| are_namesakes(folder, other)) {
        true => Err(Refusal::FolderExists { name: folder.display_name.clone() }),
        false => Ok(()),
    }
}
