//! Points in time as whole microseconds since the Unix epoch, UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time; microseconds since 1970-01-01T00:00:00Z.
///
/// The wire form has `Z` and as many fractional digits as are needed, none for whole seconds; any
/// offset and up to nine fractional digits are read, and what is finer than a microsecond is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is no date-time with an offset, or lies outside the years 1 to 9999.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date-time with a time zone offset, as 2026-11-28T09:30:00Z is: {0:?}")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    pub const fn plus_minutes(self, minutes: i64) -> Self {
        self.plus_micros(minutes.saturating_mul(60_000_000))
    }

    /// Reads a date-time with its seventh fractional digit: tenths of a microsecond, 0 to 9. .NET writes it.
    pub fn with_tenths(text: &str) -> Result<(Self, u8), InvalidTimestamp> {
        let at: Self = text.parse()?;
        let nanos = text.parse::<jiff::Timestamp>().map_or(0, |exact| exact.as_nanosecond().rem_euclid(1_000));
        Ok((at, (nanos / 100) as u8))
    }

    /// The wire form with the tenths of a microsecond, 0 to 9.
    pub fn to_string_with_tenths(self, tenths: u8) -> String {
        let text = self.to_string();
        match (tenths, text.strip_suffix('Z').and_then(|text| text.split_once('.'))) {
            (0, _) => text,
            (tenths, Some((whole, fraction))) => format!("{whole}.{fraction:0<6}{tenths}Z"),
            (tenths, None) => format!("{}.000000{tenths}Z", text.trim_end_matches('Z')),
        }
    }

    /// Microseconds from `earlier` to here; negative if it is later.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The whole second that this lies in. Outlook's item times have no fraction.
    pub const fn whole_seconds(self) -> Self {
        Self(self.0.div_euclid(1_000_000) * 1_000_000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => f.write_str(if self.0 < 0 { "0001-01-01T00:00:00Z" } else { "9999-12-30T22:00:00Z" }),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        const YEAR_1: i64 = -62_135_596_800_000_000;
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|timestamp| Self(timestamp.as_microsecond()))
            .filter(|timestamp| timestamp.0 >= YEAR_1)
            .ok_or_else(|| InvalidTimestamp(text.chars().take(64).collect()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_clients_send_are_read_and_answered_in_z() {
        for (sent, answered) in [
            ("2026-11-21T10:00:00.861596+00:00", "2026-11-21T10:00:00.861596Z"),
            ("2026-11-21T10:00:00.3269710Z", "2026-11-21T10:00:00.326971Z"),
            ("2026-11-21T10:00:00.724Z", "2026-11-21T10:00:00.724Z"),
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
            ("2022-01-02T03:12:18.2257768+05:30", "2022-01-01T21:42:18.225776Z"),
        ] {
            assert_eq!(sent.parse::<Timestamp>().unwrap().to_string(), answered);
        }
    }

    #[test]
    fn seven_digits_are_read_and_written() {
        for (sent, tenths, answered) in [
            ("2021-07-07T21:42:18.2257768+00:00", 8, "2021-07-07T21:42:18.2257768Z"),
            ("2026-11-21T10:00:00.1000001+02:00", 1, "2026-11-21T08:00:00.1000001Z"),
            ("2026-11-21T10:00:00.0000009Z", 9, "2026-11-21T10:00:00.0000009Z"),
            ("2026-11-21T10:00:00.123456789Z", 7, "2026-11-21T10:00:00.1234567Z"),
            ("2026-11-21T10:00:00.9345000Z", 0, "2026-11-21T10:00:00.9345Z"),
            ("2026-11-21T10:00:00.0000000Z", 0, "2026-11-21T10:00:00Z"),
        ] {
            let (at, found) = Timestamp::with_tenths(sent).unwrap();
            assert_eq!((found, at.to_string_with_tenths(found).as_str()), (tenths, answered), "{sent}");
        }
        assert!(Timestamp::with_tenths("2026-11-21T10:00:00.1234567").is_err());
    }

    #[test]
    fn a_date_without_an_offset_is_refused() {
        for text in ["2026-11-21T10:00:00", "2026-11-21", "now", "", "99999-01-01T00:00:00Z", "-002026-01-01T00:00:00Z"]
        {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
