//! The files of the attempt log: each begins with a number that its name says, and holds a line for each write, sealed.
//! The oldest files go when they are too old, or all are too long. What is torn or cannot be opened is passed over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::{AppId, SubscriptionId, TenantId, Timestamp};
use store::seal::Keys;

use super::entry::Entry;
use crate::data_dir::make_private_dir;

/// What a line is sealed as.
const SEALED_AS: &str = "attempts.line";
/// A file has at most so much of what all may have: so the newest are kept when the oldest goes.
const SHARE_OF_ONE: u64 = 16;
/// A file is of at most one day.
const DAY_MICROS: u64 = 24 * 3_600 * 1_000_000;
/// Files in all, however often the server starts.
const FILES_MAX: usize = 1_000;

/// What is kept. Old files go when another one begins, so they are kept up to a day longer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub age_micros: i64,
    pub bytes_max: u64,
}

/// Whose receivers attempts were at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub tenant: TenantId,
    pub app: AppId,
}

/// Which attempts are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those of this owner alone.
    pub owner: Option<Owner>,
    pub app: Option<AppId>,
    pub subscription: Option<SubscriptionId>,
    pub since: Option<Timestamp>,
    pub outcome: Option<String>,
    /// Those with lower numbers.
    pub before: Option<u64>,
    pub most: usize,
    /// So many files are read at most.
    pub files_max: usize,
}

/// Attempts, the newest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub entries: Vec<Entry>,
    pub more: bool,
    /// If there may be more: it has lower numbers.
    pub before: Option<u64>,
}

pub struct Segments {
    dir: PathBuf,
    keys: Keys,
    limits: Limits,
    open: Option<Open>,
}

/// The file that is written.
struct Open {
    begins: u64,
    file: File,
    bytes: u64,
}

impl Segments {
    pub fn new(dir: PathBuf, keys: Keys, limits: Limits) -> Self {
        Self { dir, keys, limits, open: None }
    }

    /// Writes entries, all or none. After a failure another file begins, since a line of this one may be torn.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let Some(first) = entries.first() else { return Ok(()) };
        let plain = serde_json::to_vec(entries)?;
        let is_over = |open: &Open| {
            open.bytes + (plain.len() as u64) * 4 / 3 > self.limits.bytes_max / SHARE_OF_ONE
                || first.number.saturating_sub(open.begins) > DAY_MICROS
        };
        let mut open = match self.open.take().filter(|open| !is_over(open)) {
            Some(open) => open,
            None => self.begin(first.number)?,
        };
        let mut line = STANDARD.encode(self.keys.seal(SEALED_AS, &open.begins.to_be_bytes(), &plain));
        line.push('\n');
        open.file.write_all(line.as_bytes())?;
        open.bytes += line.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn begin(&self, number: u64) -> io::Result<Open> {
        make_private_dir(&self.dir)?;
        self.prune(number)?;
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path_of(&self.dir, number))?;
        let bytes = file.metadata()?.len();
        Ok(Open { begins: number, file, bytes })
    }

    /// Removes the oldest files, so that the next one has its share.
    fn prune(&self, now: u64) -> io::Result<()> {
        let begins = begins(&self.dir)?;
        let old = now.saturating_sub(self.limits.age_micros.unsigned_abs());
        let most = self.limits.bytes_max - self.limits.bytes_max / SHARE_OF_ONE;
        let mut bytes = 0;
        for (newer, begins) in begins.iter().rev().enumerate() {
            let path = path_of(&self.dir, *begins);
            bytes += fs::metadata(&path)?.len();
            if bytes > most || newer + 1 >= FILES_MAX || begins.saturating_add(DAY_MICROS) < old {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Reads from the newest on until there are enough.
pub fn read(dir: &Path, keys: &Keys, wanted: &Wanted) -> io::Result<Found> {
    let since = wanted.since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0));
    let (mut found, mut last) = (Found::default(), None);
    let files = begins(dir)?.into_iter().rev().filter(|begins| wanted.before.is_none_or(|before| *begins < before));
    for (read, begins) in files.enumerate() {
        if read >= wanted.files_max {
            return Ok(Found { more: true, before: last, ..found });
        }
        let content = match fs::read(path_of(dir, begins)) {
            Ok(content) => content,
            // It has become too old meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in content.rsplit(|byte| *byte == b'\n') {
            let entries = opened(line, keys, begins).unwrap_or_default();
            for entry in entries.into_iter().rev().filter(|entry| wanted.has(entry)) {
                if found.entries.len() >= wanted.most {
                    return Ok(Found { more: true, before: last, ..found });
                }
                last = Some(entry.number);
                found.entries.push(entry);
            }
        }
        last = Some(begins);
        if begins < since {
            break;
        }
    }
    Ok(found)
}

impl Wanted {
    fn has(&self, entry: &Entry) -> bool {
        self.owner.is_none_or(|of| entry.tenant == Some(of.tenant) && entry.app == of.app)
            && self.app.is_none_or(|app| entry.app == app)
            && self.subscription.is_none_or(|id| entry.subscriptions.contains(&id))
            && self.since.is_none_or(|since| entry.at >= since)
            && self.outcome.as_ref().is_none_or(|outcome| entry.outcome == *outcome)
            && self.before.is_none_or(|before| entry.number < before)
    }
}

fn opened(line: &[u8], keys: &Keys, begins: u64) -> Option<Vec<Entry>> {
    let plain = keys.open(SEALED_AS, &begins.to_be_bytes(), &STANDARD.decode(line).ok()?).ok()?;
    serde_json::from_slice(&plain).ok()
}

/// What the files begin with, the oldest first.
fn begins(dir: &Path) -> io::Result<Vec<u64>> {
    let files = match fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut begins = Vec::new();
    for file in files {
        let name = file?.file_name();
        begins.extend(name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u64>().ok()));
    }
    begins.sort_unstable();
    Ok(begins)
}

fn path_of(dir: &Path, begins: u64) -> PathBuf {
    dir.join(format!("{begins:020}.log"))
}
