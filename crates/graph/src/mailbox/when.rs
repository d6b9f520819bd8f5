//! Times with a zone, as clients give them, to UTC, as they are stored and shown.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::{Refusal, Timestamp, zone};

/// A `dateTimeTimeZone` in UTC, and the zone it was given in.
pub(super) struct When {
    pub at: DateTime,
    pub zone: String,
}

impl When {
    /// Reads a value given for `property`. A time without a zone is UTC; an offset in the time itself
    /// goes before the zone. With `floating`, the time is kept as it is, whatever the zone.
    pub fn read(property: &str, value: &Value, floating: bool) -> Result<Self, Refusal> {
        let wrong = || Refusal::invalid(&format!("{property}/dateTime"), "a date-time such as 2026-11-25T10:00:00");
        let text = value.get("dateTime").and_then(Value::as_str).ok_or_else(wrong)?;
        let zone = match value.get("timeZone").and_then(Value::as_str) {
            None | Some("") => "UTC",
            Some(zone) => zone,
        };
        let unknown = || Refusal::UnknownTimeZone { name: zone.chars().take(128).collect() };
        let time_zone = zone::find(zone).ok_or_else(unknown)?;
        let at = if let (Ok(instant), false) = (text.parse::<jiff::Timestamp>(), floating) {
            TimeZone::UTC.to_datetime(instant)
        } else {
            let local = text.trim_end_matches(['Z', 'z']).parse::<DateTime>().map_err(|_| wrong())?;
            let shift = || time_zone.to_timestamp(local).map(|instant| TimeZone::UTC.to_datetime(instant));
            if floating { local } else { shift().map_err(|_| wrong())? }
        };
        if !(1..=9999).contains(&at.year()) {
            return Err(wrong());
        }
        Ok(Self { at, zone: zone.to_owned() })
    }

    pub fn timestamp(&self) -> Option<Timestamp> {
        let at = TimeZone::UTC.to_timestamp(self.at).ok()?;
        Some(Timestamp::from_micros(at.as_microsecond()))
    }

    /// With seven fractional digits and no offset.
    pub fn to_value(&self) -> Value {
        let hundred_nanos = self.at.subsec_nanosecond() / 100;
        json!({ "dateTime": format!("{}.{hundred_nanos:07}", self.at.strftime("%Y-%m-%dT%H:%M:%S")), "timeZone": "UTC" })
    }
}
