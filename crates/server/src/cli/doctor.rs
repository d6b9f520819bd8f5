//! `tidings doctor`: what is wrong here.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::desk::Output;
use crate::data_dir::default_path;
use crate::doctor::{self, Report};

/// Say what is wrong with a server's data, and what to do about it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tidings doctor data --data-dir /var/lib/tidings")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Examine the data directory of a stopped server.
    ///
    /// It looks at permissions, free space, the key file, every page of the database, and holds its tables against
    /// each other. It repairs nothing, and exits with 1 if it finds something. A large directory takes some minutes.
    #[command(after_help = "\
Examples:
  tidings doctor data --data-dir /var/lib/tidings
  tidings doctor data --data-dir /var/lib/tidings --key-file /etc/tidings/key --json")]
    Data {
        /// The data directory [default: $XDG_DATA_HOME/tidings or ~/.local/share/tidings]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// The key file [default: the one that the server used last]
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
}

pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Command::Data { data_dir, key_file, output } = options.command;
    let data = data_dir.map_or_else(default_path, Ok)?;
    let report = doctor::examine(&data, key_file.as_deref())?;
    output.print(&serde_json::to_value(&report)?, |_| for_people(&report));
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn for_people(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&format!("{}: {}\n  {}\n", finding.place, finding.what, finding.todo));
    }
    let examined = report.examined.join(", ");
    text.push_str(&match report.findings.len() {
        0 => format!("nothing is wrong (examined: {examined}; schema version {})\n", report.schema),
        1 => format!("1 thing is wrong (examined: {examined})\n"),
        count => format!("{count} things are wrong (examined: {examined})\n"),
    });
    text
}
