//! The configuration of `tidings serve`: its shape, its defaults and its checks. `config.default.toml`
//! shows every key with its default; a test holds the two together.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use notify::Profile;
use notify::profile::TokenExpiry;
use notify::throttle::{Rate, ThrottleLimits};
use protocol::event_grid::push::Origin;
use serde::Deserialize;

mod delivery;
pub mod identity;
mod listen;
mod outbound;
mod retention;
pub mod sinks;
pub mod telemetry;

pub use self::delivery::{Delivery, HealthName};
use self::identity::Identity;
pub use self::listen::Listen;
pub use self::outbound::Outbound;
pub use self::retention::{AttemptLog, Retention};
use self::sinks::{DeadLetters, Nats};
use self::telemetry::Telemetry;
use crate::identity::external::Rules;
use crate::outbound::OutboundConfig;
use crate::sinks::SinksConfig;

/// The annotated example: every key with its default.
pub const EXAMPLE: &str = include_str!("../config.default.toml");

/// A configuration file, with defaults for what it does not say.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub data_dir: PathBuf,
    pub key_file: PathBuf,
    pub listen: Listen,
    pub tls: Tls,
    pub subscriptions: Subscriptions,
    pub delivery: Delivery,
    pub event_grid: EventGrid,
    pub outbound: Outbound,
    pub nats: Nats,
    pub dead_letters: DeadLetters,
    pub limits: Limits,
    pub throttling: Throttling,
    pub retention: Retention,
    pub attempt_log: AttemptLog,
    pub telemetry: Telemetry,
    pub identity: Identity,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscriptions {
    pub profile: ProfileName,
    pub life_minutes_max: Option<i64>,
    pub rich_life_minutes_max: Option<i64>,
    pub life_minutes_min: Option<i64>,
    pub per_mailbox_max: Option<u64>,
    pub client_state_chars_max: Option<usize>,
    pub refuse_duplicates: Option<bool>,
    pub events_are_written_twice: Option<bool>,
    pub handshake_names_status: Option<bool>,
    pub foreign_is_told: Option<bool>,
    pub token_expiry: Option<TokenExpiryName>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    #[default]
    Documented,
    Observed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenExpiryName {
    Ignored,
    Enforced,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub body_bytes_max: usize,
    pub body_seconds_max: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Throttling {
    pub on: bool,
    pub mailbox_requests_at_a_time_max: Option<u32>,
    pub mailbox_requests_per_10_minutes_max: Option<u64>,
}

/// What events of topics are pushed with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventGrid {
    pub origin: String,
}

impl Default for EventGrid {
    fn default() -> Self {
        Self { origin: Origin::AZURE.to_owned() }
    }
}

impl EventGrid {
    pub fn origin(&self) -> anyhow::Result<Origin> {
        Origin::parse(&self.origin).context("event_grid.origin is no name of a host; write one, as eventgrid.azure.net")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/tidings"),
            key_file: PathBuf::from("/etc/tidings/key"),
            listen: Listen::default(),
            tls: Tls::default(),
            subscriptions: Subscriptions::default(),
            delivery: Delivery::default(),
            event_grid: EventGrid::default(),
            outbound: Outbound::default(),
            nats: Nats::default(),
            dead_letters: DeadLetters::default(),
            limits: Limits::default(),
            throttling: Throttling::default(),
            retention: Retention::default(),
            attempt_log: AttemptLog::default(),
            telemetry: Telemetry::default(),
            identity: Identity::default(),
        }
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            profile: ProfileName::Documented,
            life_minutes_max: None,
            rich_life_minutes_max: None,
            life_minutes_min: None,
            per_mailbox_max: None,
            client_state_chars_max: None,
            refuse_duplicates: None,
            events_are_written_twice: None,
            handshake_names_status: None,
            foreign_is_told: None,
            token_expiry: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let limits = crate::app::Limits::default();
        Self { body_bytes_max: limits.body_bytes_max, body_seconds_max: limits.body_seconds_max }
    }
}

