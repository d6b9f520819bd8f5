//! The layering of the real tree, and the test of that test.

use tidings_house::layering::{ARROWS, PURE, check};
use tidings_house::source::File;
use tidings_house::tree;

fn file(path: &str, text: &str) -> File {
    File { path: path.into(), text: text.into() }
}

/// The names of the rules that a tree of one file breaks.
fn rules(path: &str, text: &str) -> Vec<&'static str> {
    let mut rules: Vec<_> = check(&[file(path, text)]).into_iter().map(|violation| violation.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn the_layering_holds() {
    let violations: Vec<String> = check(&tree::files()).iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_crate_of_the_house_exists() {
    for (folder, _) in ARROWS {
        assert!(tree::root().join("crates").join(folder).join("Cargo.toml").is_file(), "{folder}");
    }
}

#[test]
fn every_pure_crate_has_the_same_lints_beside_it() {
    let text =
        |folder: &str| std::fs::read_to_string(tree::root().join("crates").join(folder).join("clippy.toml")).unwrap();
    for folder in PURE {
        assert_eq!(text(folder), text(PURE[0]), "{folder}");
    }
}

#[test]
fn a_pure_crate_that_does_what_it_must_not_is_found() {
    for (source, rule) in [
        ("pub async fn wait() {}", "a_pure_crate_is_not_async"),
        ("pub fn go() { tokio::spawn(task); }", "a_pure_crate_is_not_async"),
        ("use rusqlite::Connection;", "a_pure_crate_knows_no_sql"),
        ("use std::net::TcpStream;", "a_pure_crate_knows_no_network"),
        ("pub fn now() -> T { jiff::Timestamp::now().into() }", "a_pure_crate_reads_no_clock"),
        ("use std::time::{Duration, SystemTime};", "a_pure_crate_reads_no_clock"),
        ("use std::time as t; fn f() { t::Instant::now(); }", "a_pure_crate_reads_no_clock"),
        ("use core::time; use std::time::*;", "a_pure_crate_reads_no_clock"),
        ("use uuid::Uuid; fn id() -> Uuid { Uuid::new_v4() }", "a_pure_crate_makes_no_randomness"),
        ("fn pick() -> u8 { rand::random() }", "a_pure_crate_makes_no_randomness"),
        ("fn f() { std::fs::read(\"x\"); }", "a_pure_crate_touches_no_files_environment_or_threads"),
        ("use std::{env, fmt};", "a_pure_crate_touches_no_files_environment_or_threads"),
        ("fn f() { println!(\"x\"); }", "a_pure_crate_touches_no_files_environment_or_threads"),
    ] {
        for folder in PURE {
            assert_eq!(rules(&format!("crates/{folder}/src/deep/er.rs"), source), [rule], "{folder}: {source}");
        }
    }
}

#[test]
fn a_pure_crate_that_depends_on_what_it_must_not_know_is_found() {
    for (manifest, rule) in [
        ("[dependencies]\ntokio.workspace = true", "a_pure_crate_is_not_async"),
        ("[dependencies]\nrt = { package = \"tokio\", version = \"1\" }", "a_pure_crate_is_not_async"),
        ("[target.'cfg(unix)'.dependencies]\nrusqlite = \"1\"", "a_pure_crate_knows_no_sql"),
        ("[build-dependencies]\nhyper = \"1\"", "a_pure_crate_knows_no_network"),
        ("[dependencies.chrono]\nversion = \"1\"", "a_pure_crate_reads_no_clock"),
        ("[dependencies]\ngetrandom = \"1\"", "a_pure_crate_makes_no_randomness"),
        ("[dependencies]\ntempfile = \"3\"", "a_pure_crate_touches_no_files_environment_or_threads"),
        ("[dependencies]\nstore.workspace = true", "an_arrow_points_to_what_may_be_used"),
        ("[dev-dependencies]\ns = { package = \"tidings-server\" }", "an_arrow_points_to_what_may_be_used"),
        ("not a manifest", "a_manifest_is_toml"),
    ] {
        for folder in PURE {
            assert_eq!(rules(&format!("crates/{folder}/Cargo.toml"), manifest), [rule], "{folder}: {manifest}");
        }
    }
    assert_eq!(rules("crates/common/Cargo.toml", ""), ["a_crate_has_a_place_in_the_house"]);
}

#[test]
fn of_the_pure_crates_only_the_protocol_encrypts_and_it_draws_no_keys() {
    let manifest = "[dependencies]\naws-lc-rs.workspace = true";
    let encrypts = "use aws_lc_rs::rsa::OaepPublicEncryptingKey;";
    for folder in PURE.iter().filter(|folder| **folder != "protocol") {
        let rule = "of_the_pure_crates_only_the_protocol_encrypts";
        assert_eq!(rules(&format!("crates/{folder}/Cargo.toml"), manifest), [rule]);
        assert_eq!(rules(&format!("crates/{folder}/src/a.rs"), encrypts), [rule]);
    }
    assert!(rules("crates/protocol/Cargo.toml", manifest).is_empty());
    assert!(rules("crates/protocol/src/envelope.rs", encrypts).is_empty());
    for draws in [
        "fn f(key: &mut [u8]) { aws_lc_rs::rand::fill(key); }",
        "use aws_lc_rs::{digest, rand::SystemRandom};",
        "use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey}; fn f() { PrivateDecryptingKey::generate(KeySize::Rsa2048); }",
    ] {
        assert_eq!(rules("crates/protocol/src/envelope.rs", draws), ["a_pure_crate_makes_no_randomness"], "{draws}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    for (path, text) in [
        (
            "crates/graph/Cargo.toml",
            "[dependencies]\nserde.workspace = true\n[dev-dependencies]\nrand.workspace = true",
        ),
        ("crates/notify/Cargo.toml", "[dependencies]\ngraph.workspace = true\nprotocol.workspace = true"),
        ("crates/graph/src/a.rs", "// std::fs\nuse std::time::Duration;\nconst A: &str = \"tokio::spawn\";"),
        ("crates/graph/src/a.rs", "#[cfg(test)]\nmod tests { fn f() { println!(); std::fs::read(\"x\"); } }"),
        ("crates/graph/tests/a.rs", "use std::fs;"),
        ("crates/server/src/clock.rs", "fn f() { std::time::SystemTime::now() }"),
        ("crates/server/src/outbound/connect.rs", "use hickory_resolver::TokioResolver;"),
        ("crates/receiver/src/receiver.rs", "fn f(now: std::time::SystemTime) {}"),
        ("crates/receiver/src/webhook.rs", "async fn f() { std::time::SystemTime::now(); }"),
    ] {
        assert!(rules(path, text).is_empty(), "{path}: {text}");
    }
}

#[test]
fn a_shell_that_decides_for_itself_is_found() {
    for (path, text, rule) in [
        (
            "crates/server/src/http/a.rs",
            "use std::time::Instant; fn f() { Instant::now(); }",
            "only_the_clock_reads_clocks",
        ),
        ("crates/server/src/http/a.rs", "fn f() { uuid::Uuid::new_v4(); }", "only_ids_and_keys_are_random"),
        ("crates/server/src/engine.rs", "use hyper_util::client::legacy::Client;", "only_outbound_connects_out"),
        (
            "crates/store/src/sqlite/a.rs",
            "fn f() { std::time::SystemTime::now(); }",
            "the_store_takes_the_time_as_a_value",
        ),
        ("crates/sim/src/world.rs", "fn f() { rand::rng(); }", "a_seed_replays_exactly"),
        (
            "crates/receiver/src/receiver.rs",
            "fn f() { std::time::SystemTime::now(); }",
            "the_receivers_core_takes_the_time_as_a_value",
        ),
        ("crates/receiver/src/content.rs", "pub async fn open() {}", "the_receivers_core_needs_no_runtime"),
    ] {
        assert_eq!(rules(path, text), [rule], "{text}");
    }
}
