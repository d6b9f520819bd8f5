//! A slow, obvious evaluator over the tree as it was parsed, to compare the real one with.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime, Time};
use proptest::prelude::*;
use proptest::sample::select;
use tidings_odata::sample::{Datum, FILTERS, Fields, message};
use tidings_odata::tree::{Comparison, Expr, Function, Literal, Node, Path, Quantifier};
use tidings_odata::{Filter, parse};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
enum Val {
    Null,
    Present,
    Boolean(bool),
    Number(f64),
    /// With whether it compares to the letter.
    Text(String, bool),
    /// A text that may be compared as a time.
    Local(String),
    Moment(jiff::Timestamp),
    Day(Date),
    Clock(Time),
    Guid(Uuid),
}

/// Variables with what they stand for, the innermost last.
type Scope<'a> = Vec<(&'a str, &'a Datum)>;

fn lookup<'a>(path: &Path, scope: &Scope<'a>) -> (Option<&'a Datum>, Vec<String>) {
    let names: Vec<String> = path.names.iter().map(|name| name.text.clone()).collect();
    let variable = scope.iter().rev().find(|(variable, _)| *variable == names[0]);
    let (mut value, rest) = match variable {
        Some((_, value)) => (Some(*value), &names[1..]),
        None => (Some(scope[0].1), &names[..]),
    };
    for name in rest {
        value = match value {
            Some(Datum::Record(members)) => {
                members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            }
            _ => None,
        };
    }
    (value, names)
}

fn moment(text: &str) -> Option<jiff::Timestamp> {
    let midnight = || text.parse::<Date>().ok().map(|date| date.to_datetime(Time::midnight()));
    let local = || text.parse::<DateTime>().ok().or_else(midnight);
    let utc = |at: DateTime| at.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp());
    text.parse().ok().or_else(|| utc(local()?))
}

fn path(path: &Path, scope: &Scope<'_>) -> Val {
    let (value, names) = lookup(path, scope);
    let last = names.last().unwrap().to_ascii_lowercase();
    match value {
        None | Some(Datum::Null) => Val::Null,
        Some(Datum::List(_) | Datum::Record(_)) => Val::Present,
        Some(Datum::Boolean(value)) => Val::Boolean(*value),
        Some(Datum::Integer(value)) => Val::Number(*value as f64),
        Some(Datum::Double(value)) => Val::Number(*value),
        Some(Datum::Text(text)) => match last.as_str() {
            "receiveddatetime" => text.parse().map_or(Val::Null, Val::Moment),
            "day" => text.parse().map_or(Val::Null, Val::Day),
            "clock" => text.parse().map_or(Val::Null, Val::Clock),
            "guid" => text.parse().map_or(Val::Null, Val::Guid),
            "datetime" => Val::Local(text.clone()),
            "id" if names.len() == 1 => Val::Text(text.clone(), true),
            _ => Val::Text(text.clone(), false),
        },
    }
}

