//! Reads a JSON value as one of Graph's types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::types::{self, Property, Shape, Struct, Type};
use super::{Entity, Values, parts, property_id};
use crate::path::FolderKey;
use crate::{Kind, Properties, Refusal, Timestamp};

/// How deep a body may nest.
pub const DEPTH_MAX: usize = 16;
/// How many members a collection may have.
pub const MEMBERS_MAX: usize = 1000;
/// The longest string, apart from bodies and attachments.
pub const STRING_BYTES_MAX: usize = 64 * 1024;
/// The longest body or attachment; the size of a request sets a lower bound.
const CONTENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads a request body. Names and enumeration members come out in Graph's spelling, date-times in `Z`
/// with whole seconds; annotations and what only the server sets are dropped.
pub fn read(entity: Entity, body: Value) -> Result<Properties, Refusal> {
    let members = members(entity.type_name(), body)?;
    let schema = types::all().entity(entity);
    let mut properties = Properties::new();
    for (name, value) in members {
        let Some(property) = find(schema, &name)? else {
            continue;
        };
        if entity.is_server_managed(&property.name) {
            continue;
        }
        insert(&mut properties, property, value)?;
    }
    Ok(properties)
}

/// Reads the parameters of `sendMail`: the message, and whether to keep it in Sent Items.
pub fn send_mail(body: Value) -> Result<(Value, bool), Refusal> {
    let [message, save] = parameters(body, ["message", "saveToSentItems"])?;
    let message = message.ok_or(Refusal::Missing { property: "message" })?;
    let save = match save {
        None | Some(Value::Null) => true,
        Some(value) => boolean(&value).ok_or_else(|| Refusal::invalid("saveToSentItems", "a boolean"))?,
    };
    Ok((message, save))
}

/// Reads the parameter of `move` and `copy`.
pub fn destination(kind: Kind, body: Value) -> Result<FolderKey, Refusal> {
    let [destination] = parameters(body, ["destinationId"])?;
    match destination {
        None => Err(Refusal::Missing { property: "destinationId" }),
        Some(Value::String(text)) => Ok(FolderKey::read(kind, &text)),
        Some(_) => Err(Refusal::invalid("destinationId", "a string")),
    }
}

/// The members of a body that nests no deeper than is allowed.
pub(super) fn members(name: &str, body: Value) -> Result<Map<String, Value>, Refusal> {
    if is_deeper(&body, DEPTH_MAX) {
        return Err(Refusal::TooDeep { levels_max: DEPTH_MAX });
    }
    match body {
        Value::Object(members) => Ok(members),
        _ => Err(Refusal::invalid(name, "a JSON object")),
    }
}

pub(super) fn parameters<const N: usize>(body: Value, names: [&'static str; N]) -> Result<[Option<Value>; N], Refusal> {
    let members = members("the body", body)?;
    let mut found = [const { None }; N];
    for (name, value) in members {
        if is_annotation(&name) {
            continue;
        }
        let place = names.iter().position(|known| known.eq_ignore_ascii_case(&name)).ok_or_else(|| unknown(&name))?;
        if found[place].replace(value).is_some() {
            return Err(Refusal::Duplicate { property: names[place].to_owned() });
        }
    }
    Ok(found)
}

pub(super) fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(members) => levels == 0 || members.iter().any(|member| is_deeper(member, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|member| is_deeper(member, levels - 1)),
        _ => false,
    }
}

/// `@odata.type`, `toRecipients@odata.context` and their like, in any case.
pub(super) fn is_annotation(name: &str) -> bool {
    name.contains('@') && (name.starts_with('@') || name.to_ascii_lowercase().contains("@odata."))
}

pub(super) fn unknown(name: &str) -> Refusal {
    Refusal::UnknownProperty { property: name.chars().take(128).collect() }
}

/// The property of that name; `None` for an annotation.
fn find<'a>(schema: &'a Struct, name: &str) -> Result<Option<&'a Property>, Refusal> {
    if is_annotation(name) {
        return Ok(None);
    }
    schema.property(name).map(Some).ok_or_else(|| unknown(name))
}

fn insert(into: &mut Map<String, Value>, property: &Property, value: Value) -> Result<(), Refusal> {
    let value = property_value(property, value).map_err(|refusal| refusal.within(&property.name))?;
    match into.insert(property.name.clone(), value) {
        None => Ok(()),
        Some(_) => Err(Refusal::Duplicate { property: property.name.clone() }),
    }
}

/// Refusals from here on lack the property's name; the caller puts it in front.
fn property_value(property: &Property, value: Value) -> Result<Value, Refusal> {
    match value {
        _ if matches!(property.shape, Shape::Unsupported) => Err(Refusal::Unsupported { property: String::new() }),
        Value::Null if property.collection => Ok(json!([])),
        Value::Null if property.nullable => Ok(Value::Null),
        Value::Array(members) if property.collection => {
            if members.len() > MEMBERS_MAX {
                return Err(Refusal::TooLong { property: String::new(), length_max: MEMBERS_MAX, unit: "members" });
            }
            members.into_iter().map(|member| single(property, member)).collect()
        }
        _ if property.collection => Err(Refusal::invalid("", "an array")),
        value => single(property, value),
    }
}

