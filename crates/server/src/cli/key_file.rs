//! `tidings key-file`: new keys for secrets at rest, and dropping old ones.

use std::path::PathBuf;

use anyhow::Context;
use store::sqlite::keys_in_use;

use crate::data_dir::{default_path as default_data, store_in};
use crate::key_file::{KeyFile, default_path};

/// Change the key that secrets in the data directory are sealed with.
///
/// The file has one key on each line. The server seals with the first and opens with all of them; it makes
/// the file when it starts for the first time. A server seals everything anew when it starts with a new first
/// key, which takes some seconds for 100,000 subscriptions. Copies of the data need the keys of their time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, for `tidings serve`:
  tidings key-file rotate --key-file /etc/tidings/key      then start the server again, and after that
  tidings key-file prune --key-file /etc/tidings/key --data-dir /var/lib/tidings")]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Put a new key before the others; the server uses it from its next start on.
    Rotate {
        /// The key file [default: $XDG_CONFIG_HOME/tidings/key or ~/.config/tidings/key].
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Drop the keys that seal nothing in a data directory any more.
    Prune {
        /// The key file [default: $XDG_CONFIG_HOME/tidings/key or ~/.config/tidings/key].
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// The data directory, whose server may run [default: $XDG_DATA_HOME/tidings or ~/.local/share/tidings].
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
}

pub fn run(options: Options) -> anyhow::Result<()> {
    match options.action {
        Action::Rotate { key_file } => {
            let id = read(key_file)?.rotate()?;
            println!("the key {id} is the first from the next start of the server on");
        }
        Action::Prune { key_file, data_dir } => {
            let data = data_dir.map_or_else(default_data, Ok)?;
            anyhow::ensure!(data.is_dir(), "there is no data directory {}; name one with --data-dir", data.display());
            let in_use = keys_in_use(store_in(&data))?;
            let dropped = read(key_file)?.prune(&in_use)?;
            for id in &dropped {
                println!("dropped the key {id}");
            }
            if dropped.is_empty() {
                println!("every key but the first, if there are more, is still in use");
            }
        }
    }
    Ok(())
}

fn read(file: Option<PathBuf>) -> anyhow::Result<KeyFile> {
    let file = file.map_or_else(default_path, Ok)?;
    let missing = || format!("there is no key file {}; name one with --key-file FILE", file.display());
    KeyFile::read(&file)?.with_context(missing)
}
