//! The two times that decisions are made with. Where they come from is the shell's affair.

use graph::Timestamp;

/// Microseconds on a clock that never runs backwards and has no date: back-off, windows, deadlines, leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    pub const fn plus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to here; 0 if it is later.
    pub const fn since(self, earlier: Monotonic) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The present: `wall` for expiry, stored due times and horizons, `mono` for everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub wall: Timestamp,
    pub mono: Monotonic,
}
