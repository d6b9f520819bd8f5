//! Backups: copies of a data directory, each with a manifest that says what is in it and which key it needs.
//!
//! In it are the store's database and the signing keys, sealed as they are. Everything else of a data directory is
//! of one machine or one run (the admin token, addresses, locks, the development CA) and made anew where it is missing.
//! The key file is never in it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use graph::{PARTITIONS, Timestamp};
use serde::{Deserialize, Serialize};
use store::sqlite::{self, CopyError, SCHEMA_VERSION};

use crate::data_dir::{self, SIGNING_KEYS_FILE, make_private_dir, store_in};
use crate::staging::Staging;

pub const MANIFEST_FILE: &str = "backup.json";
/// The name of the store's database in a backup.
pub const DATABASE_FILE: &str = "store/tidings.db";
/// The form of the manifest.
const FORMAT: u32 = 1;
const MANIFEST_BYTES_MAX: u64 = 64 << 10;
const CHUNK_BYTES: usize = 1 << 20;

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    format: u32,
    /// The release that made it.
    pub version: String,
    /// The version of the store's schema.
    pub schema: i64,
    pub partitions: i64,
    /// The moment that it shows, or shortly before.
    pub made: Timestamp,
    /// The ids of the keys that secrets in it are sealed with.
    pub keys: Vec<String>,
    pub files: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// Makes a backup of a data directory, whose server may run, in a new directory. `progress` hears how far the database
/// is copied, in pages of how many.
pub fn make(data: &Path, to: &Path, now: Timestamp, progress: impl FnMut(u64, u64)) -> anyhow::Result<Manifest> {
    let database = data.join(DATABASE_FILE);
    let is_there = match fs::metadata(&database) {
        Ok(found) => found.is_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", database.display())),
    };
    ensure!(
        is_there,
        "there is no store in {}; name the data directory of a server with --data-dir DIR",
        data.display()
    );
    let staging = Staging::begin(to)?;
    let manifest = fill(data, staging.path(), now, progress);
    let manifest = manifest.map_err(|error| match is_full(&error) {
        true => anyhow!(
            "the disk of {} is full; nothing is left there. Free some space, or name a directory on another disk",
            to.display()
        ),
        false => error,
    })?;
    staging.finish(MANIFEST_FILE)?;
    Ok(manifest)
}

fn fill(data: &Path, to: &Path, now: Timestamp, progress: impl FnMut(u64, u64)) -> anyhow::Result<Manifest> {
    make_private_dir(&store_in(to))?;
    let copied = sqlite::copy(store_in(data), to.join(DATABASE_FILE), progress)?;
    ensure!(
        copied.schema <= SCHEMA_VERSION,
        "the data in {} has schema version {}, which a newer release wrote; back it up with that release",
        data.display(),
        copied.schema
    );
    let mut keys = copied.keys;
    let mut files = vec![entry(to, DATABASE_FILE)?];
    if let Some(sealed) = data_dir::read(data, SIGNING_KEYS_FILE)? {
        keys.extend(store::seal::sealed_with(&sealed));
        data_dir::write_private(to, SIGNING_KEYS_FILE, &sealed)?;
        files.push(entry(to, SIGNING_KEYS_FILE)?);
    }
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: copied.schema,
        partitions: copied.partitions,
        made: now,
        keys: keys.into_iter().map(|key| key.to_string()).collect(),
        files,
    };
    data_dir::write_private(to, MANIFEST_FILE, &serde_json::to_vec_pretty(&manifest)?)?;
    Ok(manifest)
}

fn entry(dir: &Path, name: &str) -> anyhow::Result<Entry> {
    let (bytes, sha256) = read_through(&dir.join(name), |_| Ok(()))?;
    Ok(Entry { name: name.to_owned(), bytes, sha256 })
}

/// Reads a file piece by piece, and tells its length and SHA-256.
fn read_through(file: &Path, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> anyhow::Result<(u64, String)> {
    let cannot = || format!("cannot read {}", file.display());
    let mut open = File::open(file).with_context(cannot)?;
    let (mut digest, mut length, mut chunk) = (Digest::new(&SHA256), 0, vec![0; CHUNK_BYTES]);
    loop {
        let read = open.read(&mut chunk).with_context(cannot)?;
        let (piece, _) = chunk.split_at(read);
        if piece.is_empty() {
            let sha256 = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((length, sha256));
        }
        digest.update(piece);
        length += read as u64;
        take(piece)?;
    }
}

impl Manifest {
    /// Reads the manifest of a backup that this release can put back.
    pub fn read(backup: &Path) -> anyhow::Result<Self> {
        let file = backup.join(MANIFEST_FILE);
        let mut text = String::new();
        let read = File::open(&file).and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text));
        read.with_context(|| {
            let (backup, file) = (backup.display(), file.display());
            format!("{backup} is no backup, or one that was not finished: cannot read {file}")
        })?;
        let manifest: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is not a manifest", file.display()))?;
        manifest.check().with_context(|| format!("the backup {} cannot be restored", backup.display()))?;
        Ok(manifest)
    }

    fn check(&self) -> anyhow::Result<()> {
        let Self { format, version, schema, partitions, .. } = self;
        ensure!(
            *format == FORMAT && *schema <= SCHEMA_VERSION,
            "a newer release made it ({version}, schema version {schema}; this one knows versions up to \
             {SCHEMA_VERSION}); restore it with that release"
        );
        ensure!(
            *partitions == i64::from(PARTITIONS),
            "its store has {partitions} partitions, and this release has {PARTITIONS}"
        );
        ensure!(self.files.iter().any(|file| file.name == DATABASE_FILE), "its manifest names no database");
        for Entry { name, .. } in &self.files {
            ensure!([DATABASE_FILE, SIGNING_KEYS_FILE].contains(&name.as_str()), "its manifest names a file '{name}'");
        }
        Ok(())
    }

    /// Copies what the manifest names to a directory, and checks each file meanwhile.
    pub fn copy(&self, backup: &Path, to: &Path, mut progress: impl FnMut(u64, u64)) -> anyhow::Result<()> {
        let (mut done, total) = (0, self.bytes());
        make_private_dir(&store_in(to))?;
        for entry in &self.files {
            let mut copy = private_file(&to.join(&entry.name))?;
            let read = read_through(&backup.join(&entry.name), |piece| {
                done += piece.len() as u64;
                progress(done, total);
                copy.write_all(piece)
            });
            let found = read.map_err(|error| match is_full(&error) {
                true => anyhow!("the disk of {} is full: the data takes {total} bytes", to.display()),
                false => error,
            })?;
            if found != (entry.bytes, entry.sha256.clone()) {
                bail!(
                    "{} is not what was backed up: it has {} bytes and the SHA-256 {}, and had {} bytes and {}. Take \
                     another backup, or another copy of this one",
                    backup.join(&entry.name).display(),
                    found.0,
                    found.1,
                    entry.bytes,
                    entry.sha256
                );
            }
            copy.sync_all()?;
        }
        Ok(())
    }

    /// How long its files are, all together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A new file that only its owner reads.
fn private_file(path: &Path) -> anyhow::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).with_context(|| format!("cannot make {}", path.display()))
}

fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        cause.downcast_ref().is_some_and(full) || matches!(cause.downcast_ref(), Some(CopyError::Full))
    })
}

#[cfg(test)]
mod tests;
