//! `tidings serve`: the server for production, from a configuration file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::stop;
use crate::clock::Clock;
use crate::config::{Config, EXAMPLE};
use crate::data_dir::DataDir;
use crate::key_file::KeyFile;
use crate::outbound::Outbound;
use crate::server::{self, Addresses, Settings};
use crate::sinks::Sinks;
use crate::telemetry::traces::Traces;
use crate::{app, key_file, tls};

/// Run the server for production from a configuration file.
///
/// It has no seeded tenant and no development shortcuts: HTTPS with your certificate, and receivers at
/// public HTTPS addresses only, unless the file opens more.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings serve --print-config > tidings.toml     an annotated file with every key and its default
  tidings serve --config tidings.toml --check     say whether the file is valid, and stop
  tidings serve --config tidings.toml")]
pub struct Options {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", required_unless_present = "print_config")]
    config: Option<PathBuf>,
    /// The file with the keys that secrets in the data directory are sealed with, instead of `key_file` there.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Only check the configuration, with the files that it names and the places where events are to go.
    #[arg(long)]
    check: bool,
    /// Print an annotated configuration file and stop.
    #[arg(long)]
    print_config: bool,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    if options.print_config {
        print!("{EXAMPLE}");
        return Ok(());
    }
    let mut config = Config::read(&options.config.context("name a file with --config FILE")?)?;
    config.key_file = options.key_file.unwrap_or(config.key_file);
    if options.check {
        check_sinks(&check(&config)?).await?;
        println!("the configuration is valid");
        return Ok(());
    }
    let certificate = own_certificate(&config)?;
    let renewed = certificate.clone();
    let stop = stop::on_signal_but_hangup(move || read_again(renewed.as_deref()))?;
    let mut running = server::start(settings(config, certificate)?).await?;
    for address in running.listen.https.iter().chain(&running.listen.http) {
        eprintln!("tidings listens on {address}");
    }
    eprintln!("tidings serves its admin API on {}", running.listen.admin);
    if let Some(address) = running.listen.lmtp {
        eprintln!("tidings takes mail by LMTP on {address}");
    }
    if let Some(address) = running.listen.metrics {
        eprintln!("tidings tells its metrics on {address}");
    }
    running.until(&stop).await?;
    stop::say("tidings stops; a second signal ends it at once");
    running.drain().await;
    Ok(())
}

/// Reads what a start would read of the files that the configuration names. The key file is read if there is one: it and the
/// data directory are made at the first start.
fn check(config: &Config) -> anyhow::Result<Sinks> {
    own_certificate(config)?;
    key_file::ensure_outside(&config.data_dir, &config.key_file)?;
    KeyFile::read(&config.key_file)?;
    Outbound::new(config.outbound()?).context("cannot set up outbound calls")?;
    for (rules, outbound) in config.issuers()? {
        Outbound::new(outbound).with_context(|| format!("cannot set up calls to {}", rules.name.as_str()))?;
    }
    if let Some(traces) = config.telemetry.traces()? {
        Traces::check(&traces).context("cannot set up traces")?;
    }
    Sinks::new(config.sinks()?, Clock::new())
}

/// Asks whether events can go there: what would otherwise be found out when the first one does.
async fn check_sinks(sinks: &Sinks) -> anyhow::Result<()> {
    if let Some(bridge) = &sinks.bridge {
        bridge.connects().await.context("events cannot be bridged")?;
    }
    if let Some(dead_letters) = &sinks.dead_letters {
        dead_letters.check().await.context("no dead letter can be kept")?;
    }
    Ok(())
}

fn own_certificate(config: &Config) -> anyhow::Result<Option<Arc<tls::Files>>> {
    match (&config.tls.certificate, &config.tls.key) {
        (Some(certificate), Some(key)) => tls::Files::read(certificate, key, Clock::new().world()).map(Some),
        _ => Ok(None),
    }
}

/// What a SIGHUP asks for.
fn read_again(certificate: Option<&tls::Files>) {
    match certificate.map(|files| files.read_again(Clock::new().world())) {
        Some(Ok(())) => {
            stop::say("tidings has read its certificate again; the rest of the configuration needs a restart")
        }
        Some(Err(error)) => {
            tracing::error!("the certificate stays as it was; mend it and send SIGHUP again: {error:#}")
        }
        None => stop::say("tidings has no certificate to read again; the configuration needs a restart"),
    }
}

