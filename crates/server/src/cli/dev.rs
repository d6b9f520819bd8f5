//! `tidings dev`: a server on this machine with a tenant, mailboxes and tokens, in one command.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use notify::NodeConfig;
use protocol::event_grid::push::Origin;

use super::ready::{self, Ready};
use super::stop;
use crate::clock::Clock;
use crate::config::sinks::Nats;
use crate::data_dir::{DataDir, READY_FILE, default_path};
use crate::dead_letters::DeadLettersConfig;
use crate::identity::{Grant, ROLES, SCOPES};
use crate::outbound::{OutboundConfig, Policy};
use crate::server::{self, Addresses, Running, Settings};
use crate::sinks::SinksConfig;
use crate::{app, config, key_file, seed, tls};

/// How long the tokens that are printed are good for: a month, so that nobody's evening ends at one.
const TOKEN_SECONDS: i64 = 30 * 24 * 3_600;
const TOKEN_FILE: &str = "token";

/// Run a development server: one command, no configuration, everything on loopback.
///
/// It has the tenant contoso.test with five users (megan, adele, alex, diego, nestor @contoso.test), a
/// personal account (lynne@personal.test), an app, tokens that work, HTTPS with a development CA of its
/// own, and takes mail by LMTP. More are added with `tidings user` and `tidings app`. Receivers may be at
/// http:// and localhost. `tidings clock advance 3d` moves its clock, so that subscriptions expire and retries come
/// due at once; `tidings fault add` makes deliveries go wrong. Ctrl-C lets it finish what is under way; a second one
/// ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tidings dev                                  the usual ports, data kept in ~/.local/share/tidings
  tidings dev --ephemeral                      nothing is kept
  tidings dev --json --http 127.0.0.1:0        a free port, and one line of JSON when ready")]
pub struct Options {
    /// Serve plain HTTP here (may be given several times; port 0 takes a free one).
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: Vec<SocketAddr>,
    /// Serve HTTPS here (may be given several times; port 0 takes a free one).
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    https: Vec<SocketAddr>,
    /// Serve the admin API here.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
    /// Take mail by LMTP on this port of 127.0.0.1 (0 takes a free one).
    #[arg(long, value_name = "PORT", default_value_t = 8024)]
    lmtp_port: u16,
    /// The server's certificate chain (PEM), instead of one from the development CA.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Trust this CA, too, when calling receivers (PEM; may be given several times).
    #[arg(long, value_name = "FILE")]
    outbound_ca: Vec<PathBuf>,
    /// Let event subscriptions of partner topics lead into JetStream on this NATS server (nats://HOST:PORT, or tls:// if
    /// only TLS will do).
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// The most notifications that one POST carries.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch_max: u16,
    /// Keep everything here [default: $XDG_DATA_HOME/tidings or ~/.local/share/tidings].
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data_dir: Option<PathBuf>,
    /// The file with the keys that secrets in there are sealed with; made if it is missing
    /// [default: $XDG_CONFIG_HOME/tidings/key or ~/.config/tidings/key].
    #[arg(long, value_name = "FILE", conflicts_with = "ephemeral")]
    key_file: Option<PathBuf>,
    /// Keep nothing: use a temporary directory.
    #[arg(long)]
    ephemeral: bool,
    /// Listen on addresses that other machines reach. The secrets are well known: for containers only.
    #[arg(long)]
    allow_remote: bool,
    /// Tell apps that ask too much to wait, as Graph does (429 with Retry-After).
    #[arg(long)]
    throttle: bool,
    /// Print one line of JSON when ready, and nothing else.
    #[arg(long)]
    json: bool,
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    let json = options.json;
    let own_certificate = options.tls_cert.is_some();
    let mut running = server::start(settings(options)?).await?;
    let ready = announce(&running, own_certificate)?;
    if json {
        println!("{}", serde_json::to_string(&ready)?);
    } else {
        print!("{}", for_people(&ready, &running));
    }
    let outcome = running.until(&stop).await;
    running.data().remove(READY_FILE);
    outcome?;
    if !json {
        stop::say("\nFinishing what is under way; Ctrl-C again to stop at once.");
    }
    running.drain().await;
    Ok(())
}

fn settings(options: Options) -> anyhow::Result<Settings> {
    let (data, keys) = match options.ephemeral {
        true => (DataDir::temporary()?, key_file::in_memory()),
        false => {
            let data = options.data_dir.map_or_else(default_path, Ok)?;
            let file = options.key_file.map_or_else(key_file::default_path, Ok)?;
            key_file::ensure_outside(&data, &file)?;
            let data = DataDir::open(&data)?;
            let keys = key_file::keys_for(&data, &file)?;
            (data, keys)
        }
    };
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => tls::Files::read(certificate, key, Clock::new().world())?.config()?,
        _ => tls::development(&data, Clock::new().world()).context("cannot make the development certificate")?,
    };
    let lmtp = SocketAddr::from((Ipv4Addr::LOCALHOST, options.lmtp_port));
    let listen =
        Addresses { http: options.http, https: options.https, admin: options.admin, lmtp: Some(lmtp), metrics: None };
    if !options.allow_remote {
        require_loopback(&listen)?;
    }
    let nats = Nats { url: options.nats, ..Nats::default() }.bridge()?;
    let sinks = SinksConfig { dead_letters: Some(DeadLettersConfig::Directory(dead_letters(&data)?)), nats };
    Ok(Settings {
        data,
        keys,
        listen,
        tls: Some(tls),
        profile: notify::Profile::documented(),
        delivery: NodeConfig { batch_max: options.batch_max, ..NodeConfig::default() },
        outbound: OutboundConfig {
            policy: Policy { dev: true, ..Policy::default() },
            ca_files: options.outbound_ca,
            ..OutboundConfig::default()
        },
        push_origin: Origin::default(),
        sinks,
        built_in_issuer: true,
        issuers: Vec::new(),
        limits: app::Limits::default(),
        drain_notice: Duration::ZERO,
        retention: config::Retention::default().limits(),
        attempt_log: config::AttemptLog::default().kept(),
        traces: None,
        overdue: config::Delivery::default().overdue(),
        throttle: options.throttle,
        dev: true,
    })
}