fn single(property: &Property, value: Value) -> Result<Value, Refusal> {
    match &property.shape {
        Shape::String => {
            let length_max = if property.name == "content" { CONTENT_BYTES_MAX } else { STRING_BYTES_MAX };
            string(value, length_max).map(Value::String)
        }
        Shape::Boolean => boolean(&value).map(Value::Bool).ok_or_else(|| Refusal::invalid("", "a boolean")),
        Shape::Int32 => {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            number.map(Value::from).ok_or_else(|| Refusal::invalid("", "a 32-bit integer"))
        }
        Shape::Double => {
            if value.is_number() {
                Ok(value)
            } else {
                Err(Refusal::invalid("", "a number"))
            }
        }
        Shape::DateTimeOffset => {
            let time = string(value, STRING_BYTES_MAX)?.parse::<Timestamp>();
            let time = time.map_err(|_| Refusal::invalid("", "a date-time with a time zone offset"))?;
            Ok(time.whole_seconds().to_string().into())
        }
        Shape::Date => {
            let date = string(value, STRING_BYTES_MAX)?.parse::<jiff::civil::Date>();
            let date = date.ok().filter(|date| date.year() >= 1);
            date.map(|date| date.to_string().into()).ok_or_else(|| Refusal::invalid("", "a date"))
        }
        Shape::TimeOfDay => {
            let time = string(value, STRING_BYTES_MAX)?.parse::<jiff::civil::Time>();
            let time = time.map_err(|_| Refusal::invalid("", "a time of day such as 08:00:00"))?;
            Ok(format!("{}.{:07}", time.strftime("%H:%M:%S"), time.subsec_nanosecond() / 100).into())
        }
        Shape::Binary => {
            let text = string(value, CONTENT_BYTES_MAX)?;
            let valid = STANDARD.decode(&text).is_ok();
            if valid { Ok(text.into()) } else { Err(Refusal::invalid("", "base64")) }
        }
        Shape::Named(name) => named(name, value),
        Shape::Unsupported => Err(Refusal::Unsupported { property: String::new() }),
    }
}

pub(super) fn named(name: &str, value: Value) -> Result<Value, Refusal> {
    match name {
        "attachment" => return parts::attachment_member(value).map(Value::Object),
        "extension" => return parts::extension_member(value).map(Value::Object),
        "outlookItem" => return parts::outlook_item(value).map(Value::Object),
        "singleValueLegacyExtendedProperty" => return extended(name, value, Values::Single),
        "multiValueLegacyExtendedProperty" => return extended(name, value, Values::Multi),
        _ => {}
    }
    match types::all().get(name) {
        Some(Type::Enum(members)) => enumeration(members, &value),
        Some(Type::Struct(schema)) => object(schema, value).map(Value::Object),
        None => Err(Refusal::Unsupported { property: String::new() }),
    }
}

/// An extended property, whose id says what it is.
fn extended(name: &str, value: Value, values: Values) -> Result<Value, Refusal> {
    let Some(Type::Struct(schema)) = types::all().get(name) else {
        return Err(Refusal::Unsupported { property: String::new() });
    };
    let mut read = object(schema, value)?;
    let id = read.get("id").and_then(Value::as_str).ok_or(Refusal::Missing { property: "id" })?;
    let id = property_id(id, values).ok_or_else(|| Refusal::invalid("id", values.example()))?;
    read.insert("id".to_owned(), id.into());
    Ok(Value::Object(read))
}

pub(super) fn object(schema: &Struct, value: Value) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(members) = value else {
        return Err(Refusal::invalid("", "an object"));
    };
    let mut read = Map::new();
    for (name, value) in members {
        if let Some(property) = find(schema, &name)? {
            insert(&mut read, property, value)?;
        }
    }
    Ok(read)
}

fn enumeration(members: &[String], value: &Value) -> Result<Value, Refusal> {
    let member = value.as_str().and_then(|text| members.iter().find(|member| member.eq_ignore_ascii_case(text)));
    match member {
        Some(member) => Ok(member.clone().into()),
        None => Err(Refusal::invalid("", format!("one of {}", members.join(", ")))),
    }
}

pub(super) fn string(value: Value, length_max: usize) -> Result<String, Refusal> {
    match value {
        Value::String(text) if text.len() <= length_max => Ok(text),
        Value::String(_) => Err(Refusal::TooLong { property: String::new(), length_max, unit: "bytes" }),
        _ => Err(Refusal::invalid("", "a string")),
    }
}

/// Some clients send booleans as strings, and Graph takes them.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
