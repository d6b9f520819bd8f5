//! `$expand`: which relations of an item are shown with it, and which of their members.

use odata::problem::{Problem, ProblemKind};
use odata::tree::{Expansion, Options, Path, Selected};
use odata::{Filter, Order, Problems, parse};
use serde_json::Value;

use crate::query::Held;
use crate::render::Select;
use crate::schema::{Entity, Fields};
use crate::{Properties, Refusal};

/// How many members of a relation are shown.
const MEMBERS_MAX: u64 = 1_000;

/// What `$expand` asks for; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Expand {
    relations: Vec<Relation>,
    event: Option<EventExpansion>,
}

/// The event of messages that speak of a meeting.
#[derive(Clone, Debug)]
pub struct EventExpansion {
    /// `None`: all properties.
    pub select: Option<Select>,
}

/// One relation.
#[derive(Clone, Debug)]
pub struct Relation {
    name: &'static str,
    filter: Option<Filter>,
    order: Option<Order>,
    /// `None`: all properties.
    select: Option<Vec<String>>,
    /// Of attachments: whether the item in one is shown.
    item: bool,
    skip: u64,
    top: u64,
}

impl Expand {
    /// Reads the value of `$expand`.
    pub fn read(entity: Entity, text: &str) -> Result<Self, Problems> {
        let mut relations: Vec<Relation> = Vec::new();
        let mut event = None;
        let mut problems = Vec::new();
        let twice = |expansion: &Expansion, name: &str| Problem {
            span: expansion.path.span(),
            kind: ProblemKind::Twice(name.to_owned()),
        };
        for expansion in parse::expand(text)? {
            if entity == Entity::Message && is_event(&expansion.path) {
                match event_expansion(&expansion) {
                    Ok(_) if event.is_some() => problems.push(twice(&expansion, EVENT)),
                    Ok(read) => event = Some(read),
                    Err(Problems(found)) => problems.extend(found),
                }
                continue;
            }
            match relation(entity, &expansion) {
                Ok(relation) if relations.iter().any(|known| known.name == relation.name) => {
                    problems.push(twice(&expansion, relation.name));
                }
                Ok(relation) => relations.push(relation),
                Err(Problems(found)) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self { relations, event }) } else { Err(Problems(problems)) }
    }

    /// The event of a meeting message, which is an item of its own.
    pub fn event(&self) -> Option<&EventExpansion> {
        self.event.as_ref()
    }

    /// The attachments, which do not lie in the property bag.
    pub fn attachments(&self) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == "attachments")
    }

    /// Adds what lies in the property bag to what is shown.
    pub fn show(&self, properties: &Properties, shown: &mut Value) {
        for relation in self.relations.iter().filter(|relation| relation.name != "attachments") {
            let members = properties.get(relation.name).and_then(Value::as_array).cloned().unwrap_or_default();
            shown[relation.name] = relation.members(members).into();
        }
    }
}

impl Relation {
    /// Those members that are asked for, with what is asked for of them.
    pub fn members(&self, all: Vec<Value>) -> Vec<Value> {
        let mut found: Vec<Value> = all.into_iter().filter(|member| self.matches(member)).collect();
        if let Some(order) = &self.order {
            found.sort_by(|a, b| order.compare(Held::Json(a), Held::Json(b)));
        }
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let page = found.into_iter().skip(skip).take(self.top as usize);
        page.map(|member| self.selected(member)).collect()
    }

    /// Whether the items in attachments are shown.
    pub fn shows_item(&self) -> bool {
        self.item
    }

    /// Whether a property of the members is shown.
    pub fn shows(&self, name: &str) -> bool {
        let named = |select: &Vec<String>| select.iter().any(|asked| asked.eq_ignore_ascii_case(name));
        self.select.as_ref().is_none_or(named) || name == "id" || name.contains('@') || (self.item && name == "item")
    }

    fn matches(&self, member: &Value) -> bool {
        let Some(filter) = &self.filter else { return true };
        // An extension goes by its name as well as by its id.
        let by_name = || {
            let mut named = member.clone();
            named["id"] = member.get("extensionName")?.clone();
            Some(named)
        };
        filter.matches(Held::Json(member)) || by_name().is_some_and(|named| filter.matches(Held::Json(&named)))
    }

    fn selected(&self, mut member: Value) -> Value {
        if let Value::Object(properties) = &mut member {
            properties.retain(|name, _| self.shows(name));
        }
        member
    }
}

/// Only some messages have an event: its name stands behind their type.
const EVENT: &str = "microsoft.graph.eventMessage/event";
const EVENT_MESSAGES: [&str; 3] = ["eventMessage", "eventMessageRequest", "eventMessageResponse"];

fn is_event(path: &Path) -> bool {
    let path = path.to_string();
    EVENT_MESSAGES.iter().any(|of| path.eq_ignore_ascii_case(&format!("microsoft.graph.{of}/event")))
}

fn event_expansion(expansion: &Expansion) -> Result<EventExpansion, Problems> {
    let span = expansion.path.span();
    let refused = |kind| Problems(vec![Problem { span, kind }]);
    if !(Options { select: None, ..expansion.options.clone() }).is_empty() {
        return Err(refused(ProblemKind::Closed(EVENT.to_owned())));
    }
    let names = expansion.options.select.as_deref().and_then(names).unwrap_or_default();
    let select = Select::read(Entity::Event, &names.join(",")).map_err(|refusal| {
        let name = match refusal {
            Refusal::UnknownProperty { property } => property,
            refusal => refusal.to_string(),
        };
        refused(ProblemKind::Property { name, type_name: "microsoft.graph.event".to_owned() })
    })?;
    Ok(EventExpansion { select })
}

