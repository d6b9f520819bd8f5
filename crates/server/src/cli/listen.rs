//! `tidings listen`: an app in one command. It starts a receiver on loopback, subscribes through the
//! server's Graph API, answers the handshake, prints what arrives, renews in time, and deletes its
//! subscription at the end.

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::receiver::ClientState;
use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use self::api::{Api, Asked, LIFE_MINUTES};
use self::hook::{Counts, Hook, counted};
pub use self::hook::{is_unfit, printable};
use self::rich::{Opener, Pair};
use super::{forward, stop};
use crate::clock::Clock;
use crate::http::listener::Listener;
use crate::ids;

mod api;
mod hook;
mod rich;

/// How often it is looked at: a server that has been started anew may not have it any more.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Every so many looks it is renewed: after half of its life.
const LOOKS_BEFORE_RENEWAL: u32 = 600;
/// How long an app may take, at the end, for what has not been forwarded yet.
const FORWARD_REST: Duration = Duration::from_secs(30);

/// Subscribe to a mailbox of a running server and print each notification.
///
/// Each notification is one line: the time, what happened, the resource. With --rich the item follows, one line
/// for each property; what cannot be opened or trusted is said instead. Ctrl-C deletes the subscription and prints a
/// summary.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings listen                                         Megan's messages, from the running `tidings dev`
  tidings listen --user adele@contoso.test --resource events
  tidings listen --resource \"mailFolders('inbox')/messages\" --change-types created
  tidings listen --resource users --change-types updated,deleted
  tidings listen --rich                                  the messages themselves, opened and checked
  tidings listen --rich --resource events --select subject,start,attendees
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
    /// Have the items themselves sent, sealed for a key pair that is made for it, and print them opened.
    #[arg(long)]
    rich: bool,
    /// With --rich: which properties [default: a few that fit the resource]
    #[arg(long, value_name = "LIST", requires = "rich", value_parser = rich::properties)]
    select: Option<String>,
    /// With --rich: the file of the private key, PEM, with its certificate beside it: key.crt for key.pem. A pair that
    /// is there is used; otherwise one is made and kept there, for `tidings decrypt`.
    #[arg(long, value_name = "FILE", requires = "rich")]
    key: Option<PathBuf>,
    /// Print the body of each request as it came, one on a line: to try a receiver with, or for `tidings decrypt`.
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
    let resource = api.resource(&options)?;
    let counts = Arc::new(Counts::default());
    let secret = ids::new_secret();
    let (forward, forwarding) = options.forward_to.clone().map(|url| forward::start(api.client.clone(), url)).unzip();
    let pair = options.rich.then(|| Pair::at(options.key.as_deref())).transpose()?;
    let opener = pair.is_some().then(|| Opener::new(&api, &secret)).transpose()?.map(Arc::new);
    let hook = Hook {
        json: options.json,
        colour: std::io::stdout().is_terminal(),
        opener: opener.clone(),
        forward,
        state: ClientState::new(&secret),
        counts: counts.clone(),
        clock: Clock::new(),
    };
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
    let address = listener.address()?;
    let (receiving, connections) = (CancellationToken::new(), TaskTracker::new());
    let serving = tokio::spawn(listener.serve(hook.router(), receiving.clone(), connections.clone()));

    let asked = Asked { resource: &resource, change_types: &options.change_types, receiver: address, secret: &secret };
    let subscription = api.subscribe(asked, pair.as_ref()).await?;
    if let (Some(opener), Some(pair)) = (opener, pair) {
        opener.begin(&subscription, pair)?;
    }
    eprintln!(
        "Subscribed to {resource} until Ctrl-C (subscription {}, for {LIFE_MINUTES} minutes, renewed after half of them).",
        subscription.id
    );
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
