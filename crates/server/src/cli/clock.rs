//! `tidings clock`: what time a development server has, and moves it forward.

use anyhow::ensure;
use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::{Desk, Output, text};
use super::place::{NAME_RUNNING, Place};

/// Show the clock of `tidings dev`, or move it forward, to see within seconds what takes days.
///
/// All that the server decides by the time moves along: subscriptions expire, apps are asked to reauthorize,
/// retries come due, throttling ends. It goes from one due time to the next and answers when everything has
/// happened that is due by then. Tokens, certificates and the Date header keep the real time, so tokens that
/// you have stay good. An app that computes expirationDateTime from its own clock asks for a time that has
/// passed, and gets the shortest life there is (45 minutes): let it begin with the time shown here.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings clock                     what time the server has
  tidings clock advance 3h
  tidings clock advance 2d --json")]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Move the clock forward, by 30 days at most.
    ///
    /// It never goes back; a start with `tidings dev --ephemeral`, or another --data-dir, begins with the real time.
    #[command(after_help = "\
Examples:
  tidings clock advance 90s
  tidings clock advance PT4H                          as Graph writes durations
  tidings clock advance --to 2026-12-24T18:00:00Z")]
    Advance {
        /// How far, such as 90s, 15m, 3h, 2d, PT4H
        #[arg(value_name = "DURATION", required_unless_present = "to", conflicts_with = "to")]
        by: Option<String>,
        /// The time to move it to
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Some(Command::Advance { by, to, output, place }) = options.command else {
        options.output.print(&open(&options.place)?.get("clock").await?, line);
        return Ok(());
    };
    let desk = open(&place)?;
    let ask = if let Some(to) = to { json!({ "to": to }) } else { json!({ "by": by }) };
    let mut moved = desk.post("clock/advance", ask).await?;
    while moved["arrived"] == false {
        moved = desk.post("clock/advance", json!({ "to": moved["to"] })).await?;
    }
    output.print(&moved, line);
    Ok(())
}

fn open(place: &Place) -> anyhow::Result<Desk> {
    let desk = Desk::open(place)?;
    ensure!(desk.is_running(), "a clock is moved while `tidings dev` runs: {NAME_RUNNING}");
    Ok(desk)
}

fn line(clock: &Value) -> String {
    format!("{}  {} ahead of the world\n", text(clock, "now"), text(clock, "ahead"))
}
