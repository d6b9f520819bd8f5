//! Reads a Rust source far enough to say which paths it uses, which functions it has and which of them
//! are tests. It works on tokens, so that comments and strings never count; it knows no types.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file by its path from the root of the workspace.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    /// The folder of the crate that the file belongs to: `graph`.
    pub fn crate_folder(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether it is a Rust source that ends up in the crate itself, not in its tests or benchmarks.
    pub fn is_shipped_source(&self) -> bool {
        let mut parts = self.path.split('/').skip(2);
        parts.next() == Some("src")
            && self.path.ends_with(".rs")
            && !parts.any(|part| matches!(part, "tests" | "tests.rs"))
    }
}

/// A path that a source uses, with the names that `use` brought in written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedPath {
    /// `std::time::Instant::now`; a macro ends in `!`, everything of a module in `::*`.
    pub path: String,
    pub line: usize,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
    pub is_test: bool,
    pub is_public: bool,
}

/// The text is not Rust.
#[derive(Clone, Debug)]
pub struct NotRust(pub String);

fn tokens(text: &str) -> Result<TokenStream, NotRust> {
    text.parse().map_err(|error: proc_macro2::LexError| NotRust(error.to_string()))
}

/// The paths that a source uses outside `#[cfg(test)]`.
pub fn used_paths(text: &str) -> Result<Vec<UsedPath>, NotRust> {
    let mut reader = PathReader::default();
    reader.read(&without_tests(tokens(text)?));
    let imports = reader.imports;
    let mut used: Vec<UsedPath> = reader
        .used
        .into_iter()
        .map(|(path, line)| UsedPath { path: written_out(path, &imports).join("::"), line })
        .collect();
    used.dedup();
    Ok(used)
}

/// All functions with a body, those of tests and of macro calls included.
pub fn functions(text: &str) -> Result<Vec<Function>, NotRust> {
    let mut found = Vec::new();
    collect_functions(tokens(text)?, &mut found);
    Ok(found)
}

/// The identifiers that appear inside the calls of a macro: what `proptest! { … }` exercises.
pub fn identifiers_in_macro(text: &str, name: &str) -> Result<BTreeSet<String>, NotRust> {
    let mut found = BTreeSet::new();
    collect_in_macro(tokens(text)?, name, false, &mut found);
    Ok(found)
}

/// Every identifier of a source.
pub fn identifiers(text: &str) -> Result<BTreeSet<String>, NotRust> {
    let mut found = BTreeSet::new();
    collect_in_macro(tokens(text)?, "", true, &mut found);
    Ok(found)
}

/// How many lines stand before the first `#[cfg(test)]` at the margin.
pub fn lines_without_tests(text: &str) -> usize {
    text.lines().take_while(|line| *line != "#[cfg(test)]").count()
}

fn collect_in_macro(stream: TokenStream, name: &str, inside: bool, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if inside => drop(found.insert(ident.to_string())),
            TokenTree::Group(group) => {
                let called = at >= 2 && is_ident(&tokens[at - 2], name) && is_punct(&tokens[at - 1], '!');
                collect_in_macro(group.stream(), name, inside || called, found);
            }
            _ => {}
        }
    }
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

fn is_ident(token: &TokenTree, wanted: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == wanted)
}

fn group(token: Option<&TokenTree>, wanted: Delimiter) -> Option<TokenStream> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == wanted => Some(group.stream()),
        _ => None,
    }
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string().trim_start_matches("r#").to_owned()),
        _ => None,
    }
}

/// Whether the inside of an attribute is `cfg(test)` or `cfg(all(test, …))`.
fn is_cfg_test(attribute: &TokenStream) -> bool {
    let tokens: Vec<TokenTree> = attribute.clone().into_iter().collect();
    let Some(condition) = group(tokens.get(1), Delimiter::Parenthesis) else { return false };
    let first: Vec<TokenTree> = condition.into_iter().take(2).collect();
    let all =
        || group(first.get(1), Delimiter::Parenthesis).is_some_and(|all| all.into_iter().any(|t| is_ident(&t, "test")));
    is_ident(&tokens[0], "cfg") && first.first().is_some_and(|t| is_ident(t, "test") || is_ident(t, "all") && all())
}

const STARTS_ITEM: [&str; 16] = [
    "pub",
    "fn",
    "mod",
    "use",
    "struct",
    "enum",
    "union",
    "impl",
    "trait",
    "const",
    "static",
    "type",
    "async",
    "unsafe",
    "extern",
    "macro_rules",
];

