//! `tidings app`: applications that may ask for tokens.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::{Desk, Output, encoded, query, text};
use super::place::Place;

/// Register apps, and what they prove themselves with.
///
/// An app is named by its application (client) id. What it may do is said by `tidings consent`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings app add 'Mail archive' --secret
  tidings app list
  tidings app secret add 507c3b9a-67b8-463d-88a2-15a8cefb2111 --days 90")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register an app.
    #[command(after_help = "\
Examples:
  tidings app add 'Mail archive' --secret
  tidings app add 'Calendar' --secret --redirect https://calendar.example/callback
  tidings app add 'Desktop' --public-client --redirect http://localhost
  tidings app add 'Moved here' --id 507c3b9a-67b8-463d-88a2-15a8cefb2111")]
    Add(Box<New>),
    /// List the apps of a tenant.
    #[command(after_help = "\
Examples:
  tidings app list
  tidings app list --tenant contoso.com")]
    List {
        /// The tenant's domain or id [default: the only organisation there is]
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// Show an app, with its credentials.
    #[command(after_help = "\
Example:
  tidings app show 507c3b9a-67b8-463d-88a2-15a8cefb2111")]
    Show {
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        output: Output,
    },
    /// Change an app.
    #[command(after_help = "\
Examples:
  tidings app set 507c3b9a-67b8-463d-88a2-15a8cefb2111 --token-version 2
  tidings app set 507c3b9a-67b8-463d-88a2-15a8cefb2111 --mailbox sales@contoso.com
  tidings app set 507c3b9a-67b8-463d-88a2-15a8cefb2111 --enabled false")]
    Set(Box<Set>),
    /// Remove an app, with what it was granted.
    ///
    /// Its subscriptions end, and it is told so (subscriptionRemoved).
    #[command(after_help = "\
Example:
  tidings app remove 507c3b9a-67b8-463d-88a2-15a8cefb2111

What another issuer's token says of a removed app counts alone, without its consents and mailboxes.
To end its access, disable it:
  tidings app set 507c3b9a-67b8-463d-88a2-15a8cefb2111 --enabled false")]
    Remove(App),
    /// Add and remove secrets.
    #[command(after_help = "\
Example:
  tidings app secret add 507c3b9a-67b8-463d-88a2-15a8cefb2111 --days 90")]
    Secret {
        #[command(subcommand)]
        command: Secret,
    },
    /// Add and remove certificates.
    #[command(after_help = "\
Example:
  tidings app certificate add 507c3b9a-67b8-463d-88a2-15a8cefb2111 app.pem")]
    Certificate {
        #[command(subcommand)]
        command: Certificate,
    },
    /// Add and remove redirect URIs.
    #[command(after_help = "\
Example:
  tidings app redirect add 507c3b9a-67b8-463d-88a2-15a8cefb2111 https://calendar.example/callback")]
    Redirect {
        #[command(subcommand)]
        command: Redirect,
    },
}

#[derive(Debug, clap::Args)]
struct New {
    /// The name that is shown
    name: String,
    /// Its home: the tenant's domain or id [default: the only organisation there is]
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// The application (client) id that it is to have [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<String>,
    /// Where it expects authorization codes (may be given several times)
    #[arg(long, value_name = "URI")]
    redirect: Vec<String>,
    /// It runs on its users' machines and keeps no secret
    #[arg(long)]
    public_client: bool,
    /// The form of its access tokens: 1 or 2
    #[arg(long, value_name = "VERSION", default_value_t = 1)]
    token_version: u8,
    /// Make a secret and print it; it is not shown again
    #[arg(long)]
    secret: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

/// An app that there is.
#[derive(Debug, clap::Args)]
struct App {
    /// The application (client) id
    #[arg(value_name = "APP")]
    id: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    app: App,
    #[command(flatten)]
    output: Output,
}

/// At least one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// Show another name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whether it gets tokens
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
    /// Whether it may sign users in without a credential
    #[arg(long, value_name = "true|false")]
    public_client: Option<bool>,
    /// The form of its access tokens: 1 or 2
    #[arg(long, value_name = "VERSION")]
    token_version: Option<u8>,
    /// Let its own permissions reach this mailbox and others named so, and no more
    #[arg(long, value_name = "USER")]
    mailbox: Vec<String>,
    /// Let its own permissions reach all mailboxes of the tenant
    #[arg(long, conflicts_with = "mailbox")]
    all_mailboxes: bool,
}

