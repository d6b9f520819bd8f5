//! The commands of the `tidings` program: arguments, what is printed, exit codes.

mod app;
mod attempts;
mod backup;
mod bench;
mod client;
mod clock;
mod consent;
mod decrypt;
mod desk;
mod dev;
mod doctor;
mod fault;
mod forward;
mod import;
mod ingest;
mod key_file;
mod keys;
mod ledger;
mod listen;
mod outbound;
mod place;
mod progress;
mod ready;
mod replay;
mod restore;
mod serve;
mod stop;
mod tenant;
mod topic;
mod user;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Speaks Microsoft Graph change notifications for mail, calendars and contacts.
///
/// An app that works with Graph subscriptions works with Tidings by changing its base URL.
#[derive(Debug, Parser)]
#[command(name = "tidings", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tidings dev                       a server on this machine, with a tenant, mailboxes and tokens
  tidings listen                    in a second terminal: subscribe, and print every notification
  tidings import --user megan@contoso.test mail.mbox
                                    in a third: something happens in Megan's mailbox
  tidings clock advance 3d          see what becomes of subscriptions that nobody renews
  tidings ingest changes.json       something happens to users, drives, chats and other resources
  tidings serve --config tidings.toml
                                    the server for production
  tidings tenant add contoso.com    who there is: see also user, app and consent
  tidings ledger verify             count again from the log that nothing was lost
  tidings attempts --outcome refused
                                    what receivers answered
  tidings backup --to DIR           a copy of the data, while the server runs

Each command tells more with --help. TIDINGS_LOG sets what is logged (error, warn, info, debug).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a development server: one command, no configuration, everything on loopback.
    Dev(dev::Options),
    /// Run the server for production from a configuration file.
    Serve(serve::Options),
    /// Subscribe to a mailbox of a running server and print each notification.
    Listen(listen::Options),
    /// Read mail, events and contacts from files into a mailbox.
    Import(import::ImportArgs),
    Clock(clock::Options),
    Fault(fault::Options),
    Decrypt(decrypt::Options),
    Ingest(ingest::Options),
    Tenant(tenant::Options),
    User(user::Options),
    App(app::Options),
    Consent(consent::Options),
    Topic(topic::Options),
    Keys(keys::Options),
    Outbound(outbound::Options),
    Ledger(ledger::Options),
    Attempts(attempts::Options),
    Replay(replay::Options),
    KeyFile(key_file::Options),
    Backup(backup::Options),
    Restore(restore::Options),
    Doctor(doctor::Options),
    /// Measure deliveries on this machine.
    Bench(bench::Options),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("TIDINGS_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(cli.command)),
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tidings: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dev(options) => dev::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Serve(options) => serve::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Listen(options) => listen::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Bench(options) => bench::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Tenant(options) => tenant::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::User(options) => user::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::App(options) => app::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Topic(options) => topic::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Consent(options) => consent::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Keys(options) => keys::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Clock(options) => clock::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Fault(options) => fault::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Outbound(options) => outbound::run(options).await,
        Command::Decrypt(options) => decrypt::run(options),
        Command::Ingest(options) => ingest::run(options).await,
        Command::Ledger(options) => ledger::run(options).await,
        Command::Attempts(options) => attempts::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Replay(options) => replay::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Backup(options) => backup::run(options).map(|()| ExitCode::SUCCESS),
        Command::Restore(options) => restore::run(options).map(|()| ExitCode::SUCCESS),
        Command::Doctor(options) => doctor::run(options),
        Command::KeyFile(options) => key_file::run(options).map(|()| ExitCode::SUCCESS),
        Command::Import(args) => import::run(args).await,
    }
}

#[cfg(test)]
mod tests;
