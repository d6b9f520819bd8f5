//! For how long the logs are kept: that of changes, and that of attempts.

use anyhow::ensure;
use notify::retention;
use serde::Deserialize;

use crate::evidence::attempts::Kept;

/// The least limit of a log; below it nothing would be kept.
const LOG_BYTES_LEAST: u64 = 1 << 20;

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
    pub(super) fn check(&self, horizon_micros: i64) -> anyhow::Result<()> {
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

    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Self { days, bytes_max, .. } = *self;
        ensure!((1..=3_650).contains(&days), "attempt_log.days is {days}: give 1 to 3650, or attempt_log.on = false");
        ensure!(bytes_max >= LOG_BYTES_LEAST, "attempt_log.bytes_max must be at least {LOG_BYTES_LEAST}");
        Ok(())
    }
}
