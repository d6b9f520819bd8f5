//! The directory that holds everything a server keeps: the store, its keys, the ready file. One process
//! holds it at a time; secrets in it are readable by its owner only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::backup::{DATABASE_FILE, MANIFEST_FILE};

/// What the running server tells other commands; removed when it stops.
pub const READY_FILE: &str = "ready.json";
/// The bearer token of the admin API.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";
/// Where the running server serves its admin API.
pub const ADMIN_URL_FILE: &str = "admin-url";

/// How far the clock of a development server was moved.
const CLOCK_FILE: &str = "clock";

/// The keys that tokens are signed with, sealed.
pub const SIGNING_KEYS_FILE: &str = "signing-keys";
/// The same as earlier versions kept them, in clear.
pub const PLAIN_SIGNING_KEYS_FILE: &str = "signing-keys.json";
/// The one key of still earlier versions.
pub const SIGNING_KEY_FILE: &str = "signing-key.pk8";

/// What a process locks.
const LOCK_FILE: &str = "lock";

/// A data directory, locked for this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// `None`: it is only looked at, and nobody has ever used it.
    _lock: Option<File>,
    _temporary: Option<TempDir>,
}

impl DataDir {
    /// Makes the directory if need be, and takes its lock.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Self::try_open(path)?.with_context(|| {
            format!(
                "the data directory {} is in use by another tidings process; stop that one or choose another directory \
                 (--data-dir DIR, or --ephemeral)",
                path.display()
            )
        })
    }

    /// The same; `None` if another process has the lock.
    pub fn try_open(path: &Path) -> anyhow::Result<Option<Self>> {
        // It would be no backup any more, and what restoring does would not be done.
        ensure!(
            !path.join(MANIFEST_FILE).exists(),
            "{0} is a backup, and stays as it is; make a data directory of it: tidings restore --from {0} --data-dir DIR (if a \
             server has run on it before, it is none any more: remove {MANIFEST_FILE} there)",
            path.display()
        );
        make_private_dir(path).with_context(|| format!("cannot make the data directory {}", path.display()))?;
        let file = path.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&file);
        let lock = lock.with_context(|| format!("cannot open {}", file.display()))?;
        Self::locked(path, lock.try_lock(), lock)
    }

    /// To look at a directory, or a backup, on whatever it lies: nothing is made. `None` if another process has the lock.
    pub fn try_look(path: &Path) -> anyhow::Result<Option<Self>> {
        let file = path.join(LOCK_FILE);
        match File::open(&file) {
            // Others may look as well.
            Ok(lock) => Self::locked(path, lock.try_lock_shared(), lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Some(Self { path: path.to_owned(), _lock: None, _temporary: None }))
            }
            Err(error) => Err(error).with_context(|| format!("cannot open {}", file.display())),
        }
    }

    fn locked(path: &Path, tried: Result<(), TryLockError>, lock: File) -> anyhow::Result<Option<Self>> {
        match tried {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), _lock: Some(lock), _temporary: None })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock the data directory {}", path.display()))
            }
        }
    }

    /// A directory that goes away with this value.
    pub fn temporary() -> anyhow::Result<Self> {
        let temporary = TempDir::with_prefix("tidings-").context("cannot make a temporary directory")?;
        let mut dir = Self::open(temporary.path())?;
        dir._temporary = Some(temporary);
        Ok(dir)
    }

    /// Where the store lies.
    pub fn store(&self) -> PathBuf {
        store_in(&self.path)
    }

    /// Fails where there was a store and is none any more: one that is made anew would know nobody, so that mail bounces
    /// and apps are told that their subscriptions never were. Signing keys are made after the store.
    pub fn ensure_store_is_not_lost(&self) -> anyhow::Result<()> {
        let database = self.join(DATABASE_FILE);
        let is_lost = match fs::metadata(&database) {
            Ok(file) => file.len() == 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error).with_context(|| format!("cannot look at {}", database.display())),
        };
        ensure!(
            !(is_lost && self.join(SIGNING_KEYS_FILE).exists()),
            "{} is missing or empty, and {SIGNING_KEYS_FILE} beside it shows that there was a store; put a backup back \
             (tidings restore), or remove {SIGNING_KEYS_FILE} to begin with an empty one",
            database.display()
        );
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The content of a file that is made once, by `make`, and kept.
    pub fn made_once(&self, name: &str, make: impl FnOnce() -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
        if let Some(content) = self.read(name)? {
            return Ok(content);
        }
        let content = make()?;
        self.write_private(name, &content)?;
        Ok(content)
    }

    /// The content of a file, if there is one.
    pub fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        read(&self.path, name)
    }

    /// Replaces a file, whole or not at all; only the owner may read it. One that says the same stays as it is: so who only looks
    /// takes no file over, and writes nothing on a full disk.
    pub fn write_private(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        match self.read(name) {
            Ok(Some(kept)) if kept == content => Ok(()),
            _ => write_private(&self.path, name, content),
        }
    }

    /// How many microseconds the clock goes ahead of the world.
    pub fn clock_ahead(&self) -> anyhow::Result<u64> {
        let Some(kept) = self.read(CLOCK_FILE)? else { return Ok(0) };
        let read = std::str::from_utf8(&kept).ok().and_then(|text| text.trim().parse().ok());
        read.with_context(|| format!("{} is not a number of microseconds", self.join(CLOCK_FILE).display()))
    }

    /// Removes a file; it is no error if there is none.
    pub fn remove(&self, name: &str) {
        if let Err(error) = fs::remove_file(self.join(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = name, %error, "cannot remove a file of the data directory");
        }
    }
}

