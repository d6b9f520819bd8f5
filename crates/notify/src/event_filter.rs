//! Which events an event subscription wants: included types, how the subject begins and ends, and Event Grid's 19
//! operators on attributes and data. A filter is checked once, and then evaluated without errors.
//!
//! A value that an operator cannot read (there is none, it is `null`, of another type, or an array where arrays are not
//! looked into) is a missing one: `NumberNotIn`, `NumberNotInRange` and `StringNotIn` hold of it and no other operator
//! does, apart from `IsNullOrUndefined`, which holds of nothing and `null` alone.

use std::cell::OnceCell;

use protocol::cloud_event::{CloudEvent, Data, Extension, SPEC_VERSION};
use protocol::event_grid::{EventField, EventSubscriptionFilter, FIELD_CHARS_MAX};
use serde_json::Value;

mod check;
#[cfg(test)]
mod tests;

pub use check::{InvalidFilter, OPERATORS, Problem};

/// The most advanced filters of a subscription, and the most values of all of them together; a range is one.
pub const FILTERS_MAX: usize = 25;
pub const VALUES_MAX: usize = 25;
/// The most characters of a key or value.
pub const TEXT_CHARS_MAX: usize = FIELD_CHARS_MAX;
/// The most included types; ours.
pub const TYPES_MAX: usize = 100;

/// A filter that means something. Its numbers come from JSON, which has no NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFilter {
    /// In lower case; `None`: all.
    types: Option<Vec<String>>,
    subject_begins: String,
    subject_ends: String,
    is_subject_case_sensitive: bool,
    looks_into_arrays: bool,
    conditions: Vec<Condition>,
}

impl Eq for EventFilter {}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    key: EventField,
    test: Test,
}

/// What must hold of a value. Texts are in lower case.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// It is there, and not `null`.
    Exists(bool),
    Boolean(bool),
    Number(NumberTest, bool),
    Text(TextTest, Vec<String>, bool),
}

#[derive(Clone, Debug, PartialEq)]
enum NumberTest {
    In(Vec<f64>),
    /// Both ends belong to it.
    InRange(Vec<(f64, f64)>),
    Less(f64),
    LessOrEqual(f64),
    Greater(f64),
    GreaterOrEqual(f64),
}

impl NumberTest {
    fn holds(&self, number: f64) -> bool {
        match self {
            Self::In(values) => values.contains(&number),
            Self::InRange(ranges) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&number)),
            Self::Less(value) => number < *value,
            Self::LessOrEqual(value) => number <= *value,
            Self::Greater(value) => number > *value,
            Self::GreaterOrEqual(value) => number >= *value,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextTest {
    In,
    Contains,
    BeginsWith,
    EndsWith,
}

impl TextTest {
    fn holds(self, text: &str, values: &[String]) -> bool {
        let text = text.to_lowercase();
        values.iter().any(|value| match self {
            Self::In => text == *value,
            Self::Contains => text.contains(value),
            Self::BeginsWith => text.starts_with(value),
            Self::EndsWith => text.ends_with(value),
        })
    }
}

impl Test {
    /// Of a value that cannot be read.
    fn holds_of_nothing(&self) -> bool {
        match self {
            Self::Exists(should) => !should,
            Self::Number(NumberTest::In(_) | NumberTest::InRange(_), should) => !should,
            Self::Text(TextTest::In, _, should) => !should,
            Self::Boolean(_) | Self::Number(..) | Self::Text(..) => false,
        }
    }

    /// Whether it is as it should be; `None`: the value is not of the test's type.
    fn is_met_by(&self, value: &Scalar<'_>) -> Option<bool> {
        match (self, value) {
            (Self::Boolean(wanted), Scalar::Boolean(value)) => Some(value == wanted),
            (Self::Number(test, _), Scalar::Number(number)) => Some(test.holds(*number)),
            (Self::Text(test, values, _), Scalar::Text(text)) => Some(test.holds(text, values)),
            _ => None,
        }
    }

    /// Of one value or of an array's elements: one that is met suffices, or none may be.
    fn holds_of<'a>(&self, values: impl Iterator<Item = Scalar<'a>>) -> bool {
        let mut verdicts = values.filter_map(|value| self.is_met_by(&value)).peekable();
        if verdicts.peek().is_none() {
            return self.holds_of_nothing();
        }
        let is_met = verdicts.any(|is_met| is_met);
        match self {
            Self::Number(_, should) | Self::Text(_, _, should) => is_met == *should,
            Self::Exists(_) | Self::Boolean(_) => is_met,
        }
    }
}

/// An event as filters see it; its data is parsed when the first of them asks.
pub struct EventView<'a> {
    event: &'a CloudEvent,
    data: OnceCell<Option<Value>>,
}