#[derive(Debug, Subcommand)]
enum Secret {
    /// Make a secret and print it; it is not shown again.
    #[command(after_help = "\
Example:
  tidings app secret add 507c3b9a-67b8-463d-88a2-15a8cefb2111 --days 90")]
    Add {
        /// For how many days it is good
        #[arg(long, default_value_t = 365)]
        days: u16,
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a secret; tokens that the app got with it stay good until they expire.
    #[command(after_help = "\
Example:
  tidings app secret remove 507c3b9a-67b8-463d-88a2-15a8cefb2111 b8e4a1d3-52c6-4f0e-9a37-6d1f20c8e5b4")]
    Remove(Credential),
}

#[derive(Debug, Subcommand)]
enum Certificate {
    /// Add a certificate with which the app signs its assertions.
    #[command(after_help = "\
Example:
  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=app -keyout app.key -out app.pem
  tidings app certificate add 507c3b9a-67b8-463d-88a2-15a8cefb2111 app.pem")]
    Add {
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        output: Output,
        /// The certificate (PEM or DER), without its private key
        file: PathBuf,
    },
    /// Remove a certificate; tokens that the app got with it stay good until they expire.
    #[command(after_help = "\
Example:
  tidings app certificate remove 507c3b9a-67b8-463d-88a2-15a8cefb2111 b8e4a1d3-52c6-4f0e-9a37-6d1f20c8e5b4")]
    Remove(Credential),
}

#[derive(Debug, clap::Args)]
struct Credential {
    #[command(flatten)]
    app: App,
    /// The credential's id, as `tidings app show` tells it
    credential: String,
}

#[derive(Debug, Subcommand)]
enum Redirect {
    /// Let authorization codes be sent to a URI.
    #[command(after_help = "\
Example:
  tidings app redirect add 507c3b9a-67b8-463d-88a2-15a8cefb2111 https://calendar.example/callback")]
    Add {
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        output: Output,
        uri: String,
    },
    /// Let none be sent there any more.
    #[command(after_help = "\
Example:
  tidings app redirect remove 507c3b9a-67b8-463d-88a2-15a8cefb2111 https://calendar.example/callback")]
    Remove {
        #[command(flatten)]
        app: App,
        #[command(flatten)]
        output: Output,
        uri: String,
    },
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Add(new) => new.run().await,
        Command::List { tenant, output, place } => {
            output.print_list(&Desk::open(&place)?.get(&query("apps", &[("tenant", tenant)])).await?, line);
            Ok(())
        }
        Command::Show { app, output } => {
            output.print(&app.desk()?.get(&app.path()).await?, whole);
            Ok(())
        }
        Command::Set(set) => set.run().await,
        Command::Remove(app) => {
            app.desk()?.delete(&app.path()).await?;
            println!("{}  removed", app.id);
            eprintln!(
                "If another issuer gives it tokens, what they say counts alone now; to end its access, add it again \
                 with its id and disable it (tidings app set --enabled false)."
            );
            Ok(())
        }
        Command::Secret { command: Secret::Add { days, app, output } } => {
            app.add("secrets", json!({ "days": days }), output).await
        }
        Command::Certificate { command: Certificate::Add { app, output, file } } => {
            app.add("certificates", json!({ "certificate": certificate(&file)? }), output).await
        }
        Command::Secret { command: Secret::Remove(Credential { app, credential }) }
        | Command::Certificate { command: Certificate::Remove(Credential { app, credential }) } => {
            app.desk()?.delete(&format!("{}/credentials/{}", app.path(), encoded(&credential))).await
        }
        Command::Redirect { command: Redirect::Add { app, output, uri } } => {
            let add = |uris: &mut Vec<Value>| {
                uris.retain(|known| *known != uri);
                uris.push(uri.into());
            };
            app.redirects(output, add).await
        }
        Command::Redirect { command: Redirect::Remove { app, output, uri } } => {
            app.redirects(output, |uris| uris.retain(|known| *known != uri)).await
        }
    }
}