impl Default for Throttling {
    fn default() -> Self {
        Self { on: true, mailbox_requests_at_a_time_max: None, mailbox_requests_per_10_minutes_max: None }
    }
}

impl Throttling {
    /// The limits of a profile, with the values that the file overrides.
    fn limits(&self, base: ThrottleLimits) -> ThrottleLimits {
        ThrottleLimits {
            mailbox_at_a_time: self.mailbox_requests_at_a_time_max.unwrap_or(base.mailbox_at_a_time),
            mailbox: Rate {
                units: self.mailbox_requests_per_10_minutes_max.unwrap_or(base.mailbox.units),
                ..base.mailbox
            },
            ..base
        }
    }
}

impl Config {
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a valid configuration", file.display()))
    }

    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        self.delivery.check()?;
        self.event_grid.origin()?;
        self.retention.check(self.delivery.node().horizon_micros)?;
        self.attempt_log.check()?;
        let Listen { https, http, .. } = &self.listen;
        ensure!(
            !(https.is_empty() && http.is_empty()),
            "listen.https and listen.http are both empty: give one an address"
        );
        self.listen.check_places()?;
        let notice = self.listen.drain_notice_seconds;
        ensure!(notice <= 300, "listen.drain_notice_seconds is {notice}: give 0 to 300");
        match (&self.tls.certificate, &self.tls.key) {
            (Some(_), Some(_)) => {}
            (None, None) if https.is_empty() => {}
            (None, None) => {
                bail!("listen.https needs tls.certificate and tls.key: name PEM files, or set listen.https = []")
            }
            _ => bail!("tls.certificate and tls.key go together: set both"),
        }
        ensure!(self.limits.body_bytes_max >= 64 * 1024, "limits.body_bytes_max must be at least 65536");
        ensure!((1..=600).contains(&self.limits.body_seconds_max), "limits.body_seconds_max must be from 1 to 600");
        let profile = self.profile();
        let lives =
            [("life_minutes_max", profile.life_minutes_max), ("rich_life_minutes_max", profile.rich_life_minutes_max)];
        for (name, most) in lives {
            ensure!(
                profile.life_minutes_min >= 1 && profile.life_minutes_min <= most,
                "subscriptions.life_minutes_min must be from 1 to {name} ({most})"
            );
            ensure!(most <= 525_600, "subscriptions.{name} must be at most 525600, a year");
        }
        ensure!(
            profile.throttle.mailbox_at_a_time >= 1 && profile.throttle.mailbox.units >= 1,
            "the limits of throttling must be at least 1; to have none, set throttling.on = false"
        );
        self.identity.check()?;
        self.telemetry.traces()?;
        self.sinks()?;
        self.outbound().map(drop)
    }

    /// The profile with the values that the file overrides.
    pub fn profile(&self) -> Profile {
        let asked = &self.subscriptions;
        let base = match asked.profile {
            ProfileName::Documented => Profile::documented(),
            ProfileName::Observed => Profile::observed(),
        };
        Profile {
            name: base.name,
            life_minutes_max: asked.life_minutes_max.unwrap_or(base.life_minutes_max),
            rich_life_minutes_max: asked.rich_life_minutes_max.unwrap_or(base.rich_life_minutes_max),
            life_minutes_min: asked.life_minutes_min.unwrap_or(base.life_minutes_min),
            subscriptions_per_mailbox_max: asked.per_mailbox_max.unwrap_or(base.subscriptions_per_mailbox_max),
            client_state_chars_max: asked.client_state_chars_max.unwrap_or(base.client_state_chars_max),
            refuse_duplicates: asked.refuse_duplicates.unwrap_or(base.refuse_duplicates),
            events_are_written_twice: asked.events_are_written_twice.unwrap_or(base.events_are_written_twice),
            handshake_names_status: asked.handshake_names_status.unwrap_or(base.handshake_names_status),
            foreign_is_told: asked.foreign_is_told.unwrap_or(base.foreign_is_told),
            token_expiry: match asked.token_expiry {
                None => base.token_expiry,
                Some(TokenExpiryName::Ignored) => TokenExpiry::Ignored,
                Some(TokenExpiryName::Enforced) => TokenExpiry::Enforced,
            },
            throttle: self.throttling.limits(base.throttle),
        }
    }

    /// How receivers are called.
    pub fn outbound(&self) -> anyhow::Result<OutboundConfig> {
        self.outbound.calls()
    }

    /// Where events go besides webhooks.
    pub fn sinks(&self) -> anyhow::Result<SinksConfig> {
        Ok(SinksConfig { nats: self.nats.bridge()?, dead_letters: self.dead_letters.kept()? })
    }

    /// Other issuers and how each is called: through the proxy, as receivers are.
    pub fn issuers(&self) -> anyhow::Result<Vec<(Rules, OutboundConfig)>> {
        let proxy = self.outbound.proxy()?;
        let through = |(rules, outbound)| (rules, OutboundConfig { proxy: proxy.clone(), ..outbound });
        Ok(self.identity.issuers()?.into_iter().map(through).collect())
    }
}

