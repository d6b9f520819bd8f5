//! The documents say what is there: tests, files and commands that they name exist.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use tidings_house::documents::{code_spans, local_links, marked_block, table};
use tidings_house::source::{File, functions, identifiers_in_macro, lines_without_tests};
use tidings_house::tree;

const PARITY_HEADER: [&str; 6] = ["id", "behaviour", "what we do", "source", "confidence", "test"];
const CONFIDENCE: [&str; 4] = ["documented", "metadata", "observed", "decided"];
const RULES_HEADER: [&str; 3] = ["rule", "what it says", "held by"];
/// What the rules are of; none of these is lost unnoticed.
const SECTIONS: &str = "1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.8 1.9 2.1 2.2 2.3 2.4 2.5 2.6 2.7 2.8 2.9 2.10 3.1 3.2 3.3 3.4 \
                        5.1 5.2 5.3 5.4 5.5 5.6 5.7 6.1 6.2 6.3 6.4 6.5 6.6 7.3 8.1 8.2 8.3 8.4 8.5 8.6 8.7 10.1 10.2 \
                        10.3 10.4 10.5 10.6 10.7 10.10 10.11 S0 S1 S2";
const THREATS_HEADER: [&str; 5] = ["threat", "who", "what stands against it", "what remains", "test"];
const DOCUMENTS: [&str; 13] = [
    "README.md",
    "ARCHITECTURE.md",
    "PARITY.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/backup.md",
    "docs/dev.md",
    "docs/evidence.md",
    "docs/identity.md",
    "docs/operations.md",
    "docs/rich.md",
    "docs/rules.md",
    "docs/security.md",
];

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    &files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is missing")).text
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.path.ends_with(".rs"))
}

/// The names of all tests, by the crate's folder; a macro `stories!` makes one of each name that it lists.
fn tests(files: &[File]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in rust(files) {
        let functions = functions(&file.text).unwrap_or_else(|error| panic!("{}: {}", file.path, error.0));
        let names = functions.into_iter().filter(|function| function.is_test).map(|function| function.name);
        let of_crate = found.entry(file.crate_folder().unwrap_or_default().to_owned()).or_default();
        of_crate.extend(names);
        of_crate.extend(identifiers_in_macro(&file.text, "stories").unwrap_or_default());
    }
    found
}

/// The references of the form `crate::test` in a cell that name no test; a cell without one is wrong too.
fn dangling(cell: &str, tests: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let references = code_spans(cell);
    if references.is_empty() {
        return vec![format!("no test in {cell:?}")];
    }
    let exists = |reference: &str| {
        let (folder, name) = reference.split_once("::")?;
        tests.get(folder)?.get(name.rsplit("::").next()?)
    };
    references.into_iter().filter(|reference| exists(reference).is_none()).map(str::to_owned).collect()
}

#[test]
fn a_reference_to_no_test_is_found() {
    let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
    let text = "#[test] fn it_holds() {} fn helper() {} stories! { noun { it_goes_well } }";
    let tests = tests(&[file("crates/graph/src/a.rs", text)]);
    assert!(dangling("`graph::it_holds`, `graph::a::it_holds`, `graph::it_goes_well`", &tests).is_empty());
    assert_eq!(dangling("`graph::helper`, `store::it_holds`", &tests), ["graph::helper", "store::it_holds"]);
    assert_eq!(dangling("unknown", &tests).len(), 1);
}

/// What is wrong with the numbers of rules: those of a section count from 1 and stand together. A section has a number
/// of its own (`2.7`) or the name of a public page (`S1`); its rules are `2.7.1`, `S1-1`.
fn misnumbered<'a>(rules: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let (mut wrong, mut sections, mut before) = (Vec::new(), BTreeSet::new(), ("", 0));
    for rule in rules {
        let separator = if rule.starts_with('S') { '-' } else { '.' };
        let (section, number) = rule.rsplit_once(separator).unwrap_or_default();
        if section != before.0 && !sections.insert(section) {
            wrong.push(format!("{rule}: section {section:?} has begun before"));
        }
        let expected = if section == before.0 { before.1 + 1 } else { 1 };
        if number.parse() != Ok(expected) {
            wrong.push(format!("{rule} stands where number {expected} of section {section:?} should"));
        }
        before = (section, expected);
    }
    wrong
}

