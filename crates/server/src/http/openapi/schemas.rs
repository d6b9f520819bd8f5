//! JSON schemas of Graph's types, from the metadata. Of each entity and complex type there are two: as it
//! is answered, and as a request may write it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use graph::schema::{Entity, METADATA};
use serde_json::{Map, Value, json};

/// Properties of a user that are shown; the metadata cut for this server has none of them.
const USER: [&str; 10] = [
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];

fn types() -> &'static Map<String, Value> {
    static TYPES: OnceLock<Map<String, Value>> = OnceLock::new();
    TYPES.get_or_init(|| serde_json::from_str(METADATA).unwrap_or_default())
}

/// Every schema, by its name in the description's components.
pub fn all() -> Map<String, Value> {
    let mut schemas = Map::new();
    for (name, found) in types() {
        if let Some(members) = found["members"].as_array() {
            schemas.insert(name.clone(), json!({ "type": "string", "enum": members }));
        } else {
            schemas.insert(name.clone(), answered_type(name));
            schemas.insert(format!("{name}.written"), written_type(name));
        }
    }
    schemas.insert("user".to_owned(), user());
    schemas.insert("error".to_owned(), error());
    schemas
}

/// An entity in an answer.
pub fn answered(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An entity in a request.
pub fn written(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}.written") })
}

/// A page of a collection.
pub fn page(name: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "@odata.context": { "type": "string" },
            "@odata.count": { "type": "integer" },
            "@odata.nextLink": { "type": "string" },
            "@odata.deltaLink": { "type": "string" },
            "value": { "type": "array", "items": answered(name) },
        },
        "required": ["value"],
        "additionalProperties": false,
    })
}

/// The parameters of an action; a `!` behind a name says that it is required.
pub fn parameters(parameters: &[(&str, &str)]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, type_name) in parameters {
        let known = name.trim_end_matches('!');
        if known != *name {
            required.push(known);
        }
        properties.insert(known.to_owned(), shape(type_name, known == *name, Form::Written));
    }
    closed(properties, &required)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Answered,
    Written,
}

/// The names of a type and its bases, and, in answers, of the types that derive from it.
fn family(name: &str, form: Form) -> Vec<&str> {
    let mut family = Vec::new();
    let mut next = Some(name);
    while let Some(found) = next.filter(|name| types().contains_key(*name)) {
        family.push(found);
        next = types()[found]["base"].as_str();
    }
    if form == Form::Answered {
        let mut at = 0;
        let mut derived = vec![name];
        while at < derived.len() {
            let base = derived[at];
            derived.extend(types().iter().filter(|(_, one)| one["base"] == base).map(|(name, _)| name.as_str()));
            at += 1;
        }
        family.extend(derived.into_iter().skip(1));
    }
    family
}

/// The members of a type's section, its bases' among them.
fn members<'a>(family: &[&'a str], section: &str) -> BTreeMap<&'a str, &'a Value> {
    let sections = family.iter().filter_map(|name| types()[*name][section].as_object());
    sections.flatten().map(|(name, member)| (name.as_str(), member)).collect()
}

fn answered_type(name: &str) -> Value {
    let family = family(name, Form::Answered);
    let mut properties = Map::new();
    for (name, property) in members(&family, "properties") {
        let nullable = property["nullable"].as_bool().unwrap_or(true);
        properties.insert(name.to_owned(), shape(text(property), nullable, Form::Answered));
    }
    for (name, relation) in members(&family, "navigation") {
        let is_list = text(relation).starts_with("Collection");
        properties.insert(name.to_owned(), if is_list { json!({ "type": "array" }) } else { json!({}) });
    }
    if name == "subscription" {
        // Answers have it, and the metadata does not.
        properties.insert("notificationContentType".to_owned(), json!({ "type": ["string", "null"] }));
    }
    let required: &[&str] = if family.contains(&"entity") { &["id"] } else { &[] };
    closed(properties, required)
}

/// What only the server sets may be sent back as it was read; it is passed over, whatever it is.
fn written_type(name: &str) -> Value {
    let entity = Entity::ALL.into_iter().find(|entity| entity.type_name() == name);
    let family = family(name, Form::Written);
    let mut properties = Map::new();
    for (name, property) in members(&family, "properties") {
        let passed_over = entity.is_some_and(|entity| entity.is_server_managed(name));
        let nullable = property["nullable"].as_bool().unwrap_or(true);
        let schema = if passed_over { json!({}) } else { shape(text(property), nullable, Form::Written) };
        properties.insert(name.to_owned(), schema);
    }
    for (name, relation) in members(&family, "navigation") {
        if entity.is_some_and(|entity| entity.takes_relation(name)) {
            properties.insert(name.to_owned(), shape(text(relation), true, Form::Written));
        }
    }
    closed(properties, &[])
}

/// An object with these members and annotations, and no others.
fn closed(properties: Map<String, Value>, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "patternProperties": { "^@|@odata\\.": {} },
        "additionalProperties": false,
    })
}

fn text(property: &Value) -> &str {
    property["type"].as_str().unwrap_or_default()
}

fn shape(type_name: &str, nullable: bool, form: Form) -> Value {
    if let Some(member) = type_name.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
        let array = json!({ "type": "array", "items": shape(member, false, form) });
        // A request may say null for nothing; an answer says [].
        return if form == Form::Written { or_null(array) } else { array };
    }
    let schema = match type_name {
        "Edm.String" => json!({ "type": "string" }),
        "Edm.Guid" => json!({ "type": "string", "format": "uuid" }),
        "Edm.Boolean" => json!({ "type": "boolean" }),
        "Edm.Int32" => json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX }),
        "Edm.Double" => json!({ "type": "number" }),
        "Edm.DateTimeOffset" => json!({ "type": "string", "format": "date-time" }),
        "Edm.Date" => json!({ "type": "string", "format": "date" }),
        "Edm.TimeOfDay" => json!({ "type": "string" }),
        "Edm.Binary" => json!({ "type": "string", "format": "byte" }),
        other => match other.strip_prefix("graph.").filter(|name| types().contains_key(*name)) {
            Some(name) if form == Form::Written && !types()[name]["members"].is_array() => written(name),
            Some(name) => answered(name),
            None => json!({}),
        },
    };
    if nullable { or_null(schema) } else { schema }
}

fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn user() -> Value {
    let text = || json!({ "type": ["string", "null"] });
    let mut properties: Map<String, Value> = USER.iter().map(|name| ((*name).to_owned(), text())).collect();
    properties.insert("businessPhones".to_owned(), json!({ "type": "array", "items": { "type": "string" } }));
    closed(properties, &[])
}

fn error() -> Value {
    let text = || json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "code": text(),
                    "message": text(),
                    "target": text(),
                    "details": { "type": "array", "items": { "type": "object" } },
                    "innerError": {
                        "type": "object",
                        "properties": { "date": text(), "request-id": text(), "client-request-id": text() },
                        "required": ["date", "request-id", "client-request-id"],
                    },
                },
                "required": ["code", "message", "innerError"],
            },
        },
        "required": ["error"],
        "additionalProperties": false,
    })
}
