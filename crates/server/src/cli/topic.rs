//! `tidings topic`: partner topics, which subscriptions with an `EventGrid:` URL are told through.

use anyhow::ensure;
use clap::Subcommand;
use graph::Timestamp;
use serde_json::{Value, json};

use super::desk::{Desk, Output, confirmed, encoded, query, text};
use super::place::{NAME_RUNNING, Place, Running};

/// What is told on standard error where a range has nothing in it: that is no failure.
const NOTHING_MATCHED: &str = "nothing matched: there is no such dead letter";

/// Partner topics: logs of CloudEvents that apps pull from.
///
/// A subscription whose notificationUrl begins with EventGrid: is told through a topic, which is made when the first one
/// names it. It takes events once it is activated, and an app receives them from an event subscription with Azure's
/// clients. Apps do all this by themselves, too: docs/event-grid.md.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings topic list
  tidings topic activate mail-events
  tidings topic subscribe mail-events worker
  tidings topic peek mail-events
  tidings topic replay mail-events worker
  tidings topic remove mail-events")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the topics, with what they hold and who pulls from them.
    #[command(after_help = "\
Example:
  tidings topic list --tenant contoso.com")]
    List {
        /// Those of one tenant: its id or domain [default: all]
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// Make a topic and activate it, before any subscription names it.
    #[command(after_help = "\
Examples:
  tidings topic create mail-events --location westeurope --resource-group rg1
  tidings topic create mail-events --location westeurope --resource-group rg1 --profile graph
                                    events whose data is Graph's changeNotification")]
    Create {
        /// 3 to 50 letters, digits and hyphens
        name: String,
        /// The name of a region, as subscriptions will write it
        #[arg(long)]
        location: String,
        #[arg(long)]
        resource_group: String,
        /// The Azure subscription, as subscriptions will write it [default: the UUID of zeros]
        #[arg(long, value_name = "UUID")]
        azure_subscription: Option<String>,
        /// Id or domain [default: the only one]
        #[arg(long)]
        tenant: Option<String>,
        /// What the events' data looks like [default: documented]
        #[arg(long, value_parser = ["documented", "observed", "graph"])]
        profile: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// Let events into a topic. Until then they are dropped, and counted.
    #[command(after_help = "\
Example:
  tidings topic activate mail-events")]
    Activate {
        /// Its name or id
        topic: String,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// Remove a topic with its events and event subscriptions, for good.
    ///
    /// What waits to be pulled or pushed is given up; dead letters that are kept already stay where they are. Subscriptions
    /// that are told through the topic live on, and what they tell fails as with a receiver that answers 404, until they
    /// end: another topic of that name is not theirs. It asks first.
    #[command(after_help = "\
Examples:
  tidings topic remove mail-events
  tidings topic remove mail-events --yes")]
    Remove {
        /// Its name or id
        topic: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Make an event subscription that events are pulled from or pushed by, or change the one of its name.
    ///
    /// It receives what is published from then on. One that there is keeps how it is pulled, what its webhook was given, and
    /// its filter, as far as nothing else is named.
    /// A webhook is asked whether it wants events. One that says nothing is told a URL, and events are pushed once that is
    /// read.
    #[command(after_help = "\
Examples:
  tidings topic subscribe mail-events worker
  tidings topic subscribe mail-events worker --type Microsoft.Graph.MessageCreated
  tidings topic subscribe mail-events hook --webhook https://app.example/hook
                                    asks the URL whether it wants events, then pushes them to it
  tidings topic subscribe mail-events hook --webhook https://app.example/hook --max-attempts 5")]
    Subscribe {
        /// The topic's name or id
        topic: String,
        /// The event subscription: 3 to 64 letters, digits and hyphens
        name: String,
        /// A type of events that it wants, once for each [default: what it had, or all]
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// How the subjects begin that it wants
        #[arg(long, value_name = "TEXT")]
        subject_begins_with: Option<String>,
        /// Push events to this URL; for a running server
        #[arg(long, value_name = "URL")]
        webhook: Option<String>,
        #[command(flatten)]
        push: Push,
        /// Pull what was pushed until now, or push what was pulled: what waits for it is given up
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// Show the dead letters of an event subscription, or send them to it again.
    ///
    /// A dead letter is an event that was pushed and given up, kept where the server's configuration says. Without --all
    /// and --id they are listed. Sent again, an event goes to this event subscription alone, under the id that it has, with
    /// a time to live that begins anew; its dead letter goes once that is durable. If it is given up again it is a dead
    /// letter again. An --id of which there is no dead letter makes it end with an exit code that is not 0; the others are
    /// sent all the same.
    #[command(after_help = "\
Examples:
  tidings topic replay mail-events worker
  tidings topic replay mail-events worker --reason TimeToLiveExceeded --from 2026-11-28T09:00:00Z
  tidings topic replay mail-events worker --all
  tidings topic replay mail-events worker --id 00d8a100-2e92-4bfa-86e1-0056dacd0fce")]
    Replay {
        /// The topic's name or id
        topic: String,
        /// The event subscription's name
        name: String,
        /// Send all again that the other options leave
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Send the event of this id again; once for each
        #[arg(long = "id", value_name = "ID")]
        ids: Vec<String>,
        /// Those that were given up for this reason
        #[arg(long, ignore_case = true, value_parser = [
            "MaxDeliveryAttemptsExceeded",
            "TimeToLiveExceeded",
            "NotRetried",
            "Stopped",
            "Injected",
        ])]
        reason: Option<String>,
        /// Those whose events were published at this time or later
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Those whose events were published before this time
        #[arg(long, value_name = "TIME")]
        to: Option<Timestamp>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Running,
    },
    /// Show the events that a topic keeps. Whoever pulls receives them all the same.
    #[command(after_help = "\
Examples:
  tidings topic peek mail-events
  tidings topic peek mail-events --after 1200 --json")]
    Peek {
        /// Its name or id
        topic: String,
        /// Begin behind this position
        #[arg(long, value_name = "POSITION")]
        after: Option<u64>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
}

/// How events are pushed to a webhook. What is not given stays as it was, or is as long as can be.
#[derive(Debug, clap::Args)]
struct Push {
    /// Give an event up after so many attempts [default: 30, or as it was]
    #[arg(long, value_name = "NUMBER", requires = "webhook", value_parser = clap::value_parser!(u32).range(1..=30))]
    max_attempts: Option<u32>,
    /// Give an event up so many minutes after it was published [default: 1440, or as it was]
    #[arg(long, value_name = "MINUTES", requires = "webhook", value_parser = clap::value_parser!(u32).range(1..=1_440))]
    ttl: Option<u32>,
    /// Keep events that are given up, in this container of the server's store of dead letters [default: as it was]
    #[arg(long, value_name = "CONTAINER", requires = "webhook")]
    dead_letters: Option<String>,
    /// Where the webhook reaches this server, as https://tidings.example, to consent later [default: where it listens]
    #[arg(long, value_name = "URL", requires = "webhook")]
    reached_at: Option<String>,
}

impl Push {
    /// The body with what is given.
    fn of(self, webhook: &str, mut body: Value) -> Value {
        body["url"] = webhook.into();
        body["maxDeliveryAttempts"] = self.max_attempts.into();
        body["eventTimeToLiveInMinutes"] = self.ttl.into();
        body["deadLetterContainer"] = self.dead_letters.into();
        body["reachedAt"] = self.reached_at.into();
        body
    }
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::List { tenant, output, place } => {
            let listed = Desk::open(&place)?.get(&query("topics", &[("tenant", tenant)])).await?;
            output.print_list(&listed, line);
        }
        Command::Create { name, location, resource_group, azure_subscription, tenant, profile, output, place } => {
            let body = json!({
                "name": name,
                "location": location,
                "resourceGroup": resource_group,
                "azureSubscription": azure_subscription,
                "tenant": tenant,
                "profile": profile,
            });
            let made = Desk::open(&place)?.post("topics", body).await?;
            output.print(&made, |made| format!("{}\n", line(made)));
        }
        Command::Activate { topic, output, place } => {
            let path = format!("topics/{}/activate", encoded(&topic));
            let activated = Desk::open(&place)?.post(&path, json!({})).await?;
            output.print(&activated, |activated| format!("{}\n", line(activated)));
        }
        Command::Remove { topic, yes, place } => {
            let (desk, path) = (Desk::open(&place)?, format!("topics/{}", encoded(&topic)));
            let found = desk.get(&path).await?;
            confirmed(yes, &removal(&found))?;
            desk.delete(&format!("topics/{}", text(&found, "id"))).await?;
            println!("{}  removed", text(&found, "name"));
        }
        Command::Subscribe { topic, name, types, subject_begins_with, webhook, push, replace, output, place } => {
            let types = Some(types).filter(|types| !types.is_empty());
            let body = json!({
                "name": name, "includedEventTypes": types, "subjectBeginsWith": subject_begins_with, "replace": replace,
            });
            let (kind, body) = match webhook {
                Some(webhook) => ("webhooks", push.of(&webhook, body)),
                None => ("event-subscriptions", body),
            };
            let path = format!("topics/{}/{kind}", encoded(&topic));
            let desk = Desk::open(&place)?;
            ensure!(kind != "webhooks" || desk.is_of_running(), "only a running server asks a webhook: {NAME_RUNNING}");
            output.print(&desk.post(&path, body).await?, |subscribed| format!("{}\n", line(subscribed)));
        }
        Command::Replay { topic, name, all, ids, reason, from, to, output, place } => {
            let path = format!("topics/{}/event-subscriptions/{}/dead-letters", encoded(&topic), encoded(&name));
            let what = "a running server has the configuration, which says where dead letters are";
            let desk = Desk::of_running(&place, what)?;
            replay(desk, &path, Wanted { all, ids, reason, from, to }, output).await?;
        }
        Command::Peek { topic, after, output, place } => {
            let path = format!("topics/{}/events", encoded(&topic));
            let path = query(&path, &[("after", after.map(|after| after.to_string()))]);
            output.print_list(&Desk::open(&place)?.get(&path).await?, event_line);
        }
    }
    Ok(())
}

/// Which dead letters.
struct Wanted {
    all: bool,
    ids: Vec<String>,
    reason: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

async fn replay(desk: Desk, path: &str, wanted: Wanted, output: Output) -> anyhow::Result<()> {
    match wanted.all || !wanted.ids.is_empty() {
        true => send_again(&desk.patient().await?, path, wanted, output).await,
        false => show(&desk, path, wanted, output).await,
    }
}

async fn show(desk: &Desk, path: &str, wanted: Wanted, output: Output) -> anyhow::Result<()> {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let (mut value, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let options =
            [("reason", wanted.reason.clone()), ("from", text(wanted.from)), ("to", text(wanted.to)), ("after", after)];
        let answer = desk.get(&query(path, &options)).await?;
        value.extend(answer["value"].as_array().cloned().unwrap_or_default());
        unreadable.extend(answer["unreadable"].as_array().cloned().unwrap_or_default());
        after = answer["after"].as_str().map(str::to_owned);
        if answer["more"] != true {
            break;
        }
    }
    if value.is_empty() && unreadable.is_empty() {
        eprintln!("{NOTHING_MATCHED}");
    }
    output.print(&json!({ "value": value, "unreadable": unreadable }), letters);
    Ok(())
}

async fn send_again(desk: &Desk, path: &str, wanted: Wanted, output: Output) -> anyhow::Result<()> {
    let path = format!("{path}/replay");
    let (mut sent, mut left, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    let (mut after, mut until) = (json!(null), json!(null));
    loop {
        let asked = json!({
            "ids": wanted.ids, "reason": wanted.reason, "from": wanted.from, "to": wanted.to, "after": after, "until": until,
        });
        let answer = desk.post(&path, asked).await?;
        let lists = [("ids", &mut sent), ("left", &mut left), ("unreadable", &mut unreadable)];
        for (member, list) in lists {
            list.extend(answer[member].as_array().cloned().unwrap_or_default());
        }
        (after, until) = (answer["after"].clone(), answer["until"].clone());
        if answer["more"] != true {
            break;
        }
    }
    let missing = missing(&wanted.ids, &sent);
    let done = json!({
        "replayed": sent.len(), "ids": sent, "missing": missing, "left": left, "unreadable": unreadable,
    });
    output.print(&done, sent_line);
    ensure!(missing.is_empty(), "there is no dead letter of {}", missing.join(", "));
    if sent.is_empty() {
        eprintln!("{NOTHING_MATCHED}");
    }
    Ok(())
}

/// The ids that were asked for and have no dead letter.
fn missing<'a>(asked: &'a [String], sent: &[Value]) -> Vec<&'a str> {
    asked.iter().map(String::as_str).filter(|id| !sent.iter().any(|sent| sent == *id)).collect()
}

fn letters(listed: &Value) -> String {
    let list = |member: &str| listed[member].as_array().cloned().unwrap_or_default();
    let (letters, unreadable) = (list("value"), list("unreadable"));
    let unreadable =
        unreadable.iter().map(|name| format!("cannot be read: {}", text(&json!({ "name": name }), "name")));
    letters.iter().map(letter_line).chain(unreadable).map(|line| line + "\n").collect()
}

fn letter_line(letter: &Value) -> String {
    format!(
        "{}  {}  {}  {} attempts, the last {} {}  {}  {}",
        text(letter, "published"),
        text(letter, "id"),
        text(letter, "reason"),
        text(letter, "attempts"),
        text(letter, "lastOutcome"),
        text(letter, "lastStatus"),
        text(letter, "type"),
        text(letter, "subject"),
    )
}

fn sent_line(done: &Value) -> String {
    let mut told = format!("{} sent again\n", text(done, "replayed"));
    let remarks = [
        ("left", "sent again, but not removed (sent once more it is the same event)"),
        ("unreadable", "cannot be read"),
    ];
    for (member, remark) in remarks {
        for one in done[member].as_array().into_iter().flatten() {
            told.push_str(&format!("{remark}: {}\n", text(&json!({ "one": one }), "one")));
        }
    }
    told
}

fn line(topic: &Value) -> String {
    let mut told = format!(
        "{}  {}/{}  {}  {} events, {} dropped",
        text(topic, "id"),
        text(topic, "location"),
        text(topic, "name"),
        text(topic, "activationState"),
        text(topic, "events"),
        text(topic, "dropped"),
    );
    for one in topic["eventSubscriptions"].as_array().into_iter().flatten() {
        told.push_str(&event_subscription_line(one));
    }
    told
}

/// What goes with a topic, as a question.
fn removal(topic: &Value) -> String {
    let (name, events) = (text(topic, "name"), text(topic, "events"));
    let of_topic = topic["eventSubscriptions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let goes = |one: &Value| format!("{} ({} pending)", text(one, "name"), text(one, "pending"));
    let with = match of_topic {
        [] => "no event subscription".to_owned(),
        some => format!("the event subscriptions {}", some.iter().map(goes).collect::<Vec<_>>().join(", ")),
    };
    format!("Remove {name} with {events} events and {with}, for good?")
}

fn event_subscription_line(one: &Value) -> String {
    let (time, to) = (text(one, "time"), text(one, "to"));
    let to = if one["delivery"] == "pull" { String::new() } else { format!(" to {to}") };
    let stands = match one["state"].as_str().unwrap_or_default() {
        "delivering" => "delivering".to_owned(),
        "awaitingConsent" => {
            format!("waits until {time} for its endpoint to read the URL that it was told, and so to consent")
        }
        "notConsented" => format!("stopped: its endpoint had not consented at {time}; put it again"),
        "onProbation" => format!("on probation after failures until {time}"),
        "stopped" => "stopped: its endpoint answered 410; put it again to go on".to_owned(),
        "expired" => format!("expired at {time}"),
        other => other.to_owned(),
    };
    // What nobody has pulled yet is not counted.
    let pending = if one["delivery"] == "pull" { "received and not settled" } else { "pending" };
    format!("\n    {}  {}{to}  {stands}  {} {pending}", text(one, "name"), text(one, "delivery"), text(one, "pending"))
}

fn event_line(told: &Value) -> String {
    let event = &told["event"];
    let (position, published) = (text(told, "position"), text(told, "published"));
    format!("{position}  {published}  {}  {}", text(event, "type"), text(event, "subject"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_shown_with_how_its_event_subscriptions_stand() {
        let stands = |name: &str, delivery: &str, state: &str| json!({"name": name, "delivery": delivery, "to": "https://h", "state": state, "time": "T", "pending": 2});
        let of_topic = [
            stands("worker", "pull", "delivering"),
            stands("bridge", "nats", "onProbation"),
            stands("asked", "webhook", "awaitingConsent"),
            stands("late", "webhook", "notConsented"),
            stands("gone", "webhook", "stopped"),
            stands("old", "webhook", "expired"),
        ];
        let topic = json!({"id": "1", "location": "westeurope", "name": "mail", "activationState": "Activated",
            "events": 3, "dropped": 0, "eventSubscriptions": of_topic});
        insta::assert_snapshot!(line(&topic), @r"
        1  westeurope/mail  Activated  3 events, 0 dropped
            worker  pull  delivering  2 received and not settled
            bridge  nats to https://h  on probation after failures until T  2 pending
            asked  webhook to https://h  waits until T for its endpoint to read the URL that it was told, and so to consent  2 pending
            late  webhook to https://h  stopped: its endpoint had not consented at T; put it again  2 pending
            gone  webhook to https://h  stopped: its endpoint answered 410; put it again to go on  2 pending
            old  webhook to https://h  expired at T  2 pending
        ");
    }

    #[test]
    fn who_removes_a_topic_is_asked_with_what_goes_along() {
        let one = json!({"name": "worker", "pending": 2});
        let topic = json!({"name": "mail", "events": 3, "eventSubscriptions": [one, {"name": "hook", "pending": 0}]});
        assert_eq!(
            removal(&topic),
            "Remove mail with 3 events and the event subscriptions worker (2 pending), hook (0 pending), for good?"
        );
        let empty = json!({"name": "mail", "events": 0, "eventSubscriptions": []});
        assert_eq!(removal(&empty), "Remove mail with 0 events and no event subscription, for good?");
    }

    #[test]
    fn ids_without_a_dead_letter_are_named() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(missing(&ids(&["1", "2", "3"]), &[json!("2")]), ["1", "3"]);
        assert_eq!(missing(&ids(&["2"]), &[json!("2")]), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_of_dead_letters_is_listed() {
        let unreadable = letters(&json!({"value": [], "unreadable": ["a/b.json"]}));
        assert_eq!(unreadable, "cannot be read: a/b.json\n");
    }
}