/// The content of a file in a directory, if there is one.
pub fn read(dir: &Path, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let file = dir.join(name);
    match fs::read(&file) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Replaces a file in a directory, whole or not at all; only the owner may read it.
pub fn write_private(dir: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(dir.join(name)).map_err(|error| error.error)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", dir.join(name).display()))
}

/// Keeps how many microseconds the clock of the data directory `dir` goes ahead of the world.
pub fn keep_clock(dir: &Path, ahead: u64) -> anyhow::Result<()> {
    write_private(dir, CLOCK_FILE, ahead.to_string().as_bytes())
}

/// `$XDG_DATA_HOME/tidings`, or `~/.local/share/tidings`.
pub fn default_path() -> anyhow::Result<PathBuf> {
    of_user("XDG_DATA_HOME", ".local/share")
        .context("neither XDG_DATA_HOME nor HOME is set; name a directory with --data-dir DIR")
}

/// `tidings` in the directory that the variable names, or in one below the home directory.
pub fn of_user(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set(variable).or_else(|| Some(set("HOME")?.join(below_home)))?;
    Some(base.join("tidings"))
}

/// Where the store of a data directory lies.
pub fn store_in(directory: &Path) -> PathBuf {
    directory.join("store")
}

/// Makes a directory, if need be, that only its owner looks into.
#[cfg(unix)]
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused_with_what_to_do() {
        let first = DataDir::temporary().unwrap();
        let error = DataDir::open(first.path()).unwrap_err().to_string();
        assert!(error.contains("in use by another tidings process") && error.contains("--data-dir"), "{error}");
    }

    #[test]
    fn a_backup_is_looked_at_and_not_used() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(MANIFEST_FILE), b"{}").unwrap();
        let refusal = DataDir::open(home.path()).unwrap_err().to_string();
        assert!(refusal.contains("is a backup") && refusal.contains("tidings restore --from"), "{refusal}");
        assert!(DataDir::try_look(home.path()).unwrap().is_some());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing was made");
    }

    #[test]
    fn who_looks_is_told_of_a_process_that_has_the_directory() {
        let dir = DataDir::temporary().unwrap();
        assert!(DataDir::try_look(dir.path()).unwrap().is_none());
    }

    #[test]
    fn a_store_that_is_lost_is_not_made_anew_without_a_word() {
        let dir = DataDir::temporary().unwrap();
        dir.ensure_store_is_not_lost().unwrap();
        dir.write_private(SIGNING_KEYS_FILE, b"keys").unwrap();
        let lost = || dir.ensure_store_is_not_lost().unwrap_err().to_string();
        assert!(lost().contains("is missing or empty") && lost().contains("tidings restore"), "{}", lost());
        fs::create_dir(dir.store()).unwrap();
        fs::write(dir.join(DATABASE_FILE), b"").unwrap();
        assert!(lost().contains("is missing or empty"), "{}", lost());
        fs::write(dir.join(DATABASE_FILE), b"SQLite").unwrap();
        dir.ensure_store_is_not_lost().unwrap();
    }

    #[test]
    fn reading_by_a_neighbour_of_a_secret_fails_and_it_is_made_once() {
        let dir = DataDir::temporary().unwrap();
        let first = dir.made_once("token", || Ok(b"one".to_vec())).unwrap();
        let second = dir.made_once("token", || Ok(b"two".to_vec())).unwrap();
        assert_eq!((first.as_slice(), second.as_slice()), (&b"one"[..], &b"one"[..]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(dir.join("token")).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
