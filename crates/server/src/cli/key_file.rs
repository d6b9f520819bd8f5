//! `tidings key-file`: new keys for secrets at rest, and dropping old ones.

use std::path::PathBuf;

use anyhow::{Context, ensure};

use crate::data_dir::default_path;
use crate::key_file::{KeyFile, keys_in_use, place_for};

/// Change the key that secrets in the data directory are sealed with.
///
/// The file has one key on each line. The server seals with the first and opens with all of them; it makes
/// the file when it starts for the first time. A server seals everything anew when it starts with a new first
/// key, which takes some seconds for 100,000 subscriptions. Copies of the data need the keys of their time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, for `tidings serve`:
  tidings key-file rotate --data-dir /var/lib/tidings      then start the server again, and after that
  tidings key-file prune --data-dir /var/lib/tidings")]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Put a new key before the others; the server uses it from its next start on.
    Rotate(Which),
    /// Drop the keys that seal nothing in the data directory any more. Backups of it that are older than the new key,
    /// and other data directories with the same key file, need them: copy the file first.
    Prune(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The data directory, whose server may run [default: $XDG_DATA_HOME/tidings or ~/.local/share/tidings].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The key file [default: the one that the server used last].
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Which {
    fn find(self) -> anyhow::Result<(PathBuf, KeyFile)> {
        let data = self.data_dir.map_or_else(default_path, Ok)?;
        ensure!(data.is_dir(), "there is no data directory {}; name one with --data-dir DIR", data.display());
        let file = place_for(&data, self.key_file.as_deref())?;
        let missing = || format!("there is no key file {}; name one with --key-file FILE", file.display());
        let file = KeyFile::read(&file)?.with_context(missing)?;
        Ok((data, file))
    }
}

pub fn run(options: Options) -> anyhow::Result<()> {
    match options.action {
        Action::Rotate(which) => {
            let (_, file) = which.find()?;
            println!("the key {} is the first from the next start of the server on", file.rotate()?);
        }
        Action::Prune(which) => {
            let (data, file) = which.find()?;
            let dropped = file.prune(&keys_in_use(&data)?)?;
            for id in &dropped {
                println!("dropped the key {id}");
            }
            match dropped.is_empty() {
                true => println!("there is no key that can be dropped"),
                false => println!("backups that were made with what was dropped cannot be opened without it"),
            }
        }
    }
    Ok(())
}