#[cfg(test)]
mod tests {
    use notify::health::HealthLimits;

    use super::*;

    #[test]
    fn the_example_shows_the_defaults() {
        let parsed: Config = toml::from_str(EXAMPLE).unwrap();
        assert_eq!(parsed, Config::default());
    }

    /// Every line that is commented out in the example is a key that is known.
    #[test]
    fn what_the_example_comments_out_would_parse() {
        let uncommented = EXAMPLE.lines().map(|line| line.strip_prefix("#= ").unwrap_or(line)).collect::<Vec<_>>();
        let config = Config::parse(&uncommented.join("\n")).unwrap();
        assert_eq!(config.profile(), Profile::documented());
        assert!(config.tls.certificate.is_some() && config.listen.lmtp.is_some());
        assert_eq!(config.identity.issuers.len(), 1);
    }

    #[test]
    fn receivers_and_other_issuers_are_called_through_one_proxy() {
        let uncommented = EXAMPLE.lines().map(|line| line.strip_prefix("#= ").unwrap_or(line)).collect::<Vec<_>>();
        let config = Config::parse(&uncommented.join("\n")).unwrap();
        let receivers = config.outbound().unwrap();
        assert!(receivers.proxy.as_ref().is_some_and(|proxy| proxy.credentials_file.is_some()));
        assert!(receivers.client_certificate.is_some());
        for (_, issuer) in config.issuers().unwrap() {
            assert_eq!((issuer.proxy, issuer.client_certificate), (receivers.proxy.clone(), None));
        }
    }

    #[test]
    fn each_value_of_a_profile_can_be_overridden() {
        let profile = |text: &str| {
            let listen = "[listen]\nhttps = []\nhttp = [\"127.0.0.1:1\"]\n";
            Config::parse(&format!("{listen}[subscriptions]\n{text}")).unwrap().profile()
        };
        assert_eq!(profile(""), Profile::documented());
        assert_eq!(profile("profile = \"observed\""), Profile::observed());
        let overridden = profile(
            "profile = \"observed\"\nlife_minutes_max = 10080\nrich_life_minutes_max = 60\nlife_minutes_min = 1\n\
             per_mailbox_max = 2\nclient_state_chars_max = 255\nrefuse_duplicates = false\nevents_are_written_twice = false\n\
             handshake_names_status = false\nforeign_is_told = false\ntoken_expiry = \"enforced\"",
        );
        let expected = Profile {
            life_minutes_max: 10_080,
            rich_life_minutes_max: 60,
            life_minutes_min: 1,
            subscriptions_per_mailbox_max: 2,
            client_state_chars_max: 255,
            refuse_duplicates: false,
            events_are_written_twice: false,
            handshake_names_status: false,
            foreign_is_told: false,
            token_expiry: TokenExpiry::Enforced,
            ..Profile::observed()
        };
        assert_eq!(overridden, expected);
    }

