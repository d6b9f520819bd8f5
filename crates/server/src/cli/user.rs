//! `tidings user`: people with mailboxes.

use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::{Desk, Output, confirmed, encoded, query, text};
use super::place::{Place, Running};

/// Add users, and say who may sign in.
///
/// A user has an address of a tenant's domain, and a mailbox. Nobody has a password: a user signs in with a
/// code that is made for once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings user add megan@contoso.com --name 'Megan Bowen'
  tidings user list
  tidings user sign-in-code megan@contoso.com --data-dir /var/lib/tidings")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a user with an empty mailbox.
    #[command(after_help = "\
Examples:
  tidings user add megan@contoso.com --name 'Megan Bowen'
  tidings user add adele@contoso.com --id 2804bc07-1e1f-4938-9085-ce6d756a32d2")]
    Add {
        /// The address; its domain says of which tenant the user is
        address: String,
        /// The name that is shown [default: what stands before the @]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// The id that the user is to have [default: a new one]
        #[arg(long, value_name = "UUID")]
        id: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// List the users of a tenant.
    #[command(after_help = "\
Examples:
  tidings user list
  tidings user list --tenant contoso.com")]
    List {
        /// The tenant's domain or id [default: the only organisation there is]
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        /// Begin behind this address
        #[arg(long, value_name = "ADDRESS")]
        after: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// Let no app act for a user; the mailbox takes mail all the same.
    ///
    /// What apps have subscribed to for the user ends, and they are told so (subscriptionRemoved).
    #[command(after_help = "\
Example:
  tidings user disable megan@contoso.com")]
    Disable(Edit),
    /// Let apps act for a user again.
    #[command(after_help = "\
Example:
  tidings user enable megan@contoso.com")]
    Enable(Edit),
    /// End all sessions of a user, as a new password does: apps must have the user sign in again.
    ///
    /// What apps have subscribed to for the user ends, and they are told so (subscriptionRemoved).
    #[command(after_help = "\
Example:
  tidings user reset-password megan@contoso.com")]
    ResetPassword(Edit),
    /// Make a code with which a user signs in once, at the sign-in page of the running server.
    #[command(after_help = "\
Example:
  tidings user sign-in-code megan@contoso.com")]
    SignInCode {
        /// The user's address or id
        #[arg(value_name = "USER")]
        key: String,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Running,
    },
    /// Remove a user, and everything in the mailbox, for good.
    ///
    /// Subscriptions to the mailbox end, and apps are told so (subscriptionRemoved). It asks first.
    #[command(after_help = "\
Examples:
  tidings user remove megan@contoso.com
  tidings user remove megan@contoso.com --yes")]
    Remove {
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        user: User,
    },
}

/// A user that there is.
#[derive(Debug, clap::Args)]
struct User {
    /// The user's address or id
    #[arg(value_name = "USER")]
    key: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Edit {
    #[command(flatten)]
    user: User,
    #[command(flatten)]
    output: Output,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Add { address, name, id, output, place } => {
            let body = json!({ "userPrincipalName": address, "displayName": name, "id": id });
            output.print(&Desk::open(&place)?.post("users", body).await?, one_line);
        }
        Command::List { tenant, after, output, place } => {
            let path = query("users", &[("tenant", tenant), ("after", after)]);
            output.print_list(&Desk::open(&place)?.get(&path).await?, line);
        }
        Command::Disable(edit) => edit.enable(false).await?,
        Command::Enable(edit) => edit.enable(true).await?,
        Command::ResetPassword(Edit { user, output }) => {
            let reset = Desk::open(&user.place)?.post(&format!("{}/reset-password", user.path()), json!({})).await?;
            output.print(&reset, one_line);
        }
        Command::SignInCode { key, output, place } => {
            let desk = Desk::of_running(&place, "a code is for the sign-in page of a running server")?;
            let made = desk.post(&format!("{}/sign-in-codes", path(&key)), json!({})).await?;
            output.print(&made, |made| format!("{}  until {}\n", text(made, "code"), text(made, "expires")));
        }
        Command::Remove { user, yes } => {
            let desk = Desk::open(&user.place)?;
            let found = desk.get(&user.path()).await?;
            let who = text(&found, "userPrincipalName");
            confirmed(yes, &format!("Remove {who} with everything in the mailbox, for good?"))?;
            desk.delete(&user.path()).await?;
            println!("{}  removed", user.key);
        }
    }
    Ok(())
}

impl User {
    fn path(&self) -> String {
        path(&self.key)
    }
}

fn path(key: &str) -> String {
    format!("users/{}", encoded(key))
}

impl Edit {
    async fn enable(self, enabled: bool) -> anyhow::Result<()> {
        let body = json!({ "accountEnabled": enabled });
        let user = Desk::open(&self.user.place)?.patch(&self.user.path(), body).await?;
        self.output.print(&user, one_line);
        Ok(())
    }
}

fn one_line(user: &Value) -> String {
    format!("{}\n", line(user))
}

fn line(user: &Value) -> String {
    let disabled = if user["accountEnabled"] == false { "  disabled" } else { "" };
    let [id, upn, name] = ["id", "userPrincipalName", "displayName"].map(|member| text(user, member));
    format!("{id}  {upn}  {name}{disabled}")
}
