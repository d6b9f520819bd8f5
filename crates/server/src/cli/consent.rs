//! `tidings consent`: what apps may do.

use clap::Subcommand;
use serde_json::{Value, json};

use super::desk::{Desk, Output, query, text};
use super::place::Place;

/// Grant apps permissions, and revoke them.
///
/// Permissions have Graph's names (Mail.Read, Calendars.ReadWrite). One for the app itself reaches all
/// mailboxes of the tenant, unless the app's policy names some; one for users counts while the app acts for
/// a signed-in user, and reaches that user's mailbox.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings consent grant 507c3b9a-67b8-463d-88a2-15a8cefb2111 Mail.Read --application
  tidings consent list 507c3b9a-67b8-463d-88a2-15a8cefb2111")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Grant permissions.
    #[command(after_help = "\
Examples:
  tidings consent grant 507c3b9a-67b8-463d-88a2-15a8cefb2111 Mail.Read --application
  tidings consent grant 507c3b9a-67b8-463d-88a2-15a8cefb2111 Mail.Read Calendars.Read --all-users
  tidings consent grant 507c3b9a-67b8-463d-88a2-15a8cefb2111 Mail.Send --user megan@contoso.com")]
    Grant(Permissions),
    /// Revoke permissions.
    ///
    /// Subscriptions that the app may not hear of any more stay, and it is asked to reauthorize them
    /// (reauthorizationRequired). If it does not within 15 minutes they pause until it does. Until the
    /// permission is given back, the app can neither read nor renew them.
    #[command(after_help = "\
Example:
  tidings consent revoke 507c3b9a-67b8-463d-88a2-15a8cefb2111 Mail.Read --application")]
    Revoke(Permissions),
    /// List everything that an app was ever granted in a tenant.
    #[command(after_help = "\
Example:
  tidings consent list 507c3b9a-67b8-463d-88a2-15a8cefb2111")]
    List {
        /// The application (client) id
        app: String,
        /// The tenant's domain or id [default: the app's home]
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Permissions {
    /// The application (client) id
    app: String,
    /// Graph's names of the permissions
    #[arg(required = true, value_name = "PERMISSION")]
    permissions: Vec<String>,
    #[command(flatten)]
    grantee: Grantee,
    /// The tenant's domain or id [default: the app's home]
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Grantee {
    /// For the app itself, without a user
    #[arg(long)]
    application: bool,
    /// For the app when it acts for any user of the tenant
    #[arg(long)]
    all_users: bool,
    /// For the app when it acts for this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Grant(permissions) => permissions.run("grant", "granted", "it stood already").await,
        Command::Revoke(permissions) => permissions.run("revoke", "revoked", "it did not stand").await,
        Command::List { app, tenant, output, place } => {
            let path = query("consents", &[("appId", Some(app)), ("tenant", tenant)]);
            output.print_list(&Desk::open(&place)?.get(&path).await?, line);
            Ok(())
        }
    }
}

impl Permissions {
    async fn run(self, verb: &str, done: &str, not_done: &str) -> anyhow::Result<()> {
        let grantee = match (self.grantee.application, self.grantee.user) {
            (true, _) => json!("app"),
            (false, None) => json!("allUsers"),
            (false, Some(user)) => json!({ "user": user }),
        };
        let body = json!({
            "appId": self.app,
            "tenant": self.tenant,
            "grantee": grantee,
            "permissions": self.permissions,
        });
        let answer = Desk::open(&self.place)?.post(&format!("consents/{verb}"), body).await?;
        self.output.print(&answer, |answer| {
            let changed = answer["permissions"].as_array().cloned().unwrap_or_default();
            let said = |name: &String| if changed.iter().any(|one| one == name) { done } else { not_done };
            self.permissions.iter().map(|name| format!("{name}  {}\n", said(name))).collect()
        });
        Ok(())
    }
}

fn line(consent: &Value) -> String {
    let grantee = match consent["grantee"].as_str() {
        Some("app") => "application".to_owned(),
        Some(_) => "all users".to_owned(),
        None => format!("user {}", text(&consent["grantee"], "user")),
    };
    let revoked = consent["revokedDateTime"].as_str().map(|at| format!(", revoked {at}")).unwrap_or_default();
    format!("{}  {grantee}  granted {}{revoked}", text(consent, "permission"), text(consent, "grantedDateTime"))
}
