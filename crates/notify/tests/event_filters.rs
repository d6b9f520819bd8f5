//! What filters of event subscriptions let in, compared with a slow reading of the rules: each operator as Event Grid's
//! page on filters writes it out, on the event as plain JSON.

use proptest::prelude::*;
use proptest::sample::select;
use protocol::cloud_event::CloudEvent;
use protocol::event_grid::{AdvancedFilter, EventSubscriptionFilter};
use serde_json::{Value, json};
use tidings_notify::event_filter::{EventFilter, EventView, fuzz_event_filter};

/// What stands at the key; `None`: nothing, or `null`.
fn found(event: &Value, key: &str) -> Option<Value> {
    let path = match key {
        "eventid" => "id",
        "eventtype" => "type",
        "Subject" => "subject",
        other => other,
    };
    let mut value = event.clone();
    for name in path.split('.') {
        // An array has no names.
        value = value.as_object()?.get(name)?.clone();
    }
    Some(value).filter(|value| !value.is_null())
}

/// The elements of an array if those count, or the value itself, as far as `read` can read them.
fn readable<T>(value: Option<&Value>, arrays: bool, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    match value {
        Some(Value::Array(elements)) if arrays => elements.iter().filter_map(read).collect(),
        Some(value) => read(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn holds(filter: &AdvancedFilter, event: &Value, arrays: bool) -> bool {
    let value = found(event, &filter.key);
    let operand = filter.value.clone().unwrap_or_default();
    let operands = filter.values.clone().unwrap_or_default();
    let numbers = readable(value.as_ref(), arrays, Value::as_f64);
    let booleans = readable(value.as_ref(), arrays, Value::as_bool);
    let texts = readable(value.as_ref(), arrays, |value| value.as_str().map(str::to_lowercase));
    let number = |value: &Value| value.as_f64().unwrap();
    let wanted = |value: &Value| value.as_str().unwrap().to_lowercase();
    let in_range = |one: &f64| operands.iter().any(|range| number(&range[0]) <= *one && *one <= number(&range[1]));
    let is_among = |one: &f64| operands.iter().any(|value| number(value) == *one);
    let any_text =
        |test: fn(&str, &str) -> bool| texts.iter().any(|one| operands.iter().any(|value| test(one, &wanted(value))));
    let no_text = |test: fn(&str, &str) -> bool| !texts.is_empty() && !any_text(test);
    let equals = |one: &str, value: &str| one == value;
    let contains = |one: &str, value: &str| one.contains(value);
    let begins = |one: &str, value: &str| one.starts_with(value);
    let ends = |one: &str, value: &str| one.ends_with(value);
    match filter.operator_type.as_str() {
        "NumberIn" => numbers.iter().any(is_among),
        "NumberNotIn" => !numbers.iter().any(is_among),
        "NumberLessThan" => numbers.iter().any(|one| *one < number(&operand)),
        "NumberLessThanOrEquals" => numbers.iter().any(|one| *one <= number(&operand)),
        "NumberGreaterThan" => numbers.iter().any(|one| *one > number(&operand)),
        "NumberGreaterThanOrEquals" => numbers.iter().any(|one| *one >= number(&operand)),
        "NumberInRange" => numbers.iter().any(in_range),
        "NumberNotInRange" => !numbers.iter().any(in_range),
        "BoolEquals" => booleans.contains(&operand.as_bool().unwrap()),
        "StringIn" => any_text(equals),
        "StringNotIn" => !any_text(equals),
        "StringContains" => any_text(contains),
        "StringNotContains" => no_text(contains),
        "StringBeginsWith" => any_text(begins),
        "StringNotBeginsWith" => no_text(begins),
        "StringEndsWith" => any_text(ends),
        "StringNotEndsWith" => no_text(ends),
        "IsNullOrUndefined" => value.is_none(),
        "IsNotNull" => value.is_some(),
        other => panic!("{other}"),
    }
}

fn lets_in(filter: &EventSubscriptionFilter, event: &Value) -> bool {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let is_sensitive = filter.is_subject_case_sensitive == Some(true);
    let as_compared = |text: &str| if is_sensitive { text.to_owned() } else { text.to_lowercase() };
    let subject = as_compared(&text("subject"));
    let begins = as_compared(filter.subject_begins_with.as_deref().unwrap_or_default());
    let ends = as_compared(filter.subject_ends_with.as_deref().unwrap_or_default());
    let types = filter.included_event_types.clone().unwrap_or_default();
    let is_type = types.is_empty() || types.iter().any(|one| one.eq_ignore_ascii_case(&text("type")));
    let arrays = filter.enable_advanced_filtering_on_arrays == Some(true);
    let advanced = filter.advanced_filters.clone().unwrap_or_default();
    is_type
        && subject.starts_with(&begins)
        && subject.ends_with(&ends)
        && advanced.iter().all(|one| holds(one, event, arrays))
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..4i64).prop_map(Value::from),
        Just(json!(1.5)),
        "[aAbB]{0,3}".prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let element = prop_oneof![5 => scalar(), 1 => Just(json!(["a"])), 1 => Just(json!({"a": 1}))];
    prop_oneof![
        3 => scalar(),
        2 => prop::collection::vec(element, 0..4).prop_map(Value::from),
        1 => scalar().prop_map(|inner| json!({"c": inner})),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    let subject = prop::option::of("[aAbB]{1,3}");
    let extension = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-2..4i32).prop_map(Value::from),
        "[aAbB]{0,3}".prop_map(Value::from),
    ];
    let data = prop_oneof![8 => (value(), value()).prop_map(|(a, b)| json!({"a": a, "b": b})), 1 => value()];
    (select(vec!["T.A", "T.B"]), subject, prop::option::of(extension), prop::option::of(data)).prop_map(
        |(kind, subject, extension, data)| {
            let mut event = json!({"specversion": "1.0", "id": "ab", "source": "/b", "type": kind});
            let more = [("subject", subject.map(Value::from)), ("ext", extension), ("data", data)];
            for (name, value) in more {
                event.as_object_mut().unwrap().extend(value.map(|value| (name.to_owned(), value)));
            }
            event
        },
    )
}

fn advanced() -> impl Strategy<Value = AdvancedFilter> {
    let keys = vec![
        "id",
        "eventid",
        "source",
        "type",
        "eventtype",
        "subject",
        "Subject",
        "ext",
        "data",
        "data.a",
        "data.b",
        "data.a.c",
        "data.none",
    ];
    let number = || (-2..4i64).prop_map(Value::from);
    let of_numbers = (select(vec!["NumberIn", "NumberNotIn"]), prop::collection::vec(number(), 1..4));
    let range = (-2..3i64, 0..3i64).prop_map(|(low, more)| json!([low, low + more]));
    let of_ranges = (select(vec!["NumberInRange", "NumberNotInRange"]), prop::collection::vec(range, 1..3));
    let comparisons =
        vec!["NumberLessThan", "NumberLessThanOrEquals", "NumberGreaterThan", "NumberGreaterThanOrEquals"];
    let of_texts = vec![
        "StringIn",
        "StringNotIn",
        "StringContains",
        "StringNotContains",
        "StringBeginsWith",
        "StringNotBeginsWith",
        "StringEndsWith",
        "StringNotEndsWith",
    ];
    let text = "[aAbB]{0,2}".prop_map(Value::from);
    let many = prop_oneof![of_numbers, of_ranges, (select(of_texts), prop::collection::vec(text, 1..3))];
    let one = prop_oneof![(select(comparisons), number()), (Just("BoolEquals"), any::<bool>().prop_map(Value::from)),];
    let operand = prop_oneof![
        5 => many.prop_map(|(operator, values)| (operator, None, Some(values))),
        3 => one.prop_map(|(operator, value)| (operator, Some(value), None)),
        1 => select(vec!["IsNullOrUndefined", "IsNotNull"]).prop_map(|operator| (operator, None, None)),
    ];
    (select(keys), operand).prop_map(|(key, (operator, value, values))| AdvancedFilter {
        operator_type: operator.to_owned(),
        key: key.to_owned(),
        value,
        values,
    })
}

fn filter() -> impl Strategy<Value = EventSubscriptionFilter> {
    let types = prop_oneof![3 => Just(None), 1 => Just(Some(vec![])), 1 => Just(Some(vec!["t.a".to_owned()]))];
    let text = || prop_oneof![3 => Just(None), 1 => "[aAbB]{0,2}".prop_map(Some)];
    let flags = (prop::option::of(any::<bool>()), prop::option::of(any::<bool>()));
    (types, text(), text(), flags, prop::option::of(prop::collection::vec(advanced(), 0..3))).prop_map(
        |(included_event_types, begins, ends, (is_sensitive, arrays), advanced_filters)| EventSubscriptionFilter {
            subject_begins_with: begins,
            subject_ends_with: ends,
            included_event_types,
            is_subject_case_sensitive: is_sensitive,
            enable_advanced_filtering_on_arrays: arrays,
            advanced_filters,
        },
    )
}

const FILTER: &str = r#"{"subjectBeginsWith":"Mes","includedEventTypes":["t"],"enableAdvancedFilteringOnArrays":true,
    "advancedFilters":[{"operatorType":"NumberInRange","key":"data.a\\.b","values":[[1,2]]},
    {"operatorType":"StringIn","key":"subject","values":["é"]},{"operatorType":"IsNotNull","key":"x"}]}"#;
const EVENT: &str =
    r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"Messages/1","x":1,"data":{"a.b":[1.5]}}"#;

fn mutated(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0..text.len(), any::<u8>()), 0..4).prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in edits {
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn filters_let_in_what_the_rules_written_out_do(filter in filter(), event in event()) {
        let read = CloudEvent::from_json(event.to_string().as_bytes()).unwrap();
        let checked = EventFilter::check(&filter).unwrap();
        prop_assert_eq!(checked.lets_in(&EventView::new(&read)), lets_in(&filter, &event), "{:?}", filter);
    }

    #[test]
    fn damaged_filters_are_refused_or_evaluated(filter in mutated(FILTER), event in mutated(EVENT)) {
        fuzz_event_filter(&filter, &event);
    }
}
