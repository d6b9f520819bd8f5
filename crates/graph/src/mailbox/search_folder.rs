//! Search folders: mail folders that hold no items, but show those of other folders that a filter finds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::delete_folder::below;
use crate::path::FolderKey;
use crate::query::{Query, QueryRefusal};
use crate::{Folder, FolderId, Kind, Properties, Refusal, UserId, schema};

/// The value of `@odata.type` by which a mail folder is one, in any case.
pub const SEARCH_FOLDER_TYPE: &str = "#microsoft.graph.mailSearchFolder";
/// The longest filter, in bytes.
pub const SEARCH_FILTER_BYTES_MAX: usize = 4_096;
/// How many folders a search folder may name.
pub const SEARCH_SOURCES_MAX: usize = 100;

/// What a search folder looks for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchFolder {
    pub filter: String,
    pub sources: Vec<FolderId>,
    pub nested: bool,
}

impl SearchFolder {
    /// What a folder looks for, if it is a search folder.
    pub fn of(folder: &Folder) -> Option<Self> {
        let filter = folder.properties.get("filterQuery")?.as_str()?.to_owned();
        let sources = folder.properties.get("sourceFolderIds").and_then(Value::as_array);
        let sources = sources.into_iter().flatten().filter_map(|id| id.as_str()?.parse().ok()).collect();
        let nested = folder.properties.get("includeNestedFolders").and_then(Value::as_bool).unwrap_or_default();
        Some(Self { filter, sources, nested })
    }

    /// All folders that it looks into. `folders` are all of the mailbox; search folders hold nothing.
    pub fn places(&self, folders: &[Folder]) -> Vec<FolderId> {
        let mut places: BTreeSet<FolderId> = self.sources.iter().copied().collect();
        if self.nested {
            places.extend(self.sources.iter().flat_map(|source| below(*source, folders)));
        }
        let real = |id: &FolderId| folders.iter().any(|folder| folder.id == *id && Self::of(folder).is_none());
        places.into_iter().filter(real).collect()
    }
}

/// Whether the body of a mail folder is that of a search folder.
pub(super) fn is_search_folder(body: &Value) -> bool {
    let members = body.as_object().into_iter().flatten();
    let mut types = members.filter(|(name, _)| name.eq_ignore_ascii_case("@odata.type"));
    types.any(|(_, value)| {
        value.as_str().is_some_and(|text| text.trim_start_matches('#').eq_ignore_ascii_case(&SEARCH_FOLDER_TYPE[1..]))
    })
}

/// Reads the body of a search folder: what stands for a mail folder, and what is its own.
pub(super) fn read(mailbox: UserId, body: Value, folders: &[Folder]) -> Result<(Value, Properties), Refusal> {
    let mut rest = schema::read_named("mailSearchFolder", body)?;
    let mut own = Properties::new();
    for name in ["filterQuery", "includeNestedFolders", "sourceFolderIds"] {
        if let Some(value) = rest.remove(name).filter(|value| !value.is_null()) {
            own.insert(name.to_owned(), value);
        }
    }
    rest.remove("isSupported");
    if let Some(filter) = own.get("filterQuery").and_then(Value::as_str) {
        if filter.len() > SEARCH_FILTER_BYTES_MAX {
            let property = "filterQuery".to_owned();
            return Err(Refusal::TooLong { property, length_max: SEARCH_FILTER_BYTES_MAX, unit: "bytes" });
        }
        if let Err(QueryRefusal::Filter(problems)) = Query::read(Kind::Message, Some(filter), None) {
            return Err(Refusal::invalid("filterQuery", format!("a filter of messages: {problems}")));
        }
    }
    if let Some(sources) = own.get("sourceFolderIds").and_then(Value::as_array) {
        let ids = sources.iter().map(|source| source_id(mailbox, source, folders)).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() {
            return Err(Refusal::invalid("sourceFolderIds", "at least one folder"));
        }
        if ids.len() > SEARCH_SOURCES_MAX {
            let property = "sourceFolderIds".to_owned();
            return Err(Refusal::TooLong { property, length_max: SEARCH_SOURCES_MAX, unit: "members" });
        }
        own.insert("sourceFolderIds".to_owned(), ids.into());
    }
    Ok((Value::Object(rest), own))
}

/// A folder that is named as one to look into, by its id.
fn source_id(mailbox: UserId, source: &Value, folders: &[Folder]) -> Result<String, Refusal> {
    let id = FolderKey::read(Kind::Message, source.as_str().unwrap_or_default()).id_in(mailbox);
    let id = id.ok_or_else(|| Refusal::invalid("sourceFolderIds", "ids of mail folders"))?;
    match folders.iter().find(|folder| folder.id == id) {
        None => Err(Refusal::FolderNotFound),
        Some(found) if SearchFolder::of(found).is_some() => {
            Err(Refusal::invalid("sourceFolderIds", "folders that are no search folders"))
        }
        Some(_) => Ok(id.to_string()),
    }
}

/// Adds to a folder's JSON what a search folder has more than others.
pub(crate) fn show(folder: &Folder, shown: &mut Properties) {
    if let Some(search) = SearchFolder::of(folder) {
        let ids: Vec<String> = search.sources.iter().map(FolderId::to_string).collect();
        for (name, value) in [
            ("filterQuery", json!(search.filter)),
            ("includeNestedFolders", json!(search.nested)),
            ("isSupported", json!(true)),
            ("sourceFolderIds", json!(ids)),
        ] {
            shown.insert(name.to_owned(), value);
        }
    }
}
