//! `tidings backup`: a copy of the data, while the server runs.

use std::path::PathBuf;

use anyhow::ensure;

use super::progress::bar;
use crate::backup::{self, MANIFEST_FILE};
use crate::clock::Clock;
use crate::data_dir::default_path;
use crate::key_file::place_for;

/// Copy the data directory of a server, which may run meanwhile.
///
/// The copy shows one moment: the mailboxes, the directory, subscriptions, the log, what is not delivered yet, and
/// the keys that tokens are signed with. Secrets in it stay sealed. The key file, without which it cannot be
/// restored, is not in it: keep a copy of that elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings backup --data-dir /var/lib/tidings --to /backup/tidings-$(date +%F)
  tidings restore --from /backup/tidings-2026-11-30 --data-dir /var/lib/tidings-new --key-file /etc/tidings/key")]
pub struct Options {
    /// The directory to make; it must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The data directory [default: $XDG_DATA_HOME/tidings or ~/.local/share/tidings]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub fn run(options: Options) -> anyhow::Result<()> {
    let data = options.data_dir.map_or_else(default_path, Ok)?;
    ensure!(data.is_dir(), "there is no data directory {}; name one with --data-dir DIR", data.display());
    let progress = bar("pages");
    let manifest = backup::make(&data, &options.to, Clock::new().wall(), |done, of| {
        progress.set_length(of);
        progress.set_position(done);
    })?;
    progress.finish_and_clear();
    let (to, files, bytes) = (options.to.join(MANIFEST_FILE), manifest.files.len(), manifest.bytes());
    println!("backed up {} ({files} files, {bytes} bytes); see {}", data.display(), to.display());
    let place = place_for(&data, None).map(|place| format!(", {},", place.display())).unwrap_or_default();
    let keys = manifest.keys.join(" and ");
    eprintln!("to restore it takes the key {keys}; the key file{place} is NOT in the backup: keep a copy elsewhere");
    Ok(())
}