fn settings(config: Config, certificate: Option<Arc<tls::Files>>) -> anyhow::Result<Settings> {
    let tls = certificate.map(tls::Files::config).transpose()?;
    key_file::ensure_outside(&config.data_dir, &config.key_file)?;
    let data = DataDir::open(&config.data_dir)?;
    Ok(Settings {
        keys: key_file::keys_for(&data, &config.key_file)?,
        data,
        profile: config.profile(),
        delivery: config.delivery.node(),
        overdue: config.delivery.overdue(),
        outbound: config.outbound()?,
        push_origin: config.event_grid.origin()?,
        sinks: config.sinks()?,
        built_in_issuer: config.identity.built_in_issuer,
        issuers: config.issuers()?,
        retention: config.retention.limits(),
        attempt_log: config.attempt_log.kept(),
        traces: config.telemetry.traces()?,
        limits: app::Limits {
            body_bytes_max: config.limits.body_bytes_max,
            body_seconds_max: config.limits.body_seconds_max,
        },
        listen: Addresses {
            http: config.listen.http,
            https: config.listen.https,
            admin: config.listen.admin,
            lmtp: config.listen.lmtp,
            metrics: config.listen.metrics,
        },
        drain_notice: Duration::from_secs(config.listen.drain_notice_seconds),
        tls,
        throttle: config.throttling.on,
        dev: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a check says of a configuration with these lines.
    fn checked(lines: &str) -> Result<(), String> {
        let listen = "[listen]\nhttps = []\nhttp = [\"127.0.0.1:1\"]\n";
        let place = if lines.starts_with("data_dir") { "" } else { "key_file = \"/absent/key\"\n" };
        let config = Config::parse(&format!("{place}{lines}\n{listen}")).and_then(|config| check(&config));
        config.map(drop).map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn a_check_reads_the_files_that_the_configuration_names() {
        assert_eq!(checked(""), Ok(()));
        let issuer =
            "[[identity.issuers]]\nissuer = \"https://id.example\"\naudiences = [\"a\"]\ntenant = \"contoso.com\"\n";
        for (lines, file) in [
            ("[tls]\ncertificate = \"/absent/chain\"\nkey = \"/absent/key\"", "/absent/chain"),
            ("data_dir = \"/absent/data\"\nkey_file = \"/absent/data/key\"", "/absent/data/key"),
            ("[outbound]\nca_files = [\"/absent/ca\"]", "/absent/ca"),
            (
                "[outbound]\nclient_certificate = \"/absent/client\"\nclient_key = \"/absent/client-key\"",
                "/absent/client",
            ),
            (
                "[outbound]\nproxy = \"http://proxy:3128\"\nproxy_credentials_file = \"/absent/credentials\"",
                "/absent/credentials",
            ),
            (&format!("{issuer}ca_files = [\"/absent/issuer-ca\"]"), "/absent/issuer-ca"),
            (
                "[telemetry]\notlp_endpoint = \"http://127.0.0.1:4318\"\notlp_headers_file = \"/absent/headers\"",
                "/absent/headers",
            ),
            (
                "[telemetry]\notlp_endpoint = \"http://127.0.0.1:4318\"\nca_files = [\"/absent/otlp-ca\"]",
                "/absent/otlp-ca",
            ),
            ("[nats]\nurl = \"nats://127.0.0.1\"\ncredentials_file = \"/absent/creds\"", "/absent/creds"),
            ("[nats]\nurl = \"nats://127.0.0.1\"\nuser_file = \"/absent/nats-user\"", "/absent/nats-user"),
            ("[nats]\nurl = \"nats://127.0.0.1\"\nca_files = [\"/absent/nats-ca\"]", "/absent/nats-ca"),
            ("[dead_letters]\ndirectory = \"/absent/letters\"", "/absent/letters"),
            (
                "[dead_letters.s3]\nendpoint = \"https://s3.example\"\nbucket = \"abc\"\nregion = \"eu\"\n\
                 credentials_file = \"/absent/s3\"",
                "/absent/s3",
            ),
        ] {
            let refusal = checked(lines).expect_err(file);
            assert!(refusal.contains(file), "{refusal}");
        }
    }
}
