//! An item that comes from outside: delivered mail, an import.

use super::{Fresh, Owner, Written, complete, put_new};
use crate::{FolderId, Properties, Refusal};

/// Puts an item of the folder's kind into it, with the properties that it came with. Mail is unread,
/// no draft, and received now, unless they say otherwise.
pub fn receive(owner: &Owner, fresh: &Fresh, folder: FolderId, properties: Properties) -> Result<Written, Refusal> {
    let mut properties = properties;
    for typed in ["id", "changeKey", "parentFolderId", "createdDateTime", "lastModifiedDateTime"] {
        properties.remove(typed);
    }
    complete(owner, fresh, folder.kind, &mut properties)?;
    Ok(put_new(owner, fresh, folder, properties))
}
