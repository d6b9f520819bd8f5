//! The configuration of `tidings serve`: its shape, its defaults and its checks. `config.default.toml`
//! shows every key with its default; a test holds the two together.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use notify::health::HealthLimits;
use notify::profile::TokenExpiry;
use notify::throttle::{Rate, ThrottleLimits};
use notify::{NodeConfig, Profile, retention};
use protocol::envelope::DATA_CHARS_MAX;
use protocol::event_grid::push::Origin;
use serde::Deserialize;

pub mod identity;
pub mod sinks;
pub mod telemetry;

use self::identity::Identity;
use self::sinks::{DeadLetters, Nats};
use self::telemetry::Telemetry;
use crate::evidence::attempts::Kept;
use crate::identity::external::Rules;
use crate::outbound::{Allowed, ClientCertificate, OutboundConfig, Policy, ProxyConfig};
use crate::sinks::SinksConfig;

/// The annotated example: every key with its default.
pub const EXAMPLE: &str = include_str!("../config.default.toml");

/// The least limit of what a stream may have parked; below it hardly anything could wait.
const PARKED_BYTES_LEAST: u64 = 1 << 20;
/// The least limit of the log; below it nothing would be kept.
const LOG_BYTES_LEAST: u64 = 1 << 20;

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

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    pub https: Vec<SocketAddr>,
    pub http: Vec<SocketAddr>,
    pub admin: SocketAddr,
    /// No LMTP if absent.
    pub lmtp: Option<SocketAddr>,
    /// Metrics and health, for everybody who reaches it; with the admin token they are on `admin`, too.
    pub metrics: Option<SocketAddr>,
    pub drain_notice_seconds: u64,
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
pub struct Delivery {
    pub notifications_per_post_max: u16,
    pub posts_in_flight_max: u32,
    pub posts_per_origin_max: u32,
    pub content_bytes_max: usize,
    pub parked_bytes_max: u64,
    pub endpoint_health: HealthName,
    pub overdue_seconds: u64,
}

/// By which copy of Graph's documentation endpoints are slow or dropping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthName {
    #[default]
    Documented,
    DocumentedLocalised,
    #[serde(rename = "documented_2022")]
    Documented2022,
    #[serde(rename = "documented_2021")]
    Documented2021,
    /// None ever is.
    Ignored,
}

