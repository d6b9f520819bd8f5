//! `tidings ingest`: changes of resources outside of mailboxes, from a file or the standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::desk::{Desk, Output, text};
use super::place::Place;
use crate::ids;
use crate::sources::ingest::{BATCH_BYTES_MAX, BATCH_CHANGES_MAX};

/// Publish changes of users, drives, chats and other resources outside of mailboxes
///
/// Reads JSON: one change, or a list of changes. A change has tenant, resource, changeType (created, updated,
/// softDeleted or deleted) and, as far as there are any, key, at, before and after; before and after are the states
/// that filters look at. Of changes with the same key only the first counts, for a day; one without a key gets a new
/// one each time. What cannot be taken is reported and the rest is taken; the exit code is then 1.
#[derive(Debug, clap::Args)]
#[command(after_help = r#"Example, beside `tidings dev` and `tidings listen --resource users --change-types updated`:
  echo '{"tenant": "contoso.test", "resource": "users/megan@contoso.test", "changeType": "updated",
         "after": {"jobTitle": "Auditor"}}' | tidings ingest -"#)]
pub struct Options {
    /// The file; - is the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The tenant of changes that name none: id or domain
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    place: Place,
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let changes = read(&options.file)?;
    let desk = Desk::open(&options.place)?;
    let mut is_whole = true;
    for batch in changes.chunks(BATCH_CHANGES_MAX) {
        let batch: Vec<Value> = batch.iter().map(|change| completed(change, options.tenant.as_deref())).collect();
        let answer = desk.post("ingest/changes", json!({ "changes": batch })).await?;
        is_whole &= answer["refused"].as_array().is_none_or(Vec::is_empty);
        options.output.print(&answer, summary);
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The changes of a file: one, or a list.
fn read(file: &Path) -> anyhow::Result<Vec<Value>> {
    let (mut content, name) = (String::new(), file.display());
    let most = BATCH_BYTES_MAX as u64;
    let length = match file.to_str() {
        Some("-") => std::io::stdin().lock().take(most + 1).read_to_string(&mut content),
        _ => std::fs::File::open(file).and_then(|file| file.take(most + 1).read_to_string(&mut content)),
    };
    if length.with_context(|| format!("cannot read {name}"))? as u64 > most {
        bail!("{name} has more than {} MiB; publish it in parts", BATCH_BYTES_MAX >> 20);
    }
    match serde_json::from_str(&content).with_context(|| format!("{name} is no JSON"))? {
        Value::Array(changes) if !changes.is_empty() => Ok(changes),
        Value::Object(change) => Ok(vec![Value::Object(change)]),
        _ => bail!("{name} holds neither a change nor a list of changes"),
    }
}

/// The change with a key and a tenant, if it has none.
fn completed(change: &Value, tenant: Option<&str>) -> Value {
    let mut change = change.clone();
    if let Value::Object(members) = &mut change {
        members.entry("key").or_insert_with(|| ids::new_uuid().to_string().into());
        if let Some(tenant) = tenant {
            members.entry("tenant").or_insert_with(|| tenant.into());
        }
    }
    change
}

fn summary(answer: &Value) -> String {
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    let refused = answer["refused"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut summary =
        format!("accepted {}, known {}, refused {}\n", count("accepted"), count("duplicates"), refused.len());
    for one in refused {
        summary.push_str(&format!("  {}: {}\n", text(one, "index"), text(one, "why")));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_without_key_or_tenant_gets_them() {
        let change = completed(&json!({ "resource": "users/1" }), Some("contoso.test"));
        assert_eq!((change["tenant"].as_str(), change["resource"].as_str()), (Some("contoso.test"), Some("users/1")));
        assert_eq!(change["key"].as_str().map(str::len), Some(36));
        let own = json!({ "key": "k", "tenant": "t" });
        assert_eq!(completed(&own, Some("contoso.test")), own);
    }

    #[test]
    fn one_change_or_a_list_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("changes.json");
        let read = |content: &str| {
            std::fs::write(&file, content).unwrap();
            super::read(&file).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(read(r#"{"key":"1"}"#).unwrap().len(), 1);
        assert_eq!(read(r#"[{"key":"1"},{"key":"2"}]"#).unwrap().len(), 2);
        for content in ["[]", "7"] {
            assert!(read(content).unwrap_err().ends_with("holds neither a change nor a list of changes"), "{content}");
        }
        assert!(read("{").unwrap_err().contains("is no JSON"));
    }

    #[test]
    fn the_summary_says_what_was_refused_and_why() {
        let answer = json!({ "accepted": 2, "duplicates": 1, "refused": [{ "index": 3, "why": "no\u{1b}such" }] });
        assert_eq!(summary(&answer), "accepted 2, known 1, refused 1\n  3: no?such\n");
    }
}
