//! What a subscription's `resource` says behind its path: `$filter`, `$select` and `$expand`. The filter
//! decides what is heard; the other two say what content shows, and nothing about notifications without it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use odata::{Filter, Problems, parse};

use crate::Kind;
use crate::expand::Expand;
use crate::item::NOT_IN_CHANGES;
use crate::path::QueryOption;
use crate::query::{Held, State};
use crate::render::Select;
use crate::schema::{Entity, Fields};

/// The longest filter, in bytes.
pub const FILTER_BYTES_MAX: usize = 2_048;
/// How many properties a filter may look at, each as often as it stands there. Every change of a mailbox
/// is held against every filter there.
pub const FILTER_PLACES_MAX: usize = 32;

/// What each change alters, so that no item stays in a filter on it.
const ALTERED_BY_EACH_CHANGE: [&str; 2] = ["changeKey", "lastModifiedDateTime"];
const EXPANDABLE: [&str; 2] = ["singleValueExtendedProperties", "multiValueExtendedProperties"];

/// The `$filter` of a subscription. A copy is cheap; two are equal if they say the same of the same kind.
#[derive(Clone, Debug)]
pub struct Condition(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    kind: Kind,
    /// As it is printed.
    text: String,
    filter: Filter,
}

/// Everything behind the `?`, checked.
#[derive(Clone, Debug, Default)]
pub struct Refinement {
    pub condition: Option<Condition>,
    /// `None`: all properties.
    pub select: Option<Select>,
    pub expand: Expand,
    /// The same for all that say the same in other spellings of blanks and operators; empty for nothing.
    pub likeness: String,
}

/// Why a resource cannot be watched with these options. `Display` says what Graph's sentence leaves unsaid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefinementRefusal {
    #[error("a subscription does not take the option '{0}'; it takes $filter, $select and $expand")]
    Option(String),
    #[error("the option '{0}' is given twice")]
    Twice(&'static str),
    #[error("$filter: {}", told(.0))]
    Filter(Problems),
    #[error("$filter can only be {FILTER_BYTES_MAX} bytes long and look at {FILTER_PLACES_MAX} properties")]
    FilterTooLarge,
    #[error("$filter cannot look at '{0}', which changes do not carry")]
    NotInChanges(String),
    #[error("$filter cannot look at '{0}', which each change alters")]
    AlteredByEachChange(String),
    #[error("$select: could not find a property named '{0}'")]
    Property(String),
    #[error("$select cannot name '{0}'; bodyPreview is the part of the body that notifications can have")]
    Body(&'static str),
    #[error(
        "notifications with content need a $select in the resource: the properties that they show, such as subject"
    )]
    NoSelect,
    #[error("$select cannot name '{0}', which changes do not carry")]
    NotShown(&'static str),
    #[error("$expand: {}", told(.0))]
    Expand(Problems),
    #[error("$expand takes singleValueExtendedProperties and multiValueExtendedProperties only")]
    Relation,
}

/// The first problem, with advice if there is some.
fn told(problems: &Problems) -> String {
    let help = problems.0.first().and_then(|problem| problem.help()).map(|help| format!("; {help}"));
    format!("{problems}{}", help.unwrap_or_default())
}

impl RefinementRefusal {
    /// The sentence in which Graph says it.
    pub fn graph_text(&self) -> &'static str {
        match self {
            Self::Option(_) | Self::Body(_) | Self::Relation => {
                "$top, $skip, $orderby, $select=body,uniqueBody and $expand other than \
                 singleValueExtendedProperties,multiValueExtendedProperties are not supported in subscription resource \
                 Url."
            }
            Self::NotInChanges(_) | Self::AlteredByEachChange(_) | Self::NotShown(_) => {
                "The value of parameter 'Resource' is not supported."
            }
            Self::NoSelect => "select clause should be present in query string to support rich notifications",
            _ => "The value of parameter 'Resource' is invalid.",
        }
    }
}

