//! Dead letters as files. One that is there is whole: it is written beside its place, synced, and moved there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use protocol::event_grid::dead_letter::RECORD_BYTES_MAX;
use tempfile::NamedTempFile;

use super::KeepError;

/// Year, month, day and hour.
const LEVELS: usize = 4;

#[derive(Clone)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// It must be there: what is mounted later would hide what was written before.
    pub fn new(root: PathBuf) -> anyhow::Result<Self> {
        let found = fs::metadata(&root);
        let found = found.with_context(|| format!("dead_letters.directory {} cannot be used", root.display()))?;
        ensure!(found.is_dir(), "dead_letters.directory {} is no directory", root.display());
        Ok(Self { root })
    }

    pub async fn put(&self, key: &str, record: Vec<u8>) -> Result<(), KeepError> {
        let (root, path) = (self.root.clone(), self.root.join(key));
        blocking(path.clone(), move || write(&root, &path, &record)).await
    }

    pub async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, KeepError> {
        let path = self.root.join(key);
        blocking(path.clone(), move || found(read(&path))).await
    }

    pub async fn remove(&self, key: &str) -> Result<(), KeepError> {
        let path = self.root.join(key);
        blocking(path.clone(), move || match found(fs::remove_file(&path))? {
            Some(()) => sync_directory(parent(&path)),
            None => Ok(()),
        })
        .await
    }

    pub async fn keys(&self, folder: String, after: Option<String>, limit: usize) -> Result<Vec<String>, KeepError> {
        let root = self.root.join(&folder);
        blocking(root.clone(), move || {
            let after = after.as_deref().and_then(|key| key.strip_prefix(&folder)?.strip_prefix('/'));
            let after = after.map(|key| key.split('/').collect::<Vec<_>>());
            let mut walk = Walk { keys: Vec::new(), limit };
            walk.down(&root, &folder, 0, after.as_deref())?;
            Ok(walk.keys)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, KeepError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| KeepError::Lost)?;
    done.map_err(|error| KeepError::Io(path, error))
}

fn write(root: &Path, path: &Path, record: &[u8]) -> io::Result<()> {
    let directory = parent(path);
    make(root, directory)?;
    let mut file = NamedTempFile::with_prefix_in(".writing-", directory)?;
    file.write_all(record)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_directory(directory)
}

/// Makes a directory below `root` with what leads there, each of them durable.
fn make(root: &Path, directory: &Path) -> io::Result<()> {
    if directory == root {
        return Ok(());
    }
    let above = parent(directory);
    if directory.is_dir() {
        // Whoever made it may not have come to that.
        return sync_directory(above);
    }
    make(root, above)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(above),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut record = Vec::new();
    // What is longer is cut, and then is no record.
    File::open(path)?.take(RECORD_BYTES_MAX as u64).read_to_end(&mut record)?;
    Ok(record)
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    // Elsewhere a directory is no file that can be opened.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Goes through years, months, days and hours in their order.
struct Walk {
    keys: Vec<String>,
    limit: usize,
}

impl Walk {
    /// `after`: nothing up to this path below `directory` is wanted.
    fn down(&mut self, directory: &Path, key: &str, level: usize, after: Option<&[&str]>) -> io::Result<()> {
        let Some(entries) = found(fs::read_dir(directory))? else { return Ok(()) };
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        let names: Vec<String> = names.filter_map(Result::transpose).collect::<io::Result<_>>()?;
        match level {
            LEVELS => self.files(key, names, after),
            _ => self.numbers(directory, key, level, names, after)?,
        }
        Ok(())
    }

    fn numbers(
        &mut self,
        directory: &Path,
        key: &str,
        level: usize,
        names: Vec<String>,
        after: Option<&[&str]>,
    ) -> io::Result<()> {
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        let (first, rest) = after.and_then(<[&str]>::split_first).unzip();
        let first: Option<u32> = first.and_then(|first| first.parse().ok());
        for number in numbers {
            if self.keys.len() >= self.limit {
                break;
            }
            if first.is_some_and(|first| number < first) {
                continue;
            }
            let name = number.to_string();
            let rest = if first == Some(number) { rest } else { None };
            self.down(&directory.join(&name), &format!("{key}/{name}"), level + 1, rest)?;
        }
        Ok(())
    }

    fn files(&mut self, key: &str, mut names: Vec<String>, after: Option<&[&str]>) {
        let after = after.and_then(|after| after.first());
        names.retain(|name| {
            name.ends_with(".json") && !name.starts_with('.') && after.is_none_or(|after| name.as_str() > *after)
        });
        names.sort_unstable();
        let room = self.limit - self.keys.len();
        self.keys.extend(names.iter().take(room).map(|name| format!("{key}/{name}")));
    }
}
