//! From what is written to what it means, or to what must be changed.

use protocol::event_grid::{AdvancedFilter, EventField, EventSubscriptionFilter, InvalidField};
use serde_json::Value;

use super::{Condition, EventFilter, FILTERS_MAX, NumberTest, TEXT_CHARS_MAX, TYPES_MAX, Test, TextTest, VALUES_MAX};

/// Why a filter is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    #[error("includedEventTypes has more than {TYPES_MAX} types; leave it out to have all, or use an advanced filter")]
    TooManyTypes,
    #[error("'{0}' is longer than {TEXT_CHARS_MAX} characters; shorten it")]
    TooLong(&'static str),
    #[error("there are more than {FILTERS_MAX} advanced filters; leave some out, or put values into one filter")]
    TooManyFilters,
    #[error("the advanced filters have more than {VALUES_MAX} values together; leave some out")]
    TooManyValues,
    /// Of the advanced filter at this place, counted from 0.
    #[error("advancedFilters[{place}]: {problem}")]
    Filter { place: usize, problem: Problem },
}

impl InvalidFilter {
    /// An operator that is none, with those that there are.
    pub fn unknown(&self) -> Option<(&str, Vec<&str>)> {
        match self {
            Self::Filter { problem: Problem::Operator(name), .. } => Some((name, OPERATORS.to_vec())),
            _ => None,
        }
    }
}

/// The operators of advanced filters, by the names that `operatorType` has for them.
pub const OPERATORS: [&str; 19] = [
    "NumberIn",
    "NumberNotIn",
    "NumberLessThan",
    "NumberLessThanOrEquals",
    "NumberGreaterThan",
    "NumberGreaterThanOrEquals",
    "NumberInRange",
    "NumberNotInRange",
    "BoolEquals",
    "StringIn",
    "StringNotIn",
    "StringContains",
    "StringNotContains",
    "StringBeginsWith",
    "StringNotBeginsWith",
    "StringEndsWith",
    "StringNotEndsWith",
    "IsNullOrUndefined",
    "IsNotNull",
];

