//! Graph's types, read once from the metadata that is embedded beside this file.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

use super::Entity;

/// All types by name.
pub(super) struct Types(HashMap<String, Type>);

pub(super) enum Type {
    Enum(Vec<String>),
    Struct(Struct),
}

/// An entity or complex type with the properties of its bases.
#[derive(Default)]
pub(super) struct Struct {
    properties: Vec<Property>,
    /// Where each is, by its name and by that in lower case.
    places: HashMap<String, usize>,
}

#[derive(Clone)]
pub(super) struct Property {
    pub name: String,
    pub shape: Shape,
    pub collection: bool,
    pub nullable: bool,
}

/// What one value may be.
#[derive(Clone)]
pub(super) enum Shape {
    String,
    Boolean,
    Int32,
    Double,
    DateTimeOffset,
    Date,
    TimeOfDay,
    Binary,
    /// An enumeration, complex or entity type, by name.
    Named(String),
    /// A type that no body may use here.
    Unsupported,
}

#[derive(Deserialize)]
struct RawType {
    base: Option<String>,
    kind: String,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    properties: BTreeMap<String, RawProperty>,
    #[serde(default)]
    navigation: BTreeMap<String, RawProperty>,
}

#[derive(Deserialize)]
struct RawProperty {
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default = "nullable")]
    nullable: bool,
}

fn nullable() -> bool {
    true
}

/// Relations that are written together with the item that owns them. Others have requests of their own.
const WRITTEN_WITH_OWNER: [&str; 5] =
    ["attachments", "extensions", "item", "multiValueExtendedProperties", "singleValueExtendedProperties"];

/// The types, read at the first call.
pub(super) fn all() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| {
        let raw: BTreeMap<String, RawType> =
            serde_json::from_str(super::METADATA).expect("the embedded metadata is well formed");
        Types(raw.keys().map(|name| (name.clone(), build(&raw, name))).collect())
    })
}

fn build(raw: &BTreeMap<String, RawType>, name: &str) -> Type {
    if raw[name].kind == "EnumType" {
        return Type::Enum(raw[name].members.clone());
    }
    let mut built = Struct::default();
    let mut next = Some(name);
    while let Some(found) = next.and_then(|name| raw.get(name)) {
        for (name, property) in &found.properties {
            built.add(property_of(raw, name, property, false));
        }
        for (name, property) in &found.navigation {
            let unsupported = !WRITTEN_WITH_OWNER.contains(&name.as_str());
            built.add(property_of(raw, name, property, unsupported));
        }
        next = found.base.as_deref();
    }
    Type::Struct(built)
}

fn property_of(raw: &BTreeMap<String, RawType>, name: &str, property: &RawProperty, unsupported: bool) -> Property {
    let type_name = property.type_name.as_str();
    let member = type_name.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')'));
    let shape = match member.unwrap_or(type_name) {
        _ if unsupported => Shape::Unsupported,
        "Edm.String" => Shape::String,
        "Edm.Boolean" => Shape::Boolean,
        "Edm.Int32" => Shape::Int32,
        "Edm.Double" => Shape::Double,
        "Edm.DateTimeOffset" => Shape::DateTimeOffset,
        "Edm.Date" => Shape::Date,
        "Edm.TimeOfDay" => Shape::TimeOfDay,
        "Edm.Binary" => Shape::Binary,
        other => match other.strip_prefix("graph.") {
            Some(named) if raw.contains_key(named) => Shape::Named(named.to_owned()),
            _ => Shape::Unsupported,
        },
    };
    Property { name: name.to_owned(), shape, collection: member.is_some(), nullable: property.nullable }
}

impl Types {
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.0.get(name)
    }

    pub fn entity(&self, entity: Entity) -> &Struct {
        match self.0.get(entity.type_name()) {
            Some(Type::Struct(found)) => found,
            _ => unreachable!("the embedded metadata has every entity"),
        }
    }

    /// The attachment type that an `@odata.type` names, in Graph's spelling.
    pub fn attachment(&self, odata_type: &str) -> Option<(&'static str, &Struct)> {
        let name = odata_type.trim_start_matches('#').to_ascii_lowercase();
        let name = name.strip_prefix("microsoft.graph.")?;
        let all = ["fileAttachment", "itemAttachment", "referenceAttachment"];
        let known = all.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
        match self.0.get(known)? {
            Type::Struct(found) => Some((known, found)),
            Type::Enum(_) => None,
        }
    }
}

impl Struct {
    /// Adds a property, in place of one that is named so already.
    fn add(&mut self, property: Property) {
        let place = self.properties.len();
        self.places.insert(property.name.to_ascii_lowercase(), place);
        self.places.insert(property.name.clone(), place);
        self.properties.push(property);
    }

    /// Finds a property by its name in any case.
    pub fn property(&self, name: &str) -> Option<&Property> {
        let place = self.places.get(name).or_else(|| self.places.get(&name.to_ascii_lowercase()))?;
        self.properties.get(*place)
    }
}
