//! Looks over the data directory of a stopped server: its files here, its store in [`store::sqlite::examine`]. It
//! repairs nothing.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;
use store::seal::Keys;
use store::sqlite::{self, Finding};

use crate::data_dir::{
    ADMIN_TOKEN_FILE, DataDir, PLAIN_SIGNING_KEYS_FILE, SIGNING_KEY_FILE, SIGNING_KEYS_FILE, store_in,
};
use crate::key_file::{KeyFile, place_for};
use crate::sealed_file::SealedFile;

/// With less space than this, in bytes, a server will not go far: its write-ahead log alone may take 64 MiB.
const FREE_BYTES_LEAST: u64 = 256 << 20;

/// What was found in a data directory.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub schema: i64,
    /// What was looked at.
    pub examined: Vec<&'static str>,
    pub findings: Vec<Finding>,
}

/// Examines a data directory, which no server uses. The key file is the one that is named, or the one that was used
/// last.
pub fn examine(data: &Path, key_file: Option<&Path>) -> anyhow::Result<Report> {
    let shown = data.display();
    ensure!(data.is_dir(), "there is no data directory {shown}; name one with --data-dir DIR");
    let locked = DataDir::try_look(data)?;
    let dir = locked.with_context(|| format!("a server uses {shown}; stop it first, or examine a backup of it"))?;
    ensure!(store_in(data).is_dir(), "there is no store in {shown}; name the data directory of a server");
    dir.ensure_store_is_not_lost()?;
    let mut findings = Vec::new();
    let mut tell = |finding| findings.push(finding);
    space(data, &mut tell);
    private(&[data, &store_in(data), &dir.join(SIGNING_KEYS_FILE), &dir.join(ADMIN_TOKEN_FILE)], &mut tell);
    let keys = keys(data, key_file, &mut tell);
    let has_keys =
        [SIGNING_KEYS_FILE, PLAIN_SIGNING_KEYS_FILE, SIGNING_KEY_FILE].iter().any(|name| dir.join(name).exists());
    // A server has run once it has left its token.
    if !has_keys && dir.join(ADMIN_TOKEN_FILE).exists() {
        let todo =
            "put it back from a backup; without it the next start makes new keys, and every token is worth nothing";
        tell(finding(&dir.join(SIGNING_KEYS_FILE), "there are no signing keys", todo));
    } else if let Some(keys) = &keys
        && let Err(error) = SealedFile::new(data, SIGNING_KEYS_FILE, keys.clone()).look()
    {
        let todo = "put the key file's old keys back, or remove the file: then every token is worth nothing";
        tell(finding(&dir.join(SIGNING_KEYS_FILE), format!("{error:#}"), todo));
    }
    let examined = sqlite::examine(store_in(data), keys.as_ref(), &mut tell)?;
    Ok(Report { schema: examined.schema, examined: [vec!["files"], examined.of].concat(), findings })
}

fn finding(place: &Path, what: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { what: what.into(), place: place.display().to_string(), todo: todo.into() }
}

fn keys(data: &Path, named: Option<&Path>, tell: &mut dyn FnMut(Finding)) -> Option<Keys> {
    let todo = "put the key file back, or name it with --key-file FILE; without it what is sealed is not looked at";
    let place = match place_for(data, named) {
        Ok(place) => place,
        Err(error) => {
            tell(finding(data, format!("{error:#}"), todo));
            return None;
        }
    };
    match KeyFile::read(&place) {
        Ok(Some(file)) => Some(file.keys()),
        Ok(None) => {
            tell(finding(&place, "there is no key file", todo));
            None
        }
        Err(error) => {
            tell(finding(&place, format!("{error:#}"), todo));
            None
        }
    }
}

/// Mail and secrets are for the server's user alone.
#[cfg(unix)]
fn private(places: &[&Path], tell: &mut dyn FnMut(Finding)) {
    use std::os::unix::fs::MetadataExt as _;
    for place in places {
        let Ok(metadata) = std::fs::metadata(place) else { continue };
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            let right = if metadata.is_dir() { 0o700 } else { 0o600 };
            let todo = format!("chmod {right:o} {}", place.display());
            tell(finding(place, format!("others may use it (mode {mode:o})"), todo));
        }
    }
}

#[cfg(not(unix))]
fn private(_: &[&Path], _: &mut dyn FnMut(Finding)) {}

#[cfg(unix)]
fn space(data: &Path, tell: &mut dyn FnMut(Finding)) {
    let Ok(disk) = rustix::fs::statvfs(data) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < FREE_BYTES_LEAST {
        let what = format!("its disk has {} MiB left", free >> 20);
        tell(finding(data, what, format!("free at least {} MiB", FREE_BYTES_LEAST >> 20)));
    }
}

#[cfg(not(unix))]
fn space(_: &Path, _: &mut dyn FnMut(Finding)) {}

#[cfg(test)]
mod tests;
