//! `tidings tenant`: organisations.

use clap::Subcommand;
use serde_json::json;

use super::desk::{Desk, Output, text};
use super::place::Place;

/// Add and list tenants.
///
/// A tenant is an organisation with one domain. A domain is of one tenant, so that an address is of one
/// user.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings tenant add contoso.com --data-dir /var/lib/tidings
  tidings tenant list")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a tenant.
    #[command(after_help = "\
Examples:
  tidings tenant add contoso.com --data-dir /var/lib/tidings
  tidings tenant add personal.example --personal      the tenant of personal accounts")]
    Add {
        /// The domain of its addresses
        domain: String,
        /// The id that it is to have [default: a new one]
        #[arg(long, value_name = "UUID", conflicts_with = "personal")]
        id: Option<String>,
        /// Make it the tenant of personal accounts, whose id is always 9188040d-6c67-4c5b-b112-36a304b66dad
        #[arg(long)]
        personal: bool,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
    /// List the tenants.
    #[command(after_help = "\
Example:
  tidings tenant list")]
    List {
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        place: Place,
    },
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    match options.command {
        Command::Add { domain, id, personal, output, place } => {
            let body = json!({ "domain": domain, "id": id, "personal": personal });
            let added = Desk::open(&place)?.post("tenants", body).await?;
            output.print(&added, |added| format!("{}\n", line(added)));
        }
        Command::List { output, place } => {
            output.print_list(&Desk::open(&place)?.get("tenants").await?, line);
        }
    }
    Ok(())
}

fn line(tenant: &serde_json::Value) -> String {
    let personal = if tenant["personal"] == true { "  personal accounts" } else { "" };
    format!("{}  {}{personal}", text(tenant, "id"), text(tenant, "domain"))
}
