//! A directory that is filled: what is made lies aside until it is whole. Of what is broken off nothing is left; what is
//! killed leaves what the next try takes away.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::data_dir::make_private_dir;

/// How the names of places begin where things are made.
const PREFIX: &str = ".unfinished-";

/// A directory that was empty, with a place in it where things are made.
pub struct Staging {
    dir: PathBuf,
    /// Held while it is filled.
    _lock: Option<File>,
    /// It was not there before.
    made: bool,
    aside: Option<TempDir>,
}

impl Staging {
    pub fn begin(dir: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot write to {}", dir.display());
        let made = !dir.try_exists().with_context(cannot)?;
        ensure!(
            made || unfinished(dir).with_context(cannot)?.is_some(),
            "the directory {} is not empty; name a new one",
            dir.display()
        );
        make_private_dir(dir).with_context(cannot)?;
        let lock = lock(dir)?;
        // Whoever had the lock may have finished since the first look.
        let left = unfinished(dir).with_context(cannot)?;
        let Some(left) = left else { bail!("the directory {} is not empty; name a new one", dir.display()) };
        // Who left it is not there any more, or the lock would not be ours.
        for left in left.iter().filter(|_| lock.is_some()) {
            fs::remove_dir_all(left).with_context(cannot)?;
        }
        let mut staging = Self { dir: dir.to_owned(), _lock: lock, made, aside: None };
        staging.aside = Some(TempDir::with_prefix_in(PREFIX, dir).with_context(cannot)?);
        Ok(staging)
    }

    /// Where things are made.
    pub fn path(&self) -> &Path {
        self.aside.as_ref().map_or(&self.dir, TempDir::path)
    }

    /// Moves all that was made to its place; `last`, without which the directory is nothing, at the end.
    pub fn finish(mut self, last: &str) -> anyhow::Result<()> {
        let Some(aside) = self.aside.take() else { return Ok(()) };
        let moved = self.fill(aside.path(), last);
        if moved.is_err() {
            self.aside = Some(aside);
        }
        moved.with_context(|| format!("cannot write to {}", self.dir.display()))
    }

    fn fill(&self, aside: &Path, last: &str) -> io::Result<()> {
        for entry in fs::read_dir(aside)? {
            let name = entry?.file_name();
            if name != last {
                fs::rename(aside.join(&name), self.dir.join(&name))?;
            }
        }
        sync(&self.dir)?;
        fs::rename(aside.join(last), self.dir.join(last))?;
        sync(&self.dir)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.aside.take().is_some() && self.made {
            // What cannot be removed is empty at least.
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// What was not finished in a directory; `None`: there is something else.
fn unfinished(dir: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !entry.file_type()?.is_dir() {
            return Ok(None);
        }
        left.push(entry.path());
    }
    Ok(Some(left))
}

/// Keeps others from filling a directory; where directories are not opened, nobody is kept from it.
fn lock(dir: &Path) -> anyhow::Result<Option<File>> {
    if cfg!(not(unix)) {
        return Ok(None);
    }
    let lock = File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => bail!("another tidings process fills {} now; name a new one", dir.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", dir.display())),
    }
}

/// Brings a directory's entries to the disk.
pub fn sync(dir: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(dir)?.sync_all(),
        // Elsewhere directories are not opened.
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn what_is_finished_is_there_and_what_is_broken_off_is_not() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("new");
        let staging = Staging::begin(&dir).unwrap();
        fs::write(staging.path().join("a"), "a").unwrap();
        drop(staging);
        assert!(!dir.exists());
        let staging = Staging::begin(&dir).unwrap();
        fs::write(staging.path().join("a"), "a").unwrap();
        staging.finish("a").unwrap();
        assert_eq!(entries(&dir), ["a"]);
    }

    #[test]
    fn an_empty_directory_stays_when_it_is_broken_off() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::begin(dir.path()).unwrap();
        fs::write(staging.path().join("a"), "a").unwrap();
        let without_last = staging.finish("b").unwrap_err();
        assert!(format!("{without_last:#}").starts_with("cannot write to"), "{without_last:#}");
        assert!(dir.path().is_dir());
    }

    #[test]
    fn what_was_killed_is_taken_away_by_the_next_try_and_what_is_under_way_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let killed = dir.path().join(".unfinished-killed");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join("a"), "a").unwrap();
        let staging = Staging::begin(dir.path()).unwrap();
        assert!(!killed.exists());
        let refusal = Staging::begin(dir.path()).err().unwrap().to_string();
        assert_eq!(refusal, format!("another tidings process fills {} now; name a new one", dir.path().display()));
        fs::write(staging.path().join("a"), "a").unwrap();
        staging.finish("a").unwrap();
        assert_eq!(entries(dir.path()), ["a"]);
        let file = tempfile::tempdir().unwrap();
        fs::write(file.path().join(".unfinished-file"), "a").unwrap();
        assert!(Staging::begin(file.path()).is_err(), "that is none of ours");
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "a").unwrap();
        let refusal = Staging::begin(dir.path()).err().unwrap().to_string();
        assert_eq!(refusal, format!("the directory {} is not empty; name a new one", dir.path().display()));
    }
}