impl HealthName {
    fn limits(self) -> HealthLimits {
        match self {
            HealthName::Documented => HealthLimits::documented(),
            HealthName::DocumentedLocalised => HealthLimits::documented_localised(),
            HealthName::Documented2022 => HealthLimits::documented_2022(),
            HealthName::Documented2021 => HealthLimits::documented_2021(),
            HealthName::Ignored => HealthLimits::documented().none(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    pub ca_files: Vec<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub proxy: Option<String>,
    pub proxy_credentials_file: Option<PathBuf>,
    pub allow_private: bool,
    pub allow: Vec<String>,
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

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    pub log_days: u32,
    pub log_bytes_max: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttemptLog {
    pub on: bool,
    pub days: u32,
    pub bytes_max: u64,
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

impl Default for Listen {
    fn default() -> Self {
        Self {
            https: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 443))],
            http: Vec::new(),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            lmtp: None,
            metrics: None,
            drain_notice_seconds: 0,
        }
    }
}

impl Listen {
    /// Nothing can listen where something else does.
    fn check_places(&self) -> anyhow::Result<()> {
        let lists = [("https", &self.https), ("http", &self.http)];
        let lists = lists.into_iter().flat_map(|(key, list)| list.iter().map(move |address| (key, *address)));
        let optional = [("lmtp", self.lmtp), ("metrics", self.metrics)];
        let optional = optional.into_iter().filter_map(|(key, address)| Some((key, address?)));
        let places: Vec<_> = lists.chain([("admin", self.admin)]).chain(optional).collect();
        for (nth, (key, address)) in places.iter().enumerate() {
            if let Some((before, other)) = places[..nth].iter().find(|(_, other)| overlap(*other, *address)) {
                bail!(
                    "listen.{before} has {other} and listen.{key} has {address}, which are one place: change one of them"
                );
            }
        }
        Ok(())
    }
}

/// Whether what listens at one address takes what comes for the other. Port 0 stands for one that is free.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip(), other.ip());
    let is_any = (ip.is_unspecified() || other_ip.is_unspecified()) && ip.is_ipv4() == other_ip.is_ipv4();
    one.port() == other.port() && one.port() != 0 && (ip == other_ip || is_any)
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

impl Default for Delivery {
    fn default() -> Self {
        let node = NodeConfig::default();
        Self {
            notifications_per_post_max: node.batch_max,
            posts_in_flight_max: node.attempts_max,
            posts_per_origin_max: node.attempts_per_origin_max,
            content_bytes_max: node.content_bytes_max,
            parked_bytes_max: node.parked_bytes_max,
            endpoint_health: HealthName::default(),
            overdue_seconds: 60,
        }
    }
}

impl Delivery {
    /// The limits that the engine works within.
    pub fn node(&self) -> NodeConfig {
        let (node, health) = (NodeConfig::default(), self.endpoint_health.limits());
        NodeConfig {
            health,
            // An attempt begins only if the lease outlasts it, and what is left of a lease is less than a whole one.
            lease_micros: node.lease_micros.max(health.retry_timeout_micros + 20_000_000),
            batch_max: self.notifications_per_post_max,
            attempts_max: self.posts_in_flight_max,
            attempts_per_origin_max: self.posts_per_origin_max,
            content_bytes_max: self.content_bytes_max,
            parked_bytes_max: self.parked_bytes_max,
            ..node
        }
    }

    /// How long a delivery that is due may wait for its attempt before the log warns.
    pub fn overdue(&self) -> Duration {
        Duration::from_secs(self.overdue_seconds)
    }

    fn check(&self) -> anyhow::Result<()> {
        let Self { notifications_per_post_max, posts_in_flight_max, posts_per_origin_max, content_bytes_max, .. } =
            *self;
        ensure!(
            (1..=1_000).contains(&notifications_per_post_max),
            "delivery.notifications_per_post_max is {notifications_per_post_max}: give 1 to 1000"
        );
        ensure!(
            (1..=65_536).contains(&posts_in_flight_max),
            "delivery.posts_in_flight_max is {posts_in_flight_max}: give 1 to 65536"
        );
        ensure!(
            (1..=posts_in_flight_max).contains(&posts_per_origin_max),
            "delivery.posts_per_origin_max is {posts_per_origin_max}: give 1 to posts_in_flight_max"
        );
        ensure!(
            (1..=DATA_CHARS_MAX).contains(&content_bytes_max),
            "delivery.content_bytes_max is {content_bytes_max}: give 1 to {DATA_CHARS_MAX}"
        );
        ensure!(
            self.parked_bytes_max >= PARKED_BYTES_LEAST,
            "delivery.parked_bytes_max must be at least {PARKED_BYTES_LEAST}"
        );
        let seconds = self.overdue_seconds;
        ensure!((1..=86_400).contains(&seconds), "delivery.overdue_seconds is {seconds}: give 1 to 86400");
        Ok(())
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

impl Default for Retention {
    fn default() -> Self {
        Self { log_days: 7, log_bytes_max: None }
    }
}

impl Retention {
    pub fn limits(&self) -> retention::Limits {
        let age_micros = i64::from(self.log_days) * 24 * 3_600 * 1_000_000;
        retention::Limits { age_micros, bytes_max: self.log_bytes_max }
    }

    /// What is still tried must not be too old to be kept.
    fn check(&self, horizon_micros: i64) -> anyhow::Result<()> {
        let Self { log_days, log_bytes_max } = *self;
        ensure!(
            log_days <= 3_650 && self.limits().age_micros > horizon_micros,
            "retention.log_days is {log_days}: give at most 3650, and more than the {} hours for which deliveries are \
             tried",
            horizon_micros / 3_600_000_000
        );
        ensure!(
            log_bytes_max.is_none_or(|most| most >= LOG_BYTES_LEAST),
            "retention.log_bytes_max must be at least {LOG_BYTES_LEAST}; without it there is no limit"
        );
        Ok(())
    }
}

impl Default for AttemptLog {
    fn default() -> Self {
        Self { on: true, days: 7, bytes_max: 256 << 20 }
    }
}

impl AttemptLog {
    /// `None`: it is off.
    pub fn kept(&self) -> Option<Kept> {
        self.on.then_some(Kept { days: self.days, bytes_max: self.bytes_max })
    }

    fn check(&self) -> anyhow::Result<()> {
        let Self { days, bytes_max, .. } = *self;
        ensure!((1..=3_650).contains(&days), "attempt_log.days is {days}: give 1 to 3650, or attempt_log.on = false");
        ensure!(bytes_max >= LOG_BYTES_LEAST, "attempt_log.bytes_max must be at least {LOG_BYTES_LEAST}");
        Ok(())
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

    pub fn outbound(&self) -> anyhow::Result<OutboundConfig> {
        let mut allow: Vec<Allowed> = Vec::new();
        for text in &self.outbound.allow {
            allow.push(text.parse().with_context(|| format!("outbound.allow has '{text}'"))?);
        }
        let policy = Policy { dev: false, allow_private: self.outbound.allow_private, allow };
        let ca_files = self.outbound.ca_files.clone();
        Ok(OutboundConfig { policy, ca_files, client_certificate: self.client_certificate()?, proxy: self.proxy()? })
    }

    /// Where events go besides webhooks.
    pub fn sinks(&self) -> anyhow::Result<SinksConfig> {
        Ok(SinksConfig { nats: self.nats.bridge()?, dead_letters: self.dead_letters.kept()? })
    }

    fn client_certificate(&self) -> anyhow::Result<Option<ClientCertificate>> {
        match (self.outbound.client_certificate.clone(), self.outbound.client_key.clone()) {
            (Some(certificate), Some(key)) => Ok(Some(ClientCertificate { certificate, key })),
            (None, None) => Ok(None),
            _ => bail!("outbound.client_certificate and outbound.client_key go together: set both"),
        }
    }

    fn proxy(&self) -> anyhow::Result<Option<ProxyConfig>> {
        let credentials_file = self.outbound.proxy_credentials_file.clone();
        let Some(place) = &self.outbound.proxy else {
            ensure!(credentials_file.is_none(), "outbound.proxy_credentials_file is of use only with outbound.proxy");
            return Ok(None);
        };
        Ok(Some(ProxyConfig { place: place.parse().context("outbound.proxy is not a proxy")?, credentials_file }))
    }

    /// Other issuers and how each is called: through the proxy, as receivers are.
    pub fn issuers(&self) -> anyhow::Result<Vec<(Rules, OutboundConfig)>> {
        let proxy = self.proxy()?;
        let through = |(rules, outbound)| (rules, OutboundConfig { proxy: proxy.clone(), ..outbound });
        Ok(self.identity.issuers()?.into_iter().map(through).collect())
    }
}

#[cfg(test)]
mod tests {
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
