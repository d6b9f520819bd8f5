//! The query options that collections take. An option of OData's that is not supported is refused by its
//! name, never passed over; others, without a `$`, are the caller's own.

use graph::expand::Expand;
use graph::query::{ProblemKind, Problems, QueryRefusal, Shown};
use graph::render::Select;
use graph::schema::{Entity, Fields};
use graph::search::SearchRefusal;
use graph::{Kind, Refusal};
use percent_encoding::percent_decode_str;

const TOP_DEFAULT: u64 = 10;
const TOP_MAX: u64 = 1_000;
const QUERY_BYTES_MAX: usize = 8 * 1024;

/// Why a query is refused. `Display` is the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("The query option '{0}' is not supported by this server.")]
    Unsupported(String),
    #[error("The query option '{0}' is given twice.")]
    Twice(String),
    #[error(
        "Invalid value '{value}' for {option} query option found. The {option} query option requires a value from \
         {low} to {high}."
    )]
    Range { option: &'static str, value: String, low: u64, high: u64 },
    #[error("Invalid value '{value}' for $count query option found. Valid values are 'true' and 'false'.")]
    Count { value: String },
    #[error("Invalid value '{value}' for {option} query option found. Valid values are 'true' and 'false'.")]
    Flag { option: &'static str, value: String },
    #[error("Could not find a property named '{property}' on type 'microsoft.graph.{type_name}'.")]
    UnknownProperty { property: String, type_name: &'static str },
    /// Of `filter`, `orderby` or `expand`.
    #[error("Invalid {clause} clause: {}.", first(problems))]
    Clause { clause: &'static str, problems: Problems },
    #[error("Invalid search clause: {0}.")]
    Search(SearchRefusal),
    #[error("The restriction or sort order is too complex for this operation.")]
    Inefficient,
    #[error("The query parameter '{0}' is not supported with '$search'.")]
    WithSearch(&'static str),
    #[error("The query is not UTF-8 after percent-decoding, or too long.")]
    Malformed,
}

impl QueryError {
    /// Graph's code; the status is 400.
    pub fn code(&self) -> &'static str {
        match self {
            QueryError::UnknownProperty { .. } => "RequestBroker--ParseUri",
            QueryError::Inefficient => "InefficientFilter",
            QueryError::WithSearch("$filter") => "SearchWithFilter",
            QueryError::WithSearch(_) => "SearchWithOrderBy",
            _ => "BadRequest",
        }
    }

    /// Each problem of a clause: where it is, and how to write it instead.
    pub fn details(&self) -> Vec<(Option<String>, String)> {
        if *self == QueryError::Inefficient {
            let why = "what $orderby names must stand in $filter too, before anything else and in the same order";
            return vec![(Some("$orderby".to_owned()), why.to_owned())];
        }
        let QueryError::Clause { clause, problems } = self else { return Vec::new() };
        let each = problems.0.iter().map(|problem| {
            let help = problem.help().map(|help| format!("; {help}")).unwrap_or_default();
            (Some(format!("${clause}")), format!("position {}: {}{help}", problem.span.start, problem.kind))
        });
        each.collect()
    }

    fn of(clause: &'static str, entity: Entity, problems: Problems) -> Self {
        match problems.0.first().map(|problem| &problem.kind) {
            // Graph's sentence names nothing else.
            Some(ProblemKind::Property { name, type_name })
                if type_name.ends_with(&format!(".{}", entity.type_name())) && problems.0.len() == 1 =>
            {
                QueryError::UnknownProperty { property: name.clone(), type_name: entity.type_name() }
            }
            _ => QueryError::Clause { clause, problems },
        }
    }

    fn refused(entity: Entity, refusal: QueryRefusal) -> Self {
        match refusal {
            QueryRefusal::Filter(problems) => Self::of("filter", entity, problems),
            QueryRefusal::Order(problems) => Self::of("orderby", entity, problems),
            QueryRefusal::Inefficient => QueryError::Inefficient,
        }
    }
}

/// The first problem as the rest of a sentence, which begins in capitals as Graph's do.
fn first(problems: &Problems) -> String {
    let text = problems.to_string();
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// A query, cut into its options: names in lower case with `$`, values decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn read(query: &str) -> Result<Self, QueryError> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(QueryError::Malformed);
        }
        let mut options: Vec<(String, String)> = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let name = full_name(&decoded(name)?);
            if name.starts_with('$') && options.iter().any(|(known, _)| *known == name) {
                return Err(QueryError::Twice(name));
            }
            options.push((name, decoded(value)?));
        }
        Ok(Self(options))
    }

    /// Refuses every option of OData's that is not among these.
    pub fn allow(&self, names: &[&str]) -> Result<(), QueryError> {
        match self.0.iter().find(|(name, _)| name.starts_with('$') && !names.contains(&name.as_str())) {
            Some((name, _)) => Err(QueryError::Unsupported(name.clone())),
            None => Ok(()),
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All options, as they are named and decoded here.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `$filter` and `$orderby` of items, or `$search`.
    pub fn items(&self, kind: Kind) -> Result<graph::query::Query, QueryError> {
        let (filter, orderby) = (self.get("$filter"), self.get("$orderby"));
        let Some(search) = self.get("$search") else {
            let refused = |refusal| QueryError::refused(Entity::from(kind), refusal);
            return graph::query::Query::read(kind, filter, orderby).map_err(refused);
        };
        match (kind, filter, orderby) {
            (Kind::Event | Kind::Contact, ..) => Err(QueryError::Unsupported("$search".to_owned())),
            (Kind::Message, Some(_), _) => Err(QueryError::WithSearch("$filter")),
            (Kind::Message, None, Some(_)) => Err(QueryError::WithSearch("$orderby")),
            (Kind::Message, None, None) => graph::query::Query::search(search).map_err(QueryError::Search),
        }
    }

    /// `$filter` and `$orderby` of things in a short list.
    pub fn shown(&self, entity: Entity) -> Result<Shown, QueryError> {
        let shown = Shown::read(&Fields::of(entity), self.get("$filter"), self.get("$orderby"));
        shown.map_err(|refusal| QueryError::refused(entity, refusal))
    }

    /// `$expand` of an entity.
    pub fn expand(&self, entity: Entity) -> Result<Expand, QueryError> {
        let Some(list) = self.get("$expand") else { return Ok(Expand::default()) };
        Expand::read(entity, list).map_err(|problems| QueryError::of("expand", entity, problems))
    }

    /// An option that is `true` or `false`, in any case; `false` if it is absent.
    pub fn flag(&self, name: &'static str) -> Result<bool, QueryError> {
        match self.get(name) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(QueryError::Flag { option: name, value: shortened(text) }),
        }
    }

    /// `$select` of an entity; `None` for everything.
    pub fn select(&self, entity: Entity) -> Result<Option<Select>, QueryError> {
        let Some(list) = self.get("$select") else { return Ok(None) };
        Select::read(entity, list).map_err(|refusal| match refusal {
            Refusal::UnknownProperty { property } => {
                QueryError::UnknownProperty { property: shortened(&property), type_name: entity.type_name() }
            }
            _ => QueryError::Malformed,
        })
    }
}

/// A page of a collection, as the caller asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub top: u64,
    pub skip: u64,
    pub count: bool,
}

