//! The file with the keys that secrets at rest are sealed with, one on a line: the first seals, all of them open.
//! It lies outside the data directory, so that a copy of the data alone tells no secret.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use store::seal::{KEY_BYTES, Key, KeyId, Keys};
use store::sqlite;
use tempfile::NamedTempFile;

use crate::data_dir::{self, DataDir, SIGNING_KEYS_FILE};
use crate::{ids, sealed_file};

/// In the data directory: where the key file is.
const PLACE_FILE: &str = "key-file";
const KEYS_MAX: usize = 16;
const FILE_BYTES_MAX: u64 = 64 << 10;

const HEAD: &str = "\
# Tidings seals the secrets in its data with the first of these keys, and opens them with any of them.
# Keep a copy of this file, apart from the copies of the data: without it they cannot be read.
";

/// A key file that was read: at least one key.
pub struct KeyFile {
    path: PathBuf,
    keys: Vec<[u8; KEY_BYTES]>,
}

/// A key that goes away with the process.
pub fn in_memory() -> Keys {
    keys(&[ids::new_key()])
}

/// The keys for a data directory. The file is made if there is none and nothing is sealed yet, and its place is
/// noted for the commands.
pub fn keys_for(data: &DataDir, path: &Path) -> anyhow::Result<Keys> {
    ensure_outside(data.path(), path)?;
    let in_use = keys_in_use(data.path())?;
    let name_it = "name the right file with --key-file FILE";
    let file = match (KeyFile::read(path)?, in_use.first()) {
        (Some(file), _) => file,
        (None, None) => KeyFile::make(path)?,
        (None, Some(key)) => bail!(
            "secrets in {} are sealed with the key {key}, and there is no key file {}; put it back, or {name_it}",
            data.path().display(),
            path.display()
        ),
    };
    let keys = file.keys();
    if let Some(key) = in_use.into_iter().find(|key| !keys.has(*key)) {
        bail!(
            "secrets in {} are sealed with the key {key}, which the key file {} does not have; put it back there as \
             another line, or {name_it}",
            data.path().display(),
            path.display()
        );
    }
    let place = std::path::absolute(path)?;
    let place = place.to_str().context("the path of the key file is not UTF-8")?.as_bytes();
    data.write_private(PLACE_FILE, place)?;
    Ok(keys)
}

/// The keys without which what is sealed in a data directory cannot be opened.
pub fn keys_in_use(data: &Path) -> anyhow::Result<BTreeSet<KeyId>> {
    let mut keys = sqlite::keys_in_use(data_dir::store_in(data))?;
    keys.extend(sealed_file::key_of(data, SIGNING_KEYS_FILE)?);
    Ok(keys)
}

/// The key file of a data directory: the one that is named, else the one that was used last.
pub fn place_for(data: &Path, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    match fs::read_to_string(data.join(PLACE_FILE)) {
        Ok(place) => Ok(place.into()),
        Err(error) if error.kind() == ErrorKind::NotFound && !data_dir::store_in(data).exists() => bail!(
            "there is no store in {}; name the data directory of a server with --data-dir DIR, or the key file of a new one \
             with --key-file FILE",
            data.display()
        ),
        Err(error) => Err(error).with_context(|| {
            format!("it is not known where the key file of {} is; name it with --key-file FILE", data.display())
        }),
    }
}

/// `$XDG_CONFIG_HOME/tidings/key`, or `~/.config/tidings/key`.
pub fn default_path() -> anyhow::Result<PathBuf> {
    let directory = data_dir::of_user("XDG_CONFIG_HOME", ".config");
    let directory = directory.context("neither XDG_CONFIG_HOME nor HOME is set; name a file with --key-file FILE")?;
    Ok(directory.join("key"))
}

fn keys(all: &[[u8; KEY_BYTES]]) -> Keys {
    let mut keys = all.iter().map(Key::new);
    let first = keys.next().expect("there is a key");
    Keys::new(first, keys.collect(), ids::new_nonce)
}

fn id(key: &[u8; KEY_BYTES]) -> KeyId {
    Key::new(key).id()
}

