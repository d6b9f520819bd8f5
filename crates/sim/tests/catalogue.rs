//! The catalogue of faults says nothing that is not so.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use tidings_sim::{Fault, Place, Strikes, run_many};

const SEEDS: u64 = 1_000;

#[test]
fn every_fault_of_the_catalogue_strikes() {
    let strikes = Mutex::new(Strikes::default());
    let report = run_many(0, SEEDS, 2, None, &|summary| {
        strikes.lock().expect("nobody panics").add(&summary.strikes);
        ControlFlow::Continue(())
    });
    assert!(report.is_none(), "{}", report.expect("just seen"));
    let strikes = strikes.into_inner().expect("nobody panics");
    println!("{strikes}");
    let never: Vec<&str> =
        Fault::ALL.iter().filter(|fault| strikes.of(**fault) == 0).map(|fault| fault.name()).collect();
    assert!(never.is_empty(), "in {SEEDS} worlds there was never: {}", never.join("; "));
}

/// What a fault of the network looks like to the node is shown by a real call to a real receiver.
#[test]
fn each_fault_of_the_network_is_shown_by_a_test_of_the_outbound_calls() {
    let outbound = text_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src/outbound"));
    for fault in Fault::ALL {
        assert_eq!(fault.shown_by().is_some(), fault.place() == Place::Network, "{}", fault.name());
        let there = fault.shown_by().is_none_or(|test| outbound.contains(&format!("fn {test}()")));
        assert!(there, "{}: there is no test {:?}", fault.name(), fault.shown_by());
    }
}

fn text_below(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        text += &if path.is_dir() { text_below(&path) } else { std::fs::read_to_string(&path).expect("it is text") };
    }
    text
}
