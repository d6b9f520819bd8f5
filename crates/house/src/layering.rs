//! The rules of the house: which crate may use which, and what it must not know. A new crate needs a
//! row in [`ARROWS`]; a new exception needs a reason beside it.

use std::fmt;

use toml::{Table, Value};

use crate::source::{File, used_paths};

/// Which crates of the workspace each crate may depend on, by folder.
pub const ARROWS: &[(&str, &[&str])] = &[
    ("odata", &[]),
    ("graph", &["odata"]),
    ("protocol", &[]),
    ("notify", &["graph", "protocol"]),
    ("store", &["graph", "notify"]),
    // Published, for apps.
    ("receiver", &["protocol"]),
    ("server", &["graph", "protocol", "notify", "store", "receiver"]),
    ("sim", &["graph", "notify", "store"]),
    // Tests only: it reads the others as text, and nothing may depend on it.
    ("house", &[]),
];

/// The files of the receiver that call, or that axum calls, each behind a feature.
const RECEIVERS_SHELLS: &[&str] = &[
    "crates/receiver/src/call.rs",
    "crates/receiver/src/cloud_events.rs",
    "crates/receiver/src/fetch.rs",
    "crates/receiver/src/pull.rs",
    "crates/receiver/src/webhook.rs",
];

/// Crates that only decide.
pub const PURE: &[&str] = &["odata", "graph", "protocol", "notify"];

/// Something that some crates must not know.
pub struct Ban {
    pub rule: &'static str,
    /// The crates that it holds for, by folder.
    pub inside: &'static [&'static str],
    /// Files and folders in which it does not hold.
    pub except: &'static [&'static str],
    /// Packages that they do not depend on, tests apart.
    pub packages: &'static [&'static str],
    /// Paths that they do not use, nor anything below them; a keyword is a path of one name.
    pub paths: &'static [&'static str],
}

const WALL_CLOCKS: &[&str] =
    &["std::time::SystemTime", "std::time::UNIX_EPOCH", "jiff::Timestamp::now", "jiff::Zoned::now"];

const CLOCKS: &[&str] = &[
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "std::time::Instant::now",
    "tokio::time::Instant::now",
];

const RANDOMNESS: &[&str] = &[
    "rand::random",
    "rand::rng",
    "rand::make_rng",
    "rand::rngs::SysRng",
    "rand::rngs::ThreadRng",
    "getrandom",
    "aws_lc_rs::rand",
    "uuid::Uuid::new_v4",
    "uuid::Uuid::now_v6",
    "uuid::Uuid::now_v7",
];

pub const BANS: &[Ban] = &[
    Ban {
        rule: "a_pure_crate_is_not_async",
        inside: PURE,
        except: &[],
        packages: &["tokio", "tokio-util", "async-trait", "futures", "futures-util"],
        paths: &["async", "tokio", "futures", "std::future", "std::task"],
    },
    Ban {
        rule: "a_pure_crate_knows_no_sql",
        inside: PURE,
        except: &[],
        packages: &["rusqlite", "libsqlite3-sys", "tokio-postgres", "sqlx"],
        paths: &["rusqlite"],
    },
    Ban {
        rule: "a_pure_crate_knows_no_network",
        inside: PURE,
        except: &[],
        packages: &["axum", "http", "http-body-util", "hyper", "hyper-util", "reqwest", "rustls", "socket2", "tower"],
        paths: &["std::net", "axum", "hyper", "hyper_util"],
    },
    Ban {
        rule: "a_pure_crate_reads_no_clock",
        inside: PURE,
        except: &[],
        packages: &["chrono", "time"],
        paths: &[
            "std::time::Instant",
            "std::time::SystemTime",
            "std::time::UNIX_EPOCH",
            "jiff::Timestamp::now",
            "jiff::Zoned::now",
            "jiff::tz::TimeZone::system",
            "jiff::tz::TimeZone::try_system",
        ],
    },
    Ban {
        rule: "a_pure_crate_makes_no_randomness",
        inside: PURE,
        except: &[],
        packages: &["rand", "rand_core", "getrandom", "fastrand"],
        paths: &[
            "rand",
            "getrandom",
            "aws_lc_rs::rand",
            "aws_lc_rs::rsa::KeyPair::generate",
            "aws_lc_rs::rsa::PrivateDecryptingKey::generate",
            "aws_lc_rs::signature::RsaKeyPair::generate",
            "uuid::Uuid::new_v4",
            "uuid::Uuid::now_v1",
            "uuid::Uuid::now_v6",
            "uuid::Uuid::now_v7",
            "std::hash::RandomState",
            "std::collections::hash_map::RandomState",
        ],
    },
    Ban {
        // The protocol seals content, with keys that are arguments. The padding of RSA is random all the same, and
        // the library draws it by itself: nothing is decided by it, and it opens whatever it was.
        rule: "of_the_pure_crates_only_the_protocol_encrypts",
        inside: &["odata", "graph", "notify"],
        except: &[],
        packages: &["aws-lc-rs"],
        paths: &["aws_lc_rs"],
    },
    Ban {
        rule: "a_pure_crate_touches_no_files_environment_or_threads",
        inside: PURE,
        except: &[],
        packages: &["tempfile", "tracing", "clap"],
        paths: &[
            "std::fs",
            "std::env",
            "std::process",
            "std::thread",
            "std::os",
            "std::io::stdin",
            "std::io::stdout",
            "std::io::stderr",
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
        ],
    },
    Ban {
        rule: "the_store_takes_the_time_as_a_value",
        inside: &["store"],
        except: &[],
        packages: &["jiff", "rand"],
        paths: WALL_CLOCKS,
    },
    Ban {
        rule: "the_receivers_core_takes_the_time_as_a_value",
        inside: &["receiver"],
        except: RECEIVERS_SHELLS,
        packages: &["jiff", "chrono", "time"],
        paths: &["std::time::SystemTime::now", "std::time::Instant::now", "tokio::time"],
    },
    Ban {
        rule: "the_receivers_core_needs_no_runtime",
        inside: &["receiver"],
        except: RECEIVERS_SHELLS,
        packages: &["reqwest"],
        paths: &[
            "async",
            "tokio",
            "axum",
            "hyper",
            "hyper_util",
            "rustls",
            "std::net",
            "std::thread",
            "std::fs",
            "std::env",
        ],
    },
    Ban { rule: "a_seed_replays_exactly", inside: &["sim"], except: &[], packages: &[], paths: RANDOMNESS },
    Ban {
        rule: "only_the_clock_reads_clocks",
        inside: &["server"],
        // The benchmark measures the others from outside; nothing is decided by its clock.
        except: &["crates/server/src/clock.rs", "crates/server/src/bench/"],
        packages: &["chrono"],
        paths: CLOCKS,
    },
    Ban {
        rule: "only_ids_and_keys_are_random",
        inside: &["server"],
        // A signature with RSA draws its padding from the operating system.
        except: &["crates/server/src/ids.rs", "crates/server/src/identity/keys.rs"],
        packages: &["fastrand"],
        paths: RANDOMNESS,
    },
    Ban {
        rule: "only_outbound_connects_out",
        inside: &["server"],
        // Commands and the benchmark's load are other processes; they talk to the server that their user names.
        except: &[
            "crates/server/src/outbound/",
            "crates/server/src/bench/nats.rs",
            "crates/server/src/bench/server.rs",
            "crates/server/src/cli/",
            "crates/server/src/sources/import/client.rs",
        ],
        packages: &["reqwest"],
        paths: &[
            "tokio::net::TcpStream::connect",
            "tokio::net::TcpSocket",
            "std::net::TcpStream",
            "hickory_resolver",
            "hyper::client",
            "hyper_util::client",
            "tokio_rustls::TlsConnector",
        ],
    },
];

