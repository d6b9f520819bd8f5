//! An entity as JSON that says of which types its values are, as OData's full metadata has it: where JSON
//! leaves it open, right before the value that it is said of.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::Entity;
use super::types::{self, Property, Shape, Struct, Type};

const TYPE: &str = "@odata.type";

/// `shown`, an entity, with annotations. Its own type is left to whoever sends it, unless it names one.
pub(crate) fn annotated(entity: Entity, shown: &Map<String, Value>) -> impl Serialize {
    Object { type_name: None, known: types::all().entity(entity), members: shown }
}

/// An entity or a complex value.
struct Object<'a> {
    /// What it says of itself; `None`: what stands among its members, or nothing.
    type_name: Option<&'a str>,
    known: &'a Struct,
    members: &'a Map<String, Value>,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match (self.members.get(TYPE), self.type_name) {
            (Some(own), _) => map.serialize_entry(TYPE, own)?,
            (None, Some(name)) => map.serialize_entry(TYPE, &format!("#microsoft.graph.{name}"))?,
            (None, None) => {}
        }
        for (name, value) in self.members.iter().filter(|(name, _)| name.as_str() != TYPE) {
            let property = self.known.property(name);
            if let Some(type_name) = property.filter(|_| !value.is_null()).and_then(annotation) {
                map.serialize_entry(&format!("{name}{TYPE}"), &type_name)?;
            }
            map.serialize_entry(name, &Typed { property, value })?;
        }
        map.end()
    }
}

/// A value of a property, or one of several.
struct Typed<'a> {
    property: Option<&'a Property>,
    value: &'a Value,
}

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some((type_name, known)) = self.property.and_then(structure) else {
            return self.value.serialize(serializer);
        };
        match self.value {
            Value::Object(members) => Object { type_name: Some(type_name), known, members }.serialize(serializer),
            Value::Array(values) => {
                let mut all = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    all.serialize_element(&Typed { value, ..*self })?;
                }
                all.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}

fn structure(property: &Property) -> Option<(&str, &'static Struct)> {
    let Shape::Named(name) = &property.shape else { return None };
    match types::all().get(name)? {
        Type::Struct(known) => Some((name, known)),
        Type::Enum(_) => None,
    }
}

/// What stands beside a property that has a value. JSON tells texts, booleans and numbers by itself, and an
/// object has its type within.
fn annotation(property: &Property) -> Option<String> {
    let (name, is_told) = match &property.shape {
        Shape::String => ("String", true),
        Shape::Boolean => ("Boolean", true),
        Shape::Int32 => ("Int32", true),
        Shape::Double => ("Double", true),
        Shape::DateTimeOffset => ("DateTimeOffset", false),
        Shape::Date => ("Date", false),
        Shape::TimeOfDay => ("TimeOfDay", false),
        Shape::Binary => ("Binary", false),
        Shape::Named(name) => (name.as_str(), structure(property).is_some()),
        Shape::Unsupported => return None,
    };
    let namespace = if matches!(property.shape, Shape::Named(_)) { "microsoft.graph." } else { "" };
    match property.collection {
        true => Some(format!("#Collection({namespace}{name})")),
        false => (!is_told).then(|| format!("#{namespace}{name}")),
    }
}
