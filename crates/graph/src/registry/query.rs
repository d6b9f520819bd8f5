//! What a subscription asks of a place besides its path: `$filter` where the documentation has it, and
//! `notificationQueryOptions`. The states that they look at are JSON objects without a schema.

use std::borrow::Cow;
use std::sync::Arc;

use odata::{Filter, Problems, Property, Scalar, Shape, parse};
use serde_json::Value;
use uuid::Uuid;

use super::{FilterRule, Place, ResourceKind};
use crate::refinement::{FILTER_BYTES_MAX, FILTER_PLACES_MAX};
use crate::{Properties, UserId};

/// The longest query behind the path of a `resource`, in bytes: 650 ids with quotes, percent-encoded.
pub const QUERY_BYTES_MAX: usize = 32 << 10;
/// "A maximum of 650 users can be subscribed in a single subscription."
pub const PRESENCES_MAX: usize = 650;
/// The longest address by which a meeting is watched, in bytes.
const MEETING_URL_BYTES_MAX: usize = 2_048;
/// The property by which meetings are watched.
pub const MEETING_URL: &str = "joinWebUrl";

/// What a subscription asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// The places where what it watches is heard of; one or more.
    pub places: Vec<String>,
    /// Which states it lets in.
    pub filter: Option<Open>,
}

/// Why a resource cannot be watched with these options. `Display` says what Graph's sentence leaves unsaid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskedRefusal {
    #[error("a subscription to {0} does not take the option '{1}'")]
    Option(&'static str, String),
    #[error("the option '{0}' is given twice")]
    Twice(&'static str),
    #[error("$filter: {0}")]
    Filter(Problems),
    #[error("$filter can only be {FILTER_BYTES_MAX} bytes long and look at {FILTER_PLACES_MAX} properties")]
    FilterTooLarge,
    #[error(
        "presences are watched by communications/presences/{{id}}, or of 1 to {PRESENCES_MAX} users by \
         $filter=id in ('{{id}}','{{id}}')"
    )]
    Ids,
    #[error("meetings are watched by $filter=JoinWebUrl eq '{{joinWebUrl}}'")]
    JoinWebUrl,
    #[error("notificationQueryOptions must be $filter=…, such as $filter = isFetchable eq true")]
    QueryOptions,
}

impl AskedRefusal {
    /// The sentence in which Graph says it.
    pub fn graph_text(&self) -> &'static str {
        match self {
            Self::Option(..) => "The value of parameter 'Resource' is not supported.",
            _ => "The value of parameter 'Resource' is invalid.",
        }
    }
}

impl Asked {
    /// `user` is who [`Place::user`] is.
    pub fn read(place: &Place, user: Option<UserId>) -> Result<Self, AskedRefusal> {
        let entry = place.kind.entry();
        let mut filter = None;
        for option in &place.options {
            let lower = option.name.to_ascii_lowercase();
            match lower.trim_start_matches('$') {
                "filter" if entry.filter != FilterRule::Forbidden => {
                    if filter.replace(option.value.as_str()).is_some() {
                        return Err(AskedRefusal::Twice("$filter"));
                    }
                }
                // The payment model of Teams' messages; here nobody pays.
                "model" if place.kind == ResourceKind::ChatMessage => {}
                _ => return Err(AskedRefusal::Option(entry.name, option.name.chars().take(64).collect())),
            }
        }
        let text = place.text(user);
        let one = |text: String, filter| Ok(Self { places: vec![text], filter });
        let is_collection = !place.row.pattern.ends_with('}');
        match (entry.filter, filter) {
            (FilterRule::IdIn, Some(filter)) if is_collection => {
                let places = ids(filter).ok_or(AskedRefusal::Ids)?;
                Ok(Self { places: places.iter().map(|id| format!("{text}/{id}")).collect(), filter: None })
            }
            (FilterRule::IdIn, None) if is_collection => Err(AskedRefusal::Ids),
            (FilterRule::IdIn, Some(_)) => Err(AskedRefusal::Ids),
            (FilterRule::JoinWebUrl, filter) => {
                let url = filter.and_then(join_web_url).ok_or(AskedRefusal::JoinWebUrl)?;
                one(meeting(&url), None)
            }
            (_, filter) => one(text, filter.map(Open::read).transpose()?),
        }
    }
}

/// The place where a meeting with this address is heard of.
pub(super) fn meeting(url: &str) -> String {
    format!("communications/onlineMeetings?{MEETING_URL}={url}")
}

