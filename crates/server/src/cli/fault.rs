//! `tidings fault`: deliveries of a development server go wrong on purpose.

use clap::Subcommand;
use graph::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::desk::{Desk, Output, text};
use super::place::Running;
use crate::admin::{FaultAction, is_of_dead_letters};

/// Make deliveries of `tidings dev` go wrong on purpose, to see what your app makes of it.
///
/// What follows is what follows in life: a notification of a change that is dropped is owed a `missed`, and a delta
/// query shows the change; an event of a topic that is dropped is given up, as a dead letter if its event subscription
/// keeps these; what fails is tried again with its back-off, which `tidings clock advance` brings at once. Rules
/// are gone when the server stops.
///
/// How dead letters are kept goes wrong by rules alone that name them: --url dead-letters:
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings fault add drop --times 1
  tidings fault add fail --with 503 --times 3
  tidings fault list
  tidings fault clear")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a rule. Of several that keep a request from being made the first counts.
    #[command(after_help = "\
Examples:
  tidings fault add fail --with timeout --url http://localhost:3000/hook
  tidings fault add delay --by 30s --kind lifecycle
  tidings fault add drop --percent 20 --seed 7 --change-type updated
  tidings fault add duplicate --every 2")]
    Add(Box<Add>),
    /// List the rules, with how often each was asked and struck.
    #[command(after_help = "\
Example:
  tidings fault list")]
    List(At),
    /// Remove a rule.
    #[command(after_help = "\
Example:
  tidings fault remove 2")]
    Remove {
        /// Its number
        number: u32,
        #[command(flatten)]
        place: Running,
    },
    /// Remove all rules.
    #[command(after_help = "\
Example:
  tidings fault clear")]
    Clear {
        #[command(flatten)]
        place: Running,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// What goes wrong
    action: FaultAction,
    /// How a request fails: a status from 300 to 599, timeout or refused
    #[arg(long, value_name = "HOW")]
    with: Option<String>,
    /// How long a request is delayed, such as 30s; 10 minutes at most
    #[arg(long, value_name = "DURATION")]
    by: Option<String>,
    /// Only notifications of this subscription
    #[arg(long, value_name = "ID")]
    subscription: Option<Uuid>,
    /// Only those of this app
    #[arg(long, value_name = "ID")]
    app: Option<Uuid>,
    /// Only those to URLs that begin so
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Only those of changes, or of lifecycle events
    #[arg(long, value_name = "KIND", value_parser = ["changes", "lifecycle"])]
    kind: Option<String>,
    /// Only those of this change
    #[arg(long, value_name = "TYPE", value_parser = ["created", "updated", "deleted"])]
    change_type: Option<String>,
    /// Only those of subscriptions whose resource begins so
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Only each so-manieth
    #[arg(long, value_name = "COUNT")]
    every: Option<u64>,
    /// Only so many of a hundred, by chance
    #[arg(long, value_name = "COUNT")]
    percent: Option<u8>,
    /// What chance is drawn from: the same seed strikes the same ones
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// No more than so often
    #[arg(long, value_name = "COUNT")]
    times: Option<u64>,
    /// Until the server has this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, clap::Args)]
struct At {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    place: Running,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Add(add) => {
            let added = open(&add.at.place)?.post("faults", add.body()).await?;
            add.at.output.print(&added, |added| format!("{}\n    {}\n", line(added), follows(add.action, added)));
        }
        Command::List(at) => at.output.print_list(&open(&at.place)?.get("faults").await?, line),
        Command::Remove { number, place } => open(&place)?.delete(&format!("faults/{number}")).await?,
        Command::Clear { place } => open(&place)?.delete("faults").await?,
    }
    Ok(())
}

fn open(place: &Running) -> anyhow::Result<Desk> {
    Desk::of_running(place, "faults are made while `tidings dev` runs")
}

impl Add {
    fn body(&self) -> Value {
        json!({
            "action": self.action,
            "with": self.with,
            "by": self.by,
            "subscription": self.subscription,
            "app": self.app,
            "url": self.url,
            "kind": self.kind,
            "changeType": self.change_type,
            "resource": self.resource,
            "every": self.every,
            "percent": self.percent,
            "seed": self.seed,
            "times": self.times,
            "until": self.until,
        })
    }
}

/// What follows from what a rule strikes, as it was added.
fn follows(action: FaultAction, added: &Value) -> &'static str {
    match action {
        _ if added["url"].as_str().is_some_and(is_of_dead_letters) => of_dead_letters(action),
        FaultAction::Drop if added["kind"] == "lifecycle" => {
            "a lifecycle notification that it strikes is never told, and nobody is owed a `missed` for it"
        }
        FaultAction::Drop if added["changeType"].is_string() => {
            "a notification that it strikes is owed a `missed`; an event that is pushed has no change type, and is never struck"
        }
        FaultAction::Drop => {
            "a notification of a change that it strikes is owed a `missed`; an event that is pushed is given up, as a dead \
             letter if its event subscription keeps these"
        }
        FaultAction::Duplicate => "what it strikes comes twice, with the same ids",
        FaultAction::Delay => "what comes later in its subscription waits behind what it strikes, but for events",
        FaultAction::Reorder => {
            "what it strikes has its notifications in the opposite order; none of them tell of one item"
        }
        FaultAction::Fail => {
            "what it strikes is tried again: notifications with the back-off for four hours, then `missed`; events by Event \
             Grid's schedule, or they are given up at once, as with that status"
        }
    }
}

fn of_dead_letters(action: FaultAction) -> &'static str {
    match action {
        FaultAction::Drop => {
            "a dead letter that it strikes is never kept, and the ledger counts its event as `injected`"
        }
        FaultAction::Duplicate => "a dead letter that it strikes is written twice, in one place",
        FaultAction::Delay => "a dead letter that it strikes is kept later",
        FaultAction::Reorder => "nothing shows of it: each dead letter is kept by itself",
        FaultAction::Fail => {
            "a dead letter that it strikes is tried again after 10 seconds, a minute and then every 5 minutes, until four \
             hours after its event was given up; then it is not kept"
        }
    }
}

/// The rule's number, what it does and to what, and how often it struck.
fn line(fault: &Value) -> String {
    let mut line = format!("{}  {}", text(fault, "number"), text(fault, "action"));
    let shown = ["with", "by", "subscription", "app", "url", "kind", "changeType", "resource", "every", "percent"];
    for member in shown.into_iter().chain(["times", "until"]).filter(|member| !fault[*member].is_null()) {
        line.push_str(&format!("  {member} {}", text(fault, member)));
    }
    line + &format!("  struck {} of {}", text(fault, "struck"), text(fault, "seen"))
}
