//! The language as its users meet it: what trees print as, and what is said of texts that are wrong.

use proptest::prelude::*;
use tidings_odata::sample::{Fields, message};
use tidings_odata::tree::{Comparison, Expr, Function, Lambda, Literal, Name, Node, Path, Quantifier, Span};
use tidings_odata::{DEPTH_MAX, Filter, NODES_MAX, Order, TEXT_BYTES_MAX, folded, parse};

fn problems(filter: &str) -> Vec<String> {
    let problems = Filter::read(filter, &Fields::Message).unwrap_err();
    let each = problems.0.iter().map(|problem| {
        let help = problem.help().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}..{}: {}{help}", problem.span.start, problem.span.end, problem.kind)
    });
    each.collect()
}

#[test]
fn all_problems_of_a_text_are_told_with_help() {
    let mut seen = Vec::new();
    for filter in [
        "",
        "subject eq",
        "subject = 'x' and isRead == true or size > 3",
        "subject eq 'x' isRead eq true",
        "(subject eq 'x'",
        "subject eq 'x')",
        "subject eq 'open",
        "eq 'x' and and or",
        "substringof('x',subject) or now() eq 1",
        "contains(subject) and length(subject,1) eq 1",
        "receivedDateTime ge 2026-01-31T10:00:00 and size eq 3x",
        "subject eq #x",
        "subject like 'x' and not",
        "subjekt eq 'x' and from/mail eq 'y' and from/emailAddress/address/x eq 1",
        "size eq '3' and receivedDateTime ge '2026-01-31T10:00:00Z' and isRead gt true",
        "importance eq 'urgent' or start/dateTime ge 'noon'",
        "secret eq 1 or categories eq 'x' or subject/any(x:x eq 1)",
        "contains(size,'3') and year(subject) eq 1 and subject and not size",
        "toRecipients/any(r:categories/any(c:c eq 'x'))",
        "extras/any(e:e/values/any(e:e eq 'x'))",
        "subject in ('x',3)",
    ] {
        seen.push((filter, problems(filter)));
    }
    insta::assert_debug_snapshot!("problems", seen);
}

#[test]
fn limits_hold() {
    let deep = |levels: usize| format!("{}isRead{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Filter::read(&deep(DEPTH_MAX), &Fields::Message).is_ok());
    assert!(problems(&deep(DEPTH_MAX + 1))[0].contains("nested more than"));
    assert!(problems(&deep(4_000))[0].contains("nested more than"));
    assert!(problems(&"not ".repeat(1_500))[0].contains("nested more than"));
    let wide = |terms: usize| vec!["1"; terms].join(",");
    assert!(parse::filter(&format!("size in ({})", wide(NODES_MAX - 2))).is_ok());
    assert!(problems(&format!("size in ({})", wide(NODES_MAX)))[0].contains("more than"));
    assert!(problems(&" ".repeat(TEXT_BYTES_MAX + 1))[0].contains("longer than"));
    let order = vec!["a"; NODES_MAX + 1].join(",");
    assert!(parse::orderby(&order).is_err());
    assert!(parse::expand(&"a($expand=".repeat(100)).is_err());
}

#[test]
fn an_order_compares_by_its_keys() {
    use tidings_odata::sample::Datum;
    let order = |text: &str| Order::read(text, &Fields::Message).unwrap();
    let item =
        |subject: &str, size: i64| Datum::record([("subject", Datum::text(subject)), ("size", Datum::Integer(size))]);
    assert!(order("subject").compare(&item("a", 1), &item("B", 0)).is_lt());
    assert!(order("subject desc,size").compare(&item("a", 1), &item("A", 2)).is_lt());
    assert!(order("Size DESC").compare(&item("a", 1), &item("a", 2)).is_gt());
    assert!(order("day").compare(&item("a", 1), &message()).is_lt(), "null comes first");
    let keys = order("FROM/emailaddress/Address desc,size asc");
    let keys: Vec<_> = keys.keys().map(|(path, descending)| (path.join("/"), descending)).collect();
    assert_eq!(keys, [("from/emailAddress/address".to_owned(), true), ("size".to_owned(), false)]);
    for wrong in ["categories", "from", "secret", "nothing", "subject up", "", "subject,"] {
        assert!(Order::read(wrong, &Fields::Message).is_err(), "{wrong}");
    }
}

#[test]
fn folding_knows_more_than_ascii() {
    for (one, other, same) in [("Ä", "ä", true), ("ΣΑΣ", "σασ", true), ("a", "b", false), ("straße", "STRASSE", false)]
    {
        assert_eq!(folded(one) == folded(other), same, "{one} {other}");
    }
}

#[test]
fn options_print_in_their_shortest_form() {
    let expand = "attachments( $select = name , size ),extensions($top=1;;skip=2;$count=TRUE;$filter=id eq 'x'),a/b";
    let printed: Vec<String> = parse::expand(expand).unwrap().iter().map(ToString::to_string).collect();
    let expected =
        ["attachments($select=name,size)", "extensions($filter=id eq 'x';$top=1;$skip=2;$count=true)", "a/b"];
    assert_eq!(printed, expected);
    let selected: Vec<String> =
        parse::select(" subject ,,*, from/emailAddress").unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(selected, ["subject", "*", "from/emailAddress"]);
}

fn expr(node: Node) -> Expr {
    Expr { span: Span::default(), node }
}

fn name() -> impl Strategy<Value = Name> {
    prop::sample::select(vec!["subject", "x", "isRead", "any", "not", "eq", "null", "é", "desc"])
        .prop_map(|text| Name { span: Span::default(), text: text.to_owned() })
}

/// Paths whose first name is none that means something else there.
fn path() -> impl Strategy<Value = Path> {
    let first = prop::sample::select(vec!["subject", "x", "from", "any"])
        .prop_map(|text| Name { span: Span::default(), text: text.to_owned() });
    (first, prop::collection::vec(name(), 0..3)).prop_map(|(first, rest)| {
        let names = std::iter::once(first).chain(rest).collect();
        Path { names }
    })
}

fn literals() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Boolean),
        any::<i64>().prop_map(Literal::Integer),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Literal::Double),
        ".{0,8}".prop_map(Literal::Text),
        (-62_135_596_800_000_000i64..253_402_300_800_000_000).prop_map(Literal::Instant),
        (1i16..=9999, 1i8..=12, 1i8..=28)
            .prop_map(|(year, month, day)| Literal::Date(jiff::civil::date(year, month, day))),
        (0i8..24, 0i8..60, 0i8..60, 0i32..1_000_000).prop_map(|(hour, minute, second, micros)| Literal::Time(
            jiff::civil::time(hour, minute, second, micros * 1000)
        )),
        any::<u128>().prop_map(|guid| Literal::Guid(uuid::Uuid::from_u128(guid))),
        ".{0,8}".prop_map(|member| Literal::Member { type_name: "sample.importance".to_owned(), member }),
    ]
}

