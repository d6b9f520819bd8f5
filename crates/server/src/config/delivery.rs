//! How deliveries are made, and within which limits.

use std::time::Duration;

use anyhow::ensure;
use notify::NodeConfig;
use notify::health::HealthLimits;
use protocol::envelope::DATA_CHARS_MAX;
use serde::Deserialize;

/// The least limit of what a stream may have parked; below it hardly anything could wait.
const PARKED_BYTES_LEAST: u64 = 1 << 20;

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

    pub(super) fn check(&self) -> anyhow::Result<()> {
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