impl Page {
    /// Reads `$top`, `$skip` and `$count`.
    pub fn read(query: &Query) -> Result<Self, QueryError> {
        let top = number(query, "$top", 1, TOP_MAX)?.unwrap_or(TOP_DEFAULT);
        let skip = number(query, "$skip", 0, i64::MAX as u64)?.unwrap_or(0);
        let count = match query.get("$count") {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) => return Err(QueryError::Count { value: shortened(text) }),
        };
        Ok(Self { top, skip, count })
    }
}

/// `$top` by itself.
pub fn top(query: &Query) -> Result<Option<u16>, QueryError> {
    Ok(number(query, "$top", 1, TOP_MAX)?.and_then(|top| u16::try_from(top).ok()))
}

fn number(query: &Query, option: &'static str, low: u64, high: u64) -> Result<Option<u64>, QueryError> {
    let Some(text) = query.get(option) else { return Ok(None) };
    let value = text.trim().parse::<u64>().ok().filter(|value| (low..=high).contains(value));
    value.map(Some).ok_or_else(|| QueryError::Range { option, value: shortened(text), low, high })
}

/// Options may be written without their `$`.
fn full_name(name: &str) -> String {
    const KNOWN: [&str; 10] = [
        "$top",
        "$skip",
        "$select",
        "$count",
        "$orderby",
        "$filter",
        "$search",
        "$expand",
        "$skiptoken",
        "$deltatoken",
    ];
    const PLAIN: [&str; 4] = ["startDateTime", "endDateTime", "includeHiddenFolders", "changeType"];
    let lower = name.trim().to_ascii_lowercase();
    let found = KNOWN.into_iter().find(|known| lower.trim_start_matches('$') == &known[1..]);
    let plain = || PLAIN.into_iter().find(|known| lower.eq_ignore_ascii_case(known));
    found.or_else(plain).map_or_else(|| shortened(name), str::to_owned)
}

