//! `tidings restore`: a new data directory from a backup.

use std::path::PathBuf;

use super::progress::bar;
use crate::backup::Manifest;
use crate::{ids, key_file, restore};

/// Make a data directory from a backup.
///
/// The server that starts with it begins where the backup ends: what was not delivered then is delivered, each
/// subscription's app gets one `missed`, delta tokens of before are answered with 410, so that clients read anew, and
/// users sign in again. Whatever was changed after the backup is as it was: remove, disable and revoke again what must
/// not be.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tidings restore --from /backup/tidings-2026-11-30 --data-dir /var/lib/tidings-new --key-file /etc/tidings/key")]
pub struct Options {
    /// The backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The data directory to make; it must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The key file with the keys that the backup needs [default: $XDG_CONFIG_HOME/tidings/key or
    /// ~/.config/tidings/key]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub fn run(options: Options) -> anyhow::Result<()> {
    let Options { from, data_dir, key_file } = options;
    let key_file = key_file.map_or_else(key_file::default_path, Ok)?;
    let manifest = Manifest::read(&from)?;
    let progress = bar("bytes");
    let generation = ids::new_generation();
    let begun = restore::restore((&from, &manifest), &data_dir, &key_file, generation, |done, of| {
        progress.set_length(of);
        progress.set_position(done);
    })?;
    progress.finish_and_clear();
    println!(
        "restored {} as it was at {} to {}\n{} subscriptions are owed a missed notification; {} codes and refresh tokens \
         count no more",
        from.display(),
        manifest.made,
        data_dir.display(),
        begun.subscriptions,
        begun.redeemables
    );
    Ok(())
}