/// What stands at a key.
enum Found<'a> {
    Nothing,
    One(Scalar<'a>),
    Array(&'a [Value]),
}

enum Scalar<'a> {
    Text(&'a str),
    Number(f64),
    Boolean(bool),
    /// An object, or what stands in an array and is no value.
    Other,
}

impl<'a> EventView<'a> {
    pub fn new(event: &'a CloudEvent) -> Self {
        Self { event, data: OnceCell::new() }
    }

    fn find(&self, key: &EventField) -> Found<'_> {
        let attributes = self.event.attributes();
        let text = |text: Option<&'a str>| text.map_or(Found::Nothing, |text| Found::One(Scalar::Text(text)));
        match key {
            EventField::Id => text(Some(&attributes.id)),
            EventField::Source => text(Some(&attributes.source)),
            EventField::Type => text(Some(&attributes.event_type)),
            EventField::SpecVersion => text(Some(SPEC_VERSION)),
            EventField::Subject => text(attributes.subject.as_deref()),
            EventField::Time => text(attributes.time.as_deref()),
            EventField::DataContentType => text(attributes.data_content_type.as_deref()),
            EventField::DataSchema => text(attributes.data_schema.as_deref()),
            EventField::Extension(name) => match attributes.extensions.get(name) {
                None => Found::Nothing,
                Some(Extension::Boolean(value)) => Found::One(Scalar::Boolean(*value)),
                Some(Extension::Integer(value)) => Found::One(Scalar::Number(f64::from(*value))),
                Some(Extension::Text(value)) => text(Some(value)),
            },
            EventField::Data(path) => self.find_in_data(path),
        }
    }

    fn find_in_data(&self, path: &[String]) -> Found<'_> {
        let data = self.data.get_or_init(|| match self.event.data()? {
            // What is JSON by its brackets can still have a text that is none; it has no keys.
            Data::Json(json) => serde_json::from_str(json.as_str()).ok(),
            Data::Text(text) => Some(Value::String(text.clone())),
            Data::Binary(_) => None,
        });
        let found = path.iter().try_fold(data.as_ref(), |value, name| Some(value?.as_object()?.get(name)));
        match found.flatten() {
            None | Some(Value::Null) => Found::Nothing,
            Some(Value::Array(elements)) => Found::Array(elements),
            Some(value) => Found::One(scalar(value)),
        }
    }
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::String(text) => Scalar::Text(text),
        Value::Number(number) => number.as_f64().map_or(Scalar::Other, Scalar::Number),
        Value::Bool(value) => Scalar::Boolean(*value),
        Value::Null | Value::Array(_) | Value::Object(_) => Scalar::Other,
    }
}

impl EventFilter {
    /// What is written, if it means something and is within the limits.
    pub fn check(written: &EventSubscriptionFilter) -> Result<Self, InvalidFilter> {
        check::check(written)
    }

    pub fn lets_in(&self, event: &EventView<'_>) -> bool {
        self.lets_in_type(&event.event.attributes().event_type)
            && self.lets_in_subject(event.event.attributes().subject.as_deref().unwrap_or_default())
            && self.conditions.iter().all(|condition| self.holds(condition, event))
    }

    fn lets_in_type(&self, event_type: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&event_type.to_lowercase()))
    }

    fn lets_in_subject(&self, subject: &str) -> bool {
        let (begins, ends) = (&self.subject_begins, &self.subject_ends);
        if self.is_subject_case_sensitive {
            subject.starts_with(begins) && subject.ends_with(ends)
        } else {
            let subject = subject.to_lowercase();
            subject.starts_with(&begins.to_lowercase()) && subject.ends_with(&ends.to_lowercase())
        }
    }

    fn holds(&self, condition: &Condition, event: &EventView<'_>) -> bool {
        let test = &condition.test;
        let found = event.find(&condition.key);
        if let Test::Exists(should) = test {
            return *should != matches!(found, Found::Nothing);
        }
        match found {
            Found::One(value) => test.holds_of(std::iter::once(value)),
            Found::Array(elements) if self.looks_into_arrays => test.holds_of(elements.iter().map(scalar)),
            Found::Array(_) | Found::Nothing => test.holds_of_nothing(),
        }
    }
}

/// Whatever is written as a filter gets a verdict, and then one on each event.
#[doc(hidden)]
pub fn fuzz_event_filter(filter: &[u8], event: &[u8]) {
    let Ok(written) = serde_json::from_slice::<EventSubscriptionFilter>(filter) else { return };
    match EventFilter::check(&written) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(filter) => {
            if let Ok(event) = CloudEvent::from_json(event) {
                let first = filter.lets_in(&EventView::new(&event));
                assert_eq!(filter.lets_in(&EventView::new(&event)), first);
            }
        }
    }
}