/// What is wrong with one advanced filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("there is no operator {0:?}; use one of {list}", list = OPERATORS.join(", "))]
    Operator(String),
    #[error("the key names neither an attribute nor data; write subject, eventtype, an extension's name or data.a.b")]
    Key,
    #[error("the key has a backslash before something else than a dot or a backslash; write \\. or \\\\")]
    Escape,
    #[error("the key is longer than {TEXT_CHARS_MAX} characters; shorten it")]
    KeyTooLong,
    #[error("this operator takes 'value'; write one")]
    NoValue,
    #[error("this operator takes 'values'; write at least one")]
    NoValues,
    #[error("this operator does not take '{0}'; leave it out")]
    NotTaken(&'static str),
    #[error("a value is not {0}, which this operator compares with; write one")]
    Type(&'static str),
    #[error("a value is longer than {TEXT_CHARS_MAX} characters; shorten it")]
    ValueTooLong,
    #[error("a range begins above its end; write [low, high]")]
    Range,
}

pub(super) fn check(written: &EventSubscriptionFilter) -> Result<EventFilter, InvalidFilter> {
    let types = written.included_event_types.as_deref().unwrap_or_default();
    if types.len() > TYPES_MAX {
        return Err(InvalidFilter::TooManyTypes);
    }
    let types = types.iter().map(|text| short("includedEventTypes", text).map(|text| text.to_lowercase()));
    let types = types.collect::<Result<Vec<String>, _>>()?;
    let filters = written.advanced_filters.as_deref().unwrap_or_default();
    if filters.len() > FILTERS_MAX {
        return Err(InvalidFilter::TooManyFilters);
    }
    let values = filters.iter().map(|filter| filter.values.as_ref().map_or(0, Vec::len));
    if values.sum::<usize>() + filters.iter().filter(|filter| filter.value.is_some()).count() > VALUES_MAX {
        return Err(InvalidFilter::TooManyValues);
    }
    let conditions = filters.iter().enumerate().map(|(place, filter)| {
        let refused = |problem| InvalidFilter::Filter { place, problem };
        condition(filter).map_err(refused)
    });
    Ok(EventFilter {
        types: Some(types).filter(|types| !types.is_empty() && types != &["all"]),
        subject_begins: short("subjectBeginsWith", written.subject_begins_with.as_deref().unwrap_or_default())?,
        subject_ends: short("subjectEndsWith", written.subject_ends_with.as_deref().unwrap_or_default())?,
        is_subject_case_sensitive: written.is_subject_case_sensitive.unwrap_or_default(),
        looks_into_arrays: written.enable_advanced_filtering_on_arrays.unwrap_or_default(),
        conditions: conditions.collect::<Result<_, _>>()?,
    })
}

fn short(name: &'static str, text: &str) -> Result<String, InvalidFilter> {
    if text.chars().count() > TEXT_CHARS_MAX { Err(InvalidFilter::TooLong(name)) } else { Ok(text.to_owned()) }
}

fn condition(filter: &AdvancedFilter) -> Result<Condition, Problem> {
    let test = test(filter)?;
    Ok(Condition { key: key(&filter.key)?, test })
}

fn key(text: &str) -> Result<EventField, Problem> {
    EventField::parse(text).map_err(|error| match error {
        InvalidField::Unknown => Problem::Key,
        InvalidField::Escape => Problem::Escape,
        InvalidField::TooLong => Problem::KeyTooLong,
    })
}

fn test(filter: &AdvancedFilter) -> Result<Test, Problem> {
    let compared = |test: fn(f64) -> NumberTest| Ok(Test::Number(test(number(one(filter)?)?), true));
    let among = |should| Ok(Test::Number(NumberTest::In(each(filter, number)?), should));
    let within = |should| Ok(Test::Number(NumberTest::InRange(each(filter, range)?), should));
    let text = |test, should| Ok(Test::Text(test, each(filter, lower_case)?, should));
    match filter.operator_type.as_str() {
        "NumberIn" => among(true),
        "NumberNotIn" => among(false),
        "NumberLessThan" => compared(NumberTest::Less),
        "NumberLessThanOrEquals" => compared(NumberTest::LessOrEqual),
        "NumberGreaterThan" => compared(NumberTest::Greater),
        "NumberGreaterThanOrEquals" => compared(NumberTest::GreaterOrEqual),
        "NumberInRange" => within(true),
        "NumberNotInRange" => within(false),
        "BoolEquals" => one(filter)?.as_bool().map(Test::Boolean).ok_or(Problem::Type("a boolean")),
        "StringIn" => text(TextTest::In, true),
        "StringNotIn" => text(TextTest::In, false),
        "StringContains" => text(TextTest::Contains, true),
        "StringNotContains" => text(TextTest::Contains, false),
        "StringBeginsWith" => text(TextTest::BeginsWith, true),
        "StringNotBeginsWith" => text(TextTest::BeginsWith, false),
        "StringEndsWith" => text(TextTest::EndsWith, true),
        "StringNotEndsWith" => text(TextTest::EndsWith, false),
        "IsNullOrUndefined" => exists(filter, false),
        "IsNotNull" => exists(filter, true),
        other => Err(Problem::Operator(other.chars().take(64).collect())),
    }
}

fn exists(filter: &AdvancedFilter, should: bool) -> Result<Test, Problem> {
    match (&filter.value, &filter.values) {
        (Some(_), _) => Err(Problem::NotTaken("value")),
        (None, Some(_)) => Err(Problem::NotTaken("values")),
        (None, None) => Ok(Test::Exists(should)),
    }
}

fn one(filter: &AdvancedFilter) -> Result<&Value, Problem> {
    match (&filter.value, &filter.values) {
        (_, Some(_)) => Err(Problem::NotTaken("values")),
        (value, None) => value.as_ref().ok_or(Problem::NoValue),
    }
}

fn each<T>(filter: &AdvancedFilter, read: impl Fn(&Value) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
    match (&filter.value, &filter.values) {
        (Some(_), _) => Err(Problem::NotTaken("value")),
        (None, Some(values)) if !values.is_empty() => values.iter().map(read).collect(),
        (None, _) => Err(Problem::NoValues),
    }
}

fn number(value: &Value) -> Result<f64, Problem> {
    value.as_f64().ok_or(Problem::Type("a number"))
}

fn range(value: &Value) -> Result<(f64, f64), Problem> {
    let [low, high] = value.as_array().map_or(&[][..], Vec::as_slice) else {
        return Err(Problem::Type("a range [low, high]"));
    };
    let (low, high) = (number(low)?, number(high)?);
    if low > high { Err(Problem::Range) } else { Ok((low, high)) }
}

fn lower_case(value: &Value) -> Result<String, Problem> {
    let text = value.as_str().ok_or(Problem::Type("text"))?;
    if text.chars().count() > TEXT_CHARS_MAX { Err(Problem::ValueTooLong) } else { Ok(text.to_lowercase()) }
}
