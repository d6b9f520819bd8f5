//! Reads what belongs to an item: attachments, uploads of them, open extensions.

use serde_json::{Map, Value};

use super::Entity;
use super::read::{MEMBERS_MAX, STRING_BYTES_MAX};
use super::read::{boolean, is_annotation, members, object, parameters, read, string, unknown};
use super::types;
use crate::{Properties, Refusal};

/// Reads the body of a request that adds an attachment.
pub fn attachment(body: Value) -> Result<Properties, Refusal> {
    members("the body", body).and_then(|members| attachment_member(Value::Object(members)))
}

/// Attachments are of derived types, and say of which.
pub(super) fn attachment_member(value: Value) -> Result<Properties, Refusal> {
    let Some(odata_type) = odata_type(&value) else {
        return Err(Refusal::invalid("@odata.type", "#microsoft.graph.fileAttachment"));
    };
    let Some((name, schema)) = types::all().attachment(&odata_type) else {
        return Err(Refusal::Unsupported { property: odata_type.chars().take(128).collect() });
    };
    let mut read = object(schema, value)?;
    for computed in ["id", "lastModifiedDateTime", "size"] {
        read.remove(computed);
    }
    read.insert("@odata.type".to_owned(), format!("#microsoft.graph.{name}").into());
    Ok(read)
}

/// The item in an item attachment: a message, an event or a contact, without attachments of its own.
pub(super) fn outlook_item(value: Value) -> Result<Properties, Refusal> {
    let name = odata_type(&value).unwrap_or_default().to_ascii_lowercase();
    let entity = match name.trim_start_matches('#').strip_prefix("microsoft.graph.") {
        Some("message") => Entity::Message,
        Some("event") => Entity::Event,
        Some("contact") => Entity::Contact,
        _ => return Err(Refusal::invalid("@odata.type", "#microsoft.graph.message, event or contact")),
    };
    let mut item = read(entity, value)?;
    if item.contains_key("attachments") {
        return Err(Refusal::Unsupported { property: "attachments".to_owned() });
    }
    item.insert("@odata.type".to_owned(), format!("#microsoft.graph.{}", entity.type_name()).into());
    Ok(item)
}

fn odata_type(value: &Value) -> Option<String> {
    let (_, value) = value.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case("@odata.type"))?;
    value.as_str().map(str::to_owned)
}

/// Reads the body of `createUploadSession`: the file attachment that is to be, and its length in bytes.
pub fn attachment_item(body: Value) -> Result<(Properties, u64), Refusal> {
    let [item] = parameters(body, ["AttachmentItem"])?;
    let item = item.ok_or(Refusal::Missing { property: "AttachmentItem" })?;
    let names = ["attachmentType", "name", "size", "contentType", "isInline", "contentId"];
    let [kind, name, size, content_type, is_inline, content_id] =
        parameters(item, names).map_err(|refusal| refusal.within("AttachmentItem"))?;
    if !kind.as_ref().and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("file")) {
        return Err(Refusal::invalid("AttachmentItem/attachmentType", "file"));
    }
    let size = size.as_ref().and_then(Value::as_u64);
    let size = size.ok_or_else(|| Refusal::invalid("AttachmentItem/size", "a number of bytes"))?;
    let mut properties = Properties::new();
    for (property, value) in [("name", name), ("contentType", content_type), ("contentId", content_id)] {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            let text = string(value, STRING_BYTES_MAX).map_err(|refusal| refusal.within(property))?;
            properties.insert(property.to_owned(), text.into());
        }
    }
    if properties.get("name").and_then(Value::as_str).unwrap_or_default().is_empty() {
        return Err(Refusal::Missing { property: "AttachmentItem/name" });
    }
    if let Some(value) = is_inline.filter(|value| !value.is_null()) {
        let inline = boolean(&value).ok_or_else(|| Refusal::invalid("AttachmentItem/isInline", "a boolean"))?;
        properties.insert("isInline".to_owned(), inline.into());
    }
    Ok((properties, size))
}

/// Reads the body of a request that adds an open extension.
pub fn extension(body: Value) -> Result<Properties, Refusal> {
    members("the body", body).and_then(|members| extension_member(Value::Object(members)))
}

pub(super) fn extension_member(value: Value) -> Result<Properties, Refusal> {
    let name = odata_type(&value).unwrap_or_default();
    if !name.trim_start_matches('#').eq_ignore_ascii_case("microsoft.graph.openTypeExtension") {
        return Err(Refusal::invalid("@odata.type", "#microsoft.graph.openTypeExtension"));
    }
    extension_members(value)
}

/// Reads the members of an open extension, which may have any name and value.
pub fn extension_members(body: Value) -> Result<Properties, Refusal> {
    let mut read = Map::new();
    for (name, value) in members("the extension", body)? {
        if is_annotation(&name) || name.eq_ignore_ascii_case("id") {
            continue;
        }
        let name = if name.eq_ignore_ascii_case("extensionName") { "extensionName".to_owned() } else { name };
        if name.len() > STRING_BYTES_MAX {
            return Err(unknown(&name));
        }
        if read.insert(name.clone(), value).is_some() {
            return Err(Refusal::Duplicate { property: name });
        }
    }
    if read.len() > MEMBERS_MAX {
        let property = String::new();
        return Err(Refusal::TooLong { property, length_max: MEMBERS_MAX, unit: "members" });
    }
    Ok(read)
}
