//! `tidings listen`: an app in one command. It starts a receiver on loopback, subscribes through the
//! server's Graph API, answers the handshake, prints what arrives, renews in time, and deletes its
//! subscription at the end.

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use self::api::Api;
pub use self::receiver::printable;
use self::receiver::{Counts, Receiver, counted};
use super::{forward, stop};
use crate::clock::Clock;
use crate::http::listener::Listener;
use crate::ids;

mod api;
mod receiver;

/// How often it is looked at: a server that has been started anew may not have it any more.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Every so many looks it is renewed: after half of its life.
const LOOKS_BEFORE_RENEWAL: u32 = 180;
/// How long an app may take, at the end, for what has not been forwarded yet.
const FORWARD_REST: Duration = Duration::from_secs(30);
/// Subscribe to a mailbox of a running server and print each notification.
///
/// Each notification is one line: the time, what happened, the resource. Ctrl-C deletes the subscription
/// and prints a summary.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings listen                                         Megan's messages, from the running `tidings dev`
  tidings listen --user adele@contoso.test --resource events
  tidings listen --resource \"mailFolders('inbox')/messages\" --change-types created
  tidings listen --resource users --change-types updated,deleted
  tidings listen --forward-to http://localhost:3000/hook   let your own app have them, too")]
pub struct Options {
    /// Whose mailbox: UPN or id [default: the first user of the ready file, else the token's]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// What in it: messages, events, contacts, or a path below the mailbox; or a resource outside of mailboxes, such
    /// as users.
    #[arg(long, value_name = "PATH", default_value = "messages")]
    resource: String,
    /// Which changes.
    #[arg(long, value_name = "LIST", default_value = "created,updated,deleted")]
    change_types: String,
    /// Also post each body to this URL, as it came.
    #[arg(long, value_name = "URL", value_parser = forward::url)]
    forward_to: Option<Url>,
    /// Print the raw body of each request, one on a line.
    #[arg(long)]
    json: bool,
    /// The server's base URL, such as http://127.0.0.1:8080 [default: from the ready file]
    #[arg(long, value_name = "URL", requires = "token")]
    server: Option<String>,
    /// An access token for it [default: from the ready file]
    #[arg(long, value_name = "TOKEN", env = "TIDINGS_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The data directory of the running server, where its ready file is.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    let api = Api::find(&options)?;
    let counts = Arc::new(Counts::default());
    let secret = ids::new_secret();
    let (forward, forwarding) = options.forward_to.clone().map(|url| forward::start(api.client.clone(), url)).unzip();
    let receiver = Receiver {
        json: options.json,
        colour: std::io::stdout().is_terminal(),
        forward,
        secret: secret.clone(),
        counts: counts.clone(),
        clock: Clock::new(),
    };
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
    let address = listener.address()?;
    let (receiving, connections) = (CancellationToken::new(), TaskTracker::new());
    let serving = tokio::spawn(listener.serve(receiver.router(), receiving.clone(), connections.clone()));

    let subscription = api.subscribe(&options, address, &secret).await?;
    eprintln!("Subscribed to {} until Ctrl-C (subscription {}).", subscription.resource, subscription.id);
    let is_there = keep(&api, &subscription.id, &stop).await;

    if is_there {
        api.unsubscribe(&subscription.id).await;
    }
    receiving.cancel();
    connections.close();
    connections.wait().await;
    serving.await??;
    eprintln!("{}", counts.summary());
    if let Some(task) = forwarding {
        let rest = tokio::time::timeout(FORWARD_REST, task).await;
        let failures = rest.context("the app is too slow: not all was forwarded")??;
        if failures > 0 {
            eprintln!("{} not forwarded.", counted(failures, "request"));
        }
    }
    if !is_there {
        bail!("the server has the subscription no more (was it started anew?); start `tidings listen` again");
    }
    Ok(())
}

/// Renews until `stop`. Returns early, with `false`, if the server does not have the subscription any more.
async fn keep(api: &Api, id: &str, stop: &CancellationToken) -> bool {
    let (mut looks, mut answers) = (0, true);
    loop {
        tokio::select! {
            () = stop.cancelled() => return true,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        looks += 1;
        let is_due = looks >= LOOKS_BEFORE_RENEWAL;
        let outcome = if is_due { api.renew(id).await } else { api.look(id).await };
        match outcome {
            Ok(false) => return false,
            Ok(true) if is_due => looks = 0,
            Ok(true) => {}
            Err(ref error) if answers => eprintln!("tidings: waiting for the server: {error:#}"),
            Err(_) => {}
        }
        if outcome.is_ok() && !answers {
            eprintln!("The server answers again.");
        }
        answers = outcome.is_ok();
    }
}