impl Condition {
    fn read(kind: Kind, text: &str) -> Result<Self, RefinementRefusal> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(RefinementRefusal::FilterTooLarge);
        }
        let tree = parse::filter(text).map_err(RefinementRefusal::Filter)?;
        let filter = Filter::check(&tree, &Fields::of(Entity::from(kind))).map_err(RefinementRefusal::Filter)?;
        if filter.places() > FILTER_PLACES_MAX {
            return Err(RefinementRefusal::FilterTooLarge);
        }
        let condition = Self(Arc::new(Checked { kind, text: tree.to_string(), filter }));
        for name in condition.properties() {
            if NOT_IN_CHANGES.contains(&name) {
                return Err(RefinementRefusal::NotInChanges(name.to_owned()));
            }
            if ALTERED_BY_EACH_CHANGE.contains(&name) {
                return Err(RefinementRefusal::AlteredByEachChange(name.to_owned()));
            }
        }
        Ok(condition)
    }

    /// The properties that it looks at; one may come twice.
    pub fn properties(&self) -> impl Iterator<Item = &str> {
        self.0.filter.paths().into_iter().filter_map(|path| path.first().map(String::as_str))
    }

    pub fn holds(&self, state: State<'_>) -> bool {
        self.0.filter.matches(Held::State(state))
    }

    /// How many copies there are, this one included.
    pub fn copies(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        (self.0.kind, &self.0.text) == (other.0.kind, &other.0.text)
    }
}

impl Eq for Condition {}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.kind, &self.0.text).hash(state);
    }
}

impl Refinement {
    pub fn read(kind: Kind, options: &[QueryOption]) -> Result<Self, RefinementRefusal> {
        let [mut filter, mut select, mut expand] = [None; 3];
        for option in options {
            let lower = option.name.to_ascii_lowercase();
            let (name, slot) = match lower.trim_start_matches('$') {
                "filter" => ("$filter", &mut filter),
                "select" => ("$select", &mut select),
                "expand" => ("$expand", &mut expand),
                _ => return Err(RefinementRefusal::Option(option.name.chars().take(64).collect())),
            };
            if slot.replace(option.value.as_str()).is_some() {
                return Err(RefinementRefusal::Twice(name));
            }
        }
        let mut said = Vec::new();
        let condition = filter.map(|text| Condition::read(kind, text)).transpose()?;
        if let Some(condition) = &condition {
            said.push(format!("$filter={}", condition.0.text));
        }
        let select = select.map(|text| selected(kind, text)).transpose()?.flatten();
        if let Some(selected) = &select {
            said.push(format!("$select={}", selected.names()));
        }
        let expanded = expand.map(|text| expanded(kind, text)).transpose()?;
        if let Some((_, text)) = &expanded {
            said.push(format!("$expand={text}"));
        }
        let expand = expanded.map(|(expand, _)| expand).unwrap_or_default();
        Ok(Self { condition, select, expand, likeness: said.join("&") })
    }
}

fn selected(kind: Kind, text: &str) -> Result<Option<Select>, RefinementRefusal> {
    let unknown = |refusal| match refusal {
        crate::Refusal::UnknownProperty { property } => {
            RefinementRefusal::Property(property.chars().take(64).collect())
        }
        _ => RefinementRefusal::Property("…".to_owned()),
    };
    let Some(selected) = Select::read(Entity::from(kind), text).map_err(unknown)? else { return Ok(None) };
    match ["body", "uniqueBody"].into_iter().find(|name| selected.has(name)) {
        Some(name) => Err(RefinementRefusal::Body(name)),
        None => Ok(Some(selected)),
    }
}

