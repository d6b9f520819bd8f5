//! `tidings keys`: what the server signs tokens with.

use clap::Subcommand;
use serde_json::json;

use super::desk::{Desk, Output, text};
use super::place::Running;

/// Change the keys that tokens are signed with.
///
/// A server makes a new key by itself every 30 days, and tokens of the one before are good until they
/// expire. This is for the day on which a key must go before its time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tidings keys rotate --data-dir /var/lib/tidings")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign with a new key from now on.
    #[command(after_help = "\
Examples:
  tidings keys rotate
  tidings keys rotate --distrust               somebody else may have the key: every token is worth nothing at once")]
    Rotate {
        /// Accept no token that was signed before; apps must get new ones
        #[arg(long)]
        distrust: bool,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Running,
    },
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Command::Rotate { distrust, output, place } = options.command;
    let desk = Desk::of_running(&place, "keys are rotated while the server runs")?;
    let rotated = desk.post("keys/rotate", json!({ "distrust": distrust })).await?;
    output.print(&rotated, |rotated| format!("{} signs now\n", text(rotated, "kid")));
    Ok(())
}
