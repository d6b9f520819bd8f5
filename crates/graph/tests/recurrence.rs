//! Series expanded by us and by python-dateutil's rrule, which knows nothing of us. `./check` gives ten
//! thousand random ones (see `tests/recurrence/`); without it, a sample of them is compared.
#![allow(clippy::disallowed_methods)] // the other side's answers come in a file

use serde::Deserialize;
use tidings_graph::{Properties, Recurrence, Timestamp};

const SAMPLE: &str = include_str!("recurrence.sample.jsonl");
const SHOWN_MAX: usize = 40;

/// A series, a window, and the occurrences that overlap it: their days in the zone of the series, their
/// starts and ends.
#[derive(Deserialize)]
struct Series {
    event: Properties,
    window: (Timestamp, Timestamp),
    occurrences: Vec<(String, Timestamp, Timestamp)>,
}

#[test]
fn occurrences_are_those_of_an_independent_library() {
    let given = std::env::var("TIDINGS_RRULE_LINES").ok();
    let given = given.map(|path| std::fs::read_to_string(path).expect("the file that TIDINGS_RRULE_LINES names"));
    let mut compared = 0;
    for line in given.as_deref().unwrap_or(SAMPLE).lines() {
        let series: Series = serde_json::from_str(line).unwrap();
        let recurrence = Recurrence::of(&series.event).unwrap().unwrap();
        let (from, until) = series.window;
        let found = recurrence.between(from, until).take(SHOWN_MAX);
        let found: Vec<_> = found.map(|slot| (slot.date.to_string(), slot.start, slot.end)).collect();
        assert_eq!(found, series.occurrences, "{line}");
        compared += 1;
    }
    println!("{compared} series compared");
    assert!(compared >= 100);
}