impl New {
    async fn run(self) -> anyhow::Result<()> {
        let mut body = json!({
            "displayName": self.name,
            "tenant": self.tenant,
            "appId": self.id,
            "redirectUris": self.redirect,
            "publicClient": self.public_client,
            "accessTokenVersion": self.token_version,
        });
        if self.secret {
            body["secret"] = json!({});
        }
        self.output.print(&Desk::open(&self.place)?.post("apps", body).await?, whole);
        Ok(())
    }
}

impl Set {
    async fn run(self) -> anyhow::Result<()> {
        let change = self.change;
        let mailboxes = match (change.all_mailboxes, change.mailbox.is_empty()) {
            (true, _) => json!("all"),
            (false, true) => Value::Null,
            (false, false) => json!(change.mailbox),
        };
        let body = json!({
            "displayName": change.name,
            "enabled": change.enabled,
            "publicClient": change.public_client,
            "accessTokenVersion": change.token_version,
            "mailboxes": mailboxes,
        });
        self.app.patch(body, self.output).await
    }
}

impl App {
    fn desk(&self) -> anyhow::Result<Desk> {
        Desk::open(&self.place)
    }

    fn path(&self) -> String {
        format!("apps/{}", encoded(&self.id))
    }

    async fn patch(&self, body: Value, output: Output) -> anyhow::Result<()> {
        output.print(&self.desk()?.patch(&self.path(), body).await?, whole);
        Ok(())
    }

    async fn add(&self, what: &str, body: Value, output: Output) -> anyhow::Result<()> {
        let added = self.desk()?.post(&format!("{}/{what}", self.path()), body).await?;
        output.print(&added, |added| {
            let secret = added["secret"].as_str().map(|secret| format!("secret       {secret}\n"));
            format!("credential   {}\n{}", credential(added), secret.unwrap_or_default())
        });
        Ok(())
    }

    async fn redirects(&self, output: Output, edit: impl FnOnce(&mut Vec<Value>)) -> anyhow::Result<()> {
        let app = self.desk()?.get(&self.path()).await?;
        let mut uris = app["redirectUris"].as_array().cloned().unwrap_or_default();
        edit(&mut uris);
        self.patch(json!({ "redirectUris": uris }), output).await
    }
}

/// PEM as it is, DER in base64.
fn certificate(file: &Path) -> anyhow::Result<String> {
    let content = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(String::from_utf8(content).unwrap_or_else(|der| STANDARD.encode(der.as_bytes())))
}

fn line(app: &Value) -> String {
    let disabled = if app["enabled"] == false { "  disabled" } else { "" };
    format!("{}  {}{disabled}", text(app, "appId"), text(app, "displayName"))
}

fn credential(credential: &Value) -> String {
    let what = match credential["hint"].as_str() {
        Some(hint) => format!("{hint}…"),
        None => text(credential, "thumbprint"),
    };
    format!("{}  {} {what} until {}", text(credential, "id"), text(credential, "kind"), text(credential, "endDateTime"))
}

/// Everything about an app, a line for each thing.
fn whole(app: &Value) -> String {
    let mut shown = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(shown, "{name:<13}{value}");
    };
    line("app", self::line(app));
    line("tenant", text(app, "tenant"));
    if let Some(secret) = app["secret"].as_str() {
        line("secret", secret.to_owned());
    }
    for uri in app["redirectUris"].as_array().into_iter().flatten() {
        line("redirect", uri.as_str().unwrap_or_default().to_owned());
    }
    if app["publicClient"] == true {
        line("public", "it may sign users in without a credential".to_owned());
    }
    line("tokens", format!("version {}", text(app, "accessTokenVersion")));
    match app["mailboxes"].as_array() {
        None => line("mailboxes", "all of the tenant".to_owned()),
        Some(users) => users.iter().for_each(|user| line("mailbox", user.as_str().unwrap_or_default().to_owned())),
    }
    for one in app["credentials"].as_array().into_iter().flatten() {
        line("credential", credential(one));
    }
    shown
}