fn trees() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![literals().prop_map(Node::Literal), path().prop_map(Node::Path)];
    leaf.prop_map(expr).prop_recursive(4, 24, 3, |inner| {
        let two = || prop::collection::vec(inner.clone(), 2..4);
        let comparison = prop::sample::select(Comparison::ALL);
        let function = prop::sample::select(Function::ALL);
        let lambda = |(of, is_all, test): (Path, bool, Option<(Name, Expr)>)| {
            let quantifier = if is_all { Quantifier::All } else { Quantifier::Any };
            Node::Lambda(Box::new(Lambda { quantifier, of, test }))
        };
        let node = prop_oneof![
            inner.clone().prop_map(|one| Node::Not(Box::new(one))),
            two().prop_map(Node::And),
            two().prop_map(Node::Or),
            (comparison, inner.clone(), inner.clone()).prop_map(|(operator, left, right)| Node::Compare(
                operator,
                Box::new(left),
                Box::new(right)
            )),
            (inner.clone(), two()).prop_map(|(left, members)| Node::In(Box::new(left), members)),
            (function, prop::collection::vec(inner.clone(), 3)).prop_map(|(function, mut list)| {
                list.truncate(function.arity().0);
                Node::Call(function, list)
            }),
            (path(), any::<bool>(), prop::option::of((name(), inner.clone()))).prop_map(lambda),
        ];
        node.prop_map(expr)
    })
}

/// The tree without its places.
fn bare(mut tree: Expr) -> Expr {
    fn path(path: &mut Path) {
        path.names.iter_mut().for_each(|name| name.span = Span::default());
    }
    fn strip(tree: &mut Expr) {
        tree.span = Span::default();
        match &mut tree.node {
            Node::Literal(_) => {}
            Node::Path(found) => path(found),
            Node::Not(inner) => strip(inner),
            Node::And(list) | Node::Or(list) | Node::Call(_, list) => list.iter_mut().for_each(strip),
            Node::Compare(_, left, right) => {
                strip(left);
                strip(right);
            }
            Node::In(left, list) => {
                strip(left);
                list.iter_mut().for_each(strip);
            }
            Node::Lambda(lambda) => {
                path(&mut lambda.of);
                if let Some((variable, test)) = &mut lambda.test {
                    variable.span = Span::default();
                    strip(test);
                }
            }
        }
    }
    strip(&mut tree);
    tree
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(tree in trees()) {
        let printed = tree.to_string();
        let parsed = parse::filter(&printed);
        prop_assert!(parsed.is_ok(), "{printed}: {parsed:?}");
        prop_assert_eq!(bare(parsed.unwrap()), tree, "{}", printed);
    }
}
