//! `tidings replay`: tells a subscription again of what it had to hear of.

use graph::Timestamp;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::desk::{Desk, Output, encoded, text};
use super::place::Place;

/// Tell a subscription again of changes that it had to hear of
///
/// Each notification goes out under the id that it had, so a receiver that remembers ids knows what it has had
/// already. Which changes the subscription had to hear of follows from the log; whether each was delivered or
/// abandoned then is kept as sums only (tidings ledger show). So a replay tells a whole stretch of time again,
/// what was delivered too; what fell into a pause is told as well. Lifecycle notifications and replays are not
/// told again. The replays are delivered, retried and counted in the ledger as everything else; those of a
/// stopped server go out when it starts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings replay --subscription 7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11 --from 2026-11-28T09:00:00Z
  tidings replay --subscription 7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11 --from 2026-11-28T09:00:00Z \\
                 --to 2026-11-28T10:30:00Z
  tidings replay --subscription 7f1b9a52-0c0e-4d52-9d3a-6a2f0d3e8c11 --position 4711")]
#[command(group(clap::ArgGroup::new("what").required(true).args(["position", "from"])))]
pub struct Options {
    /// The live subscription
    #[arg(long, value_name = "ID")]
    subscription: String,

    /// The change at this position in the log of the subscription's partition; with --json a replay says as `through` up to
    /// which one it has looked
    #[arg(long, value_name = "N", conflicts_with = "to")]
    position: Option<u64>,

    /// Changes that happened at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,

    /// Changes that happened before this time [default: now]
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Timestamp>,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    place: Place,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let desk = Desk::open(&options.place)?.patient().await?;
    let path = format!("subscriptions/{}/replay", encoded(&options.subscription));
    // Without one the server says where it ends; its clock may not be ours.
    let (mut replayed, mut after, mut gone, mut to) = (0, json!(null), json!(null), json!(options.to));
    // On the standard error output; nothing is drawn where nobody watches.
    let progress = ProgressBar::new_spinner();
    loop {
        let asked = json!({ "position": options.position, "from": options.from, "to": to, "after": after });
        let answer = desk.post(&path, asked).await?;
        replayed += answer["replayed"].as_u64().unwrap_or_default();
        after = answer["after"].clone();
        to = answer["to"].clone();
        if gone.is_null() {
            gone = answer["gone"].clone();
        }
        progress.set_message(format!("{replayed} told again, up to position {after}"));
        progress.tick();
        if answer["more"] != true {
            break;
        }
    }
    progress.finish_and_clear();
    options.output.print(&json!({ "replayed": replayed, "gone": gone, "through": after }), summary);
    Ok(())
}

fn summary(answer: &Value) -> String {
    let told = match answer["replayed"].as_u64() {
        Some(0) => "nothing to tell again: the subscription had to hear of no change there\n".to_owned(),
        _ => format!("{} told again\n", text(answer, "replayed")),
    };
    match answer["gone"].as_u64() {
        Some(gone) => format!(
            "{told}the log is gone up to position {gone}, so what happened there is not told again: \
             the app must read it with a delta query\n"
        ),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn who_does_not_say_what_is_to_be_told_again_hears_of_both_ways() {
        let parse = |line: &str| Program::try_parse_from(line.split(' ')).map_err(|error| error.to_string());
        let refused = parse("replay --subscription 7").unwrap_err();
        assert!(refused.contains("<--position <N>|--from <TIME>>"), "{refused}");
        assert!(parse("replay --subscription 7 --position 4 --to 2026-11-28T09:00:00Z").is_err());
        assert!(parse("replay --subscription 7 --position 4").is_ok());
        assert!(parse("replay --subscription 7 --from 2026-11-28T09:00:00Z --to 2026-11-28T10:00:00Z").is_ok());
    }
}
