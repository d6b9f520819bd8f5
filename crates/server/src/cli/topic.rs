//! `tidings topic`: partner topics, which subscriptions with an `EventGrid:` URL are told through.

use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::{Desk, Output, encoded, query, text};
use super::place::Place;

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
  tidings topic peek mail-events")]
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
    /// Make an event subscription that events are pulled from or pushed by, or change the one of its name.
    ///
    /// It receives what is published from then on. One that there is keeps how it is pulled, or what its webhook was given.
    #[command(after_help = "\
Examples:
  tidings topic subscribe mail-events worker
  tidings topic subscribe mail-events worker --type Microsoft.Graph.MessageCreated
  tidings topic subscribe mail-events hook --webhook https://app.example/hook
                                    asks the URL whether it wants events, then pushes them to it")]
    Subscribe {
        /// The topic's name or id
        topic: String,
        /// The event subscription: 3 to 64 letters, digits and hyphens
        name: String,
        /// A type of events that it wants, once for each [default: all]
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// How the subjects begin that it wants
        #[arg(long, value_name = "TEXT")]
        subject_begins_with: Option<String>,
        /// Push events to this URL; for a running server
        #[arg(long, value_name = "URL")]
        webhook: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
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
        Command::Subscribe { topic, name, types, subject_begins_with, webhook, output, place } => {
            let types = Some(types).filter(|types| !types.is_empty());
            let mut body =
                json!({ "name": name, "includedEventTypes": types, "subjectBeginsWith": subject_begins_with });
            let kind = if webhook.is_some() { "webhooks" } else { "event-subscriptions" };
            if let Some(url) = webhook {
                body["url"] = url.into();
            }
            let path = format!("topics/{}/{kind}", encoded(&topic));
            let subscribed = Desk::open(&place)?.post(&path, body).await?;
            output.print(&subscribed, |subscribed| format!("{}\n", line(subscribed)));
        }
        Command::Peek { topic, after, output, place } => {
            let path = format!("topics/{}/events", encoded(&topic));
            let path = query(&path, &[("after", after.map(|after| after.to_string()))]);
            output.print_list(&Desk::open(&place)?.get(&path).await?, event_line);
        }
    }
    Ok(())
}

fn line(topic: &Value) -> String {
    let names = topic["eventSubscriptions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let pulled = names.collect::<Vec<_>>().join(", ");
    format!(
        "{}  {}/{}  {}  {} events, {} dropped  event subscriptions: {}",
        text(topic, "id"),
        text(topic, "location"),
        text(topic, "name"),
        text(topic, "activationState"),
        text(topic, "events"),
        text(topic, "dropped"),
        if pulled.is_empty() { "-" } else { &pulled },
    )
}

fn event_line(told: &Value) -> String {
    let event = &told["event"];
    let (position, published) = (text(told, "position"), text(told, "published"));
    format!("{position}  {published}  {}  {}", text(event, "type"), text(event, "subject"))
}
