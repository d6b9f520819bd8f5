use serde_json::json;

use super::*;

/// An event of a message with these members, in which `data` may stand.
fn event(members: Value) -> CloudEvent {
    let mut whole = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "Microsoft.Graph.MessageCreated"});
    whole.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    CloudEvent::from_json(&serde_json::to_vec(&whole).unwrap()).unwrap()
}

fn check(filter: Value) -> Result<EventFilter, InvalidFilter> {
    EventFilter::check(&serde_json::from_value(filter).unwrap())
}

fn lets_in(filter: Value, event: &CloudEvent) -> bool {
    check(filter).unwrap().lets_in(&EventView::new(event))
}

/// One advanced filter, with arrays looked into.
fn advanced(operator: &str, key: &str, operand: Value) -> Value {
    let mut filter = json!({"operatorType": operator, "key": key});
    filter.as_object_mut().unwrap().extend(operand.as_object().unwrap().clone());
    json!({"enableAdvancedFilteringOnArrays": true, "advancedFilters": [filter]})
}

fn problem(operator: &str, key: &str, operand: Value) -> Problem {
    match check(advanced(operator, key, operand)) {
        Err(InvalidFilter::Filter { place: 0, problem }) => problem,
        other => panic!("{other:?}"),
    }
}

/// Each operator with an operand of its kind, which holds of the value beside it.
fn operators() -> [(&'static str, Value, Value); 19] {
    let values = |values: Value| json!({ "values": values });
    let value = |value: Value| json!({ "value": value });
    [
        ("NumberIn", values(json!([1, 2.5])), json!(2.5)),
        ("NumberNotIn", values(json!([1, 2.5])), json!(2)),
        ("NumberLessThan", value(json!(3)), json!(2)),
        ("NumberLessThanOrEquals", value(json!(3)), json!(3)),
        ("NumberGreaterThan", value(json!(3)), json!(4)),
        ("NumberGreaterThanOrEquals", value(json!(3)), json!(3)),
        ("NumberInRange", values(json!([[1, 2], [5, 6]])), json!(6)),
        ("NumberNotInRange", values(json!([[1, 2], [5, 6]])), json!(3)),
        ("BoolEquals", value(json!(true)), json!(true)),
        ("StringIn", values(json!(["a", "created"])), json!("Created")),
        ("StringNotIn", values(json!(["a", "b"])), json!("created")),
        ("StringContains", values(json!(["x", "REAT"])), json!("created")),
        ("StringNotContains", values(json!(["x", "y"])), json!("created")),
        ("StringBeginsWith", values(json!(["x", "Cre"])), json!("created")),
        ("StringNotBeginsWith", values(json!(["x", "ted"])), json!("created")),
        ("StringEndsWith", values(json!(["x", "TED"])), json!("created")),
        ("StringNotEndsWith", values(json!(["x", "cre"])), json!("created")),
        ("IsNullOrUndefined", json!({}), Value::Null),
        ("IsNotNull", json!({}), json!({})),
    ]
}

#[test]
fn each_of_the_nineteen_operators_holds_of_what_it_should() {
    for (operator, operand, value) in operators() {
        let event = event(json!({"data": {"k": value}}));
        assert!(lets_in(advanced(operator, "data.k", operand), &event), "{operator}");
    }
}

#[test]
fn of_a_missing_key_only_three_not_operators_and_is_null_hold() {
    let holding: Vec<&str> = operators()
        .into_iter()
        .filter(|(operator, operand, _)| {
            let missing = [
                event(json!({"data": {}})),
                event(json!({})),
                event(json!({"data": {"k": null}})),
                event(json!({"data": "k"})),
                event(json!({"data_base64": "AA=="})),
            ];
            let verdicts = missing.map(|event| lets_in(advanced(operator, "data.k", operand.clone()), &event));
            assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{operator}");
            verdicts[0]
        })
        .map(|(operator, ..)| operator)
        .collect();
    assert_eq!(holding, ["NumberNotIn", "NumberNotInRange", "StringNotIn", "IsNullOrUndefined"]);
}

#[test]
fn a_value_of_another_type_is_a_missing_one_but_not_null() {
    let event = event(json!({"data": {"k": {"a": 1}}}));
    let holding: Vec<&str> = operators()
        .into_iter()
        .filter(|(operator, operand, _)| lets_in(advanced(operator, "data.k", operand.clone()), &event))
        .map(|(operator, ..)| operator)
        .collect();
    assert_eq!(holding, ["NumberNotIn", "NumberNotInRange", "StringNotIn", "IsNotNull"]);
}

#[test]
fn of_an_array_one_element_suffices_and_for_not_none_may() {
    let event = event(json!({"data": {"k": ["a", 7, null, ["b"], {"c": 1}, true]}}));
    let on = |operator: &str, operand: Value| lets_in(advanced(operator, "data.k", operand), &event);
    assert!(on("StringIn", json!({"values": ["x", "A"]})));
    assert!(!on("StringIn", json!({"values": ["b"]})), "arrays in arrays are not looked into");
    assert!(!on("StringNotIn", json!({"values": ["x", "a"]})));
    assert!(on("StringNotIn", json!({"values": ["x"]})));
    assert!(on("NumberGreaterThan", json!({"value": 6})), "elements of other types are passed over");
    assert!(on("BoolEquals", json!({"value": true})));
    assert!(!on("BoolEquals", json!({"value": false})));
    assert!(!lets_in(advanced("IsNotNull", "data.k.c", json!({})), &event), "nor are objects in arrays");
}

#[test]
fn arrays_are_looked_into_only_where_that_was_asked_for() {
    let event = event(json!({"data": {"k": ["a"]}}));
    let filter = |operator: &str| json!({"operatorType": operator, "key": "data.k", "values": ["a"]});
    assert!(!lets_in(json!({"advancedFilters": [filter("StringIn")]}), &event));
    assert!(lets_in(json!({"advancedFilters": [filter("StringNotIn")]}), &event), "as of a missing key");
    assert!(lets_in(json!({"advancedFilters": [{"operatorType": "IsNotNull", "key": "data.k"}]}), &event));
}

#[test]
fn filters_must_all_hold() {
    let event = event(json!({"data": {"a": 1, "b": "x"}}));
    let filter = |b: &str| {
        json!({"advancedFilters": [
            {"operatorType": "NumberIn", "key": "data.a", "values": [1]},
            {"operatorType": "StringIn", "key": "data.b", "values": [b]},
        ]})
    };
    assert!(lets_in(filter("x"), &event));
    assert!(!lets_in(filter("y"), &event));
    assert!(lets_in(json!({}), &event), "no filter lets everything in");
}

#[test]
fn types_and_subjects_are_compared_in_any_case_unless_the_subjects_is_asked_for() {
    let event = event(json!({"subject": "Messages/AAMk="}));
    for (filter, expected) in [
        (json!({"includedEventTypes": ["microsoft.graph.messagecreated"]}), true),
        (json!({"includedEventTypes": ["Microsoft.Graph.MessageDeleted"]}), false),
        (json!({"includedEventTypes": []}), true),
        (json!({"includedEventTypes": ["All"]}), true),
        (json!({"subjectBeginsWith": "messages/", "subjectEndsWith": "MK="}), true),
        (json!({"subjectBeginsWith": "Message"}), true),
        (json!({"subjectBeginsWith": "Events/"}), false),
        (json!({"subjectEndsWith": "AAMk"}), false),
        (json!({"subjectBeginsWith": "messages/", "isSubjectCaseSensitive": true}), false),
        (json!({"subjectBeginsWith": "Messages/", "isSubjectCaseSensitive": true}), true),
    ] {
        assert_eq!(lets_in(filter.clone(), &event), expected, "{filter}");
    }
}

#[test]
fn an_event_without_a_subject_has_an_empty_one() {
    assert!(lets_in(json!({"subjectBeginsWith": ""}), &event(json!({}))));
    assert!(!lets_in(json!({"subjectBeginsWith": "a"}), &event(json!({}))));
}

#[test]
fn keys_are_attributes_by_either_name_extensions_and_members_of_data() {
    let event = event(json!({
        "subject": "s", "time": "2024-05-22T22:24:31Z", "datacontenttype": "application/json",
        "dataschema": "https://h/1", "tries": 3, "last": true, "reason": "Full",
        "data": {"a": {"b": "v", "B": "w"}, "@odata.type": "#x", "c\\d": "y"},
    }));
    for (key, value) in [
        ("id", "1"),
        ("eventid", "1"),
        ("EventID", "1"),
        ("source", "/s"),
        ("type", "Microsoft.Graph.MessageCreated"),
        ("eventtype", "Microsoft.Graph.MessageCreated"),
        ("Subject", "s"),
        ("specversion", "1.0"),
        ("time", "2024-05-22T22:24:31Z"),
        ("eventTime", "2024-05-22T22:24:31Z"),
        ("dataschema", "https://h/1"),
        ("eventtypeversion", "https://h/1"),
        ("datacontenttype", "application/json"),
        ("reason", "Full"),
        ("data.a.b", "v"),
        ("Data.a.B", "w"),
        (r"data.@odata\.type", "#x"),
        (r"data.c\\d", "y"),
    ] {
        assert!(lets_in(advanced("StringIn", key, json!({"values": [value]})), &event), "{key}");
    }
    assert!(lets_in(advanced("NumberIn", "tries", json!({"values": [3]})), &event));
    assert!(lets_in(advanced("BoolEquals", "last", json!({"value": true})), &event));
    for missing in ["other", "data.a.c", "data.a.b.c", "data.@odata.type", "data.A.b"] {
        assert!(lets_in(advanced("IsNullOrUndefined", missing, json!({})), &event), "{missing}");
    }
}

#[test]
fn data_that_is_one_text_is_a_value_itself() {
    let event = event(json!({"datacontenttype": "text/plain", "data": "hello"}));
    assert!(lets_in(advanced("StringContains", "data", json!({"values": ["ell"]})), &event));
}

#[test]
fn a_key_that_can_be_nothing_is_refused() {
    for bad in ["", ".", "data.", "data..a", "subject.a", "com-example", "a b", "abcdefghij01234567890"] {
        assert_eq!(problem("IsNotNull", bad, json!({})), Problem::Key, "{bad}");
    }
    for bad in [r"data.\a", "data.a\\"] {
        assert_eq!(problem("IsNotNull", bad, json!({})), Problem::Escape, "{bad}");
    }
    assert_eq!(problem("IsNotNull", &format!("data.{}", "a".repeat(508)), json!({})), Problem::KeyTooLong);
}

#[test]
fn operands_are_what_the_operator_takes() {
    for (operator, operand, expected) in [
        ("StringLike", json!({"values": ["a"]}), Problem::Operator("StringLike".to_owned())),
        ("stringIn", json!({"values": ["a"]}), Problem::Operator("stringIn".to_owned())),
        ("StringIn", json!({}), Problem::NoValues),
        ("StringIn", json!({"values": []}), Problem::NoValues),
        ("StringIn", json!({"value": "a"}), Problem::NotTaken("value")),
        ("StringIn", json!({"values": [1]}), Problem::Type("text")),
        ("StringIn", json!({"values": [null]}), Problem::Type("text")),
        ("StringIn", json!({"values": ["a".repeat(513)]}), Problem::ValueTooLong),
        ("NumberIn", json!({"values": ["1"]}), Problem::Type("a number")),
        ("NumberLessThan", json!({}), Problem::NoValue),
        ("NumberLessThan", json!({"values": [1]}), Problem::NotTaken("values")),
        ("NumberInRange", json!({"values": [1, 2]}), Problem::Type("a range [low, high]")),
        ("NumberInRange", json!({"values": [[1, 2, 3]]}), Problem::Type("a range [low, high]")),
        ("NumberInRange", json!({"values": [[2, 1]]}), Problem::Range),
        ("BoolEquals", json!({"value": "true"}), Problem::Type("a boolean")),
        ("IsNotNull", json!({"value": true}), Problem::NotTaken("value")),
        ("IsNullOrUndefined", json!({"values": []}), Problem::NotTaken("values")),
    ] {
        assert_eq!(problem(operator, "data.k", operand.clone()), expected, "{operator} {operand}");
    }
}

#[test]
fn a_subscription_has_so_many_filters_and_values_and_no_more() {
    let filters = |count: usize, values: usize| {
        let filter = json!({"operatorType": "NumberIn", "key": "data.k", "values": vec![1; values]});
        check(json!({"advancedFilters": vec![filter; count]})).map(|_| ())
    };
    assert_eq!(filters(FILTERS_MAX, 1), Ok(()));
    assert_eq!(filters(FILTERS_MAX + 1, 0), Err(InvalidFilter::TooManyFilters));
    assert_eq!(filters(1, VALUES_MAX), Ok(()));
    assert_eq!(filters(1, VALUES_MAX + 1), Err(InvalidFilter::TooManyValues));
    assert_eq!(filters(2, 13), Err(InvalidFilter::TooManyValues));
    let ranges = json!({"operatorType": "NumberInRange", "key": "data.k", "values": vec![[1, 2]; VALUES_MAX]});
    assert!(check(json!({"advancedFilters": [ranges]})).is_ok(), "a range is one value");
    let types = |count: usize| check(json!({"includedEventTypes": vec!["t"; count]})).map(|_| ());
    assert_eq!(types(TYPES_MAX), Ok(()));
    assert_eq!(types(TYPES_MAX + 1), Err(InvalidFilter::TooManyTypes));
    for name in ["subjectBeginsWith", "subjectEndsWith"] {
        assert_eq!(check(json!({ name: "é".repeat(TEXT_CHARS_MAX) })).map(|_| ()), Ok(()));
        assert_eq!(check(json!({ name: "é".repeat(TEXT_CHARS_MAX + 1) })), Err(InvalidFilter::TooLong(name)));
    }
}

#[test]
fn data_with_a_text_that_is_none_has_no_keys() {
    let event =
        CloudEvent::from_json(br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"k":"\ud800"}}"#)
            .unwrap();
    assert!(lets_in(advanced("IsNullOrUndefined", "data.k", json!({})), &event));
}

