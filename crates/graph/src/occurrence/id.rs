//! The ids of occurrences: opaque, and in a form of their own, so that none is taken for an item's.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use jiff::civil::Date;
use uuid::Uuid;

use crate::ImmutableId;
use crate::Kind;
use crate::id::InvalidId;

const PREFIX: [u8; 4] = [0x00, 0x03, 0x26, 0x0d];

/// One occurrence of a series, whether it was changed or not: the series and the day on which the
/// recurrence has it. It stays when the occurrence is moved, and when the series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OccurrenceId {
    /// [`crate::Item::immutable`] of the series master.
    pub master: Uuid,
    pub date: Date,
}

impl OccurrenceId {
    pub fn master_id(&self) -> ImmutableId {
        ImmutableId::new(Kind::Event, self.master)
    }
}

impl fmt::Display for OccurrenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0u8; 24];
        bytes[..4].copy_from_slice(&PREFIX);
        bytes[4..20].copy_from_slice(self.master.as_bytes());
        bytes[20..22].copy_from_slice(&self.date.year().to_be_bytes());
        bytes[22] = self.date.month().unsigned_abs();
        bytes[23] = self.date.day().unsigned_abs();
        f.write_str(&URL_SAFE.encode(bytes))
    }
}

impl FromStr for OccurrenceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bytes: [u8; 24] = URL_SAFE.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidId)?;
        if bytes[..4] != PREFIX {
            return Err(InvalidId);
        }
        let master = Uuid::from_slice(&bytes[4..20]).map_err(|_| InvalidId)?;
        let year = i16::from_be_bytes([bytes[20], bytes[21]]);
        let part = |byte: u8| i8::try_from(byte).map_err(|_| InvalidId);
        let date = Date::new(year, part(bytes[22])?, part(bytes[23])?).map_err(|_| InvalidId)?;
        Ok(Self { master, date })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ItemId, ItemKey};

    #[test]
    fn the_id_of_an_occurrence_is_no_items() {
        let id = OccurrenceId { master: Uuid::from_u128(7), date: Date::constant(2026, 11, 25) };
        let text = id.to_string();
        assert!(text.starts_with("AAMm"), "{text}");
        assert_eq!(text.parse(), Ok(id));
        assert!(text.parse::<ItemKey>().is_err());
        assert!(ItemId::new(Kind::Event, Uuid::from_u128(7)).to_string().parse::<OccurrenceId>().is_err());
        assert!("AAMmDQAAAAAAAAAAAAAAAAAAAAcH6g0_".parse::<OccurrenceId>().is_err());
    }
}