    #[test]
    fn the_copy_of_the_documentation_that_health_goes_by_can_be_chosen() {
        let node = |text: &str| {
            let listen = "[listen]\nhttps = []\nhttp = [\"127.0.0.1:1\"]\n";
            Config::parse(&format!("{listen}[delivery]\n{text}")).unwrap().delivery.node()
        };
        assert_eq!(node("").health, HealthLimits::documented());
        assert_eq!(node("endpoint_health = \"documented_2022\"").health, HealthLimits::documented_2022());
        assert_eq!(node("endpoint_health = \"documented_localised\"").health, HealthLimits::documented_localised());
        assert_eq!(node("endpoint_health = \"ignored\"").health, HealthLimits::documented().none());
        let patient = node("endpoint_health = \"documented_2021\"");
        assert_eq!(patient.health, HealthLimits::documented_2021());
        assert!(
            patient.lease_micros > patient.renew_micros + patient.health.retry_timeout_micros,
            "a lease outlasts it"
        );
    }

    #[test]
    fn an_error_names_the_key_and_what_to_change() {
        let error = |text: &str| format!("{:#}", Config::parse(text).unwrap_err());
        assert!(error("[listen]\nhtpps = []").contains("unknown field `htpps`"), "{}", error("[listen]\nhtpps = []"));
        assert!(error("").contains("listen.https needs tls.certificate and tls.key"));
        assert!(error("[listen]\nhttps = []").contains("give one an address"));
        assert!(error("[listen]\nadmin = \"x\"").contains("admin"), "{}", error("[listen]\nadmin = \"x\""));
        let of_places = |text: &str| error(&format!("[listen]\nhttps = []\n{text}"));
        for twice in [
            "http = [\"127.0.0.1:80\", \"127.0.0.1:80\"]",
            "http = [\"127.0.0.1:8081\"]",
            "http = [\"0.0.0.0:8081\"]",
            "http = [\"[::1]:80\"]\nmetrics = \"[::]:80\"",
            "http = [\"127.0.0.1:80\"]\nlmtp = \"127.0.0.1:80\"",
        ] {
            assert!(of_places(twice).contains("which are one place"), "{}", of_places(twice));
        }
        let plain = "[listen]\nhttps = []\nhttp = [\"127.0.0.1:1\"]\n";
        let of_calls = |text: &str| error(&format!("{plain}[outbound]\n{text}"));
        assert!(of_calls("allow = [\"*\"]").contains("outbound.allow has '*'"));
        assert!(
            of_calls("client_key = \"k\"").contains("outbound.client_certificate and outbound.client_key go together")
        );
        assert!(of_calls("proxy_credentials_file = \"f\"").contains("only with outbound.proxy"));
        assert!(of_calls("proxy = \"proxy:3128\"").contains("outbound.proxy is not a proxy: give http://HOST:PORT"));
        let with_password = of_calls("proxy = \"http://u:hush@proxy:3128\"");
        assert!(with_password.contains("outbound.proxy_credentials_file") && !with_password.contains("hush"));
        let of_retention = |text: &str| error(&format!("{plain}[retention]\n{text}"));
        assert!(of_retention("log_days = 0").contains("more than the 4 hours for which deliveries are tried"));
        assert!(of_retention("log_days = 4000").contains("give at most 3650"));
        assert!(of_retention("log_bytes_max = 1000").contains("must be at least 1048576"));
        let of_delivery = error(&format!("{plain}[delivery]\nparked_bytes_max = 1000"));
        assert!(of_delivery.contains("delivery.parked_bytes_max must be at least 1048576"));
        let of_attempts = |text: &str| error(&format!("{plain}[attempt_log]\n{text}"));
        assert!(of_attempts("days = 0").contains("attempt_log.on = false"));
        assert!(of_attempts("bytes_max = 1000").contains("must be at least 1048576"));
        let of_lives = |text: &str| error(&format!("{plain}[subscriptions]\n{text}"));
        assert!(of_lives("life_minutes_min = 9999").contains("life_minutes_min must be from 1 to life_minutes_max"));
        assert!(of_lives("life_minutes_min = 1441").contains("from 1 to rich_life_minutes_max (1440)"));
        assert!(of_lives("rich_life_minutes_max = 525601").contains("rich_life_minutes_max must be at most"));
    }
}