#[test]
fn refusals_of_filters_say_what_to_change() {
    let errors = [
        InvalidFilter::TooManyTypes,
        InvalidFilter::TooLong("subjectBeginsWith"),
        InvalidFilter::TooManyFilters,
        InvalidFilter::TooManyValues,
    ];
    let problems = [
        Problem::Operator("StringLike".to_owned()),
        Problem::Key,
        Problem::Escape,
        Problem::KeyTooLong,
        Problem::NoValue,
        Problem::NoValues,
        Problem::NotTaken("value"),
        Problem::Type("a number"),
        Problem::ValueTooLong,
        Problem::Range,
    ];
    let of_filters = problems.map(|problem| InvalidFilter::Filter { place: 3, problem });
    let texts: Vec<String> = errors.iter().chain(&of_filters).map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    includedEventTypes has more than 100 types; leave it out to have all, or use an advanced filter
    'subjectBeginsWith' is longer than 512 characters; shorten it
    there are more than 25 advanced filters; leave some out, or put values into one filter
    the advanced filters have more than 25 values together; leave some out
    advancedFilters[3]: there is no operator "StringLike"; use one of NumberIn, NumberNotIn, NumberLessThan, NumberLessThanOrEquals, NumberGreaterThan, NumberGreaterThanOrEquals, NumberInRange, NumberNotInRange, BoolEquals, StringIn, StringNotIn, StringContains, StringNotContains, StringBeginsWith, StringNotBeginsWith, StringEndsWith, StringNotEndsWith, IsNullOrUndefined, IsNotNull
    advancedFilters[3]: the key names neither an attribute nor data; write subject, eventtype, an extension's name or data.a.b
    advancedFilters[3]: the key has a backslash before something else than a dot or a backslash; write \. or \\
    advancedFilters[3]: the key is longer than 512 characters; shorten it
    advancedFilters[3]: this operator takes 'value'; write one
    advancedFilters[3]: this operator takes 'values'; write at least one
    advancedFilters[3]: this operator does not take 'value'; leave it out
    advancedFilters[3]: a value is not a number, which this operator compares with; write one
    advancedFilters[3]: a value is longer than 512 characters; shorten it
    advancedFilters[3]: a range begins above its end; write [low, high]
    "#);
}