fn literal(literal: &Literal) -> Val {
    match literal {
        Literal::Null => Val::Null,
        Literal::Boolean(value) => Val::Boolean(*value),
        Literal::Integer(value) => Val::Number(*value as f64),
        Literal::Double(value) => Val::Number(*value),
        Literal::Text(text) | Literal::Member { member: text, .. } => Val::Text(text.clone(), false),
        Literal::Instant(micros) => Val::Moment(jiff::Timestamp::from_microsecond(*micros).unwrap()),
        Literal::Date(date) => Val::Day(*date),
        Literal::Time(time) => Val::Clock(*time),
        Literal::Guid(guid) => Val::Guid(*guid),
    }
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn as_moment(value: &Val) -> Option<jiff::Timestamp> {
    match value {
        Val::Moment(at) => Some(*at),
        Val::Day(date) => moment(&date.to_string()),
        Val::Local(text) | Val::Text(text, _) => moment(text),
        _ => None,
    }
}

fn order(left: &Val, right: &Val) -> Option<Ordering> {
    match (left, right) {
        (Val::Number(left), Val::Number(right)) => left.partial_cmp(right),
        (Val::Boolean(left), Val::Boolean(right)) => left.partial_cmp(right),
        (Val::Clock(left), Val::Clock(right)) => left.partial_cmp(right),
        (Val::Guid(left), Val::Guid(right)) => left.partial_cmp(right),
        (Val::Text(left, exact), Val::Text(right, also)) if *exact || *also => left.partial_cmp(right),
        (Val::Text(left, _), Val::Text(right, _)) => lower(left).partial_cmp(&lower(right)),
        _ => as_moment(left)?.partial_cmp(&as_moment(right)?),
    }
}

fn compare(operator: Comparison, left: &Val, right: &Val) -> bool {
    if *left == Val::Null || *right == Val::Null {
        let equal = left == right;
        return match operator {
            Comparison::Eq => equal,
            Comparison::Ne => !equal,
            _ => false,
        };
    }
    let order = order(left, right);
    match operator {
        Comparison::Eq => order == Some(Ordering::Equal),
        Comparison::Ne => order != Some(Ordering::Equal),
        Comparison::Gt => order == Some(Ordering::Greater),
        Comparison::Lt => order == Some(Ordering::Less),
        Comparison::Ge => order == Some(Ordering::Greater) || order == Some(Ordering::Equal),
        Comparison::Le => order == Some(Ordering::Less) || order == Some(Ordering::Equal),
    }
}

fn text(value: &Val) -> Option<String> {
    match value {
        Val::Text(text, _) | Val::Local(text) => Some(text.clone()),
        _ => None,
    }
}

fn call(function: Function, arguments: &[Val]) -> Option<Val> {
    let said = |text: String| Some(Val::Text(text, false));
    let number = |number: usize| Some(Val::Number(number as f64));
    let first = || text(&arguments[0]);
    let pair = || Some((lower(&first()?), lower(&text(&arguments[1])?)));
    let at = || match &arguments[0] {
        Val::Clock(time) => Some(Date::constant(1, 1, 1).to_datetime(*time)),
        other => as_moment(other).map(|at| jiff::tz::TimeZone::UTC.to_datetime(at)),
    };
    match function {
        Function::StartsWith => pair().map(|(text, part)| Val::Boolean(text.starts_with(&part))),
        Function::EndsWith => pair().map(|(text, part)| Val::Boolean(text.ends_with(&part))),
        Function::Contains => pair().map(|(text, part)| Val::Boolean(text.contains(&part))),
        Function::IndexOf => {
            let (text, part) = pair()?;
            let (text, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
            let found = (0..=text.len()).find(|at| text[*at..].starts_with(&part));
            Some(Val::Number(found.map_or(-1.0, |at| at as f64)))
        }
        Function::ToLower => said(first()?.to_lowercase()),
        Function::ToUpper => said(first()?.to_uppercase()),
        Function::Trim => said(first()?.trim().to_owned()),
        Function::Length => number(first()?.chars().count()),
        Function::Concat => said(first()? + &text(&arguments[1])?),
        Function::Substring => {
            let text: Vec<char> = first()?.chars().collect();
            let count = |value: &Val| match value {
                Val::Number(number) => Some(number.max(0.0) as usize),
                _ => None,
            };
            let start = count(&arguments[1])?.min(text.len());
            let length = arguments.get(2).map_or(Some(usize::MAX), count)?;
            said(text[start..].iter().take(length).collect())
        }
        Function::Year => Some(Val::Number(at()?.year().into())),
        Function::Month => Some(Val::Number(at()?.month().into())),
        Function::Day => Some(Val::Number(at()?.day().into())),
        Function::Hour => Some(Val::Number(at()?.hour().into())),
        Function::Minute => Some(Val::Number(at()?.minute().into())),
        Function::Second => Some(Val::Number(at()?.second().into())),
        Function::Date => Some(Val::Day(at()?.date())),
        Function::Time => Some(Val::Clock(at()?.time())),
    }
}

fn value(expr: &Expr, scope: &Scope<'_>) -> Val {
    let truth = |known: Option<bool>| known.map_or(Val::Null, Val::Boolean);
    match &expr.node {
        Node::Literal(found) => literal(found),
        Node::Path(found) => path(found, scope),
        Node::Call(function, arguments) => {
            let arguments: Vec<Val> = arguments.iter().map(|argument| value(argument, scope)).collect();
            call(*function, &arguments).unwrap_or(Val::Null)
        }
        Node::Compare(operator, left, right) => {
            Val::Boolean(compare(*operator, &value(left, scope), &value(right, scope)))
        }
        Node::In(left, members) => {
            let left = value(left, scope);
            Val::Boolean(members.iter().any(|member| compare(Comparison::Eq, &left, &value(member, scope))))
        }
        Node::Not(inner) => truth(holds(inner, scope).map(|holds| !holds)),
        Node::And(terms) => truth(conjunction(terms.iter().map(|term| holds(term, scope)).collect())),
        Node::Or(terms) => truth(disjunction(terms.iter().map(|term| holds(term, scope)).collect())),
        Node::Lambda(lambda) => {
            let members: &[Datum] = match lookup(&lambda.of, scope).0 {
                Some(Datum::List(members)) => members,
                _ => &[],
            };
            let Some((variable, test)) = &lambda.test else { return Val::Boolean(!members.is_empty()) };
            let each = |member| {
                let mut inner = scope.clone();
                inner.push((variable.text.as_str(), member));
                holds(test, &inner)
            };
            let tests: Vec<Option<bool>> = members.iter().map(each).collect();
            truth(if lambda.quantifier == Quantifier::All { conjunction(tests) } else { disjunction(tests) })
        }
    }
}

fn conjunction(tests: Vec<Option<bool>>) -> Option<bool> {
    if tests.contains(&Some(false)) {
        Some(false)
    } else if tests.contains(&None) {
        None
    } else {
        Some(true)
    }
}

fn disjunction(tests: Vec<Option<bool>>) -> Option<bool> {
    if tests.contains(&Some(true)) {
        Some(true)
    } else if tests.contains(&None) {
        None
    } else {
        Some(false)
    }
}

fn holds(expr: &Expr, scope: &Scope<'_>) -> Option<bool> {
    match value(expr, scope) {
        Val::Boolean(value) => Some(value),
        _ => None,
    }
}

fn reference(tree: &Expr, item: &Datum) -> bool {
    holds(tree, &vec![("", item)]) == Some(true)
}

fn texts() -> impl Strategy<Value = String> {
    let words =
        ["", "a", "B", "ab", "report", "Re: Report", "ÄÖ", "äö", "ΣΑΣ", "σας", "İ", "it's", "adele@contoso.test"];
    select(words.to_vec()).prop_map(str::to_owned)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn moments() -> impl Strategy<Value = &'static str> {
    select(vec![
        "2026-11-21T10:00:00Z",
        "2026-11-21T11:00:00+01:00",
        "2026-11-21T10:00:00.5Z",
        "2026-11-20T23:59:59Z",
        "1969-12-31T23:59:59Z",
        "2026-11-21T00:00:00Z",
    ])
}

/// A message with some of its properties.
fn items() -> impl Strategy<Value = Datum> {
    let optional = |value: BoxedStrategy<Datum>| prop::option::weighted(0.8, value);
    let words = || texts().prop_map(Datum::Text).boxed();
    let person = (texts(), texts()).prop_map(|(name, address)| Datum::recipient(&name, &address)).boxed();
    let list = |value: BoxedStrategy<Datum>| prop::collection::vec(value, 0..4).prop_map(Datum::List).boxed();
    let extra = (texts(), texts(), prop::collection::vec(texts(), 0..3)).prop_map(|(id, value, values)| {
        let values = Datum::List(values.into_iter().map(Datum::Text).collect());
        Datum::record([("id", Datum::Text(id)), ("value", Datum::Text(value)), ("values", values)])
    });
    let start = moments().prop_map(|at| Datum::record([("dateTime", Datum::text(&at[..19]))])).boxed();
    let properties = vec![
        ("id", optional(words())),
        ("subject", optional(words())),
        ("isRead", optional(any::<bool>().prop_map(Datum::Boolean).boxed())),
        ("size", optional((-2..20i64).prop_map(Datum::Integer).boxed())),
        ("score", optional(select(vec![-1.5, 0.0, 2.0, 7.5]).prop_map(Datum::Double).boxed())),
        ("receivedDateTime", optional(moments().prop_map(Datum::text).boxed())),
        ("day", optional(select(vec!["2026-11-21", "2026-11-20"]).prop_map(Datum::text).boxed())),
        ("clock", optional(select(vec!["10:00:00", "23:59:59"]).prop_map(Datum::text).boxed())),
        ("importance", optional(select(vec!["low", "normal", "high"]).prop_map(Datum::text).boxed())),
        ("categories", optional(list(words()))),
        ("from", optional(person.clone())),
        ("toRecipients", optional(list(person))),
        ("start", optional(start)),
        ("extras", optional(list(extra.boxed()))),
    ];
    let (names, values): (Vec<_>, Vec<_>) = properties.into_iter().unzip();
    values.prop_map(move |values| {
        let members = names.iter().zip(values);
        Datum::Record(members.filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect())
    })
}

/// Texts of filters in which every operand fits.
fn filters() -> BoxedStrategy<String> {
    let joined = |one: BoxedStrategy<String>, other: BoxedStrategy<String>, words: &'static [&'static str]| {
        (one, select(words), other).prop_map(|(one, word, other)| format!("{one} {word} {other}")).boxed()
    };
    const ORDERED: &[&str] = &["eq", "ne", "gt", "ge", "lt", "le"];
    let text = prop_oneof![
        3 => select(vec!["subject", "from/emailAddress/address", "from/emailAddress/name", "id"]).prop_map(str::to_owned),
        2 => texts().prop_map(|text| quoted(&text)),
        1 => Just("null".to_owned()),
    ];
    let text = text.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            (select(vec!["tolower", "toupper", "trim"]), inner.clone())
                .prop_map(|(name, text)| format!("{name}({text})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("concat({one},{other})")),
            (inner.clone(), -1..4i64).prop_map(|(text, at)| format!("substring({text},{at})")),
            (inner, 0..4i64, 0..3i64).prop_map(|(text, at, length)| format!("substring({text},{at},{length})")),
        ]
    });
    let text = text.boxed();
    let number = prop_oneof![
        select(vec!["size", "score", "3", "2.0", "-1", "null", "year(receivedDateTime)", "hour(clock)"])
            .prop_map(str::to_owned),
        text.clone().prop_map(|text| format!("length({text})")),
        (text.clone(), text.clone()).prop_map(|(one, other)| format!("indexof({one},{other})")),
        select(vec!["day(day)", "month(start/dateTime)", "second(receivedDateTime)"]).prop_map(str::to_owned),
    ]
    .boxed();
    let time = prop_oneof![
        moments().prop_map(str::to_owned),
        select(vec!["receivedDateTime", "start/dateTime", "day", "date(receivedDateTime)", "2026-11-21"])
            .prop_map(str::to_owned),
    ]
    .boxed();
    let local = (select(ORDERED), moments()).prop_map(|(word, at)| format!("start/dateTime {word} '{at}'")).boxed();
    let kind = select(vec![
        "importance eq 'High'",
        "importance ne 'low'",
        "importance in ('low','normal')",
        "importance eq null",
    ]);
    let atom = prop_oneof![
        joined(text.clone(), text.clone(), ORDERED),
        joined(number.clone(), number, ORDERED),
        joined(time.clone(), time, ORDERED),
        local,
        kind.prop_map(str::to_owned),
        select(vec!["isRead", "isRead eq true", "true", "from eq null", "time(receivedDateTime) ge clock"])
            .prop_map(str::to_owned),
        (select(vec!["startswith", "endswith", "contains"]), text.clone(), text.clone())
            .prop_map(|(name, one, other)| format!("{name}({one},{other})")),
        (text.clone(), text.clone(), text.clone()).prop_map(|(one, a, b)| format!("{one} in ({a},{b})")),
        (select(vec!["any", "all"]), text.clone())
            .prop_map(|(word, text)| format!("categories/{word}(c:c eq {text} or contains(c,'a'))")),
        (select(vec!["any", "all"]), text.clone())
            .prop_map(|(word, text)| format!("toRecipients/{word}(r:r/emailAddress/address ne {text} and isRead)")),
        (select(vec!["any", "all"]), text)
            .prop_map(|(word, text)| format!("extras/any(e:e/values/{word}(v:v eq {text} or e/value eq v))")),
        select(vec!["categories/any()", "extras/all(e:e/values/any())"]).prop_map(str::to_owned),
    ];
    atom.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| format!("not ({one})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one} and {other}")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one} or {other})")),
            (inner.clone(), inner).prop_map(|(one, other)| format!("({one}) eq ({other})")),
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_evaluator_agrees_with_the_slow_one(filter in filters(), item in items()) {
        let tree = parse::filter(&filter).unwrap_or_else(|problems| panic!("{filter}: {problems}"));
        let checked = Filter::check(&tree, &Fields::Message).unwrap_or_else(|problems| panic!("{filter}: {problems}"));
        prop_assert_eq!(checked.matches(&item), reference(&tree, &item), "{}", filter);
    }
}

#[test]
fn every_part_of_the_language_finds_the_sample() {
    for filter in FILTERS {
        let tree = parse::filter(filter).unwrap_or_else(|problems| panic!("{filter}: {problems}"));
        let checked = Filter::check(&tree, &Fields::Message).unwrap_or_else(|problems| panic!("{filter}: {problems}"));
        assert!(checked.matches(&message()), "{filter}");
        assert!(reference(&tree, &message()), "{filter}");
    }
}
