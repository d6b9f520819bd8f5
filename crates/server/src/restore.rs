//! Putting a backup back: a new data directory, whose store begins another generation.

use std::path::Path;

use anyhow::{Context, ensure};
use graph::Timestamp;
use notify::Incident;
use store::Generation;
use store::sqlite::{self, Begun};

use crate::backup::Manifest;
use crate::data_dir::{DataDir, SIGNING_KEYS_FILE, store_in};
use crate::key_file::{KeyFile, keys_for};
use crate::sealed_file::SealedFile;
use crate::staging::Staging;

/// What is there last: without it, a directory has no data yet.
const LAST: &str = "store";
const A_DAY_MICROS: u64 = 86_400_000_000;

/// Makes the data directory `data` of a backup. The key file must have the keys that the backup needs. `generation` is
/// random. `progress` hears of the bytes that are copied.
pub fn restore(
    (backup, manifest): (&Path, &Manifest),
    data: &Path,
    key_file: &Path,
    generation: Generation,
    progress: impl FnMut(u64, u64),
) -> anyhow::Result<Begun> {
    ensure_keys(manifest, key_file)?;
    let staging = Staging::begin(data)?;
    manifest.copy(backup, staging.path(), progress)?;
    let aside = DataDir::open(staging.path())?;
    let keys = keys_for(&aside, key_file)?;
    SealedFile::new(aside.path(), SIGNING_KEYS_FILE, keys.clone()).read()?;
    let begun = sqlite::begin_generation(store_in(aside.path()), &keys, generation, incident(generation))?;
    staging.finish(LAST)?;
    Ok(begun)
}

/// What happened since the backup was made is missed. No endpoint was at fault, so none is waited for: the incident is older
/// than any that waits, by whatever clock, and is told of when the server starts. Another restore is another incident, which
/// receivers must not take for the first.
fn incident(generation: Generation) -> Incident {
    Incident { opened: Timestamp::from_micros(i64::try_from(generation.0 % A_DAY_MICROS).unwrap_or_default()) }
}

fn ensure_keys(manifest: &Manifest, key_file: &Path) -> anyhow::Result<()> {
    let name_it = "name the file that has it with --key-file FILE";
    let file = KeyFile::read(key_file)?;
    let file = file.with_context(|| {
        let (needs, file) = (manifest.keys.join(" and "), key_file.display());
        format!("there is no key file {file}; the backup needs the key {needs}: {name_it}")
    })?;
    let has = |key: &String| file.ids().any(|id| id.to_string() == *key);
    let missing = manifest.keys.iter().find(|key| !has(key));
    ensure!(
        missing.is_none(),
        "the key file {} does not have the key {}, which the backup needs: {name_it}",
        key_file.display(),
        missing.map(String::as_str).unwrap_or_default()
    );
    Ok(())
}