#[test]
fn rules_count_from_one_in_sections_that_stand_once() {
    assert!(misnumbered(["2.7.1", "2.7.2", "2.10.1", "S1-1", "S1-2"]).is_empty());
    assert_eq!(misnumbered(["2.7.1", "2.7.3"]).len(), 1);
    assert_eq!(misnumbered(["2.7.1", "2.8.1", "2.7.2"]).len(), 2);
    assert_eq!(misnumbered(["S1-2"]).len(), 1);
    assert_eq!(misnumbered(["twenty"]).len(), 1);
}

/// The rows of every table of a document that has this header.
fn rows_of_tables<'a>(mut text: &'a str, header: &[&str]) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    while let Some(rows) = table(text, header) {
        let last = rows.last().map_or("", |row| row[0]);
        text = text.split_once(&format!("| {last} |")).map_or("", |(_, rest)| rest);
        found.extend(rows);
    }
    found
}

#[test]
fn every_rule_has_a_row_of_parity_a_test_or_a_reason() {
    let files = tree::files();
    let tests = tests(&files);
    let parity = rows_of_tables(text(&files, "PARITY.md"), &PARITY_HEADER);
    let parity: BTreeSet<&str> = parity.iter().map(|row| row[0].trim_matches('`')).collect();
    let rules = rows_of_tables(text(&files, "docs/rules.md"), &RULES_HEADER);
    let mut wrong = misnumbered(rules.iter().map(|row| row[0]));
    let (mut inapplicable, mut unbuilt) = (0, 0);
    for row in &rules {
        let [rule, _, held] = row[..] else { panic!("not {} cells: {row:?}", RULES_HEADER.len()) };
        let excused = [("not applicable: ", &mut inapplicable), ("not built: ", &mut unbuilt)]
            .into_iter()
            .find_map(|(word, count)| held.strip_prefix(word).map(|reason| (reason, count)));
        if let Some((reason, count)) = excused {
            *count += 1;
            wrong.extend(reason.trim().is_empty().then(|| format!("{rule}: no reason")));
            continue;
        }
        let references = code_spans(held).into_iter().filter(|span| !parity.contains(span));
        let references: Vec<String> = references.map(|span| format!("`{span}`")).collect();
        if !references.is_empty() || code_spans(held).is_empty() {
            let lost = dangling(&references.join(" "), &tests).into_iter();
            wrong.extend(lost.map(|lost| format!("{rule}: neither a row of parity nor a test: {lost}")));
        }
    }
    let sections: BTreeSet<&str> =
        rules.iter().filter_map(|row| row[0].rsplit_once(['.', '-'])).map(|(section, _)| section).collect();
    let lost = SECTIONS.split(' ').filter(|section| !sections.contains(section));
    wrong.extend(lost.map(|section| format!("section {section} has no rule")));
    println!("{} rules, {inapplicable} of them not applicable, {unbuilt} not built", rules.len());
    assert!(rules.len() >= 300, "the tables of docs/rules.md were not found: {} rows", rules.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_row_of_parity_names_a_test() {
    let files = tree::files();
    let tests = tests(&files);
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    for row in rows_of_tables(text(&files, "PARITY.md"), &PARITY_HEADER) {
        match row[..] {
            [id, .., confidence, cell] if row.len() == PARITY_HEADER.len() => {
                wrong.extend(dangling(cell, &tests).into_iter().map(|test| format!("{id}: no test {test}")));
                let empty = row.iter().any(|cell| cell.is_empty());
                if empty || !CONFIDENCE.contains(&confidence) || !ids.insert(id) {
                    wrong.push(format!("{id}: a cell is empty, the confidence unknown or the id used twice"));
                }
            }
            _ => wrong.push(format!("not {} cells: {row:?}", PARITY_HEADER.len())),
        }
    }
    assert!(ids.len() >= 10, "the table of PARITY.md was not found: {} rows", ids.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether the first test of a cell is named after a threat: `slow-client` by `server::slow_client_is_closed`.
fn is_named_after(threat: &str, cell: &str) -> bool {
    let first = code_spans(cell).into_iter().next().and_then(|reference| reference.rsplit("::").next());
    let beginning = format!("{}_", threat.trim_matches('`').replace('-', "_"));
    first.is_some_and(|name| name.starts_with(&beginning))
}

#[test]
fn a_test_that_is_not_named_after_its_threat_is_found() {
    assert!(is_named_after("`slow-client`", "`server::slow_client_is_closed`, `server::other`"));
    assert!(!is_named_after("`slow-client`", "`server::other`, `server::slow_client_is_closed`"));
    assert!(!is_named_after("`slow-client`", "`server::slow_clients_are_closed`"));
    assert!(!is_named_after("`slow-client`", "none"));
}

#[test]
fn every_threat_has_a_test_named_after_it() {
    let files = tree::files();
    let tests = tests(&files);
    let (mut wrong, mut threats) = (Vec::new(), BTreeSet::new());
    for row in rows_of_tables(text(&files, "docs/security.md"), &THREATS_HEADER) {
        let [threat, _, _, _, cell] = row[..] else {
            wrong.push(format!("not {} cells: {row:?}", THREATS_HEADER.len()));
            continue;
        };
        wrong.extend(dangling(cell, &tests).into_iter().map(|test| format!("{threat}: no test {test}")));
        if !is_named_after(threat, cell) {
            wrong.push(format!("{threat}: its first test is not named after it"));
        }
        if row.iter().any(|cell| cell.is_empty()) || !threats.insert(threat) {
            wrong.push(format!("{threat}: a cell is empty or the name used twice"));
        }
    }
    assert!(threats.len() >= 50, "the tables of docs/security.md were not found: {} threats", threats.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_promise_of_the_architecture_names_a_test() {
    let files = tree::files();
    let tests = tests(&files);
    let rows =
        table(text(&files, "ARCHITECTURE.md"), &["promise", "what it says", "test"]).expect("the table of promises");
    assert!(!rows.is_empty());
    let mut wrong: Vec<String> = rows.iter().flat_map(|row| dangling(row.last().unwrap_or(&""), &tests)).collect();
    // A promise that the simulator is said to watch is one that it can report as broken.
    for row in rows.iter().filter(|row| row.last().is_some_and(|cell| cell.contains("`sim::"))) {
        let name = row[0].replace('`', "\"");
        if !files.iter().any(|file| file.path.starts_with("crates/sim/src/") && file.text.contains(&name)) {
            wrong.push(format!("the simulator does not watch {name}"));
        }
    }
    assert!(wrong.is_empty(), "no such tests:\n{}", wrong.join("\n"));
}

#[test]
fn every_path_that_a_document_names_exists() {
    let files = tree::files();
    let mut wrong = Vec::new();
    for document in DOCUMENTS {
        let folder = tree::root().join(document).parent().expect("a file lies in a folder").to_owned();
        let links = local_links(text(&files, document)).into_iter();
        wrong.extend(links.filter(|link| !folder.join(link).exists()).map(|link| format!("{document}: {link}")));
        for span in code_spans(text(&files, document)) {
            let is_path =
                ["crates/", "docs/", "examples/", "tests/", ".ci/", "./"].iter().any(|start| span.starts_with(start))
                    || span.ends_with(".md");
            let path = span.trim_start_matches("./").split([' ', ':']).next().unwrap_or_default();
            if is_path && !path.contains('…') && !tree::root().join(path).exists() {
                wrong.push(format!("{document}: {span}"));
            }
            let package = span.strip_prefix("tidings-").filter(|name| name.chars().all(|c| c.is_ascii_lowercase()));
            if package.is_some_and(|folder| !tree::root().join("crates").join(folder).is_dir()) {
                wrong.push(format!("{document}: {span}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_crate_stands_in_the_code_map() {
    let files = tree::files();
    let spans = code_spans(text(&files, "ARCHITECTURE.md"));
    for file in files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let folder = file.path.trim_end_matches("/Cargo.toml");
        assert!(spans.contains(&folder), "ARCHITECTURE.md does not name {folder}");
    }
}

#[test]
fn the_two_commands_of_the_readme_exist() {
    let files = tree::files();
    let readme = text(&files, "README.md");
    let run = marked_block(readme, "run").expect("the block that runs the server");
    assert_eq!(run, ["cargo run --bin tidings -- dev"]);
    assert!(text(&files, "crates/server/Cargo.toml").contains("name = \"tidings\""));
    let test = marked_block(readme, "test").expect("the block that runs all tests");
    assert_eq!(test, ["./check"]);
    assert!(text(&files, ".ci/run").lines().any(|line| line.starts_with("exec ./check")));
    let pasted = marked_block(readme, "first five minutes").expect("the block of the first five minutes");
    let commands = pasted.iter().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert!((1..=5).contains(&commands.count()), "one to five commands to paste, one on each line");
}

#[test]
fn every_fuzz_harness_is_run_by_a_property_test() {
    let files = tree::files();
    let mut run: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut harnesses = Vec::new();
    for file in rust(&files) {
        let folder = file.crate_folder().unwrap_or_default();
        run.entry(folder).or_default().extend(identifiers_in_macro(&file.text, "proptest").unwrap_or_default());
        let drawer =
            file.is_shipped_source() && file.path.rsplit('/').next().is_some_and(|name| name.starts_with("fuzz"));
        let public = functions(&file.text).unwrap_or_default().into_iter().filter(|function| function.is_public);
        let found = public.filter(|function| drawer || function.name.starts_with("fuzz_"));
        harnesses.extend(found.map(|function| (folder, function.name)));
    }
    let idle: Vec<_> = harnesses.iter().filter(|(folder, name)| !run[folder].contains(name)).collect();
    assert!(idle.is_empty(), "no proptest! calls {idle:?}");
}

#[test]
fn tracked_files_name_no_machine_and_leave_nothing_open() {
    // In pieces, so that this file does not name them itself.
    let paths = [["/wo", "rk/"], ["/ro", "ot/"]].map(|parts| parts.concat());
    let words = [["TO", "DO"], ["FIX", "ME"]].map(|parts| parts.concat());
    let mut wrong = Vec::new();
    for file in tree::files() {
        for (at, line) in file.text.lines().enumerate() {
            let open =
                line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| words.iter().any(|open| open == word));
            if open || paths.iter().any(|path| line.contains(path)) {
                let line: String = line.chars().take(120).collect();
                wrong.push(format!("{}:{}: {line}", file.path, at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Long files and functions are signs, not faults: they are printed.
#[test]
fn long_files_and_functions_are_reported() {
    let mut report = Vec::new();
    for file in rust(&tree::files()).filter(|file| file.is_shipped_source()) {
        let lines = lines_without_tests(&file.text);
        if lines > 500 {
            report.push(format!("{} has {lines} lines without its tests", file.path));
        }
        for function in functions(&file.text).unwrap_or_default() {
            if function.lines > 70 {
                report.push(format!("{}:{} {} has {} lines", file.path, function.line, function.name, function.lines));
            }
        }
    }
    let mut stderr = std::io::stderr().lock();
    for line in report {
        writeln!(stderr, "long: {line}").expect("stderr");
    }
}