fn decoded(text: &str) -> Result<String, QueryError> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned()).map_err(|_| QueryError::Malformed)
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_however_clients_write_them() {
        let query =
            Query::read("%24select=Subject,%20isRead&$TOP=5&skip=20&$count=True&$orderby=receivedDateTime+DESC");
        let query = query.unwrap();
        assert_eq!(query.select(Entity::Message), Ok(Select::read(Entity::Message, "isRead,subject").unwrap()));
        assert_eq!(Page::read(&query), Ok(Page { top: 5, skip: 20, count: true }));
        assert!(query.items(Kind::Message).is_ok());
    }

    #[test]
    fn a_page_has_ten_items_unless_asked_otherwise_and_a_thousand_at_most() {
        let top = |query: &str| Page::read(&Query::read(query).unwrap()).ok().map(|page| page.top);
        assert_eq!((top(""), top("$top=1000")), (Some(10), Some(1_000)));
        assert_eq!((top("$top=0"), top("$top=1001")), (None, None));
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let page = |query: &str| {
            let query = Query::read(query)?;
            query.allow(&["$top", "$skip", "$select", "$count", "$orderby", "$filter", "$search", "$expand"])?;
            query.select(Entity::Message)?;
            query.items(Kind::Message)?;
            query.expand(Entity::Message)?;
            Page::read(&query).map(|_| ())
        };
        let table = [
            ("$apply=x", "The query option '$apply' is not supported by this server."),
            (
                "$filter=isRead%20eq",
                "Invalid filter clause: Syntax error: a property, literal or function expected, the end found at position 9.",
            ),
            (
                "$filter=subjekt%20eq%20''",
                "Could not find a property named 'subjekt' on type 'microsoft.graph.message'.",
            ),
            (
                "$filter=isRead+eq+true&$orderby=subject",
                "The restriction or sort order is too complex for this operation.",
            ),
            ("$search=a&$orderby=subject", "The query parameter '$orderby' is not supported with '$search'."),
            ("$search=%22a", "Invalid search clause: syntax error at position 0: a closing quote expected."),
            ("$expand=calendar", "Could not find a property named 'calendar' on type 'microsoft.graph.message'."),
            (
                "$top=0",
                "Invalid value '0' for $top query option found. The $top query option requires a value from 1 to 1000.",
            ),
            (
                "$top=1e9",
                "Invalid value '1e9' for $top query option found. The $top query option requires a value from 1 to 1000.",
            ),
            ("$top=1&top=2", "The query option '$top' is given twice."),
            ("$count=yes", "Invalid value 'yes' for $count query option found. Valid values are 'true' and 'false'."),
            ("$select=colour", "Could not find a property named 'colour' on type 'microsoft.graph.message'."),
            ("$orderby=body", "Invalid orderby clause: The property 'body' cannot be used here at position 0."),
            ("$top=%ff", "The query is not UTF-8 after percent-decoding, or too long."),
        ];
        for (query, message) in table {
            assert_eq!(page(query).unwrap_err().to_string(), message, "{query}");
        }
    }
}
