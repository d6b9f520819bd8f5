//! `tidings clock`: what time a development server has, and moves it forward.

use std::time::Duration;

use clap::Subcommand;
use graph::Timestamp;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::desk::{Desk, Output, text};
use super::place::Running;

/// How often it is looked how far the clock has come.
const LOOKED_EVERY: Duration = Duration::from_millis(500);

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
    place: Running,
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
        to: Option<Timestamp>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Running,
    },
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Some(Command::Advance { by, to, output, place }) = options.command else {
        options.output.print(&open(&options.place)?.get("clock").await?, line);
        return Ok(());
    };
    let desk = open(&place)?;
    // On the standard error output; nothing is drawn where nobody watches.
    let progress = ProgressBar::new_spinner();
    let mut ask = if let Some(to) = to { json!({ "to": to }) } else { json!({ "by": by }) };
    let moved = loop {
        let moved = watched(&desk, ask, &progress).await?;
        if moved["arrived"] != false {
            break moved;
        }
        ask = json!({ "to": moved["to"] });
    };
    progress.finish_and_clear();
    output.print(&moved, line);
    Ok(())
}

/// Moves the clock, and says meanwhile how far it has come.
async fn watched(desk: &Desk, ask: Value, progress: &ProgressBar) -> anyhow::Result<Value> {
    let way = ["to", "by"].into_iter().find_map(|member| Some(format!("{member} {}", ask[member].as_str()?)));
    let way = way.unwrap_or_default();
    let moving = desk.post("clock/advance", ask);
    tokio::pin!(moving);
    let mut looking = tokio::time::interval(LOOKED_EVERY);
    loop {
        tokio::select! {
            moved = &mut moving => return moved,
            _ = looking.tick() => {}
        }
        // It is at the same place as long as what is due there has not happened.
        if let Ok(clock) = desk.get("clock").await {
            progress.set_message(told(&clock, &way));
            progress.tick();
        }
    }
}

fn told(clock: &Value, way: &str) -> String {
    format!("moving {way}: at {}, until what is due there has happened", text(clock, "now"))
}

fn open(place: &Running) -> anyhow::Result<Desk> {
    Desk::of_running(place, "a clock is moved while `tidings dev` runs")
}

fn line(clock: &Value) -> String {
    format!("{}  {} ahead of the world\n", text(clock, "now"), text(clock, "ahead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_way_it_is_said_where_the_clock_is_and_where_it_goes() {
        let told = told(&json!({ "now": "2026-12-01T00:00:00Z" }), "by 3h");
        assert_eq!(told, "moving by 3h: at 2026-12-01T00:00:00Z, until what is due there has happened");
    }
}
