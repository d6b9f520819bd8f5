//! `tidings bench` in its smallest sizes: each measurement comes to figures.

use std::process::{Command, Output};

use serde_json::Value;

use crate::nats;

/// The figures of a run, by measurement, size and name.
fn figures(only: &str) -> Vec<(String, Option<u64>, String, f64)> {
    let out = bench(only, &[]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    figures_of(out.stdout)
}

fn bench(only: &str, more: &[&str]) -> Output {
    let sizes = ["--seconds", "1", "--backlog", "200", "--subscriptions", "100", "--lanes", "100", "--behind", "100"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(["bench", "--json", "--only", only]).args(sizes).args(more).output().unwrap()
}

fn figures_of(stdout: Vec<u8>) -> Vec<(String, Option<u64>, String, f64)> {
    let lines = String::from_utf8(stdout).unwrap();
    let figure = |line: &str| {
        let figure: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| figure[name].as_str().unwrap().to_owned();
        (text("measurement"), figure["size"].as_u64(), text("name"), figure["value"].as_f64().unwrap())
    };
    lines.lines().map(figure).collect()
}

fn value(figures: &[(String, Option<u64>, String, f64)], size: u64, name: &str) -> f64 {
    figures.iter().find(|figure| figure.1 == Some(size) && figure.2 == name).unwrap().3
}

#[test]
fn memory_of_lanes_is_measured_at_three_sizes() {
    let figures = figures("lanes");
    let sizes = [10, 10, 100].map(|size| value(&figures, size, "all in use, resident"));
    assert!(sizes.iter().all(|mebibytes| *mebibytes > 1.0), "{figures:?}");
}

#[test]
fn recovery_is_measured_until_the_last_delivery() {
    let figures = figures("recovery");
    for size in [1, 10, 100] {
        assert!(value(&figures, size, "until the last delivery") >= value(&figures, size, "until the first delivery"));
    }
}

#[test]
fn an_idle_server_is_watched() {
    let figures = figures("idle");
    assert!(value(&figures, 100, "wake-ups") > 0.0, "{figures:?}");
    assert!(value(&figures, 100, "CPU") < 100.0, "{figures:?}");
}

#[test]
fn latency_is_measured_while_an_endpoint_hangs() {
    let figures = figures("hanging");
    let [clean, hanging] = ["p99, none hangs", "p99, a tenth hangs"].map(|name| {
        let name = format!("request to received, {name}");
        figures.iter().find(|figure| figure.2 == name).unwrap().3
    });
    assert!(clean > 0.0 && hanging > 0.0, "{figures:?}");
}

#[test]
fn events_are_measured_on_each_way_and_bridged_where_a_nats_server_is() {
    let out = bench("events", &["--nats-server", nats::program().to_str().unwrap()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let figures = figures_of(out.stdout);
    for name in ["published", "pulled", "pushed", "bridged"] {
        assert!(figures.iter().any(|figure| figure.2 == name && figure.3 > 0.0), "{name}: {figures:?}");
    }
    let out = bench("events", &["--nats-server", "/absent/nats-server"]);
    assert!(!out.status.success());
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("/absent/nats-server does not run: --nats-server names no NATS server"), "{said}");
}
