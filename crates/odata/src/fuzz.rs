//! Harnesses that feed arbitrary bytes to the parsers, and assert what must always hold. They run in the
//! tests below and in `examples/mutate.rs`; a fuzzer can call the same functions.

use std::fmt::Display;

use crate::sample::{Fields, message};
use crate::{Filter, Order, PROBLEMS_MAX, ProblemKind, Problems, TEXT_BYTES_MAX, parse};

/// What is read prints as a text that reads and prints as the same, and that finds the same.
pub fn fuzz_filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let tree = match parse::filter(text) {
        Ok(tree) => tree,
        Err(problems) => return assert_sound(text, &problems),
    };
    let printed = tree.to_string();
    let again = (printed.len() <= TEXT_BYTES_MAX).then(|| parse::filter(&printed).expect("what is printed is read"));
    if let Some(again) = &again {
        assert_eq!(again.to_string(), printed, "{text}");
    }
    let checked = match Filter::check(&tree, &Fields::Message) {
        Ok(checked) => checked,
        Err(problems) => return assert_sound(text, &problems),
    };
    let item = message();
    let found = checked.matches(&item);
    // Every term must hold of what is found; to ask for them must at least not fail.
    assert!(checked.terms().count() <= checked.paths().len().max(1));
    if let Some(again) = again {
        let again = Filter::check(&again, &Fields::Message).expect("the same names");
        assert_eq!(again.matches(&item), found, "{text}");
    }
}

/// The same of `$orderby`, `$select` and `$expand`.
pub fn fuzz_options(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    assert_prints(text, parse::orderby);
    assert_prints(text, parse::select);
    assert_prints(text, parse::expand);
    if let Ok(order) = Order::read(text, &Fields::Message) {
        let item = message();
        assert!(order.compare(&item, &item).is_eq(), "{text}");
    }
}

fn assert_prints<T: Display>(text: &str, parse: impl Fn(&str) -> Result<Vec<T>, Problems>) {
    let print = |list: &[T]| list.iter().map(T::to_string).collect::<Vec<_>>().join(",");
    match parse(text) {
        Ok(list) => {
            let printed = print(&list);
            if printed.len() <= TEXT_BYTES_MAX {
                let again = parse(&printed).expect("what is printed is read");
                assert_eq!(print(&again), printed, "{text}");
            }
        }
        Err(problems) => assert_sound(text, &problems),
    }
}

fn assert_sound(text: &str, problems: &Problems) {
    assert!((1..=PROBLEMS_MAX).contains(&problems.0.len()), "{text}");
    for problem in &problems.0 {
        let (start, end) = (problem.span.start, problem.span.end);
        assert!(start <= end && end <= text.len(), "{text}: {problem:?}");
        assert!(problem.kind == ProblemKind::TooLong || text.get(start..end).is_some(), "{text}: {problem:?}");
        assert!(problem.kind.to_string().len() < 1_000, "{text}");
        let _ = problem.help();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::sample::FILTERS;

    const PIECES: [&str; 60] = [
        " ",
        " and ",
        " or ",
        "not ",
        " eq ",
        " ne ",
        " gt ",
        " in ",
        "(",
        ")",
        ",",
        "/",
        ":",
        ";",
        "=",
        "*",
        "'",
        "''",
        "'x'",
        "null",
        "true",
        "1",
        "-1.5e3",
        "2026-01-31",
        "2026-01-31T10:00:00Z",
        "2026-01-31T10:00",
        "10:30",
        "622eaaff-0683-4862-9de4-f2ec83c2bd98",
        "subject",
        "isRead",
        "size",
        "receivedDateTime",
        "id",
        "importance",
        "categories",
        "from",
        "emailAddress",
        "address",
        "toRecipients",
        "start",
        "dateTime",
        "extras",
        "values",
        "any(",
        "all(",
        "x:x",
        "x",
        "contains(",
        "substring(",
        "length(",
        "year(",
        "$filter",
        "$select",
        "$orderby",
        "$expand",
        "$top",
        " desc",
        "é",
        "sample.importance'high'",
        "secret",
    ];

    proptest! {
        #[test]
        fn filters_hold_their_promises(pieces in prop::collection::vec(select(&PIECES[..]), 0..24)) {
            fuzz_filter(pieces.concat().as_bytes());
        }

        #[test]
        fn options_hold_their_promises(pieces in prop::collection::vec(select(&PIECES[..]), 0..24)) {
            fuzz_options(pieces.concat().as_bytes());
        }

        #[test]
        fn arbitrary_bytes_hold_their_promises(data in prop::collection::vec(any::<u8>(), 0..64)) {
            fuzz_filter(&data);
            fuzz_options(&data);
        }

        #[test]
        fn parts_of_filters_hold_their_promises(
            one in select(&FILTERS[..]), other in select(&FILTERS[..]), cut in any::<(u8, u8)>(), word in select(&PIECES[..])
        ) {
            let part = |text: &'static str, at: u8| text.get(..usize::from(at) % text.len()).unwrap_or(text);
            let rest = |text: &'static str, at: u8| text.get(usize::from(at) % text.len()..).unwrap_or(text);
            fuzz_filter(format!("{}{word}{}", part(one, cut.0), rest(other, cut.1)).as_bytes());
        }
    }
}
