//! The entities as queries see them: which names `$filter` and `$orderby` may use, and of which types.

use std::borrow::Cow;

use odata::check::Enumeration;
use odata::{Property, Shape};

use super::Entity;
use super::types::{self, Struct, Type};

/// A type whose properties a query names.
#[derive(Clone, Copy)]
pub struct Fields {
    name: &'static str,
    properties: &'static Struct,
}

/// Texts that compare to the letter: two that differ in case alone name different things.
const KEYS: [&str; 9] = [
    "changeKey",
    "conversationId",
    "iCalUId",
    "id",
    "internetMessageId",
    "parentFolderId",
    "seriesMasterId",
    "transactionId",
    "uid",
];

/// What `$expand` shows, with its type: of messages and events all, of contacts without the first, of
/// folders without the first two.
const RELATIONS: [(&str, &str); 4] = [
    ("attachments", "attachment"),
    ("extensions", "extension"),
    ("multiValueExtendedProperties", "multiValueLegacyExtendedProperty"),
    ("singleValueExtendedProperties", "singleValueLegacyExtendedProperty"),
];

/// Properties that are made only for showing.
const CLOSED: [&str; 3] = ["attachments", "uniqueBody", "webLink"];

impl Fields {
    pub fn of(entity: Entity) -> Self {
        Self { name: entity.type_name(), properties: types::all().entity(entity) }
    }

    /// The members of a relation that `$expand` shows, with the relation's name in Graph's spelling.
    pub fn of_relation(entity: Entity, name: &str) -> Option<(&'static str, Self)> {
        let relations = match entity {
            Entity::Message | Entity::Event => &RELATIONS[..],
            Entity::Contact => &RELATIONS[1..],
            Entity::MailFolder | Entity::Calendar | Entity::ContactFolder => &RELATIONS[2..],
            _ => &[],
        };
        let (relation, type_name) = relations.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        match types::all().get(type_name)? {
            Type::Struct(properties) => Some((relation, Self { name: type_name, properties })),
            Type::Enum(_) => None,
        }
    }

    /// The type is one that stands alone, not a part of one.
    fn is_entity(self) -> bool {
        Entity::ALL.into_iter().any(|entity| entity.type_name() == self.name)
    }

    fn text(self, name: &str) -> Shape<Self> {
        match name {
            "dateTime" if self.name == "dateTimeTimeZone" => Shape::LocalTime,
            _ if self.is_entity() && KEYS.contains(&name) => Shape::Key,
            _ => Shape::Text,
        }
    }
}

impl odata::Schema for Fields {
    fn name(&self) -> Cow<'static, str> {
        format!("microsoft.graph.{}", self.name).into()
    }

    fn property(&self, name: &str) -> Option<Property<Self>> {
        let found = self.properties.property(name)?;
        let name = found.name.as_str();
        let shape = match &found.shape {
            _ if self.is_entity() && CLOSED.contains(&name) => Shape::Closed,
            types::Shape::String => self.text(name),
            types::Shape::Boolean => Shape::Boolean,
            types::Shape::Int32 => Shape::Integer,
            types::Shape::Double => Shape::Double,
            types::Shape::DateTimeOffset => Shape::Instant,
            types::Shape::Date => Shape::Date,
            types::Shape::Binary => Shape::Key,
            types::Shape::Named(name) => named(name),
            _ => Shape::Closed,
        };
        Some(Property { name: Cow::Borrowed(name), shape, is_collection: found.collection })
    }
}

fn named(name: &'static str) -> Shape<Fields> {
    match types::all().get(name) {
        Some(Type::Struct(properties)) => Shape::Structure(Fields { name, properties }),
        Some(Type::Enum(members)) => Shape::Enumeration(Enumeration {
            name: format!("microsoft.graph.{name}").into(),
            members: Cow::Borrowed(members.as_slice()),
        }),
        None => Shape::Closed,
    }
}