/// The tokens without what `#[cfg(test)]` stands before.
fn without_tests(stream: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let inner = is_punct(&tokens[at], '#') && tokens.get(at + 1).is_some_and(|t| is_punct(t, '!'));
        let attribute = group(tokens.get(at + 1 + usize::from(inner)), Delimiter::Bracket);
        match attribute {
            Some(attribute) if is_punct(&tokens[at], '#') && is_cfg_test(&attribute) => {
                if inner {
                    return kept;
                }
                at = end_of_item(&tokens, at);
            }
            _ => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// Where the item ends whose first attribute begins at `at`.
fn end_of_item(tokens: &[TokenTree], mut at: usize) -> usize {
    while at + 1 < tokens.len() && is_punct(&tokens[at], '#') && group(tokens.get(at + 1), Delimiter::Bracket).is_some()
    {
        at += 2;
    }
    let is_item = ident(tokens.get(at)).is_some_and(|word| STARTS_ITEM.contains(&word.as_str()));
    while let Some(token) = tokens.get(at) {
        at += 1;
        let body = group(Some(token), Delimiter::Brace).is_some();
        if body || is_punct(token, ';') || !is_item && is_punct(token, ',') {
            break;
        }
    }
    at
}

type Segments = Vec<String>;

#[derive(Default)]
struct PathReader {
    imports: BTreeMap<String, Segments>,
    used: Vec<(Segments, usize)>,
}

impl PathReader {
    fn read(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            let line = tokens[at].span().start().line;
            match &tokens[at] {
                TokenTree::Group(group) => {
                    self.read(&without_tests(group.stream()));
                    at += 1;
                }
                TokenTree::Ident(word) if word == "use" && !tokens.get(at + 1).is_some_and(|t| is_punct(t, '<')) => {
                    let end = (at..tokens.len()).find(|i| is_punct(&tokens[*i], ';')).unwrap_or(tokens.len());
                    self.read_use(&tokens[at + 1..end], &[], line);
                    at = end;
                }
                TokenTree::Ident(_) => {
                    let (path, next) = path_at(tokens, at);
                    let is_member =
                        at > 0 && is_punct(&tokens[at - 1], '.') && !(at > 1 && is_punct(&tokens[at - 2], '.'));
                    if !is_member {
                        self.used.push((path, line));
                    }
                    at = next;
                }
                _ => at += 1,
            }
        }
    }

    /// One tree of a `use`, without `use` and `;`.
    fn read_use(&mut self, tree: &[TokenTree], prefix: &[String], line: usize) {
        let mut path = prefix.to_vec();
        for (at, token) in tree.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    if let Some(name) = ident(tree.get(at + 1)) {
                        self.imports.insert(name, path.clone());
                    }
                    self.used.push((path, line));
                    return;
                }
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(_) => path.extend(ident(Some(token))),
                TokenTree::Punct(star) if star.as_char() == '*' => path.push("*".into()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|t| is_punct(t, ',')).filter(|branch| !branch.is_empty()) {
                        self.read_use(branch, &path, line);
                    }
                    return;
                }
                _ => {}
            }
        }
        if let Some(name) = path.last().filter(|name| *name != "*") {
            self.imports.insert(name.clone(), path.clone());
        }
        self.used.push((path, line));
    }
}

/// The path that begins with the identifier at `at`, and where it ends.
fn path_at(tokens: &[TokenTree], mut at: usize) -> (Segments, usize) {
    let mut path = Segments::new();
    loop {
        path.extend(ident(tokens.get(at)));
        at += 1;
        let colons = tokens.get(at).zip(tokens.get(at + 1)).is_some_and(|(a, b)| is_punct(a, ':') && is_punct(b, ':'));
        if !colons || ident(tokens.get(at + 2)).is_none() {
            break;
        }
        at += 2;
    }
    let bang = tokens.get(at).is_some_and(|t| is_punct(t, '!'));
    let is_call = bang && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
    if let Some(last) = path.last_mut().filter(|_| is_call) {
        last.push('!');
    }
    (path, at)
}

/// The path with its first name replaced by what was imported under it; `core` and `alloc` read `std`.
fn written_out(mut path: Segments, imports: &BTreeMap<String, Segments>) -> Segments {
    for _ in 0..4 {
        match imports.get(&path[0]) {
            Some(full) if full[0] != path[0] => {
                path.splice(..1, full.iter().cloned());
            }
            Some(full) if full.len() > 1 && path.len() == 1 => path = full.clone(),
            _ => break,
        }
    }
    if path.len() > 1 && matches!(path[0].as_str(), "core" | "alloc") {
        path[0] = "std".into();
    }
    path
}