fn relation(entity: Entity, expansion: &Expansion) -> Result<Relation, Problems> {
    let span = expansion.path.span();
    let refused = |kind| Err(Problems(vec![Problem { span, kind }]));
    let name = expansion.path.to_string();
    let Some((name, fields)) = Fields::of_relation(entity, &name) else {
        let shown: String = name.chars().take(64).collect();
        return refused(match entity.property(&name) {
            Some(_) => ProblemKind::Closed(shown),
            None => ProblemKind::Property { name: shown, type_name: format!("microsoft.graph.{}", entity.type_name()) },
        });
    };
    let options = &expansion.options;
    // The item in an attachment is all that can be expanded further.
    let nested = options.expand.iter().flatten().find(|inner| {
        let last = inner.path.names.last().is_some_and(|last| last.text.eq_ignore_ascii_case("item"));
        name != "attachments" || !last || !inner.options.is_empty()
    });
    if let Some(nested) = nested {
        let kind = ProblemKind::Closed(nested.path.to_string().chars().take(64).collect());
        return Err(Problems(vec![Problem { span: nested.path.span(), kind }]));
    }
    Ok(Relation {
        name,
        filter: options.filter.as_ref().map(|filter| Filter::check(filter, &fields)).transpose()?,
        order: options.orderby.as_ref().map(|keys| Order::check(keys, &fields)).transpose()?,
        select: options.select.as_deref().and_then(names),
        item: options.expand.is_some(),
        skip: options.skip.unwrap_or(0),
        top: options.top.unwrap_or(MEMBERS_MAX).min(MEMBERS_MAX),
    })
}

/// The last names of what is selected: a type may stand before them. `None`: everything.
fn names(selected: &[Selected]) -> Option<Vec<String>> {
    let name = |selected: &Selected| match selected {
        Selected::All => None,
        Selected::Path(path) => path.names.last().map(|name| name.text.clone()),
    };
    selected.iter().map(name).collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(text: &str) -> Value {
        let properties = json!({
            "singleValueExtendedProperties": [
                { "id": "String {0} Name A", "value": "1" },
                { "id": "String {0} Name B", "value": "2" },
            ],
            "extensions": [
                { "@odata.type": "#microsoft.graph.openTypeExtension", "id": "Prefix.Com.Contoso", "extensionName": "Com.Contoso",
                  "size": 3 },
            ],
        });
        let Value::Object(properties) = properties else { unreachable!() };
        let mut shown = json!({});
        Expand::read(Entity::Message, text).unwrap().show(&properties, &mut shown);
        shown
    }

    #[test]
    fn relations_are_shown_by_their_own_options() {
        assert_eq!(
            shown("singlevalueExtendedProperties($filter=id eq 'string {0} name b' or id eq 'x';$select=value)"),
            json!({ "singleValueExtendedProperties": [{ "id": "String {0} Name B", "value": "2" }] })
        );
        assert_eq!(shown("multiValueExtendedProperties"), json!({ "multiValueExtendedProperties": [] }));
        assert_eq!(
            shown("singleValueExtendedProperties($top=1;$orderby=value desc)")["singleValueExtendedProperties"][0]["value"],
            "2"
        );
        assert_eq!(shown("extensions($filter=id eq 'Com.Contoso')")["extensions"][0]["size"], 3);
        assert_eq!(shown("attachments($select=name,size)"), json!({}));
    }

    #[test]
    fn the_event_of_a_message_is_expanded_behind_the_types_that_have_one() {
        let read = |text| Expand::read(Entity::Message, text).unwrap();
        assert!(read("attachments").event().is_none());
        assert!(read("microsoft.graph.eventMessage/event").event().is_some_and(|event| event.select.is_none()));
        let selected = read("attachments,Microsoft.Graph.eventMessageRequest/event($select=Subject,start)");
        let select = Select::read(Entity::Event, "start,subject").unwrap();
        assert_eq!(selected.event().unwrap().select, select);
        assert!(Expand::read(Entity::Event, "microsoft.graph.eventMessage/event").is_err());
    }

    #[test]
    fn what_cannot_be_expanded_is_refused() {
        for (text, message) in [
            ("event", "could not find a property named 'event' on type 'microsoft.graph.message' at position 0"),
            (
                "microsoft.graph.eventMessage/event,microsoft.graph.eventMessage/event",
                "the option 'microsoft.graph.eventMessage/event' is given twice at position 35",
            ),
            (
                "microsoft.graph.eventMessage/event($select=colour)",
                "could not find a property named 'colour' on type 'microsoft.graph.event' at position 0",
            ),
            (
                "microsoft.graph.eventMessage/event($expand=attachments)",
                "the property 'microsoft.graph.eventMessage/event' cannot be used here at position 0",
            ),
            ("from", "the property 'from' cannot be used here at position 0"),
            ("colour", "could not find a property named 'colour' on type 'microsoft.graph.message' at position 0"),
            ("extensions,extensions", "the option 'extensions' is given twice at position 11"),
            (
                "singleValueExtendedProperties($filter=name eq 'x')",
                "could not find a property named 'name' on type 'microsoft.graph.singleValueLegacyExtendedProperty' \
                 at position 38",
            ),
            ("attachments($levels=2)", "the option '$levels' is not known here at position 12"),
            ("extensions(", "syntax error: ')' expected, the end found at position 11"),
        ] {
            assert_eq!(Expand::read(Entity::Message, text).unwrap_err().to_string(), message, "{text}");
        }
        let folder = Expand::read(Entity::MailFolder, "attachments");
        assert!(folder.is_err());
    }
}