/// A rule that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub path: String,
    /// 0 in a manifest.
    pub line: usize,
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}:{}: {}", self.rule, self.path, self.line, self.found)
    }
}

/// Holds the manifests and sources among `files` against the rules.
pub fn check(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        let Some(folder) = file.crate_folder() else { continue };
        if file.path == format!("crates/{folder}/Cargo.toml") {
            check_manifest(file, folder, &mut violations);
        } else if file.is_shipped_source() {
            check_source(file, folder, &mut violations);
        }
    }
    violations
}

fn check_manifest(file: &File, folder: &str, violations: &mut Vec<Violation>) {
    let mut add = |rule, found: &str| {
        violations.push(Violation { rule, path: file.path.clone(), line: 0, found: found.to_owned() });
    };
    let Ok(manifest) = file.text.parse::<Table>() else { return add("a_manifest_is_toml", "it is not") };
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else {
        return add("a_crate_has_a_place_in_the_house", folder);
    };
    for dependency in dependencies(&manifest) {
        let target = dependency.package.strip_prefix("tidings-").unwrap_or(&dependency.package);
        if ARROWS.iter().any(|(name, _)| *name == target) && !allowed.contains(&target) {
            add("an_arrow_points_to_what_may_be_used", &dependency.package);
        }
        let bans = BANS.iter().filter(|ban| ban.inside.contains(&folder));
        for ban in bans.filter(|ban| !dependency.dev && ban.packages.contains(&dependency.package.as_str())) {
            add(ban.rule, &dependency.package);
        }
    }
}

struct Dependency {
    package: String,
    dev: bool,
}

/// The dependencies of a manifest, for all targets. An inherited one has the name that the workspace
/// gives it.
fn dependencies(manifest: &Table) -> Vec<Dependency> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets.into_iter().flat_map(|targets| targets.values().filter_map(Value::as_table));
    let mut found = Vec::new();
    for section in std::iter::once(manifest).chain(per_target) {
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for (name, value) in section.get(kind).and_then(Value::as_table).into_iter().flatten() {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned();
                found.push(Dependency { package, dev: kind == "dev-dependencies" });
            }
        }
    }
    found
}

fn check_source(file: &File, folder: &str, violations: &mut Vec<Violation>) {
    let bans: Vec<&Ban> = BANS
        .iter()
        .filter(|ban| ban.inside.contains(&folder) && !ban.except.iter().any(|path| file.path.starts_with(path)))
        .collect();
    if bans.is_empty() {
        return;
    }
    let mut add = |rule, line, found| violations.push(Violation { rule, path: file.path.clone(), line, found });
    match used_paths(&file.text) {
        Ok(used) => {
            for path in used {
                for ban in bans.iter().filter(|ban| ban.paths.iter().any(|banned| reaches(&path.path, banned))) {
                    add(ban.rule, path.line, path.path.clone());
                }
            }
        }
        Err(error) => add("a_source_is_rust", 0, error.0),
    }
}

/// Whether using `path` is using `banned`: it is that, lies below it, or is a glob that brings it in.
fn reaches(path: &str, banned: &str) -> bool {
    if banned.ends_with('!') {
        return path.rsplit("::").next() == Some(banned);
    }
    let below = path.strip_prefix(banned).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    below || path.strip_suffix('*').is_some_and(|module| !module.is_empty() && banned.starts_with(module))
}