/// What it asks for, and its text in one spelling.
fn expanded(kind: Kind, text: &str) -> Result<(Expand, String), RefinementRefusal> {
    let expand = Expand::read(Entity::from(kind), text).map_err(RefinementRefusal::Expand)?;
    let expansions = parse::expand(text).map_err(RefinementRefusal::Expand)?;
    let is_known = |name: &str| EXPANDABLE.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !expansions.iter().all(|expansion| is_known(&expansion.path.to_string())) {
        return Err(RefinementRefusal::Relation);
    }
    Ok((expand, expansions.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::watch;

    fn read(resource: &str) -> Result<Refinement, RefinementRefusal> {
        let watched = watch(resource).unwrap();
        Refinement::read(watched.kind, &watched.options)
    }

    fn likeness(resource: &str) -> String {
        read(resource).unwrap().likeness
    }

    #[test]
    fn a_resource_may_have_a_filter_a_selection_and_extended_properties() {
        assert_eq!(likeness("me/messages"), "");
        let published = "me/mailfolders('Drafts')/messages?$select=Subject,bodyPreview&$filter=hasAttachments eq true AND \
                         importance eq 'High'";
        let refinement = read(published).unwrap();
        assert_eq!(
            refinement.likeness,
            "$filter=hasAttachments eq true and importance eq 'High'&$select=bodyPreview,subject"
        );
        let properties: Vec<_> = refinement.condition.as_ref().unwrap().properties().map(str::to_owned).collect();
        assert_eq!(properties, ["hasAttachments", "importance"]);
        for resource in [
            "me/messages?$filter=from/emailAddress/address eq 'a@x'",
            "me/messages?%24filter=categories%2Fany(c:c%20eq%20'x')",
            "me/messages?$filter=singleValueExtendedProperties/any(p:p/id eq 'String 0x1' and p/value eq '2')",
            "me/messages?$expand=singleValueExtendedProperties($filter=id eq 'String 0x1'),multiValueExtendedProperties",
            "me/events?$filter=start/dateTime ge '2026-11-21T10:00:00' and isAllDay eq false",
            "me/contacts?$filter=emailAddresses/any(e:e/address eq 'a@x')&$select=*",
        ] {
            assert!(read(resource).is_ok(), "{resource}");
        }
    }

    #[test]
    fn two_spellings_of_one_refinement_are_alike() {
        let one = likeness("me/messages?filter=isRead EQ false&select=subject,from");
        assert_eq!(one, likeness("me/messages?$select=From,%20subject&$filter= isRead  eq false"));
        assert_ne!(one, likeness("me/messages?$select=subject,from&$filter=isRead eq true"));
        assert_ne!(one, likeness("me/messages?$filter=isRead eq false"));
    }

    #[test]
    fn what_notifications_cannot_do_is_refused_in_graphs_words() {
        let forbidden = "$top, $skip, $orderby, $select=body,uniqueBody and $expand other than \
                         singleValueExtendedProperties,multiValueExtendedProperties are not supported in subscription \
                         resource Url.";
        let (unsupported, invalid) =
            ("The value of parameter 'Resource' is not supported.", "The value of parameter 'Resource' is invalid.");
        let takes = |name: &str| {
            format!("a subscription does not take the option '{name}'; it takes $filter, $select and $expand")
        };
        let long = format!("$filter=subject eq '{}'", "x".repeat(FILTER_BYTES_MAX));
        let wide = format!("$filter={}", vec!["isRead"; FILTER_PLACES_MAX + 1].join(" or "));
        let too_large = "$filter can only be 2048 bytes long and look at 32 properties".to_owned();
        for (options, text, detail) in [
            ("$top=5", forbidden, takes("$top")),
            ("$skip=5", forbidden, takes("$skip")),
            ("$orderby=subject", forbidden, takes("$orderby")),
            ("$search=x", forbidden, takes("$search")),
            ("$count=true", forbidden, takes("$count")),
            ("colour=red", forbidden, takes("colour")),
            (
                "$select=subject,Body",
                forbidden,
                "$select cannot name 'body'; bodyPreview is the part of the body that notifications can have"
                    .to_owned(),
            ),
            (
                "$expand=attachments",
                forbidden,
                "$expand takes singleValueExtendedProperties and multiValueExtendedProperties only".to_owned(),
            ),
            ("$select=colour", invalid, "$select: could not find a property named 'colour'".to_owned()),
            (
                "$expand=colour",
                invalid,
                "$expand: could not find a property named 'colour' on type 'microsoft.graph.message' at position 0"
                    .to_owned(),
            ),
            (
                "$filter=isRead = false",
                invalid,
                "$filter: syntax error: '=' is not an operator at position 7; write eq".to_owned(),
            ),
            (
                "$filter=colour eq 'red'",
                invalid,
                "$filter: could not find a property named 'colour' on type 'microsoft.graph.message' at position 0"
                    .to_owned(),
            ),
            ("$filter=isRead&$filter=isDraft", invalid, "the option '$filter' is given twice".to_owned()),
            (
                "$filter=contains(body/content,'x')",
                unsupported,
                "$filter cannot look at 'body', which changes do not carry".to_owned(),
            ),
            (
                "$filter=lastModifiedDateTime ge 2026-01-01T00:00:00Z",
                unsupported,
                "$filter cannot look at 'lastModifiedDateTime', which each change alters".to_owned(),
            ),
            (&long, invalid, too_large.clone()),
            (&wide, invalid, too_large),
        ] {
            let refusal = read(&format!("me/messages?{options}")).map(|found| found.likeness).unwrap_err();
            assert_eq!((refusal.graph_text(), refusal.to_string()), (text, detail), "{options}");
        }
    }
}