impl KeyFile {
    /// `None` if there is no such file.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let cannot = || format!("cannot read the key file {}", path.display());
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(cannot),
        };
        #[cfg(unix)]
        ensure_private("key file", path, &file.metadata().with_context(cannot)?)?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).with_context(cannot)?;
        let keys = parse(&text).with_context(|| format!("{} is not a key file", path.display()))?;
        Ok(Some(Self { path: path.to_owned(), keys }))
    }

    /// Makes the file with one key; if another process was faster, what that has made is read.
    fn make(path: &Path) -> anyhow::Result<Self> {
        let keys = vec![ids::new_key()];
        let make = || -> io::Result<()> {
            data_dir::make_private_dir(parent(path))?;
            written(path, &keys)?.persist_noclobber(path)?;
            File::open(parent(path))?.sync_all()
        };
        match make() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Self::read(path)?.with_context(|| format!("the key file {} comes and goes", path.display()))
            }
            made => {
                let or = "let this user write there, or name another place with --key-file FILE";
                made.with_context(|| format!("cannot make the key file {}; {or}", path.display()))?;
                Ok(Self { path: path.to_owned(), keys })
            }
        }
    }

    pub fn keys(&self) -> Keys {
        keys(&self.keys)
    }

    /// By what its keys are known.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(id)
    }

    /// Puts a new key before the others, and tells its id.
    pub fn rotate(mut self) -> anyhow::Result<KeyId> {
        let most = "the key file has as many keys as it may have; drop old ones with `tidings key-file prune`";
        ensure!(self.keys.len() < KEYS_MAX, most);
        let new = ids::new_key();
        self.keys.insert(0, new);
        self.replace()?;
        Ok(id(&new))
    }

    /// Drops the keys that are neither the first nor in use, and tells their ids. If one in use is missing here, the
    /// file is the wrong one or lost a line, and stays as it is.
    pub fn prune(mut self, in_use: &BTreeSet<KeyId>) -> anyhow::Result<Vec<KeyId>> {
        let known: BTreeSet<KeyId> = self.keys.iter().map(id).collect();
        if let Some(missing) = in_use.difference(&known).next() {
            bail!(
                "the data is sealed with the key {missing}, which {} does not have: put it back, or name the right file \
                 with --key-file FILE; nothing was dropped",
                self.path.display()
            );
        }
        let first = self.keys.first().copied();
        let stays = |key: &[u8; KEY_BYTES]| Some(*key) == first || in_use.contains(&id(key));
        let dropped: Vec<KeyId> = self.keys.iter().filter(|key| !stays(key)).map(id).collect();
        if !dropped.is_empty() {
            self.keys.retain(stays);
            self.replace()?;
        }
        Ok(dropped)
    }

    /// Writes the file anew, whole or not at all. Its owner and mode stay.
    fn replace(&self) -> anyhow::Result<()> {
        let replace = || -> io::Result<()> {
            let path = self.path.canonicalize()?;
            let new = written(&path, &self.keys)?;
            let old = fs::metadata(&path)?;
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt as _;
                let made = new.as_file().metadata()?;
                if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
                    std::os::unix::fs::fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
                }
            }
            new.as_file().set_permissions(old.permissions())?;
            new.persist(&path)?;
            File::open(parent(&path))?.sync_all()
        };
        replace().with_context(|| format!("cannot write the key file {}", self.path.display()))
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<[u8; KEY_BYTES]>> {
    let mut keys: Vec<[u8; KEY_BYTES]> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        // What is in the line is not told: it may be nearly a key.
        let key = STANDARD.decode(line).ok().and_then(|bytes| bytes.try_into().ok());
        let key = key.with_context(|| format!("line {number} is not a key, which is {KEY_BYTES} bytes in base64"))?;
        ensure!(!keys.contains(&key), "line {number} has a key that another line has, too");
        keys.push(key);
        ensure!(keys.len() <= KEYS_MAX, "it has more than {KEYS_MAX} keys");
    }
    ensure!(!keys.is_empty(), "it has no key");
    Ok(keys)
}

/// A file beside `path` with these keys, on the disk, that only its owner may read.
fn written(path: &Path, keys: &[[u8; KEY_BYTES]]) -> io::Result<NamedTempFile> {
    let mut text = HEAD.to_owned();
    for key in keys {
        let _ = writeln!(text, "{}  # {}", STANDARD.encode(key), id(key));
    }
    let mut file = NamedTempFile::new_in(parent(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The text of a file for the server alone, at most so long.
pub fn read_private(what: &str, path: &Path, bytes_max: u64) -> anyhow::Result<String> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    ensure_private(what, path, &metadata)?;
    ensure!(metadata.len() <= bytes_max, "it is longer than {bytes_max} bytes");
    Ok(fs::read_to_string(path)?)
}

/// As for PostgreSQL's server key: for the owner alone; if that is root, the group may read it.
#[cfg(unix)]
pub fn ensure_private(what: &str, path: &Path, metadata: &fs::Metadata) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode() & 0o777;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    ensure!(
        mode & forbidden == 0,
        "the {what} {} is open to others (mode {mode:o}); take that from them: chmod 600 {0}",
        path.display()
    );
    Ok(())
}

/// Fails for a key file in the data directory, whether these are there already or not.
pub fn ensure_outside(data: &Path, path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot find the place of the key file {}", path.display());
    let (data, place) = (real(data).with_context(cannot)?, real(path).with_context(cannot)?);
    ensure!(
        !place.starts_with(&data),
        "the key file {} lies in the data directory, so that each copy of the data would have it; name one elsewhere \
         with --key-file FILE",
        path.display()
    );
    Ok(())
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> io::Result<PathBuf> {
    let mut real = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            // What there is not is no link.
            Component::ParentDir => drop(real.pop()),
            component => real.push(component),
        }
        real = real.canonicalize().unwrap_or(real);
    }
    Ok(real)
}

#[cfg(test)]
mod tests;
