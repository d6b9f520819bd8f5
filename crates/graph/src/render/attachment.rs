//! Attachments as Graph's JSON.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::mailbox::attachment::FILE;
use crate::path::PATH_BYTES_MAX;
use crate::{Attachment, Refusal};

/// What a response shows of an attachment.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttachmentView<'a> {
    /// The `@odata.context`, if this attachment carries it itself.
    pub context: Option<&'a str>,
    /// `None`: everything apart from the item in it.
    pub select: Option<&'a AttachmentSelect>,
    /// Whether the item in an item attachment is shown.
    pub item: bool,
}

/// The properties that a `$select` of attachments asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentSelect(BTreeSet<&'static str>);

/// Properties of every attachment.
const BASE: [&str; 6] = ["contentType", "id", "isInline", "lastModifiedDateTime", "name", "size"];
/// Properties of file attachments, which a `$select` names behind their type.
const FILE_ONLY: [&str; 3] = ["contentBytes", "contentId", "contentLocation"];
const FILE_CAST: &str = "microsoft.graph.fileattachment/";

impl AttachmentSelect {
    /// Reads the value of `$select`, decoded. `None`: it asks for everything.
    pub fn read(text: &str) -> Result<Option<Self>, Refusal> {
        if text.len() > PATH_BYTES_MAX {
            return Err(Refusal::TooLong { property: "$select".to_owned(), length_max: PATH_BYTES_MAX, unit: "bytes" });
        }
        let mut selected = BTreeSet::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" {
                return Ok(None);
            }
            let lower = name.to_ascii_lowercase();
            let found = match lower.strip_prefix(FILE_CAST) {
                Some(rest) => BASE.iter().chain(&FILE_ONLY).find(|known| known.eq_ignore_ascii_case(rest)),
                None => BASE.iter().find(|known| known.eq_ignore_ascii_case(name)),
            };
            let unknown = || Refusal::UnknownProperty { property: name.chars().take(128).collect() };
            selected.insert(*found.ok_or_else(unknown)?);
        }
        Ok((!selected.is_empty()).then_some(Self(selected)))
    }
}

impl AttachmentView<'_> {
    /// Whether the content of files is shown, and so must be read.
    pub fn shows_content(&self) -> bool {
        self.shows("contentBytes")
    }

    fn shows(&self, name: &str) -> bool {
        self.select.is_none_or(|select| select.0.contains(name))
    }
}

/// An attachment; of a file with its content, if that is shown.
pub fn attachment(attachment: &Attachment, content: &[u8], view: AttachmentView<'_>) -> Value {
    let properties = &attachment.properties;
    let is_file = properties.get("@odata.type").and_then(Value::as_str) == Some(FILE);
    let mut shown: Map<String, Value> = properties
        .iter()
        .filter(|(name, _)| match name.as_str() {
            "@odata.type" => true,
            "item" => view.item,
            name => view.shows(name),
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for name in BASE.into_iter().chain(FILE_ONLY.into_iter().filter(|_| is_file)) {
        if view.shows(name) {
            shown.entry(name).or_insert(Value::Null);
        }
    }
    if is_file && view.shows_content() {
        shown.insert("contentBytes".to_owned(), STANDARD.encode(content).into());
    }
    shown.insert("id".to_owned(), attachment.id.to_string().into());
    if let Some(context) = view.context {
        shown.insert("@odata.context".to_owned(), context.into());
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AttachmentId, Kind};

    fn file() -> Attachment {
        let Value::Object(properties) = json!({
            "@odata.type": FILE, "name": "a.txt", "contentType": "text/plain", "size": 2, "isInline": false,
            "lastModifiedDateTime": "2026-11-20T03:15:08Z",
        }) else {
            unreachable!()
        };
        Attachment { id: AttachmentId::new(Kind::Message, uuid::Uuid::from_u128(1)), properties }
    }

    #[test]
    fn a_file_is_shown_with_its_content_and_with_null_for_what_it_lacks() {
        let shown = attachment(&file(), b"hi", AttachmentView::default());
        assert_eq!(shown["contentBytes"], "aGk=");
        assert_eq!((&shown["contentId"], &shown["contentLocation"]), (&Value::Null, &Value::Null));
        assert_eq!(shown["id"], file().id.to_string());
    }

    #[test]
    fn select_leaves_the_rest_away_and_names_what_is_unknown() {
        let select = AttachmentSelect::read("Name, size").unwrap();
        let view = AttachmentView { select: select.as_ref(), ..AttachmentView::default() };
        assert!(!view.shows_content());
        let shown = attachment(&file(), b"", view);
        let names: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["@odata.type", "id", "name", "size"]);
        let cast = AttachmentSelect::read("microsoft.graph.fileAttachment/contentBytes").unwrap();
        assert!(AttachmentView { select: cast.as_ref(), ..AttachmentView::default() }.shows_content());
        assert_eq!(
            AttachmentSelect::read("contentBytes"),
            Err(Refusal::UnknownProperty { property: "contentBytes".to_owned() })
        );
    }
}