/// Where the data is, so that nothing is left behind.
fn dead_letters(data: &DataDir) -> anyhow::Result<PathBuf> {
    let directory = data.join("dead-letters");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// The development server gives tokens to everybody who asks with a known secret.
fn require_loopback(listen: &Addresses) -> anyhow::Result<()> {
    let all = listen.http.iter().chain(&listen.https).chain([&listen.admin]).chain(&listen.lmtp);
    for address in all {
        anyhow::ensure!(
            address.ip().is_loopback(),
            "{address} is not a loopback address, and `tidings dev` has well-known secrets; use 127.0.0.1 or ::1, or say \
             --allow-remote"
        );
    }
    Ok(())
}

/// Issues the tokens and writes the ready file.
fn announce(running: &Running, own_certificate: bool) -> anyhow::Result<Ready> {
    let state = &running.state;
    let (app, users, times) = (seed::app(), seed::users(), state.clock.times());
    let issue = |grant| state.tokens.issue(&app, grant, times, TOKEN_SECONDS);
    let megan = users.first().context("the seeded tenant has users")?;
    let url = |scheme: &str, addresses: &[SocketAddr]| {
        addresses.iter().map(|address| format!("{scheme}://{address}")).collect::<Vec<_>>()
    };
    let ready = Ready {
        http: url("http", &running.listen.http),
        https: url("https", &running.listen.https),
        ca: (!own_certificate).then(|| running.data().join(tls::CA_FILE)),
        lmtp: running.listen.lmtp,
        admin: format!("http://{}", running.listen.admin),
        admin_token: running.admin_token.clone(),
        tenant: ready::Tenant { id: seed::TENANT.to_string(), domain: seed::DOMAIN.to_owned() },
        app: ready::App { id: seed::APP.to_string(), secret: seed::APP_SECRET.to_owned() },
        token: issue(Grant::Delegated(megan, SCOPES))?,
        app_token: issue(Grant::Application(seed::TENANT, &ROLES))?,
        users: users.into_iter().map(ready::User::from).collect(),
        personal_user: seed::personal_user().into(),
    };
    running.data().write_private(TOKEN_FILE, ready.token.as_bytes())?;
    running.data().write_private(READY_FILE, &serde_json::to_vec_pretty(&ready)?)?;
    Ok(ready)
}

fn for_people(ready: &Ready, running: &Running) -> String {
    let mut text = String::from("Tidings is ready.\n\n");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<12}{value}");
    };
    for base in ready.http.iter().chain(&ready.https) {
        line("Graph", format!("{base}/v1.0"));
    }
    if let Some(ca) = &ready.ca {
        line("CA file", ca.display().to_string());
    }
    if let Some(lmtp) = ready.lmtp {
        line("LMTP", lmtp.to_string());
    }
    line("Admin", format!("{}/admin (openapi.json)", ready.admin));
    line("Tenant", format!("{} ({})", ready.tenant.id, ready.tenant.domain));
    line("App", format!("{} with secret '{}'", ready.app.id, ready.app.secret));
    for user in &ready.users {
        line("User", format!("{} {} ({})", user.id, user.upn, user.display_name));
    }
    let ready::User { id, upn, display_name } = &ready.personal_user;
    line("Personal", format!("{id} {upn} ({display_name})"));
    line("Token", format!("{} (Megan's)", ready.token));
    text.push_str(&commands(ready, running));
    text
}

/// Three commands that work when they are pasted into another terminal.
fn commands(ready: &Ready, running: &Running) -> String {
    let dir = running.data().path();
    let quoted = |name: &str| shell_quoted(&dir.join(name).display().to_string());
    let tidings = std::env::current_exe().map_or_else(|_| "tidings".to_owned(), |exe| exe.display().to_string());
    let base = ready.http.first().cloned().unwrap_or_default();
    format!(
        "
Subscribe (in a second terminal; it prints every notification):
  {tidings} listen --data-dir {dir}

Cause a change:
  curl -sS -X POST {base}/v1.0/me/messages -H \"Authorization: Bearer $(cat {token})\" \\
    -H 'Content-Type: application/json' -d '{{\"subject\":\"Hello from Tidings\"}}'

Look at what was delivered:
  curl -sS {admin}/admin/subscriptions -H \"Authorization: Bearer $(cat {admin_token})\"

Ctrl-C stops the server.
",
        tidings = shell_quoted(&tidings),
        dir = shell_quoted(&dir.display().to_string()),
        token = quoted(TOKEN_FILE),
        admin = ready.admin,
        admin_token = quoted("admin-token"),
    )
}

/// The text as one word of a POSIX shell.
fn shell_quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::shell_quoted;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_quoted("/home/a/.local"), "/home/a/.local");
        assert_eq!(shell_quoted("/home/o'neil/my data"), "'/home/o'\\''neil/my data'");
    }
}