/// The ids of `id in ('…', '…')`: GUIDs, with or without quotes, sorted, each once.
fn ids(filter: &str) -> Option<Vec<Uuid>> {
    let rest = after_word(filter.trim(), "id")?;
    let list = after_word(rest, "in")?.strip_prefix('(')?.strip_suffix(')')?;
    let mut found = Vec::new();
    for id in list.split(',') {
        let id = id.trim();
        let bare = id.strip_prefix('\'').and_then(|id| id.strip_suffix('\'')).unwrap_or(id);
        found.push(Uuid::try_parse(bare).ok().filter(|_| bare.len() == 36)?);
        if found.len() > PRESENCES_MAX {
            return None;
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

fn after_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let rest = text.get(word.len()..).filter(|_| text[..word.len()].eq_ignore_ascii_case(word))?;
    rest.starts_with(|next: char| next.is_whitespace() || next == '(').then(|| rest.trim_start())
}

/// The address of `JoinWebUrl eq '…'`.
fn join_web_url(filter: &str) -> Option<String> {
    let rest = after_word(filter.trim(), MEETING_URL)?;
    let quoted = after_word(rest, "eq")?.strip_prefix('\'')?.strip_suffix('\'')?;
    let plain = quoted.replace("''", "\u{0}");
    (!plain.is_empty() && plain.len() <= MEETING_URL_BYTES_MAX && !plain.contains('\''))
        .then(|| plain.replace('\u{0}', "'"))
}

/// A filter on states that have no schema. A copy is cheap; two are equal if they say the same.
#[derive(Clone, Debug)]
pub struct Open(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    /// As it is printed.
    text: String,
    filter: Filter,
}

impl Open {
    pub fn read(text: &str) -> Result<Self, AskedRefusal> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(AskedRefusal::FilterTooLarge);
        }
        let tree = parse::filter(text).map_err(AskedRefusal::Filter)?;
        let filter = Filter::check(&tree, &Anything).map_err(AskedRefusal::Filter)?;
        if filter.places() > FILTER_PLACES_MAX {
            return Err(AskedRefusal::FilterTooLarge);
        }
        Ok(Self(Arc::new(Checked { text: tree.to_string(), filter })))
    }

    /// Reads `notificationQueryOptions`.
    pub fn read_query_options(text: &str) -> Result<Self, AskedRefusal> {
        let (name, filter) = text.split_once('=').ok_or(AskedRefusal::QueryOptions)?;
        if !name.trim().eq_ignore_ascii_case("$filter") {
            return Err(AskedRefusal::QueryOptions);
        }
        Self::read(filter.trim())
    }

    /// Whether there is such a state and the filter lets it in.
    pub fn holds(&self, state: Option<&Properties>) -> bool {
        state.is_some_and(|state| self.0.filter.matches(State::Whole(state)))
    }

    /// The same for all that say the same in other spellings of blanks and operators.
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

/// A schema that has every property, of no known type.
#[derive(Clone, Copy)]
struct Anything;

impl odata::Schema for Anything {
    fn name(&self) -> Cow<'static, str> {
        "Edm.Untyped".into()
    }

    fn property(&self, name: &str) -> Option<Property<Self>> {
        Some(Property { name: Cow::Owned(name.to_owned()), shape: Shape::Open(Anything), is_collection: false })
    }
}

/// A state, or something that it holds.
#[derive(Clone)]
enum State<'a> {
    Whole(&'a Properties),
    Part(&'a Value),
}

impl<'a> odata::Value<'a> for State<'a> {
    fn member(&self, name: &str) -> Option<Self> {
        let members = match self {
            State::Whole(members) => members,
            State::Part(value) => value.as_object()?,
        };
        members.get(name).or_else(|| in_any_case(members, name)).map(State::Part)
    }

    fn elements(&self) -> impl Iterator<Item = Self> {
        let members = match self {
            State::Part(Value::Array(members)) => members.as_slice(),
            _ => &[],
        };
        members.iter().map(State::Part)
    }

    fn scalar(&self) -> Scalar<'a> {
        match self {
            State::Whole(_) => Scalar::Compound,
            State::Part(value) => crate::query::scalar(value),
        }
    }
}

fn in_any_case<'a>(members: &'a Properties, name: &str) -> Option<&'a Value> {
    members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The address by which a meeting's state names it.
pub(super) fn meeting_url(state: &Properties) -> Option<&str> {
    state.get(MEETING_URL).or_else(|| in_any_case(state, MEETING_URL))?.as_str()
}
