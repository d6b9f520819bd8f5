//! Each planted defect is found: a promise that nothing can break is not watched.

use tidings_sim::{Planted, run};

const SEEDS: u64 = 2_000;

/// The first seed whose world shows the defect, and the promise that it breaks.
fn found(planted: Planted) -> Option<(u64, &'static str)> {
    (0..SEEDS).find_map(|seed| run(seed, Some(planted), false).err().map(|report| (seed, report.violation.promise)))
}

#[test]
fn each_planted_fault_is_found_within_two_thousand_seeds() {
    let mut missed = Vec::new();
    for planted in Planted::ALL.iter().copied() {
        match found(planted) {
            Some((seed, promise)) => println!("{}: seed {seed} breaks {promise}", planted.name()),
            None => missed.push(planted.name()),
        }
    }
    assert!(missed.is_empty(), "not found: {}", missed.join(", "));
}
