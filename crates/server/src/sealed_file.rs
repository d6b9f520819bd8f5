//! A file of the data directory whose content is sealed.

use std::path::{Path, PathBuf};

use anyhow::Context;
use store::seal::{KeyId, Keys, sealed_with};

use crate::data_dir::{read, write_private};

/// What its content is sealed as, for its name.
const SEALED_AS: &str = "file";

pub struct SealedFile {
    dir: PathBuf,
    name: &'static str,
    keys: Keys,
}

impl SealedFile {
    pub fn new(dir: &Path, name: &'static str, keys: Keys) -> Self {
        Self { dir: dir.to_owned(), name, keys }
    }

    /// The content, if there is the file. What another key sealed is sealed anew with the first.
    pub fn read(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some((content, key)) = self.opened()? else { return Ok(None) };
        if key != Some(self.keys.first()) {
            self.write(&content)?;
        }
        Ok(Some(content))
    }

    /// Whether it opens, if there is the file.
    pub fn look(&self) -> anyhow::Result<()> {
        self.opened().map(drop)
    }

    /// The content, and the key that sealed it.
    fn opened(&self) -> anyhow::Result<Option<(Vec<u8>, Option<KeyId>)>> {
        let Some(sealed) = read(&self.dir, self.name)? else { return Ok(None) };
        let content = self.keys.open(SEALED_AS, self.name.as_bytes(), &sealed);
        let content = content.with_context(|| format!("cannot open {}", self.dir.join(self.name).display()))?;
        Ok(Some((content, sealed_with(&sealed))))
    }

    /// Replaces the content, whole or not at all.
    pub fn write(&self, content: &[u8]) -> anyhow::Result<()> {
        write_private(&self.dir, self.name, &self.keys.seal(SEALED_AS, self.name.as_bytes(), content))
    }
}

/// The key that a file is sealed with.
pub fn key_of(dir: &Path, name: &str) -> anyhow::Result<Option<KeyId>> {
    Ok(read(dir, name)?.as_deref().and_then(sealed_with))
}