fn collect_functions(stream: TokenStream, found: &mut Vec<Function>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut head = 0;
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            collect_functions(group.stream(), found);
            if group.delimiter() == Delimiter::Brace {
                head = at + 1;
            }
        } else if is_punct(token, ';') {
            head = at + 1;
        } else if is_ident(token, "fn") && ident(tokens.get(at + 1)).is_some() {
            let until = (at..tokens.len())
                .find(|i| is_punct(&tokens[*i], ';') || group(tokens.get(*i), Delimiter::Brace).is_some());
            let Some(TokenTree::Group(body)) = until.map(|end| &tokens[end]) else { continue };
            let line = token.span().start().line;
            found.push(Function {
                name: ident(tokens.get(at + 1)).unwrap_or_default(),
                line,
                lines: body.span_close().end().line + 1 - line,
                is_test: tokens[head..at].iter().any(is_test_attribute),
                is_public: (head..at).any(|index| is_bare_pub(&tokens[index..at])),
            });
        }
    }
}

/// Whether the first token is `pub` without a restriction such as `pub(crate)`.
fn is_bare_pub(tokens: &[TokenTree]) -> bool {
    tokens.first().is_some_and(|first| is_ident(first, "pub")) && group(tokens.get(1), Delimiter::Parenthesis).is_none()
}

/// Whether a token is the bracket of `#[test]` or `#[tokio::test(…)]`.
fn is_test_attribute(token: &TokenTree) -> bool {
    let Some(attribute) = group(Some(token), Delimiter::Bracket) else { return false };
    let words: Vec<TokenTree> = attribute.into_iter().collect();
    let path = path_at(&words, 0).0;
    path.last().is_some_and(|last| last == "test")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        used_paths(text).unwrap().into_iter().map(|used| used.path).collect()
    }

    #[test]
    fn a_name_is_written_out_as_it_was_imported() {
        let found = paths(
            "use std::{fs as files, time::{self, Instant}}; fn f() { files::read(p); time::x(); Instant::now() }",
        );
        for wanted in ["std::fs", "std::fs::read", "std::time::x", "std::time::Instant::now"] {
            assert!(found.iter().any(|path| path == wanted), "{wanted} in {found:?}");
        }
    }

    #[test]
    fn comments_strings_members_and_test_modules_do_not_count() {
        let text = "/// std::fs\nfn f() { let s = \"std::fs\"; a.std(); } // std::env\n\
                    #[cfg(test)]\nmod tests { use std::fs; }\n#[cfg(all(test, unix))] use std::env;\nfn g() { tokio::spawn() }";
        let found = paths(text);
        assert!(!found.iter().any(|path| path.starts_with("std")), "{found:?}");
        assert!(found.iter().any(|path| path == "tokio::spawn"), "{found:?}");
    }

    #[test]
    fn code_for_every_build_but_tests_counts() {
        let found = paths("#[cfg(not(test))] use std::fs; #[cfg(any(test, unix))] use std::env;");
        assert_eq!(found, ["cfg", "not", "test", "std::fs", "cfg", "any", "test", "unix", "std::env"]);
    }

    #[test]
    fn a_glob_a_macro_and_a_core_path_are_seen() {
        let found = paths("use core::time::*; fn f() { println!(\"x\"); if a != b {} }");
        assert!(found.contains(&"std::time::*".into()) && found.contains(&"println!".into()), "{found:?}");
    }

    #[test]
    fn tests_are_told_from_other_functions_also_inside_macros() {
        let text = "fn helper() {\n}\n#[test] fn plain() {} #[tokio::test] async fn waits() {}\n\
                    proptest! { #[test] fn any_input(x in 0..3) { fuzz_it(x) } }\n\
                    pub(crate) fn ours() {}\npub fn last() -> [u8; 2] { [0; 2] }";
        let found = functions(text).unwrap();
        let tests: Vec<&str> = found.iter().filter(|f| f.is_test).map(|f| f.name.as_str()).collect();
        assert_eq!(tests, ["plain", "waits", "any_input"]);
        let public: Vec<&str> = found.iter().filter(|f| f.is_public).map(|f| f.name.as_str()).collect();
        assert_eq!((found[0].lines, public), (2, vec!["last"]));
        assert!(identifiers_in_macro(text, "proptest").unwrap().contains("fuzz_it"));
        assert!(!identifiers_in_macro(text, "proptest").unwrap().contains("helper"));
    }
}
