//! The only clock: everything that needs the time asks here.

use std::time::{Duration, Instant};

use graph::Timestamp;
use notify::{Monotonic, Now};

/// Wall time from the system, monotonic time from when this was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    pub fn now(&self) -> Now {
        Now { wall: self.wall(), mono: self.mono() }
    }

    pub fn wall(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }

    pub fn mono(&self) -> Monotonic {
        Monotonic(u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Monotonic time as the keys of other issuers are timed with.
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
